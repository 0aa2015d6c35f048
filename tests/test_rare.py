"""Choices that ordinary numbers do not make: worked out where an element asks, and as right as ever."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

import fngen
from fngen import ir
from fngen.choices import without_guards
from fngen.ir import number, value
from tests.plain import DEVICE

GATED = {
    "mish": "x*tanh(softplus(x))",
    "planck": "x**3/(exp(x) - 1)",
    "log_cosh": "log(cosh(x))",
    "typed": "where(x < -20, exp(x), x**2)",
    "the other side": "where(x > -20, x**2, exp(x))",
    "two": "where(x > 30, 1/x, x*x)*where(x < -30, x, sin(x))",
    "of what is saved": "x*where(x*x > 100, 1, x*x)",
    "one in another": "where(x < -20, where(x < -30, x, exp(x)), x**2)",
}
ORDINARY = [-1.5, 0.25, 2.0, 3.5]
RARE = [-800.0, -35.0, -25.0, 0.0, 45.0, 800.0]
layers = pytest.mark.parametrize("name", GATED)


@cache
def layer(name: str) -> Callable[[Tensor], Tensor]:
    """Return the layer of a formula."""
    return fngen.compile(GATED[name], name="f").f  # type: ignore[no-any-return]


def results(name: str, numbers: list[float]) -> Tensor:
    """Return value and derivative at some numbers, computed together."""
    x = torch.tensor(numbers, dtype=torch.float64, device=DEVICE, requires_grad=True)
    y = layer(name)(x)
    return torch.stack([y.detach(), *torch.autograd.grad(y.sum(), x)])


@layers
def test_an_element_has_its_value_whatever_stands_beside_it(name: str) -> None:
    numbers = ORDINARY + RARE
    alone = torch.cat([results(name, [x]) for x in numbers], 1)
    torch.testing.assert_close(results(name, numbers), alone, rtol=1e-15, atol=0)
    torch.testing.assert_close(results(name, ORDINARY), alone[:, : len(ORDINARY)], rtol=1e-15, atol=0)


@layers
def test_with_a_graph_as_without(name: str) -> None:
    """The node for plain tensors against the one that torch.compile and vmap trace, which always chooses."""
    x = torch.tensor(ORDINARY + RARE, dtype=torch.float64, device=DEVICE)
    traced = torch.func.vmap(layer(name))(x)
    torch.testing.assert_close(layer(name)(x.requires_grad_()).detach(), traced, rtol=1e-15, atol=0)


@layers
def test_ordinary_numbers_do_not_choose(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE != "cpu":
        pytest.skip("to look at what is on another device takes longer than to choose")
    chosen = []
    where = torch.where

    def counted(*args: Any) -> Tensor:
        chosen.append(args)
        return where(*args)

    results(name, ORDINARY)
    monkeypatch.setattr(torch, "where", counted)
    results(name, ORDINARY)
    assert not chosen
    results(name, ORDINARY + RARE)
    assert chosen


@layers
def test_a_nan_hides_nothing(name: str) -> None:
    with_nan = results(name, [float("nan"), *RARE])
    assert with_nan[:, 0].isnan().all()
    torch.testing.assert_close(with_nan[:, 1:], results(name, RARE), rtol=0, atol=0)


@layers
def test_of_no_elements_and_of_one_number(name: str) -> None:
    assert results(name, []).shape == (2, 0)
    x = torch.tensor(-800.0, dtype=torch.float64, device=DEVICE, requires_grad=True)
    assert layer(name)(x).item() == results(name, [-800.0])[0].item()


@layers
def test_who_traces_numbers_sees_both_sides(name: str) -> None:
    x = torch.tensor(ORDINARY, dtype=torch.float64, device=DEVICE, requires_grad=True)

    def gradient(x: Tensor) -> Tensor:
        return torch.autograd.grad(layer(name)(x).sum(), x)[0]

    traced = make_fx(gradient)(x)
    rare = torch.tensor(RARE[: len(ORDINARY)], dtype=torch.float64, device=DEVICE, requires_grad=True)
    torch.testing.assert_close(traced(rare), gradient(rare), rtol=1e-15, atol=0)
    with FakeTensorMode() as mode:
        assert layer(name)(mode.from_tensor(x)).shape == x.shape


def test_several_rare_inputs_of_different_shapes() -> None:
    f = fngen.compile("x*sigmoid(beta*x)", name="f").f
    x = torch.tensor([[1.0], [-3.0], [50.0]], dtype=torch.float64, requires_grad=True)
    beta = torch.tensor([1.0, -20.0], dtype=torch.float64, requires_grad=True)
    found = [y.sum() for y in (f(x, beta), x * torch.sigmoid(beta * x))]
    got, want = (torch.autograd.grad(y, (x, beta)) for y in found)
    torch.testing.assert_close(found[0], found[1], rtol=1e-14, atol=0)
    torch.testing.assert_close(got, want, rtol=1e-13, atol=1e-300)


def test_a_choice_within_a_choice_that_has_decided_it() -> None:
    """Of the same number, with another bound; a nan decides nothing but that nothing holds."""
    text = (
        "where(x < 2, where(x < 3, x, 0*x), where(x < 1, 0*x, x**2)) + where(x < 2, where(x < 1, x, -x), x)"
    )
    source = fngen.generate(text, name="f", inputs=["x"])
    assert source.text.partition("class _FEager")[2].partition("def f(")[0].count("x < 3") == 0
    f = fngen.compile(text, name="f").f
    x = torch.tensor([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, float("nan")], dtype=torch.float64)
    want = torch.where(x < 2, x, x**2) + torch.where(x < 2, torch.where(x < 1, x, -x), x)
    torch.testing.assert_close(f(x.requires_grad_()).detach(), want.detach(), rtol=0, atol=0, equal_nan=True)


def test_what_a_choice_has_decided_leaves_no_function_of_a_number() -> None:
    """``torch.log`` takes no number; where a sum or product is all that reads it, it may be one."""
    x, one = ir.name("x"), number(1)
    condition = value("lt", x, number(0))
    inner = value("where", condition, one, x)
    for decided, made in (
        (value("log", inner), value("log", inner)),
        (value("log", value("neg", inner)), value("log", value("neg", inner))),
        (value("mul", x, inner), value("mul", x, one)),
    ):
        graph = value("where", condition, decided, value("exp", x))
        assert without_guards([graph]) == [value("where", condition, made, value("exp", x))]


def test_a_rare_side_reads_what_nothing_else_is_named_after() -> None:
    """It is worked out last, when the choice has its name."""
    function = fngen.compile("tanh(softplus(softplus(x)))*sinh(x)", name="f").f
    x = torch.tensor([-100.8, -1.5, 0.5, 100.8], dtype=torch.float64, device=DEVICE, requires_grad=True)
    softplus = torch.nn.functional.softplus
    (want,) = torch.autograd.grad((torch.tanh(softplus(softplus(x))) * torch.sinh(x)).sum(), x)
    (found,) = torch.autograd.grad(function(x).sum(), x)
    torch.testing.assert_close(found, want, rtol=1e-13, atol=0)


def test_each_rare_side_works_out_what_only_rare_sides_need() -> None:
    """What two of them share would be worked out before both, and mostly for nothing."""
    text = fngen.generate("a*sigmoid(a)*b", name="f").text
    backward = text.partition("class _FEager")[2].partition("def backward")[2].partition("\ndef f(")[0]
    lines = [line for line in backward.splitlines() if ".exp_()" in line]
    assert len(lines) == 2
    assert all(line.startswith(" " * 16) for line in lines), "an exponential stands outside of its condition"
    a = torch.tensor([-720.0, -50.0, -1.0, 2.0], dtype=torch.float64, device=DEVICE, requires_grad=True)
    b = torch.tensor([1e300, 2.0, -3.0, 0.5], dtype=torch.float64, device=DEVICE, requires_grad=True)
    f = fngen.compile("a*sigmoid(a)*b", name="f").f
    found = torch.autograd.grad(f(a, b).sum(), (a, b))
    s = 1 / (1 + torch.exp(-a[1:]))
    want = b[1:] * s * (1 + a[1:] * (1 - s)), a[1:] * s
    torch.testing.assert_close([g[1:] for g in found], list(want), rtol=1e-14, atol=0)
    tail = math.exp(-360.0) * math.exp(-360.0 + math.log(1e300))
    assert found[0][0].item() == pytest.approx(-719 * tail, rel=1e-10)
