"""The operators once more, as they keep what balls lose: small rests beside exact numbers, vast numbers."""

from __future__ import annotations

from collections.abc import Callable

from flint import arb, arb_series

from fngen.accuracy.choices import Truth
from fngen.accuracy.elementary import OPERATORS, Operator
from fngen.accuracy.extremes import VAST, Split, Vast, negligible
from fngen.accuracy.mixed import Mixed
from fngen.accuracy.series import Series, at_point_only, constant, moves, plain, with_constant
from fngen.accuracy.special import SPECIAL
from fngen.accuracy.undefined import NOWHERE

_FAR = 4
"""From here on 1 - erf(x) and 1 - tanh(x) are better taken than left."""
_NEXT_TO_NOTHING = arb(2) ** -(2**62)


def add(a: Series, b: Series) -> Series:
    """Return the sum."""
    if isinstance(a, Split | Vast) or isinstance(b, Split | Vast) or a is NOWHERE or b is NOWHERE:
        return a + b
    for large, small in ((a, b), (b, a)):
        c, d = constant(large), constant(small)
        if c.is_exact() and c.is_finite() and not c.is_zero() and not d.is_zero() and negligible(d, c):
            return Split(c, (large - c) + small)
    return a + b


def subtract(a: Series, b: Series) -> Series:
    """Return the difference."""
    return add(a, -b)


def exponential(x: Series) -> Series:
    """Return the exponential function."""
    if isinstance(x, Vast):
        return plain(x) if x.sign > 0 else _next_to_nothing(x)
    if x is NOWHERE:
        return x
    x = plain(x)
    c = constant(x)
    if c > VAST:
        return Vast(1, x)
    if not c.is_zero() and negligible(c, arb(1)):
        return Split(arb(1), with_constant(x.exp(), c.expm1()))
    return x.exp()


def _next_to_nothing(x: Vast) -> Series:
    """Return exp of a vast negative number: that, and all its derivatives, are less than any number here."""
    ball = arb(0, _NEXT_TO_NOTHING)
    if isinstance(x.line, Mixed):
        return Mixed(ball, ball, ball, ball)
    return arb_series([ball] * x.line.prec, x.line.prec) if moves(x) else ball


def error_function(x: Series) -> Series:
    """Return erf."""
    if constant(x) > _FAR:
        return Split(arb(1), -SPECIAL["erfc"](x))
    return Split(arb(-1), SPECIAL["erfc"](-x)) if constant(x) < -_FAR else x.erf()


def complementary_error_function(x: Series) -> Series:
    """Return erfc."""
    far = constant(x) < -_FAR
    return Split(arb(2), -SPECIAL["erfc"](-x)) if far else SPECIAL["erfc"](x)


def hyperbolic_tangent(x: Series) -> Series:
    """Return tanh."""
    c = constant(x)
    if not (c > _FAR or c < -_FAR):
        return OPERATORS["tanh"](plain(x))
    sign = 1 if c > 0 else -1
    rest = 2 / (exponential(x * (2 * sign)) + 1)
    if c.is_finite():
        return Split(arb(sign), plain(rest) * -sign)
    return at_point_only(arb(sign, _NEXT_TO_NOTHING), x)


def compare(operator: Operator) -> Callable[[Series, Series], Truth]:
    """Return a comparison of what is left of the difference."""

    def comparison(a: Series, b: Series) -> Truth:
        if a is NOWHERE or b is NOWHERE:
            return NOWHERE
        return operator(subtract(a, b), arb(0))

    return comparison


def _of_plain(operator: Operator) -> Operator:
    return lambda *args: operator(*map(plain, args))


def _defined(operator: Operator) -> Operator:
    return lambda x: x if x is NOWHERE else operator(x)


_AWARE = ("neg", "mul", "div", "and", "or", "not", "where", "abs", "sqrt", "log", "pow", "stop_gradient")
EXTREME: dict[str, Operator] = {
    **{name: _of_plain(operator) for name, operator in (OPERATORS | SPECIAL).items()},
    **{name: OPERATORS[name] for name in _AWARE},
    **{name: compare(OPERATORS[name]) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
    "add": add,
    "sub": subtract,
    "exp": exponential,
    "expm1": lambda x: subtract(exponential(x), arb(1)),
    "log1p": lambda x: OPERATORS["log"](add(arb(1), x)),
    "erf": _of_plain(_defined(error_function)),
    "erfc": _of_plain(_defined(complementary_error_function)),
    "tanh": _defined(hyperbolic_tangent),
}
"""By the names that graphs hold."""
