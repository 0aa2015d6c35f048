"""Points at which floats show their errors, the same ones every time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from fngen.accuracy.formats import Format

Point = tuple[float, ...]

_LOW, _HIGH = -30, 11
_SMALL, _LARGE = -5, 8
_HUNDREDTH = -6.7
_EDGES = (
    *(0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 20.0, -20.0, 20.5, 88.5, -88.5, 89.0, -104.0),
    *(710.0, -710.0, -746.0, 1e-3, -1e-3, 1e-8, -1e-8),
)


def edges(form: Format) -> list[float]:
    """Return numbers at which formulas change: 0, 1, the ends of the format and of exp."""
    least = math.ldexp(1, form.least)
    ends = [least, -least, form.tiny, -form.tiny, 1.5 * form.tiny, form.largest, -form.largest]
    near = [1 + form.epsilon, 1 - form.epsilon / 2, -1 - form.epsilon]
    found = (form.rounded(x) for x in (*_EDGES, *ends, *near))
    return list(dict.fromkeys(x for x in found if math.isfinite(x)))


def sample(inputs: int, count: int, form: Format, seed: int = 0) -> list[Point]:
    """Return points of so many coordinates.

    Half of them have coordinates of random bits, half those of a random logarithm; of several
    coordinates some are nearly or exactly equal. Edges are added to ``count``.
    """
    rng = random.Random(f"{inputs} {count} {form.name} {seed}")  # noqa: S311
    found: list[Point] = [_point(inputs, lambda: _of_bits(rng, form)) for _ in range(count // 2)]
    found += [_point(inputs, lambda: _of_size(rng, form)) for _ in range(count - count // 2)]
    if inputs == 1:
        return [*found, *((x,) for x in edges(form))]
    found += [_correlated(rng, rng.choice(found), form) for _ in range(count // 5)]
    ends = edges(form)
    return found + [_point(inputs, lambda: rng.choice(ends)) for _ in range(120)]


def moderate(inputs: int, count: int, form: Format) -> list[Point]:
    """Return points whose coordinates are of the sizes where functions change: a fraction to hundreds."""
    rng = random.Random(f"moderate {inputs} {count}")  # noqa: S311
    return [_point(inputs, lambda: _of_size(rng, form, _SMALL, _LARGE)) for _ in range(count)]


def usual(inputs: int, count: int, form: Format, seed: int = 0) -> list[Point]:
    """Return points of the sizes that people compute with: half of a hundredth to a hundred, half of wider.

    Of several coordinates some are nearly or exactly equal, besides.
    """
    rng = random.Random(f"usual {inputs} {count} {form.name} {seed}")  # noqa: S311
    ranges = ((_HUNDREDTH, -_HUNDREDTH), (_LOW, _HIGH))
    draws = [lambda low=low, high=high: _of_size(rng, form, low, high) for low, high in ranges]
    found = [_point(inputs, draws[i % 2]) for i in range(count)]
    more = count // 5 if inputs > 1 else 0
    return found + [_correlated(rng, rng.choice(found), form) for _ in range(more)]


def _point(inputs: int, draw: Callable[[], float]) -> Point:
    return tuple(draw() for _ in range(inputs))


def _of_bits(rng: random.Random, form: Format) -> float:
    while True:
        x = form.from_bits(rng.getrandbits(form.bits))
        if math.isfinite(x):
            return x


def _of_size(rng: random.Random, form: Format, low: float = _LOW, high: float = _HIGH) -> float:
    return rng.choice((-1, 1)) * form.rounded(2.0 ** rng.uniform(low, high))


def _correlated(rng: random.Random, point: Point, form: Format) -> Point:
    """Return the point with one coordinate near another one, or equal to it."""
    i, j = rng.sample(range(len(point)), 2)
    distance = rng.choice((0, 1, 1)) * rng.choice((-1, 1)) * 2.0 ** rng.uniform(-form.digits, 2)
    near = form.rounded(point[i] * (1 + distance))
    if not math.isfinite(near):
        return point
    return (*point[:j], near, *point[j + 1 :])
