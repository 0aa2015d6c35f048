"""The best form of a graph: rules that may help are tried, and those that do are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

from fngen.algebra import mul
from fngen.ir import Value, fold, name, names, postorder, substitute, tree_size, value
from fngen.stabilise import exponents, faint
from fngen.stabilise.arrangements import arrangements, of_product
from fngen.stabilise.dominant import dominant
from fngen.stabilise.forms import FORMS
from fngen.stabilise.frontier import Step
from fngen.stabilise.groups import groups
from fngen.stabilise.guards import HOLE, LIMIT, SERIES, guarded
from fngen.stabilise.judge import Judge
from fngen.stabilise.powers import differences
from fngen.stabilise.reguarded import bare, deepened, lightened, polynomials, stripped, widened
from fngen.stabilise.removable import Differentiate, derived, grouped
from fngen.stabilise.rewrite import Rewriter
from fngen.stabilise.rows import DIGITS, NAMES, OVERFLOW
from fngen.stabilise.score import LEAST_GAIN, Score
from fngen.stabilise.tails import saturated
from fngen.stabilise.walk import LONGEST, Walk

EXPONENTS = "its exponent by its logarithm"
ORDER, FEWER_VARIABLES = "in an order that keeps digits", "a function of fewer variables"
EFFORT = 140
"""Forms that are tried of one result, where there are few."""
_ALTOGETHER = 360
"""Forms that are tried of all results."""
_IN_VAIN = 60
"""Forms after which a search ends that has found nothing better."""
_AS_GOOD = 1.0
"""Bits by which two forms may differ by chance."""
_GROWING = frozenset({"exp", "exp2", "expm1", "sinh", "cosh"})
Judged = tuple[Value, Score]


class Search:
    """Looks for forms.

    Args:
        judge: Says how good one is; made when the first is judged.
        given: The value and the derivatives as they are, by their places among the results; afterwards
            those that the best forms were made of.
        effort: How many times as many forms are tried.

    Attributes:
        reasons: Why each of the forms that were tried may be better.
    """

    def __init__(self, judge: Callable[[], Judge], given: Mapping[int, Value], effort: int = 1) -> None:
        self.make, self.given, self.times = judge, dict(given), effort
        self.effort = effort * min(EFFORT, _ALTOGETHER // max(len(given), 1))
        self.made: Judge | None = None
        self.rules, self.names = Rewriter(FORMS), Rewriter(NAMES)
        self.reasons: dict[Value, tuple[str, ...]] = {}
        self.tried: list[Value] = []
        self.typed = frozenset(postorder([self.given[0]])) if 0 in self.given else frozenset[Value]()
        self.asked = frozenset(postorder(self.given.values()))
        self.every = frozenset(names(self.given.values()))
        self.carried: dict[Value, frozenset[str]] = {}

    @property
    def judge(self) -> Judge:
        """What says how good a form is."""
        if self.made is None:
            self.made = self.make()
            for output, form in self.given.items():
                self.made.choose(form, output)
        return self.made

    def all_best(self, inputs: Sequence[str], differentiate: Differentiate) -> dict[int, Judged | None]:
        """Return the best form of each given result, in the time that all may take together.

        Of a derivative forms are looked for from where it starts as given, and from that of the best form of
        the value in which a singularity stands apart.
        """
        found: dict[int, Judged | None] = {}
        others: list[Sequence[Value]] = []
        for output, form in self.given.items():
            found[output] = best = self.best(form, output)
            if others and best is not None and not best[1].calm:
                starts = ((slopes[output - 1], self.judge(slopes[output - 1], output)) for slopes in others)
                start = min(starts, key=total)
                again = self.best(start[0], output, self.effort // 2) or start
                if again[1].total < best[1].total:
                    self.given[output], found[output], best = others[0][output - 1], again, again
            if best is not None:
                self.judge.choose(best[0], output)
                if output == 0:
                    wholes = (bare(made, self.typed) for made in self.tried)
                    apart = (derived(whole, inputs, differentiate) for whole in wholes)
                    others = next(filter(None, map(list, apart)), [])
        return found

    def starts(self, form: Value, output: int) -> list[Value]:
        """Return what a form was made of that was found: as it was given, and from the value's best form."""
        return [*dict.fromkeys((form, self.given.get(output, form)))]

    def best(self, form: Value, output: int, effort: int | None = None) -> Judged | None:
        """Return the best form that was found of so many and its score; None where there is no other."""
        others = chain(self.neighbours(form), saturated(form, names([form])) if _grows(form) else ())
        if tree_size(form) > LONGEST or next(others, None) is None:
            return None
        if not self.judge.complete:
            return None
        effort = effort or self.effort
        walk = Walk(
            form,
            lambda made: self.judge(made, output),
            lambda made, score: self._steps(made, output, score),
            self.reasons,
        )
        patience = _IN_VAIN * self.times
        walk.go(lambda score: score.early, effort // 2, patience)
        walk.go(lambda score: score.lost, effort - len(walk.known), patience)
        walk.finish(self._dominant)
        self.tried = sorted(walk.known, key=lambda made: walk.known[made].total)
        return self._shorter(*_winner((form, walk.known[form]), walk.known), output)

    def _shorter(self, form: Value, score: Score, output: int) -> Judged:
        """Return a form without the guards that it can do without."""
        for made in stripped(form):
            if self._carried(made) >= self._carried(form):
                shorter = self.judge(made, output)
                if shorter.bits <= score.bits and shorter.total <= score.total:
                    self.reasons.setdefault(made, self.reasons.get(form, ()))
                    return self._shorter(made, shorter, output)
        return form, score

    def _steps(self, form: Value, output: int, score: Score) -> Iterator[Step]:
        first = self._saturated(form, output) if score.overflows else ()
        last = ((made, SERIES) for made in deepened(form)) if score.early > LEAST_GAIN else ()
        return chain(first, self.neighbours(form), last)

    def neighbours(self, form: Value) -> Iterator[Step]:
        """Yield what one step makes of a form, at each place where it can be taken; every variable stays."""
        kept = self._carried(form)
        done = [*polynomials(form), *exponents.settled(form), *faint.settled(form, self.asked)]
        holes = {part: name(f"p{i}!") for i, part in enumerate(done)}
        back = {hole: part for part, hole in holes.items()}
        steps = ((substitute(made, back), why) for made, why in self._neighbours(substitute(form, holes)))
        lighter = ((made, LIMIT) for made in lightened(form))
        wider = ((made, SERIES) for made in widened(form))
        yield from (step for step in chain(lighter, wider, steps) if self._carried(step[0]) >= kept)

    def _carried(self, form: Value) -> frozenset[str]:
        """Return the variables whose NaN a form passes on."""
        return fold([form], self._carries, self.carried)[form]

    def _carries(self, node: Value, args: list[frozenset[str]]) -> frozenset[str]:
        """Return the same of a node.

        Of a choice it is those in its second branch, for of a NaN no comparison holds, that are in its
        condition or in the first branch too.
        """
        if node.op == "name":
            return frozenset({str(node.datum)})
        if node.op == "nan":
            return self.every
        if node.op == "where":
            condition, first, second = args
            return second & (condition | first)
        return frozenset[str]().union(*args)

    def _saturated(self, form: Value, output: int) -> Iterator[Step]:
        """Yield a form with an input clamped, where it has become constant before."""
        for made, x, bounds in saturated(form, self.judge.inputs):
            settled = all(self.judge.settles(x, bound, output) for bound in bounds)
            if settled and not self.judge.spoils(made, form, output):
                yield made, "constant beyond"

    def _dominant(self, form: Value) -> Iterator[Step]:
        """Yield a form with what grows in front of all where that is large, else as it is."""
        known = {n.args[0] for n in postorder([form]) if n.op == "where"}
        for made in dominant(bare(form, self.asked)):
            whole = value("where", *made.args[:2], form)
            if made.args[0] not in known and self._carried(whole) >= self._carried(form):
                yield self.names([whole])[0], OVERFLOW

    def _neighbours(self, form: Value) -> Iterator[Step]:
        """Yield what one step makes of all but the polynomials of guards, which are as good as they get."""
        small = ((made, "small only in the end") for made in self._faint(form))
        ordered = ((made, ORDER) for arranged in arrangements(form) for made in self._named(arranged))
        apart = ((made, SERIES) for made in grouped(form))
        powers = ((made, DIGITS) for made in differences(form))
        united = ((made, FEWER_VARIABLES) for made in self._in_groups(form))
        general = ((made, EXPONENTS) for made in self._exponentials(form))
        others = chain(powers, apart)
        yield from _by_turns(self._by_rules(form), guarded(form), general, small, ordered, others, united)

    def _named(self, form: Value) -> Iterator[Value]:
        """Yield a form, before it what its parts are by their names."""
        yield from dict.fromkeys((self.names([form])[0], form))

    def _exponentials(self, form: Value) -> Iterator[Value]:
        """Yield a form with powers as exponentials, and what that is where these are of one group."""
        for made in exponents.exponentials(form, self.typed):
            (named,) = self.names([made])
            yield named
            yield from grouped(named)

    def _faint(self, form: Value) -> Iterator[Value]:
        """Yield a form that is one power where an exponential is small or large, else as it is."""
        whole = bare(form, self.asked)
        for made in faint.faint(whole):
            yield made if whole is form else value("where", *made.args[:2], form)

    def _in_groups(self, form: Value) -> Iterator[Value]:
        """Yield a form with what is a function of one group as that, before and after each rule."""
        for node, (rest, part, t) in groups(form):
            rules = self.rules.active([part])
            steps = [(n, made) for n in postorder([part]) for made, _ in rules.steps(n)]
            for one in (part, *(substitute(part, {n: made}) for n, made in steps)):
                yield from self._named(substitute(form, {node: mul(rest, substitute(one, {HOLE: t}))}))

    def _by_rules(self, form: Value) -> Iterator[Step]:
        there = dict.fromkeys(postorder([form]))
        rules = self.rules.active([form])
        for node in reversed(there):
            # What a rule keeps for some numbers it would find again.
            for made, why in (step for step in rules.steps(node) if step[0] not in there):
                for arranged in (made, *of_product(made)):
                    yield self.names([substitute(form, {node: arranged})])[0], why
                if why == DIGITS:  # What has become small may be a singularity less.
                    yield from ((one, why) for one in grouped(substitute(form, {node: made})))
                    yield from ((substitute(form, {node: one}), why) for one, _ in guarded(made))


def _by_turns(*streams: Iterator[Step]) -> Iterator[Step]:
    """Yield from streams by turns, until all have ended."""
    left = [*streams]
    while left:
        for stream in [*left]:
            if (step := next(stream, None)) is None:
                left.remove(stream)
            else:
                yield step


def _grows(form: Value) -> bool:
    """Say whether something overflows in a sum or product with something else."""
    return form.op not in _GROWING and any(n.op in _GROWING for n in postorder([form]))


def total(found: Judged) -> float:
    """Return the score of a form, by which the least is the best."""
    return found[1].total


def _winner(start: Judged, known: dict[Value, Score]) -> Judged:
    """Return the form that gains most for its work; of several as good, the one that was found first."""
    better = [start, *(pair for pair in known.items() if pair[1].beats(start[1]))]
    least = min(map(total, better))
    return next(pair for pair in better if total(pair) <= least + _AS_GOOD)
