"""Special functions of balls and of power series, by their equations in the literature (DLMF)."""

from __future__ import annotations

from collections.abc import Callable
from math import comb, factorial
from typing import Any

from flint import arb, arb_series

from fngen.accuracy.elementary import Operator
from fngen.accuracy.series import Series, at_point_only, constant, expanded, moves
from fngen.accuracy.undefined import NOWHERE


def _by_taylor(function: Callable[[Any, int], list[Any]]) -> Callable[[Series], Series]:
    """Return a function of series, of one that returns so many Taylor coefficients at a ball."""

    def result(x: Series) -> Series:
        if x is NOWHERE:
            return x
        if not moves(x):
            found = function(x, 1)
            return NOWHERE if found[0] is NOWHERE else found[0]
        found = function(x[0], x.prec)
        return NOWHERE if found[0] is NOWHERE else expanded(found, x)

    return result


def _coefficients(series: arb_series, length: int) -> list[Any]:
    return [series[k] for k in range(length)]


def _log_gamma(x: Any, length: int) -> list[Any]:
    """log(abs(gamma(x)))."""
    near = arb_series([x, 1], length)
    if x > 0:
        return _coefficients(near.lgamma(), length)
    inverse = near.rgamma()
    if inverse[0] < 0:
        inverse = -inverse
    return _coefficients(-inverse.log(), length)


def _erfc(x: Any) -> Any:
    """Arb bounds the error of erfc absolutely. The logarithm of erfc changes less than 2*x + 2 times x."""
    if not x > 1 or x.is_exact():
        return x.erfc()
    middle, radius = x.mid(), x.rad()
    return middle.erfc() * arb(1, (radius * (2 * (middle + radius) + 2)).expm1())


def _error_complement(x: Any, length: int) -> list[Any]:
    """The series of Arb itself takes erf from 1, which leaves nothing far out."""
    near = arb_series([x, 1], length)
    slope = (-near * near).exp() * (-2 / arb.pi().sqrt())
    return [_erfc(x), *(slope[k] / (k + 1) for k in range(length - 1))]


def _polygamma(n: int) -> Callable[[Any, int], list[Any]]:
    def function(x: Any, length: int) -> list[Any]:
        higher = _log_gamma(x, length + n + 1)
        return [higher[k + n + 1] * (factorial(k + n + 1) // factorial(k)) for k in range(length)]

    return function


def polygamma(n: Series, x: Series) -> Series:
    """Return a derivative of digamma."""
    order = constant(n).unique_fmpz()
    assert order is not None
    return _by_taylor(_polygamma(int(order)))(x)


def zeta(s: Series, q: Series) -> Series:
    """Return Hurwitz's zeta function; along both of its arguments it is not differentiated."""
    if s is NOWHERE or q is NOWHERE or constant(s) < 1 or constant(q) <= 0:
        return NOWHERE
    if not moves(s, q):
        return s.zeta(q)
    if not moves(q) and isinstance(s, arb_series):
        return s.zeta(q)
    if moves(s):
        return at_point_only(constant(s).zeta(constant(q)), s, q)
    found, factor = [], arb(1)
    for k in range(q.prec):
        found.append(factor * (s + k).zeta(constant(q)))
        factor = factor * -(s + k) / (k + 1)
    return expanded(found, q)


def _bessel(name: str, order: int, terms: Callable[[int, int], int]) -> Callable[[Any, int], list[Any]]:
    """Return the Taylor coefficients of a Bessel function, by DLMF 10.6.7 and 10.29.5."""

    def function(x: Any, length: int) -> list[Any]:
        if name in ("bessel_y", "bessel_k") and not x > 0:
            return [NOWHERE if x < 0 else arb.nan()] * length
        at = {k: getattr(x, name)(k) for k in range(order - length + 1, order + length)}
        return [
            sum((terms(k, j) * comb(k, j) * at[order - k + 2 * j] for j in range(k + 1)), arb(0))
            / (2**k * factorial(k))
            for k in range(length)
        ]

    return function


def _alternating(_: int, j: int) -> int:
    return -1 if j % 2 else 1


def _error_inverse(x: Any, length: int) -> list[Any]:
    """Newton's method doubles the number of coefficients that are right."""
    if x > 1 or x < -1:
        return [NOWHERE]
    wanted = arb_series([x, 1], length)
    y, right = arb_series([x.erfinv()], length), 1
    while right < length:
        y = y - (y.erf() - wanted) * (y * y).exp() * arb.pi().sqrt() / 2
        right *= 2
    return _coefficients(y, length)


SPECIAL: dict[str, Operator] = {
    "erf": lambda x: x.erf(),
    "erfc": _by_taylor(_error_complement),
    "erfinv": _by_taylor(_error_inverse),
    "lgamma": _by_taylor(_log_gamma),
    "gamma": lambda x: x.gamma(),
    "digamma": _by_taylor(_polygamma(0)),
    "polygamma": polygamma,
    "zeta": zeta,
    "j0": _by_taylor(_bessel("bessel_j", 0, _alternating)),
    "j1": _by_taylor(_bessel("bessel_j", 1, _alternating)),
    "y0": _by_taylor(_bessel("bessel_y", 0, _alternating)),
    "y1": _by_taylor(_bessel("bessel_y", 1, _alternating)),
    "i0": _by_taylor(_bessel("bessel_i", 0, lambda k, j: 1)),
    "i1": _by_taylor(_bessel("bessel_i", 1, lambda k, j: 1)),
    "k0": _by_taylor(_bessel("bessel_k", 0, lambda k, j: -1 if k % 2 else 1)),
    "k1": _by_taylor(_bessel("bessel_k", 1, lambda k, j: -1 if k % 2 else 1)),
}
"""Those that are not written in terms of others."""

EXACTLY = {
    "sinpi": "sin(pi*x)",
    "cospi": "cos(pi*x)",
    "sinc_slope": "(cos(pi*x) - sinc(x))/x",
    "j1_over_x": "j1(x)/x",
    "i1_over_x": "i1(x)/x",
    "i1e_over_x": "exp(-abs(x))*i1(x)/x",
    "logistic": "1/(1 + exp(-x))",
    "logistic_pdf": "1/(2 + exp(x) + exp(-x))",
    "full_logistic": "1/(1 + exp(-x))",
    "full_logistic_pdf": "1/(2 + exp(x) + exp(-x))",
    "log1mexp": "log(1 - exp(x))",
    "logcosh": "log(cosh(x))",
    "bose": "1/(exp(x) - 1)",
    "full_sech": "1/cosh(x)",
    "normal_tail": "erfc(x/sqrt(2))",
    "log_normal_tail": "log(erfc(x/sqrt(2))/2)",
    "exp_sum": "exp(x + y)",
    "expm1_sum": "exp(x + y) - 1",
    "logistic_sum": "1/(1 + exp(-(x + y)))",
    "logistic_pdf_sum": "1/(2 + exp(x + y) + exp(-(x + y)))",
    "bose_sum": "1/(exp(x + y) - 1)",
    "exp_square": "exp(c*x**2)",
}
"""What the table writes in a form that is good for float64."""
