"""The points at which forms are judged, by the number of variables."""

from __future__ import annotations

from typing import NamedTuple

from fngen.accuracy.points import Point, moderate, sample, usual
from fngen.stabilise.known import FORMAT

PATIENCE = 250_000_000
"""Bits of operations that exact results may take: a second or two, of special functions more."""
_POINTS = {1: 120, 2: 150, 3: 150}
"""How many points of any size are drawn, by the number of variables."""
_MODERATE = {1: 120, 2: 60, 3: 60}
"""How many more of sizes where functions change."""
_UNUSUAL = {1: 1.0, 2: 0.3, 3: 0.1}
"""The weight of a point that has a number of another size than usual: most points of many have one."""
_OF_MANY, _ANY, _ENOUGH = 160, 40, 60
"""Of more variables, how many of usual size, how many of any; at how many a formula must be defined."""


class Drawn(NamedTuple):
    """Points.

    Attributes:
        first: Those that are looked at first.
        later: Those that are looked at if that has not taken half of the patience.
        patience: What looking at the first may take, in bits of operations.
        least: At how many of these the formula must be a number.
        unusual: The weight of a point that has a number of unusual size.
        seconds: Whether second derivatives are looked at where a number is of unusual size, too.
    """

    first: list[Point]
    later: list[Point]
    patience: int
    least: int
    unusual: float
    seconds: bool


def drawn(inputs: int) -> Drawn:
    """Return the points for so many variables: of many, those of usual size are what matters."""
    if inputs in _POINTS:
        first = [*sample(inputs, _POINTS[inputs], FORMAT), *moderate(inputs, _MODERATE[inputs], FORMAT)]
        return Drawn(first, [], PATIENCE, 0, _UNUSUAL[inputs], seconds=True)
    first, later = usual(inputs, _OF_MANY, FORMAT), sample(inputs, _ANY, FORMAT)
    return Drawn(first, later, PATIENCE // 2, _ENOUGH, min(_UNUSUAL.values()), seconds=False)
