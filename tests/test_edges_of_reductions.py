"""Reductions at the edge of what tensors are: empty, infinite, of many dimensions, with odd options."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import fngen

pytestmark = pytest.mark.filterwarnings("ignore:.*degrees of freedom")
Function = Callable[[Tensor], Tensor]
INF = torch.inf


def over_several(operator: Callable[[Tensor, int], Tensor], dims: tuple[int, ...] | None) -> Function:
    """Return an operator of one dimension over several: those are moved to the end and made one."""

    def run(x: Tensor) -> Tensor:
        chosen = [d % x.dim() for d in (range(x.dim()) if dims is None or not x.dim() else dims)]
        order = [d for d in range(x.dim()) if d not in chosen] + chosen
        moved = x.permute(order)
        flat = operator(moved.flatten(x.dim() - len(chosen)) if chosen else x.reshape(1), -1)
        return flat.reshape(moved.shape).permute([order.index(d) for d in range(x.dim())])

    return run


def outcome(function: Function, x: Tensor) -> list[Tensor]:
    """Return the value and the gradients of a function, once differentiated and ready for more."""
    found = []
    for again in (False, True):
        leaf = x.clone().requires_grad_()
        value = function(leaf)
        weights = torch.linspace(0.5, 1.5, value.numel(), dtype=x.dtype).reshape(value.shape)
        found += [value.detach(), torch.autograd.grad(value, leaf, weights, create_graph=again)[0].detach()]
    return found


SOFTMAX = {"softmax": torch.softmax, "log_softmax": torch.log_softmax}
SHAPES = [(0,), (3, 0), (0, 3), (2, 3, 0), (2, 0, 3), (0, 0, 2), (2, 3, 4), (), (1, 1)]


@pytest.mark.parametrize("dims", [None, (-2, -1), (0, 1), (0, -1), (0,), (-1,)], ids=str)
@pytest.mark.parametrize("name", SOFTMAX)
def test_softmax_over_several_dimensions_also_of_nothing(name: str, dims: tuple[int, ...] | None) -> None:
    layer = fngen.compile(f"{name}(x{'' if dims is None else f', dim={dims}'})", name="layer").layer
    plain = over_several(SOFTMAX[name], dims)
    for shape in SHAPES:
        if len(shape) >= len(dims or ()):
            x = torch.rand(shape, dtype=torch.float64)
            for got, want in zip(outcome(layer, x), outcome(plain, x), strict=True):
                torch.testing.assert_close(got, want)


@pytest.mark.parametrize("dims", [None, (-2, -1), (0, -1), (-1,)], ids=str)
def test_logsumexp_of_nothing(dims: tuple[int, ...] | None) -> None:
    layer = fngen.compile(f"logsumexp(x{'' if dims is None else f', dim={dims}'})", name="layer").layer
    for shape in SHAPES[1:6]:
        x = torch.rand(shape, dtype=torch.float64)
        want = outcome(lambda x: torch.logsumexp(x, tuple(range(x.dim())) if dims is None else dims), x)
        for got, other in zip(outcome(layer, x), want, strict=True):
            torch.testing.assert_close(got, other)


ROWS = [
    [1.0, INF, 2.0],
    [INF, INF, 2.0],
    [-INF, -INF, -INF],
    [-INF, 1.0, 2.0],
    [INF, -INF, 1.0],
    [torch.nan, 1.0, 2.0],
]
BESIDE_INFINITY: dict[str, Function] = {
    "logsumexp(x, dim=-1)": lambda x: torch.logsumexp(x, -1),
    "logsumexp(x)": lambda x: torch.logsumexp(x, 0),
    "logsumexp(2*x, dim=-1)**2": lambda x: torch.logsumexp(2 * x, -1) ** 2,
    "softmax(x, dim=-1)": lambda x: torch.softmax(x, -1),
    "log_softmax(x, dim=-1)": lambda x: torch.log_softmax(x, -1),
    "x*logsumexp(x, dim=-1)": lambda x: x * torch.logsumexp(x, -1),
}


@pytest.mark.parametrize("formula", BESIDE_INFINITY)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_beside_an_infinite_element(formula: str, row: list[float]) -> None:
    """Where torch has a number the layer has the same."""
    layer, x = fngen.compile(formula, name="layer").layer, torch.tensor(row, dtype=torch.float64)
    for got, want in zip(outcome(layer, x), outcome(BESIDE_INFINITY[formula], x), strict=True):
        known = ~want.isnan()
        torch.testing.assert_close(got[known], want[known])


@pytest.mark.parametrize(
    "p", ["-3", "-1", "-0.5", "0.5", "1", "1.5", "2", "2 + 1e-20", "3", "100", "1e300", "inf", "-inf"]
)
@pytest.mark.parametrize("row", [[0.5, -1.0, 2.0], [0.0, 1.0, 2.0], [0.0, 0.0, 0.0], [3.0]], ids=str)
def test_norms_of_any_order(p: str, row: list[float]) -> None:
    layer, x = (
        fngen.compile(f"norm(x, p={p}, dim=-1)", name="layer").layer,
        torch.tensor(row, dtype=torch.float64),
    )
    order = 2.0 if "+" in p else float(p)
    want = outcome(lambda x: torch.linalg.vector_norm(x, order, -1), x)
    for got, other in zip(outcome(layer, x), want, strict=True):
        torch.testing.assert_close(got, other, equal_nan=True)


@pytest.mark.parametrize("correction", ["-1", "0", "0.5", "1e-20", "3", "5", "2**60", "1e308"])
@pytest.mark.parametrize("name", ["var", "std"])
def test_corrections(name: str, correction: str) -> None:
    """Also one of as many as there are elements, or more: then torch's is infinite."""
    layer = fngen.compile(f"{name}(x, dim=-1, correction={correction})", name="layer").layer
    number = 2**60 if "**" in correction else float(correction)
    for n in (3, 5, 8):
        x = torch.rand(2, n, dtype=torch.float64)
        want = outcome(lambda x: getattr(torch, name)(x, dim=-1, correction=number), x)
        for got, other in zip(outcome(layer, x), want, strict=True):
            torch.testing.assert_close(got, other, equal_nan=True)


@pytest.mark.parametrize(
    "formula",
    [
        "x*sum(x**2, dim=63)",
        "softmax(x, dim=-64)",
        "mean(x, dim=(0, 7, 30))*sum(x, dim=-1)",
        "var(x, dim=-1, correction=9)",
        "std(x, correction=30)",
    ],
)
def test_verified_where_samples_must_be_chosen(formula: str) -> None:
    report = fngen.verify(fngen.generate(formula, name="layer"))
    assert report.ok, report


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_where_differences_are_no_judge_of_the_formula_itself(seed: int) -> None:
    """They are far off near a pole of this order, at random cotangents; and whatever was drawn before."""
    torch.manual_seed(seed)
    drawn = torch.get_rng_state()
    formula = "e = 4*a*((s/r)**12 - (s/r)**6); E = sum(e, dim=-1); m = mean(e)"
    source = fngen.generate(formula, name="pairs", outputs=["E", "m"], params={"a": 1, "s": 0.9})
    report = fngen.verify(source)
    assert report.ok, report
    assert "3 partials" in report.line()
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.parametrize("dim", [1, -2, 5, 63])
def test_a_dimension_out_of_range_is_named(dim: int) -> None:
    layer = fngen.compile(f"sum(x, dim={dim})*x", name="layer").layer
    with pytest.raises(ValueError, match=f"dim={dim}: x has 1 dimensions"):
        layer(torch.ones(3, requires_grad=True))


@pytest.mark.parametrize("name", ["_others", "_as_tensors", "_per_channel", "_plus"])
def test_names_of_what_a_file_defines(name: str) -> None:
    several = fngen.generate(f"u = softmax(q*{name}, dim=-1); v = u*{name}", outputs=["u", "v"], name="layer")
    for source in (
        fngen.generate(f"prod({name}, dim=-1)*q", name="layer"),
        fngen.generate(f"prod(q, dim=-1)*{name}", params={f"{name}[C]": 1.5}, name="layer"),
        several,
    ):
        report = fngen.verify(source)
        assert report.ok, report


def test_what_has_a_root_may_be_negative_elsewhere() -> None:
    """``x`` is no ``sqrt(x)**2`` where a choice takes the other branch."""
    layer = fngen.compile("sum(where(x > 0, sqrt(x), x), dim=-1)*x", name="layer").layer
    x = torch.tensor([-1.0, -0.5, 2.0], dtype=torch.float64)
    safe = x.clamp(min=0.1)

    def plain(x: Tensor) -> Tensor:
        return torch.where(x > 0, torch.sqrt(torch.where(x > 0, x, safe)), x).sum(-1, keepdim=True) * x

    for got, want in zip(outcome(layer, x), outcome(plain, x), strict=True):
        torch.testing.assert_close(got, want)
    tangents = [torch.func.jvp(f, (x,), (torch.ones_like(x),))[1] for f in (layer, plain)]
    torch.testing.assert_close(*tangents)


@pytest.mark.parametrize("sign", ["*", "+"])
def test_the_kernel_for_a_softmax_broadcasts_nothing(sign: str) -> None:
    """The cotangents of a chain have the size of ``y``, and what is in it that of ``x``."""
    steps = [f"a{i + 1} = softmax(sin(a{i}), dim=-1)" for i in range(20)]
    layer = fngen.compile("; ".join(["a0 = 9*x", *steps, f"a20{sign}y"]), name="layer").layer

    def plain(x: Tensor, y: Tensor) -> Tensor:
        a = 9 * x
        for _ in steps:
            a = torch.softmax(torch.sin(a), -1)
        return a * y if sign == "*" else a + y

    x, y = torch.rand(3, 4, dtype=torch.float64), torch.rand(2, 3, 4, dtype=torch.float64)
    inputs, weights = [x.requires_grad_(), y.requires_grad_()], torch.rand(2, 3, 4, dtype=torch.float64)
    got, want = (torch.autograd.grad(f(*inputs), inputs, weights) for f in (layer, plain))
    torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(
    "formula", ["mean(x, dim=-1)", "sum(x + y, dim=(-2, -1))", "mean(x*y) + mean(y)", "sum(x - y, dim=0)"]
)
def test_gradients_of_many_cotangents_at_once(formula: str) -> None:
    layer = fngen.compile(formula, name="layer").layer
    shapes = [(3, 2), (3, 2)] if "y" in formula else [(3, 2)]
    if formula.startswith("sum(x + y"):
        shapes = [(2, 3, 2), (3, 2)]
    inputs = [torch.rand(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    flags = {"check_batched_grad": True, "check_forward_ad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(layer, inputs, **flags)
    assert torch.autograd.gradgradcheck(layer, inputs, check_batched_grad=True)


@pytest.mark.parametrize(
    "formula", ["norm(x, dim=-1)", "std(x, dim=-1)", "logsumexp(2*x, dim=-1)", "max(x, dim=0)"]
)
def test_the_result_may_be_changed_in_place(formula: str) -> None:
    layer = fngen.compile(formula, name="layer").layer
    x = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    (want,) = torch.autograd.grad(layer(x).sum(), x)
    y = layer(x)
    y += 1
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], want)


@pytest.mark.parametrize("formula", ["y + mean(x*0.0, dim=0)", "sum(x*0, dim=-1) + y", "y*mean(0*x)"])
def test_a_sum_of_nothing(formula: str) -> None:
    layer = fngen.compile(formula, name="layer").layer
    x, y = (torch.rand(3, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x, y: layer(x=x, y=y), (x, y), check_forward_ad=True)
