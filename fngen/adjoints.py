"""Derivatives of a formula with reductions: the gradients from a cotangent, the tangent from tangents.

What stands between reductions is differentiated as a formula of its own, in which each result of a
reduction is a variable. The adjoints then go back through the reductions: a cotangent is spread over
what was reduced, times the slope there; what arrives from a wider place is summed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from fngen.algebra import ZERO, add
from fngen.declared import Param
from fngen.derivatives import COTANGENT, Derivatives, cotangent_of
from fngen.ir import REDUCTIONS, Value, name, names, postorder, rebuild, substitute_all, value
from fngen.language.reduction_rules import slope
from fngen.monomials import Algebra
from fngen.segments import Segment, Segments
from fngen.spans import Span, of_inputs, spans, tracked
from fngen.terms import Term

_MANY = 8
"""Terms of an adjoint, and factors of a term, beyond which it is a value of its own."""


def derivatives(
    root: Value, inputs: tuple[str, ...], params: tuple[Param, ...], named: Collection[Value]
) -> Derivatives:
    """Return the gradients and the tangent of a formula.

    Args:
        root: The formula.
        inputs: Its inputs, the parameters among them.
        params: The parameters.
        named: The intermediates that the user named.

    Raises:
        NoDerivative: If a function in it has no known derivative by an argument that
            depends on an input.
    """
    adjoints = Adjoints(root, inputs, params, named)
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
    return Derivatives(tuple(slopes), tuple(tangents))


class Adjoints:
    """The derivatives of one formula with reductions.

    Args:
        root: The formula.
        inputs: Its inputs, the parameters among them.
        params: The parameters.
        named: The intermediates that the user named.
    """

    def __init__(
        self, root: Value, inputs: tuple[str, ...], params: tuple[Param, ...], named: Collection[Value]
    ) -> None:
        self.root, self.inputs = root, inputs
        self.every = tracked([root], params)
        self.known = of_inputs(inputs, params, self.every)
        self.counted = inputs[0]
        self.nodes = set(postorder([root]))
        self.decimals = any(isinstance(n.datum, Decimal) for n in self.nodes)
        cut = Segments(root, inputs, named)
        self.segments, self.joints = list(cut), cut.joints

    def algebra(self, known: Mapping[str, Span]) -> Algebra:
        """Return the algebra of terms with other names in them."""
        counted, decimals, known = self.counted, self.decimals, {**self.known, **known}
        return Algebra(self.root, known, self.every, counted, decimals=decimals, atoms=self.joints)

    def gradients(self) -> tuple[Value, ...]:
        """Return the gradient by each input, in terms of the inputs and the cotangent."""
        span = spans([self.root], self.known)[self.root]
        algebra = self.algebra({COTANGENT: span})
        arriving: dict[Value, list[Term]] = {name(x): [] for x in self.inputs}
        for segment in self.segments:
            seed = [algebra.term(name(COTANGENT))]
            if segment.end is not None:
                seed = self.spread(algebra, segment.end, arriving.get(segment.end, []))
            wide = algebra.span(segment.graph)
            for leaf, by in segment.slopes.items():
                factor, narrow = algebra.term(by), algebra.span(leaf)
                terms = (algebra.sum(t.times(factor), wide - narrow, leaf) for t in seed)
                arriving.setdefault(leaf, []).extend(t for t in terms if t.coefficient)
        return tuple(self.gradient(algebra, x, arriving[name(x)]) for x in self.inputs)

    def spread(self, algebra: Algebra, end: Value, terms: list[Term]) -> list[Term]:
        """Return the cotangent of a segment: that of a joint, or of what is reduced."""
        reduces = end.op in REDUCTIONS
        if any(len(t.powers) > _MANY for t in terms) or (len(terms) > 1 and not reduces):
            terms = [algebra.whole(algebra.finished(terms))]
        elif len(terms) > _MANY:
            terms = [algebra.term(algebra.finished(terms))]
        return [t.times(self.slope(algebra, end)) for t in terms] if reduces else terms

    def slope(self, algebra: Algebra, reduction: Value) -> Term:
        """Return the derivative of a reduction by an element."""
        count = algebra.value([algebra.count(algebra.dims_of(reduction))])
        if reduction.op == "logsumexp" and value("sub", reduction.args[0], reduction) not in self.nodes:
            # Of an infinite element a softmax is nan. Where the formula has none, its derivative need not be.
            (x,) = reduction.args
            reduction = rebuild(reduction, [value("finite", x, x)])
        return algebra.term(slope(reduction, count))

    def gradient(self, algebra: Algebra, x: str, terms: list[Term]) -> Value:
        """Return the gradient by an input, in its shape along the dimensions that are reduced."""
        graph = algebra.finished(terms)
        if graph is ZERO:
            graph = value("mul", ZERO, name(COTANGENT))
        if algebra.span(graph) >= self.known[x]:
            return graph
        alone = len(self.inputs) == 1
        return value("expand_as", graph, name(x)) if alone else value("expand", graph, graph, name(x))

    def tangent(self) -> Value:
        """Return the tangent of the result, in terms of the inputs and their tangents."""
        algebra = self.algebra({f"{x}!": span for x, span in self.known.items()})
        done = {name(x): algebra.term(name(f"{x}!")) for x in self.inputs}
        total = ZERO
        for segment in reversed(self.segments):
            end, moved = segment.end, self.moved(algebra, segment, done)
            if end is None:
                total = algebra.finished(moved)
            elif end.op in REDUCTIONS:
                factor, dims = self.slope(algebra, end), algebra.dims_of(end)
                moved = [algebra.sum(t.times(factor), dims) for t in moved]
                graph = algebra.finished(moved)
                done[end] = algebra.term(graph)
                if len(done[end].powers) > _MANY:
                    done[end] = algebra.whole(graph)
            else:
                done[end] = algebra.whole(algebra.finished(moved))
        for x in (x for x in self.inputs if x in names([self.root])):
            if f"{x}!" not in names([total]) or algebra.span(total) < algebra.span(self.root):
                total = add(total, self.nothing(algebra, x))
        return total

    def moved(self, algebra: Algebra, segment: Segment, done: Mapping[Value, Term]) -> list[Term]:
        """Return the terms of a segment's tangent."""
        pairs = ((done[leaf], algebra.term(by)) for leaf, by in segment.slopes.items())
        return [tangent.times(factor) for tangent, factor in pairs if tangent.coefficient]

    def nothing(self, algebra: Algebra, x: str) -> Value:
        """Return a zero of the shape that an input gives to the result."""
        zero = value("full_like", name(f"{x}!"), ZERO)
        gone = self.known[x] - algebra.span(self.root)
        term = algebra.sum(algebra.term(zero), gone)
        return algebra.value([term])
