"""Shapes and strides: the layer returns what the plain formula returns, in value and in gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from tests.modes_table import (
    Layer,
    Mode,
    Table,
    agree,
    close,
    draw,
    gradients,
    in_complex_numbers,
    leaves,
    like,
    several,
)
from tests.plain import Plain

SHAPES = Table()
row = SHAPES.row

Shape = tuple[int, ...]

PATTERNS: dict[str, tuple[Shape, Shape]] = {
    "0-dim": ((), ()),
    "empty": ((0,), (0,)),
    "empty_matrix": ((3, 0), (3, 0)),
    "empty_by_one": ((0,), (1,)),
    "column_by_row": ((3, 1), (1, 4)),
    "0-dim_by_matrix": ((), (2, 3)),
    "matrix_by_0-dim": ((2, 3), ()),
    "vector_by_cube": ((3,), (2, 1, 3)),
    "one_by_vector": ((1,), (4,)),
    "ones_by_vector": ((1, 1), (3,)),
    "ones_by_0-dim": ((1, 1), ()),
    "matrix_by_row": ((2, 3), (1, 3)),
}


def spread(plain: Plain, *shapes: Shape, dtypes: Sequence[torch.dtype] = (torch.float64,)) -> list[Tensor]:
    """Return inputs whose shapes and types repeat a pattern."""
    kinds = [(shapes[i % len(shapes)], dtypes[i % len(dtypes)]) for i in range(len(plain.ranges))]
    return [leaves(plain, *shape, dtype=dtype)[i] for i, (shape, dtype) in enumerate(kinds)]


def broadcast(shapes: tuple[Shape, Shape], layer: Layer, plain: Plain) -> None:
    agree(layer, plain, spread(plain, *shapes))
    agree(layer, plain, spread(plain, *reversed(shapes)))


SHAPES.update({f"shape_{name}": Mode(partial(broadcast, shapes)) for name, shapes in PATTERNS.items()})

VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed": lambda x: x.transpose(0, 2),
    "strided": lambda x: x[:, ::2],
    "last_strided": lambda x: x[..., ::2],
    "reversed": lambda x: x.flip(0).permute(3, 0, 2, 1),
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "expanded": lambda x: x[:1].expand(5, -1, -1, -1),
    "stride_0": lambda x: x[:1, :1, :1, :1].expand(2, 3, 4, 4),
}


def view(change: Callable[[Tensor], Tensor], layer: Layer, plain: Plain) -> None:
    """Value and gradient, and the strides of both: those of the formula's."""
    for every in (True, False):
        raw = [x.requires_grad_() for x in draw(plain, 2, 3, 4, 4)]
        points = [
            change(x) if every or i == 0 else change(x).detach().sum(0) * 0 + x.mean()
            for i, x in enumerate(raw)
        ]
        values = [f(*points) for f in (layer.function, plain.function)]
        slopes = [torch.autograd.grad(value, points, like(values[1])) for value in values]
        close(values[0], values[1])
        close(slopes[0], slopes[1])
        assert values[0].stride() == values[1].stride()
        close(
            *(torch.autograd.grad(f(*points), raw, like(values[1])) for f in (layer.function, plain.function))
        )


LAZY: dict[str, Callable[[Tensor], Tensor]] = {
    "conjugate": Tensor.conj,
    "real_part": lambda x: x.real,
    "negative_imaginary_part": lambda x: x.conj().imag if x.is_complex() else x,
}

ORDER = (
    "of inputs that lie in different orders the first decides, and a form that keeps digits has another first"
)
REORDERED = ("transposed", "reversed", "channels_last")
SHAPES.update(
    {
        f"view_{name}": Mode(
            partial(view, change), xfail={"lennard_jones": ORDER} if name in REORDERED else {}
        )
        for name, change in VIEWS.items()
    }
)
SHAPES.update(
    {f"view_{name}": Mode(partial(view, change), in_complex_numbers) for name, change in LAZY.items()}
)


@row()
def strides_of_gradients(layer: Layer, plain: Plain) -> None:
    """The gradient of a leaf in channels_last is in channels_last, or as the formula has it."""
    inputs = [
        x.contiguous(memory_format=torch.channels_last).requires_grad_() for x in draw(plain, 2, 3, 4, 5)
    ]
    got, want = (gradients(f(*inputs), inputs) for f in (layer.function, plain.function))
    for x, g, w in zip(inputs, got, want, strict=True):
        assert g.stride() in (x.stride(), w.stride())


@row(where=several)
def shapes_that_do_not_fit(layer: Layer, plain: Plain) -> None:
    with pytest.raises(RuntimeError, match="must match"):
        layer.function(*spread(plain, (2,), (3,)))
