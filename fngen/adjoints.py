"""Derivatives of a formula with reductions: the gradients from a cotangent, the tangent from tangents.

What stands between reductions is differentiated as a formula of its own, in which each result of a
reduction is a variable. The adjoints then go back through the reductions: a cotangent is spread over
what was reduced, times the slope there; what arrives from a wider place is summed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from fngen.algebra import ZERO, add
from fngen.declared import Param
from fngen.derivatives import COTANGENT, Derivatives, Joint, cotangent_of
from fngen.differentiate import partials
from fngen.ir import REDUCTIONS, Value, fold, is_number, name, names, postorder, substitute_all, value
from fngen.joints import holes_of, joints, meetings
from fngen.language.reduction_rules import slope
from fngen.monomials import Algebra
from fngen.spans import NOTHING, Span, of_inputs, spans, tracked
from fngen.terms import Term, times

_MANY = 8
"""Terms of an adjoint beyond which it is a value of its own."""


Partials = tuple[Value, ...]
"""The derivative by a variable; in complex numbers there are several."""


@dataclass(frozen=True)
class Segment:
    """A formula between reductions, and its derivatives by each variable and reduction in it."""

    reduction: Value | None
    graph: Value
    slopes: Mapping[Value, Partials]


def derivatives(
    root: Value,
    inputs: tuple[str, ...],
    params: tuple[Param, ...],
    named: Collection[Value],
    declared: Mapping[str, Value] = MappingProxyType({}),
) -> Derivatives:
    """Return the gradients and the tangent of a formula.

    Args:
        root: The formula.
        inputs: Its inputs, the parameters among them.
        params: The parameters.
        named: The intermediates that the user named.
        declared: What stands for the derivative by some of the inputs.

    Raises:
        NoDerivative: If a function in it has no known derivative by an argument that
            depends on an input.
    """
    every = tracked([root, *declared.values()], params)
    adjoints = Adjoints(root, inputs, of_inputs(inputs, params, every), every, named, declared)
    return Derivatives(adjoints.gradients(), (adjoints.tangent(),))


def of_several(
    roots: Sequence[Value], inputs: tuple[str, ...], params: tuple[Param, ...], named: Collection[Value]
) -> Derivatives:
    """Return the gradients and tangents of several outputs, as :func:`derivatives` does of one.

    The cotangents are told apart by the place of their output.
    """
    slopes, tangents = list[Value](), list[Value]()
    for j, root in enumerate(roots):
        found, known = derivatives(root, inputs, params, named), names([root])
        own = substitute_all(found.slopes, {name(COTANGENT): name(cotangent_of(j))})
        slopes += [graph if x in known else ZERO for x, graph in zip(inputs, own, strict=True)]
        tangents += found.tangents
    return Derivatives(tuple(slopes), tuple(tangents), _joints(roots, inputs, params, named))


def _joints(
    roots: Sequence[Value], inputs: tuple[str, ...], params: tuple[Param, ...], named: Collection[Value]
) -> tuple[Joint, ...]:
    """Return where the cotangents of several outputs meet."""
    every = tracked(roots, params)
    holes = holes_of(meetings(roots, inputs))
    known = of_inputs(inputs, params, every)
    wide = spans(holes, known)
    known |= {str(hole.datum): wide[graph] for graph, hole in holes.items()}
    marked = substitute_all(named, holes)

    below = dict.fromkeys(inputs, ()) | {str(hole.datum): names([graph]) for graph, hole in holes.items()}

    def rule(local: Value, variables: Sequence[str]) -> list[Value]:
        adjoints = Adjoints(
            local, (inputs[0], *(x for x in variables if x != inputs[0])), known, every, marked
        )
        found = adjoints.cotangents()
        return [adjoints.filled(found[x], x, below[x]) for x in variables]

    return joints(roots, inputs, holes, rule, name(COTANGENT))


class Adjoints:
    """The derivatives of one formula with reductions.

    Args:
        root: The formula.
        inputs: Its variables, first one with as many elements as any.
        known: What each of them spans.
        every: All dimensions that are reduced.
        named: The intermediates that the user named.
        declared: What stands for the derivative by some of the inputs.
    """

    def __init__(
        self,
        root: Value,
        inputs: tuple[str, ...],
        known: Mapping[str, Span],
        every: Span,
        named: Collection[Value],
        declared: Mapping[str, Value] = MappingProxyType({}),
    ) -> None:
        self.root, self.inputs, self.named, self.declared = root, inputs, named, declared
        self.known, self.every = known, every
        self.counted = inputs[0]
        self.decimals = any(isinstance(n.datum, Decimal) for n in postorder([root, *declared.values()]))
        reductions = [n for n in postorder([root]) if n.op in REDUCTIONS]
        self.holes = {r: name(f"reduction {i}!") for i, r in enumerate(reductions)}
        moves = fold([root], lambda n, args: any(args) or (n.op == "name" and n.datum not in declared))
        self.reductions = [r for r in reductions if moves[r]]
        self.variables = {*(x for x in inputs if x not in declared)}
        self.variables |= {str(self.holes[r].datum) for r in self.reductions}

    def algebra(self, known: Mapping[str, Span]) -> Algebra:
        """Return the algebra of terms with other names in them."""
        counted, decimals = self.counted, self.decimals
        return Algebra(self.root, {**self.known, **known}, self.every, counted, decimals=decimals)

    def segments(self) -> Iterator[Segment]:
        """Yield the formula's segments, each before what it is made of."""
        yield self.segment(None, self.root)
        for reduction in reversed(self.reductions):
            yield self.segment(reduction, reduction.args[0])

    def segment(self, reduction: Value | None, graph: Value) -> Segment:
        """Return one segment with its derivatives."""
        local, *marked = substitute_all([graph, *self.named], self.holes)
        variables = [x for x in names([local]) if x in self.variables]
        order = postorder([local])
        cuts = [n for n in marked if n in set(order) and n.args]
        cuts += [
            n.args[0] for n in order if n.op in ("sqrt", "rsqrt", "pow") and n.args[0].op in ("add", "sub")
        ]
        found = self.partials(local, variables, cuts)
        actual = {hole: r for r, hole in self.holes.items()}
        leaves = [actual.get(name(x), name(x)) for x in variables]
        slopes = {leaf: tuple(substitute_all(s, actual)) for leaf, s in zip(leaves, found, strict=True)}
        wanted = {leaf: s for leaf, s in slopes.items() if not all(is_number(d, 0) for d in s)}
        return Segment(reduction, graph, wanted)

    def partials(self, root: Value, variables: Sequence[str], named: Collection[Value]) -> list[Partials]:
        """Return the derivatives of a formula between reductions."""
        return [(slope,) for slope in partials(root, variables, named)]

    def gradients(self) -> tuple[Value, ...]:
        """Return the gradient by each input, in terms of the inputs and the cotangent."""
        nothing = value("mul", ZERO, name(COTANGENT))
        return tuple(
            self.filled(nothing if graph is ZERO else graph, x) for x, graph in self.cotangents().items()
        )

    def cotangents(self) -> dict[str, Value]:
        """Return what arrives at each input, in terms of the inputs and the cotangent."""
        span = spans([self.root], self.known)[self.root]
        algebra = self.algebra({COTANGENT: span})
        arriving: dict[Value, list[Term]] = {name(x): [] for x in self.inputs}
        for segment in self.segments():
            seed = [algebra.term(name(COTANGENT))]
            if segment.reduction is not None:
                seed = self.spread(algebra, segment.reduction, arriving.get(segment.reduction, []))
            wide = algebra.span(segment.graph)
            for leaf in segment.slopes:
                narrow = algebra.span(leaf)
                pulled = self.pulled(algebra, segment, leaf, seed)
                terms = (algebra.sum(t, wide - narrow, leaf) for t in pulled)
                arriving.setdefault(leaf, []).extend(t for t in terms if t.coefficient)
        for x, by in self.declared.items():
            lost = (span | algebra.span(by)) - self.known[x]
            arriving[name(x)] = [
                algebra.sum(algebra.term(name(COTANGENT)).times(algebra.term(by)), lost, name(x))
            ]
        return {x: algebra.finished(arriving[name(x)]) for x in self.inputs}

    def filled(self, graph: Value, x: str, below: Iterable[str] = ()) -> Value:
        """Return a gradient in the shape of a variable along the dimensions that are reduced.

        Args:
            graph: The gradient.
            x: The variable.
            below: Inputs that it is made of: the shapes of those that are no wider will do.
        """
        known = {**self.known, COTANGENT: spans([self.root], self.known)[self.root]}
        for y in [*(y for y in below if known.get(y, NOTHING) <= known[x]), x]:
            span = spans([graph], known)[graph]
            if graph is not ZERO and not span >= known.get(y, NOTHING) and not span >= known[x]:
                graph = value("expand", graph, name(y))
        return graph

    def pulled(self, algebra: Algebra, segment: Segment, leaf: Value, seed: list[Term]) -> list[Term]:
        """Return the cotangent of a leaf, of that of what it is in."""
        return times(seed, algebra.term(*segment.slopes[leaf]))

    def spread(self, algebra: Algebra, reduction: Value, terms: list[Term]) -> list[Term]:
        """Return the cotangent of what is reduced, of that of the result."""
        return times(self.few(algebra, terms), self.slope(algebra, reduction))

    def few(self, algebra: Algebra, terms: list[Term]) -> list[Term]:
        """Return a sum as one value, where it is long."""
        return [algebra.term(algebra.finished(terms))] if len(terms) > _MANY else terms

    def slope(self, algebra: Algebra, reduction: Value) -> Term:
        """Return the derivative of a reduction by an element."""
        count = algebra.value([algebra.count(algebra.dims_of(reduction))])
        return algebra.term(slope(reduction, count))

    def tangent(self) -> Value:
        """Return the tangent of the result, in terms of the inputs and their tangents."""
        algebra = self.algebra({f"{x}!": span for x, span in self.known.items()})
        done = {name(x): algebra.term(name(f"{x}!")) for x in self.inputs}
        total = ZERO
        for segment in reversed(list(self.segments())[1:]):
            reduction = segment.reduction
            assert reduction is not None
            dims, moved = algebra.dims_of(reduction), self.moved(algebra, segment, done)
            through = self.through(algebra, reduction, moved)
            done[reduction] = algebra.term(algebra.finished(algebra.sum(t, dims) for t in through))
        terms = self.moved(algebra, self.segment(None, self.root), done)
        for x, by in self.declared.items():
            lost = (self.known[x] | algebra.span(by)) - algebra.span(self.root)
            terms.append(algebra.sum(done[name(x)].times(algebra.term(by)), lost))
        total = algebra.finished(terms)
        for x in (x for x in self.inputs if x in names([self.root])):
            if f"{x}!" not in names([total]) or algebra.span(total) < algebra.span(self.root):
                total = add(total, self.nothing(algebra, x))
        return total

    def moved(self, algebra: Algebra, segment: Segment, done: Mapping[Value, Term]) -> list[Term]:
        """Return the terms of a segment's tangent."""
        pairs = ((done[leaf], algebra.term(*by)) for leaf, by in segment.slopes.items())
        return [tangent.times(factor) for tangent, factor in pairs if tangent.coefficient]

    def through(self, algebra: Algebra, reduction: Value, terms: list[Term]) -> list[Term]:
        """Return what is to be summed for the tangent of a reduction, of that of what is reduced."""
        return times(terms, self.slope(algebra, reduction))

    def nothing(self, algebra: Algebra, x: str) -> Value:
        """Return a zero of the shape that an input gives to the result."""
        zero = value("full_like", name(f"{x}!"), ZERO)
        gone = self.known[x] - algebra.span(self.root)
        term = algebra.sum(algebra.term(zero), gone)
        return algebra.value([term])
