"""What the tables of modes share: a layer by its public names, its judge, and comparisons."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from tests.plain import DEVICE, PLAIN, Plain, joined

Function = Callable[..., Tensor]


@dataclass(frozen=True)
class Layer:
    """The public names of a generated file.

    Attributes:
        name: Its name.
        function: Its function, as one of one output.
        module: Its module.
        node: Its node.
        own: Its function itself.
    """

    name: str
    function: Function
    module: Callable[..., nn.Module]
    node: type[torch.autograd.Function]
    own: Function


def load(name: str) -> Layer:
    """Import a layer of generated/ by the naming contract alone."""
    return of_file(importlib.import_module(f"generated.{name}"), name)


def of_file(file: ModuleType, name: str) -> Layer:
    """Return the layer of a file by its public names."""
    title = name.title().replace("_", "")
    function, module, node = (getattr(file, public) for public in (name, title, f"{title}Function"))
    value = joined(function) if hasattr(file, f"{title}Output") else function
    alone = name not in PLAIN or PLAIN[name].stateless
    return Layer(name, value, module if alone else partial(Applied, value), node, function)


class Applied(nn.Module):
    """A function that is not its module's: of parameters, which are inputs here, or of joined outputs."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def through(layer: Layer, function: Function) -> Layer:
    """Return the layer with another function in its place: the layer as a mode runs it."""
    return replace(layer, function=function)


def _airy_disk(r: Tensor) -> Tensor:
    """J1 by its power series: torch differentiates a polynomial, and no Bessel function."""
    total = torch.ones_like(r)
    for k in range(16, 0, -1):
        total = 1 - r**2 / (4 * k * (k + 1)) * total
    return total**2


def _log_softmax(x: Tensor) -> Tensor:
    """By hand: the forward rule of torch's own overwrites what its backward needs."""
    shifted = x - x.detach().amax(-1, keepdim=True)
    return shifted - torch.log(torch.exp(shifted).sum(-1, keepdim=True))


_SERIES = replace(PLAIN["airy_disk"], function=_airy_disk, ranges=((0.5, 2.5),), native=True)
JUDGES = PLAIN | {
    "airy_disk": _SERIES,
    "softmax": replace(PLAIN["softmax"], function=lambda x: torch.exp(_log_softmax(x))),
    "cross_entropy": replace(PLAIN["cross_entropy"], function=lambda x, t: -(_log_softmax(x) * t).sum(-1)),
}
"""The formulas, each differentiable by torch to every order.

The series keeps below 3: torch's own j1 is exact there, and wrong in the seventh digit above 5.
"""
COMPLEX = tuple(name for name, plain in PLAIN.items() if any(plain.complex))
"""The layers that have complex inputs."""


def of_complex(reason: str) -> dict[str, str]:
    """Return what torch cannot do with complex numbers: each layer that has them, and why."""
    return dict.fromkeys(COMPLEX, reason)


HALF = {"airy_disk": "torch has no Bessel function in half precision"}
NO_QUOTIENT = "torch has no quotient of complex32 on a CPU (pytorch/pytorch#77479)"
COMPLEX_HALF = of_complex(NO_QUOTIENT) if DEVICE == "cpu" else {}
CONJUGATE = of_complex("a subclass that takes operators apart loses conjugates (pytorch/pytorch#130646)")

Test = Callable[[Layer, Plain], None]


def always(plain: Plain) -> bool:
    return True


def several(plain: Plain) -> bool:
    """Whether there is a second input to differ from the first."""
    return len(plain.ranges) > 1


def elementwise(plain: Plain) -> bool:
    return not plain.scalar and not plain.rank


def stateless(plain: Plain) -> bool:
    return plain.stateless


def in_reals(plain: Plain) -> bool:
    return not any(plain.complex)


def in_complex_numbers(plain: Plain) -> bool:
    return any(plain.complex)


@dataclass(frozen=True)
class Mode:
    """A row of the matrix.

    Attributes:
        test: What must hold of a layer.
        where: The layers for which the question makes sense.
        xfail: What torch itself cannot do: the layer, or "*" for all, and why.
    """

    test: Test
    where: Callable[[Plain], bool] = always
    xfail: Mapping[str, str] = field(default_factory=dict)


class Table(dict[str, Mode]):
    """Modes by name; a decorated function is a row."""

    def row(
        self, where: Callable[[Plain], bool] = always, xfail: Mapping[str, str] | None = None
    ) -> Callable[[Test], Test]:
        def add(test: Test) -> Test:
            self[test.__name__] = Mode(test, where, xfail or {})
            return test

        return add

    def cells(self, plains: Mapping[str, Plain] = PLAIN) -> Iterator[object]:
        """Return one parameter a cell: a test, a layer's name, and its judge."""
        for title, mode in self.items():
            for name, plain in plains.items():
                if not mode.where(plain):
                    continue
                reason = mode.xfail.get(name, mode.xfail.get("*"))
                marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
                yield pytest.param(mode.test, name, plain, id=f"{title}-{name}", marks=marks)


def draw(plain: Plain, *shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> list[Tensor]:
    """Return random inputs, also without dimensions."""
    inputs = plain.inputs(*(shape or (1,)), dtype=dtype, seed=seed)
    return inputs if shape else [x[0] for x in inputs]


def leaves(plain: Plain, *shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> list[Tensor]:
    """Return random inputs that ask for a gradient."""
    return [x.requires_grad_() for x in draw(plain, *shape, dtype=dtype, seed=seed)]


def copies(inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the inputs as new leaves, of the same strides."""
    return [x.detach().requires_grad_(x.requires_grad) for x in inputs]


def like(value: Tensor, seed: int = 7) -> Tensor:
    """Return random numbers of the shape and strides of a tensor: a cotangent, or a tangent."""
    generator = torch.Generator().manual_seed(seed)
    dtype = torch.complex128 if value.is_complex() else torch.float64
    noise = torch.rand(value.shape, generator=generator, dtype=dtype).to(value.dtype) + 0.5
    return torch.empty_like(value, requires_grad=False).copy_(noise)


def gradients(value: Tensor, inputs: Sequence[Tensor], create_graph: bool = False) -> tuple[Tensor, ...]:
    """Return the gradients of a weighted sum of a value."""
    return torch.autograd.grad(
        value, [x for x in inputs if x.requires_grad], like(value), create_graph=create_graph
    )


def total(value: Tensor) -> Tensor:
    """Return one real number made of all of a tensor: a loss."""
    return (value.real + 2 * value.imag).sum() if value.is_complex() else value.sum()


def summed(function: Function) -> Function:
    return lambda *inputs: total(function(*inputs))


def double(value: Tensor) -> Tensor:
    """Return the same numbers, real or complex, in double precision."""
    return value.to(torch.promote_types(value.dtype, torch.float64))


def close(got: object, want: object, rtol: float = 1e-8, atol: float = 1e-10) -> None:
    torch.testing.assert_close(got, want, rtol=rtol, atol=atol, equal_nan=True)


def agree(layer: Layer, plain: Plain, inputs: Sequence[Tensor]) -> None:
    """Check value and gradients, with their types and shapes, against the formula's."""
    one, two = copies(inputs), copies(inputs)
    got, want = layer.function(*one), plain.function(*two)
    loose = {"rtol": 1e-4, "atol": 1e-5} if want.dtype in (torch.float32, torch.complex64) else {}
    close(got, want, **loose)
    assert got.requires_grad == want.requires_grad
    if want.requires_grad:
        close(gradients(got, one), gradients(want, two), **loose)
