"""Power series in one variable that may begin with poles: these cancel, or the function has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from flint import arb, arb_series, ctx, fmpq

from fngen.accuracy.choices import NO, YES
from fngen.accuracy.plan import KNOWN, Plan
from fngen.accuracy.undefined import NOWHERE
from fngen.ir import Value

LENGTH = 60
"""Coefficients of a series."""
_BITS = 400
_NOISE = arb(2) ** -200
_LEAST = 24
"""Coefficients that must be left of a series for it to be of use."""


class NoSeries(ArithmeticError):
    """A function that has none at 0, or of which too little is known."""


@dataclass(frozen=True)
class Laurent:
    """Coefficients from the power ``start`` on."""

    coefficients: tuple[Any, ...]
    start: int = 0

    def without_zeros(self) -> Laurent:
        """Return the series from its first coefficient that is not 0 on."""
        for i, c in enumerate(self.coefficients):
            if not c.is_zero():
                return Laurent(self.coefficients[i:], self.start + i)
        raise NoSeries

    def from_power(self, start: int) -> Laurent:
        """Return the series from a lower power on."""
        zeros = (arb(0),) * (self.start - start)
        return Laurent((*zeros, *self.coefficients)[:LENGTH], start)

    def series(self) -> arb_series:
        """Return the same without poles, as functions take it."""
        if all(c.is_zero() for c in self.coefficients):
            return arb_series([0], LENGTH)
        found = self.without_zeros()
        if found.start < 0 or len(found.coefficients) < _LEAST:
            raise NoSeries
        padded = found.from_power(0).coefficients
        return arb_series(list(padded), len(padded))


Cell = Any
"""A Laurent series, an arb, or what choices are made of."""


def at_zero(root: Value, variable: str) -> tuple[Any, ...]:
    """Return the Taylor coefficients at 0 of a function of one variable.

    Raises:
        NoSeries: If it has none.
    """
    try:
        plan = Plan.of(root, [variable], KNOWN)
    except (LookupError, NotImplementedError):
        raise NoSeries from None
    before = ctx.prec, ctx.cap
    try:
        ctx.prec, ctx.cap = _BITS, LENGTH
        cells = plan.constants()
        for _, place in plan.inputs:
            cells[place] = Laurent((arb(1), *[arb(0)] * (LENGTH - 1)), 1)
        for operator, args, place in plan.steps:
            cells[place] = _applied(operator, [cells[a] for a in args])
        found = cells[plan.result]
        if not isinstance(found, Laurent):
            raise NoSeries
        series = found.series()
        return tuple(series[k] for k in range(series.prec))
    except (ValueError, ZeroDivisionError):  # As the series of flint say that there is none.
        raise NoSeries from None
    finally:
        ctx.prec, ctx.cap = before


def has_no_root(root: Value, variable: str, ends: Sequence[Fraction]) -> bool:
    """Say whether a function is certainly nowhere 0 between the first and last of so many ends, in order."""
    plan = Plan.of(root, [variable], KNOWN)
    edges = [arb(fmpq(end.numerator, end.denominator)) for end in ends]
    balls = (plan.run(plan.constants(), [a.union(b)]) for a, b in pairwise(edges))
    return all(isinstance(ball, arb) and ball.is_finite() and not ball.contains(0) for ball in balls)


def _applied(operator: Any, args: list[Cell]) -> Cell:
    if NOWHERE in args:
        raise NoSeries
    if not any(isinstance(a, Laurent) for a in args):
        result = operator(*args)
        return result[0] if isinstance(result, arb_series) else result
    if operator is KNOWN["where"] and args[0] in (YES, NO):
        return args[1] if args[0] == YES else args[2]
    if operator in _ARITHMETIC:
        return _ARITHMETIC[operator](*args)
    if operator is KNOWN["pow"] and isinstance(args[0], Laurent) and isinstance(args[1], arb):
        n = args[1].unique_fmpz()
        if n is not None and abs(int(n)) <= 64:
            return _power(args[0], int(n))
    result = operator(*[a.series() if isinstance(a, Laurent) else a for a in args])
    if result is NOWHERE:
        raise NoSeries
    return _cell(result)


def _cell(result: Any) -> Cell:
    if not isinstance(result, arb_series):
        return result
    found = [_without_noise(result[k]) for k in range(result.prec)]
    if not all(c.is_finite() for c in found):
        raise NoSeries
    return Laurent(tuple(found))


def _without_noise(ball: Any) -> Any:
    """Return exactly 0 for what cannot be told from it at all these digits."""
    return arb(0) if ball.contains(0) and ball.rad() < _NOISE else ball


def _as_laurent(cell: Cell) -> Laurent:
    return cell if isinstance(cell, Laurent) else Laurent((arb(cell), *[arb(0)] * (LENGTH - 1)))


def _sum(a: Cell, b: Cell) -> Cell:
    a, b = _as_laurent(a), _as_laurent(b)
    start = min(a.start, b.start)
    pairs = zip(a.from_power(start).coefficients, b.from_power(start).coefficients, strict=False)
    return Laurent(tuple(_without_noise(x + y) for x, y in pairs), start)


def _negated(a: Laurent) -> Laurent:
    return Laurent(tuple(-c for c in a.coefficients), a.start)


def _flint(a: Laurent, length: int) -> arb_series:
    """Return coefficients without the power that they begin with."""
    found = list(a.coefficients[:length])
    return arb_series(found, len(found))


def _product(a: Cell, b: Cell) -> Cell:
    a, b = _as_laurent(a), _as_laurent(b)
    return Laurent(_cell(_flint(a, LENGTH) * _flint(b, LENGTH)).coefficients, a.start + b.start)


def _quotient(a: Cell, b: Cell) -> Cell:
    a, b = _as_laurent(a), _as_laurent(b).without_zeros()
    length = min(len(a.coefficients), len(b.coefficients))
    return Laurent(_cell(_flint(a, length) / _flint(b, length)).coefficients, a.start - b.start)


def _power(a: Laurent, n: int) -> Cell:
    result: Cell = arb(1)
    for _ in range(abs(n)):
        result = _product(result, a)
    return _quotient(arb(1), result) if n < 0 else result


_ARITHMETIC: dict[Callable[..., Any], Callable[..., Cell]] = {
    KNOWN["add"]: _sum,
    KNOWN["sub"]: lambda a, b: _sum(a, _negated(_as_laurent(b))),
    KNOWN["neg"]: _negated,
    KNOWN["mul"]: _product,
    KNOWN["div"]: _quotient,
}
