"""Second derivatives that autograd of an emitted derivative would get wrong, in forms of their own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from fngen.accuracy.evaluation import count, place
from fngen.algebra import fold_numbers
from fngen.backends.torch import legalise
from fngen.ir import Value, postorder
from fngen.stabilise.autograd import autograd, without_ones
from fngen.stabilise.removable import Differentiate
from fngen.stabilise.score import Score
from fngen.stabilise.search import Judged, Search, total
from fngen.stabilise.walk import LONGEST

EFFORT, _ALTOGETHER = 60, 150
"""Forms that are tried of one second derivative, and of all of them."""
_LONGEST = 4 * LONGEST
"""Nodes of a derivative that is looked at: what was made of a guarded value is long, and may need it most."""
_LONGEST_OWN = 300
"""Nodes of derivatives that autograd could as well be asked for."""
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
        given: What each was made of, before anything but names changed: one graph or two.
        differentiate: Gives the derivatives of a graph by some variables.

    Attributes:
        owned: The places of the inputs by which a derivative has been given derivatives.
    """

    def __init__(
        self,
        look: Search,
        inputs: Sequence[str],
        slopes: Sequence[Value],
        given: Sequence[Sequence[Value]],
        differentiate: Differentiate,
    ) -> None:
        self.look, self.inputs = look, tuple(inputs)
        self.given, self.differentiate = given, differentiate
        short = (i for i, slope in enumerate(slopes) if len(postorder([slope])) <= _LONGEST)
        self.autograd = {i: self._of_autograd(i, slopes[i]) for i in short}
        self.effort = look.times * min(EFFORT, _ALTOGETHER // (count(len(inputs), 2) - count(len(inputs), 1)))
        self.known: dict[int, Judged] = {}
        self.owned: list[int] = []

    def of(self, i: int) -> Own:
        """Return the derivatives of the derivative by an input, where they are worth a node."""
        plain = self.autograd.get(i, ())
        if all(score.calm for _, score in plain):
            return None
        found = [self._best(*sorted((i, j))) for j in range(len(self.inputs))]
        lost, left = sum(s.bits for _, s in plain), sum(s.bits for _, s in found)
        if lost - left <= _LEAST + lost / 10 or self._is_written_out([graph for graph, _ in found]):
            return None
        self.owned.append(i)
        return tuple(graph for graph, _ in found)

    def _is_written_out(self, graphs: Sequence[Value]) -> bool:
        """Say whether nothing but what autograd does would stand in the file, and at length."""
        known = {folded(graph) for row in self.autograd.values() for graph, _ in row}
        return known.issuperset(graphs) and len(postorder(graphs)) > _LONGEST_OWN

    @property
    def scores(self) -> list[Score]:
        """What the second derivatives are worth as they are emitted."""
        own = [self.known[self._place(i, j)][1] for i in self.owned for j in range(len(self.inputs))]
        return own + [score for i, row in self.autograd.items() if i not in self.owned for _, score in row]

    def _of_autograd(self, i: int, slope: Value) -> list[Judged]:
        """Return what autograd makes of a derivative, by each input."""
        (legal,) = legalise([slope])
        graphs = without_ones(autograd(legal, self.inputs))
        return [(graph, self.look.judge(graph, self._place(i, j))) for j, graph in enumerate(graphs)]

    @cached_property
    def derived(self) -> list[list[Sequence[Value]]]:
        """The derivatives of all derivatives, from each graph that they are made of."""
        return [[self.differentiate(graph, self.inputs) for graph in graphs] for graphs in self.given]

    def _place(self, i: int, j: int) -> int:
        return place(len(self.inputs), *sorted((i, j)))

    def _best(self, i: int, j: int) -> Judged:
        """Return the best form of a second derivative: by either input first, or as autograd has it."""
        output = self._place(i, j)
        if output not in self.known:
            ways = [(i, j), (j, i)][: 1 + (i != j)]
            forms = (row[b] for a, b in ways for row in self.derived[a])
            judged = ((form, self.look.judge(form, output)) for form in forms)
            best = min(judged, key=total)
            found = [self.look.best(best[0], output, self.effort) or best]
            found += [self.autograd[a][b] for a, b in ways if a in self.autograd]
            graph, score = min(found, key=total)
            self.known[output] = folded(graph), score
        return self.known[output]


def folded(graph: Value) -> Value:
    """Return a graph with its numbers worked out."""
    return fold_numbers([graph])[graph]
