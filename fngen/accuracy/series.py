"""Balls, and truncated power series with balls as coefficients.

An argument is an ``arb`` if it does not change along the line that is looked at, else an ``arb_series``: then
the result is one, as long. A coefficient is NaN where the precision does not suffice or a derivative does
not exist; ``NOWHERE`` is what is certainly no real number.
"""

from __future__ import annotations

from typing import Any

from flint import arb, arb_series

from fngen.accuracy.undefined import NOWHERE

Series = Any
"""An arb, an arb_series, or NOWHERE."""
MOST_COEFFICIENTS = 3
"""A value and two derivatives."""


STILL = arb_series([0], MOST_COEFFICIENTS)
"""What gives its length to a series made of constants."""


def constant(x: Series) -> Any:
    """Return the value at the point itself."""
    return x[0] if isinstance(x, arb_series) else x


def moves(*xs: Series) -> bool:
    """Say whether one of them changes along the line."""
    return any(isinstance(x, arb_series) for x in xs)


def at_point_only(value: Any, *like: Series) -> Series:
    """Return a series with this value and derivatives that are not known."""
    length = min((x.prec for x in like if isinstance(x, arb_series)), default=0)
    if not length or value is NOWHERE:
        return value
    return arb_series([value, *[arb.nan()] * (length - 1)], length)


def expanded(coefficients: list[Any], x: arb_series) -> arb_series:
    """Return the function of these Taylor coefficients at the constant of ``x``, of ``x``."""
    length = x.prec
    inner = arb_series([0, *(x[k] for k in range(1, length))], length)
    result = arb_series([coefficients[-1]], length)
    for c in reversed(coefficients[:-1]):
        result = result * inner + c
    return result
