"""How many digits a form keeps: its errors at certified points, in simulated arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from fngen.accuracy.evaluation import place
from fngen.accuracy.exact import Exact, Pair
from fngen.accuracy.formats import FORMATS
from fngen.accuracy.points import Point, sample
from fngen.accuracy.ulp import error
from fngen.accuracy.undefined import Outcome
from fngen.algebra import fold_numbers
from fngen.backends.torch import legalise
from fngen.cost import cost
from fngen.ir import Value, name, number, substitute
from fngen.stabilise.places import nearby
from fngen.stabilise.simulate import Simulation

FORMAT = FORMATS["float64"]
_POINTS = {1: 120, 2: 150, 3: 150}
"""How many points are drawn, by the number of variables; beyond that nothing is judged."""
_PATIENCE = 250_000_000
"""Bits of operations that exact results may take: a second or two, of special functions more."""
_NO_NUMBER = 60.0
"""Bits that a wrong nan or infinity counts."""
_CALM = 4.0
"""Errors in ulp up to which a result is as good as any."""
_WORK = {1: 0.25, 2: 0.5, 3: 0.5}
"""Bits that so much work must gain, all points together, by the number of variables."""
_LEAST_GAIN = 2.0
"""Bits that a change of form must gain, all points together."""
_USUAL = 2.0**-30, 2.0**11
"""The size of numbers that people compute with."""
_TINY = 2.0**-960
"""Less than this is nothing to most."""
_UNUSUAL = {1: 0.05, 2: 0.0015, 3: 0.0005}
"""The weight of a point that has others, or a tiny result, by the number of variables."""
_STEP = 2.0**-26
"""How far an input is moved for the derivative of a second derivative."""
_FORGIVEN = 0.02
"""The weight of digits that the rounding of an input costs too."""


@dataclass(frozen=True)
class Score:
    """What is wrong with a form.

    Attributes:
        bits: The digits lost over all points, beyond two bits each. Those of points of unusual size, and of
            tiny results, count little, and those that no form can keep if the inputs are rounded.
        worst: The largest error in ulp at a point of usual size.
        beyond: The largest, in what the rounding of an input changes the result by, and one ulp.
        wrong: At how many points of usual size it is no number, or wrongly one.
        cost: The work of evaluating it, as bits.
    """

    bits: float
    worst: float
    beyond: float
    wrong: int
    cost: float

    @property
    def calm(self) -> bool:
        """Whether there is nothing to mend: no other form can gain enough."""
        return self.bits <= _LEAST_GAIN

    @property
    def total(self) -> float:
        """What it costs altogether: digits lost, and work."""
        return self.bits + self.cost

    def beats(self, other: Score) -> bool:
        """Say whether this form is worth its place: clearly more digits, and not for much more work."""
        return other.bits - self.bits > _LEAST_GAIN + 0.02 * other.bits and self.total < other.total


class Judge:
    """The exact results of a formula at some points, to hold forms against.

    Args:
        root: The formula as it was typed.
        inputs: Its variables.
        numbers: The value of each constant among its names.

    Attributes:
        complete: Whether all points were looked at; of what takes too long nothing can be said.
    """

    def __init__(self, root: Value, inputs: Sequence[str], numbers: Mapping[str, Fraction]) -> None:
        self.inputs = tuple(inputs)
        self.numbers = {name(x): number(c) for x, c in numbers.items()}
        self.exact = Exact(self._with_numbers(root), inputs)
        self.points: list[Point] = []
        self.rows: list[list[Pair | Outcome]] = []
        self.usual: list[bool] = []
        drawn = sample(len(inputs), _POINTS[len(inputs)], FORMAT)
        for point in (*drawn, *nearby(root, self.inputs, drawn[len(drawn) // 2 :])):
            if not self.patient:
                break
            found = self.exact.at(point, 1)[: 1 + len(inputs)]
            if isinstance(found[0], tuple):
                self.points.append(point)
                self.rows.append(found)
                self.usual.append(all(map(_is_usual, point)))
        self.complete = self.patient
        self.seconds: dict[int, list[Pair | Outcome]] = {}
        self.beside: dict[tuple[int, int], list[Pair | Outcome]] = {}
        self.simulation = Simulation(inputs, self.points)
        self.allowances: dict[tuple[int, int], float] = {}

    @property
    def patient(self) -> bool:
        """Whether the exact results have not taken too much work yet."""
        return self.exact.work <= _PATIENCE

    def twice(self) -> bool:
        """Look at second derivatives too, and say whether that was done at all points."""
        return all(self.patient and self.row(i, 1 + len(self.inputs)) for i in range(len(self.points)))

    def _with_numbers(self, form: Value) -> Value:
        """Return a form with each constant at its default."""
        if not self.numbers:
            return form
        filled = substitute(form, self.numbers)
        return fold_numbers([filled])[filled]

    def __call__(self, form: Value, output: int) -> Score:
        """Return the score of a form of a result, by its place among those of :class:`Exact`."""
        (legal,) = legalise([self._with_numbers(form)])
        column = self.simulation(legal)
        bits, worst, beyond, wrong = 0.0, 0.0, 0.0, 0
        for i, computed in enumerate(column):
            exact = self.row(i, output)[output]
            if not isinstance(exact, tuple):
                continue
            found = error(float(computed), exact, FORMAT)
            ulp = 0.0 if found.nonfinite else found.ulp
            rest = ulp / self.allowance(i, output) if ulp > _CALM else ulp
            lost = _NO_NUMBER if found.nonfinite else _bits(rest) + _FORGIVEN * (_bits(ulp) - _bits(rest))
            if self.usual[i] and not 0 < abs(exact[0]) < _TINY:
                wrong += found.nonfinite
                worst, beyond = max(worst, ulp), max(beyond, rest)
                bits += lost
            else:
                bits += _UNUSUAL[len(self.inputs)] * lost
        return Score(bits, worst, beyond, wrong, _WORK[len(self.inputs)] * cost(legal))

    def allowance(self, i: int, output: int) -> float:
        """Return how many ulp a result changes if each input is rounded, and 1."""
        if (i, output) not in self.allowances:
            self.allowances[i, output] = 1 + self._conditioning(i, output)
        return self.allowances[i, output]

    def row(self, i: int, output: int) -> list[Pair | Outcome]:
        """Return the exact results at a point, as far as an output is one of them."""
        if output <= len(self.inputs):
            return self.rows[i]
        if i not in self.seconds:
            self.seconds[i] = self.exact.at(self.points[i], 2)
        return self.seconds[i]

    def _conditioning(self, i: int, output: int) -> float:
        if output and not self.patient:
            return 0.0
        exact = self.row(i, output)[output]
        assert isinstance(exact, tuple)
        moves = (abs(x * self._slope(i, k, output)) for k, x in enumerate(self.points[i]))
        total = sum(moves) * FORMAT.epsilon
        grown = total / FORMAT.ulp(exact[0]) if math.isfinite(total) else math.inf
        return float(min(grown, 2.0**_NO_NUMBER))

    def _slope(self, i: int, k: int, output: int) -> float:
        """Return the derivative of a result by an input, 0 where there is none."""
        n = len(self.inputs)
        if output <= n:
            derived = place(n, *sorted((k, output - 1))) if output else 1 + k
            slope = self.row(i, derived)[derived]
            return slope[0] if isinstance(slope, tuple) else 0.0
        x = self.points[i][k]
        moved = x * (1 + _STEP)
        here, there = self.row(i, output)[output], self._moved(i, k, moved)[output]
        if not isinstance(here, tuple) or not isinstance(there, tuple) or moved == x:
            return 0.0
        return (there[0] - here[0] + (there[1] - here[1])) / (moved - x)

    def _moved(self, i: int, k: int, x: float) -> list[Pair | Outcome]:
        """Return the exact results at a point with another coordinate."""
        if (i, k) not in self.beside:
            point = self.points[i]
            self.beside[i, k] = self.exact.at((*point[:k], x, *point[k + 1 :]), 2)
        return self.beside[i, k]


def _is_usual(x: float) -> bool:
    return x == 0 or _USUAL[0] <= abs(x) <= _USUAL[1]


def _bits(ulp: float) -> float:
    return 0.0 if ulp <= _CALM else min(math.log2(ulp / _CALM), _NO_NUMBER - 1)
