"""A Problem and its derivatives in a form that keeps their digits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from fngen.algebra import fold_numbers
from fngen.derivatives import Derivatives
from fngen.ir import Value, fold, name, names, postorder, rebuild, substitute_all
from fngen.printing.formula import FormulaPrinter
from fngen.problem import Problem
from fngen.stabilise.reducing_rows import OF_REDUCTIONS
from fngen.stabilise.rewrite import Rewriter
from fngen.stabilise.rows import NAMES

if TYPE_CHECKING:
    from fngen.stabilise.removable import Differentiate
    from fngen.stabilise.score import Score
    from fngen.stabilise.search import Search

MOST_INPUTS = 6
"""Variables beyond which a sample of points says little."""
_LARGEST = 600
"""Nodes beyond which a formula is what a program wrote, and rules would take their time."""
_CALM = frozenset({"name", "number", "add", "mul", "pow", "neg"})
"""What sums of powers are made of: there is no better form of one."""
_SMOOTH = _CALM | {"div", "sin", "cos", "exp", "pi"}
"""What derivatives are made of of which autograd takes the derivative as well as anybody."""
_EITHER = frozenset({"add", "mul"})
_ALL_NAMES = (*OF_REDUCTIONS, *NAMES)


def recognised(problem: Problem) -> Problem:
    """Return a problem with the functions that its parts are, by their names."""
    if problem.complex:
        return problem
    rewriter = Rewriter(_ALL_NAMES)
    found = problem.rewritten(partial(_rewritten, rewriter))
    return replace(found, written=problem.value, reasons=tuple(rewriter.reasons))


def recognised_again(found: Derivatives) -> Derivatives:
    """Return derivatives with the functions that their parts are, by their names."""
    graphs = [*found.slopes, *found.tangents, *(g for joint in found.joints for g in joint.graphs)]
    images = iter(_rewritten(Rewriter(_ALL_NAMES), graphs))
    slopes = tuple(next(images) for _ in found.slopes)
    tangents = tuple(next(images) for _ in found.tangents)
    return replace(
        found, slopes=slopes, tangents=tangents, joints=tuple(j.mapped(images) for j in found.joints)
    )


@dataclass(frozen=True)
class Claim:
    """What the forms of a formula are worth, in float64 of which every operation is rounded once.

    Attributes:
        points: At how many points of usual size that was looked at.
        value: What was found of the value.
        slopes: What was found of the derivative by each variable, where none is declared.
        seconds: What was found of the second derivatives, where they were looked at.
    """

    points: int
    value: Score
    slopes: dict[str, Score]
    seconds: tuple[Score, ...] = ()

    def of(self, arguments: Mapping[str, Value]) -> Claim:
        """Return the claim of a node that takes ``arguments``, which is what derivatives are by."""
        spell = FormulaPrinter(as_read=True).print
        return replace(self, slopes={spell(arguments[x]): score for x, score in self.slopes.items()})

    @property
    def scores(self) -> list[Score]:
        """All of them."""
        return [self.value, *self.slopes.values(), *self.seconds]


def finished(
    problem: Problem, found: Derivatives, differentiate: Differentiate, effort: int = 1
) -> tuple[Problem, Derivatives, Claim | None]:
    """Return a problem and its derivatives in the best forms that were found, and what these are worth.

    What is best is told by a sample of points: only of a formula of few variables, at each point on its own.

    Args:
        problem: The problem.
        found: Its derivatives.
        differentiate: Gives the derivatives of a graph by some variables.
        effort: How many times as much time digits are worth: to look for forms, and to evaluate them.
    """
    found = replace(found, reasons=(problem.reasons,))
    if problem.complex or problem.results or problem.reduces or len(problem.inputs) > MOST_INPUTS:
        return problem, found, None
    if all(n.op in _CALM for n in postorder([problem.value, *found.slopes])):
        return problem, found, None
    asked = (problem.value, problem.written, problem.inputs, problem.params, problem.consts, problem.grads)
    key = (*asked, tuple(problem.named.items()), found, effort)
    value, best, claim = _best(_Request(key, problem, found, differentiate, effort))
    return replace(problem, value=value), best, claim


@dataclass(frozen=True)
class _Request:
    """What is asked of a search; two with the same key have the same answer."""

    key: tuple[object, ...]
    problem: Problem = field(compare=False)
    found: Derivatives = field(compare=False)
    differentiate: Differentiate = field(compare=False)
    effort: int = field(compare=False)


@lru_cache(maxsize=512)
def _best(request: _Request) -> tuple[Value, Derivatives, Claim | None]:
    """Return the value and the derivatives in the best forms, and their claim; the last ones are remembered.

    For a formula is asked for again with another backend, and where it cannot have a kernel.
    """
    problem, found, differentiate = request.problem, request.found, request.differentiate
    graphs, inputs = [problem.value, *found.slopes], tuple(problem.inputs)
    declared = {1 + problem.inputs.index(x) for x, _ in problem.grads}
    wanted = [i for i in range(len(graphs)) if i not in declared]
    look = _search(problem, {i: graphs[i] for i in wanted}, request.effort)
    found_best = look.all_best(inputs, differentiate)
    picked = [pair[0] if (pair := found_best.get(i)) else graph for i, graph in enumerate(graphs)]
    first, *others = (look.reasons.get(graph, ()) for graph in picked)
    reasons = ((*problem.reasons, *first), *others)
    graphs = _in_one_order(picked)
    best, claim = replace(found, slopes=tuple(graphs[1:]), reasons=reasons), None
    if (look.made or any(n.op not in _SMOOTH for n in postorder(best.slopes))) and look.judge.complete:
        scores = {i: pair[1] if (pair := found_best[i]) else look.judge(graphs[i], i) for i in wanted}
        forms = {i: graphs[i] for i in wanted}
        best, graphs[0], scores = _shared(look, best, forms, scores, legal=not problem.consts)
        slopes = {problem.inputs[i - 1]: score for i, score in scores.items() if i}
        claim = Claim(sum(look.judge.usual), scores[0], slopes)
        if look.judge.twice() and not _through_output(problem, best):
            given = [look.starts(slope, 1 + i) for i, slope in enumerate(found.slopes)]
            from fngen.stabilise import seconds

            found_again = seconds.Seconds(look, inputs, best.slopes, given, differentiate)
            own = tuple(None if 1 + i in declared else found_again.of(i) for i in range(len(inputs)))
            best, claim = replace(best, seconds=own), replace(claim, seconds=tuple(found_again.scores))
    return graphs[0], best, claim


def _search(problem: Problem, given: dict[int, Value], effort: int) -> Search:
    """Return what looks for forms."""
    from fngen.stabilise import judge, search  # Of no use to a formula that has no other form.

    inputs = tuple(problem.inputs)
    numbers = {c.name: Fraction(Decimal(c.default)) for c in problem.consts}
    params = [p.name for p in problem.params if p.name in inputs]
    make = partial(judge.Judge, problem.written or problem.value, inputs, numbers, effort, params)
    return search.Search(make, given, effort)


def _shared(
    look: Search, found: Derivatives, forms: dict[int, Value], scores: dict[int, Score], *, legal: bool
) -> tuple[Derivatives, Value, dict[int, Score]]:
    """Return derivatives with what they share with the value, the value, and what all are worth at worst.

    Beside constants, which are no tensors, that is a complement alone: more needs forms in torch's terms.
    """
    from fngen.stabilise.shared import Sharing

    sharing = Sharing(look.judge, forms, scores)
    settled = sharing.settle() if legal else sharing.starts[-1]
    changed = {i: look.judge(form, i) for i, form in settled.items() if form is not forms[i]}
    worse = {i: max(scores[i], score, key=lambda s: s.worst) for i, score in changed.items() if i}
    quick = tuple(settled.get(1 + i, slope) for i, slope in enumerate(found.slopes))
    return replace(found, quick=quick), settled[0], scores | changed | worse


def _through_output(problem: Problem, found: Derivatives) -> bool:
    """Say whether derivatives are made of the value alone: their own go through its derivative."""
    images = {problem.value: name("y!")}
    return not set(names(substitute_all(found.slopes, images))) & set(problem.inputs)


def _in_one_order(graphs: list[Value]) -> list[Value]:
    """Return graphs in which a sum or product that has been there in another order is that one."""
    first: dict[tuple[str, frozenset[tuple[Value, int]]], Value] = {}

    def rule(node: Value, args: list[Value]) -> Value:
        made = rebuild(node, args) if args else node
        return (
            first.setdefault((made.op, frozenset(Counter(args).items())), made)
            if made.op in _EITHER
            else made
        )

    images = fold(graphs, rule)
    return [images[graph] for graph in graphs]


def _rewritten(rewriter: Rewriter, graphs: list[Value]) -> list[Value]:
    if len(postorder(graphs)) > _LARGEST:
        return graphs
    after = rewriter(graphs)
    if all(a is b for a, b in zip(after, graphs, strict=True)):
        return graphs
    folded = fold_numbers(after)
    return [folded[graph] for graph in after]
