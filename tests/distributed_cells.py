"""What the distributed tests share: a cell, and the layers as modules with torch's own formula beside them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tests.modes_table import load
from tests.plain import PLAIN


@dataclass(frozen=True)
class Cell:
    """One thing to try with one layer.

    Attributes:
        layer: The layer's name.
        case: What is tried.
        check: Raises where a module, ours or the plain formula's, gives something else than one process does.
    """

    layer: str
    case: str
    check: Callable[[nn.Module], None]


class PlainModule(nn.Module):
    """The formula by hand: what torch can do without us."""

    def __init__(self, name: str):
        super().__init__()
        self.function = PLAIN[name].function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def generated_module(name: str) -> nn.Module:
    """Return the layer's module."""
    module = importlib.import_module(f"generated.{name}")
    exported = [getattr(module, x) for x in module.__all__]
    (found,) = [x for x in exported if isinstance(x, type) and issubclass(x, nn.Module)]
    return found() if PLAIN[name].stateless else load(name).module()


def assert_close(got: Tensor, want: Tensor, what: str) -> None:
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9, msg=lambda text: f"{what}: {text}")
