"""Kernels: the same numbers as the torch way, wherever an element lies and whoever works on it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from types import ModuleType

import pytest
import torch
from torch import Tensor

import fngen
from fngen.timing.clock import saved_bytes
from tests.conftest import SCALE
from tests.kernels import BACKENDS, POINTWISE, is_from_kernel, layer, made, module, source, without_kernels
from tests.modes_derivatives import DERIVATIVES
from tests.modes_dispatch import DISPATCH
from tests.modes_engine import ENGINE
from tests.modes_memory import MEMORY
from tests.modes_runtime import RUNTIME
from tests.modes_shapes import SHAPES
from tests.modes_table import JUDGES, Table, Test, close, gradients, leaves, like, of_file
from tests.modes_types import TYPED
from tests.plain import DEVICE, PLAIN, Plain

pytestmark = [
    pytest.mark.usefixtures("kernel_cache"),
    pytest.mark.filterwarnings("ignore:Converting a tensor to a Python boolean:torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter"),
    pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning"),
]
TYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
LOOSE = {torch.float64: 1e-13, torch.float32: 4e-6, torch.bfloat16: 2**-7, torch.float16: 2**-9}
SOME = ("square", "snake", "greeks")
"""The layers that go through all modes by default."""
MODES = DERIVATIVES | ENGINE | RUNTIME | DISPATCH | SHAPES | TYPED
_TABLE, _WITHOUT_MEMORY = Table(MODES | MEMORY), Table(MODES)
"""What torch keeps too much of is expected of some layers; their kernels keep less."""


def of(names: tuple[str, ...]) -> dict[str, Plain]:
    return {name: JUDGES[name] for name in names}


@pytest.mark.parametrize(("test", "name", "plain"), [*_TABLE.cells(of(SOME))])
@pytest.mark.parametrize("backend", BACKENDS)
def test_mode(backend: str, test: Test, name: str, plain: Plain) -> None:
    if backend == "triton" and getattr(test, "__name__", "") == "threads" and not torch.cuda.is_available():
        pytest.skip("Triton's interpreter is for one thread")
    test(layer(name, backend), plain)


REST = tuple(name for name in POINTWISE if name not in SOME)
SHARE = max(1, 7 // SCALE)
"""One cell of so many is tried of the other layers: no divisor of the modes, so every layer is in several."""


@pytest.mark.slow
@pytest.mark.parametrize(("test", "name", "plain"), [*_WITHOUT_MEMORY.cells(of(REST))][::SHARE])
def test_mode_of_the_rest(test: Test, name: str, plain: Plain) -> None:
    test(layer(name), plain)


def both(file: ModuleType, inputs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Return value and gradients by kernels, and by torch."""
    found: list[list[Tensor]] = []
    function = of_file(file, file.__all__[-1]).function
    result = function(*inputs)
    assert is_from_kernel(result)
    found.append([result, *gradients(result, inputs)])
    with without_kernels(file):
        result = function(*inputs)
        assert not is_from_kernel(result)
        found.append([result, *gradients(result, inputs)])
    return found[0], found[1]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_numbers_are_those_of_torch(backend: str, name: str, dtype: torch.dtype) -> None:
    plain, tolerance = PLAIN[name], LOOSE[dtype]
    inputs = leaves(plain, 1000, dtype=dtype)
    kernel, by_torch = both(module(name, backend), inputs)
    want = plain.function(*(x.double() for x in inputs))
    wanted = [want, *torch.autograd.grad(want, inputs, like(kernel[0]).double())]
    for got, torch_says, says in zip(kernel, by_torch, wanted, strict=True):
        # Where terms cancel, an error is one of the largest of them.
        scale = says.detach().abs().max().item()
        close(got, torch_says, rtol=tolerance, atol=tolerance * scale)
        close(got.double(), says.double(), rtol=tolerance, atol=tolerance * scale)


SHAPES_OF_TWO = (
    ((), ()),
    ((1,), ()),
    ((), (5,)),
    ((0,), (0,)),
    ((0, 3), (3,)),
    ((5,), (1, 1)),
    ((40, 70), (70,)),
    ((40, 70), (40, 1)),
    ((40, 1), (70,)),
    ((2, 3, 65), (3, 1)),
    ((2, 3, 5), (3, 1)),
    ((2, 1, 3, 40), (4, 1, 40)),
    ((3, 1, 2, 1, 33), (4, 1, 5, 1)),
    ((20_000,), ()),
    ((300, 100), (100,)),
)


@pytest.mark.parametrize("shapes", SHAPES_OF_TWO, ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
def test_shapes_that_broadcast(backend: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    inputs = [
        like(torch.empty(s, dtype=torch.float64, device=DEVICE), seed=i).requires_grad_()
        for i, s in enumerate(shapes)
    ]
    if 0 in shapes[0] and backend == "triton":
        pytest.skip("of nothing, torch makes nothing")
    for kernel, by_torch in zip(*both(module("snake", backend), inputs), strict=True):
        assert kernel.shape == by_torch.shape
        close(kernel, by_torch, rtol=1e-12)


LAYOUTS = {
    "contiguous": lambda x: x,
    "channels last": lambda x: x.to(memory_format=torch.channels_last),
    "transposed": lambda x: x.transpose(1, 3).contiguous().transpose(1, 3),
    "gaps": lambda x: x.repeat_interleave(2, -1)[..., ::2],
    "a part": lambda x: torch.nn.functional.pad(x, (1, 2, 3, 0, 0, 1))[..., :-1, 3:, 1:-2],
    "expanded": lambda x: x[:, :1, :, :1].expand(x.shape),
    "a tail": lambda x: torch.cat([x.new_zeros(1), x.flatten()])[1:].view(x.shape),
}


@pytest.mark.parametrize("other", LAYOUTS)
@pytest.mark.parametrize("one", LAYOUTS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_layouts_in_memory(backend: str, one: str, other: str) -> None:
    base = like(torch.empty(4, 3, 6, 35, dtype=torch.float64, device=DEVICE))
    inputs = [LAYOUTS[one](base).requires_grad_(), LAYOUTS[other](base + 1).requires_grad_()]
    for kernel, by_torch in zip(*both(module("square", backend), inputs), strict=True):
        close(kernel, by_torch, rtol=1e-12)
        if "expanded" not in (one, other):
            assert kernel.stride() == by_torch.stride()


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("name", ["mish", "black_scholes", "planck"])
def test_a_result_does_not_depend_on_its_place(name: str, dtype: torch.dtype) -> None:
    inputs = leaves(PLAIN[name], 200, dtype=dtype)
    function = layer(name).function
    with torch.no_grad():
        whole = function(*inputs)
        parts = [function(*(x[i : i + 1] for x in inputs)) for i in range(200)]
        assert torch.equal(whole, torch.cat(parts))
        for start in range(70):
            assert torch.equal(whole[start:], function(*(x[start:].clone() for x in inputs)))


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_a_gradient_does_not_depend_on_rare_ones_beside_it(dtype: torch.dtype) -> None:
    """Far below zero a gate takes another exponential: a block is worked out with it or without."""
    function = layer("swiglu").function
    a = torch.cat([torch.linspace(-3, 3, 300), torch.linspace(-120, -30, 50), torch.linspace(-3, 3, 300)]).to(
        dtype
    )
    b = like(a, seed=1)

    def slopes(part: slice) -> tuple[Tensor, ...]:
        leaves = [x[part].clone().requires_grad_() for x in (a, b)]
        return torch.autograd.grad(function(*leaves), leaves, like(a)[part].clone())

    whole = slopes(slice(None))
    for start in range(0, 650, 7):
        part = slice(start, start + 130)
        for one, all_of_them in zip(slopes(part), whole, strict=True):
            assert torch.equal(one, all_of_them[part])


@pytest.mark.parametrize("name", ["mish", "snake", "black_scholes"])
def test_a_result_does_not_depend_on_threads(name: str) -> None:
    inputs = leaves(PLAIN[name], 100_003, dtype=torch.float32)
    inputs[-1] = inputs[-1].detach()[:1].clone().requires_grad_() if len(inputs) > 1 else inputs[-1]
    found, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            result = layer(name).function(*inputs)
            found.append([result, *gradients(result, inputs)])
    finally:
        torch.set_num_threads(threads)
    for one, two, three in zip(*found, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)


def test_a_sum_over_all_elements_keeps_its_digits() -> None:
    """One factor for a million: 0.1 added up in float32 would be off in the third digit."""
    x = torch.full((1_000_003,), 0.1)
    a = torch.tensor(3.0, requires_grad=True)
    file = fngen.compile("a*x", name="scaled", inputs=["x", "a"], backend="c")
    (slope,) = torch.autograd.grad(file.scaled(x, a), a, torch.ones_like(x))
    assert slope.item() == (1_000_003 * x[0].double()).float().item()


@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("backend", BACKENDS)
def test_it_keeps_no_more_than_the_torch_way(backend: str, name: str) -> None:
    inputs = leaves(PLAIN[name], 10_000)
    file = module(name, backend)
    function = layer(name, backend).function
    kept = saved_bytes(function, inputs)
    with without_kernels(file):
        assert kept <= saved_bytes(function, inputs)


NOT_PLAIN = {
    "integers": lambda: torch.arange(5),
    "meta": lambda: torch.rand(5, device="meta"),
    "mkldnn": lambda: torch.rand(5).to_mkldnn(),
    "sparse": lambda: torch.eye(3).to_sparse(),
    "compressed": lambda: torch.eye(3).to_sparse_csr(),
    "negated": lambda: torch.imag(torch.rand(5, dtype=torch.complex64).conj()),
    "zeros without memory": lambda: torch._efficientzerotensor(5),
    "a subclass": lambda: torch.rand(5).as_subclass(type("Sub", (Tensor,), {})),
}


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
@pytest.mark.parametrize("kind", NOT_PLAIN)
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_not_plain_and_dense_is_left_to_torch(backend: str, kind: str) -> None:
    file = module("mish", backend)
    x = NOT_PLAIN[kind]()
    assert file._run(file._VALUE, (x,)) is None
    found = []
    for way in (nullcontext(), without_kernels(file)):
        with way:
            try:
                found.append(file.mish(x))
            except (RuntimeError, NotImplementedError) as error:
                found.append(str(error))
    one, two = found
    if isinstance(one, str) or x.is_meta:
        assert str(one) == str(two)
    else:
        close(*(y.to_dense() if y.layout != torch.strided else y for y in (one, two)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cotangent_that_is_not_plain_is_left_to_torch(backend: str) -> None:
    x = torch.rand(5, dtype=torch.float64, device=DEVICE, requires_grad=True)
    y = layer("mish", backend).function(x)
    assert is_from_kernel(y)
    rows = torch.autograd.grad(y, x, torch.eye(5, dtype=torch.float64, device=DEVICE), is_grads_batched=True)[
        0
    ]
    (whole,) = torch.autograd.grad(layer("mish").function(x), x, torch.ones_like(y))
    close(rows.diagonal(), whole)
    close(rows.sum(), whole.sum())


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_are_worked_out_by_python(backend: str) -> None:
    """Of constants alone, in double precision: float32 would be off."""
    file = made("where(x > lim, (a + 1)**30*x, sqrt(a)*x)", backend, consts={"a": 0.1, "lim": 0.5})
    x = torch.tensor([0.25, 2.0], dtype=torch.float64, device=DEVICE, requires_grad=True)
    result = file.f(x, a=0.3)
    assert is_from_kernel(result)
    (slope,) = torch.autograd.grad(result.sum(), x)
    assert slope.tolist() == [0.3**0.5, 1.3**30]
    with pytest.raises(ValueError, match="math domain error"):
        file.f(x, a=-1.0)


@pytest.mark.parametrize("name", ["huber", "swiglu"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_verified(backend: str, name: str) -> None:
    report = fngen.verify(source(name, backend))
    assert report.ok, report


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_there_is_no_kernel_for_is_left_to_torch(backend: str) -> None:
    source = fngen.generate("j1(x)*x", name="f", backend=backend)
    assert source.missing.endswith(": C's mathematics library has no j1")
    assert f"# There are {source.missing}.\n" in source.text
    assert "_run(" not in source.text


@pytest.mark.parametrize("backend", BACKENDS)
def test_names_of_a_language_are_names_too(backend: str) -> None:
    inputs = ["double", "exp", "long", "real", "in"]
    file = made("double*exp + long*real + in**2", backend, inputs=inputs)
    xs = [torch.tensor([float(i)], device=DEVICE, requires_grad=True) for i in range(2, 7)]
    result = file.f(*xs)
    assert is_from_kernel(result)
    assert result.item() == 2 * 3 + 4 * 5 + 36
    assert [g.item() for g in torch.autograd.grad(result, xs)] == [3, 2, 5, 4, 12]


@pytest.mark.parametrize("backend", BACKENDS)
def test_float32_in_float64_with_accurate(backend: str) -> None:
    file = made("x*tanh(softplus(x))", backend, accurate=True)
    x = torch.linspace(-20, 20, 1001, device=DEVICE if backend == "triton" else "cpu")
    want = x.double() * torch.tanh(torch.nn.functional.softplus(x.double(), threshold=40))
    assert torch.equal(file.f(x), want.float())


def second(function: Callable[..., Tensor], inputs: list[Tensor], of: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the gradients of a weighted sum of gradients."""
    result = function(*inputs)
    weight = like(result, seed=3).requires_grad_()
    slopes = torch.autograd.grad(result, of, weight, create_graph=True)
    total = sum((like(s, seed=5 + i) * s).sum() for i, s in enumerate(slopes))
    return torch.autograd.grad(total, [weight, *inputs], materialize_grads=True)


@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("backend", BACKENDS)
def test_second_derivatives_come_from_a_kernel(
    backend: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, plain = module(name, backend), PLAIN[name]
    run, ran = file._run, []
    monkeypatch.setattr(file, "_run", lambda which, *rest: ran.append(which) or run(which, *rest))
    inputs = leaves(plain, 300)
    for of in (inputs, inputs[:1], inputs[-1:]):
        found, want = (second(f, inputs, of) for f in (layer(name, backend).function, plain.function))
        for got, wanted in zip(found, want, strict=True):
            close(got, wanted, rtol=1e-9, atol=1e-10 * wanted.abs().max().item())
        assert ran == [file._VALUE, file._GRADIENTS, file._SECONDS]
        ran.clear()


@pytest.mark.parametrize("backend", BACKENDS)
def test_where_nothing_arrives_nothing_is_infinite(backend: str) -> None:
    """The derivative of ``sqrt(a)`` at 0 has no part in that of the gradient by ``x`` alone by itself."""
    file = made("sqrt(a)*x", backend, inputs=["a", "x"])
    a, x, weight = (f(3, device=DEVICE, requires_grad=True) for f in (torch.zeros, torch.ones, torch.ones))
    (slope,) = torch.autograd.grad(file.f(a, x), x, weight, create_graph=True)
    by_a, by_x, by_weight = torch.autograd.grad(slope.sum(), [a, x, weight], allow_unused=True)
    assert by_a.isinf().all()
    assert by_x is None or not by_x.any()
    assert not by_weight.any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_tensor_in_two_places(backend: str) -> None:
    x = torch.tensor([0.5, 2.0], dtype=torch.float64, device=DEVICE, requires_grad=True)
    file = made("x**3*y**2", backend, inputs=["x", "y"])
    for order in (2, 3):
        value = file.f(x, x)
        for _ in range(order):
            (value,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        close(value, 20 * x**3 if order == 2 else 60 * x**2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_cotangent_of_a_sum_is_one_number(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = made("x**3*y", backend, inputs=["x", "y"])
    monkeypatch.setattr(file, "_laid_out", None)
    x, y = (torch.rand(3, 70, device=DEVICE, requires_grad=True) for _ in range(2))
    file.f(x, y).sum().backward()
    close(x.grad, 3 * x.detach() ** 2 * y.detach(), rtol=1e-6)
    close(y.grad, x.detach() ** 3, rtol=1e-6)
