"""Where a formula may be in trouble: an input that a number is subtracted from, at that number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice

from fngen.accuracy.points import Point
from fngen.algebra import ONE, div
from fngen.ir import Value, number, postorder
from fngen.stabilise import views

_MOST = 4
_OFFSETS = (0.0, 2.0**-52, -(2.0**-52), 2.0**-40, -(2.0**-40), 2.0**-27, -(2.0**-27), 2.0**-13, -(2.0**-4))


def distances(root: Value) -> Iterator[tuple[Value, Value, Fraction]]:
    """Yield the differences of an input and a number, up to a factor, with that input and that number."""
    for node in filter(views.is_sum, postorder([root])):
        found = views.terms(node)
        c = found.pop(ONE, Fraction(0))
        if c and len(found) == 1:
            ((x, n),) = found.items()
            if x.op == "name":
                yield div(node, number(n)), x, -c / n


def nearby(root: Value, inputs: Sequence[str], points: Sequence[Point]) -> list[Point]:
    """Return points at such numbers and beside them, the other inputs as in given points."""
    found: list[Point] = []
    places = dict.fromkeys((str(x.datum), place) for _, x, place in distances(root) if x.datum in inputs)
    for x, place in islice(places, _MOST):
        k = inputs.index(x)
        for point, offset in zip(points, _OFFSETS, strict=False):
            found.append((*point[:k], float(place) * (1 + offset), *point[k + 1 :]))
    return found
