"""The results of a plan at the present precision, and which of them are decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from flint import arb, arb_series, ctx

from fngen.accuracy.extremes import Split
from fngen.accuracy.mixed import Mixed
from fngen.accuracy.plan import Plan
from fngen.accuracy.series import constant, moves
from fngen.accuracy.undefined import NOWHERE, Outcome

_RELATIVE_BITS = 53 + 70
NOTHING = arb(2) ** -1200
"""Less than this is 0 in every format, and so is half of it."""
BEYOND = arb(2) ** 1024

Ball = Any
"""An arb that is known to at least 70 bits more than a float64 has."""
Known = Ball | Outcome | None
"""None is what is not known yet."""


class Evaluation:
    """A plan, with its constants at each precision."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._constants: dict[int, list[Any]] = {}

    def results(self, point: list[Any], order: int, known: Sequence[Known]) -> list[Known]:
        """Return what is known, and what can be decided at the present precision."""
        n = len(point)
        if not order:
            return merged(known, [decided(constant(self._run(point)))])
        lines = [self._line(point, i, order) for i in range(n)]
        found = [lines[0][0] if n else constant(self._run(point))]
        found += [line[1] for line in lines]
        if order == 2:
            twice = {(i, i): 2 * lines[i][2] for i in range(n)}
            for i, j in combinations(range(n), 2):
                if known[place(n, i, j)] is None:
                    twice[i, j] = self._crossing(point, i, j)
            found += [twice.get((i, j), arb.nan()) for i, j in pairs(n)]
        if found[0] is not NOWHERE and found[0].is_nan():
            return list(known)
        return merged(known, [decided(b) for b in found])

    def _run(self, point: Sequence[Any]) -> Any:
        cells = self._constants.get(ctx.prec)
        if cells is None:
            cells = self._constants[ctx.prec] = self._plan.constants()
        result = self._plan.run(cells.copy(), point)
        return result.plain() if isinstance(result, Split) else result

    def _line(self, point: list[Any], moving: int, order: int) -> list[Any]:
        """Return the Taylor coefficients along the axis of an input."""
        length = order + 1
        axis = arb_series([point[moving], 1], length)
        result = self._run([*point[:moving], axis, *point[moving + 1 :]])
        if moves(result):
            return [result[k] for k in range(length)]
        rest = NOWHERE if result is NOWHERE else arb(0)
        return [constant(result), *[rest] * order]

    def _crossing(self, point: list[Any], i: int, j: int) -> Any:
        """Return the derivative by two inputs."""
        moved = list(point)
        moved[i] = Mixed(point[i], arb(1), arb(0), arb(0))
        moved[j] = Mixed(point[j], arb(0), arb(1), arb(0))
        result = self._run(moved)
        if not moves(result):
            return result if result is NOWHERE else arb(0)
        # A series has a length only: it stands for a choice that changes here.
        return result[2] if isinstance(result, arb_series) else result[3]


def count(inputs: int, order: int) -> int:
    """Return how many results there are."""
    return (1, 1 + inputs, 1 + inputs + inputs * (inputs + 1) // 2)[order]


def pairs(inputs: int) -> Iterator[tuple[int, int]]:
    """Yield the inputs by which the second partials are, in order."""
    return ((i, j) for i in range(inputs) for j in range(i, inputs))


def place(inputs: int, i: int, j: int) -> int:
    """Return the position of a second partial among the results."""
    return 1 + inputs + list(pairs(inputs)).index((i, j))


def merged(found: Sequence[Known], more: Sequence[Known]) -> list[Known]:
    """Return what is known, and where that is nothing, what else is."""
    return [b if a is None else a for a, b in zip(found, more, strict=True)]


def decided(ball: Any) -> Ball | Outcome | None:
    """Return a ball if it is narrow enough, UNDEFINED if there is no number, else None."""
    if ball is NOWHERE:
        return Outcome.UNDEFINED
    if ball.rel_accuracy_bits() >= _RELATIVE_BITS and ball.is_finite():
        return ball
    if ball.is_nan():
        return None
    if abs(ball) < NOTHING:
        return arb(0)
    if ball > BEYOND:
        return arb.pos_inf()
    if ball < -BEYOND:
        return arb.neg_inf()
    return ball if ball.rad() < NOTHING else None
