"""Graph to Python with torch operators, spaced as Black would."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from fractions import Fraction

from fngen.choices import RARELY
from fngen.contraction import TOTAL
from fngen.functions import TABLE
from fngen.ir import CONTRACT, SLICED, Over, Value, is_number
from fngen.printing import infix, reductions
from fngen.printing.infix import SIGN, Text, float_text, is_exact_integer

BIT_OR, BIT_AND = infix.SUM - 2, infix.SUM - 1
"""Python's ``|`` and ``&`` bind tighter than comparisons, so those stand in brackets."""


class TorchPrinter(infix.Printer):
    """Prints graphs that the torch backend has made legal.

    Args:
        wrapped: Functions that the file wraps in a node of its own, called by ``_name``.
        integers: Whether tensors may be integers, in which a fraction would be truncated.
    """

    tight = False

    def __init__(self, wrapped: Collection[str] = (), *, integers: bool = False) -> None:
        self.wrapped, self.integers = wrapped, integers

    def visit(self, node: Value, args: Sequence[Text]) -> Text:
        """Return the text of a node; ``mul_(u, x)`` is the method call ``u.mul_(x)``."""
        if isinstance(node.datum, Over):
            return reductions.text(node, args)
        if node.op.removesuffix("_") == CONTRACT:
            own = ", own=True" if node.op.endswith("_") else ""
            return Text(f"_sum_of_products({_arguments(node, args)}{own})")
        if node.op == SLICED:
            body, *rest = args
            slices = ", ".join(a.text for a in rest[1:])
            return Text(f"_sum_in_slices(lambda {slices}: {body.text}, {_arguments(node, rest)})")
        if node.op == TOTAL:
            return Text(f"_sum_to({_arguments(node, args)})")
        if node.op in RARELY:
            usual, condition, rare = args
            sides = (usual, rare) if node.datum == "false" else (rare, usual)
            return self.print_where(node, condition, *sides)
        if not node.op.endswith("_"):
            return super().visit(node, args)
        buffer, *rest = args
        return Text(f"{buffer.inside(infix.ATOM)}.{node.op}({_arguments(node, rest)})")

    def number(self, x: Fraction | Decimal) -> Text:
        """Return an int, a quotient of ints, or the nearest float64."""
        if is_exact_integer(x) or (isinstance(x, Fraction) and _is_small(x)):
            return super().number(x)
        text = float_text(x)
        return Text(text, SIGN) if x < 0 else Text(text, negative=f"-{text}")

    def comparison(self, symbol: str, left: Text, right: Text) -> Text:
        """Return ``left symbol right``."""
        text = f"{left.inside(infix.SUM)} {symbol} {right.inside(infix.SUM)}"
        return Text(text, infix.CHOICE)

    def print_neg(self, node: Value, x: Text) -> Text:
        """Return ``-x``, the sign in front of a product's first factor."""
        if x.negative:
            return Text(x.negative, min(x.binding, SIGN))
        return Text(f"-{x.inside(infix.ATOM)}", SIGN)

    def print_and(self, node: Value, a: Text, b: Text) -> Text:
        """Return the elementwise conjunction."""
        return Text(f"{a.inside(BIT_AND)} & {b.inside(BIT_AND + 1)}", BIT_AND)

    def print_or(self, node: Value, a: Text, b: Text) -> Text:
        """Return the elementwise disjunction."""
        return Text(f"{a.inside(BIT_OR)} | {b.inside(BIT_OR + 1)}", BIT_OR)

    def print_not(self, node: Value, a: Text) -> Text:
        """Return the elementwise negation."""
        return Text(f"~{a.inside(SIGN)}", SIGN)

    def print_where(self, node: Value, c: Text, a: Text, b: Text) -> Text:
        """Return an elementwise choice."""
        return Text(f"torch.where({c.text}, {a.text}, {b.text})")

    def print_if_else(self, node: Value, c: Text, a: Text, b: Text) -> Text:
        """Return a choice by numbers."""
        return Text(f"{a.inside(infix.CHOICE + 1)} if {c.text} else {b.inside(infix.CHOICE)}", infix.CHOICE)

    def print_full_mask(self, node: Value, x: Text, c: Text) -> Text:
        """Return a condition of numbers as a tensor."""
        return Text(f"torch.full_like({x.text}, {c.text}, dtype=torch.bool)")

    def print_negation(self, node: Value, x: Text) -> Text:
        """Return the negation of a condition of numbers."""
        return Text(f"not {x.inside(infix.NOT)}", infix.NOT)

    def print_clamp_min(self, node: Value, x: Text, bound: Text) -> Text:
        """Return a lower bound."""
        return Text(f"torch.clamp({x.text}, min={bound.text})")

    def print_clamp_max(self, node: Value, x: Text, bound: Text) -> Text:
        """Return an upper bound."""
        return Text(f"torch.clamp({x.text}, max={bound.text})")

    def print_finite(self, node: Value, x: Text, like: Text) -> Text:
        """Return a tensor with the largest number for what is infinite."""
        return Text(f"torch.clamp({x.text}, max=torch.finfo({like.text}.dtype).max)")

    def print_log1pexp(self, node: Value, x: Text) -> Text:
        """Return the softplus of all its digits: from 40 on it is ``x`` in double precision too."""
        return Text(f"nn.functional.softplus({x.text}, threshold=40)")

    def print_full_like(self, node: Value, x: Text, fill: Text) -> Text:
        """Return a tensor of one number, shaped and typed like ``x``."""
        if is_number(node.args[1], 0):
            return Text(f"torch.zeros_like({x.text})")
        if is_number(node.args[1], 1):
            return Text(f"torch.ones_like({x.text})")
        constant = node.args[1]
        if self.integers and not (constant.op == "number" and is_exact_integer(constant.datum)):  # type: ignore[arg-type]
            return self.binary("mul", fill, Text(f"torch.ones_like({x.text})"))
        return Text(f"torch.full_like({x.text}, {fill.text})")

    def print_addcmul(self, node: Value, *args: Text) -> Text:
        """Return ``a + b*c`` or ``a - b*c`` as one call."""
        return Text(f"torch.addcmul({_arguments(node, args)})")

    def print_sigmoid_backward(self, node: Value, p: Text, s: Text) -> Text:
        """Return ``p*s*(1 - s)`` as one call."""
        return Text(f"torch.ops.aten.sigmoid_backward({p.text}, {s.text})")

    def print_vjp(self, node: Value, p: Text, *args: Text) -> Text:
        """Return a cotangent times the derivative of a function as one call."""
        row = TABLE[str(node.datum)]
        texts = {x: a.text for x, a in zip(row.parameters, args, strict=True)}
        return Text(f"torch.ops.aten.{row.vjp.format(g=p.text, **texts)}")

    def print_tanh_backward(self, node: Value, p: Text, t: Text) -> Text:
        """Return ``p*(1 - t**2)`` as one call."""
        return Text(f"torch.ops.aten.tanh_backward({p.text}, {t.text})")

    def print__promoted(self, node: Value, x: Text, y: Text) -> Text:
        """Return a tensor in the type that it has beside another."""
        return Text(f"{x.inside(infix.ATOM)}.to(torch.result_type({x.text}, {y.text}))")

    def print_own(self, node: Value, *args: Text) -> Text:
        """Return the call of a derivative that is a node itself."""
        text = f"{node.datum}({', '.join(a.text for a in args)})"
        return Text(text, negative=f"-{text}")

    def print_isnan(self, node: Value, x: Text) -> Text:
        """Return the test for nan."""
        return Text(f"torch.isnan({x.text})")

    def print_floor_divide(self, node: Value, x: Text, y: Text) -> Text:
        """Return a floored quotient, in the form that autograd knows (torch.floor_divide is none)."""
        return Text(f'torch.div({x.text}, {y.text}, rounding_mode="floor")')

    def print_clone(self, node: Value, x: Text) -> Text:
        """Return a copy."""
        return Text(f"{x.inside(infix.ATOM)}.clone()")

    def print_expand(self, node: Value, x: Text, like: Text) -> Text:
        """Return a tensor in the shape that it has together with another."""
        return Text(f"_spread({x.text}, {like.text})")

    def print_sum_to(self, node: Value, x: Text, like: Text) -> Text:
        """Return a tensor summed over what another does not have."""
        return Text(f"{x.inside(infix.ATOM)}.sum_to_size({like.text}.shape)")

    def print_conj(self, node: Value, x: Text) -> Text:
        """Return a conjugate."""
        return Text(f"{x.inside(infix.ATOM)}.conj()")

    def call(self, node: Value, args: Sequence[Text]) -> Text:
        """Return a constant or a call; the sign of a call stands before it."""
        text = super().call(node, args)
        return Text(text.text, negative=f"-{text.text}")

    def function(self, node: Value) -> str:
        """Return the name under which the emitted file calls a function."""
        if node.op in ("pi", "nan"):
            return {"pi": "math.pi", "nan": "torch.nan"}[node.op]
        if node.op not in TABLE:
            return node.op.removeprefix("py.")  # Of Python's, for numbers.
        return f"_{node.op}" if node.op in self.wrapped else TABLE[node.op].torch


def _arguments(node: Value, args: Sequence[Text]) -> str:
    """Return the arguments of a call; the datum of ``addcmul`` is the factor of its product."""
    texts = [a.text for a in args]
    return ", ".join(texts if node.datum in (None, 1) else [*texts, f"value={node.datum}"])


def _is_small(x: Fraction) -> bool:
    return max(abs(x.numerator), x.denominator) <= 10**9
