"""What a graph is, in whatever order it is written."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from fractions import Fraction

from fngen.algebra import exact
from fngen.ir import Value, fold, is_number
from fngen.stabilise import views

SYMMETRIC = frozenset({"hypot", "logaddexp", "maximum", "minimum"})
"""Functions whose arguments have no order."""


@dataclass
class Keys:
    """What graphs are, whatever order their sums and products are written in."""

    found: dict[Value, Hashable] = field(default_factory=dict)
    numbers: dict[Hashable, int] = field(default_factory=dict)

    def __call__(self, node: Value) -> Hashable:
        """Return what a graph has in common with every other way to write it."""
        return fold([node], self._key, self.found)[node]

    def without(self, found: views.Terms, less: views.Terms, c: Fraction) -> views.Terms | None:
        """Return a sum without ``c`` times another one, if it has all of its terms."""
        places, rest = {self(term): term for term in found}, dict(found)
        for term, n in less.items():
            place = places.get(self(term))
            if place is None or rest.pop(place, None) != c * n:
                return None
        return rest

    def _key(self, node: Value, args: list[Hashable]) -> Hashable:
        if views.is_sum(node) or views.is_sum(views.coefficient(node)[1]):
            parts: Hashable = ("+", frozenset((self(t), c) for t, c in views.terms(node).items()))
        elif node.op in ("mul", "div", "neg", "rsqrt") or (node.op == "pow" and is_number(node.args[1])):
            c, found = views.factors(node)
            if [*found.values()] == [1] and next(iter(found)) is node:
                parts = (node.op, *args)
            else:
                d, root, others = views.radical(found)
                parts = ("*", c * d, root, frozenset((self(f), n) for f, n in others.items()))
        elif node.op in SYMMETRIC:
            parts = (node.op, frozenset(args))
        else:
            parts = (node.op, str(node.datum) if node.op != "number" else exact(node), *args)
        return self.numbers.setdefault(parts, len(self.numbers))
