"""Gradients that are not the derivative: declared ones, and paths that are cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import fngen
from fngen import problem
from fngen.errors import FngenError, FormulaError
from tests.layer_row import with_gradients

# torch's own: Dynamo makes a Function to look at it.
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


def times(slope: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the gradient that a slope makes of a cotangent."""
    return lambda g, *xs: g * slope(*xs)


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
    # What is declared is differentiated as it stands, also where the formula is in it.
    "by_the_result": ("sigmoid(x)", {"x": "sigmoid(x)"}, torch.sigmoid, [torch.sigmoid]),
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
    got, want = function(*ours), with_gradients(value, *map(times, slopes))(*theirs)
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


# Across reductions. A gradient is made of the cotangent, which lacks what was reduced.


def _wide(g: Tensor) -> Tensor:
    return g.unsqueeze(-1)


def _row(x: Tensor) -> Tensor:
    return x.sum(-1, keepdim=True)


REDUCING: dict[str, tuple[str, dict[str, str], dict[str, float], Callable[..., Tensor]]] = {
    "in_both": ("sum(round(x)*y, dim=-1)", {"x": "y*mean(x, dim=-1)"}, {},
        with_gradients(lambda x, y: (x.round() * y).sum(-1),
            lambda g, x, y: _wide(g) * y * x.mean(-1, keepdim=True), lambda g, x, y: _wide(g) * x.round())),
    "in_the_formula": ("sum(round(x), dim=-1)*sum(y**2, dim=-1)", {"x": "y"}, {},
        with_gradients(lambda x, y: x.round().sum(-1) * (y**2).sum(-1),
            lambda g, x, y: _wide(g) * y, lambda g, x, y: _wide(g) * _row(x.round()) * 2 * y)),
    "in_the_declared_one": ("round(x)*y", {"x": "softmax(x, dim=-1)*y"}, {},
        with_gradients(lambda x, y: x.round() * y, lambda g, x, y: g * torch.softmax(x, -1) * y, lambda g, x, y: g * x.round())),
    "spread": ("sum(round(x)*y, dim=-1)", {"x": "1"}, {},
        with_gradients(lambda x, y: (x.round() * y).sum(-1),
            lambda g, x, y: _wide(g).expand_as(x), lambda g, x, y: _wide(g) * x.round())),
    "of_all": ("sum(round(x)*y)*mean(y)", {"x": "y**2"}, {},
        with_gradients(lambda x, y: (x.round() * y).sum() * y.mean(), lambda g, x, y: g * y**2,
            lambda g, x, y: g * (x.round() * y.mean() + (x.round() * y).sum() / y.numel()))),
    "averaged": ("mean(round(x)*y)", {"x": "y*mean(y, dim=-1)"}, {},
        with_gradients(lambda x, y: (x.round() * y).mean(), lambda g, x, y: g / x.numel() * y * y.mean(-1, keepdim=True),
            lambda g, x, y: g / x.numel() * x.round())),
    "of_a_number": ("sum(x*w, dim=-1)*y", {"w": "sum(round(x), dim=-1)*y"}, {"w": 1.5},
        with_gradients(lambda x, y, w: (x * w).sum(-1, keepdim=True) * y,
            lambda g, x, y, w: _row(g * y) * w + 0 * x, lambda g, x, y, w: g * _row(x * w),
            lambda g, x, y, w: (g * _row(x.round()) * y).sum().reshape(w.shape))),
    "of_a_row": ("sum(x*w, dim=-1)", {"w": "round(x)"}, {"w[-1]": 1.5},
        with_gradients(lambda x, w: (x * w).sum(-1), lambda g, x, w: _wide(g) * w, lambda g, x, w: (_wide(g) * x.round()).sum(0))),
    "of_both": ("mean(x*y, dim=0, keepdim=True)", {"x": "y", "y": "x**2"}, {},
        with_gradients(lambda x, y: (x * y).mean(0, keepdim=True), lambda g, x, y: g * y, lambda g, x, y: g * x**2)),
}  # fmt: skip


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("name", REDUCING)
def test_across_reductions(name: str, lean: bool) -> None:
    formula, grads, params, twin = REDUCING[name]
    source = fngen.generate(formula, name="layer", grads=grads, params=params, lean=lean)
    report = fngen.verify(source)
    assert report.ok, report
    assert sum(c.name.endswith("declared") for c in report.checks) == len(grads)
    layer = fngen.compile(formula, name="layer", grads=grads, params=params, lean=lean).layer
    generator = torch.Generator().manual_seed(3)
    shapes = [(5,) if key == "w[-1]" else (1,) for key in params]
    ours = [
        (4 * torch.rand(s, generator=generator, dtype=torch.float64) - 2).requires_grad_()
        for s in [(3, 5)] * (len(problem.read(source.spec).inputs) - len(shapes)) + shapes
    ]
    theirs = [x.detach().clone().requires_grad_() for x in ours]
    found = []
    for function, xs in ((layer, ours), (twin, theirs)):
        value = function(*xs)
        weights = torch.linspace(0.5, 2, value.numel(), dtype=value.dtype).reshape(value.shape)
        first = torch.autograd.grad(value, xs, weights, create_graph=True)
        total = sum((g**2).sum() for g in first)
        found.append(
            (value, first, torch.autograd.grad(total, xs, materialize_grads=True, allow_unused=True))
        )
    torch.testing.assert_close(*found)
    # Forward mode is the transpose of that.
    tangents = tuple(torch.cos(7 * x.detach()) for x in ours)
    value, pushed = torch.func.jvp(layer, tuple(x.detach() for x in ours), tangents)
    weights = torch.linspace(0.5, 2, value.numel(), dtype=value.dtype).reshape(value.shape)
    first = found[1][1]
    torch.testing.assert_close(
        (weights * pushed).sum(), sum((g * t).sum() for g, t in zip(first, tangents, strict=True))
    )


def test_inputs_broadcast_before_they_are_reduced() -> None:
    layer = fngen.compile("sum(round(x)*w, dim=-1)", name="layer", grads={"x": "w"}).layer
    x, w = (torch.rand(s, dtype=torch.float64, requires_grad=True) for s in ((4, 1), (3, 1, 5)))
    y = layer(x, w)
    assert y.shape == (3, 4)
    g = torch.rand_like(y)
    got = torch.autograd.grad(y, (x, w), g)
    torch.testing.assert_close(got[0], (g[..., None] * w).sum((0, 2))[:, None])
    torch.testing.assert_close(got[1], (g[..., None] * x.round()).sum(1, keepdim=True).expand_as(w))
    both = layer(x.float(), w)
    assert torch.autograd.grad(both.sum(), x)[0].dtype == torch.float64
    with pytest.raises(ValueError, match="one size"):
        fngen.compile("sum(round(x), dim=-1)*w", name="layer", grads={"x": "w"}).layer(x, w)


def test_modes_across_reductions() -> None:
    layer = fngen.compile("sum(round(x)*w, dim=-1)", name="layer", grads={"x": "w"}).layer
    x, w = (torch.randn(4, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(layer))(x.detach(), w.detach()), w.detach())
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(torch.autograd.grad(compiled(x, w).sum(), x)[0], w.detach())
    row = w[:1].detach()
    torch.testing.assert_close(torch.autograd.grad(compiled(x, row).sum(), x)[0], row.expand(4, 5))


def test_a_function_without_derivative_beside_a_declared_one() -> None:
    """The second derivative is that of the function's own node, also where nothing but inputs is kept."""
    for formula, grads in (("x*k0(y**2)", {"y": "x"}), ("x*k0(y**2)", {"y": "mean(x, dim=-1)"})):
        report = fngen.verify(fngen.generate(formula, name="layer", grads=grads, lean=True))
        assert report.ok, report


CUTS: dict[str, Callable[..., Tensor]] = {
    "x*stop_gradient(sigmoid(x)) + y": lambda x, y: x * torch.sigmoid(x).detach() + y,
    "stop_gradient(x)*y": lambda x, y: x.detach() * y,
    "x + stop_gradient(round(x) - x) + y": lambda x, y: x + (torch.round(x) - x).detach() + y,
    "u = x*y; u*stop_gradient(u)": lambda x, y: (x * y) * (x * y).detach(),
    "exp(stop_gradient(x))*y + x**2": lambda x, y: torch.exp(x.detach()) * y + x**2,
    "x/stop_gradient(norm(x, dim=-1))*y": lambda x, y: x / x.detach().norm(dim=-1, keepdim=True) * y,
    "sum(x*stop_gradient(y), dim=-1)": lambda x, y: (x * y.detach()).sum(-1),
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
]


@pytest.mark.parametrize(("formula", "grads", "message"), WRONG)
def test_wrong_gradients(formula: str, grads: dict[str, Any], message: str) -> None:
    with pytest.raises(FngenError) as caught:
        fngen.generate(formula, grads=grads)
    assert message in str(caught.value)


UNFIT = [
    ("sum(x*w, dim=-1)", "x", {"w": 1}, "this has dimension -1, which neither 'w' nor the result has"),
    (
        "sum(x*w, dim=(0, 1))*3",
        "2*sum(x, dim=0)",
        {"w": 1},
        "this has dimension 1, which neither 'w' nor the result has",
    ),
    (
        "sum(x*w)*3",
        "x",
        {"w": 1},
        "this has the dimensions of the inputs, which neither 'w' nor the result has",
    ),
    ("sum(x*w)*3", "x", {"w[-1]": 1}, "which neither 'w' nor the result has"),
    ("x*w", "sum(2*sum(x, dim=-1), dim=-1)", {"w": 1}, "no dimension -1 to reduce"),
    ("x*w", "sum(x, keepdim=True)", {"w": 1}, "keepdim=True needs dim="),
    ("x*w", "x*sum(w, dim=-1)", {"w": 1}, "no dimension -1 to reduce"),
]


@pytest.mark.parametrize(("formula", "declared", "params", "message"), UNFIT)
def test_dimensions_that_do_not_fit(
    formula: str, declared: str, params: dict[str, float], message: str
) -> None:
    with pytest.raises(FormulaError) as caught:
        fngen.generate(formula, grads={"w": declared}, params=params)
    assert message in caught.value.message
    assert caught.value.text == declared
    assert caught.value.hint


WRONG_ACROSS_REDUCTIONS = [
    ("grad_x = grad_y * w", "grad_x = grad_y * w * 2"),
    ("grad_y = grad_y.unsqueeze(-1)", "grad_y = grad_y.unsqueeze(-1) / 5"),
    ("torch.sum(x_t * w, dim=-1)", "torch.mean(x_t * w, dim=-1)"),
    ("grad_w = grad_y * torch.round(x)", "grad_w = grad_y * x"),
]


@pytest.mark.parametrize(("right", "wrong"), WRONG_ACROSS_REDUCTIONS)
def test_verification_finds_what_is_wrong(right: str, wrong: str, tmp_path: Path) -> None:
    text = fngen.generate("sum(round(x)*w, dim=-1)", name="f", grads={"x": "w"}).text
    assert right in text
    path = tmp_path / "f.py"
    path.write_text(text.replace(right, wrong))
    assert not fngen.verify(path).ok


def test_in_a_text() -> None:
    text = "grad x = 1/(1 + (a*x)**2)\nconst a = 2\nheaviside(x)"
    source = fngen.generate(text, name="spike")
    assert (
        source.text
        == fngen.generate("heaviside(x)", name="spike", consts={"a": 2}, grads={"x": "1/(1 + (a*x)**2)"}).text
    )
    assert '--const a=2 --grad "x=1/(1 + (a*x)**2)"' in source.text
