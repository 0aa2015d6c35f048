"""Gradients that are not the derivative: declared ones, and paths that are cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import fngen
from fngen.errors import FngenError

# torch's own: Dynamo makes a Function to look at it, forward mode uses torch.jit.script.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
]


class _Declared(torch.autograd.Function):
    """The judge: a value, and formulas that autograd differentiates as they stand."""

    @staticmethod
    def forward(ctx: Any, value: Callable[..., Tensor], slopes: list[Any], *xs: Tensor) -> Tensor:
        ctx.slopes = slopes
        ctx.save_for_backward(*xs)
        return value(*xs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        return None, None, *(grad * s(*ctx.saved_tensors) for s in ctx.slopes)


LAYERS = {
    "spike": (
        "heaviside(x)",
        {"x": "1/(1 + (pi*x)**2)"},
        lambda x: torch.heaviside(x, x.new_tensor(0.5)),
        [lambda x: 1 / (1 + (torch.pi * x) ** 2)],
    ),
    "straight_through": ("round(x)", {"x": "1"}, torch.round, [torch.ones_like]),
    "clipped": ("sign(x)*y", {"x": "where(abs(x) < 1, y, 0)"}, lambda x, y: torch.sign(x) * y,
        [lambda x, y: torch.where(abs(x) < 1, y, 0.0), lambda x, y: torch.sign(x)]),
    "by_an_intermediate": ("s = sigmoid(a*b); s*b", {"a": "s*b**2"}, lambda a, b: torch.sigmoid(a * b) * b,
        [lambda a, b: torch.sigmoid(a * b) * b**2,
         lambda a, b: torch.sigmoid(a * b) + a * b * torch.sigmoid(a * b) * torch.sigmoid(-a * b)]),
}  # fmt: skip


def leaves(n: int) -> list[Tensor]:
    return [torch.linspace(-1.7, 2.3, 7, dtype=torch.float64).roll(i).requires_grad_() for i in range(n)]


@pytest.mark.parametrize("name", LAYERS)
def test_value_gradient_and_second_derivative(name: str) -> None:
    formula, grads, value, slopes = LAYERS[name]
    source = fngen.generate(formula, name=name, grads=grads)
    report = fngen.verify(source)
    assert report.ok, report
    assert any(c.name.endswith("declared") for c in report.checks)
    assert "declared" in report.reference
    function = getattr(fngen.compile(formula, name=name, grads=grads), name)
    ours, theirs = leaves(len(slopes)), leaves(len(slopes))
    got, want = function(*ours), _Declared.apply(value, slopes, *theirs)
    torch.testing.assert_close(got, want)
    first = [torch.autograd.grad(y.sum(), xs, create_graph=True) for y, xs in ((got, ours), (want, theirs))]
    torch.testing.assert_close(*first)
    seconds = [
        torch.autograd.grad(sum((g**2).sum() for g in grads), xs, allow_unused=True, materialize_grads=True)
        for grads, xs in zip(first, (ours, theirs), strict=True)
        if any(g.requires_grad for g in grads)
    ]
    if seconds:
        torch.testing.assert_close(*seconds)


def test_modes_follow_the_declared_gradient() -> None:
    spike = fngen.compile("heaviside(x)", name="spike", grads={"x": "1/(1 + (pi*x)**2)"}).spike
    x = leaves(1)[0]
    slope = 1 / (1 + (torch.pi * x.detach()) ** 2)
    got = torch.func.vmap(torch.func.grad(spike))(x.detach())
    torch.testing.assert_close(got, slope)
    torch.testing.assert_close(torch.func.jvp(spike, (x.detach(),), (torch.ones_like(slope),))[1], slope)
    compiled = torch.compile(spike, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(torch.autograd.grad(compiled(x).sum(), x)[0], slope)
    # What torch.compile would get wrong is refused.
    with pytest.raises(RuntimeError, match="drops this derivative"):
        torch.compile(torch.func.grad(lambda z: spike(z).sum()), backend="aot_eager", fullgraph=True)(
            x.detach()
        )


CUTS: dict[str, Callable[..., Tensor]] = {
    "x*stop_gradient(sigmoid(x)) + y": lambda x, y: x * torch.sigmoid(x).detach() + y,
    "stop_gradient(x)*y": lambda x, y: x.detach() * y,
    "x + stop_gradient(round(x) - x) + y": lambda x, y: x + (torch.round(x) - x).detach() + y,
    "u = x*y; u*stop_gradient(u)": lambda x, y: (x * y) * (x * y).detach(),
    "exp(stop_gradient(x))*y + x**2": lambda x, y: torch.exp(x.detach()) * y + x**2,
}


@pytest.mark.parametrize("formula", CUTS)
def test_cut_paths(formula: str) -> None:
    assert fngen.verify(fngen.generate(formula, name="cut")).ok
    function, plain = fngen.compile(formula, name="cut").cut, CUTS[formula]
    ours, theirs = leaves(2), leaves(2)
    firsts = []
    for f, xs in ((function, ours), (plain, theirs)):
        value = f(*xs)
        slopes = torch.autograd.grad(
            value.sum(), xs, create_graph=True, allow_unused=True, materialize_grads=True
        )
        total = sum((s * (1 + s)).sum() for s in slopes)
        second = (
            torch.autograd.grad(total, xs, allow_unused=True, materialize_grads=True)
            if total.requires_grad
            else tuple(map(torch.zeros_like, xs))
        )
        firsts.append((value, slopes, second))
    torch.testing.assert_close(*firsts)
    tangents = (torch.ones(7, dtype=torch.float64),) * 2
    pair = [torch.func.jvp(f, tuple(x.detach() for x in ours), tangents) for f in (function, plain)]
    torch.testing.assert_close(*pair)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("round(x)", {"z": "1"}, "a gradient is declared of 'z', which is no input"),
    ("round(x)", {"x": "q"}, "'q' is unknown to the layer"),
    ("round(beta*x)", {"x": "bata"}, "Did you mean 'beta'?"),
    ("round(x)", {"x": ""}, "is no formula"),
    ("round(x)", {"x": 1}, "is no formula"),
    ("round(x)", {"x": "1 +"}, "has no right side"),
    ("round(x)", {"x": "u = 1; u"}, "one expression"),
    ("round(x)", {"x": "sum(x)"}, "a number at each point"),
]


@pytest.mark.parametrize(("formula", "grads", "message"), WRONG)
def test_wrong_gradients(formula: str, grads: dict[str, Any], message: str) -> None:
    with pytest.raises(FngenError) as caught:
        fngen.generate(formula, grads=grads)
    assert message in str(caught.value)


def test_in_a_text() -> None:
    text = "grad x = 1/(1 + (a*x)**2)\nconst a = 2\nheaviside(x)"
    source = fngen.generate(text, name="spike")
    assert (
        source.text
        == fngen.generate("heaviside(x)", name="spike", consts={"a": 2}, grads={"x": "1/(1 + (a*x)**2)"}).text
    )
    assert '--const a=2 --grad "x=1/(1 + (a*x)**2)"' in source.text
