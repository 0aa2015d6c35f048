"""Sums of products across reductions: what a textbook does between the chain rule and the result.

A reduction is linear. What does not vary along its dimensions stands before it, a sum that the formula
itself has is that sum, and deviations from a mean add up to 0. So the backward of a softmax written out
becomes ``y*(g - sum(g*y))``, and that of a LayerNorm has two means.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from functools import partial

from sympy import Add, Symbol

from fngen.algebra import ONE, ZERO, exact
from fngen.arrange import to_value
from fngen.cost import cost
from fngen.grouping import grouped
from fngen.ir import Over, Value, is_number, name, number, postorder, substitute, tree_size, value
from fngen.pieces import Pieces
from fngen.spans import NOTHING, Span, over, spans
from fngen.symbolic import simplest_forms
from fngen.terms import HALVES, Powers, Term, expression, is_deviation, is_root, merged, open_side

_LONG = 200
"""Nodes of a factor up to which its text is written out."""


class Algebra:
    """Terms over the nodes of one formula.

    Args:
        root: The formula.
        known: What each of its inputs spans, and the cotangent or the tangents.
        every: All dimensions that are reduced.
        counted: An input that spans them all, for the number of elements.
        decimals: Write ``0.1*x`` rather than ``x/10``.
        atoms: Nodes that are one factor, whatever they are made of.
    """

    def __init__(
        self,
        root: Value,
        known: Mapping[str, Span],
        every: Span,
        counted: str,
        *,
        decimals: bool,
        atoms: Collection[Value] = (),
    ) -> None:
        self.known, self.every, self.counted, self.decimals = known, every, name(counted), decimals
        self.spans: dict[Value, Span] = {}
        self.atoms = set(atoms)
        order = postorder([root])
        self.roots = {n.args[0]: (n, HALVES[n.op]) for n in order if n.op in HALVES}
        self.roots |= {n.args[0]: (n, exact(n.args[1])) for n in order if is_root(n)}
        self.insides: dict[Value, Powers] = {}
        self.sums = {}
        for node in (n for n in order if n.op in ("sum", "mean")):
            inside = self.term(node.args[0])
            if not inside.coefficient:
                continue
            # A mean is a sum over the number of elements; either is a constant times the other.
            total = Term(1 / inside.coefficient, {node: 1})
            factor = self.count(self.dims_of(node)) if node.op == "mean" else Term(Fraction(1))
            self.sums[inside.key, over(node).dims] = total.times(factor)
        self.parts = Pieces(order, partial(self.term, opened=True), self.span)

    def span(self, node: Value) -> Span:
        """Return the reduced dimensions that a node has in full."""
        return spans([node], self.known, done=self.spans)[node]

    def dims_of(self, node: Value) -> Span:
        """Return the dimensions that a reduction of the formula takes away."""
        dims = over(node).dims
        return self.span(node.args[0]) & (self.every if dims is None else frozenset(dims))

    def term(self, root: Value, *, opened: bool = False) -> Term:
        """Return a graph as a product: its factors are what is no product itself, and atoms.

        Args:
            root: The graph.
            opened: Whether it is a product even if it is an atom.
        """
        coefficient, powers, stack = Fraction(1), Powers(), [(root, 1)]
        while stack:
            node, n = stack.pop()
            if node in self.atoms and not (opened and node is root):
                powers[node] = powers.get(node, 0) + n
            elif node.op == "neg":
                coefficient *= (-1) ** n
                stack.append((node.args[0], n))
            elif node.op == "number" and (n > 0 or exact(node)):
                coefficient *= exact(node) ** n
            elif node.op == "where" and n > 0 and (side := open_side(node)):
                # What a gate lets through, times the gate.
                gate = value("where", node.args[0], *(ONE if a is side else ZERO for a in node.args[1:]))
                powers[gate] = powers.get(gate, 0) + n
                stack.append((side, n))
            elif node.op in ("mul", "div"):
                stack += [(node.args[1], n if node.op == "mul" else -n), (node.args[0], n)]
            elif node.op == "pow" and node.args[1].op == "number" and exact(node.args[1]).denominator == 1:
                stack.append((node.args[0], n * int(exact(node.args[1]))))
            else:
                factor, n = self.factor(node, n)
                powers[factor] = powers.get(factor, 0) + n
        return Term(coefficient, {f: n for f, n in powers.items() if n})

    def whole(self, graph: Value) -> Term:
        """Return a graph as one factor from now on, whatever it is made of."""
        self.atoms |= set() if is_number(graph) else {graph}
        return self.term(graph)

    def factor(self, node: Value, n: int) -> tuple[Value, int]:
        """Return a factor and its exponent; of ``x**1.5`` those of ``sqrt(x)``, if the formula has it."""
        if node.op == "pow" and node.args[1].op == "number" and node.args[0] in self.roots:
            root, half = self.roots[node.args[0]]
            exponent = n * exact(node.args[1])
            if (exponent / half).denominator == 1:
                return root, int(exponent / half)
        return node, n

    def rooted(self, term: Term) -> Term:
        """Return a term with ``sqrt(x)**3`` for ``x*sqrt(x)``: ``x`` alone may be negative."""
        powers = dict(term.powers)
        for base in [f for f in powers if f in self.roots and self.roots[f][0] in powers]:
            root, half = self.roots[base]
            n = powers.pop(base) / half
            powers[root] += int(n)
        return Term(term.coefficient, {f: n for f, n in powers.items() if n})

    def count(self, dims: Span) -> Term:
        """Return the number of elements along dimensions."""
        if not dims:
            return Term(Fraction(1))
        if None not in dims:
            over = Over(tuple(sorted(d for d in dims if d is not None)))
            return Term(Fraction(1), {value("count", self.counted, datum=over): 1})
        everything = Term(Fraction(1), {value("count", self.counted, datum=Over(None)): 1})
        rest = self.count(self.every - dims)
        return everything.times(Term(Fraction(1), {f: -n for f, n in rest.powers.items()}))

    def sum(self, term: Term, dims: Span, like: Value | None = None) -> Term:
        """Return the sum of a term over dimensions: what a parameter ``like`` has may be left."""
        inside = {f: n for f, n in term.powers.items() if self.span(f) & dims}
        along = NOTHING.union(*(self.span(f) for f in inside)) & dims
        result = term.without(inside).times(self.count(dims - along))
        if not inside:
            return result
        if like is not None and None in along and NOTHING.union(*map(self.span, inside)) - along:
            return result.times(
                Term(Fraction(1), {value("sum_to", self.value([Term(Fraction(1), inside)]), like): 1})
            )
        axes = None if None in along else tuple(sorted(d for d in along if d is not None))
        if is_deviation(inside, axes):
            return Term(Fraction(0))
        known = self.sums.get((frozenset(inside.items()), axes))
        return result.times(known or Term(Fraction(1), {self.total(inside, axes): 1}))

    def total(self, inside: Powers, axes: tuple[int, ...] | None) -> Value:
        """Return the node of a sum, and remember what is in it."""
        node = value("sum", self.value([Term(Fraction(1), inside)]), datum=Over(axes))
        self.insides[node] = inside
        return node

    def by_parts(self, term: Term) -> Term:
        """Return a term in which products that the formula has are those."""
        place = self.parts.after(-1, self.factors(term))
        while place is not None:
            node, part = self.parts.found[place]
            while term.holds(part.powers):
                term = term.without(part.powers).times(Term(1 / part.coefficient, {node: 1}))
            for total in self.totals(term):
                term = self.moved_in(term, total, node, part)
            place = self.parts.after(place, self.factors(term))
        return term

    def totals(self, term: Term) -> list[Value]:
        """Return the sums of products that are factors of a term."""
        return [f for f, n in term.powers.items() if n == 1 and f in self.insides]

    def factors(self, term: Term) -> list[Value]:
        """Return the factors of a term, and those in its sums."""
        return [*term.powers, *(f for total in self.totals(term) for f in self.insides[total])]

    def moved_in(self, term: Term, total: Value, node: Value, part: Term) -> Term:
        """Return a term with a part of the formula inside a sum; what is reduced is moved in for it."""
        dims = over(total).dims
        along = self.every if dims is None else frozenset(dims)
        wide = {f: n for f, n in part.powers.items() if self.span(f) & along}
        rest = {f: n for f, n in part.powers.items() if f not in wide}
        inside = Term(Fraction(1), self.insides[total])
        if not wide or not inside.holds(wide) or not term.holds(rest):
            return term
        better = self.total(inside.without(wide).times(Term(Fraction(1), {node: 1})).powers, dims)
        return term.without({**rest, total: 1}).times(Term(1 / part.coefficient, {better: 1}))

    def with_means(self, term: Term) -> Term:
        """Return a term with the mean for a sum over the number of elements."""
        for total in self.totals(term):
            (x,) = total.args
            dims = self.span(x) & (
                self.every if over(total).dims is None else frozenset(over(total).dims or ())
            )
            count = self.count(dims)
            inverse = {f: -n for f, n in count.powers.items()}
            if term.holds(inverse):
                mean = value("mean", x, datum=total.datum)
                term = term.without({**inverse, total: 1}).times(Term(Fraction(1), {mean: 1}))
        return term

    def value(self, terms: Iterable[Term]) -> Value:
        """Return the graph of a sum, common factors in front."""
        terms = list(terms)
        factors = dict.fromkeys(f for term in terms for f in term.powers)
        symbols = {f: Symbol(f"_{i:04}") for i, f in enumerate(factors)}
        expr = Add(*(expression(term, symbols) for term in terms))
        # A long factor stands for itself: where it goes is told by its whole text.
        holes = {f: name(f"_{i:04}") for i, f in enumerate(factors) if tree_size(f) > _LONG}
        known = {symbol: holes.get(f, f) for f, symbol in symbols.items()}
        found = min((to_value(f, known, decimals=self.decimals) for f in simplest_forms(expr)), key=cost)
        return grouped(substitute(found, {hole: f for f, hole in holes.items()}), factors, self.span)

    def finished(self, terms: Iterable[Term]) -> Value:
        """Return the graph of a sum in the terms of the formula."""
        found = merged(self.with_means(self.by_parts(self.rooted(self.guarded(t)))) for t in terms)
        return self.value(found) if found else number(0)

    def guarded(self, term: Term) -> Term:
        """Return a term without the guard ``where(y == 0, 1, y)`` of a norm by which it is divided anyway."""
        for guard in [f for f in term.powers if f.op == "where" and f.args[0].op == "eq"]:
            y = guard.args[2]
            if term.powers.get(y, 0) < 0 and is_number(guard.args[1], 1):
                n = term.powers[guard]
                term = term.without({guard: n}).times(Term(Fraction(1), {y: n}))
        return term
