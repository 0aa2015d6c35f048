"""Numbers that change along two lines at once: the truncated series ``v + x*s + y*t + xy*s*t``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flint import arb, arb_series

Coefficients = tuple[Any, Any, Any, Any]


class Mixed:
    """A series in two variables, with no square of either."""

    __slots__ = ("coefficients",)
    prec = 3
    """How many Taylor coefficients a function must have to be worked out."""

    def __init__(self, v: Any, x: Any, y: Any, xy: Any) -> None:
        self.coefficients: Coefficients = (v, x, y, xy)

    def __getitem__(self, k: int) -> Any:
        return self.coefficients[k]

    def expanded(self, taylor: Sequence[Any]) -> Mixed:
        """Return the function that has these coefficients at the value, of this."""
        _, x, y, xy = self.coefficients
        first, second = taylor[1], taylor[2]
        return Mixed(taylor[0], first * x, first * y, first * xy + 2 * second * x * y)

    def _by_series(self, function: Callable[[Any], Any]) -> Mixed:
        near = function(arb_series([self[0], 1], self.prec))
        return self.expanded([near[k] for k in range(self.prec)])

    def __neg__(self) -> Mixed:
        return Mixed(*(-c for c in self.coefficients))

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, _KNOWN):
            return NotImplemented
        return Mixed(*(a + b for a, b in zip(self.coefficients, _coefficients(other), strict=True)))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if not isinstance(other, _KNOWN):
            return NotImplemented
        return Mixed(*(a - b for a, b in zip(self.coefficients, _coefficients(other), strict=True)))

    def __rsub__(self, other: Any) -> Any:
        return (-self).__add__(other)

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, _KNOWN):
            return NotImplemented
        (v, x, y, xy), (w, s, t, st) = self.coefficients, _coefficients(other)
        return Mixed(v * w, v * s + x * w, v * t + y * w, v * st + x * t + y * s + xy * w)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if not isinstance(other, _KNOWN):
            return NotImplemented
        return self * Mixed(*_coefficients(other)).__rtruediv__(1)

    def __rtruediv__(self, other: Any) -> Any:
        inverse = 1 / self[0]
        square = inverse * inverse
        return self.expanded([inverse, -square, square * inverse]) * other

    def __pow__(self, exponent: int) -> Mixed:
        return self._by_series(lambda near: near**exponent)

    def __getattr__(self, name: str) -> Callable[[], Mixed]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda: self._by_series(lambda near: getattr(near, name)())


def _coefficients(other: Any) -> Coefficients:
    if isinstance(other, Mixed):
        return other.coefficients
    if isinstance(other, arb_series):  # It has a value, but no derivative: a choice changes here.
        return (other[0], other[1], other[1], other[1])
    return (other, _ZERO, _ZERO, _ZERO)


_ZERO = arb(0)
_KNOWN = (Mixed, arb, arb_series, int)
