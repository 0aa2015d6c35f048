"""What a gradient takes from the value, and how it looks for rare numbers: as right as without, and cheaper."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import cache

import mpmath
import pytest
import torch
from torch import Tensor

import fngen
from tests.plain import DEVICE

FORMULAS = {
    "planck": "x**3/(exp(x) - 1)",
    "gelu_tanh": "x/2*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))",
    "gaussian": "x*exp(-x**2/2)",
    "gumbel": "exp(-exp(-x))",
    "fermi": "1/(exp(x) + 1)",
    "gap": "sin(x + 1) - sin(x)",
    "kinetic": "1/sqrt(1 - x**2) - 1",
    "sinc": "sin(x)/x",
    "exprel": "(exp(x) - 1)/x",
    "cosine": "(1 - cos(x))/x**2",
    "swish": "x*sigmoid(3*x)",
}
NUMBERS = [-800.0, -50.0, -20.0, -3.0, -0.9, -1e-3, 0.0, 1e-300, 0.5, 2.0, 7.0, 30.0, 39.0, 41.0, 61.0, 800.0]
names = pytest.mark.parametrize("name", FORMULAS)


@cache
def source(name: str) -> str:
    """Return the file of a formula."""
    return fngen.generate(FORMULAS[name], name="f").text


@cache
def layer(name: str) -> Callable[..., Tensor]:
    """Return the layer of a formula."""
    return fngen.compile(FORMULAS[name], name="f").f  # type: ignore[no-any-return]


def eager(name: str) -> tuple[str, str]:
    """Return forward and backward of the node for plain tensors, without what is worked out for rare numbers."""
    tree = ast.parse(source(name))
    node = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name.endswith("Eager"))
    methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
    usual = [[line for line in method.body if not isinstance(line, ast.If)] for method in methods]
    first, second = ("\n".join(map(ast.unparse, lines)) for lines in usual)
    return first, second


@names
def test_the_gradient_is_that_of_who_shares_nothing(name: str) -> None:
    """The node for plain tensors against the derivative as a transform works it out, from the inputs."""
    x = torch.tensor(NUMBERS, dtype=torch.float64, device=DEVICE, requires_grad=True)
    (found,) = torch.autograd.grad(layer(name)(x).sum(), x)
    wanted = torch.func.vmap(torch.func.grad(layer(name)))(x.detach())
    torch.testing.assert_close(found, wanted, rtol=4e-15, atol=0, equal_nan=True)


@names
def test_alone_as_beside_others(name: str) -> None:
    def gradient(numbers: list[float]) -> Tensor:
        x = torch.tensor(numbers, dtype=torch.float64, device=DEVICE, requires_grad=True)
        y = layer(name)(x)
        return torch.stack([y.detach(), *torch.autograd.grad(y.sum(), x)])

    alone = torch.cat([gradient([x]) for x in NUMBERS], 1)
    torch.testing.assert_close(gradient(NUMBERS), alone, rtol=1e-15, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "call", "times"),
    [("planck", "expm1", 1), ("gelu_tanh", "sigmoid", 2), ("gaussian", "exp", 2)],
)
def test_what_is_dear_is_worked_out_once(name: str, call: str, times: int) -> None:
    assert len(re.findall(rf"\b{call}_?\(", "\n".join(eager(name)))) == times


@pytest.mark.parametrize("name", ["planck", "sinc", "exprel"])
def test_a_hole_is_found_in_the_result(name: str) -> None:
    assert "_any_nan(" in source(name)
    assert "torch.where" not in eager(name)[0]


@pytest.mark.parametrize(("name", "value"), [("sinc", 1.0), ("exprel", 1.0), ("planck", 0.0)])
def test_a_result_with_a_hole_may_be_changed_in_place(name: str, value: float) -> None:
    x = torch.tensor([0.0, 0.5], dtype=torch.float64, device=DEVICE, requires_grad=True)
    y = layer(name)(x)
    assert y[0] == value
    (kept,) = torch.autograd.grad(layer(name)(x).sum(), x)
    y.mul_(2).sum().backward()
    torch.testing.assert_close(x.grad, 2 * kept)


def test_the_tail_of_a_gate_has_its_digits() -> None:
    """``1 - sigmoid(u)`` would have none beyond 37."""
    swish = fngen.compile("x*sigmoid(beta*x)", name="swish").swish
    x = torch.tensor([50.0, 20.0, -30.0, -90.0], dtype=torch.float64, device=DEVICE)
    beta = torch.ones_like(x, requires_grad=True)
    (found,) = torch.autograd.grad(swish(x, beta).sum(), beta)
    wanted = [float(t * t * mpmath.exp(-t) / (1 + mpmath.exp(-t)) ** 2) for t in x.tolist()]
    torch.testing.assert_close(found.cpu(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-15, atol=0)


def test_a_nan_stays_one_and_spoils_nothing_else() -> None:
    x = torch.tensor([torch.nan, 0.0, 1.0, 90.0], dtype=torch.float64, device=DEVICE, requires_grad=True)
    y = layer("planck")(x)
    (found,) = torch.autograd.grad(y.sum(), x)
    assert y.isnan().tolist() == [True, False, False, False]
    assert found.isnan().tolist() == [True, False, False, False]
    torch.testing.assert_close(y[1:].detach(), layer("planck")(x[1:]).detach(), rtol=0, atol=0)


INFINITE = [-torch.inf, -3.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0, torch.inf, torch.nan]


def test_the_slope_of_a_power_is_torchs_at_every_edge() -> None:
    """It is made of the power itself, where that is of moderate size."""
    power = fngen.compile("x**y", name="f").f
    x, y = torch.cartesian_prod(*[torch.tensor(INFINITE, dtype=torch.float64, device=DEVICE)] * 2).unbind(1)
    inputs = [x.clone().requires_grad_(), y.clone().requires_grad_()]
    found = torch.autograd.grad(power(*inputs).sum(), inputs)
    wanted = torch.autograd.grad(torch.pow(*inputs).sum(), inputs)
    torch.testing.assert_close(found, wanted, rtol=1e-14, atol=0, equal_nan=True)


def test_the_slope_of_a_power_has_its_digits() -> None:
    """An exponent less 1 is rounded: ``y*x**(y - 1)`` has lost eight bits where the power is large."""
    power = fngen.compile("x**y", name="f").f
    numbers = [(3.7, 150.3), (1e-3, 9.1), (900.0, -8.3), (1e-30, 5.0), (1e-200, 2.0), (0.7, -0.3)]
    x = torch.tensor([a for a, _ in numbers], dtype=torch.float64, device=DEVICE, requires_grad=True)
    y = torch.tensor([b for _, b in numbers], dtype=torch.float64, device=DEVICE)
    (found,) = torch.autograd.grad(power(x, y).sum(), x)
    with mpmath.workdps(40):
        wanted = [float(mpmath.mpf(b) * mpmath.mpf(a) ** (mpmath.mpf(b) - 1)) for a, b in numbers]
    torch.testing.assert_close(found.cpu(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-15, atol=0)
