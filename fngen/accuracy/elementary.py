"""Elementary functions of balls and of series."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flint import arb

from fngen.accuracy.choices import (
    absolute,
    all_of,
    any_of,
    compare,
    negated,
    round_to_even,
    sign,
    stepwise,
    where,
)
from fngen.accuracy.series import Series, at_point_only, constant, moves
from fngen.accuracy.undefined import NOWHERE

_LONGEST_PRODUCT = 64


def divide(a: Series, b: Series) -> Series:
    """Return the quotient."""
    if a is NOWHERE or b is NOWHERE:
        return NOWHERE
    if constant(b).is_zero():
        return at_point_only(arb.nan(), a, b)
    return a / b


def logarithm(x: Series) -> Series:
    """Return the natural logarithm."""
    return NOWHERE if x is NOWHERE or constant(x) < 0 else x.log()


def square_root(x: Series) -> Series:
    """Return the square root."""
    if x is NOWHERE or constant(x) < 0:
        return NOWHERE
    if constant(x).is_zero():
        return at_point_only(arb(0), x)
    return x.sqrt()


def power(base: Series, exponent: Series) -> Series:
    """Return a power: of a negative base for an integer exponent only."""
    if base is NOWHERE or exponent is NOWHERE:
        return NOWHERE
    b, e = constant(base), constant(exponent)
    n = e.unique_fmpz() if e.is_integer() else None
    if n is not None and not moves(exponent):
        return _integer_power(base, int(n))
    if b > 0:
        return (base.log() * exponent).exp()
    if b.is_zero():
        value = arb(0) if e > 0 else arb(1) if e.is_zero() else arb.nan()
        return at_point_only(value, base, exponent)
    if b < 0 and n is not None:
        return at_point_only(_integer_power(b, int(n)), base, exponent)
    return NOWHERE if b < 0 and not e.contains_integer() else at_point_only(arb.nan(), base, exponent)


def _integer_power(base: Series, n: int) -> Series:
    if n == 0:
        return arb(1)
    if n < 0 and constant(base).is_zero():
        return at_point_only(arb.nan(), base)
    if abs(n) <= _LONGEST_PRODUCT:
        # The power of a ball that holds 0 is none to Arb, whatever the exponent.
        return _product(base, n) if isinstance(base, arb) and not base.is_exact() else base**n
    b = constant(base)
    if b.is_zero():
        return at_point_only(arb(0), base)
    if not (b > 0 or b < 0):
        return at_point_only(arb.nan(), base)
    size = ((base if b > 0 else -base).log() * n).exp()
    return -size if b < 0 and n % 2 else size


def _product(base: Any, n: int) -> Any:
    """Return a power by squares and products."""
    found = arb(1)
    for bit in f"{abs(n):b}":
        found = found * found * base if bit == "1" else found * found
    return found if n > 0 else 1 / found


def arc_sine(x: Series) -> Series:
    """Return the arc sine."""
    if x is NOWHERE or constant(x) > 1 or constant(x) < -1:
        return NOWHERE
    c = constant(x)
    return at_point_only(c.asin(), x) if c.is_exact() and abs(c) == 1 else x.asin()


def arc_cosine(x: Series) -> Series:
    """Return the arc cosine."""
    if x is NOWHERE or constant(x) > 1 or constant(x) < -1:
        return NOWHERE
    c = constant(x)
    return at_point_only(c.acos(), x) if c.is_exact() and abs(c) == 1 else x.acos()


def arc_tangent_2(y: Series, x: Series) -> Series:
    """Return the angle of the point ``(x, y)``; it jumps where x is negative and y is 0."""
    if x is NOWHERE or y is NOWHERE:
        return NOWHERE
    a, b = constant(x), constant(y)
    if not moves(x, y):
        return arb.atan2(b, a)
    half = arb.pi() / 2
    if b > 0:
        return half - (x / y).atan()
    if b < 0:
        return -half - (x / y).atan()
    return (y / x).atan() if a > 0 else at_point_only(arb.atan2(b, a), x, y)


def hypotenuse(x: Series, y: Series) -> Series:
    """Return the length of a vector."""
    return square_root(x * x + y * y)


def hyperbolic_tangent(x: Series) -> Series:
    """Return the hyperbolic tangent."""
    return x if x is NOWHERE else 1 - 2 / ((2 * x).exp() + 1)


def area_sine(x: Series) -> Series:
    """Return the inverse of sinh."""
    if x is NOWHERE:
        return x
    if constant(x) < 0:
        return -area_sine(-x)
    return (x + (x * x + 1).sqrt()).log()


def area_cosine(x: Series) -> Series:
    """Return the inverse of cosh."""
    if x is NOWHERE or constant(x) < 1:
        return NOWHERE
    return logarithm(x + square_root((x - 1) * (x + 1)))


def area_tangent(x: Series) -> Series:
    """Return the inverse of tanh."""
    if x is NOWHERE or constant(x) > 1 or constant(x) < -1:
        return NOWHERE
    if constant(x).is_exact() and abs(constant(x)) == 1:
        return at_point_only(arb.nan(), x)
    return ((1 + x) / (1 - x)).log() / 2


Operator = Callable[..., Any]
OPERATORS: dict[str, Operator] = {
    "neg": lambda a: -a,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": divide,
    "pow": power,
    "lt": compare(lambda a, b: a < b, at_equality=False),
    "le": compare(lambda a, b: a < b, at_equality=True),
    "gt": compare(lambda a, b: a > b, at_equality=False),
    "ge": compare(lambda a, b: a > b, at_equality=True),
    "eq": compare(lambda a, b: False, at_equality=True),
    "ne": compare(lambda a, b: True, at_equality=False),
    "and": all_of,
    "or": any_of,
    "not": negated,
    "where": where,
    "stop_gradient": constant,
    "abs": absolute,
    "sign": sign,
    "floor": stepwise(lambda x: x.floor(), lambda x: bool(x.is_integer())),
    "ceil": stepwise(lambda x: x.ceil(), lambda x: bool(x.is_integer())),
    "round": stepwise(round_to_even, lambda x: bool((2 * x).is_integer() and not x.is_integer())),
    "sqrt": square_root,
    "hypot": hypotenuse,
    "exp": lambda x: x.exp(),
    "expm1": lambda x: x.exp() - 1,
    "log": logarithm,
    "log10": lambda x: logarithm(x) / arb(10).log(),
    "log1p": lambda x: logarithm(1 + x),
    "sin": lambda x: x.sin(),
    "cos": lambda x: x.cos(),
    "tan": lambda x: x.sin() / x.cos(),
    "asin": arc_sine,
    "acos": arc_cosine,
    "atan": lambda x: x.atan(),
    "atan2": arc_tangent_2,
    "sinh": lambda x: (x.exp() - (-x).exp()) / 2,
    "cosh": lambda x: (x.exp() + (-x).exp()) / 2,
    "tanh": hyperbolic_tangent,
    "asinh": area_sine,
    "acosh": area_cosine,
    "atanh": area_tangent,
}
"""The operators and functions that are not written in terms of others."""
