"""torch.compile: Dynamo, the tracing of the backward, and Inductor."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter, CompileCounterWithBackend
from torch._inductor import metrics
from torch.func import grad, hessian, vmap

from tests.conftest import SCALE
from tests.modes_derivatives import in_pairs
from tests.modes_table import (
    HALF,
    JUDGES,
    Function,
    Layer,
    Test,
    agree,
    close,
    draw,
    gradients,
    in_complex_numbers,
    in_reals,
    leaves,
    several,
    summed,
    through,
)
from tests.modes_types import accurate, as_chosen
from tests.plain import DEVICE, PLAIN, Plain

QUICK = ("square", "huber", "mse", "modrelu")
FEW = (*QUICK, "swiglu", "black_scholes", "airy_disk")
ALL = tuple(PLAIN)
DROPPED = {"airy_disk": "torch.compile of torch.func drops a Function's derivative (pytorch/pytorch#192985)"}
ROUGH = {} if DEVICE == "cpu" else {"airy_disk": "on a GPU Inductor's Bessel functions have seven digits"}

CELLS: list[object] = []
# torch's own: Dynamo makes a Function to look at it, Inductor and its packages use what torch deprecates, and
# compile no complex operator.
COMPILING_WARNINGS = [
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.torch._prims_common.check:FutureWarning"),
    pytest.mark.filterwarnings(
        "ignore:Torchinductor does not support code generation for complex:UserWarning"
    ),
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning"),
]


def row(
    slow: bool = False,
    layers: tuple[str, ...] = ALL,
    where: Callable[[Plain], bool] = lambda plain: True,
    xfail: dict[str, str] | None = None,
) -> Callable[[Test], Test]:
    """Add a row: one cell a layer."""

    def add(test: Test) -> Test:
        for name in ALL if SCALE > 1 else layers:
            marks = [pytest.mark.slow] if slow or name not in QUICK else []
            if xfail and name in xfail:
                marks += [pytest.mark.xfail(strict=True, reason=xfail[name])]
            if where(PLAIN[name]):
                CELLS.append(pytest.param(test, name, id=f"{test.__name__}-{name}", marks=marks))
        return test

    return add


aot = partial(torch.compile, backend="aot_eager", fullgraph=True)
inductor = partial(torch.compile, fullgraph=True)


# torch.compile.


@row()
def compile_aot(layer: Layer, plain: Plain) -> None:
    agree(through(layer, aot(layer.function)), plain, leaves(plain, 3, 2))


@row()
def compile_aot_dynamic(layer: Layer, plain: Plain) -> None:
    compiled = through(layer, aot(layer.function, dynamic=True))
    for rows in (3, 5):
        agree(compiled, plain, leaves(plain, rows, 2))


@row()
def compile_module(layer: Layer, plain: Plain) -> None:
    agree(through(layer, aot(nn.Sequential(layer.module())[0])), plain, leaves(plain, 3))


@row()
def compile_no_grad(layer: Layer, plain: Plain) -> None:
    compiled = aot(layer.function)
    with torch.no_grad():
        value = compiled(*leaves(plain, 3))
    assert not value.requires_grad
    close(value, plain.function(*draw(plain, 3)))


@row(where=in_complex_numbers)
def compile_real_among_complex(layer: Layer, plain: Plain) -> None:
    compiled = through(layer, aot(layer.function))
    for chosen in product((False, True), repeat=len(plain.ranges)):
        agree(compiled, plain, as_chosen(plain, chosen))


def frames(function: Function, calls: list[list[Tensor]]) -> int:
    """Return how often a sequence of calls makes Dynamo compile."""
    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(function, backend=counter, fullgraph=True)
    for inputs in calls:
        compiled(*inputs)
    return counter.frame_count


@row()
def recompilations(layer: Layer, plain: Plain) -> None:
    """Batch after batch, then a scalar among the inputs: compiled no more often than the formula."""
    calls = [leaves(plain, batch, 3) for batch in (4, 5, 7, 9)]
    calls += [[*leaves(plain, batch)[:-1], leaves(plain)[-1]] for batch in (4, 6, 8)]
    assert frames(layer.function, calls) <= frames(plain.function, calls)


@row()
def gradients_recompilations(layer: Layer, plain: Plain) -> None:
    """The backward is compiled for all batch sizes too, and is right for all."""
    counter = CompileCounterWithBackend("aot_eager")
    compiled = through(layer, torch.compile(layer.function, backend=counter, fullgraph=True))
    for batch in (4, 5, 7, 9):
        agree(compiled, plain, leaves(plain, batch))
    assert counter.frame_count <= 2


@row(where=several)
def compile_number(layer: Layer, plain: Plain) -> None:
    """Two Python numbers in the place of the last input."""
    compiled = aot(layer.function)
    for seed in (0, 1):
        inputs = leaves(plain, 3, seed=seed)
        inputs[-1] = inputs[-1].detach()[0]
        got, want = compiled(*inputs[:-1], inputs[-1].item()), plain.function(*inputs)
        close(got, want)
        close(gradients(got, inputs), gradients(want, inputs))


@row(xfail=HALF)
def compile_bfloat16(layer: Layer, plain: Plain) -> None:
    """The formula in double precision is the judge: in bfloat16 a gradient of a norm is off by a tenth."""
    accurate(through(layer, aot(layer.function)), plain, leaves(plain, 8, dtype=torch.bfloat16))


@row()
def compile_autocast(layer: Layer, plain: Plain) -> None:
    """A mode switched on inside of what is compiled."""

    def mixed(function: Function, *inputs: Tensor) -> Tensor:
        with torch.autocast(DEVICE, dtype=torch.bfloat16):
            return function(*inputs)

    inputs = leaves(plain, 8, dtype=torch.float32)
    got, want = aot(partial(mixed, layer.function))(*inputs), mixed(plain.function, *inputs)
    assert got.dtype == want.dtype
    close(gradients(got, inputs), gradients(want, inputs), rtol=1e-2, atol=1e-2)


@row()
def compile_checkpoint(layer: Layer, plain: Plain) -> None:
    def kept(*inputs: Tensor) -> Tensor:
        return torch.utils.checkpoint.checkpoint(layer.function, *inputs, use_reentrant=False)

    agree(through(layer, aot(kept)), plain, leaves(plain, 3))


def inside(derive: Callable[[Function], Function], compiler: Callable[[Function], Function]) -> Test:
    """Compile a derivative: the layer is inside of a transform inside of what is compiled."""

    def test(layer: Layer, plain: Plain) -> None:
        judge, inputs = JUDGES[layer.name], draw(JUDGES[layer.name], 3)
        close(compiler(derive(layer.function))(*inputs), derive(judge.function)(*inputs), rtol=1e-7)

    return test


TRANSFORMS: dict[str, Callable[[Function], Function]] = {
    "compile_vmap_of_grad": lambda f: vmap(grad(summed(f))),
    "compile_hessian": in_pairs(lambda f: hessian(summed(f))),
    "compile_vmap": vmap,
}
for _name, _derive in TRANSFORMS.items():
    _test = inside(_derive, aot)
    _test.__name__ = _name
    row(xfail=DROPPED)(_test)
    _test = inside(_derive, inductor)
    _test.__name__ = f"inductor_{_name}"
    row(slow=True, layers=("square", "black_scholes"), xfail=DROPPED)(_test)


# Inductor.


@row(slow=True, xfail=ROUGH)
def inductor_static(layer: Layer, plain: Plain) -> None:
    agree(through(layer, inductor(layer.function, dynamic=False)), plain, leaves(plain, 3, 4))


@row(slow=True, layers=FEW, xfail=ROUGH)
def inductor_dynamic(layer: Layer, plain: Plain) -> None:
    compiled = through(layer, inductor(layer.function, dynamic=True))
    for batch in (3, 17):
        agree(compiled, plain, leaves(plain, batch, 4))


@row(slow=True, layers=FEW)
def inductor_float32(layer: Layer, plain: Plain) -> None:
    agree(through(layer, inductor(layer.function)), plain, leaves(plain, 16, dtype=torch.float32))


def kernels(function: Function, plain: Plain, dtype: torch.dtype = torch.float32) -> int:
    """Return how many kernels value and gradient take, with neighbours to fuse with."""
    torch._dynamo.reset()
    metrics.reset()
    inputs = leaves(plain, 64, 32, dtype=dtype)
    compiled = inductor(lambda *x: torch.sin(function(*(torch.cos(t) / 4 + 1 for t in x))) * 2)
    value = compiled(*inputs)
    gradients(value, inputs)
    return metrics.generated_kernel_count


@row(slow=True, layers=FEW, where=in_reals)
def fused_with_neighbours(layer: Layer, plain: Plain) -> None:
    """In reals: of complex numbers Inductor generates no code that it could fuse (pytorch/pytorch#125718)."""
    assert 0 < kernels(layer.function, plain) <= kernels(plain.function, plain)


@row(slow=True, layers=FEW, where=in_reals)
def halves_fused_with_neighbours(layer: Layer, plain: Plain) -> None:
    """What is widened is so inside of a kernel."""
    got, want = (kernels(f, plain, torch.bfloat16) for f in (layer.function, plain.function))
    assert 0 < got <= want
