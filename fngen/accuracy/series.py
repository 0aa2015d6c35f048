"""Balls, and truncated power series with balls as coefficients.

An argument is an ``arb`` if it does not change along the line that is looked at, else an ``arb_series``: then
the result is one, as long. A coefficient is NaN where the precision does not suffice or a derivative does
not exist; ``NOWHERE`` is what is certainly no real number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flint import arb, arb_series

from fngen.accuracy.extremes import Split, Vast
from fngen.accuracy.mixed import Mixed
from fngen.accuracy.undefined import NOWHERE

Series = Any
"""An arb, an arb_series, a Mixed, a Split, a Vast, or NOWHERE."""
MOVING = (arb_series, Mixed)
MOST_COEFFICIENTS = 3
"""A value and two derivatives."""

STILL = arb_series([0], MOST_COEFFICIENTS)
"""What gives its length to a series made of constants."""


def constant(x: Series) -> Any:
    """Return the value at the point itself."""
    if isinstance(x, arb):
        return x
    if isinstance(x, Split):
        return constant(x.plain())
    return x[0] if isinstance(x, (*MOVING, Vast)) else x


def moves(*xs: Series) -> bool:
    """Say whether one of them changes along the line."""
    return any(isinstance(x, MOVING) or (isinstance(x, Split | Vast) and moves(x.line)) for x in xs)


def plain(x: Series) -> Series:
    """Return a ball or series, without what is beyond balls."""
    if isinstance(x, Split):
        return x.plain()
    return at_point_only(arb.nan(), x.line) if isinstance(x, Vast) else x


def at_point_only(value: Any, *like: Series) -> Series:
    """Return a series with this value and derivatives that are not known."""
    if value is NOWHERE:
        return value
    like = tuple(x.line if isinstance(x, Split | Vast) else x for x in like)
    if any(isinstance(x, Mixed) for x in like):
        return Mixed(value, *[arb.nan()] * 3)
    length = min((x.prec for x in like if isinstance(x, arb_series)), default=0)
    return arb_series([value, *[arb.nan()] * (length - 1)], length) if length else value


def expanded(coefficients: list[Any], x: Series) -> Series:
    """Return the function of these Taylor coefficients at the constant of ``x``, of ``x``."""
    if isinstance(x, Mixed):
        return x.expanded(coefficients)
    length = x.prec
    inner = arb_series([0, *(x[k] for k in range(1, length))], length)
    result = arb_series([coefficients[-1]], length)
    for c in reversed(coefficients[:-1]):
        result = result * inner + c
    return result


def with_constant(x: Series, value: Any) -> Series:
    """Return a series with another value at the point."""
    if isinstance(x, Mixed):
        return Mixed(value, *x.coefficients[1:])
    return arb_series([value, *(x[k] for k in range(1, x.prec))], x.prec) if moves(x) else value


def combined(function: Callable[[Any, Any], Any], a: Series, b: Series) -> Series:
    """Return a function of each coefficient of two series."""
    a, b = plain(a), plain(b)
    if not moves(a, b):
        return function(a, b)
    if any(isinstance(x, Mixed) for x in (a, b)):
        pairs = zip((a + Mixed(*_ZEROS)).coefficients, (b + Mixed(*_ZEROS)).coefficients, strict=True)
        return Mixed(*(function(x, y) for x, y in pairs))
    length = min(x.prec for x in (a, b) if isinstance(x, arb_series))
    x, y = (z if isinstance(z, arb_series) else arb_series([z], length) for z in (a, b))
    return arb_series([function(x[k], y[k]) for k in range(length)], length)


_ZEROS = (arb(0),) * 4
