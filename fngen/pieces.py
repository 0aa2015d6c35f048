"""Products that a formula has: where they are factors of another product, that is made of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

from fngen.ir import Value, fold
from fngen.spans import Span
from fngen.terms import Term


class Pieces:
    """The products of a formula that are worth finding again, each in terms of those before it.

    Args:
        order: The nodes of the formula.
        term: Returns a product as its factors.
        span: Returns the reduced dimensions that a node has in full.
    """

    def __init__(
        self, order: Sequence[Value], term: Callable[[Value], Term], span: Callable[[Value], Span]
    ) -> None:
        self.span, self.numbers = span, dict[Value, bool]()
        self.found = list[tuple[Value, Term]]()
        self.places = dict[Value, list[int]]()
        for node in (n for n in order if n.op in ("mul", "div")):
            whole = term(node)
            part = self.made_of(whole)
            if self.is_one(whole) and self.is_one(part):
                # Of what has this factor it may be a part: the one that fewest others have.
                rarest = min(part.powers, key=lambda f: len(self.places.get(f, ())))
                self.places.setdefault(rarest, []).append(len(self.found))
                self.found.append((node, part))

    def is_one(self, term: Term) -> bool:
        """Say whether a product is worth finding again: a quotient, or scaled by what is reduced."""
        if len(term.powers) < 2:
            return False
        # A factor need not be a node of the formula: the gate of a choice is none.
        fold(term.powers, lambda node, args: node.op != "name" and all(args), self.numbers)
        held = [self.span(f) for f in term.powers if not self.numbers[f]]
        return min(term.powers.values()) < 0 or any(a < b for a in held for b in held)

    def made_of(self, term: Term) -> Term:
        """Return a product in terms of those that are found already."""
        place = self.after(-1, term.powers)
        while place is not None:
            node, part = self.found[place]
            if term.holds(part.powers):
                term = term.without(part.powers).times(Term(1 / part.coefficient, {node: 1}))
            place = self.after(place, term.powers)
        return term

    def after(self, place: int, factors: Iterable[Value]) -> int | None:
        """Return the place of the first product after another that may be in one of some factors."""
        later = []
        for places in (self.places[f] for f in factors if f in self.places):
            i = bisect_right(places, place)
            later += places[i : i + 1]
        return min(later, default=None)
