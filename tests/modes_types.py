"""Types, and numbers among the inputs: value and gradient are as the plain formula's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor

from tests.modes_shapes import Shape, spread
from tests.modes_table import (
    COMPLEX_HALF,
    HALF,
    Layer,
    Mode,
    Table,
    agree,
    close,
    copies,
    double,
    draw,
    gradients,
    in_complex_numbers,
    in_reals,
    leaves,
    like,
    several,
    stateless,
)
from tests.plain import Plain

TYPED = Table()
row = TYPED.row

Number = int | float | complex
INTEGERS = (torch.int64, torch.int32, torch.bool)


def errors(found: Sequence[Tensor], exact: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    for f, e in zip(found, exact, strict=True):
        yield (double(f) - double(e)).abs(), double(e).abs()


def doubles(inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the inputs in double precision, as new leaves."""
    return [double(x.detach()).requires_grad_(x.requires_grad) for x in inputs]


def accurate(layer: Layer, plain: Plain, inputs: Sequence[Tensor]) -> None:
    """Types as the formula's; an error of few half-ulp, or twice that of the formula."""
    one, two = copies(inputs), copies(inputs)
    exact = doubles(inputs)
    got, want, true = layer.function(*one), plain.function(*two), plain.function(*exact)
    assert got.dtype == want.dtype
    weight = like(want)
    wrt = [[x for x in points if x.requires_grad] for points in (one, two, exact)]
    slopes = [
        torch.autograd.grad(y, p, weight.to(y.dtype)) for y, p in zip((got, want, true), wrt, strict=True)
    ]
    assert [s.dtype for s in slopes[0]] == [s.dtype for s in slopes[1]]
    found, formula, best = ([y.detach(), *s] for y, s in zip((got, want, true), slopes, strict=True))
    epsilon = max(torch.finfo(y.dtype).eps for y in (*found, *inputs) if y.dtype not in INTEGERS)
    theirs = [e.max() for e, _ in errors(formula, best)]
    for (error, size), other in zip(errors(found, best), theirs, strict=True):
        assert (error <= 2 * other + 4 * epsilon * size.amax() + 1e-30).all(), (error, other, size)


TYPES = {t: getattr(torch, t) for t in ("float16", "bfloat16", "float32", "float64")}
MIXED: dict[str, tuple[Sequence[str], Sequence[Shape]]] = {
    "float16_float32": (("float16", "float32"), ((4,),)),
    "float32_float16": (("float32", "float16"), ((4,),)),
    "bfloat16_float16": (("bfloat16", "float16"), ((4,),)),
    "float32_float64": (("float32", "float64"), ((4,),)),
    "0-dim_float64_float32": (("float64", "float32"), ((), (4,))),
    "float16_0-dim_float32": (("float16", "float32"), ((4,), ())),
}


def typed(names: Sequence[str], shapes: Sequence[Shape], layer: Layer, plain: Plain) -> None:
    accurate(layer, plain, spread(plain, *shapes, dtypes=[TYPES[n] for n in names]))


UNSIZED = "without dimensions left, a type hangs on where torch drops them"
MIXED_LIMITS = {
    "float16_float32": {x: why for x, why in COMPLEX_HALF.items() if x == "modrelu"},
    "float16_0-dim_float32": COMPLEX_HALF | {"cosine_similarity": UNSIZED},
}
TYPE_LIMITS = {"float16": HALF | COMPLEX_HALF, "bfloat16": HALF}

TYPED.update({f"dtype_{t}": Mode(partial(typed, (t,), ((8,),)), xfail=TYPE_LIMITS.get(t, {})) for t in TYPES})
TYPED.update(
    {
        f"dtypes_{name}": Mode(partial(typed, *kinds), several, MIXED_LIMITS.get(name, {}))
        for name, kinds in MIXED.items()
    }
)


@row(where=in_complex_numbers)
def real_among_complex(layer: Layer, plain: Plain) -> None:
    """Every choice of the inputs that are complex: the gradient of a real one is real."""
    for chosen in product((False, True), repeat=len(plain.ranges)):
        agree(layer, plain, as_chosen(plain, chosen))


def as_chosen(plain: Plain, chosen: Sequence[bool]) -> list[Tensor]:
    """Return inputs complex as chosen."""
    points = [x + 0.25j if on else x.real.clone() for x, on in zip(draw(plain, 3), chosen, strict=True)]
    return [x.requires_grad_() for x in points]


def whole(plain: Plain, dtype: torch.dtype = torch.int64) -> list[Tensor]:
    """Return whole real numbers near the ranges, positive where the range is."""
    numbers = [x.real.round() for x in draw(plain, 4)]
    return [
        (x if low.real < 0 else x.clamp(min=1)).to(dtype)
        for x, (low, _) in zip(numbers, plain.ranges, strict=True)
    ]


def one_integer(dtype: torch.dtype, layer: Layer, plain: Plain) -> None:
    """An integer tensor in each place: the gradient goes to the others."""
    for i in range(len(plain.ranges)):
        inputs = leaves(plain, 4, dtype=torch.float32)
        inputs[i] = whole(plain)[i].abs().to(dtype)
        try:
            plain.function(*inputs)
        except (RuntimeError, TypeError):
            continue
        accurate(layer, plain, inputs)


TYPED.update(
    {f"one_{str(t).removeprefix('torch.')}": Mode(partial(one_integer, t), several) for t in INTEGERS}
)


def without_floats(dtype: torch.dtype, layer: Layer, plain: Plain) -> None:
    """Type and value of the formula; where the formula refuses, an error too or the value in reals."""
    inputs = [x.abs().to(dtype) for x in whole(plain)]
    try:
        want = plain.function(*inputs)
    except (RuntimeError, TypeError):
        try:
            got = layer.function(*inputs)
        except (RuntimeError, TypeError):
            return
        close(got, plain.function(*(x.to(got.dtype) for x in inputs)), rtol=1e-5)
        return
    got = layer.function(*inputs)
    close(got, want, rtol=1e-5, atol=1e-5)
    assert not got.requires_grad


TYPED.update({f"all_{str(t).removeprefix('torch.')}": Mode(partial(without_floats, t)) for t in INTEGERS})


# Python numbers.


def with_number(plain: Plain, i: int, number: Number, inputs: Sequence[Tensor]) -> list[Tensor | Number]:
    return [number if i == j else x for j, x in enumerate(inputs)]


def one(kind: type[Number], x: Tensor, whole: Tensor) -> Tensor:
    """Return a number of a kind, of a tensor or near it, in double precision."""
    if kind is int:
        return double(whole[0])
    return double(x.detach().flatten()[0].real if kind is float else x.detach().flatten()[0])


def number(kind: type[Number], shape: Shape, dtype: torch.dtype, layer: Layer, plain: Plain) -> None:
    """A Python number in each place never widens the result; a tensor without dimensions judges its value."""
    for i in range(len(plain.ranges)):
        inputs = leaves(plain, *shape, dtype=dtype)
        inputs[i] = one(kind, inputs[i], whole(plain)[i])
        got = layer.function(*with_number(plain, i, kind(inputs[i].item()), inputs))
        exact = doubles(inputs)
        want = plain.function(*exact)
        others = [x for x in inputs if x is not inputs[i]]
        # There is no complex bfloat16.
        wide = dtype.to_complex().to_real() if any(x.is_complex() for x in others) else dtype
        assert got.dtype == (wide.to_complex() if want.is_complex() else wide)
        scale = 64 * torch.finfo(dtype).eps
        slopes = [gradients(y, points) for y, points in ((got, inputs), (want, exact))]
        assert [s.dtype for s in slopes[0]] == [x.dtype for x in inputs if x.requires_grad]
        for g, w in zip((got, *slopes[0]), (want, *slopes[1]), strict=True):
            close(double(g), w, rtol=scale, atol=scale * max(1, w.abs().max().item()))


NUMBERS = {"float64": (4,), "float32": (), "float16": (4,), "bfloat16": (4,)}
for _kind in (int, float):
    TYPED.update(
        {
            f"number_{_kind.__name__}_{t}": Mode(
                partial(number, _kind, shape, TYPES[t]), several, COMPLEX_HALF if t == "float16" else {}
            )
            for t, shape in NUMBERS.items()
        }
    )
for _name in ("float64", "float32"):
    TYPED[f"number_complex_{_name}"] = Mode(
        partial(number, complex, NUMBERS[_name], TYPES[_name]), in_complex_numbers
    )


@row(where=several, xfail={x: why for x, why in COMPLEX_HALF.items() if x != "modrelu"})
def number_half_0_dim(layer: Layer, plain: Plain) -> None:
    """Half without dimensions stays half with a Python number, though not with a tensor of it."""
    for i in range(len(plain.ranges)):
        inputs = draw(plain, dtype=torch.float16)
        value = layer.function(*with_number(plain, i, inputs[i].item(), inputs))
        assert value.dtype == plain.function(*inputs).dtype


@row(where=lambda p: several(p) and stateless(p))
def number_in_the_module(layer: Layer, plain: Plain) -> None:
    inputs = draw(plain, 3)
    inputs[-1] = inputs[-1][0]
    close(layer.module()(*inputs[:-1], inputs[-1].item()), plain.function(*inputs))


@row()
def only_numbers(layer: Layer, plain: Plain) -> None:
    for one in (1, 1.0):
        with pytest.raises(TypeError):
            layer.function(*[one] * len(plain.ranges))


@row(where=in_reals)
def complex_is_refused(layer: Layer, plain: Plain) -> None:
    for i in range(len(plain.ranges)):
        inputs = draw(plain, 3)
        inputs[i] = inputs[i].to(torch.complex128)
        with pytest.raises(TypeError, match="complex"):
            layer.function(*inputs)
