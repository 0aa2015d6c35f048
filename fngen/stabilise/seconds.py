"""Second derivatives: those that autograd of an emitted derivative would get wrong, in a form of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from fngen.accuracy.evaluation import place
from fngen.algebra import fold_numbers
from fngen.backends.torch import legalise
from fngen.ir import Value, name, names, substitute_all
from fngen.stabilise.autograd import autograd
from fngen.stabilise.judge import Score
from fngen.stabilise.search import Search

EFFORT = 25
"""Forms that are tried of one second derivative."""
Differentiate = Callable[[Value], Sequence[Value]]
Own = tuple[Value, ...] | None
"""The derivatives of a derivative by each input; None where autograd's are as good."""
_LEAST = 4.0
"""Bits that a node must gain, all points together."""


class Seconds:
    """Looks which derivatives need derivatives of their own.

    Args:
        look: Finds the best form of a graph.
        inputs: The variables of the formula.
        slopes: Its derivatives by each, as they are emitted.
        given: The same before anything but names changed.
        differentiate: Gives the derivatives of a graph by each input, by their names.
    """

    def __init__(
        self,
        look: Search,
        inputs: Sequence[str],
        slopes: Sequence[Value],
        given: Sequence[Value],
        differentiate: Differentiate,
    ) -> None:
        self.look, self.inputs = look, tuple(inputs)
        self.given, self.differentiate = given, differentiate
        self.autograd = [autograd(legal, self.inputs) for legal in legalise(slopes)]
        self.scores = [
            [look.judge(graph, self._place(i, j)) for j, graph in enumerate(row)]
            for i, row in enumerate(self.autograd)
        ]
        self.known: dict[int, tuple[Value, Score]] = {}

    def of(self, i: int) -> Own:
        """Return the derivatives of the derivative by an input, where they are worth a node."""
        if all(score.calm for score in self.scores[i]) or not self.look.judge.complete:
            return None
        found = [self._best(*sorted((i, j))) for j in range(len(self.inputs))]
        lost, left = sum(s.bits for s in self.scores[i]), sum(s.bits for _, s in found)
        return tuple(graph for graph, _ in found) if lost - left > _LEAST + lost / 10 else None

    @cached_property
    def derived(self) -> list[Sequence[Value]]:
        """The derivatives of all derivatives."""
        return [self.differentiate(slope) for slope in self.given]

    def _place(self, i: int, j: int) -> int:
        return place(len(self.inputs), *sorted((i, j)))

    def _best(self, i: int, j: int) -> tuple[Value, Score]:
        """Return the best form of a second derivative: by either input first, or as autograd has it."""
        output = self._place(i, j)
        if output not in self.known:
            ways = [(i, j), (j, i)][: 1 + (i != j)]
            judged = ((form, self.look.judge(form, output)) for form in (self.derived[a][b] for a, b in ways))
            best = min(judged, key=_total)
            found = [self.look.best(best[0], output, EFFORT) or best]
            found += [(_folded(self.autograd[a][b]), self.scores[a][b]) for a, b in ways]
            self.known[output] = min(found, key=_total)
        return self.known[output]


def _total(pair: tuple[Value, Score]) -> float:
    return pair[1].total


def _folded(graph: Value) -> Value:
    return fold_numbers([graph])[graph]


def through_output(value: Value, slopes: Sequence[Value], inputs: Sequence[str]) -> bool:
    """Say whether derivatives are made of the value alone: their own go through its derivative."""
    return not set(names(substitute_all(slopes, {value: name("y!")}))) & set(inputs)
