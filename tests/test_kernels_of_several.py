"""Kernels of several outputs: all values in one pass, and in another all gradients of what cotangents there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice, product
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

import fngen
from tests.kernels import BACKENDS, is_from_kernel, made
from tests.modes_table import close, like
from tests.plain import DEVICE
from tests.test_kernels import LAYOUTS, LOOSE
from tests.test_several import LAYERS
from tests.test_several import made as layer

pytestmark = [
    pytest.mark.usefixtures("kernel_cache"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter"),
]
Function = Callable[..., tuple[Tensor, ...]]
backends = pytest.mark.parametrize("backend", BACKENDS)
layers = pytest.mark.parametrize("name", LAYERS)


def drawn(function: Function, *shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Return an input for each of a formula, the shapes in turn."""
    sizes = islice(cycle(shapes), function.__code__.co_argcount)
    return [like(torch.empty(s, dtype=dtype, device=DEVICE), seed=i) for i, s in enumerate(sizes)]


def pulled(
    function: Function,
    inputs: Sequence[Tensor],
    cotangents: Sequence[Tensor | None],
    wanted: Sequence[bool] = (),
) -> tuple[tuple[Tensor, ...], list[Tensor | None]]:
    """Return the values, and what arrives at the wanted inputs, all by default, of some cotangents."""
    flags = wanted or [True] * len(inputs)
    xs = [x.detach().requires_grad_(w) for x, w in zip(inputs, flags, strict=True)]
    results = function(*xs)
    pairs = [(y, t) for y, t in zip(results, cotangents, strict=True) if t is not None and y.requires_grad]
    if not pairs:
        return results, [None] * len(xs)
    asked = [x for x in xs if x.requires_grad]
    slopes = torch.autograd.grad([y for y, _ in pairs], asked, [t for _, t in pairs], allow_unused=True)
    found = iter(slopes)
    return results, [next(found) if w else None for w in flags]


def agree(got: Sequence[Tensor | None], want: Sequence[Tensor | None], tolerance: float = 1e-12) -> None:
    """Compare; where a derivative is 0 all over, there may be no gradient."""
    for one, two in zip(got, want, strict=True):
        if one is None or two is None:
            assert one is None
            assert two is None or not two.any()
        else:
            assert one.shape == two.shape
            scale = two.abs().max().item() if two.numel() else 0
            close(one.double(), two.double(), rtol=tolerance, atol=tolerance * scale)


@contextmanager
def watched(file: ModuleType) -> Iterator[list[bool]]:
    """Note of each time that kernels are asked whether they did the work."""
    run, found = file._run, list[bool]()

    def noted(*args: Any) -> Any:
        output = run(*args)
        found.append(output is not None)
        return output

    file._run = noted
    try:
        yield found
    finally:
        file._run = run


@layers
@backends
def test_any_cotangents_and_any_gradients(backend: str, name: str) -> None:
    file, plain = layer(name, backend), LAYERS[name][2]
    inputs = drawn(plain, (130,))
    cotangents = [like(y, seed=i) for i, y in enumerate(plain(*inputs))]
    places = range(len(inputs))
    some = [(True,) * len(inputs), *(tuple(i == j for i in places) for j in places)]
    with watched(file) as worked:
        for given, wanted in product(product([True, False], repeat=len(cotangents)), some):
            arriving = [t if g else None for t, g in zip(cotangents, given, strict=True)]
            got, want = (pulled(f, inputs, arriving, wanted) for f in (getattr(file, name), plain))
            agree(got[0], want[0])
            agree(got[1], want[1])
    assert all(worked)


@pytest.mark.parametrize("dtype", LOOSE, ids=str)
@layers
@backends
def test_types(backend: str, name: str, dtype: torch.dtype) -> None:
    file, plain = layer(name, backend), LAYERS[name][2]
    inputs = drawn(plain, (1000,), dtype=dtype)
    cotangents = [like(y, seed=i) for i, y in enumerate(plain(*inputs))]
    with watched(file) as worked:
        values, slopes = pulled(getattr(file, name), inputs, cotangents)
    assert worked == [True, True]
    assert all(t is None or t.dtype == dtype for t in (*values, *slopes))
    want = pulled(plain, [x.double() for x in inputs], [t.double() for t in cotangents])
    agree(values, want[0], LOOSE[dtype])
    agree(slopes, want[1], 2 * LOOSE[dtype])


SHAPES = {
    "numbers": ((), ()),
    "one": ((1,), ()),
    "nothing": ((0,), (0,)),
    "nothing in rows": ((0, 3), (0, 3)),
    "a number for all": ((5000,), ()),
    "the last dimension": ((40, 70), (70,)),
    "channels": ((2, 3, 65), (3, 1)),
    "rows and columns": ((40, 1), (70,)),
    "a smaller first": ((5,), (3, 5)),
}


@pytest.mark.parametrize("case", SHAPES)
@layers
@backends
def test_shapes_that_broadcast(backend: str, name: str, case: str) -> None:
    """An output that is not made of all inputs may be smaller than another: then torch does the work."""
    file, plain = layer(name, backend), LAYERS[name][2]
    inputs = drawn(plain, *SHAPES[case])
    results = plain(*inputs)
    cotangents = [like(y, seed=i) for i, y in enumerate(results)]
    with watched(file) as worked:
        values, slopes = pulled(getattr(file, name), inputs, cotangents)
    alike = len({y.shape for y in results}) == 1
    assert worked[0] == (alike and (backend == "c" or bool(results[0].numel())))
    assert all(worked) == worked[0]
    want = pulled(plain, inputs, cotangents)
    agree(values, want[0])
    agree(slopes, want[1])


@pytest.mark.parametrize("other", LAYOUTS)
@pytest.mark.parametrize("one", LAYOUTS)
@backends
def test_layouts_in_memory(backend: str, one: str, other: str) -> None:
    file, plain = layer("pair", backend), LAYERS["pair"][2]
    base = like(torch.empty(4, 3, 6, 35, dtype=torch.float64, device=DEVICE))
    inputs = [LAYOUTS[one](base), LAYOUTS[other](base + 1)]
    u, v = plain(*inputs)
    for cotangents in ([like(u), None], [None, like(v)], [LAYOUTS[other](like(u)), LAYOUTS[one](like(v))]):
        with watched(file) as worked:
            values, slopes = pulled(file.pair, inputs, cotangents)
        assert all(worked)
        want = pulled(plain, inputs, cotangents)
        agree(values, want[0])
        agree(slopes, want[1])
        if "expanded" not in (one, other):
            assert [y.stride() for y in values] == [y.stride() for y in want[0]]


@backends
def test_what_is_missing_is_not_times_an_infinite_slope(backend: str) -> None:
    file = made("u = sqrt(x); v = x*y; w = u*y", backend, outputs=["u", "v", "w"])
    x, y = torch.zeros(3, device=DEVICE), torch.ones(3, device=DEVICE)
    with watched(file) as worked:
        _, (by_x, by_y) = pulled(file.f, [x, y], [None, y, None])
        assert by_x.tolist() == [1, 1, 1]
        assert by_y.tolist() == [0, 0, 0]
        _, (by_x, by_y) = pulled(file.f, [x, y], [y, y, None])
        assert by_x.isinf().all()
        assert by_y.tolist() == [0, 0, 0]
    assert all(worked)


@backends
def test_second_derivatives_of_some_outputs(backend: str) -> None:
    file, plain = layer("cell", backend), LAYERS["cell"][2]
    inputs = [x.requires_grad_() for x in drawn(plain, (40, 7), (7,), (40, 1), (), (40, 7))]
    results = plain(*inputs)
    for given in product([True, False], repeat=2):
        for asked in (inputs, inputs[:1], inputs[2:4]) if any(given) else ():
            found = []
            for function in (file.cell, plain):
                weights = [like(y, seed=i).requires_grad_() for i, y in enumerate(results)]
                pairs = [(y, t) for y, t, g in zip(function(*inputs), weights, given, strict=True) if g]
                ys, ts = ([p[k] for p in pairs] for k in (0, 1))
                with watched(file) as worked:
                    slopes = torch.autograd.grad(ys, asked, ts, create_graph=True, allow_unused=True)
                    total = sum((like(s, seed=i) * s).sum() for i, s in enumerate(slopes) if s is not None)
                    found.append(
                        torch.autograd.grad(
                            total, [*inputs, *weights], materialize_grads=True, allow_unused=True
                        )
                    )
                assert worked == [True, True] * (function is not plain)
            agree(*found)


@backends
def test_long_second_derivatives_are_left_to_torch(backend: str) -> None:
    """A compiler would take longer to read them than torch to work them out."""
    inputs = [f"x{i}" for i in range(8)]
    common = "s = " + " + ".join(f"tanh({x})" for x in inputs)
    results = "; ".join(f"u{i} = sigmoid(s + {x})*exp({x})" for i, x in enumerate(inputs))
    file = made(f"{common}; {results}", backend, inputs=inputs, outputs=[f"u{i}" for i in range(8)])
    assert not hasattr(file, "_SECONDS")
    xs = [torch.tensor([0.1 * i], dtype=torch.float64, device=DEVICE, requires_grad=True) for i in range(8)]
    assert torch.autograd.gradgradcheck(file.f, xs)


@backends
def test_gradients_of_parameters_are_summed(backend: str) -> None:
    """0.1 added up in float32 two million times would be off in the third digit."""
    file = made("u = w*x; v = b + x", backend, params={"w": 2.0, "b": 0.5}, inputs=["x"], outputs=["u", "v"])
    x = torch.full((1_000_003 if backend == "c" else 10_007,), 0.1, device=DEVICE)
    layer = file.F().to(DEVICE)
    with watched(file) as worked:
        u, v = layer(x)
        torch.autograd.backward([u, v], [torch.ones_like(u), torch.full_like(v, 0.1)])
    assert worked == [True, True]
    total = (len(x) * x[0].double()).float()
    close(layer.w.grad, total.reshape(1), rtol=1e-7 if backend == "c" else 1e-6)
    close(layer.b.grad, total.reshape(1), rtol=1e-7 if backend == "c" else 1e-6)


class _Nothing(torch.autograd.Function):
    """Takes tensors and gives no gradient of them."""

    @staticmethod
    def forward(ctx: Any, *xs: Tensor) -> Tensor:
        return sum(xs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, ...]:
        return None, None


@backends
def test_where_nothing_arrives(backend: str) -> None:
    file = layer("pair", backend)
    x, y = (torch.ones(3, device=DEVICE, requires_grad=True) for _ in range(2))
    _Nothing.apply(*file.pair(x, y)).sum().backward()
    assert x.grad is None
    assert y.grad is None


@backends
def test_names_of_a_language_are_names_of_outputs_too(backend: str) -> None:
    file = made(
        "double = 2*x; exp = double + y; tl = exp*x",
        backend,
        outputs=["double", "exp", "tl"],
        inputs=["x", "y"],
    )
    x, y = (torch.tensor([v], device=DEVICE, requires_grad=True) for v in (3.0, 5.0))
    result = file.f(torch.cat([x, x]), torch.cat([y, y]))
    assert all(map(is_from_kernel, result))
    assert [t[0].item() for t in result] == [6, 11, 33]


@backends
def test_what_has_no_kernel_says_why(backend: str) -> None:
    source = fngen.generate("m = mean(x, dim=-1); y = x - m", name="f", outputs=["m", "y"], backend=backend)
    assert source.missing.endswith(": kernels of several outputs are of formulas without reductions")
    assert f"# There are {source.missing}.\n" in source.text
    assert "_run(" not in source.text
