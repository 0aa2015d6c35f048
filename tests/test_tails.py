"""Where a form may be clamped far out: no sample of points can tell it of every function."""

from __future__ import annotations

import math

import pytest
import torch

import fngen
from fngen.language.parse import parse_expression
from fngen.stabilise.tails import saturated


@pytest.mark.parametrize(
    "text", ["x**y", "y*x**(y - 1)", "exp(x*y)", "tan(x/2)", "sin(x)/exp(y*sin(x))", "x*y"]
)
def test_what_is_not_clamped(text: str) -> None:
    """A function of two inputs may be far out where neither is, one that oscillates never ends."""
    assert not [*saturated(parse_expression(text), ("x", "y"))]


@pytest.mark.parametrize("text", ["x/(1 + exp(x))", "exp(-x**2)*(x**2 - 1)", "y*exp(x) - x"])
def test_what_is_clamped(text: str) -> None:
    """Only the input that an exponential depends on, and only if it is an input."""
    form = parse_expression(text)
    assert [*saturated(form, ("x", "y"))] == [*saturated(form, ("x",))] != []
    assert not [*saturated(form, ("y",))]


@pytest.mark.parametrize("y", [-6e4, -900.0, 900.0, 6e4, 1e7, 1e12])
def test_the_slope_of_a_power_of_one(y: float) -> None:
    x = torch.ones(1, dtype=torch.float64, requires_grad=True)
    fngen.compile("x**y", name="power").power(x, torch.full_like(x, y)).backward()
    assert x.grad is not None
    assert x.grad.item() == y


@pytest.mark.parametrize("x", [40.5, 711.0, 900.0, 5000.25])
def test_an_oscillation_goes_on(x: float) -> None:
    """As far as the argument has digits."""
    found = fngen.compile("log(tan(pi/4 + x/2)**2)", name="mercator").mercator(
        torch.tensor([x], dtype=torch.float64)
    )
    wanted = math.log(math.tan(math.pi / 4 + x / 2) ** 2)
    assert found.item() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("z", [300.0, 650.0, 712.0, 850.0, 1250.0])
def test_what_falls_slowly_goes_on(z: float) -> None:
    """Where the exponential is nothing there is still a divisor."""
    x, y = (torch.tensor(t, dtype=torch.float64, requires_grad=True) for t in (2.0, 3.0))
    found = fngen.compile("log((1 + y*x)/(1 + y*x*exp(-z)))/z", name="coverage", inputs=("x", "y", "z"))
    (slope,) = torch.autograd.grad(found.coverage(x, y, torch.tensor(z, dtype=torch.float64)), x)
    assert slope.item() == pytest.approx(3 / 7 / z, rel=1e-12)
