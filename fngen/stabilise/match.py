"""A pattern and a graph: sums and products match in any order, whatever they are scaled by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

from fngen.algebra import ONE, exact, neg, power
from fngen.ir import Value, names, number
from fngen.stabilise import along, views
from fngen.stabilise.keys import SYMMETRIC, Keys
from fngen.stabilise.views import Factors, Terms

Bound = dict[str, Value]
Wanted = tuple[tuple[Value, Fraction], ...]
"""The terms or factors of a pattern that are still to be found."""
_OF_INPUTS = frozenset("uvw")
_LARGE = "e"
"""The letter of an exponent that nothing has been taken off."""
_LONGEST = 40
"""Terms or factors beyond which nobody looks for a pattern in any order."""


@dataclass(frozen=True)
class Match:
    """What the variables of a pattern stand for, and what is left of the graph.

    Attributes:
        bound: The graph of each variable.
        scale: The number by which the graph's sum or product is larger.
        power: The exponent to which it is raised.
        rest: The terms or factors that the pattern does not have.
    """

    bound: Bound
    scale: Fraction = Fraction(1)
    power: Fraction = Fraction(1)
    rest: Mapping[Value, Fraction] = field(default_factory=dict)


class Matcher:
    """Finds patterns in graphs."""

    def __init__(self) -> None:
        self.keys = Keys()
        self.varies: dict[Value, bool] = {}
        self.sums: dict[Value, Terms] = {}
        self.products: dict[Value, tuple[Fraction, Factors]] = {}
        self.roots: dict[tuple[Value, Fraction, Fraction], tuple[Value, ...]] = {}

    def whole(self, pattern: Value, node: Value) -> Iterator[Match]:
        """Return the ways in which a part of a sum or product, or all of another node, is a pattern."""
        if views.is_sum(pattern):
            if views.is_sum(node):
                yield from self._part_of_sum(pattern, self.terms(node))
        elif _is_product(pattern):
            yield from self._part_of_product(pattern, *self.factors(node))
        else:
            for bound in self._same(pattern, node, {}):
                yield Match(bound)

    def terms(self, node: Value) -> Terms:
        """Return a graph as a sum."""
        if node not in self.sums:
            self.sums[node] = views.terms(node)
        return self.sums[node]

    def factors(self, node: Value) -> tuple[Fraction, Factors]:
        """Return a graph as a product."""
        if node not in self.products:
            self.products[node] = views.factors(node)
        return self.products[node]

    def _part_of_sum(self, pattern: Value, found: Terms) -> Iterator[Match]:
        wanted = _terms(pattern)
        if not len(wanted) <= len(found) <= _LONGEST:
            return
        first, c = wanted[0]
        for term, d in _candidates(first, found):
            scale = d / c
            for bound in self._same(first, term, {}):
                rest = {t: n for t, n in found.items() if t is not term}
                for end, left in self._terms(wanted[1:], rest, scale, bound):
                    yield Match(end, scale=scale, rest=left)

    def _terms(
        self, wanted: Wanted, found: Terms, scale: Fraction, bound: Bound
    ) -> Iterator[tuple[Bound, Terms]]:
        if not wanted:
            yield bound, found
            return
        (pattern, c), *later = wanted
        known = bound.get(str(pattern.datum)) if pattern.op == "name" else None
        if known is not None and len(self.terms(known)) > 1:
            if (rest := self.keys.without(found, self.terms(known), c * scale)) is not None:
                yield from self._terms(tuple(later), rest, scale, bound)
            return
        for term, d in found.items():
            rest = {t: n for t, n in found.items() if t is not term}
            for more in self._term(pattern, c * scale, term, d, bound):
                yield from self._terms(tuple(later), rest, scale, more)

    def _term(self, pattern: Value, c: Fraction, term: Value, d: Fraction, bound: Bound) -> Iterator[Bound]:
        """Match ``c*pattern`` and ``d*term``."""
        if c == d:
            yield from self._same(pattern, term, bound)
        elif pattern.op == "name" or (_is_product(pattern) and term is not ONE):
            yield from self._same(pattern, views.scaled(d / c, term), bound)

    def _part_of_product(self, pattern: Value, c: Fraction, found: Factors) -> Iterator[Match]:
        d, wanted = _factors(pattern)
        if not len([p for p in wanted if p[0].op != "name"]) <= len(found) <= _LONGEST:
            return
        first, n = wanted[0]
        for factor, m in _candidates(first, found):
            share = m if n == 1 else m / n
            power = share if share.denominator == 1 and share > 0 else Fraction(1)
            if (power == 1 and n != m) or (power != 1 and (n * power != m or d != 1)):
                continue
            others = wanted[1:] if power == 1 else tuple((p, e * power) for p, e in wanted[1:])
            for bound in self._same(first, factor, {}):
                rest = {f: e for f, e in found.items() if f is not factor}
                for end, left in self._factors(others, rest, bound):
                    yield Match(end, scale=c / d, power=power, rest=left)

    def _factors(self, wanted: Wanted, found: Factors, bound: Bound) -> Iterator[tuple[Bound, Factors]]:
        if not wanted:
            yield bound, found
            return
        (pattern, n), *later = wanted
        if pattern.op == "name" and str(pattern.datum) not in bound and n > 1:
            for root, others in _roots(found, n):
                for more in self._same(pattern, root, bound):
                    yield from self._factors(tuple(later), others, more)
            return
        for factor, m in found.items():
            # A power of which a part is wanted leaves the other: x**3 has x and x**2.
            left = m - n
            if left and (m * n <= 0 or abs(m) < abs(n) or left.denominator != 1):
                continue
            rest = {f: e for f, e in found.items() if f is not factor} | ({factor: left} if left else {})
            for more in self._same(pattern, factor, bound):
                yield from self._factors(tuple(later), rest, more)

    def _same(self, pattern: Value, node: Value, bound: Bound) -> Iterator[Bound]:
        """Return the ways in which a whole node is a pattern."""
        if pattern.op == "name":
            text = str(pattern.datum)
            if text not in bound:
                if self._may_be(text, node):
                    yield {**bound, text: node}
            elif self.keys(bound[text]) == self.keys(node):
                yield bound
        elif pattern.op == "number":
            if node.op == "number" and exact(node) == exact(pattern):
                yield bound
        elif views.is_sum(pattern):
            if views.is_sum(node):
                yield from self._whole_sum(pattern, self.terms(node), bound)
        elif _is_product(pattern):
            yield from self._whole_product(pattern, node, bound)
        elif pattern.op == node.op and len(pattern.args) == len(node.args):
            for more in along.same(pattern, node, bound):
                yield from self._all(pattern.args, node.args, more)
                if node.op in SYMMETRIC and node.args[0] is not node.args[1]:
                    yield from self._all(pattern.args, node.args[::-1], more)

    def _may_be(self, text: str, node: Value) -> bool:
        """Say whether a letter may stand for a graph."""
        if text == _LARGE and any(t.op in ("amax", "stop_gradient") for t in self.terms(node)):
            return False
        if text not in _OF_INPUTS and not text.isupper():
            return True
        if node not in self.varies:
            self.varies[node] = bool(names([node]))
        return self.varies[node] != text.isupper()

    def _all(self, patterns: tuple[Value, ...], nodes: tuple[Value, ...], bound: Bound) -> Iterator[Bound]:
        if not patterns:
            yield bound
            return
        for more in self._same(patterns[0], nodes[0], bound):
            yield from self._all(patterns[1:], nodes[1:], more)

    def _whole_sum(self, pattern: Value, found: Terms, bound: Bound) -> Iterator[Bound]:
        """Match a sum whose last variable takes all that is left."""
        wanted = _terms(pattern)
        if not len(wanted) <= len(found) <= _LONGEST:
            return
        *others, (last, c) = wanted
        if last.op != "name":
            others.append((last, c))
            if len(found) > len(wanted):
                return
        for more, rest in self._terms(tuple(others), found, Fraction(1), bound):
            if last.op != "name":
                if not rest:
                    yield more
            elif rest:
                scaled = {t: d / c for t, d in rest.items()}
                yield from self._same(last, views.sum_of(scaled), more)

    def _whole_product(self, pattern: Value, node: Value, bound: Bound) -> Iterator[Bound]:
        """Match a product whose last variable takes all that is left, also a number."""
        (d, wanted), (c, found) = _factors(pattern), self.factors(node)
        *others, (last, n) = wanted
        known = bound.get(str(last.datum)) if last.op == "name" and not others else None
        if known is not None:
            if self.keys(views.scaled(d, power(known, number(n)))) == self.keys(node):
                yield bound
            return
        if last.op == "name" and not others and n > 1:
            for root in self._whole_roots(node, n, c / d):
                yield from self._same(last, root, bound)
            return
        absorbs = last.op == "name" and str(last.datum) not in bound and n == 1
        if not absorbs:
            others.append((last, n))
            if c != d:
                return
        for more, rest in self._factors(tuple(others), found, bound):
            if absorbs:
                yield from self._same(last, views.product(c / d, rest), more)
            elif not rest:
                yield more

    def _whole_roots(self, node: Value, n: Fraction, c: Fraction) -> tuple[Value, ...]:
        """Return what a product is a power of, where its number is ``c``: also ``2*x**2`` is a square."""
        if (node, n, c) not in self.roots:
            parts = _roots(self.factors(node)[1], n) if c == 1 or (n == 2 and c > 0) else ()
            found = (root for root, rest in parts if not rest)
            self.roots[node, n, c] = tuple(views.times_root(c, r) if c != 1 else r for r in found)
        return self.roots[node, n, c]


def _roots(found: Factors, n: Fraction) -> Iterator[tuple[Value, Factors]]:
    """Yield the largest part of a product that is a power, as its root, and the rest; the other root too."""
    whole = {f: m / n for f, m in found.items() if (m / n).denominator == 1}
    if any(m > 0 for m in whole.values()):
        root = views.product(Fraction(1), whole)
        rest = {f: m for f, m in found.items() if f not in whole}
        yield root, rest
        if n % 2 == 0:
            yield neg(root), rest


def _is_product(node: Value) -> bool:
    return views.kind(node) == "product"


def _candidates(pattern: Value, found: Mapping[Value, Fraction]) -> list[tuple[Value, Fraction]]:
    """Return the terms or factors that a pattern may match: of a function only its calls."""
    anything = pattern.op in ("name", "number") or views.kind(pattern) in ("sum", "product")
    return [pair for pair in found.items() if anything or pair[0].op == pattern.op]


@cache
def _terms(pattern: Value) -> Wanted:
    """Return the terms of a pattern, variables last."""
    found = views.terms(pattern).items()
    return tuple(sorted(found, key=lambda p: (p[0].op == "name", str(p[0].datum).isupper(), p[0] is ONE)))


@cache
def _factors(pattern: Value) -> tuple[Fraction, Wanted]:
    """Return the number and the factors of a pattern, variables last."""
    c, found = views.factors(pattern)
    return c, tuple(sorted(found.items(), key=lambda p: (p[0].op == "name", str(p[0].datum).isupper())))
