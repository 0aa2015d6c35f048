"""Terms: rational numbers times integer powers of the nodes of a formula."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from sympy import Integer, Mul, Pow, Rational, Symbol

from fngen.algebra import exact
from fngen.ir import Over, Value, is_number, names, value

Powers = dict[Value, int]


@dataclass
class Term:
    """A rational number times integer powers of other values."""

    coefficient: Fraction
    powers: Powers = field(default_factory=dict)

    def times(self, other: Term) -> Term:
        """Return the product of two terms."""
        powers = dict(self.powers)
        for factor, n in other.powers.items():
            powers[factor] = powers.get(factor, 0) + n
        return Term(self.coefficient * other.coefficient, {f: n for f, n in powers.items() if n})

    def holds(self, powers: Powers) -> bool:
        """Say whether these powers can be taken out without turning a factor into a divisor, or back."""
        return all(n * self.powers.get(f, 0) >= n * n for f, n in powers.items())

    def without(self, powers: Powers) -> Term:
        """Return what is left when powers are taken out."""
        return self.times(Term(Fraction(1), {f: -n for f, n in powers.items()}))

    @property
    def key(self) -> frozenset[tuple[Value, int]]:
        """What makes terms alike."""
        return frozenset(self.powers.items())


def times(terms: Iterable[Term], factor: Term) -> list[Term]:
    """Return a sum times a factor."""
    return [t.times(factor) for t in terms]


def merged(terms: Iterable[Term]) -> list[Term]:
    """Return a sum with like terms added."""
    found: dict[frozenset[tuple[Value, int]], Term] = {}
    for term in terms:
        before = found.get(term.key)
        found[term.key] = Term(before.coefficient + term.coefficient, before.powers) if before else term
    return [term for term in found.values() if term.coefficient]


def is_deviation(inside: Powers, axes: tuple[int, ...] | None) -> bool:
    """Say whether something adds up to 0, as ``x - mean(x)`` does."""
    (node, n), *others = inside.items()
    if others or n != 1 or node.op != "sub":
        return False
    return node.args[1] is value("mean", node.args[0], datum=Over(axes))


def open_side(node: Value) -> Value | None:
    """Return the side of a choice that is not 0, if the other one is and this is no number."""
    _, a, b = node.args
    side = b if is_number(a, 0) else a if is_number(b, 0) else None
    return side if side is not None and names([side]) else None


HALVES = {"sqrt": Fraction(1, 2), "rsqrt": Fraction(-1, 2)}
"""The powers that functions are."""


def is_root(node: Value) -> bool:
    """Say whether a node is a power of 1/2 or -1/2."""
    return node.op == "pow" and node.args[1].op == "number" and abs(exact(node.args[1])) == Fraction(1, 2)


def expression(term: Term, symbols: Mapping[Value, Symbol]) -> Mul:
    """Return a term in SymPy's terms."""
    coefficient = Rational(term.coefficient.numerator, term.coefficient.denominator)
    return Mul(coefficient, *(Pow(symbols[f], Integer(n)) for f, n in term.powers.items()))
