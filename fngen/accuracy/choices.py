"""Comparisons, choices and steps of balls and series: decided at the point, and changing there or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flint import arb

from fngen.accuracy.series import STILL, Series, at_point_only, combined, constant, moves
from fngen.accuracy.undefined import NOWHERE

Truth = Any
"""Bit 0: whether it holds. Bit 1: only just, it changes here. None: it cannot be told. NOWHERE."""

NO, YES, CHANGES = 0, 1, 2


def compare(decided: Callable[[Any, Any], bool], at_equality: bool) -> Callable[[Series, Series], Truth]:
    """Return a comparison: ``decided`` of what is apart, ``at_equality`` of what is the same."""

    def comparison(a: Series, b: Series) -> Truth:
        if a is NOWHERE or b is NOWHERE:
            return NOWHERE
        x, y = constant(a), constant(b)
        if x < y or x > y:
            return int(decided(x, y))
        if x.is_exact() and y.is_exact() and x.is_finite() and y.is_finite():
            return int(at_equality) | (CHANGES if moves(a, b) else 0)
        return None

    return comparison


def all_of(*truths: Truth) -> Truth:
    """Return whether all hold."""
    if any(t is NOWHERE for t in truths):
        return NOWHERE
    if NO in truths:
        return NO
    if None in truths:
        return None
    return int(all(t & YES for t in truths)) | (CHANGES if any(t & CHANGES for t in truths) else 0)


def negated(truth: Truth) -> Truth:
    """Return whether it does not hold."""
    return truth if truth is None or truth is NOWHERE else truth ^ YES


def any_of(*truths: Truth) -> Truth:
    """Return whether one holds."""
    return negated(all_of(*map(negated, truths)))


def where(truth: Truth, a: Series, b: Series) -> Series:
    """Return the choice between two; if it cannot be told, a ball around both."""
    if truth is None:
        return NOWHERE if a is NOWHERE and b is NOWHERE else _around(a, b)
    if truth is NOWHERE:
        return NOWHERE
    chosen = a if truth & YES else b
    if truth & CHANGES and not _same(a, b) and chosen is not NOWHERE:
        moving = [x for x in (a, b) if moves(x)]
        return at_point_only(constant(chosen), *moving or [STILL])
    return chosen


def _same(a: Series, b: Series) -> bool:
    return a is b or (isinstance(a, arb) and isinstance(b, arb) and bool(a == b))


def _around(a: Series, b: Series) -> Series:
    if a is NOWHERE or b is NOWHERE:
        return at_point_only(arb.nan(), a, b)
    return combined(lambda x, y: x.union(y), a, b)


def sign(x: Series) -> Series:
    """Return the sign."""
    if x is NOWHERE:
        return x
    c = constant(x)
    if c > 0 or c < 0:
        return arb(1 if c > 0 else -1)
    return at_point_only(c.sgn(), x)


def absolute(x: Series) -> Series:
    """Return the absolute value."""
    if x is NOWHERE:
        return x
    c = constant(x)
    if c >= 0 or c <= 0:
        away = x if c >= 0 else -x
        return at_point_only(abs(c), x) if c.is_zero() and moves(x) else away
    return _around(x, -x)


def stepwise(step: Callable[[Any], Any], jumps: Callable[[Any], bool]) -> Callable[[Series], Series]:
    """Return a function that is constant between the points at which it jumps."""

    def function(x: Series) -> Series:
        if x is NOWHERE:
            return x
        c = constant(x)
        value = step(c)
        if value.is_exact():
            return at_point_only(value, x) if jumps(c) else value
        return value if not moves(x) else at_point_only(value, x)

    return function


def round_to_even(x: Any) -> Any:
    """Return the nearest integer, of two the even one."""
    twice = 2 * x
    if twice.is_integer() and not x.is_integer():
        below = x.floor()
        return below if (below / 2).is_integer() else below + 1
    return (x + arb(0.5)).floor()
