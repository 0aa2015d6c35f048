"""What torch makes of a function at points: its value and its partial derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fngen.ir import Value
from fngen.verification.reference import evaluate

Function = Callable[..., Tensor]


def plain(graph: Value, inputs: Sequence[str]) -> Function:
    """Return a formula as torch's operators, one by one."""

    def function(*tensors: Tensor) -> Tensor:
        return evaluate([graph], dict(zip(inputs, tensors, strict=True)))[graph]

    return function


def one_at_a_time(function: Function) -> Function:
    """Return what a function that reduces everything makes of each element alone."""

    def each(*tensors: Tensor) -> Tensor:
        return torch.stack([function(*xs) for xs in zip(*(t.unbind() for t in tensors), strict=True)])

    return each


def computed(
    function: Function, points: Sequence[tuple[float, ...]], dtype: torch.dtype, order: int
) -> list[list[float]]:
    """Return value, first partials and with ``order`` 2 the second ones, each at every point.

    The first partials are those of a backward that nobody differentiates, the second ones autograd's of
    the backward.
    """
    leaves = [torch.tensor(x, dtype=dtype) for x in zip(*points, strict=True)]
    if not order:
        return [_full(function(*leaves), leaves[0]).double().tolist()]
    value, slopes = _differentiated(function, leaves, create_graph=False)
    found = [value, *slopes]
    if order == 2:
        inputs = [x.clone().requires_grad_() for x in leaves]
        _, slopes = _differentiated(function, inputs, create_graph=True)
        for i, slope in enumerate(slopes):
            found += _gradients(slope, inputs[i:], create_graph=False, retain_graph=True)
    return [t.detach().double().tolist() for t in found]


def _full(value: Tensor, like: Tensor) -> Tensor:
    return value if value.shape == like.shape else value.expand(like.shape)


def _differentiated(
    function: Function, leaves: Sequence[Tensor], *, create_graph: bool
) -> tuple[Tensor, list[Tensor]]:
    inputs = leaves if create_graph else [x.clone().requires_grad_() for x in leaves]
    value = _full(function(*inputs), inputs[0])
    return value, _gradients(value, inputs, create_graph=create_graph)


def _gradients(
    value: Tensor, inputs: Sequence[Tensor], *, create_graph: bool, retain_graph: bool | None = None
) -> list[Tensor]:
    if not value.requires_grad:
        return [torch.zeros_like(x) for x in inputs]
    found = torch.autograd.grad(
        value,
        inputs,
        torch.ones_like(value),
        allow_unused=True,
        create_graph=create_graph,
        retain_graph=retain_graph,
    )
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]
