"""Second derivatives are as right as first ones, whichever way they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

import fngen
from fngen.accuracy.evaluation import place
from fngen.accuracy.exact import Exact
from fngen.language.parse import parse_expression

_ONE = [(x,) for x in (0.0, 1e-9, -1e-9, 0.3, -0.7, 1.0, 3.0, -20.0, 30.0, 300.0, -300.0, 690.0)]
_TWO = [(1e-160, 1e-160), (3.0, -4.0), (1e200, 1e190), (1e-9, 5.0), (20.0, 21.0)]
FORMULAS = {
    "1/(1 + exp(-x))": _ONE,
    "where(x > 0, x, exp(x) - 1)": [*_ONE[1:], (800.0,)],
    "log(1 + exp(x))": [*_ONE, (800.0,)],
    "(exp(x) - exp(-x))/(exp(x) + exp(-x))": _ONE,
    "x/(exp(x) - 1)": _ONE,
    "log(cosh(x))": [*_ONE, (800.0,)],
    "sin(x)/x": _ONE[:8],
    "log(x)/(x - 1)": [(0.2,), (1.0,), (1 + 1e-9,), (2.0,), (1e6,)],
    "sqrt(x**2 + y**2)": _TWO,
    "log(exp(x) + exp(y))": [_TWO[1], *_TWO[3:], (700.0, 710.0), (-800.0, -801.0)],
    "x**y": [(2.0, 3.0), (0.5, 1.0), (10.0, -2.5), (1e-5, 2.0)],
}
_ULPS = 64
"""Some of the points are next to roots; a wrong formula is off by powers of two that need more digits."""


def _reverse(function: Callable[..., Tensor], point: list[Tensor]) -> list[list[Tensor]]:
    xs = [x.clone().requires_grad_() for x in point]
    slopes = torch.autograd.grad(function(*xs), xs, create_graph=True)
    return [
        list(torch.autograd.grad(slope, xs, retain_graph=True, materialize_grads=True)) for slope in slopes
    ]


def _hessian(function: Callable[..., Tensor], point: list[Tensor]) -> list[list[Tensor]]:
    every = tuple(range(len(point)))
    return [list(row) for row in torch.func.hessian(function, argnums=every)(*point)]


def _forward_over_forward(function: Callable[..., Tensor], point: list[Tensor]) -> list[list[Tensor]]:
    every = tuple(range(len(point)))
    found = torch.func.jacfwd(torch.func.jacfwd(function, argnums=every), argnums=every)(*point)
    return [list(row) for row in found]


def _forward_over_reverse(function: Callable[..., Tensor], point: list[Tensor]) -> list[list[Tensor]]:
    rows: list[list[Tensor]] = [[] for _ in point]
    for moving in range(len(point)):
        with forward_ad.dual_level():
            xs = [x.clone().requires_grad_() for x in point]
            xs[moving] = forward_ad.make_dual(xs[moving], torch.ones_like(xs[moving]))
            slopes = torch.autograd.grad(function(*xs), xs, create_graph=True)
            for row, slope in zip(rows, slopes, strict=True):
                tangent = forward_ad.unpack_dual(slope).tangent
                row.append(torch.zeros_like(slope) if tangent is None else tangent.detach())
    return rows


@pytest.mark.parametrize("way", [_reverse, _hessian, _forward_over_forward, _forward_over_reverse])
@pytest.mark.parametrize("text", FORMULAS)
def test_they_are_exact(text: str, way: Callable[..., list[list[Tensor]]]) -> None:
    function = fngen.compile(text, name="layer", inputs=["x", "y"][: len(FORMULAS[text][0])]).layer
    points = FORMULAS[text]
    exact = Exact(parse_expression(text), ["x", "y"][: len(points[0])])
    for point in points:
        found = way(function, [torch.tensor(x, dtype=torch.float64) for x in point])
        expected = exact.at(point, 2)
        for i, row in enumerate(found):
            for j, second in enumerate(row):
                right = expected[place(len(point), min(i, j), max(i, j))]
                assert isinstance(right, tuple)
                ulp = max(math.ulp(right[0]), 1e-300)
                assert abs(second.item() - right[0]) <= _ULPS * ulp, (point, i, j, second.item(), right[0])


def test_a_declared_gradient_is_differentiated_as_it_stands() -> None:
    function = fngen.compile("log(1 + exp(x)) + y", name="layer", grads={"x": "x**2"}).layer
    x, y = (torch.tensor(2.0, dtype=torch.float64, requires_grad=True) for _ in range(2))
    (slope,) = torch.autograd.grad(function(x, y), x, create_graph=True)
    assert torch.autograd.grad(slope, x)[0].item() == 4.0


def test_polynomials_have_no_node_more() -> None:
    text = fngen.generate("x1**3 + x2**2*x1", name="layer").text
    assert "_derivative" not in text


def test_constants_and_parameters_are_arguments_of_the_node() -> None:
    text = "log(1 + exp(k*x - c))"
    module = fngen.compile(text, name="layer", params={"k": 1.5}, consts={"c": 0.5})
    x = torch.tensor([30.0, -2.0, 0.1], dtype=torch.float64, requires_grad=True)
    layer = module.Layer(c=2.0).double()
    (slope,) = torch.autograd.grad(layer(x).sum(), x, create_graph=True)
    u = 1.5 * x.detach() - 2.0
    torch.testing.assert_close(
        torch.autograd.grad(slope.sum(), x)[0],
        2.25 * torch.sigmoid(u) * torch.sigmoid(-u),
        rtol=1e-14,
        atol=0,
    )
    assert (
        "def _derivative_x(" in fngen.generate(text, name="layer", params={"k": 1.5}, consts={"c": 0.5}).text
    )


@pytest.mark.parametrize("far", [800.0, -800.0, 1e5, -1e150])
@pytest.mark.parametrize("text", ["x*(1 + tanh(x + x**3))/2", "x**2*exp(-x**2)"])
def test_far_out_they_are_nothing(text: str, far: float) -> None:
    """Where a power overflows beside what has vanished."""
    x = torch.tensor(far, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(fngen.compile(text, name="layer").layer(x), x, create_graph=True)
    assert torch.autograd.grad(slope, x)[0].item() == 0.0
