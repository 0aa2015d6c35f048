"""Modes of running: what in torch changes how a call is made, but not its result."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from unittest import mock

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.modes_table import (
    HALF,
    Function,
    Layer,
    Mode,
    Table,
    agree,
    close,
    copies,
    draw,
    gradients,
    leaves,
    like,
    through,
    total,
)
from tests.modes_types import accurate
from tests.plain import DEVICE, Plain

RUNTIME = Table()
row = RUNTIME.row


# Without gradients.


def fast(off: Callable[[], AbstractContextManager[object]], layer: Layer, plain: Plain) -> None:
    """Where nothing is recorded no node is made: it would cost more than the formula."""
    inputs = leaves(plain, 3)
    refuse = mock.Mock(side_effect=AssertionError("a node was made"))
    with off(), mock.patch.object(torch.autograd.Function, "apply", refuse):
        value = layer.function(*inputs)
    assert value.grad_fn is None
    assert not value.requires_grad
    close(value.clone(), plain.function(*inputs).detach())


RUNTIME["no_grad"] = Mode(partial(fast, torch.no_grad))
RUNTIME["inference_mode"] = Mode(partial(fast, torch.inference_mode))


@row()
def inference_tensors(layer: Layer, plain: Plain) -> None:
    """Tensors made in inference mode are inputs like any others, where no gradient is asked for."""
    with torch.inference_mode():
        inputs = draw(plain, 3)
        value = layer.function(*inputs)
        assert value.is_inference()
    close(layer.function(*inputs), plain.function(*inputs))


@row()
def enable_grad_inside_no_grad(layer: Layer, plain: Plain) -> None:
    with torch.no_grad(), torch.enable_grad():
        agree(layer, plain, leaves(plain, 3))


# Global switches.


@row()
def deterministic(layer: Layer, plain: Plain) -> None:
    torch.use_deterministic_algorithms(True)
    try:
        agree(layer, plain, leaves(plain, 3))
    finally:
        torch.use_deterministic_algorithms(False)


@row()
def detect_anomaly(layer: Layer, plain: Plain) -> None:
    with torch.autograd.set_detect_anomaly(True):
        agree(layer, plain, leaves(plain, 3))


@row()
def default_dtype(layer: Layer, plain: Plain) -> None:
    """No constant of the formula takes the default type."""
    torch.set_default_dtype(torch.float64)
    try:
        inputs = draw(plain, 3, dtype=torch.float32)
        assert layer.function(*inputs).dtype == plain.function(*inputs).dtype
        agree(layer, plain, leaves(plain, 3))
    finally:
        torch.set_default_dtype(torch.float32)


def autocast(dtype: torch.dtype, layer: Layer, plain: Plain) -> None:
    """Types and digits of the formula in the same mode, whose backward is outside of it."""

    def mixed(function: Function) -> Function:
        return torch.autocast(DEVICE, dtype=torch.bfloat16)(function)

    judge = replace(plain, function=mixed(plain.function))
    accurate(through(layer, mixed(layer.function)), judge, leaves(plain, 16, dtype=dtype))


RUNTIME["autocast"] = Mode(partial(autocast, torch.float32))
RUNTIME["autocast_bfloat16"] = Mode(partial(autocast, torch.bfloat16), xfail=HALF)


@row(where=lambda plain: DEVICE == "cuda")
def cuda_graph(layer: Layer, plain: Plain) -> None:
    """Captured once, value and gradients, and replayed on other numbers: nothing in it waits for the host."""
    inputs = leaves(plain, 8)

    def step(function: Function) -> list[Tensor]:
        value = function(*inputs)
        return [value.detach(), *torch.autograd.grad(total(value), inputs)]

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        step(layer.function)
    side.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        got = step(layer.function)
    with torch.no_grad():
        for x, other in zip(inputs, draw(plain, 8, seed=1), strict=True):
            x.copy_(other)
    graph.replay()
    close(got, step(plain.function))


# Tensors without data.


def described(value: Tensor) -> tuple[object, ...]:
    return value.shape, value.dtype, value.device, value.stride()


def without_data(layer: Layer, plain: Plain, inputs: Sequence[Tensor]) -> None:
    one, two = copies(inputs), copies(inputs)
    got, want = layer.function(*one), plain.function(*two)
    assert described(got) == described(want)
    slopes = (torch.autograd.grad(y, x, torch.ones_like(y)) for y, x in ((got, one), (want, two)))
    assert [*map(described, next(slopes))] == [*map(described, next(slopes))]


@row()
def meta(layer: Layer, plain: Plain) -> None:
    without_data(layer, plain, [x.detach().to("meta").requires_grad_() for x in draw(plain, 2, 3)])


@row()
def fake(layer: Layer, plain: Plain) -> None:
    with FakeTensorMode() as mode:
        without_data(layer, plain, [mode.from_tensor(x).requires_grad_() for x in draw(plain, 2, 3)])


# Use.


@row()
def twice_in_one_graph(layer: Layer, plain: Plain) -> None:
    """The same tensors twice, and one tensor in every place."""

    def both(f: Function, *inputs: Tensor) -> Tensor:
        return f(*inputs) * f(*(x + 0.01 for x in inputs)) + f(*[inputs[0].abs() / 4 + 0.5] * len(inputs))

    agree(
        through(layer, partial(both, layer.function)),
        Plain(partial(both, plain.function), plain.ranges),
        leaves(plain, 3),
    )


@row()
def jit_trace(layer: Layer, plain: Plain) -> None:
    inputs = leaves(plain, 3)
    traced = torch.jit.trace(layer.function, tuple(draw(plain, 5, seed=3)), check_trace=False)
    agree(through(layer, traced), plain, inputs)


@row()
def threads(layer: Layer, plain: Plain) -> None:
    """Two threads, each with its own mode."""
    found: dict[bool, Tensor] = {}

    def work(grad: bool) -> None:
        with torch.set_grad_enabled(grad):
            for _ in range(20):
                inputs = leaves(plain, 3)
                value = layer.function(*inputs)
                found[grad] = gradients(value, inputs)[0] if grad else value

    workers = [threading.Thread(target=work, args=(grad,)) for grad in (True, False)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    inputs = leaves(plain, 3)
    want = plain.function(*inputs)
    close([found[False], found[True]], [want.detach(), gradients(want, inputs)[0]])


@contextmanager
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@row()
def no_cycle(layer: Layer, plain: Plain) -> None:
    """The value and the inputs are freed with their last reference; a gradient of a gradient too."""
    with no_collector():
        inputs = leaves(plain, 3)
        points = [x.clone() for x in inputs]
        value = layer.function(*points)
        slopes = torch.autograd.grad(total(value), inputs, create_graph=True)
        alive = [weakref.ref(x) for x in (value, *points, *slopes)]
        sum(total(s**2) for s in slopes).backward()
        del value, points, slopes
        assert [ref() for ref in alive if ref() is not None] == []


@row()
def backward_frees(layer: Layer, plain: Plain) -> None:
    """After backward a living value holds none of what was saved for it."""
    with no_collector():
        points = [x.clone() for x in leaves(plain, 3)]
        alive = [weakref.ref(x) for x in points]
        value = layer.function(*points)
        value.backward(like(value))
        del points
        assert [ref() for ref in alive if ref() is not None] == []
