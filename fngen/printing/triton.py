"""Graph to Triton: expressions over a tile of elements."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from fractions import Fraction

from fngen.backends.libm import DEFINED, LIBM, TILE
from fngen.ir import ARITHMETIC, REDUCTIONS, Value, is_number, postorder
from fngen.printing.infix import CHOICE, SUM, Text
from fngen.printing.torch import TorchPrinter

_NAMES = {"fabs": "tl.abs", "sqrt": "libdevice.sqrt_rn"}
_ITSELF = {"ne": "!=", "eq": "=="}
"""What is not equal to itself is no number: how the answer of libdevice is compared with 0."""
HELPER = "_tile_"
"""What the names of the functions that a file defines begin with."""
QUOTIENT = "_tile_quotient"
"""The function that divides."""


class TritonPrinter(TorchPrinter):
    """Prints graphs that are made of libm's functions and of helpers.

    Args:
        like: The name of a tensor of the type to compute in.
        constants: The names that stand for numbers that are known to the compiler.
    """

    def __init__(self, like: str, constants: Collection[str]) -> None:
        super().__init__()
        self.like, self.constants = like, constants

    def visit(self, node: Value, args: Sequence[Text]) -> Text:
        """Return the text of a node; Triton's own quotient is not the nearest one in float32."""
        if node.op in REDUCTIONS:
            return self.call(node, args)
        if node.op in _ITSELF and args[0] == args[1]:
            return Text(f"libdevice.isnan({args[0].text}) {_ITSELF[node.op]} 0", CHOICE)
        if node.op != "div" or all(map(self.is_known, node.args)):
            return super().visit(node, args)
        above, below = node.args
        if is_number(above, 1):
            return Text(f"libdevice.rcp_rn({args[1].text})")
        if below.op == "number" and (inverse := _inverse(below)):
            return self.binary("mul", args[0], self.number(inverse))
        return Text(f"{QUOTIENT}({args[0].text}, {args[1].text})")

    def is_known(self, node: Value) -> bool:
        """Say whether a node is a number that the compiler knows: Python works with it, not a program."""
        leaves = (n for n in postorder([node]) if not (n.op in ARITHMETIC or n.op in ("number", "pi", "nan")))
        return all(n.datum in self.constants for n in leaves)

    def print_not(self, node: Value, a: Text) -> Text:
        """Return the negation."""
        return Text(f"{a.inside(SUM)} == 0", CHOICE)

    def print_and(self, node: Value, a: Text, b: Text) -> Text:
        """Return a conjunction."""
        return super().print_and(node, *map(_condition, node.args, (a, b)))

    def print_or(self, node: Value, a: Text, b: Text) -> Text:
        """Return a disjunction."""
        return super().print_or(node, *map(_condition, node.args, (a, b)))

    def print_pi(self, node: Value) -> Text:
        """Return pi."""
        return self.number(Decimal("3.141592653589793"))

    def print_nan(self, node: Value) -> Text:
        """Return what is no number."""
        return Text('float("nan")', negative='float("nan")')

    def print_where(self, node: Value, c: Text, a: Text, b: Text) -> Text:
        """Return a choice; that of two numbers is of the type to compute in."""
        if all(map(self.is_known, node.args[1:])):
            a = self.full(a)
        c = _condition(node.args[0], c)
        return Text(f"tl.where({c.text}, {a.text}, {b.text})")

    def call(self, node: Value, args: Sequence[Text]) -> Text:
        """Return a call, a number among its arguments in the type of the others."""
        given = [self.full(t) if self.is_known(n) else t for n, t in zip(node.args, args, strict=True)]
        if node.op in REDUCTIONS:
            given.append(Text("inside"))  # It is told which elements of a tile there are.
        return super().call(node, given)

    def full(self, number: Text) -> Text:
        """Return a number as a tensor of the type to compute in."""
        return Text(f"tl.full([1, 1], {number.text}, {self.like}.dtype)")

    def function(self, node: Value) -> str:
        """Return the name of a function of libdevice, or of one that the file defines."""
        if node.op in REDUCTIONS or node.op.startswith(TILE):
            return HELPER + node.op.removeprefix(TILE)
        own = node.op.removeprefix(LIBM)
        return _NAMES.get(own) or (f"{HELPER}{own}" if own in DEFINED else f"libdevice.{own}")


def _condition(node: Value, text: Text) -> Text:
    """Return the text of a condition; one of constants alone arrives as a number."""
    return Text(f"{text.text} != 0", CHOICE) if node.op == "name" else text


def _inverse(node: Value) -> Decimal | None:
    """Return one over a power of two: the product with it is the quotient, to the last bit."""
    exact = Fraction(node.datum)  # type: ignore[arg-type]
    power = exact.denominator == 1 and 0 < exact <= 2**20 and exact.numerator.bit_count() == 1
    return Decimal(1) / exact.numerator if power else None
