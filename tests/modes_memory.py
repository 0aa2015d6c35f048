"""Memory: what a layer keeps for its backward is never more than autograd keeps for the plain formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from fngen.timing.clock import peak_bytes
from tests.modes_table import (
    HALF,
    Function,
    Layer,
    Mode,
    Table,
    agree,
    always,
    close,
    draw,
    gradients,
    leaves,
    like,
    several,
    through,
    total,
)
from tests.plain import DEVICE, Plain

MEMORY = Table()
row = MEMORY.row
FULL = (32, 32)


def saved(function: Function, inputs: Sequence[Tensor], besides: Sequence[Tensor] = ()) -> tuple[int, int]:
    """Return how many storages are saved, and their bytes; all are kept alive, lest an address return."""
    kept: list[Tensor] = []
    with saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        function(*inputs)
    sizes = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in kept}
    for x in besides:
        sizes.pop(x.untyped_storage().data_ptr(), None)
    return len(sizes), sum(sizes.values())


def compare(dtype: torch.dtype, scalars: bool, alone: bool, layer: Layer, plain: Plain) -> None:
    """Compare, with all but one input a scalar, with only one input that asks for a gradient.

    In the last case the inputs do not count: they are the caller's, and which of them a single
    gradient needs is a matter of how it is written.
    """
    places = range(len(plain.ranges))
    for full in places if scalars else (None,):
        for wanted in places if alone else (None,):
            shapes = [FULL if full in (None, i) else () for i in places]
            inputs = [draw(plain, *shape, dtype=dtype)[i] for i, shape in enumerate(shapes)]
            for i, x in enumerate(inputs):
                x.requires_grad_(wanted in (None, i))
            besides = inputs if alone else ()
            count, size = saved(layer.function, inputs, besides)
            most, largest = saved(plain.function, inputs, besides)
            assert count <= most, (full, wanted)
            assert size <= largest, (full, wanted)


_BOTH = "what several gradients are made of is kept, whichever of them is wanted"
_ALONE = {"morse": _BOTH, "rms_norm": _BOTH}
_ALONE_OF_SCALARS = {"morse": _BOTH, "black_scholes": _BOTH}
_INPUTS = {"mse": "the inputs are kept, exact, where autograd keeps their rounded difference"}
_EVERY = {"layer_norm": "the inputs are kept, the bias too, which autograd of the formula has no use for"}
_LIMITS: dict[torch.dtype, Sequence[Mapping[str, str]]] = {
    torch.float32: ({}, {}, _ALONE, _ALONE_OF_SCALARS),
    torch.bfloat16: (HALF | _INPUTS, _INPUTS | _EVERY, {}, {}),
}
_CASES = {"": (False, False), "_scalars": (True, False), "_one_wanted": (False, True)}
_CASES["_scalars_one_wanted"] = (True, True)

for _dtype, _limits in _LIMITS.items():
    for (_case, _choice), _xfail in zip(_CASES.items(), _limits, strict=True):
        _where = several if any(_choice) else always
        _name = f"memory_{str(_dtype).removeprefix('torch.')}{_case}"
        MEMORY[_name] = Mode(partial(compare, _dtype, *_choice), _where, _xfail)


_LITTLE = 1.03
"""A number, a row of numbers or a mask more does not count."""


@row()
def peak_memory(layer: Layer, plain: Plain) -> None:
    """Value and gradient need no more memory at once than autograd of the plain formula does."""
    peaks = []
    for function in (layer.function, plain.function):
        inputs = leaves(plain, 256, 256, dtype=torch.float32)
        cotangent = like(function(*inputs))
        step = partial(step_of, function, inputs, cotangent)
        step()
        peaks.append(peak_bytes(step))
    assert peaks[0] <= _LITTLE * peaks[1]


def step_of(function: Function, inputs: Sequence[Tensor], cotangent: Tensor) -> None:
    torch.autograd.grad(function(*inputs), inputs, cotangent)


# Saved elsewhere, or computed anew.


@row()
def saved_hooks(layer: Layer, plain: Plain) -> None:
    """What is saved may be packed away, and only that comes back."""
    packed, unpacked = [], []
    pair = (
        (lambda x: packed.append(x) or x.numpy(force=True)),
        lambda a: unpacked.append(a) or torch.from_numpy(a).to(DEVICE),
    )
    inputs = leaves(plain, 3)
    with saved_tensors_hooks(*pair):
        got = gradients(layer.function(*inputs), inputs)
    assert len(packed) >= len(unpacked) > 0
    close(got, gradients(plain.function(*inputs), inputs))


@row()
def saved_on_cpu(layer: Layer, plain: Plain) -> None:
    with save_on_cpu():
        agree(layer, plain, leaves(plain, 3))


def checkpointed(layer: Layer, plain: Plain, **options: object) -> None:
    function = partial(checkpoint, layer.function, **options)
    agree(through(layer, function), plain, leaves(plain, 3))


@row()
def checkpoint_reentrant(layer: Layer, plain: Plain) -> None:
    """Only .backward works with it, so that the gradients are compared by hand."""
    inputs, others = leaves(plain, 3), leaves(plain, 3)
    value, wanted = checkpoint(layer.function, *inputs, use_reentrant=True), plain.function(*others)
    value.backward(like(value))
    wanted.backward(like(wanted))
    close([x.grad for x in inputs], [x.grad for x in others])


@row()
def checkpoint_without_early_stop(layer: Layer, plain: Plain) -> None:
    with set_checkpoint_early_stop(False):
        checkpointed(layer, plain, use_reentrant=False)


MEMORY["checkpoint"] = Mode(partial(checkpointed, use_reentrant=False))
MEMORY["checkpoint_debug"] = Mode(partial(checkpointed, use_reentrant=False, determinism_check="default"))


@row(lambda plain: plain.native)
def checkpoint_twice_differentiated(layer: Layer, plain: Plain) -> None:
    """Nested, with a gradient of the gradient."""

    def second(function: Function) -> tuple[Tensor, ...]:
        inputs = leaves(plain, 3)
        value = total(function(*inputs))
        slopes = torch.autograd.grad(value, inputs, create_graph=True)
        return torch.autograd.grad(value + sum(total(s**2) for s in slopes), inputs)

    once = partial(checkpoint, layer.function, use_reentrant=False)
    close(second(partial(checkpoint, once, use_reentrant=False)), second(plain.function))
