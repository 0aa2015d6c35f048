"""Where a formula may be in trouble: an input that a number is subtracted from, there; powers near 1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice

from fngen.accuracy.points import Point
from fngen.algebra import ONE, div
from fngen.backends.torch import legalise
from fngen.ir import Value, names, number, postorder, value
from fngen.stabilise import views
from fngen.stabilise.simulate import Simulation

_MOST = 4
_ARGUMENTS = tuple(sign * 2.0**-n for n in (1, 2, 3, 4, 6, 9, 13, 20) for sign in (1, -1))
"""What the logarithms of powers are made."""
_LEAST, _LARGEST = 2.0**-10, 2.0**10
"""The logarithms of bases for which exponents are worked out."""
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
    return found + _near_one(root, inputs, points)


def _near_one(root: Value, inputs: Sequence[str], points: Sequence[Point]) -> list[Point]:
    """Return points at which a power is near 1, its exponent having been changed."""
    found: list[Point] = []
    powers = [n for n in postorder([root]) if n.op == "pow" and n.args[1].op != "number"]
    places = [(n.args[0], x) for n in powers for x in names([n.args[1]]) if x not in names([n.args[0]])]
    for base, x in dict.fromkeys(places[:_MOST]):
        k = inputs.index(x)
        (log,) = legalise([value("log", base)])
        logs = Simulation(inputs, points)(log)
        moved = ((p, u) for p, u in zip(points, logs, strict=True) if _LEAST < abs(u) < _LARGEST)
        found += [(*p[:k], t / u, *p[k + 1 :]) for (p, u), t in zip(moved, _ARGUMENTS, strict=False)]
    return found
