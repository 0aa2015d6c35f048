"""Gradients of parameters: of any shape and layout, accurate, without a product of full size; and they train."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import fngen

MANY = 2**20
"""Elements of which a product is made in slices."""


@cache
def made(formula: str, *params: str) -> ModuleType:
    return fngen.compile(formula, name="made", params=dict.fromkeys(params, 1.0), inputs=["x"])


def channels(w: Tensor, x: Tensor) -> Tensor:
    """Return what runs along dimension 1 as it broadcasts."""
    return w.reshape(1, -1, *[1] * (x.dim() - 2))


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


# What a gradient is, compared with that of the plain formula.

Case = tuple[str, Callable[..., Tensor]]
PLAIN: dict[str, Case] = {
    "product": ("w*x", lambda x, w: w * x),
    "a share in a product": ("x*sigmoid(w*x)", lambda x, w: x * torch.sigmoid(w * x)),
    "a factor of its own": ("x*w**2/2", lambda x, w: x * w**2 / 2),
    "a sign": ("-x**2/(1 + w**2)", lambda x, w: -(x**2) / (1 + w**2)),
    "no product": ("where(x > 0, x, w*x)", lambda x, w: torch.where(x > 0, x, w * x)),
    "a quotient": ("x/(1 + exp(-w*x))", lambda x, w: x / (1 + torch.exp(-w * x))),
    "a sum": ("x + sin(w*x)**2*(1 + w)", lambda x, w: x + torch.sin(w * x) ** 2 * (1 + w)),
    "beside what is small": (
        "sum(x*x, dim=-1, keepdim=True)*x*w**3",
        lambda x, w: (x * x).sum(-1, keepdim=True) * x * w**3,
    ),
    "bias": ("x + w", lambda x, w: x + w),
}
SHAPES = [
    ((300, 1000), ()),
    ((300, 1000), (1,)),
    ((300, 1000), (1000,)),
    ((1, 300, 1000), (1000,)),
    ((300, 1000), (300, 1)),
    ((300, 1000), (300, 1000)),
    ((3, 5, 20000), (5, 1)),
    ((3, 5, 20000), (3, 1, 1)),
    ((17, 17000), (17000,)),
    ((2, 2, 2, 2, 2, 10000), (2, 1, 1)),
    ((300001,), ()),
    ((0, 7), (7,)),
    ((), ()),
]
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    "strided": lambda x: torch.stack([x, x], -1)[..., 1],
    "expanded": lambda x: x[:1].expand(x.shape),
}


@pytest.mark.parametrize(("shape", "own"), SHAPES)
@pytest.mark.parametrize("case", PLAIN)
def test_gradients_of_any_shape(case: str, shape: tuple[int, ...], own: tuple[int, ...]) -> None:
    formula, plain = PLAIN[case]
    layer = made(formula, "w").made
    for layout in LAYOUTS if case == "product" and shape else ["contiguous"]:
        laid = LAYOUTS[layout]
        x, w = laid(drawn(*shape)).requires_grad_(), drawn(*own, seed=1).requires_grad_()
        cotangent = laid(drawn(*shape, seed=2))
        got, want = layer(x, w), plain(x, w)
        found = torch.autograd.grad(got, [x, w], cotangent, retain_graph=True)
        for a, b in zip(found, torch.autograd.grad(want, [x, w], cotangent), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-9, msg=f"{layout}: {a} {b}")
        again = torch.autograd.grad(got, [x, w], cotangent)
        assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True)), layout


@pytest.mark.parametrize("shape", [(3000, 5, 40), (16, 8, 60, 60), (9, 40000)])
@pytest.mark.parametrize("case", PLAIN)
def test_gradients_along_channels(case: str, shape: tuple[int, ...]) -> None:
    formula, plain = PLAIN[case]
    x, w = drawn(*shape).requires_grad_(), drawn(shape[1], seed=1).requires_grad_()
    if len(shape) == 4:
        x = x.detach().to(memory_format=torch.channels_last).requires_grad_()
    cotangent = torch.ones((), dtype=torch.float64).expand(shape)
    got = torch.autograd.grad(made(formula, "w[C]").made(x, w), [x, w], cotangent)
    want = torch.autograd.grad(plain(x, channels(w, x)), [x, w], cotangent)
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("case", PLAIN)
def test_large_gradients_that_are_batched_or_differentiated(case: str) -> None:
    formula, plain = PLAIN[case]
    layer = made(formula, "w").made
    x, w = drawn(300, 1000).requires_grad_(), drawn(1000, seed=1).requires_grad_()
    several = drawn(3, 300, 1000, seed=2)
    got, want = (torch.autograd.grad(f(x, w), [x, w], several, is_grads_batched=True) for f in (layer, plain))
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-9)

    def second(f: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        slopes = torch.autograd.grad(f(x, w), [x, w], several[0], create_graph=True)
        return torch.autograd.grad(sum((s**2).sum() for s in slopes), [x, w], materialize_grads=True)

    if case not in ("no product", "bias"):
        torch.testing.assert_close(second(layer), second(plain), rtol=1e-9, atol=1e-7)


def test_a_buffer_that_a_sum_uses_again_is_not_differentiated() -> None:
    layer = fngen.compile("k*x*(w/1.75)", name="made", params={"w": 1.0}, consts={"k": 0.5}).made
    x, w = drawn(3, 4).requires_grad_(), drawn(1, seed=1).requires_grad_()
    grads = torch.autograd.grad(layer(x, w).square().sum(), [x, w], create_graph=True)
    got = torch.autograd.grad(sum(g.square().sum() for g in grads), [x, w])
    grads = torch.autograd.grad((0.5 * x * w / 1.75).square().sum(), [x, w], create_graph=True)
    torch.testing.assert_close(got, torch.autograd.grad(sum(g.square().sum() for g in grads), [x, w]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_summed_in_single_precision(dtype: torch.dtype) -> None:
    x, w = torch.rand(MANY, dtype=dtype), torch.ones((), dtype=dtype, requires_grad=True)
    cotangent = torch.full_like(x, 2.0**-8)
    (got,) = torch.autograd.grad(made("w*x", "w").made(x, w), w, cotangent)
    exact = (x.double() * 2.0**-8).sum()
    assert got.dtype == dtype
    assert abs(got.double() / exact - 1) < torch.finfo(dtype).eps


def test_several_outputs_add_up_what_is_summed() -> None:
    layer = made("u = a*x + b; v = u*c; w = sin(u)*c + a", "a", "b[C]", "c[-1]").made
    x = drawn(4000, 6, 50).requires_grad_()
    params = [drawn(*s, seed=1).requires_grad_() for s in ((), (6,), (50,))]

    def plain(x: Tensor, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        u = a * x + channels(b, x)
        return u * c, torch.sin(u) * c + a

    cotangents = [drawn(*x.shape, seed=2), drawn(*x.shape, seed=3)]
    for chosen in ([0, 1], [0], [1]):
        results = [[f(x, *params)[i] for i in chosen] for f in (layer, plain)]
        got, want = (
            torch.autograd.grad(r, [x, *params], [cotangents[i] for i in chosen], allow_unused=True)
            for r in results
        )
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-8)


# How well it is summed, and what that takes.

SUMS = {"w": (10_000_000,), "w[C]": (12_500, 4, 100), "w[-1]": (500_000, 10)}


def terms(kind: str, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return factors whose products are positive, alike, of many sizes, or cancel."""
    torch.manual_seed(0)
    if kind == "alike":
        return torch.full(shape, 0.1), torch.full(shape, 0.7)
    if kind == "of many sizes":
        return torch.randn(shape).mul_(3).exp_(), torch.randn(shape).exp_()
    return (torch.rand(shape), torch.rand(shape)) if kind == "positive" else (
        torch.randn(shape), torch.randn(shape)
    )  # fmt: skip


def over_the_rest(x: Tensor, param: str) -> Tensor:
    return x.sum([d for d in range(x.dim()) if d != {"w": None, "w[C]": 1, "w[-1]": x.dim() - 1}[param]])


@pytest.mark.parametrize("kind", ["positive", "alike", "of many sizes", "cancelling"])
@pytest.mark.parametrize("param", SUMS)
@pytest.mark.parametrize("formula", ["w*x", "x + w", "where(x >= 0, w*x, x)"])
def test_sums_are_within_a_few_units_of_the_last_place(formula: str, param: str, kind: str) -> None:
    shape = SUMS[param]
    cotangent, x = terms(kind, shape)
    w = torch.ones({"w": (), "w[C]": shape[1:2], "w[-1]": shape[-1:]}[param], requires_grad=True)
    (got,) = torch.autograd.grad(made(formula, param).made(x, w), w, cotangent)
    factor = {"w*x": x, "x + w": torch.ones(()), "where(x >= 0, w*x, x)": x.clamp(min=0)}[formula]
    products = cotangent.double() * factor.double()
    exact, scale = over_the_rest(products, param), over_the_rest(products.abs(), param)
    unit = torch.exp2(torch.floor(torch.log2(scale))) * torch.finfo(torch.float32).eps
    # Half a unit is the rounding of the result; of what cancels, a unit is that of what is summed.
    worst = ((got.double() - exact).abs() / unit).max().item()
    most = {"alike": 10 if formula == "x + w" else 4, "cancelling": 0.2}.get(kind, 4)
    assert worst <= most


class Allocations(TorchDispatchMode):
    """Counts the new tensors of some size or more."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.found = size, list[str]()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        known = {t.untyped_storage().data_ptr() for t in args if isinstance(t, Tensor)}
        storages = [t.untyped_storage() for t in (result,) if isinstance(t, Tensor)]
        new = [s for s in storages if s.data_ptr() not in known and s.nbytes() >= self.size]
        self.found += [str(function) for _ in new]
        return result


def full_size(function: Callable[..., Tensor], x: Tensor, w: Tensor) -> list[str]:
    """Return what makes a tensor of at least half the input's size in the backward, for the parameter alone."""
    value = function(x, w)
    cotangent = torch.rand_like(value)
    with Allocations(x.untyped_storage().nbytes() // 2) as allocations:
        torch.autograd.grad(value, w, cotangent)
    return allocations.found


SLICED = [
    ("where(x > 0.5, x, w*x)", 0), ("w*x + x**2/w", 0), ("x/(1 + (w*x)**2)", 0), ("(w*x + x**2)/(1 + x**2)", 0)
]  # fmt: skip


@pytest.mark.parametrize(
    ("param", "shape"), [("w", (MANY,)), ("w[C]", (512, 8, 256)), ("w[-1]", (1024, 1024))]
)
@pytest.mark.parametrize(
    ("formula", "temporaries"),
    [("w*x", 0), ("w*x - 3*x", 0), ("-w*x**2/2", 0), ("x*sigmoid(w*x)", 1), *SLICED],
)
def test_there_is_no_product_of_full_size(
    formula: str, temporaries: int, param: str, shape: tuple[int, ...]
) -> None:
    x = torch.rand(shape)
    w = torch.rand({"w": (), "w[C]": shape[1:2], "w[-1]": shape[-1:]}[param], requires_grad=True)
    found = full_size(made(formula, param).made, x, w)
    assert len(found) == temporaries, found


@pytest.mark.parametrize("size", [100, MANY])
def test_the_branch_that_is_not_taken_says_nothing(size: int) -> None:
    x, w = drawn(size), torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    cotangent = drawn(size, seed=1)
    (want,) = torch.autograd.grad(torch.where(x > 0, x, w * x), w, torch.where(x > 0, 0, cotangent))
    for bad in (torch.inf, torch.nan):
        last = torch.where(x > 0, bad, cotangent)
        for first in (x, torch.where(x > 0, torch.inf, x)):
            (got,) = torch.autograd.grad(made("where(x > 0, x, w*x)", "w").made(first, w), w, last)
            torch.testing.assert_close(got, want)


def test_a_product_of_full_size_is_found() -> None:
    x, w = torch.rand(1024, 1024), torch.rand(1024, requires_grad=True)
    assert full_size(torch.mul, x, w) == ["aten.mul.Tensor"]


# They train.

FITS: dict[str, tuple[str, dict[str, float], dict[str, list[float]]]] = {
    "one for all": ("x*sigmoid(beta*x)", {"beta": 1.0}, {"beta": [1.7]}),
    "of a channel": ("where(x > 0, x, w*x)", {"w[C]": 0.25}, {"w": [-0.5, 0.1, 0.8]}),
    "of the last dimension": (
        "x/sqrt(mean(x**2, dim=-1) + 1e-6)*w", {"w[-1]": 1.0}, {"w": [0.5, -1.5, 2.0]}
    ),
    "several": (
        "a*tanh(b*x) + c", {"a": 1.0, "b[C]": 1.0, "c[-1]": 0.0},
        {"a": [1.5], "b": [0.5, 0.9, 1.4], "c": [0.3, -0.2, 0.1]},
    ),
    "of several outputs": (
        "u = a*x; v = sin(u) + b", {"a[C]": 1.0, "b": 0.0}, {"a": [0.7, 1.2, 0.4], "b": [0.25]}
    ),
}  # fmt: skip


@pytest.mark.parametrize("title", FITS)
def test_parameters_are_fitted_back(title: str) -> None:
    formula, params, truth = FITS[title]
    options = {"outputs": ["u", "v"]} if title == "of several outputs" else {}
    module = fngen.compile(formula, name="made", inputs=["x"], params=params, **options)
    sizes = [3] * len({key[-2:] for key in params if "[" in key})
    layer, judge = (module.Made(*sizes, dtype=torch.float64) for _ in range(2))
    with torch.no_grad():
        for name, numbers in truth.items():
            getattr(judge, name).copy_(torch.tensor(numbers))
    x = drawn(400, 3)
    wanted = judge(x)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        pairs = zip(*((y if isinstance(y, tuple) else (y,)) for y in (layer(x), wanted)), strict=True)
        error = sum((a - b.detach()).square().sum() for a, b in pairs)
        error.backward()
        return error

    optimizer.step(loss)
    torch.testing.assert_close(
        dict(layer.named_parameters()), dict(judge.named_parameters()), rtol=1e-4, atol=1e-4
    )
