"""Graph to C: expressions over one element, ``real`` whatever that is."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from fngen.backends.libm import LIBM, TILE
from fngen.ir import Value
from fngen.printing import infix
from fngen.printing.infix import ATOM, SIGN, Text, float_text

_LARGEST_INT = 2**24
"""Integers up to here are as exact in a float as in an int."""
BIT_OR, BIT_AND = infix.SUM - 2, infix.SUM - 1


class CPrinter(infix.Printer):
    """Prints graphs that the C backend has made legal."""

    tight = False

    def number(self, x: Fraction | Decimal) -> Text:
        """Return an int, which takes the type of what it is beside, or a ``real`` rounded from a double."""
        if isinstance(x, Fraction) and x.denominator == 1 and abs(x) <= _LARGEST_INT:
            return super().number(x)
        text = float_text(x)
        return Text(f"(real){text if '.' in text or 'e' in text else text + '.0'}", SIGN)

    def print_pi(self, node: Value) -> Text:
        """Return pi."""
        return self.number(Decimal("3.141592653589793"))

    def comparison(self, symbol: str, left: Text, right: Text) -> Text:
        """Return ``left symbol right``."""
        text = f"{left.inside(infix.SUM)} {symbol} {right.inside(infix.SUM)}"
        return Text(text, infix.CHOICE)

    def print_neg(self, node: Value, x: Text) -> Text:
        """Return ``-x``; two signs in a row would be another operator."""
        if x.negative:
            return Text(x.negative, min(x.binding, SIGN))
        return Text(f"-{x.inside(ATOM)}", SIGN)

    def print_and(self, node: Value, a: Text, b: Text) -> Text:
        """Return the conjunction of both, worked out without a jump."""
        return Text(f"{a.inside(BIT_AND)} & {b.inside(BIT_AND + 1)}", BIT_AND)

    def print_or(self, node: Value, a: Text, b: Text) -> Text:
        """Return the disjunction of both, worked out without a jump."""
        return Text(f"{a.inside(BIT_OR)} | {b.inside(BIT_OR + 1)}", BIT_OR)

    def print_not(self, node: Value, a: Text) -> Text:
        """Return the negation."""
        return Text(f"!{a.inside(ATOM)}", SIGN)

    def print_where(self, node: Value, c: Text, a: Text, b: Text) -> Text:
        """Return a choice of two that are both worked out."""
        return Text(f"choose({c.text}, {a.text}, {b.text})")

    def print_pow(self, node: Value, base: Text, exponent: Text) -> Text:
        """Return a power that is no product."""
        return self.call(node, [base, exponent])

    def call(self, node: Value, args: Sequence[Text]) -> Text:
        """Return a call; the sign of a call stands before it."""
        text = super().call(node, args)
        return Text(text.text, negative=f"-{text.text}")

    def function(self, node: Value) -> str:
        """Return the name of a function: the C backend has put C's own into the graph."""
        return "NAN" if node.op == "nan" else node.op.removeprefix(LIBM).removeprefix(TILE)
