"""What each function of the table is in mathematics, in ball arithmetic.

Written from the definitions in the literature and in torch's manual, never from the table:
an error in the table must not be repeated here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, ClassVar, Protocol

import torch
from flint import acb, arb, ctx, fmpq
from mpmath import mp, mpf
from torch import Tensor

from fngen.functions import Function

Point = tuple[float, ...]
Exact = arb | fmpq | int
Definition = Callable[..., arb]

BITS = 800
STEP_BITS = 160
"""Differences of third order lose 3 * 160 of 800 bits; truncation leaves 320 right."""
CENTRAL, RIGHT, LEFT = (-1, 1), (0, 1), (-1, 0)
HALF, HUNDREDTH = fmpq(1, 2), fmpq(1, 100)


class Reference(Protocol):
    """A function of real numbers with its partial derivatives."""

    digits: ClassVar[int]

    def exact(self, point: Point) -> mpf:
        """Return the value to ``digits`` digits, NaN where there is no real one."""
        ...

    def derivative(self, point: Point, indices: tuple[int, ...] = ()) -> float:
        """Return the derivative by the parameters in ``indices``, NaN where there is none."""
        ...

    def is_smooth(self, point: Point, moving: Sequence[int], order: int = 2) -> bool:
        """Say whether the derivatives by the ``moving`` parameters are the same from both sides."""
        ...


def reference(row: Function) -> Reference:
    """Return the oracle of a row: its definition here, else torch's own operator.

    Raises:
        LookupError: If there is neither.
    """
    if row.name in ORACLES:
        return BallReference(ORACLES[row.name])
    operator = torch_operator(row)
    if operator is None or not _is_differentiable(operator, len(row.parameters)):
        raise LookupError(
            f"an oracle is missing for {row.name!r}: add its definition to ORACLES in tests/oracle.py,"
            " or an operator that torch differentiates to its row"
        )
    return TorchReference(operator)


@dataclass(frozen=True)
class BallReference:
    """A definition in ball arithmetic, differentiated by differences at many digits."""

    function: Definition
    digits: ClassVar[int] = 45

    def exact(self, point: Point) -> mpf:
        with ctx.workprec(BITS), mp.workprec(BITS):
            y = self.function(*map(arb, point))
            return mp.mpf(y) if _is_sharp(y) else mp.nan

    def derivative(self, point: Point, indices: tuple[int, ...] = ()) -> float:
        with ctx.workprec(BITS):
            y = self._difference(list(map(arb, point)), indices, CENTRAL)
            return float(y) if _is_sharp(y) else math.nan

    def is_smooth(self, point: Point, moving: Sequence[int], order: int = 2) -> bool:
        with ctx.workprec(BITS):
            x = list(map(arb, point))
            steep = arb(2) ** 64 * (1 + abs(self.function(*x)))
            pairs = ([self._difference(x, k, side) for side in (LEFT, RIGHT)] for k in _orders(moving, order))
            return all(_same(left, right) and abs(left) < steep for left, right in pairs)

    def _difference(self, x: list[arb], indices: tuple[int, ...], sides: tuple[int, int]) -> arb:
        if not indices:
            return self.function(*x)
        i, rest = indices[0], indices[1:]
        step = arb(2) ** -STEP_BITS
        low, high = (self._difference([*x[:i], x[i] + s * step, *x[i + 1 :]], rest, sides) for s in sides)
        return (high - low) / (step * (sides[1] - sides[0]))


def _orders(moving: Sequence[int], order: int) -> Iterator[tuple[int, ...]]:
    for n in range(1, order + 1):
        yield from combinations_with_replacement(moving, n)


def _is_sharp(y: arb) -> bool:
    return y.is_finite() and y.rad() <= arb(2) ** -150 * (1 + abs(y.mid()))


def _same(a: arb, b: arb) -> bool:
    return _is_sharp(a) and _is_sharp(b) and abs(a - b) < arb(2) ** -60 * (1 + abs(a.mid()))


@dataclass(frozen=True)
class TorchReference:
    """An operator of torch, differentiated by torch."""

    operator: Callable[..., Tensor]
    digits: ClassVar[int] = 13

    def exact(self, point: Point) -> mpf:
        return mp.mpf(self.derivative(point))

    def derivative(self, point: Point, indices: tuple[int, ...] = ()) -> float:
        inputs = tensors(point)
        return differentiate(self.operator(*inputs), inputs, indices).item()

    def is_smooth(self, point: Point, moving: Sequence[int], order: int = 2) -> bool:
        return all(self._is_continuous(point, i, k) for k in _orders(moving, order) for i in moving)

    def _is_continuous(self, point: Point, i: int, indices: tuple[int, ...]) -> bool:
        shifted = ((*point[:i], point[i] + d, *point[i + 1 :]) for d in (0, -1e-7, 1e-7))
        at, left, right = (self.derivative(p, indices) for p in shifted)
        return abs(left - at) + abs(right - at) < 1e-3 * (1 + abs(at))


def tensors(point: Sequence[float] | Sequence[Sequence[float]]) -> list[Tensor]:
    """Return a float64 leaf for each coordinate."""
    return [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in point]


def differentiate(y: Tensor, inputs: Sequence[Tensor], indices: Sequence[int]) -> Tensor:
    """Return the derivative of an elementwise result by autograd, differentiated again and again."""
    for i in indices:
        slope = None
        if y.requires_grad:
            (slope,) = torch.autograd.grad(y.sum(), inputs[i], create_graph=True, allow_unused=True)
        y = torch.zeros_like(inputs[i]) if slope is None else slope
    return y


def torch_operator(row: Function) -> Callable[..., Tensor] | None:
    """Return torch's own operator for a row, or None."""
    if row.name in OPERATORS:
        return OPERATORS[row.name]
    if not row.torch:
        return None
    operator: Any = torch
    for part in row.torch.removeprefix("torch.").split("."):
        operator = getattr(operator, part)
    return operator  # type: ignore[no-any-return]


def _is_differentiable(operator: Callable[..., Tensor], count: int) -> bool:
    inputs = tensors([0.5] * count)
    try:
        y = operator(*inputs)
        differentiate(y, inputs, (count - 1, count - 1))
    except (RuntimeError, TypeError):
        return False
    # torch gives the Bessel functions without derivatives as if they were constant.
    return y.requires_grad


OPERATORS: dict[str, Callable[..., Tensor]] = {
    "elu": lambda x, alpha: torch.nn.functional.elu(x, alpha.item()),
    "celu": lambda x, alpha: torch.nn.functional.celu(x, alpha.item()),
    "leaky_relu": lambda x, slope: torch.nn.functional.leaky_relu(x, slope.item()),
    "hardtanh": lambda x, low, high: torch.nn.functional.hardtanh(x, low.item(), high.item()),
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "polygamma": lambda n, x: torch.polygamma(int(n.item()), x),
    "square": torch.square,
    "reciprocal": torch.reciprocal,
    "heaviside": torch.heaviside,
}
"""torch's operators where the row names none, or where they take a number for a tensor."""


def _where(condition: bool, x: Exact, y: Exact) -> arb:
    return arb(x if condition else y)


def _nan() -> arb:
    return arb.nan()


def _inside(condition: bool, function: Callable[[], arb]) -> arb:
    return function() if condition else _nan()


def _sign(x: arb) -> arb:
    return x.sgn()


def _round(x: arb) -> arb:
    below = x.floor()
    odd = not (below / 2).is_integer()
    return below + int(x - below > HALF or (x - below == HALF and odd))


def _trunc(x: arb) -> arb:
    return x.ceil() if x < 0 else x.floor()


def _heaviside(x: arb, at_zero: Exact = HALF) -> arb:
    return _where(x == 0, at_zero, int(x > 0))


def _smaller(x: arb, y: Exact) -> arb:
    return _where(x < y, x, y)


def _larger(x: arb, y: Exact) -> arb:
    return _where(x > y, x, y)


def _clamp(x: arb, low: Exact, high: Exact) -> arb:
    return _smaller(_larger(x, low), high)


def _pow(x: arb, y: arb) -> arb:
    if y.is_integer():
        return x**y
    return arb(0) if x == 0 and y > 0 else _inside(x > 0, lambda: (y * x.log()).exp())


def _product_log(x: arb, y: arb) -> arb:
    return arb(0) if x == 0 and y >= 0 else x * y.log()


def _acosh(x: arb) -> arb:
    return (x + ((x - 1) * (x + 1)).sqrt()).log() if x >= 1 else _nan()


def _atanh(x: arb) -> arb:
    return ((1 + x) / (1 - x)).log() / 2


def _asinh(x: arb) -> arb:
    return _sign(x) * (abs(x) + (x * x + 1).sqrt()).log()


def _sinc_slope(x: arb) -> arb:
    return arb(0) if x == 0 else (x.cos_pi() - x.sinc_pi()) / x


def _sigmoid(x: arb) -> arb:
    return 1 / (1 + (-x).exp())


def _softplus(x: arb) -> arb:
    return (1 + x.exp()).log()


def _ndtr(x: arb) -> arb:
    return (-x / arb(2).sqrt()).erfc() / 2


def _polygamma(n: arb, x: arb) -> arb:
    return x.digamma() if n == 0 else acb(x).polygamma(n).real


def _zeta(s: arb, q: Exact = 1) -> arb:
    return _inside(s > 1 and q > 0, lambda: s.zeta(arb(q)))


def _beta(a: arb, b: arb) -> arb:
    return a.gamma() * b.gamma() * (a + b).rgamma()


def _bessel_y(x: arb, n: int) -> arb:
    return _inside(x > 0, lambda: x.bessel_y(n))


def _bessel_k(x: arb, n: int) -> arb:
    return _inside(x > 0, lambda: x.bessel_k(n))


def _hard_sigmoid(x: arb) -> arb:
    return _clamp(x + 3, 0, 6) / 6


def _elu(x: arb, alpha: Exact = 1) -> arb:
    return x if x > 0 else alpha * (x.exp() - 1)


def _celu(x: arb, alpha: Exact = 1) -> arb:
    return x if x > 0 else alpha * ((x / alpha).exp() - 1)


def _selu(x: arb) -> arb:
    # Klambauer et al. 2017, as many digits as torch has.
    alpha, scale = arb("1.6732632423543772848170429916717"), arb("1.0507009873554804934193349852946")
    return scale * _elu(x, alpha)


def _gelu_tanh(x: arb) -> arb:
    # Hendrycks and Gimpel 2016.
    return x / 2 * (1 + ((2 / arb.pi()).sqrt() * (x + fmpq(44715, 10**6) * x**3)).tanh())


def _entr(x: arb) -> arb:
    return arb(0) if x == 0 else -x * x.log()


def _logistic_pdf(x: arb) -> arb:
    return x.exp() / (1 + x.exp()) ** 2


def _bose(x: arb) -> arb:
    # Its pole has two sides, and no value.
    return _inside(x != 0, lambda: 1 / (x.exp() - 1))


ORACLES: dict[str, Definition] = {
    "abs": abs,
    "sign": _sign,
    "floor": lambda x: x.floor(),
    "ceil": lambda x: x.ceil(),
    "round": _round,
    "trunc": _trunc,
    "frac": lambda x: x - _trunc(x),
    "heaviside": _heaviside,
    "maximum": _larger,
    "minimum": _smaller,
    "clamp_min": _larger,
    "clamp_max": _smaller,
    "clamp": _clamp,
    "floor_divide": lambda x, y: (x / y).floor(),
    "remainder": lambda x, y: x - y * (x / y).floor(),
    "fmod": lambda x, y: x - y * _trunc(x / y),
    "pow": _pow,
    "sqrt": lambda x: x.sqrt(),
    "rsqrt": lambda x: 1 / x.sqrt(),
    "cbrt": lambda x: _sign(x) * abs(x).root(3),
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "hypot": lambda x, y: (x * x + y * y).sqrt(),
    "exp": lambda x: x.exp(),
    "exp2": lambda x: (x * arb(2).log()).exp(),
    "expm1": lambda x: x.exp() - 1,
    "log": lambda x: x.log(),
    "log_base": lambda x, base: x.log() / base.log(),
    "log2": lambda x: x.log() / arb(2).log(),
    "log10": lambda x: x.log() / arb(10).log(),
    "log1p": lambda x: (1 + x).log(),
    "logaddexp": lambda x, y: (x.exp() + y.exp()).log(),
    "xlogy": _product_log,
    "xlog1py": lambda x, y: _product_log(x, 1 + y),
    "sin": lambda x: x.sin(),
    "cos": lambda x: x.cos(),
    "tan": lambda x: x.sin() / x.cos(),
    "sec": lambda x: 1 / x.cos(),
    "csc": lambda x: 1 / x.sin(),
    "cot": lambda x: x.cos() / x.sin(),
    "asin": lambda x: x.asin(),
    "acos": lambda x: x.acos(),
    "atan": lambda x: x.atan(),
    "atan2": lambda y, x: arb.atan2(y, x),
    "acot": lambda x: (1 / x).atan(),
    "asec": lambda x: (1 / x).acos(),
    "acsc": lambda x: (1 / x).asin(),
    "sinc": lambda x: x.sinc_pi(),
    "sinpi": lambda x: x.sin_pi(),
    "cospi": lambda x: x.cos_pi(),
    "sinc_slope": _sinc_slope,
    "sinh": lambda x: (x.exp() - (-x).exp()) / 2,
    "cosh": lambda x: (x.exp() + (-x).exp()) / 2,
    "tanh": lambda x: 1 - 2 / ((2 * x).exp() + 1),
    "sech": lambda x: 2 / (x.exp() + (-x).exp()),
    "csch": lambda x: 2 / (x.exp() - (-x).exp()),
    "coth": lambda x: 1 + 2 / ((2 * x).exp() - 1),
    "asinh": _asinh,
    "acosh": _acosh,
    "atanh": _atanh,
    "acoth": lambda x: _atanh(1 / x),
    "asech": lambda x: _acosh(1 / x) if x > 0 else _nan(),
    "acsch": lambda x: _asinh(1 / x),
    "erf": lambda x: x.erf(),
    "erfc": lambda x: x.erfc(),
    "erfinv": lambda x: x.erfinv(),
    "erfcx": lambda x: (x * x).exp() * x.erfc(),
    "ndtr": _ndtr,
    "ndtri": lambda p: arb(2).sqrt() * (2 * p - 1).erfinv(),
    "log_ndtr": lambda x: _ndtr(x).log(),
    "gamma": lambda x: x.gamma(),
    "gammasgn": lambda x: _sign(x.gamma()),
    "lgamma": lambda x: abs(x.gamma()).log(),
    "digamma": lambda x: x.digamma(),
    "polygamma": _polygamma,
    "beta": _beta,
    "zeta": _zeta,
    "j0": lambda x: x.bessel_j(0),
    "j1": lambda x: x.bessel_j(1),
    "j1_over_x": lambda x: arb(HALF) if x == 0 else x.bessel_j(1) / x,
    "y0": lambda x: _bessel_y(x, 0),
    "y1": lambda x: _bessel_y(x, 1),
    "i0": lambda x: x.bessel_i(0),
    "i1": lambda x: x.bessel_i(1),
    "i1_over_x": lambda x: arb(HALF) if x == 0 else x.bessel_i(1) / x,
    "i1e_over_x": lambda x: arb(HALF) if x == 0 else (-abs(x)).exp() * x.bessel_i(1) / x,
    "i0e": lambda x: (-abs(x)).exp() * x.bessel_i(0),
    "i1e": lambda x: (-abs(x)).exp() * x.bessel_i(1),
    "k0": lambda x: _bessel_k(x, 0),
    "k1": lambda x: _bessel_k(x, 1),
    "k0e": lambda x: x.exp() * _bessel_k(x, 0),
    "k1e": lambda x: x.exp() * _bessel_k(x, 1),
    "sigmoid": _sigmoid,
    "logsigmoid": lambda x: _sigmoid(x).log(),
    "logit": lambda p: (p / (1 - p)).log(),
    "softplus": _softplus,
    "softsign": lambda x: x / (1 + abs(x)),
    "silu": lambda x: x * _sigmoid(x),
    "mish": lambda x: x * _softplus(x).tanh(),
    "gelu": lambda x: x * _ndtr(x),
    "gelu_tanh": _gelu_tanh,
    "tanhshrink": lambda x: x - x.tanh(),
    "entr": _entr,
    "elu": _elu,
    "celu": _celu,
    "selu": _selu,
    "relu": lambda x: _larger(x, 0),
    "relu6": lambda x: _clamp(x, 0, 6),
    "leaky_relu": lambda x, slope=HUNDREDTH: x if x > 0 else slope * x,
    "hardtanh": lambda x, low=-1, high=1: _clamp(x, low, high),
    "hardsigmoid": _hard_sigmoid,
    "hardswish": lambda x: x * _hard_sigmoid(x),
    "logistic": _sigmoid,
    "logistic_pdf": _logistic_pdf,
    "full_logistic": _sigmoid,
    "full_logistic_pdf": _logistic_pdf,
    "log1pexp": _softplus,
    "log1mexp": lambda x: _inside(x < 0, lambda: (1 - x.exp()).log()),
    "logcosh": lambda x: ((x.exp() + (-x).exp()) / 2).log(),
    "bose": _bose,
    "full_sech": lambda x: 2 / (x.exp() + (-x).exp()),
    "normal_tail": lambda x: (x / arb(2).sqrt()).erfc(),
    "log_normal_tail": lambda x: ((x / arb(2).sqrt()).erfc() / 2).log(),
    "exp_sum": lambda x, y: (x + y).exp(),
    "expm1_sum": lambda x, y: (x + y).exp() - 1,
    "logistic_sum": lambda x, y: _sigmoid(x + y),
    "logistic_pdf_sum": lambda x, y: _logistic_pdf(x + y),
    "bose_sum": lambda x, y: _bose(x + y),
    "exp_square": lambda x, c: (c * x * x).exp(),
}
"""The definition of each function, as a function of balls; NaN where it is not real."""
