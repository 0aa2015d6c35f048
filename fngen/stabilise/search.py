"""The best form of a graph: rules that may help are tried, and those that do are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from heapq import heappop, heappush
from itertools import chain, islice

from fngen.ir import Value, fold, name, postorder, substitute, tree_size
from fngen.stabilise.arrangements import arrangements, of_product
from fngen.stabilise.faint import faint
from fngen.stabilise.guards import LIMIT, guarded, lightened, polynomials
from fngen.stabilise.judge import Judge, Score
from fngen.stabilise.rewrite import Rewriter
from fngen.stabilise.rows import FORMS, NAMES
from fngen.stabilise.tails import saturated

EFFORT = 100
"""Forms that are tried of one result, where there are few."""
_ALTOGETHER = 260
"""Forms that are tried of all results."""
LONGEST = 200
"""Nodes of a form beyond which it stays as it is: a user's, and one that was made of it."""

_LOOKED_AT = 4
"""How many are made, known ones too, for each that is tried."""
_AFTERWARDS = 4
"""One in so many is tried after the first form that has nothing to mend: a simpler one may come."""
_IN_VAIN = 33
"""Forms after which a search ends that has found nothing better."""
_GAIN, _DETOUR = 0.5, 5.0
"""Bits that a step gains if it is to be followed soon, and how much later another one is."""
Judged = tuple[Value, Score]
Step = tuple[Value, str]
"""A form, and why it may be better."""


class Search:
    """Looks for forms.

    Args:
        judge: Says how good one is; made when the first is judged.
        given: The value and the derivatives as they are, by their places among the results.
        effort: How many times as many forms are tried.

    Attributes:
        reasons: Why each of the forms that were tried may be better.
    """

    def __init__(self, judge: Callable[[], Judge], given: Mapping[int, Value], effort: int = 1) -> None:
        self.make, self.given, self.times = judge, given, effort
        self.effort = effort * min(EFFORT, _ALTOGETHER // max(len(given), 1))
        self.made: Judge | None = None
        self.rules, self.names = Rewriter(FORMS), Rewriter(NAMES)
        self.reasons: dict[Value, tuple[str, ...]] = {}
        self.carried: dict[Value, frozenset[str]] = {}

    @property
    def judge(self) -> Judge:
        """What says how good a form is."""
        if self.made is None:
            self.made = self.make()
            for output, form in self.given.items():
                self.made.choose(form, output)
        return self.made

    def all_best(self) -> dict[int, Judged | None]:
        """Return the best form of each given result, in the time that all may take together."""
        found: dict[int, Judged | None] = {}
        for output, form in self.given.items():
            found[output] = best = self.best(form, output)
            if best is not None:
                self.judge.choose(best[0], output)
        return found

    def best(self, form: Value, output: int, effort: int | None = None) -> Judged | None:
        """Return the best form that was found of so many and its score; None where there is no other."""
        if tree_size(form) > LONGEST or next(self.neighbours(form), None) is None:
            return None
        if not self.judge.complete:
            return None
        effort = effort or self.effort
        start = form, self.judge(form, output)
        known: dict[Value, Score] = dict([start])
        queue = [(start[1].total, 0, form)]
        left, least = _LOOKED_AT * effort, start[1].total
        most = 1 if start[1].calm else min(effort, _IN_VAIN * self.times)
        while queue and left > 0 and len(known) < most:
            _, _, here = heappop(queue)
            clamped = self._saturated(here, output) if known[here].overflows else ()
            for candidate, reason in islice(chain(clamped, self.neighbours(here)), left):
                left -= 1
                if candidate in known or len(known) >= most:
                    continue
                known[candidate] = score = self.judge(candidate, output)
                self.reasons[candidate] = (*self.reasons.get(here, ()), reason)
                if score.calm:
                    most = min(most, len(known) + effort // _AFTERWARDS)
                elif score.bits <= known[here].bits and tree_size(candidate) <= LONGEST:
                    gains = known[here].bits - score.bits > _GAIN
                    heappush(queue, (score.total + (0 if gains else _DETOUR), len(known), candidate))
                if least - score.total > _GAIN and not score.calm:
                    least, most = score.total, min(effort, len(known) + _IN_VAIN * self.times)
        return _winner(start, known)

    def neighbours(self, form: Value) -> Iterator[Step]:
        """Yield what one step makes of a form, at each place where it can be taken; every variable stays."""
        kept = self._carried(form)
        holes = {polynomial: name(f"p{i}!") for i, polynomial in enumerate(polynomials(form))}
        back = {hole: polynomial for polynomial, hole in holes.items()}
        steps = ((substitute(made, back), why) for made, why in self._neighbours(substitute(form, holes)))
        lighter = ((made, LIMIT) for made in lightened(form))
        yield from (step for step in chain(lighter, steps) if self._carried(step[0]) >= kept)

    def _carried(self, form: Value) -> frozenset[str]:
        """Return the variables whose NaN a form passes on."""
        return fold([form], _carried, self.carried)[form]

    def _saturated(self, form: Value, output: int) -> Iterator[Step]:
        """Yield a form with an input clamped, where it has become constant before."""
        for made in saturated(form):
            if not self.judge.spoils(made, form, output):
                yield made, "constant beyond"

    def _neighbours(self, form: Value) -> Iterator[Step]:
        """Yield what one step makes of all but the polynomials of guards, which are as good as they get."""
        self.rules.prepare([form])
        for node in postorder([form]):
            for made, why in self.rules.reasoned(node):
                for arranged in (made, *of_product(made)):
                    yield self.names([substitute(form, {node: arranged})])[0], why
        yield from ((made, "small only in the end") for made in faint(form))
        yield from ((made, "in an order that keeps digits") for made in arrangements(form))
        yield from guarded(form)


def _carried(node: Value, args: list[frozenset[str]]) -> frozenset[str]:
    """Return the variables whose NaN a node passes on.

    Of a choice those in its second branch, for of a NaN no comparison holds, that are in its condition or
    in the first branch too.
    """
    if node.op == "name":
        return frozenset({str(node.datum)})
    if node.op == "where":
        condition, first, second = args
        return second & (condition | first)
    return frozenset[str]().union(*args)


def judged(root: Value, inputs: Sequence[str], numbers: Mapping[str, Fraction], effort: int) -> Judge:
    """Return the judge of a formula."""
    return Judge(root, inputs, numbers, effort)


def _winner(start: Judged, known: dict[Value, Score]) -> Judged:
    """Return the form that gains most for its work."""
    better = [pair for pair in known.items() if pair[1].beats(start[1])]
    return min([start, *better], key=lambda pair: pair[1].total)
