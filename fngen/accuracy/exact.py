"""The exact value and derivatives of a formula at a point, with the precision that this takes.

Derivatives come from power series along a line through the point, never from a derived formula.
Where the formula itself has no value or derivative (0/0 at one point, a choice that changes), those of
its neighbours on both sides count if they agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

from flint import arb, ctx

from fngen.accuracy.evaluation import BEYOND, NOTHING, Ball, Evaluation, count, merged, pairs
from fngen.accuracy.extreme_operators import EXTREME
from fngen.accuracy.plan import KNOWN, Plan, written_out
from fngen.accuracy.special import SPECIAL
from fngen.accuracy.undefined import Outcome
from fngen.ir import Value, postorder

TRIES = ((False, 160), (False, 640), (False, 2560), (True, 640), (True, 2560), (False, 10240), (True, 10240))
"""The precisions, and whether numbers beyond balls are tried too."""
BESIDE = (5120, 20480)
"""The precisions at a neighbour: they lose as many digits as it is near."""
_STEP_BITS = 1300
_SLOW = 50
"""How many operations a special function counts."""
_SHARES = (1.0, 1.375, 0.59375, 1.8125, 0.71875, 1.15625)
"""How far each input is moved: two that are equal are not equal beside the point."""
_AGREEMENT = arb(2) ** -90

Pair = tuple[float, float]
"""A number as float64 and what that leaves out; ``(inf, 0.0)`` beyond float64."""


class Exact:
    """A formula, to be evaluated exactly.

    Args:
        root: Its graph, elementwise and real.
        inputs: Its variables, in the order in which a point has them.

    Attributes:
        work: What has been done so far, in bits of operations: the same on any machine.
    """

    def __init__(self, root: Value, inputs: Sequence[str]) -> None:
        self.inputs = tuple(inputs)
        self._plain = Evaluation(Plan.of(root, self.inputs, KNOWN))
        self._extreme = Evaluation(Plan.of(root, self.inputs, EXTREME))
        order = postorder(written_out([root]))
        self._weight = len(order) + _SLOW * sum(n.op in SPECIAL for n in order)
        self.work = 0

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
        for extreme, bits in TRIES:
            ctx.prec = bits
            self.work += bits * self._weight * (1 + order * len(point))
            evaluation = self._extreme if extreme else self._plain
            found = evaluation.results(list(map(arb, point)), order, found)
            if None not in found:
                break
        if None in found and found[0] is not Outcome.UNDEFINED:
            beside = self._beside(point, order, found)
            if found[0] is not None:
                beside = [
                    b if b is Outcome.UNDECIDED or same(found[0], beside[0]) else Outcome.KINK for b in beside
                ]
            found = merged(found, beside)
        if isinstance(found[0], Outcome):
            return [found[0]] * len(found)
        done = [Outcome.UNDECIDED if b is None else b for b in found]
        return _without_seconds(done, len(point)) if order == 2 else done

    def _beside(
        self, point: list[float], order: int, known: Sequence[Ball | Outcome | None]
    ) -> list[Ball | Outcome]:
        """Return what all neighbours agree on: two on a line, four in a plane, ..."""
        agreed: list[Ball | Outcome] | None = None
        for signs in product((1, -1), repeat=len(point)):
            found: list[Ball | Outcome | None] = [None] * len(known)
            for bits in BESIDE:
                ctx.prec = bits
                self.work += bits * self._weight * (1 + order * len(point))
                step = arb(2) ** -_STEP_BITS
                moved = [arb(x) + s * w * step for x, s, w in zip(point, signs, _weights(), strict=False)]
                found = self._plain.results(moved, order, found)
                if None not in found:
                    break
            here = [Outcome.UNDECIDED if b is None else b for b in found]
            agreed = here if agreed is None else list(map(_agreed, agreed, here))
        assert agreed is not None
        return [Outcome.UNDEFINED if i == 0 and b is Outcome.KINK else b for i, b in enumerate(agreed)]


def _without_seconds(found: list[Ball | Outcome], inputs: int) -> list[Ball | Outcome]:
    """Return the results with no second derivative where there is no first one."""
    missing = {i: b for i, b in enumerate(found[1 : inputs + 1]) if isinstance(b, Outcome)}
    seconds = found[inputs + 1 :]
    reasons = [missing.get(i, missing.get(j)) for i, j in pairs(inputs)]
    return found[: inputs + 1] + [b if r is None else r for b, r in zip(seconds, reasons, strict=True)]


def _weights() -> Iterator[float]:
    turn = 0
    while True:
        yield from (w * (1 + turn / 64) for w in _SHARES)
        turn += 1


def pair(ball: Ball) -> Pair:
    """Return a number as float64 and the rest of it."""
    middle = ball.mid()
    high = float(middle)
    return (high, 0.0) if math.isinf(high) else (high, float(middle - arb(high)))


def same(a: Ball | Outcome, b: Ball | Outcome) -> bool:
    """Say whether two numbers are one up to the distance of neighbours."""
    if isinstance(a, Outcome) or isinstance(b, Outcome):
        return a is b
    if (a > BEYOND and b > BEYOND) or (a < -BEYOND and b < -BEYOND):
        return True
    return bool(abs(a - b) <= abs(a) * _AGREEMENT) or bool(abs(a) < NOTHING and abs(b) < NOTHING)


def _agreed(a: Ball | Outcome, b: Ball | Outcome) -> Ball | Outcome:
    if Outcome.UNDECIDED in (a, b):
        return Outcome.UNDECIDED
    if same(a, b):
        return a
    return Outcome.UNDEFINED if Outcome.UNDEFINED in (a, b) else Outcome.KINK
