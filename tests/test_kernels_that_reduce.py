"""Kernels that reduce: rows, and all elements to one number."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import fngen
from fngen.load import load
from tests.kernels import BACKENDS, OF_ROWS, is_from_kernel, layer, made, module, ready
from tests.layer_rows import ROWS
from tests.modes_table import Table, Test, close, gradients, like
from tests.plain import DEVICE, PLAIN, Plain
from tests.test_kernels import LOOSE, MODES, both, of, second, without_kernels
from tests.test_layers import drawn

pytestmark = [
    pytest.mark.usefixtures("kernel_cache"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter"),
    pytest.mark.filterwarnings("ignore:Converting a tensor to a Python boolean:torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning"),
]


@pytest.mark.parametrize(
    ("test", "name", "plain"), [*Table(MODES).cells(of(("rms_norm", "cosine_similarity")))]
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_mode_of_rows(backend: str, test: Test, name: str, plain: Plain) -> None:
    if backend == "triton" and getattr(test, "__name__", "") == "threads" and not torch.cuda.is_available():
        pytest.skip("Triton's interpreter is for one thread")
    test(layer(name, backend), plain)


@pytest.mark.parametrize("shape", [(3, 40), (2, 3, 33), (70, 5), (1, 1), (4, 1), (5, 2048)], ids=str)
@pytest.mark.parametrize("dtype", LOOSE, ids=str)
@pytest.mark.parametrize("name", OF_ROWS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_rows(backend: str, name: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    if name == "softmax" and dtype.itemsize == 2:
        pytest.skip("its gradient is made of its value, which was rounded")
    file, plain = module(name, backend), PLAIN[name]
    inputs = [
        like(torch.empty(shape, dtype=dtype, device=DEVICE), seed=i) - 1 for i in range(len(plain.inputs(5)))
    ]
    if name.endswith("norm"):
        inputs[1:] = [x.flatten()[-shape[-1] :].clone() for x in inputs[1:]]
    inputs = [x.requires_grad_() for x in inputs]
    kernel, by_torch = both(file, inputs)
    want = plain.function(*(x.double() for x in inputs))
    wanted = [want, *torch.autograd.grad(want, inputs, like(kernel[0]).double())]
    for got, torch_says, says in zip(kernel, by_torch, wanted, strict=True):
        assert got.shape == torch_says.shape
        scale = 1 + says.detach().abs().max().item()
        close(got.double(), says.double(), rtol=LOOSE[dtype], atol=LOOSE[dtype] * scale)


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "least"), [("c", 120), ("triton", 115)])
def test_layers_of_the_list(backend: str, least: int) -> None:
    """Every layer that has a kernel, against the torch way of the same file."""
    found = 0
    for name, row in ROWS.items():
        source = fngen.generate(row.formula, name=name, backend=backend, **row.options)
        if source.missing:
            continue
        found += 1
        params = [
            torch.full((5,) if "[" in k else (), v, dtype=torch.float64, device=DEVICE)
            for k, v in row.params.items()
        ]
        if len(row.shape) > 2:
            params = [p[:, None] if "[C]" in k else p for k, p in zip(row.params, params, strict=True)]
        inputs = [
            *(x.detach().to(DEVICE).requires_grad_() for x in drawn(row)),
            *(p.requires_grad_() for p in params),
        ]
        for kernel, by_torch in zip(*both(ready(load(source)), inputs), strict=True):
            close(kernel, by_torch, rtol=1e-10, atol=1e-11 * (1 + by_torch.abs().max().item()))
    assert found >= least


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["nan", "infinite", "all infinite"])
def test_rows_with_what_is_no_number(backend: str, kind: str) -> None:
    x = like(torch.empty(3, 7, dtype=torch.float64, device=DEVICE))
    x[1, 2:] = {"nan": torch.nan, "infinite": torch.inf, "all infinite": -torch.inf}[kind]
    x[1, :2] = -torch.inf if kind == "all infinite" else 0
    inputs = [x.requires_grad_()]
    formulas = ["max(x, dim=-1)", "min(x, dim=-1)", "logsumexp(x, dim=-1)"]
    # What is left of a row with an infinite number is 0 to the formula; torch has no number there.
    formulas += ["softmax(x, dim=-1)"] * (kind != "infinite")
    for formula in formulas:
        for kernel, by_torch in zip(*both(made(formula, backend), inputs), strict=True):
            close(kernel, by_torch, rtol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_that_lie_apart_are_left_to_torch(backend: str) -> None:
    file = module("softmax", backend)
    apart = [
        torch.ones(4, 6).mT,
        torch.ones(4, 6)[:, ::2],
        torch.ones(()),
        torch.ones(0, 4),
        torch.ones(4, 0),
    ]
    apart += [torch.ones(1, 2**17)] * (backend == "triton")
    for x in apart:
        assert file._run(file._VALUE, (x,)) is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_softmax_of_large_numbers(backend: str) -> None:
    """The logarithm of a sum would be lost beside them."""
    x = torch.tensor([[1e8, 1e8, 1e8 - 8]], device=DEVICE, requires_grad=True)
    for formula in ("softmax(x, dim=-1)", "log_softmax(x, dim=-1)"):
        for kernel, by_torch in zip(*both(made(formula, backend), [x]), strict=True):
            close(kernel, by_torch, rtol=1e-5)


LOSSES = {
    "sum(log(cosh(x - y)))": lambda x, y: (x - y).cosh().log().sum(),
    "mean((x - y)**2)": lambda x, y: ((x - y) ** 2).mean(),
    "mean(exp(x)*sin(y))": lambda x, y: (x.exp() * y.sin()).mean(),
}


@pytest.mark.parametrize(
    "shapes", [((40, 70), (40, 70)), ((40, 70), (70,)), ((3, 1), (4,)), ((300, 100), ())]
)
@pytest.mark.parametrize("formula", LOSSES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_losses(backend: str, formula: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    """Value, gradients and gradients of these are a kernel each; the sum of all is one of elements."""
    file, plain = made(formula, backend, inputs=["x", "y"]), LOSSES[formula]
    inputs = [
        like(torch.empty(s, dtype=torch.float64, device=DEVICE), seed=i).requires_grad_()
        for i, s in enumerate(shapes)
    ]
    kernel, by_torch = both(file, inputs)
    for got, says in zip(kernel, by_torch, strict=True):
        close(got, says, rtol=1e-12, atol=1e-12)
    close(kernel[0], plain(*inputs))
    for leaves in (inputs, inputs[:1]):
        for got, says in zip(*(second(f, inputs, leaves) for f in (file.f, plain)), strict=True):
            close(got, says, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(40, 70), (3, 5, 129), (300,), (1, 6)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "formula",
    [
        "mean(-sum(softmax(t, dim=-1)*log_softmax(x, dim=-1), dim=-1))",
        "sum(1 - sum(x*t, dim=-1)/(norm(x, dim=-1)*norm(t, dim=-1)))",
        "mean((softmax(x, dim=-1) - t)**2)",
        "mean(max(0, norm(x - t, dim=-1) - 1))",
        "sum(t*x/(1 + norm(x, dim=-1)))",
    ],
)
def test_losses_of_rows(formula: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    file = made(formula, "c", inputs=["x", "t"])
    inputs = [like(torch.empty(shape, dtype=dtype), seed=i) for i in range(2)]
    inputs = [x.requires_grad_() for x in inputs]
    for one, two in zip(*both(file, inputs), strict=True):
        assert one.shape == two.shape
        scale = 1 + two.detach().abs().max().item()
        close(one, two, rtol=LOOSE[dtype], atol=LOOSE[dtype] * scale)
    if dtype == torch.float64:
        found = second(file.f, inputs, inputs)
        with without_kernels(file):
            wanted = second(file.f, inputs, inputs)
        for one, two in zip(found, wanted, strict=True):
            close(one, two, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("formula", "params"),
    [
        ("x/sum(x)*a", {"a": 1.0}),
        ("exp(x - max(x))/a", {"a": 2.0}),
        ("a*sum(x**2) + sum(x)**2", {"a": 2.0}),
        ("norm(x)*b*x", {"b": 1.5}),
    ],
)
def test_reductions_of_everything(formula: str, params: dict[str, float]) -> None:
    file = made(formula, "c", params=params)
    inputs = [
        like(torch.empty(300, 100, dtype=torch.float64)) + 0.5,
        *(torch.tensor(v, dtype=torch.float64) for v in params.values()),
    ]
    for one, two in zip(*both(file, [x.requires_grad_() for x in inputs]), strict=True):
        assert one.shape == two.shape
        close(one, two, rtol=1e-10)


def test_a_row_does_not_depend_on_others_or_threads() -> None:
    x, w = torch.randn(600, 333), torch.rand(333)
    file, found, threads = module("rms_norm", "c"), [], torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            leaves = [x.clone().requires_grad_(), w.clone().requires_grad_()]
            found.append([file.rms_norm(*leaves), *gradients(file.rms_norm(*leaves), leaves)])
    finally:
        torch.set_num_threads(threads)
    for one, *others in zip(*found, strict=True):
        assert all(torch.equal(one, other) for other in others)
    for i in (0, 7, 599):
        assert torch.equal(found[0][0][i : i + 1], file.rms_norm(x[i : i + 1], w))


def test_a_mean_of_ten_million_keeps_its_digits() -> None:
    x = torch.rand(10_000_019)
    y = torch.rand(())
    got = made("mean((x - y)**2)", "c", inputs=["x", "y"]).f(x, y)
    want = ((x.double() - y.double()) ** 2).mean()
    assert abs(got.double() - want) <= 2 * torch.finfo(torch.float32).eps * want


@pytest.mark.parametrize("expanded", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_all_rows_share(backend: str, expanded: bool) -> None:
    """Its gradient is a sum over rows, as long as it is one row in memory: an expanded one is many."""
    file = made("x*y/(1 + norm(x, dim=-1))", backend, inputs=["x", "y"])
    x, y = (torch.randn(n, 33, dtype=torch.float64, device=DEVICE) for n in (40, 1))
    y = y.expand(40, 33) if expanded else y[0]
    inputs = [x.requires_grad_(), y.detach().requires_grad_()]
    for one, two in zip(*both(file, inputs), strict=True):
        assert one.shape == two.shape
        close(one, two, rtol=1e-12)
    plain = second(lambda x, y: x * y / (1 + x.norm(dim=-1, keepdim=True)), inputs, inputs)
    for one, two in zip(second(file.f, inputs, inputs), plain, strict=True):
        close(one, two, rtol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_parameter_that_is_no_number_a_row(backend: str) -> None:
    """As an argument it may be any tensor: then torch does the work, with the same numbers."""
    file = made("a*x/norm(x, dim=-1)", backend, params={"a": 1.0})
    x, a = (
        torch.randn(4, 6, dtype=torch.float64, device=DEVICE),
        torch.randn(4, 6, dtype=torch.float64, device=DEVICE),
    )
    inputs = [x.requires_grad_(), a.requires_grad_()]
    result = file.f(*inputs)
    plain = a * x / x.norm(dim=-1, keepdim=True)
    close(result, plain, rtol=1e-12)
    for one, two in zip(
        gradients(result, inputs), torch.autograd.grad(plain, inputs, like(plain)), strict=True
    ):
        close(one, two, rtol=1e-11)


@pytest.mark.parametrize(
    "formula", ["cotangent**2*exp(count)", "mean(count*cotangent**2)", "count*sum(cotangent, dim=-1)"]
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_names_of_ours_are_names_too(backend: str, formula: str) -> None:
    file = made(formula, backend)
    inputs = [
        like(torch.empty(4, 6, dtype=torch.float64, device=DEVICE), seed=i).requires_grad_() for i in (0, 1)
    ]
    found = second(file.f, inputs, inputs)
    with without_kernels(file) if hasattr(file, "_run") else torch.enable_grad():
        wanted = second(file.f, inputs, inputs)
    for one, two in zip(found, wanted, strict=True):
        close(one, two, rtol=1e-11)


def test_an_extreme_of_nothing_is_an_error_as_in_torch() -> None:
    for formula in ("max(x)", "max(x)*x", "min(x, dim=-1)"):
        file = made(formula, "c")
        for shape in ((0,), (3, 0)):
            with pytest.raises((RuntimeError, IndexError), match=r"amax|amin"):
                file.f(torch.ones(shape))
    assert made("sum(x**2)", "c").f(torch.ones(0)) == 0


def test_rows_of_no_common_shape_are_an_error_as_in_torch() -> None:
    file = made("x*y/(1 + norm(y, dim=-1))", "c", inputs=["x", "y"])
    y = torch.ones(3, 4)
    for x in (torch.ones(4).expand(2, 4), torch.ones(4).expand(0, 4)):
        with pytest.raises(RuntimeError, match="must match"):
            file.f(x, y)


@pytest.mark.parametrize("shape", [(1, 4), (3, 4)])
def test_one_row_and_a_cotangent_for_all_rows(shape: tuple[int, ...]) -> None:
    """Neither needs a copy, nor torch: a row in two dimensions, and what ``sum()`` sends back."""
    file = made("sum(sin(x*y), dim=-1)", "c", inputs=["x", "y"])
    run, ran = file._run, list[bool]()
    file._run = lambda *args: (ran.append((found := run(*args)) is not None), found)[1]
    inputs = [like(torch.empty(s, dtype=torch.float64)).requires_grad_() for s in ((3, 4), shape)]
    found = torch.autograd.grad(file.f(*inputs).sum(), inputs)
    assert ran == [True, True]
    wanted = torch.autograd.grad((inputs[0] * inputs[1]).sin().sum(), inputs)
    for one, two in zip(found, wanted, strict=True):
        assert one.shape == two.shape
        close(one, two, rtol=1e-12)


@pytest.mark.parametrize("count", [17, 33])
@pytest.mark.parametrize("formula", ["{}", "sum({}, dim=-1)**2"])
def test_kernels_of_many_inputs(formula: str, count: int) -> None:
    """Their masks have a bit for each array; what has more arrays than bits has no kernel."""
    names = [f"x{i}" for i in range(count)]
    file = made(formula.format("*".join(names)), "c", inputs=names)
    assert hasattr(file, "_run") is (count == 17)
    inputs = [
        like(torch.empty(3, 50, dtype=torch.float64), seed=i).add(1).requires_grad_() for i in range(count)
    ]
    product = inputs[0]
    for x in inputs[1:]:
        product = product * x
    plain = product if formula == "{}" else product.sum(-1) ** 2
    result = file.f(*inputs)
    close(result, plain, rtol=1e-11)
    wanted = torch.autograd.grad(plain, inputs, like(plain))
    for one, two in zip(gradients(result, inputs), wanted, strict=True):
        close(one, two, rtol=1e-10)


@pytest.mark.parametrize(
    "formula", ["var(exp(x*y*z), dim=-1)", "softmax(x*y + z, dim=-1)*x", "x*y*z/norm(x)", "mean(exp(x)*y*z)"]
)
def test_kernels_stay_in_their_bounds(formula: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes beyond an array, or has no meaning in C, ends the process."""
    code = (
        "import fngen, torch; torch.set_num_threads(2)\n"
        f"file = fngen.compile({formula!r}, name='f', backend='c', inputs=['x', 'y', 'z'])\n"
        "for shape in ((3, 5), (300, 129)):\n"
        "    inputs = [torch.rand(shape, requires_grad=True) for _ in range(3)]\n"
        "    file.f(*inputs).exp().sum().backward()\n"
        "assert all(file._kernels.values())\n"
    )
    monkeypatch.setenv("CC", "cc -fsanitize=undefined -fsanitize-undefined-trap-on-error")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_gradient_of_one_row() -> None:
    """What no gradient needs is not kept; a cotangent in its place has no room for what is one a row."""
    x, y = (like(torch.empty(1, 1, 3, dtype=torch.float64), seed=i) for i in (0, 1))
    file = made("sin(mean(x*y, dim=-1)) + i*y", "c", inputs=["x", "y"], params={"i": 1.0})
    i = torch.ones(1, dtype=torch.float64, requires_grad=True)
    result = file.f(x, y, i)
    assert is_from_kernel(result)
    torch.use_deterministic_algorithms(True)  # It fills what is not written with what is no number.
    try:
        (found,) = torch.autograd.grad(result, i, torch.tensor(0.7, dtype=torch.float64).expand(1, 1, 3))
    finally:
        torch.use_deterministic_algorithms(False)
    close(found, 0.7 * y.sum().reshape(1), rtol=1e-12)


@pytest.mark.parametrize(
    "formula", ["sum(x)", "mean(x)", "mean(2*x)", "sum(a*x)", "sum(x + y)", "mean(a*x - y)"]
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_that_read_nothing_but_the_cotangent(backend: str, formula: str) -> None:
    count = 1 + ("y" in formula)
    file = made(formula, backend, inputs=["x", "y"][:count], params={"a": 2.0} if "a*" in formula else {})
    for first in (1, 3):
        inputs = [like(torch.empty(3, 7, dtype=torch.float64, device=DEVICE), seed=i) for i in range(count)]
        inputs += [torch.tensor(2.0, dtype=torch.float64, device=DEVICE)] * ("a*" in formula)
        leaves = [x.requires_grad_() for x in inputs[:first]]
        found = torch.autograd.grad(file.f(*inputs), leaves)
        with without_kernels(file):
            wanted = torch.autograd.grad(file.f(*inputs), leaves)
        for one, two in zip(found, wanted, strict=True):
            close(one, two, rtol=1e-12)
