"""One row of the list of layers: a formula, and what it equals."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Range = tuple[float, float]
REAL, POSITIVE, UNIT = (-3.0, 3.0), (0.4, 2.5), (0.05, 0.95)


class _WithGradients(torch.autograd.Function):
    """A value with gradients of its own, which autograd differentiates as they stand."""

    @staticmethod
    def forward(ctx: Any, value: Callable[..., Tensor], gradients: Any, *xs: Tensor) -> Tensor:
        ctx.gradients = gradients
        ctx.save_for_backward(*xs)
        return value(*xs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        return None, None, *(gradient(grad, *ctx.saved_tensors) for gradient in ctx.gradients)


def with_gradients(value: Callable[..., Tensor], *gradients: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a function with these gradients: each is made of the cotangent and the inputs."""
    return lambda *xs: _WithGradients.apply(value, gradients, *xs)


@dataclass(frozen=True)
class Row:
    """A layer.

    Attributes:
        formula: In fngen's language.
        twin: What it equals: a function of its inputs, then its parameters, with the declared gradients.
        equals: The twin's name, for the table.
        ranges: For each input the lowest and highest value of a test.
        params: Its parameters with their first values.
        consts: Its constants.
        grads: Its declared gradients.
        inputs: Its inputs, where the formula has them in another order.
        shape: The shape in which it is tested.
    """

    formula: str
    twin: Callable[..., Tensor]
    equals: str = "by hand"
    ranges: tuple[Range, ...] = (REAL,)
    params: Mapping[str, float] = field(default_factory=dict)
    consts: Mapping[str, float] = field(default_factory=dict)
    grads: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] | None = None
    shape: tuple[int, ...] = (6, 5)

    @property
    def reduces(self) -> bool:
        """Whether there is a reduction in the formula."""
        return "dim=" in self.formula or bool(re.search(r"\b(sum|mean|norm|logsumexp)\(", self.formula))

    @property
    def options(self) -> dict[str, object]:
        return {"params": self.params, "consts": self.consts, "grads": self.grads, "inputs": self.inputs}
