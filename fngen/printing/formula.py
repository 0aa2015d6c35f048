"""Graph to formula, as fngen reads it: ``parse(print(node))`` is ``node``."""

from __future__ import annotations

from collections.abc import Sequence

from fngen.functions.reductions import REDUCTIONS, SPELLED
from fngen.ir import REDUCTIONS as FOLDS
from fngen.ir import Over, Value
from fngen.printing.infix import AND, NOT, OR, Printer, Text


class FormulaPrinter(Printer):
    """Prints formulas in fngen's own language.

    Args:
        as_read: Whether reductions say where they keep their dimension, as read; later on all do.
    """

    def __init__(self, *, as_read: bool = False) -> None:
        self.as_read = as_read

    def call(self, node: Value, args: Sequence[Text]) -> Text:
        """Return a constant or a call; a reduction says over which dimensions it is."""
        if not isinstance(node.datum, Over):
            return super().call(node, args)
        words = _over(node)
        if self.as_read and node.op in FOLDS and node.datum.keepdim:
            words.append("keepdim=True")
        return Text(f"{SPELLED.get(node.op, node.op)}({', '.join([args[0].text, *words])})")

    def print_and(self, node: Value, a: Text, b: Text) -> Text:
        """Return a conjunction."""
        return Text(f"{a.inside(AND)} and {b.inside(AND + 1)}", AND)

    def print_or(self, node: Value, a: Text, b: Text) -> Text:
        """Return a disjunction."""
        return Text(f"{a.inside(OR)} or {b.inside(OR + 1)}", OR)

    def print_not(self, node: Value, a: Text) -> Text:
        """Return a negation."""
        return Text(f"not {a.inside(NOT)}", NOT)

    def print_true(self, node: Value) -> Text:
        """Return the condition that always holds."""
        return Text("True")

    def print_false(self, node: Value) -> Text:
        """Return the condition that never holds."""
        return Text("False")

    def print_where(self, node: Value, c: Text, a: Text, b: Text) -> Text:
        """Return a choice; one without a value elsewhere is a Piecewise."""
        if node.args[2].op == "nan":
            return Text(f"Piecewise(({a.text}, {c.text}))")
        return Text(f"where({c.text}, {a.text}, {b.text})")

    def print_log_base(self, node: Value, x: Text, base: Text) -> Text:
        """Return a logarithm to a base."""
        return Text(f"log({x.text}, {base.text})")

    def print_clamp_min(self, node: Value, x: Text, bound: Text) -> Text:
        """Return a lower bound."""
        return Text(f"clamp({x.text}, min={bound.text})")

    def print_clamp_max(self, node: Value, x: Text, bound: Text) -> Text:
        """Return an upper bound."""
        return Text(f"clamp({x.text}, max={bound.text})")


def _over(node: Value) -> list[str]:
    """Return the keywords of a reduction."""
    assert isinstance(node.datum, Over)
    dims, option = node.datum.dims, node.datum.option
    row = REDUCTIONS.get(SPELLED.get(node.op, ""))
    words = [f"{label}={option}" for label, default in (row.options if row else ()) if str(option) != default]
    if dims is not None:
        words.append(f"dim={dims[0] if len(dims) == 1 else dims}")
    return words
