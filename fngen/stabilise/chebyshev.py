"""Polynomials that are near a power series on an interval: shorter than what the series needs at its ends."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

from flint import arb, arb_mat, arb_poly, ctx, fmpq

_BITS = 400
_NODES = 64
_NOISE = 2.0**-20


def economised(series: Sequence[Any], low: Fraction, high: Fraction, error: float) -> list[Any]:
    """Return the coefficients of the shortest polynomial that is near a series from ``low`` to ``high``.

    Its Chebyshev series is cut off (Lanczos, "Applied Analysis", 1956, ch. VII): what is left out is at
    most the sum of its coefficients.

    Args:
        series: The Taylor coefficients at 0.
        low: Where the interval begins.
        high: Where it ends.
        error: How far the polynomial may be from the series.
    """
    before = ctx.prec
    try:
        ctx.prec = _BITS
        middle, half = (_ball((high + sign * low) / 2) for sign in (1, -1))
        along = arb_poly(list(series))(arb_poly([middle, half]))
        found = _chebyshev(along)
        rest = arb(0)
        while len(found) > 1 and rest + abs(found[-1]) < error:
            rest += abs(found.pop())
        total = _sum(found)(arb_poly([-middle / half, 1 / half]))
        sizes = [_ball(max(abs(low), abs(high)) ** k) for k in range(len(found))]
        return [total[k] if abs(total[k]) * size > error * _NOISE else arb(0) for k, size in enumerate(sizes)]
    finally:
        ctx.prec = before


def _chebyshev(polynomial: Any) -> list[Any]:
    """Return the coefficients, in polynomials of Chebyshev, of one with less terms than there are nodes."""
    cosines = _cosines()
    values = [polynomial(cosines[2 * i + 1]) for i in range(_NODES)]
    sums = (_transform() * arb_mat(_NODES, 1, values)).entries()
    return [total * (2 if k else 1) / _NODES for k, total in enumerate(sums)]


@cache
def _cosines() -> list[Any]:
    """Return the cosines of multiples of a quarter turn over the number of nodes."""
    return [arb(fmpq(i, 2 * _NODES)).cos_pi() for i in range(4 * _NODES)]


@cache
def _transform() -> Any:
    """Return the matrix of the cosine transform: a polynomial of Chebyshev at all nodes in each row."""
    cosines = _cosines()
    places = (k * (2 * i + 1) % (4 * _NODES) for k in range(_NODES) for i in range(_NODES))
    return arb_mat(_NODES, _NODES, [cosines[place] for place in places])


def _sum(coefficients: Sequence[Any]) -> Any:
    """Return a sum of Chebyshev polynomials as one, by Clenshaw's recurrence."""
    z, after, last = arb_poly([0, 1]), arb_poly([0]), arb_poly([0])
    for c in reversed(coefficients[1:]):
        after, last = 2 * z * after - last + c, after
    return z * after - last + coefficients[0]


def _ball(x: Fraction) -> Any:
    return arb(fmpq(x.numerator, x.denominator))
