"""The exact value and derivatives of a formula at a point, with the precision that this takes.

Derivatives come from power series along a line through the point, never from a derived formula.
Where the formula itself has no value or derivative (0/0 at one point, a choice that changes), those of
its neighbours on both sides count if they agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product
from typing import Any

from flint import arb, arb_series, ctx

from fngen.accuracy.mixed import Mixed
from fngen.accuracy.plan import Plan
from fngen.accuracy.undefined import NOWHERE, Outcome
from fngen.ir import Value

PRECISIONS = (160, 640, 2560, 10240)
BESIDE = (5120, 20480)
"""The precisions at a neighbour: they lose as many digits as it is near."""
_STEP_BITS = 1300
_SHARES = (1.0, 1.375, 0.59375, 1.8125, 0.71875, 1.15625)
"""How far each input is moved: two that are equal are not equal beside the point."""
_RELATIVE_BITS = 53 + 70
_NOTHING = arb(2) ** -1200
"""Less than this is 0 in every format, and so is half of it."""
_BEYOND = arb(2) ** 1024
_AGREEMENT = 2.0**-90

Ball = Any
"""An arb that is known to at least 70 bits more than a float64 has."""
Pair = tuple[float, float]
"""A number as float64 and what that leaves out; ``(inf, 0.0)`` beyond float64."""


class Exact:
    """A formula, to be evaluated exactly.

    Args:
        root: Its graph, elementwise and real.
        inputs: Its variables, in the order in which a point has them.
    """

    def __init__(self, root: Value, inputs: Sequence[str]) -> None:
        self.inputs = tuple(inputs)
        self._plan = Plan.of(root, self.inputs)
        self._constants: dict[int, list[Any]] = {}

    def at(self, point: Sequence[float], order: int = 0) -> list[Pair | Outcome]:
        """Return the value, the first partials if ``order`` is 1, then the second ones if it is 2.

        Second partials are those by the inputs 0 and 0, 0 and 1, ..., 1 and 1, ...: the upper
        triangle, row by row.
        """
        return [b if isinstance(b, Outcome) else pair(b) for b in self.balls(point, order)]

    def balls(self, point: Sequence[float], order: int = 0) -> list[Ball | Outcome]:
        """Return the same as balls of high precision."""
        before = ctx.prec
        try:
            return self._balls([float(x) for x in point], order)
        finally:
            ctx.prec = before

    def _balls(self, point: list[float], order: int) -> list[Ball | Outcome]:
        found: list[Ball | Outcome | None] = [None] * count(len(point), order)
        for bits in PRECISIONS:
            ctx.prec = bits
            found = _merged(found, self._series(list(map(arb, point)), order, found))
            if None not in found:
                break
        if None in found and found[0] is not Outcome.UNDEFINED:
            beside = self._beside(point, order, found)
            if found[0] is not None:
                beside = [
                    b if b is Outcome.UNDECIDED or same(found[0], beside[0]) else Outcome.KINK for b in beside
                ]
            found = _merged(found, beside)
        if isinstance(found[0], Outcome):
            return [found[0]] * len(found)
        return [Outcome.UNDECIDED if b is None else b for b in found]

    def _series(
        self, point: list[Any], order: int, known: Sequence[Ball | Outcome | None]
    ) -> list[Ball | Outcome | None]:
        """Return what can be decided at the present precision."""
        n = len(point)
        if not order:
            return [decided(self._run(point))]
        lines = [self._line(point, i, order) for i in range(n)]
        found = [lines[0][0] if n else self._run(point)]
        found += [line[1] for line in lines]
        if order == 2:
            twice = {(i, i): 2 * lines[i][2] for i in range(n)}
            for i, j in combinations(range(n), 2):
                if known[place(n, i, j)] is None:
                    twice[i, j] = self._crossing(point, i, j)
            found += [twice.get((i, j), arb.nan()) for i, j in pairs(n)]
        return [decided(b) for b in found]

    def _run(self, point: Sequence[Any]) -> Any:
        cells = self._constants.get(ctx.prec)
        if cells is None:
            cells = self._constants[ctx.prec] = self._plan.constants()
        return self._plan.run(cells.copy(), point)

    def _line(self, point: list[Any], moving: int, order: int) -> list[Any]:
        """Return the Taylor coefficients along the axis of an input."""
        length = order + 1
        axis = arb_series([point[moving], 1], length)
        result = self._run([*point[:moving], axis, *point[moving + 1 :]])
        if isinstance(result, arb_series):
            return [result[k] for k in range(length)]
        rest = NOWHERE if result is NOWHERE else arb(0)
        return [result, *[rest] * order]

    def _crossing(self, point: list[Any], i: int, j: int) -> Any:
        """Return the derivative by two inputs."""
        moved = list(point)
        moved[i] = Mixed(point[i], arb(1), arb(0), arb(0))
        moved[j] = Mixed(point[j], arb(0), arb(1), arb(0))
        result = self._run(moved)
        if isinstance(result, Mixed):
            return result[3]
        # A series has a length only: it stands for a choice that changes here.
        return result if result is NOWHERE else result[2] if isinstance(result, arb_series) else arb(0)

    def _beside(
        self, point: list[float], order: int, known: Sequence[Ball | Outcome | None]
    ) -> list[Ball | Outcome]:
        """Return what all neighbours agree on: two on a line, four in a plane, ..."""
        agreed: list[Ball | Outcome] | None = None
        for signs in product((1, -1), repeat=len(point)):
            found: list[Ball | Outcome | None] = [None] * len(known)
            for bits in BESIDE:
                ctx.prec = bits
                step = arb(2) ** -_STEP_BITS
                moved = [arb(x) + s * w * step for x, s, w in zip(point, signs, _weights(), strict=False)]
                found = _merged(found, self._series(moved, order, found))
                if None not in found:
                    break
            here = [Outcome.UNDECIDED if b is None else b for b in found]
            agreed = here if agreed is None else list(map(_agreed, agreed, here))
        assert agreed is not None
        return [Outcome.UNDEFINED if i == 0 and b is Outcome.KINK else b for i, b in enumerate(agreed)]


def count(inputs: int, order: int) -> int:
    """Return how many results there are."""
    return (1, 1 + inputs, 1 + inputs + inputs * (inputs + 1) // 2)[order]


def pairs(inputs: int) -> Iterator[tuple[int, int]]:
    """Yield the inputs by which the second partials are, in order."""
    return ((i, j) for i in range(inputs) for j in range(i, inputs))


def place(inputs: int, i: int, j: int) -> int:
    """Return the position of a second partial among the results."""
    return 1 + inputs + list(pairs(inputs)).index((i, j))


def _weights() -> Iterator[float]:
    turn = 0
    while True:
        yield from (w * (1 + turn / 64) for w in _SHARES)
        turn += 1


def _merged(found: Sequence[Any], more: Sequence[Any]) -> list[Any]:
    return [b if a is None else a for a, b in zip(found, more, strict=True)]


def decided(ball: Any) -> Ball | Outcome | None:
    """Return a ball if it is narrow enough, UNDEFINED if there is no number, else None."""
    if ball is NOWHERE:
        return Outcome.UNDEFINED
    if ball.rel_accuracy_bits() >= _RELATIVE_BITS and ball.is_finite():
        return ball
    if ball.is_nan():
        return None
    if abs(ball) < _NOTHING:
        return arb(0)
    if ball > _BEYOND:
        return arb.pos_inf()
    if ball < -_BEYOND:
        return arb.neg_inf()
    return ball if ball.rad() < _NOTHING else None


def pair(ball: Ball) -> Pair:
    """Return a number as float64 and the rest of it."""
    middle = ball.mid()
    high = float(middle)
    return (high, 0.0) if math.isinf(high) else (high, float(middle - arb(high)))


def same(a: Ball | Outcome, b: Ball | Outcome) -> bool:
    """Say whether two numbers are one up to the distance of neighbours."""
    if isinstance(a, Outcome) or isinstance(b, Outcome):
        return a is b
    (x, dx), (y, dy) = pair(a), pair(b)
    if math.isinf(x) or math.isinf(y):
        return x == y
    return abs((x - y) + (dx - dy)) <= _AGREEMENT * abs(x)


def _agreed(a: Ball | Outcome, b: Ball | Outcome) -> Ball | Outcome:
    if Outcome.UNDECIDED in (a, b):
        return Outcome.UNDECIDED
    if same(a, b):
        return a
    return Outcome.UNDEFINED if Outcome.UNDEFINED in (a, b) else Outcome.KINK


Evaluate = Callable[[Sequence[float], int], list[Pair | Outcome]]
