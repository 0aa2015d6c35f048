"""Where a layer is known to differ from the entry of PyTorch's operator database that it was made for."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tests.op_db_rows import Departure

INTEGRAL = (torch.int64, torch.uint8)
"""The integers that are tested; bool has no arithmetic."""
FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
COMPLEX = (torch.complex64, torch.complex128)


def _nan(x: Tensor, *_: Tensor) -> Tensor:
    return x.isnan()


def _any_nan(x: Tensor, y: Tensor) -> Tensor:
    return x.isnan() | y.isnan()


def _infinite(x: Tensor, *_: Tensor) -> Tensor:
    return x.isinf()


def _everywhere(x: Tensor, *_: Tensor) -> Tensor:
    return torch.ones_like(x, dtype=torch.bool)


def _undefined(x: Tensor) -> Tensor:
    return torch.full_like(x, torch.nan)


DEPARTURES = (
    Departure(
        ("acosh",),
        "gradient",
        lambda x: ~(x >= 1),
        "there is no real function below 1; torch gives a slope, without a sign even",
        truth=_undefined,
    ),
    Departure(
        ("copysign",),
        "gradient",
        _infinite,
        "torch divides the result by x, which is inf/inf",
        truth=lambda x, y: x.sign() * torch.where(y.signbit(), -1, 1),
    ),
    Departure(("copysign",), "gradient", _nan, "torch divides the result by x, a NaN"),
    Departure(
        ("nn.functional.softsign",),
        "gradient",
        _infinite,
        "torch differentiates the quotient, and gets inf/inf",
        truth=torch.zeros_like,
    ),
    Departure(
        ("special.i1", "special.i1e"),
        "gradient",
        _nan,
        "torch takes NaN for 0, and gives the slope there",
        truth=_undefined,
    ),
    Departure(
        ("nn.functional.celu", "nn.functional.hardshrink", "nn.functional.selu", "nn.functional.softshrink"),
        "gradient",
        _nan,
        "torch's vectorised loop and the one for the rest of a tensor disagree at NaN",
        fault="none",
    ),
    Departure(
        ("nn.functional.elu", "nn.functional.hardtanh", "nn.functional.relu6"),
        "gradient",
        _nan,
        "torch's vectorised loop and the one for the rest disagree at NaN, and halves take another way",
        fault="none",
        dtypes=(torch.float16, torch.bfloat16),
    ),
    Departure(
        ("nn.functional.margin_ranking_loss",),
        "gradient",
        lambda a, b, y: ~(a - b).isfinite(),
        "torch multiplies the 0 beyond the margin by inf or NaN",
        fault="none",
    ),
    Departure(
        ("nn.functional.poisson_nll_loss",),
        "gradient",
        lambda x, y: y == 0,
        "torch multiplies the 0 of the branch that it does not take by log(0)",
    ),
    Departure(
        ("__rdiv__",),
        "gradient",
        lambda x, y: (y / x.double() ** 2).abs() > 30_000,
        "a sum of slopes beyond float16: which of them are infinite depends on the order of g*y/x/x",
        fault="none",
        dtypes=(torch.float16,),
    ),
    Departure(
        ("complex",),
        "value",
        lambda x, y, i: y.isinf(),
        "i times a real number is a product of complex numbers, in which 0*inf is nan",
        fault="none",
        dtypes=FLOATING,
    ),
    Departure(
        ("expm1",),
        "gradient",
        lambda x: (x.real == -torch.inf) & ~x.imag.isfinite(),
        "torch's expm1 is nan where exp is 0, and the slope is made of it",
        truth=torch.exp,
        dtypes=COMPLEX,
    ),
    Departure(
        ("ldexp",),
        "gradient 1",
        lambda x, y: (x * torch.exp2(y)).abs() > torch.finfo(x.dtype).max / 16,
        "torch multiplies by log(2) last, and overflows before",
        truth=lambda x, y: math.log(2) * x * torch.exp2(y),
        dtypes=(torch.complex128,),
    ),
    Departure(
        ("polar",),
        "gradient 0",
        lambda x, y, i: x <= 0,
        "torch takes sgn of the result for exp(i*y), which has the other sign below 0 and is 0 at 0",
        truth=lambda x, y, i: torch.exp(i * y),
        dtypes=FLOATING,
    ),
)
