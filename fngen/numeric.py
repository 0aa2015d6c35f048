"""Numbers of constant subexpressions: exact where they are rational, else by mpmath.

mpmath is imported on first use: a formula of rational numbers needs none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

from fngen.functions import TABLE, special
from fngen.ir import COMPARISONS, Value, fold

if TYPE_CHECKING:
    from mpmath import mpf

Real = Any
"""A Fraction, an mpf, or for a condition a bool."""

DIGITS = 60
MAX_BITS = 4096
"""Size of a numerator or denominator: no float64 needs more than 2 * 1074."""
_LARGEST_BITS = 20_000
"""Binary exponent of a value beyond which nothing is worked out with it: exp of that takes for ever."""
_LARGEST_EXPONENT_BITS = 1100
"""Binary exponent of an exponent of which a power is infinite or 0: of a tower it takes for ever."""
_SPECIAL = frozenset(row.name for row in special.ROWS)
_SPECIAL_LIMIT = 10**5
"""Series for the special functions take for ever at larger arguments."""


class NotReal(ArithmeticError):
    """A constant that has no value: not a real number, or far too large."""


def exact_power(base: Fraction, exponent: Fraction) -> Fraction | None:
    """Return ``base**exponent``, or None where that is not rational."""
    if exponent.denominator != 1:
        return None
    if base == 0 and exponent < 0:
        raise NotReal("a division by zero")
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(base) in (0, 1):
        # As the exponent may have any size, only what matters of it: none, odd or even.
        exponent = exponent and 2 - exponent % 2
    elif (bits - 1) * abs(exponent) > MAX_BITS:
        raise NotReal("far beyond float64")
    return Fraction(base ** int(exponent))


def _quotient(a: Fraction, b: Fraction) -> Fraction:
    if b == 0:
        raise NotReal("a division by zero")
    return a / b


RATIONAL: dict[str, Callable[..., Fraction | None]] = {
    "neg": lambda a: -a,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _quotient,
    "pow": exact_power,
}
_COMPARE: dict[str, Callable[[Real, Real], bool]] = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
}


def apply(node: Value, args: list[Real]) -> Real:
    """Return the number that ``node`` makes of these numbers.

    Raises:
        NotReal: If there is none, or if it does not fit in a float64.
    """
    if node.op in COMPARISONS:
        a, b = args if all(isinstance(a, Fraction) for a in args) else map(to_mpf, args)
        return _COMPARE[node.op](a, b)
    if node.op in ("and", "or", "not", "true", "false"):
        return {
            "and": all(args),
            "or": any(args),
            "not": not all(args),
            "true": True,
            "false": False,
        }[node.op]
    if node.op == "where":
        return args[1] if args[0] else args[2]
    if node.op == "number":
        assert isinstance(node.datum, Fraction | Decimal)
        return _bounded(Fraction(node.datum))
    result = None
    if node.op in RATIONAL and all(isinstance(a, Fraction) for a in args):
        result = RATIONAL[node.op](*args)
    return _bounded(_by_mpmath(node.op, args) if result is None else result)


def apply_or_none(node: Value, args: list[Real]) -> Real | None:
    """Return the number that ``node`` makes, or None where there is none.

    A derived constant may have none, the logarithm in the derivative of ``0**y`` say.
    """
    try:
        return apply(node, args)
    except NotReal:
        return None


def _bounded(x: Real) -> Real:
    if abs(x) > sys.float_info.max:
        raise NotReal("beyond float64")
    if isinstance(x, Fraction) and x.denominator.bit_length() > MAX_BITS:
        raise NotReal("too small for float64")
    return x


def to_mpf(x: Real) -> mpf:
    """Return a Fraction or mpf as an mpf."""
    from mpmath import mp

    return mp.mpf(x.numerator) / x.denominator if isinstance(x, Fraction) else x


def _by_mpmath(op: str, args: list[Real]) -> mpf:
    from mpmath import mp

    with mp.workdps(DIGITS):
        values = [to_mpf(a) for a in args]
        if op in _SPECIAL and any(abs(v) > _SPECIAL_LIMIT for v in values):
            raise NotReal("too large an argument for a constant")
        try:
            result = mp_function(op)(*values)
        except Exception as error:  # mpmath has no class for "has no value, or I cannot find it".
            raise NotReal("not a real number") from error
        if not isinstance(result, mp.mpf) or not mp.isfinite(result):
            raise NotReal("not a real number")
        return result


@cache
def mp_function(op: str) -> Callable[..., Any]:
    """Return the function of real numbers, in mpmath, that an operator stands for."""
    from mpmath import mp

    arithmetic: dict[str, Callable[..., Any]] = {
        "pi": lambda: +mp.pi,
        "nan": lambda: mp.nan,
        "neg": lambda a: -a,
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: a / b,
        "where": lambda c, a, b: a if c else b,
        "pow": _mp_power,
        **_COMPARE,
    }
    if op in arithmetic:
        return arithmetic[op]
    row = TABLE[op]
    if not row.mpmath:
        return _mp_definition(op)
    name, _, first = row.mpmath.partition(" ")
    function: Callable[..., Any] = getattr(mp, name)
    return (lambda x: function(int(first), x)) if first else function


def _mp_power(x: Any, y: Any) -> Any:
    """Return a power, NaN or 0 where its exponent is beyond any that is worked out."""
    from mpmath import mp

    numbers = isinstance(x, mp.mpf) and isinstance(y, mp.mpf) and mp.isfinite(x) and mp.isfinite(y)
    if numbers and y and mp.mag(y) > _LARGEST_EXPONENT_BITS and abs(x) not in (0, 1):
        return mp.nan if (abs(x) > 1) == (y > 0) else mp.mpf(0)
    return mp.power(x, y)


def _mp_definition(op: str) -> Callable[..., Any]:
    from fngen.language.rules import definition

    body = definition(op)
    parameters = TABLE[op].parameters

    def function(*args: Any) -> Any:
        return mp_evaluate([body], dict(zip(parameters, args, strict=True)))[body]

    return function


def mp_evaluate(roots: list[Value], variables: dict[str, Any]) -> dict[Value, Any]:
    """Return the mpmath value of every node below ``roots``, NaN where there is none.

    Works at mpmath's current precision. Among real variables, a value that is not real is
    NaN, as in torch.
    """
    from mpmath import mp

    real = not any(isinstance(v, mp.mpc) for v in variables.values())

    def visit(node: Value, args: list[Any]) -> Any:
        return variables[str(node.datum)] if node.op == "name" else mp_apply(node, args, real=real)

    return fold(roots, visit)


def mp_apply(node: Value, args: list[Any], *, real: bool = True) -> Any:
    """Return the mpmath value that ``node`` makes of others, NaN where there is none."""
    from mpmath import mp

    if node.op == "number":
        assert isinstance(node.datum, Fraction | Decimal)
        return to_mpf(Fraction(node.datum))
    if node.op in ("and", "or", "not", "true", "false"):
        return apply(node, args)
    try:
        result = mp_function(node.op)(*args)
    except Exception:  # As above.
        return mp.nan
    if mp.isfinite(result) and result and mp.mag(result) > _LARGEST_BITS:
        return mp.nan
    return mp.nan if real and isinstance(result, mp.mpc) else result
