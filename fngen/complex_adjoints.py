"""Derivatives of a formula with reductions in complex numbers.

As in ``wirtinger.py``, a complex node and its conjugate count as independent; a real one has one
derivative, and the real part of a product is its cotangent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from fngen import wirtinger
from fngen.adjoints import Adjoints
from fngen.declared import Param
from fngen.derivatives import COTANGENT, Derivatives
from fngen.ir import Value, rewrite, value
from fngen.monomials import Algebra
from fngen.reals import real_nodes
from fngen.segments import Partials, Segment
from fngen.spans import of_inputs, tracked
from fngen.terms import Term, times


def derivatives(
    root: Value, inputs: tuple[str, ...], params: tuple[Param, ...], named: Collection[Value]
) -> Derivatives:
    """Return the gradients and the tangent of a formula, in torch's convention.

    Args:
        root: The formula.
        inputs: Its inputs, the parameters among them.
        params: The parameters.
        named: The intermediates that the user named.

    Raises:
        NoDerivative: If a function in it has no known derivative by an argument that
            depends on an input.
    """
    adjoints = ComplexAdjoints(root, inputs, params, named)
    return Derivatives(adjoints.gradients(), (adjoints.tangent(),))


class ComplexAdjoints(Adjoints):
    """The derivatives of one complex formula with reductions."""

    def __init__(
        self, root: Value, inputs: tuple[str, ...], params: tuple[Param, ...], named: Collection[Value]
    ) -> None:
        every = tracked([root], params)
        super().__init__(root, inputs, of_inputs(inputs, params, every), every, named)
        self.done = real_nodes([root])
        self.real_names = {COTANGENT} if self.done[root] else set[str]()
        self.real_holes = [str(hole.datum) for end, hole in self.cut.holes.items() if self.done[end]]

    def partials(self, root: Value, variables: Sequence[str], named: Collection[Value]) -> list[Partials]:
        """Return by each variable the derivative, that by its conjugate, and the conjugate of the first."""
        reals = [x for x in variables if x in self.real_holes]
        found, n = wirtinger.partials(root, variables, named, reals), len(variables)
        return list(zip(found[:n], found[n : 2 * n], found[2 * n :], strict=True))

    def real(self, node: Value) -> bool:
        """Say whether a node is real."""
        return real_nodes([node], self.real_names, self.done)[node]

    def pulled(self, algebra: Algebra, segment: Segment, leaf: Value, seed: list[Term]) -> list[Term]:
        """Return the cotangent of a leaf, of that of what it is in."""
        ahead, behind, mirrored = segment.slopes[leaf]
        whole = self.real(segment.graph)
        if self.real(leaf):
            factor = self.term(algebra, ahead if whole else mirrored)
            return [self.real_part(algebra, t.times(factor)) for t in seed]
        if whole:
            return times(seed, self.term(algebra, behind))
        if ahead is behind:  # Only the real part of the leaf counts.
            factor = self.term(algebra, mirrored)
            return [_twice(self.real_part(algebra, t.times(factor))) for t in seed]
        if mirrored is behind:
            return times([_twice(self.real_part(algebra, t)) for t in seed], self.term(algebra, behind))
        across = times(map(self.conjugate, seed), self.term(algebra, behind))
        return [t for t in times(seed, self.term(algebra, mirrored)) + across if t.coefficient]

    def spread(self, algebra: Algebra, reduction: Value, terms: list[Term]) -> list[Term]:
        """Return the cotangent of what is reduced, of that of the result."""
        factor = self.slope(algebra, reduction)
        return times(terms, factor if self.real(reduction) else self.conjugate(factor))

    def moved(self, algebra: Algebra, segment: Segment, done: Mapping[Value, Term]) -> list[Term]:
        """Return the terms of a segment's tangent."""
        terms, whole = list[Term](), self.real(segment.graph)
        for leaf, (ahead, behind, _) in segment.slopes.items():
            along = done[leaf].times(self.term(algebra, ahead))
            across = self.conjugate(done[leaf]).times(self.term(algebra, behind))
            # Not by a real part where the result may be complex: the tangent has its type.
            terms += [self.real_part(algebra, along)] if whole else [along, across]
        return [t for t in terms if t.coefficient]

    def through(self, algebra: Algebra, reduction: Value, terms: list[Term]) -> list[Term]:
        """Return what is to be summed for the tangent of a reduction, of that of what is reduced."""
        factor = self.slope(algebra, reduction)
        if not self.real(reduction) or self.real(reduction.args[0]):
            return times(terms, factor)
        return [self.real_part(algebra, t.times(self.conjugate(factor))) for t in terms]

    def slope(self, algebra: Algebra, reduction: Value) -> Term:
        """Return the derivative of a reduction by an element; of a real one, twice that by its conjugate."""
        term = super().slope(algebra, reduction)
        images = rewrite(term.powers, self.signed)
        return Term(term.coefficient, {images[f]: n for f, n in term.powers.items()})

    def finite(self, x: Value) -> Value:
        """Return a number with the largest one in place of an infinite one, if it is real."""
        return super().finite(x) if self.real(x) else x

    def signed(self, node: Value) -> Value:
        """Return the complex sign for that of a complex number, which the rule of a norm has."""
        return value("sgn", *node.args) if node.op == "sign" and not self.real(node.args[0]) else node

    def nothing(self, algebra: Algebra, x: str) -> Value:
        """Return a zero of the shape that an input gives to the result."""
        zero = super().nothing(algebra, x)
        return value("re", zero) if self.real(self.root) else zero

    def term(self, algebra: Algebra, graph: Value) -> Term:
        """Return a graph as a product, the conjugate of a product as one of conjugates."""
        found = algebra.term(graph)
        term = Term(found.coefficient)
        for factor, n in found.powers.items():
            part = Term(Fraction(1), {factor: 1})
            if factor.op == "conj":
                part = self.conjugate(algebra.term(factor.args[0]))
            term = term.times(Term(part.coefficient**n, {f: k * n for f, k in part.powers.items()}))
        return term

    def conjugate(self, term: Term) -> Term:
        """Return the conjugate of a term."""
        coefficient, powers = term.coefficient, {}
        for factor, n in term.powers.items():
            if factor is wirtinger.UNIT:
                coefficient *= (-1) ** n
            same = factor is wirtinger.UNIT or self.real(factor)
            image = factor if same else value("conj", factor)
            powers[factor.args[0] if factor.op == "conj" else image] = n
        return Term(coefficient, powers)

    def real_part(self, algebra: Algebra, term: Term) -> Term:
        """Return the real part of a term: what is real stands before it."""
        rest = {f: n for f, n in term.powers.items() if not self.real(f)}
        if set(rest) <= {wirtinger.UNIT}:
            n = rest.get(wirtinger.UNIT, 0)
            return term.without(rest).times(Term(Fraction((1, 0, -1, 0)[n % 4])))
        same = all(f.op == "conj" for f in rest)  # A number and its conjugate have one real part.
        inside = {f.args[0] if same else f: n for f, n in rest.items()}
        real = value("re", algebra.value([Term(Fraction(1), inside)]))
        return term.without(rest).times(Term(Fraction(1), {real: 1}))


def _twice(term: Term) -> Term:
    return term.times(Term(Fraction(2)))
