"""Second derivatives: those that autograd of an emitted derivative would get wrong, in a form of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fngen.accuracy.evaluation import place
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


class Seconds:
    """Looks which derivatives need derivatives of their own.

    Args:
        look: Finds the best form of a graph.
        inputs: The variables of the formula.
        differentiate: Gives the derivatives of a graph by each of them, by their names.
    """

    def __init__(self, look: Search, inputs: Sequence[str], differentiate: Differentiate) -> None:
        self.look, self.inputs, self.differentiate = look, tuple(inputs), differentiate
        self.known: dict[int, tuple[Value, Score]] = {}

    def of(self, best: Value, given: Value, i: int) -> Own:
        """Return the derivatives of a derivative where they are worth a node.

        Args:
            best: The derivative as it is emitted.
            given: The same before anything but its names changed.
            i: The place of the input by which it is.
        """
        places = [place(len(self.inputs), *sorted((i, j))) for j in range(len(self.inputs))]
        (legal,) = legalise([best])
        simulated = zip(autograd(legal, self.inputs), places, strict=True)
        scores = [self.look.judge(graph, p) for graph, p in simulated]
        if all(score.calm for score in scores) or not self.look.judge.complete:
            return None
        found = [self._best(g, p) for g, p in zip(self.differentiate(given), places, strict=True)]
        bits = sum(score.bits for _, score in found), sum(score.bits for score in scores)
        return tuple(graph for graph, _ in found) if _is_worth_it(*bits) else None

    def _best(self, graph: Value, output: int) -> tuple[Value, Score]:
        if output not in self.known:
            found = self.look.best(graph, output, EFFORT)
            self.known[output] = found or (graph, self.look.judge(graph, output))
        return self.known[output]


def through_output(value: Value, slopes: Sequence[Value], inputs: Sequence[str]) -> bool:
    """Say whether derivatives are made of the value alone: their own go through its derivative."""
    return not set(names(substitute_all(slopes, {value: name("y!")}))) & set(inputs)


def _is_worth_it(own: float, autograd_s: float) -> bool:
    """Say whether the digits that are gained are worth a node: many, or most of those lost."""
    return autograd_s - own > _LEAST + autograd_s / 10


_LEAST = 4.0
"""Bits that a node must gain, all points together."""
