"""Infix notation: precedence, brackets, and Black's spacing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from fngen.ir import COMPARISONS, Value, fold

CHOICE, OR, AND, NOT, COMPARE, SUM, PRODUCT, SIGN, POWER, ATOM = range(10)
_EXACT_INTEGERS = 2**53
_SIMPLE = re.compile(r"-?[\w.]+")
_SYMBOLS = {"add": ("+", SUM), "sub": ("-", SUM), "mul": ("*", PRODUCT), "div": ("/", PRODUCT)}


@dataclass(frozen=True, slots=True)
class Text:
    """Printed text, how tightly its outermost operator binds, and the text of its negative."""

    text: str
    binding: int = ATOM
    negative: str = ""

    def inside(self, binding: int) -> str:
        """Return the text as an operand of an operator, in brackets if it needs them."""
        return self.text if self.binding >= binding else f"({self.text})"


class Printer:
    """What the printers of all languages share: arithmetic, comparisons and calls."""

    tight = True
    """No spaces around ``*`` and ``/``, as people type formulas."""

    def print(self, root: Value) -> str:
        """Return the text of a graph."""
        return fold([root], self.visit)[root].text

    def visit(self, node: Value, args: Sequence[Text]) -> Text:
        """Return the text of a node from the texts of its arguments."""
        if node.op == "number":
            return self.number(node.datum)  # type: ignore[arg-type]
        if node.op in _SYMBOLS:
            return self.binary(node.op, *args)
        if node.op in COMPARISONS:
            return self.comparison(COMPARISONS[node.op], *args)
        method = getattr(self, f"print_{node.op}", None)
        return method(node, *args) if method else self.call(node, args)

    def number(self, x: Fraction | Decimal) -> Text:
        """Return a literal; the parser makes decimals of decimals, so they keep their text."""
        if isinstance(x, Decimal):
            return _signed(str(x))
        if x.denominator == 1:
            return _signed(str(x.numerator))
        return self.binary("div", self.number(Fraction(x.numerator)), Text(str(x.denominator)))

    def binary(self, op: str, left: Text, right: Text) -> Text:
        """Return ``left op right``, bracketed so that the grouping stays as it is."""
        symbol, binding = _SYMBOLS[op]
        spaced = symbol if self.tight and binding == PRODUCT else f" {symbol} "
        rest = f"{spaced}{right.inside(binding + 1)}"
        negative = f"{left.negative}{rest}" if left.negative and binding == PRODUCT else ""
        return Text(left.inside(binding) + rest, binding, negative)

    def comparison(self, symbol: str, left: Text, right: Text) -> Text:
        """Return ``left symbol right``."""
        return Text(f"{left.inside(SUM)} {symbol} {right.inside(SUM)}", COMPARE)

    def print_name(self, node: Value) -> Text:
        """Return a variable."""
        return Text(str(node.datum), negative=f"-{node.datum}")

    def print_neg(self, node: Value, x: Text) -> Text:
        """Return ``-x``."""
        return Text(f"-{x.inside(SIGN)}", SIGN)

    def print_pow(self, node: Value, base: Text, exponent: Text) -> Text:
        """Return a power; nested ones always in brackets, as Black does not hug them."""
        left, right = base.inside(ATOM), exponent.inside(SIGN)
        if exponent.binding == POWER:
            right = f"({exponent.text})"
        hug = self.tight or (_SIMPLE.fullmatch(left) and _SIMPLE.fullmatch(right))
        text = f"{left}**{right}" if hug else f"{left} ** {right}"
        return Text(text, POWER, f"-({text})")

    def print__promoted(self, node: Value, x: Text, y: Text) -> Text:
        """Return a number, whatever its type."""
        return x

    def call(self, node: Value, args: Sequence[Text]) -> Text:
        """Return a constant or a function call."""
        name = self.function(node)
        if not args:
            return Text(name, negative=f"-{name}")
        text = f"{name}({', '.join(a.text for a in args)})"
        return Text(text, negative=f"-{text}")

    def function(self, node: Value) -> str:
        """Return the name of a function or constant."""
        return node.op


def _signed(text: str) -> Text:
    return Text(text, SIGN) if text.startswith("-") else Text(text, negative=f"-{text}")


def float_text(x: Fraction | Decimal) -> str:
    """Return the shortest literal that Python reads as the float64 nearest to ``x``."""
    return repr(float(x)).replace("e+", "e")


def is_exact_integer(x: Fraction | Decimal) -> bool:
    """Say whether ``x`` is an integer that float64 holds exactly."""
    return isinstance(x, Fraction) and x.denominator == 1 and abs(x) <= _EXACT_INTEGERS
