"""The floating-point formats of torch: rounding to them, and the spacing of their numbers."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Format:
    """A binary format of IEEE 754, or one made like these.

    Attributes:
        name: As torch calls it.
        bits: The size of a number.
        digits: The binary digits of a normal number.
        exponent: That of the largest power of two.
    """

    name: str
    bits: int
    digits: int
    exponent: int

    @property
    def least(self) -> int:
        """The exponent of the smallest number."""
        return 2 - self.exponent - self.digits

    @property
    def largest(self) -> float:
        """The largest number."""
        return math.ldexp(2 - math.ldexp(1, 1 - self.digits), self.exponent)

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return math.ldexp(1, 1 - self.exponent)

    @property
    def epsilon(self) -> float:
        """The spacing of numbers from 1 on."""
        return math.ldexp(1, 1 - self.digits)

    def ulp_exponent(self, x: float) -> int:
        """Return the exponent of the spacing of numbers near ``x``, the subnormal ones included."""
        if x == 0 or math.isinf(x):
            return self.least if x == 0 else self.exponent - self.digits + 1
        return max(math.frexp(x)[1] - self.digits, self.least)

    def ulp(self, x: float) -> float:
        """Return the spacing of numbers near ``x``."""
        return math.ldexp(1, self.ulp_exponent(x))

    def rounded(self, x: float, rest: float = 0.0) -> float:
        """Return the number nearest to ``x + rest``, of two the even one; infinity beyond the largest."""
        if math.isnan(x) or math.isinf(x):
            return x
        exact = Fraction(x) + Fraction(rest)
        exponent = self.ulp_exponent(x)
        steps = round(exact / Fraction(2) ** exponent)
        size = abs(steps) * Fraction(2) ** exponent
        return math.copysign(math.inf if size > self.largest else float(size), x)

    def from_bits(self, pattern: int) -> float:
        """Return the number of a bit pattern."""
        if self.name == "bfloat16":
            pattern, kind = pattern << 16, "If"
        else:
            kind = {"float16": "He", "float32": "If", "float64": "Qd"}[self.name]
        return float(struct.unpack(kind[1], struct.pack(kind[0], pattern))[0])

    def every(self) -> Iterator[float]:
        """Yield every finite number of a format of 16 bits; both zeros."""
        for pattern in range(2**self.bits):
            x = self.from_bits(pattern)
            if math.isfinite(x):
                yield x


FORMATS = {
    f.name: f
    for f in (
        Format("float16", 16, 11, 15),
        Format("bfloat16", 16, 8, 127),
        Format("float32", 32, 24, 127),
        Format("float64", 64, 53, 1023),
    )
}
