"""Numbers for which no precision suffices: ``1 - exp(-1e200)``, and ``exp(exp(1e5))``.

They are tried where balls alone cannot decide. Like balls they may be series: then their parts are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flint import arb, arb_series, ctx

from fngen.accuracy.mixed import Mixed
from fngen.accuracy.undefined import NOWHERE

VAST = arb(2) ** 1400
"""From an exponent of this size on, a number is kept as its logarithm."""
_MOST_FACTORS = 8


def _at(x: Any) -> Any:
    return x[0] if isinstance(x, arb_series | Mixed) else x


def negligible(small: Any, large: Any) -> bool:
    """Say whether a number is so small beside another that a sum keeps few of its digits."""
    return bool(abs(small) * arb(2) ** (ctx.prec // 2) < abs(large))


class Split:
    """An exact number and a rest that is small beside it: where the number cancels, the rest is left."""

    __slots__ = ("rest", "whole")

    def __init__(self, whole: Any, rest: Any) -> None:
        self.whole, self.rest = whole, rest

    @property
    def line(self) -> Any:
        """What changes along the line, if it does."""
        return self.rest

    def plain(self) -> Any:
        """Return the ball or series."""
        return self.rest + self.whole

    def __neg__(self) -> Split:
        return Split(-self.whole, -self.rest)

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Vast) or other is NOWHERE:
            return NotImplemented
        if isinstance(other, Split):
            return made(self.whole + other.whole, self.rest + other.rest)
        c = _at(arb(other) if isinstance(other, int) else other)
        if c.is_exact():
            return made(self.whole + c, self.rest + (other - c))
        return Split(self.whole, self.rest + other) if negligible(c, self.whole) else self.plain() + other

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Vast) or other is NOWHERE:
            return NotImplemented
        if isinstance(other, Split):
            rest = self.whole * other.rest + other.whole * self.rest + self.rest * other.rest
            return made(self.whole * other.whole, rest)
        c = _at(arb(other) if isinstance(other, int) else other)
        if not c.is_exact():
            return self.plain() * other
        return made(self.whole * c, self.whole * (other - c) + self.rest * other)

    __rmul__ = __mul__

    def inverse(self) -> Any:
        """Return 1 divided by it."""
        inverse = 1 / self.whole
        if not inverse.is_exact():
            return 1 / self.plain()
        return Split(inverse, -self.rest / (self.plain() * self.whole))

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, Vast) or other is NOWHERE:
            return NotImplemented
        return self * (other.inverse() if isinstance(other, Split) else 1 / other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.inverse() * other

    def __pow__(self, n: int) -> Any:
        if not 0 < abs(n) <= _MOST_FACTORS:
            return self.plain() ** n
        factor = self if n > 0 else self.inverse()
        total = factor
        for _ in range(abs(n) - 1):
            total = total * factor
        return total

    def log(self) -> Any:
        """Return its logarithm."""
        if self.whole != 1:
            return self.plain().log()
        c = _at(self.rest)
        return (1 + (self.rest - c) / (1 + c)).log() + c.log1p()

    def sqrt(self) -> Any:
        """Return its square root."""
        root = self.whole.sqrt()
        return (
            Split(root, self.rest / (self.plain().sqrt() + root)) if root.is_exact() else self.plain().sqrt()
        )

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        method: Callable[..., Any] = getattr(self.plain(), name)
        return method


def made(whole: Any, rest: Any) -> Any:
    """Return the sum of an exact number and a rest, split if that says more."""
    if whole.is_zero():
        return rest
    return Split(whole, rest) if whole.is_exact() and negligible(_at(rest), whole) else rest + whole


class Vast:
    """A number by its sign and its logarithm."""

    __slots__ = ("log_size", "sign")

    def __init__(self, sign: int, log_size: Any) -> None:
        self.sign, self.log_size = sign, log_size

    @property
    def line(self) -> Any:
        """What changes along the line, if it does."""
        return self.log_size

    def __getitem__(self, k: int) -> Any:
        """Return a Taylor coefficient: infinite, as far as anybody can see."""
        size = self.log_size
        if not isinstance(size, arb_series | Mixed):
            return arb.pos_inf() * self.sign if not k else arb(0)
        if isinstance(size, Mixed):
            factor = (arb(1), size[1], size[2], size[3] + size[1] * size[2])[k]
        else:
            factor = (arb(1), size[1], size[2] + size[1] * size[1] / 2 if k == 2 else arb(0))[k]
        return arb(0) if factor.is_zero() else arb.pos_inf() * factor * self.sign

    def __neg__(self) -> Vast:
        return Vast(-self.sign, self.log_size)

    def __add__(self, other: Any) -> Any:
        if other is NOWHERE:
            return other
        if not isinstance(other, Vast):
            other = other.plain() if isinstance(other, Split) else other
            return brought_down(
                self.sign, self.log_size + (1 + (-self.log_size).exp() * other * self.sign).log()
            )
        small, large = (self, other) if _at(other.log_size) > _at(self.log_size) else (other, self)
        if small.sign != large.sign and not _at(large.log_size) > _at(small.log_size):
            return unknown(small.log_size, large.log_size)
        ratio = (small.log_size - large.log_size).exp() * (small.sign * large.sign)
        return brought_down(large.sign, large.log_size + (1 + ratio).log())

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if other is NOWHERE:
            return other
        if isinstance(other, Vast):
            return brought_down(self.sign * other.sign, self.log_size + other.log_size)
        factor = (
            other.plain() if isinstance(other, Split) else arb(other) if isinstance(other, int) else other
        )
        if _at(factor).is_zero() and not isinstance(factor, arb_series | Mixed):
            return arb(0)
        sign = 1 if _at(factor) > 0 else -1 if _at(factor) < 0 else 0
        if not sign:
            return unknown(self.log_size, factor)
        return brought_down(self.sign * sign, self.log_size + (factor * sign).log())

    __rmul__ = __mul__

    def inverse(self) -> Any:
        """Return 1 divided by it."""
        return (-self.log_size).exp() * self.sign

    def __truediv__(self, other: Any) -> Any:
        if other is NOWHERE:
            return other
        if isinstance(other, Vast):
            return brought_down(self.sign * other.sign, self.log_size - other.log_size)
        return self * (other.inverse() if isinstance(other, Split) else 1 / other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.inverse() * (other.plain() if isinstance(other, Split) else other)

    def __pow__(self, n: int) -> Any:
        return brought_down(1 if n % 2 == 0 else self.sign, self.log_size * n)

    def log(self) -> Any:
        """Return its logarithm."""
        return self.log_size if self.sign > 0 else NOWHERE

    def sqrt(self) -> Any:
        """Return its square root."""
        return brought_down(1, self.log_size / 2) if self.sign > 0 else NOWHERE


def unknown(*lines: Any) -> Any:
    """Return what nothing is known of, as long as what it was made of."""
    if any(isinstance(x, Mixed) for x in lines):
        return Mixed(*[arb.nan()] * 4)
    length = min((x.prec for x in lines if isinstance(x, arb_series)), default=0)
    return arb_series([arb.nan()] * length, length) if length else arb.nan()


def brought_down(sign: int, log_size: Any) -> Any:
    """Return the number of a sign and a logarithm, as a ball or series if that can be."""
    return Vast(sign, log_size) if _at(log_size) > VAST / 2 else log_size.exp() * sign
