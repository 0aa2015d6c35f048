"""What autograd does around a derivative: checks by differences, choices of inputs, graphs, hooks."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.gradcheck import gradcheck as numeric_first
from torch.autograd.gradcheck import gradgradcheck as numeric_second

from tests.modes_table import Layer, Table, close, gradients, leaves, like, several, total
from tests.plain import Plain

ENGINE = Table()
row = ENGINE.row


@row()
def gradcheck(layer: Layer, plain: Plain) -> None:
    flags = dict.fromkeys(
        ("forward_ad", "batched_grad", "batched_forward_grad", "undefined_grad", "grad_dtypes"), True
    )
    inputs = leaves(plain, 2)
    assert numeric_first(layer.function, inputs, **{f"check_{flag}": on for flag, on in flags.items()})


@row()
def gradgradcheck(layer: Layer, plain: Plain) -> None:
    flags = dict.fromkeys(
        ("fwd_over_rev", "rev_over_rev", "batched_grad", "undefined_grad", "grad_dtypes"), True
    )
    inputs = leaves(plain, 1)
    assert numeric_second(layer.function, inputs, **{f"check_{flag}": on for flag, on in flags.items()})


@row(where=several)
def tangents_of_some(layer: Layer, plain: Plain) -> None:
    """Only one input has a tangent."""
    inputs = plain.inputs(3)
    for i, x in enumerate(inputs):
        with forward_ad.dual_level():
            points = [*inputs[:i], forward_ad.make_dual(x, like(x)), *inputs[i + 1 :]]
            close(*(forward_ad.unpack_dual(f(*points)).tangent for f in (layer.function, plain.function)))


@row()
def needs_input_grad(layer: Layer, plain: Plain) -> None:
    """Every choice of the inputs that ask for a gradient; the others get none."""
    for chosen in product((False, True), repeat=len(plain.ranges)):
        inputs = [x.requires_grad_(on) for x, on in zip(plain.inputs(3), chosen, strict=True)]
        value = layer.function(*inputs)
        assert value.requires_grad == any(chosen)
        if any(chosen):
            close(gradients(value, inputs), gradients(plain.function(*inputs), inputs))


@row()
def undefined_gradient(layer: Layer, plain: Plain) -> None:
    """A node downstream passes no gradient at all."""

    class Nothing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return None

    inputs = leaves(plain, 3)
    total(Nothing.apply(layer.function(*inputs))).backward()
    assert all(x.grad is None or not x.grad.any() for x in inputs)


@row()
def retain_graph(layer: Layer, plain: Plain) -> None:
    """Twice through one graph, summed into .grad; a third time there is no graph."""
    inputs = leaves(plain, 3)
    value = layer.function(*inputs)
    weight = like(value)
    value.backward(weight, retain_graph=True)
    value.backward(weight)
    want = gradients(plain.function(*inputs), inputs)
    close([x.grad for x in inputs], [2 * g for g in want])
    with pytest.raises(RuntimeError, match="a second time"):
        value.backward(weight)


@row()
def create_graph_then_not(layer: Layer, plain: Plain) -> None:
    inputs = leaves(plain, 3)
    value = layer.function(*inputs)
    first = gradients(value, inputs, create_graph=True)
    second = gradients(value, inputs)
    assert not any(g.requires_grad for g in second)
    close([g.detach() for g in first], list(second))


@row()
def change_in_place(layer: Layer, plain: Plain) -> None:
    """What is written over after use is an error, or had not been needed: never a wrong gradient."""
    for i in range(len(plain.ranges)):
        inputs = leaves(plain, 3)
        points = [x.clone() for x in inputs]
        value, want = layer.function(*points), gradients(plain.function(*inputs), inputs)
        with torch.no_grad():
            points[i].add_(0.25)
        try:
            got = gradients(value, inputs)
        except RuntimeError:
            continue
        close(got, want)


@row()
def hooks(layer: Layer, plain: Plain) -> None:
    """Hooks of a tensor and of the node see the gradients, and may replace them."""
    seen: list[Tensor] = []
    inputs = leaves(plain, 3)
    want = gradients(plain.function(*inputs), inputs)
    points = [x.clone() for x in inputs]
    for point in points:
        point.register_hook(lambda g: seen.append(g) or 3 * g)
    value = layer.function(*points)
    value.grad_fn.register_hook(lambda to, of: seen.append(of[0]))
    close(gradients(value, inputs), tuple(3 * g for g in want))
    assert len(seen) == len(inputs) + 1
