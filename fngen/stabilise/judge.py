"""How many digits a form keeps: its errors at certified points, in simulated arithmetic."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import islice

from fngen.accuracy.evaluation import place
from fngen.accuracy.exact import Exact, Pair
from fngen.accuracy.points import Point
from fngen.accuracy.ulp import error
from fngen.accuracy.undefined import Outcome
from fngen.algebra import fold_numbers
from fngen.backends.torch import Legaliser
from fngen.ir import Value, name, number, substitute
from fngen.stabilise.drawn import PATIENCE, drawn
from fngen.stabilise.known import FORMAT, Known
from fngen.stabilise.places import nearby
from fngen.stabilise.score import Score
from fngen.stabilise.simulate import Simulation
from fngen.stabilise.tails import settles
from fngen.stabilise.work import Budget

_NO_DIGIT, _NO_NUMBER = 55.0, 60.0
"""Bits that a number without a right digit has lost at most, and what a wrong nan or infinity counts."""
_CALM = 3.0
"""Errors in ulp up to which a result is as good as any."""
_SERIOUS, _MORE = 10.0, 4.0
"""Bits beyond which a loss counts so much more."""
_CHEAP, _DEAR = 1.0, 45.0
"""Bits that the time of plain autograd must gain, all points together: as part of it, and in addition."""
_USUAL = 2.0**-30, 2.0**11
"""The size of numbers that people compute with."""
_SPOILT = 8.0
"""Bits that no point may lose to a form which is right in one range only."""
_MOST_USUAL = 6
"""At how many points of usual size it is tried whether a result becomes constant."""
_STEP, _FORGIVEN = 2.0**-26, 0.5
"""How far an input is moved for the derivative of a second one; the weight of digits that this costs too."""


class Judge:
    """The exact results of a formula at some points, to hold forms against.

    Args:
        root: The formula as it was typed.
        inputs: Its variables.
        numbers: The value of each constant among its names.
        effort: How many times as much time digits are worth.
        summed: The variables whose gradients are summed: of these no subnormal term counts.

    Attributes:
        complete: Whether all points were looked at; of what takes too long nothing can be said.
    """

    def __init__(
        self,
        root: Value,
        inputs: Sequence[str],
        numbers: Mapping[str, Fraction],
        effort: int = 1,
        summed: Collection[str] = (),
    ) -> None:
        self.inputs, self.effort = tuple(inputs), effort
        self.summed = {1 + self.inputs.index(x) for x in summed}
        self.numbers = {name(x): number(c) for x, c in numbers.items()}
        self.legalise, self.legal = Legaliser(), dict[Value, Value]()
        typed = self._with_numbers(root)
        self.budget = Budget(self.legalised(root), self.inputs)
        self.exact = Exact(typed, inputs)
        self.points: list[Point] = []
        self.rows: list[list[Pair | Outcome]] = []
        self.usual: list[bool] = []
        self.drawn = drawn(len(inputs))
        self._look_at(self.drawn.first, self.drawn.patience)
        self.complete = self.patient and len(self.points) >= self.drawn.least
        half = len(self.drawn.first) // 2
        self._look_at(nearby(typed, self.inputs, self.drawn.first[half:]), PATIENCE // 2)
        self._look_at(self.drawn.later, PATIENCE // 2)
        self.of_second = [i for i, u in enumerate(self.usual) if u or self.drawn.seconds]
        self.seconds: dict[int, list[Pair | Outcome]] = {}
        self.beside: dict[tuple[int, int], list[Pair | Outcome]] = {}
        self.simulation = Simulation(inputs, self.points)
        self.known: dict[int, list[Known]] = {}
        self.settled: dict[tuple[str, float, int], bool] = {}
        self.allowances: dict[tuple[int, int], float] = {}
        self.losses: dict[tuple[int, int, float], tuple[float, float, float, bool]] = {}

    def _look_at(self, points: Iterable[Point], work: int) -> None:
        """Take points at which the formula is a number, as long as all have not taken so much work."""
        for point in points:
            if self.exact.work > work:
                break
            found = self.exact.at(point, 1)[: 1 + len(self.inputs)]
            if isinstance(found[0], tuple):
                self.points.append(point)
                self.rows.append(found)
                self.usual.append(all(map(_is_usual, point)))

    @property
    def patient(self) -> bool:
        """Whether the exact results have not taken too much work yet."""
        return self.exact.work <= PATIENCE

    def twice(self) -> bool:
        """Look at second derivatives too, and say whether that was done at all points."""
        return all(self.patient and self.row(i, 1 + len(self.inputs)) for i in self.of_second)

    def choose(self, form: Value, output: int) -> None:
        """Note that a result has this form, unless another is chosen."""
        self.budget.choose(self.legalised(form), output)

    def legalised(self, form: Value) -> Value:
        """Return a form as torch has it, each constant at its default."""
        if form not in self.legal:
            (self.legal[form],) = self.legalise([self._with_numbers(form)])
        return self.legal[form]

    def _with_numbers(self, form: Value) -> Value:
        """Return a form with each constant at its default."""
        if not self.numbers:
            return form
        filled = substitute(form, self.numbers)
        return fold_numbers([filled])[filled]

    def __call__(self, form: Value, output: int) -> Score:
        """Return the score of a form of a result, by its place among those of :class:`Exact`."""
        legal = self.legalised(form)
        column = self.simulation(legal)
        usual, unusual, worst, beyond, wrong, none = 0.0, 0.0, 0.0, 0.0, 0, 0.0
        for i, high, low, scale, normal in self._known(output):
            computed = column[i]
            ulp = rest = abs((computed - high) - low) * scale
            if not ulp <= _CALM:  # Most are, and this is where a search has its time.
                lost, ulp, rest, nonfinite = self._loss(i, output, float(computed))
                if self.usual[i]:
                    wrong += nonfinite
                    usual += lost
                else:
                    lost *= self.drawn.unusual
                    unusual += lost
                none += lost * nonfinite
            if normal and self.usual[i]:
                worst, beyond = max(worst, ulp), max(beyond, rest)
        bits = usual + unusual
        return Score(bits, usual, worst, beyond, wrong, self._work(legal, output), bits - none)

    def _known(self, output: int) -> list[Known]:
        """Return the points at which a result is a number that counts."""
        if output not in self.known:
            places = range(len(self.points)) if output <= len(self.inputs) else self.of_second
            exact = ((i, self.row(i, output)[output]) for i in places)
            numbers = (Known.of(i, x) for i, x in exact if isinstance(x, tuple))
            self.known[output] = [n for n in numbers if n.normal or output not in self.summed]
        return self.known[output]

    def settles(self, x: str, bound: float, output: int) -> bool:
        """Say whether a result has become constant where an input is beyond a bound."""
        key = x, bound, output
        if key not in self.settled:
            usual = (point for point, u in zip(self.points, self.usual, strict=True) if u)
            points = islice(usual, _MOST_USUAL)
            self.settled[key] = settles(self.exact, points, self.inputs.index(x), bound, output)
        return self.settled[key]

    def spoils(self, form: Value, other: Value, output: int) -> bool:
        """Say whether a form has no digits at a point where another has most of its own."""
        new, old = (self.simulation(self.legalised(f)) for f in (form, other))
        places = (known.place for known in self._known(output))
        changed = ((i, float(new[i]), float(old[i])) for i in places if new[i] != old[i])
        return any(self._loss(i, output, a)[0] - self._loss(i, output, b)[0] > _SPOILT for i, a, b in changed)

    def _loss(self, i: int, output: int, computed: float) -> tuple[float, float, float, bool]:
        """Return the bits that a number has lost, its error, that beyond what is allowed; is it wrong?"""
        key = i, output, computed
        if key not in self.losses:
            self.losses[key] = self._lost(*key)
        return self.losses[key]

    def _lost(self, i: int, output: int, computed: float) -> tuple[float, float, float, bool]:
        exact = self.row(i, output)[output]
        assert isinstance(exact, tuple)
        found = error(computed, exact, FORMAT)
        if found.nonfinite:
            return _weighed(_NO_NUMBER), 0.0, 0.0, True
        rest = found.ulp / self.allowance(i, output) if found.ulp > _CALM else found.ulp
        return _bits(rest) + _FORGIVEN * (_bits(found.ulp) - _bits(rest)), found.ulp, rest, False

    def _work(self, form: Value, output: int) -> float:
        """Return the work of evaluating a form, as bits."""
        time, over = self.budget.of(form, output)
        return (_CHEAP * time + _DEAR * over) / self.effort

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
        # That of a second derivative takes all second ones again, beside the point, for each input.
        dear = output > len(self.inputs) and not self.drawn.seconds
        if (output and not self.patient) or dear:
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
    return 0.0 if ulp <= _CALM else _weighed(min(math.log2(ulp / _CALM), _NO_DIGIT))


def _weighed(bits: float) -> float:
    return bits + _MORE * max(bits - _SERIOUS, 0)
