"""An exact result, as forms are held against it."""

from __future__ import annotations

import math
from typing import NamedTuple

from fngen.accuracy.exact import Pair
from fngen.accuracy.formats import FORMATS

FORMAT = FORMATS["float64"]


class Known(NamedTuple):
    """An exact number: at which point, two floats that are it together, and whether it is no subnormal one.

    Times ``scale`` a distance is one in ulp; a scale of infinity says nothing.
    """

    place: int
    high: float
    low: float
    scale: float
    normal: bool

    @classmethod
    def of(cls, place: int, exact: Pair) -> Known:
        """Return the exact result at a point."""
        high, low = exact
        normal = high == 0 or abs(high) >= FORMAT.tiny
        return cls(place, high, low, 1 / FORMAT.ulp(high) if normal and high else math.inf, normal)
