"""Derivatives of a formula with reductions: the gradients from a cotangent, the tangent from tangents.

What stands between reductions is differentiated as a formula of its own, in which each result of a
reduction is a variable. The adjoints then go back through the reductions: a cotangent is spread over
what was reduced, times the slope there; what arrives from a wider place is summed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType

from fngen.algebra import ZERO, add
from fngen.declared import Param
from fngen.derivatives import COTANGENT, Derivatives, Joint, cotangent_of
from fngen.differentiate import partials
from fngen.ir import REDUCTIONS, Value, name, names, postorder, rebuild, substitute_all, value
from fngen.joints import holes_of, joints, meetings
from fngen.language.reduction_rules import slope
from fngen.monomials import Algebra
from fngen.segments import Partials, Segment, Segments
from fngen.spans import NOTHING, Span, of_inputs, spans, tracked
from fngen.terms import Term, times

_MANY = 8
"""Terms of an adjoint, and factors of a term, beyond which it is a value of its own."""


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
        self.root, self.inputs, self.declared = root, inputs, declared
        self.known, self.every = known, every
        self.counted = inputs[0]
        self.nodes = set(postorder([root, *declared.values()]))
        self.decimals = any(isinstance(n.datum, Decimal) for n in self.nodes)
        self.cut = Segments(root, [x for x in inputs if x not in declared], named)

    @cached_property
    def segments(self) -> list[Segment]:
        """The formula's segments, each before what it is made of."""
        return list(self.cut.segments(self.partials))

    def algebra(self, known: Mapping[str, Span]) -> Algebra:
        """Return the algebra of terms with other names in them."""
        counted, decimals, known = self.counted, self.decimals, {**self.known, **known}
        return Algebra(self.root, known, self.every, counted, decimals=decimals, atoms=self.cut.joints)

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
        for segment in self.segments:
            seed = [algebra.term(name(COTANGENT))]
            if segment.end is not None:
                seed = self.few(algebra, segment.end, arriving.get(segment.end, []))
                seed = self.spread(algebra, segment.end, seed) if segment.end.op in REDUCTIONS else seed
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

    def few(self, algebra: Algebra, end: Value, terms: list[Term]) -> list[Term]:
        """Return a cotangent as one value where it is long, or that of a joint."""
        joint = end.op not in REDUCTIONS
        if any(len(t.powers) > _MANY for t in terms) or (len(terms) > 1 and joint):
            return [algebra.whole(algebra.finished(terms))]
        return [algebra.term(algebra.finished(terms))] if len(terms) > _MANY else terms

    def spread(self, algebra: Algebra, reduction: Value, terms: list[Term]) -> list[Term]:
        """Return the cotangent of what is reduced, of that of the result."""
        return times(terms, self.slope(algebra, reduction))

    def slope(self, algebra: Algebra, reduction: Value) -> Term:
        """Return the derivative of a reduction by an element."""
        count = algebra.value([algebra.count(algebra.dims_of(reduction))])
        if reduction.op == "logsumexp" and value("sub", reduction.args[0], reduction) not in self.nodes:
            # Of an infinite element a softmax is nan. Where the formula has none, its derivative need not be.
            (x,) = reduction.args
            reduction = rebuild(reduction, [self.finite(x)])
        return algebra.term(slope(reduction, count))

    def finite(self, x: Value) -> Value:
        """Return a number with the largest one in place of an infinite one."""
        return value("finite", x, x)

    def tangent(self) -> Value:
        """Return the tangent of the result, in terms of the inputs and their tangents."""
        algebra = self.algebra({f"{x}!": span for x, span in self.known.items()})
        done = {name(x): algebra.term(name(f"{x}!")) for x in self.inputs}
        terms: list[Term] = []
        for segment in reversed(self.segments):
            end, terms = segment.end, self.moved(algebra, segment, done)
            if end is None:
                continue
            if end.op not in REDUCTIONS:
                done[end] = algebra.whole(algebra.finished(terms))
                continue
            dims, through = algebra.dims_of(end), self.through(algebra, end, terms)
            graph = algebra.finished(algebra.sum(t, dims) for t in through)
            done[end] = algebra.term(graph)
            if len(done[end].powers) > _MANY:
                done[end] = algebra.whole(graph)
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
