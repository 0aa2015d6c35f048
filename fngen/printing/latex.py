"""Graph to LaTeX, for docstrings and notebooks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from fngen.functions import TABLE
from fngen.functions.reductions import SPELLED
from fngen.greek import GREEK
from fngen.ir import Over, Value
from fngen.printing.infix import ATOM, POWER, PRODUCT, SIGN, SUM, Printer, Text

_COMPARISONS = {"<=": r"\le", ">=": r"\ge", "==": "=", "!=": r"\ne"}
_REDUCTIONS = {"prod": r"\prod", "amax": r"\max", "amin": r"\min", "count": "n"}
_BRACKETS = {
    "abs": (r"\left|", r"\right|"),
    "floor": (r"\lfloor", r"\rfloor"),
    "ceil": (r"\lceil", r"\rceil"),
}


class LatexPrinter(Printer):
    """Prints mathematics."""

    def number(self, x: Fraction | Decimal) -> Text:
        """Return a literal; a power of ten is written as one."""
        if isinstance(x, Decimal):
            mantissa, _, exponent = str(x).lower().partition("e")
            text = rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa
            return Text(text, PRODUCT if exponent else SIGN if x < 0 else ATOM)
        if x.denominator == 1:
            return Text(str(x.numerator), SIGN if x < 0 else ATOM)
        sign = "-" if x < 0 else ""
        return Text(rf"{sign}\frac{{{abs(x.numerator)}}}{{{x.denominator}}}", SIGN if sign else PRODUCT)

    def binary(self, op: str, left: Text, right: Text) -> Text:
        """Return a sum, a product by juxtaposition, or a fraction."""
        if op == "div":
            return Text(rf"\frac{{{left.text}}}{{{right.text}}}", PRODUCT)
        if op == "mul":
            first, second = _bracketed(left, PRODUCT), _bracketed(right, PRODUCT)
            # A number after a factor reads as part of it.
            dot = r" \cdot " if second[:1].isdigit() or second.startswith("-") else " "
            if first.endswith("}") and second.startswith(r"\mathrm"):
                dot = r" \, "
            return Text(first + dot + second, PRODUCT)
        sign = "+" if op == "add" else "-"
        return Text(f"{left.inside(SUM)} {sign} {_bracketed(right, SUM + 1)}", SUM)

    def comparison(self, symbol: str, left: Text, right: Text) -> Text:
        """Return a relation."""
        return Text(f"{left.text} {_COMPARISONS.get(symbol, symbol)} {right.text}", SUM - 1)

    def print_name(self, node: Value) -> Text:
        r"""Return ``x_1`` for ``x1``, ``\beta`` for ``beta``."""
        return Text("i" if node.datum == "1j" else symbol(str(node.datum)))

    def print_pi(self, node: Value) -> Text:
        """Return the number pi."""
        return Text(r"\pi")

    def print_nan(self, node: Value) -> Text:
        """Return the undefined value."""
        return Text(r"\text{undefined}")

    def print_neg(self, node: Value, x: Text) -> Text:
        """Return a negative."""
        return Text(f"-{_bracketed(x, PRODUCT)}", SIGN if x.binding > PRODUCT else PRODUCT)

    def print_pow(self, node: Value, base: Text, exponent: Text) -> Text:
        """Return a power."""
        return Text(f"{_bracketed(base, ATOM)}^{_braced(exponent.text)}", POWER)

    def print_sqrt(self, node: Value, x: Text) -> Text:
        """Return a square root."""
        return Text(rf"\sqrt{{{x.text}}}")

    def print_exp(self, node: Value, x: Text) -> Text:
        """Return an exponential as a power of e."""
        return Text(f"e^{_braced(x.text)}", POWER)

    def print_conj(self, node: Value, x: Text) -> Text:
        """Return a conjugate."""
        return Text(rf"\overline{{{x.text}}}")

    def print_and(self, node: Value, a: Text, b: Text) -> Text:
        """Return a conjunction."""
        return Text(rf"{a.text} \land {b.text}", 0)

    def print_or(self, node: Value, a: Text, b: Text) -> Text:
        """Return a disjunction."""
        return Text(rf"{a.text} \lor {b.text}", 0)

    def print_not(self, node: Value, a: Text) -> Text:
        """Return a negation."""
        return Text(rf"\lnot ({a.text})", 0)

    def print_where(self, node: Value, c: Text, a: Text, b: Text) -> Text:
        """Return a choice of cases."""
        otherwise = "" if node.args[2].op == "nan" else rf" \\ {b.text} & \text{{otherwise}}"
        return Text(rf"\begin{{cases}} {a.text} & {c.text}{otherwise} \end{{cases}}", SUM)

    def print_bar(self, node: Value, x: Text) -> Text:
        """Return the gradient by a variable."""
        return Text(rf"\bar{_braced(x.text) if len(x.text) > 1 else ' ' + x.text}")

    def print_finite(self, node: Value, x: Text, like: Text) -> Text:
        """Return what it is to mathematics: the same."""
        return x

    def print_sum(self, node: Value, x: Text) -> Text:
        """Return a sum over dimensions."""
        return Text(rf"\sum{_over(node)} {_bracketed(x, PRODUCT)}", PRODUCT)

    def print_sum_to(self, node: Value, x: Text, like: Text) -> Text:
        """Return a sum over all that a parameter does not have."""
        return Text(rf"\sum {_bracketed(x, PRODUCT)}", PRODUCT)

    def print_norm(self, node: Value, x: Text) -> Text:
        """Return a norm."""
        return Text(rf"\lVert {x.text} \rVert_{_braced(str(node.datum.option))}")  # type: ignore[union-attr]

    def call(self, node: Value, args: Sequence[Text]) -> Text:
        """Return a function application."""
        if isinstance(node.datum, Over):
            name = _REDUCTIONS.get(node.op) or rf"\operatorname{{{_escaped(SPELLED.get(node.op, node.op))}}}"
            return Text(f"{name}{_over(node)} {_round(args[0].text)}")
        if node.op in ("true", "false"):
            return Text(rf"\text{{{node.op}}}")
        if node.op in _BRACKETS:
            left, right = _BRACKETS[node.op]
            return Text(rf"{left} {args[0].text} {right}")
        name = TABLE[node.op].latex or {"maximum": r"\max", "minimum": r"\min"}.get(node.op, "")
        name = name or rf"\operatorname{{{_escaped(node.op)}}}"
        return Text(name + _round(", ".join(a.text for a in args)))


def _over(node: Value) -> str:
    """Return the dimensions of a reduction, as an index."""
    assert isinstance(node.datum, Over)
    dims = node.datum.dims
    return "" if dims is None else f"_{_braced(', '.join(map(str, dims)))}"


def symbol(name: str) -> str:
    r"""Return a variable as mathematics: ``x_1`` for ``x1``, ``\lambda_{\max}``-like names."""
    match = re.fullmatch(r"([A-Za-z]+?)_?(\d+)", name)
    stem, index = match.groups() if match else (name, "")
    if not index and "_" in name.strip("_"):
        stem, _, index = name.strip("_").partition("_")
    shown = rf"\{stem}" if stem in GREEK else stem
    if len(stem) > 1 and stem not in GREEK:
        shown = rf"\mathrm{{{_escaped(stem)}}}"
    return f"{shown}_{_braced(_escaped(index))}" if index else shown


def _escaped(text: str) -> str:
    return text.replace("_", r"\_")


def _braced(text: str) -> str:
    return text if len(text) == 1 else f"{{{text}}}"


def _bracketed(text: Text, binding: int) -> str:
    return text.text if text.binding >= binding else _round(text.text)


def _round(text: str) -> str:
    """Return ``text`` in brackets that grow with what is in them."""
    tall = any(mark in text for mark in (r"\frac", r"\left", r"\begin", "^"))
    return rf"\left({text}\right)" if tall else f"({text})"
