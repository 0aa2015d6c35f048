"""From form to form: what is better is followed, first for its digits, then for what it does at any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from fngen.ir import Value, tree_size
from fngen.stabilise.frontier import Frontier, Step
from fngen.stabilise.score import LEAST_GAIN, Score

LONGEST = 200
"""Nodes of a form beyond which it stays as it is: a user's, and one that was made of it."""
_LOOKED_AT = 4
"""How many are made, known ones too, for each that is tried."""
_AFTERWARDS = 4
"""One in so many is tried after the first form that has nothing to mend: a simpler one may come."""
_SLICE = 16
"""Forms that are made of one before another has its turn."""
_FINISHED = 3
"""How many forms are tried without their overflow in the end."""
_GAIN, _DETOUR = 0.5, 5.0
"""Bits that a step gains if it is to be followed soon, and how much later another one is."""
Aim = Callable[[Score], float]
"""What is lost of a form's digits, of those that count."""


class Walk:
    """Looks for forms, from one that is given.

    Args:
        start: The form to begin with.
        judge: Says how good one is.
        steps: Gives what one step makes of a form, and why.
        reasons: Takes note why each form that was tried may be better.

    Attributes:
        known: The forms that were tried, and their scores.
    """

    def __init__(
        self,
        start: Value,
        judge: Callable[[Value], Score],
        steps: Callable[[Value, Score], Iterator[Step]],
        reasons: dict[Value, tuple[str, ...]],
    ) -> None:
        self.judge, self.steps, self.reasons = judge, steps, reasons
        self.known: dict[Value, Score] = {start: judge(start)}
        self.frontier = Frontier()
        self._follow(start, 0)

    def go(self, aim: Aim, effort: int, patience: int) -> None:
        """Try so many more forms, or until so many have been in vain."""
        begun, left = len(self.known), _LOOKED_AT * effort
        least = min(_total(score, aim) for score in self.known.values())
        self.frontier.rank(lambda form: _total(self.known[form], aim))
        calm = any(aim(score) <= LEAST_GAIN for score in self.known.values())
        most = begun if calm else begun + min(effort, patience)
        while self.frontier and left > 0 and len(self.known) < most:
            here, steps = self.frontier.next()
            enough = len(self.known) + _SLICE
            for candidate, reason in islice(steps, left):
                left -= 1
                if candidate in self.known:
                    continue
                score = self._try(candidate, reason, here, aim)
                if aim(score) <= LEAST_GAIN:
                    most = min(most, len(self.known) + effort // _AFTERWARDS)
                elif least - _total(score, aim) > _GAIN:
                    least = _total(score, aim)
                    most = min(begun + effort, len(self.known) + patience)
                    break
                if len(self.known) >= min(enough, most):
                    break
            else:
                self.frontier.drop(here)

    def finish(self, steps: Callable[[Value], Iterator[Step]]) -> None:
        """Take steps against overflow from the forms that are best where there is none."""
        there = (form for form, score in self.known.items() if score.overflows)
        for form in sorted(there, key=lambda form: self.known[form].digits)[:_FINISHED]:
            left = [form]
            while left:
                here = left.pop()
                made = [candidate for candidate, why in steps(here) if self._gains(candidate, why, here)]
                left += sorted(made, key=lambda candidate: self.known[candidate].total)[:1]

    def _gains(self, candidate: Value, reason: str, here: Value) -> bool:
        if candidate not in self.known:
            self.known[candidate] = self.judge(candidate)
            self.reasons[candidate] = (*self.reasons.get(here, ()), reason)
        return self.known[here].lost - self.known[candidate].lost > _GAIN

    def _try(self, candidate: Value, reason: str, here: Value, aim: Aim) -> Score:
        """Judge a form, and follow it later unless it is worse than what it was made of."""
        self.known[candidate] = score = self.judge(candidate)
        self.reasons[candidate] = (*self.reasons.get(here, ()), reason)
        gained = aim(self.known[here]) - aim(score)
        if gained >= 0 and not score.calm and tree_size(candidate) <= LONGEST:
            self._follow(candidate, _total(score, aim) + (0 if gained > _GAIN else _DETOUR))
        return score

    def _follow(self, form: Value, order: float) -> None:
        self.frontier.add(form, self.steps(form, self.known[form]), order)


def _total(score: Score, aim: Aim) -> float:
    return aim(score) + score.cost
