"""Layers of several outputs: each as the plain formula's, in any subset, in the modes of torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from inspect import signature
from itertools import cycle, islice, product
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.utils.checkpoint import checkpoint

import fngen
from fngen.errors import FngenError
from tests.kernels import BACKENDS, ready

# torch's own: Dynamo makes a Function to look at it.
pytestmark = [
    pytest.mark.usefixtures("kernel_cache"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter"),
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]

Plain = Callable[..., tuple[Tensor, ...]]

LAYERS: dict[str, tuple[str, list[str] | None, Plain]] = {
    "pair": ("u = x*y; v = sin(u) + x", ["u", "v"], lambda x, y: (x * y, torch.sin(x * y) + x)),
    "polar": (
        "r = hypot(x, y); phi = atan2(y, x)", None, lambda x, y: (torch.hypot(x, y), torch.atan2(y, x))
    ),
    "unlike": (
        "a = exp(-x)*y; b = x**2; c = a + b*y", ["c", "b"],
        lambda x, y: (torch.exp(-x) * y + x**2 * y, x**2),
    ),
    "copies": ("u = x; v = x; w = x*y", None, lambda x, y: (x.clone(), x.clone(), x * y)),
    "cell": (
        "c = f*c0 + i*g; h = o*tanh(c)", ["c", "h"],
        lambda f, c0, i, g, o: (f * c0 + i * g, o * torch.tanh(f * c0 + i * g)),
    ),
    "steps": ("u = floor(x)*y; v = round(x)", None, lambda x, y: (torch.floor(x) * y, torch.round(x))),
}  # fmt: skip

layers = pytest.mark.parametrize("name", LAYERS)
backends = pytest.mark.parametrize("backend", ["torch", *BACKENDS])


@cache
def made(name: str, backend: str = "torch") -> ModuleType:
    formula, outputs, _ = LAYERS[name]
    return ready(fngen.compile(formula, name=name, outputs=outputs, backend=backend))


def pair(name: str, backend: str) -> tuple[Plain, Plain]:
    return getattr(made(name, backend), name), LAYERS[name][2]


def leaves(name: str, *shapes: tuple[int, ...]) -> list[Tensor]:
    """Return an input for each of a layer, the shapes in turn."""
    generator = torch.Generator().manual_seed(0)
    count = len(signature(LAYERS[name][2]).parameters)
    drawn = [
        torch.rand(s, generator=generator, dtype=torch.float64) * 3 + 0.2
        for s in islice(cycle(shapes or ((4,),)), count)
    ]
    return [x.requires_grad_() for x in drawn]


def gradients(outputs: Sequence[Tensor], inputs: Sequence[Tensor], create_graph: bool = False) -> Any:
    wanted = [y for y in outputs if y.requires_grad]
    weights = [torch.linspace(0.5, 2, y.numel(), dtype=y.dtype).reshape(y.shape) for y in wanted]
    return torch.autograd.grad(
        wanted, inputs, weights, create_graph=create_graph, allow_unused=True, materialize_grads=True
    )


@layers
@backends
def test_verified(backend: str, name: str) -> None:
    formula, outputs, _ = LAYERS[name]
    report = fngen.verify(fngen.generate(formula, name=name, outputs=outputs, backend=backend))
    assert report.ok, report


@layers
@backends
def test_any_subset_of_outputs(backend: str, name: str) -> None:
    ours, plain = pair(name, backend)
    n = len(plain(*leaves(name)))
    for wanted in product([False, True], repeat=n):
        one, two = leaves(name), leaves(name)
        got, want = ours(*one), plain(*two)
        kept = [[y for y, w in zip(ys, wanted, strict=True) if w] for ys in (got, want)]
        torch.testing.assert_close(*kept)
        if not any(y.requires_grad for y in kept[1]):
            continue
        torch.testing.assert_close(gradients(kept[0], one), gradients(kept[1], two))


@layers
@pytest.mark.parametrize(
    "shapes", [((3, 1), (4,)), ((4,), (3, 4)), ((), (2,)), ((2, 0), (0,)), ((), ()), ((1,), ())], ids=str
)
@backends
def test_broadcasting(backend: str, name: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    ours, plain = pair(name, backend)
    one, two = leaves(name, *shapes), leaves(name, *shapes)
    got, want = ours(*one), plain(*two)
    torch.testing.assert_close(tuple(got), want)
    torch.testing.assert_close(gradients(got, one), gradients(want, two))


@layers
@backends
def test_second_derivatives(backend: str, name: str) -> None:
    results = []
    for function in pair(name, backend):
        xs = leaves(name)
        first = gradients(function(*xs), xs, create_graph=True)
        results.append((first, gradients([g.square() for g in first], xs)))
    torch.testing.assert_close(*results)


@layers
@backends
def test_transforms(backend: str, name: str) -> None:
    xs = tuple(x.detach() for x in leaves(name))
    tangents = tuple(torch.linspace(1, 2, 4, dtype=torch.float64) * (-1) ** k for k in range(len(xs)))

    def total(function: Plain, *points: Tensor) -> Tensor:
        return sum(y.sum() for y in function(*points))

    results, every = [], tuple(range(len(xs)))
    for function in pair(name, backend):
        output, pull = vjp(lambda *p, f=function: tuple(f(*p)), *xs)
        results.append(
            [
                jvp(lambda *p, f=function: tuple(f(*p)), xs, tangents),
                pull(tuple(torch.ones_like(y) for y in output)),
                vmap(lambda *p, f=function: tuple(f(*p)))(*xs),
                vmap(lambda *p, f=function: tuple(f(*p)), in_dims=(0, *[None] * (len(xs) - 1)))(
                    xs[0], *(x[0] for x in xs[1:])
                ),
                vmap(grad(lambda *p, f=function: total(f, *p)))(*xs),
                jacrev(lambda *p, f=function: tuple(f(*p)), argnums=every)(*xs),
                jacfwd(lambda *p, f=function: tuple(f(*p)), argnums=every)(*xs),
                hessian(lambda *p, f=function: total(f, *p), argnums=every)(*xs),
            ]
        )
    torch.testing.assert_close(*results)


@layers
@backends
def test_compiled_and_exported(backend: str, name: str) -> None:
    xs = leaves(name)
    ours, _ = pair(name, backend)
    got = torch.compile(ours, fullgraph=True, backend="aot_eager")(*xs)
    want = ours(*xs)
    torch.testing.assert_close(tuple(got), tuple(want))
    torch.testing.assert_close(gradients(got, xs), gradients(want, xs))
    module = getattr(made(name, backend), name.title())()
    points = tuple(x.detach() for x in xs)
    torch.testing.assert_close(tuple(torch.export.export(module, points).module()(*points)), tuple(want))


@layers
@backends
def test_checkpoint(backend: str, name: str) -> None:
    ours, plain = pair(name, backend)
    one, two = leaves(name), leaves(name)
    got = checkpoint(ours, *one, use_reentrant=False)
    torch.testing.assert_close(gradients(got, one), gradients(plain(*two), two))


def test_numbers_types_and_no_grad() -> None:
    pair_ = made("pair").pair
    x = torch.tensor([0.5, 1.5])
    torch.testing.assert_close(pair_(x, 2.0), pair_(x, torch.tensor(2.0)))
    assert pair_(x.half(), 2.0).v.dtype == torch.half
    with torch.no_grad():
        assert not pair_(x.requires_grad_(), x).u.requires_grad
    with pytest.raises(TypeError, match="complex"):
        pair_(x.to(torch.complex64), 2.0)


def test_a_missing_gradient_costs_nothing() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Count(TorchDispatchMode):
        ops: list[str] = []

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.ops.append(str(func))
            return func(*args, **(kwargs or {}))

    xs = leaves("pair")
    u, _ = made("pair").pair(*xs)
    with Count() as count:
        torch.autograd.grad(u, xs, torch.ones_like(u))
    assert not any("zeros" in op or "cos" in op for op in count.ops), count.ops


def test_named_tuple() -> None:
    module = made("unlike")
    out = module.Unlike()(*leaves("unlike"))
    assert isinstance(out, module.UnlikeOutput)
    assert out._fields == ("c", "b")
    assert module.__all__ == ["Unlike", "UnlikeFunction", "UnlikeOutput", "unlike"]


@backends
def test_parameters_and_constants(backend: str) -> None:
    module = ready(fngen.compile(
        "u = w*x/(eps + abs(x)); v = b*u**2", name="both", outputs=["u", "v"], backend=backend,
        params={"w[C]": 1.0, "b": 2.0}, consts={"eps": 0.5},
    ))  # fmt: skip
    layer, x = module.Both(3, eps=0.25), torch.randn(5, 3)
    u = x / (0.25 + abs(x))
    torch.testing.assert_close(tuple(layer(x)), (u, 2 * u**2))
    layer(x).v.sum().backward()
    torch.testing.assert_close(layer.w.grad, (4 * u**2).sum(0))
    torch.testing.assert_close(layer.b.grad, (u**2).sum().reshape(1))


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("u = x; v = y", {"outputs": ["u", "w"]}, "the output 'w' is not assigned"),
    ("u = x; v = y", {"outputs": ["u"]}, "'v' is neither used nor an output"),
    ("u = x; v = y", {"outputs": ["u", "u"]}, "the output 'u' is listed twice"),
    ("u = x; v = 2", {}, "'v' depends on no input"),
    ("u = x; x + y", {}, "there are 2 results (u, an expression)"),
    ("_u = x; v = y", {}, "cannot be the name of a field"),
    ("u = x; v = y", {"complex": True}, "a complex layer has one output"),
    ("u = x; v = y", {"grads": {"x": "1"}}, "a layer with a declared gradient has one output"),
]


@pytest.mark.parametrize(("formula", "options", "message"), WRONG)
def test_wrong_outputs(formula: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FngenError) as caught:
        fngen.generate(formula, **options)
    assert message in str(caught.value)
