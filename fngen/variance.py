"""A variance beside the deviations that it is the mean square of: those are squared, not worked out again."""

from __future__ import annotations

from collections.abc import Sequence

from fngen.ir import Over, Value, name, number, postorder, substitute_all, value
from fngen.spans import over


def from_deviations(
    root: Value, graphs: Sequence[Value], counted: str, *, complex: bool = False
) -> list[Value]:
    """Return graphs with ``mean((x - mean(x))**2)`` for ``var(x)``, where the formula has ``x - mean(x)``.

    It rounds no worse than torch's own, which takes several times as long on a CPU.

    Args:
        root: The formula.
        graphs: The formula, and what is made of it.
        counted: An input with as many elements along what is reduced.
        complex: Whether deviations may be complex: their sizes are squared.
    """
    known = set(postorder([root]))
    images = {}
    for node in (n for n in postorder(graphs) if n.op in ("var", "std")):
        x, datum = node.args[0], Over(over(node).dims)
        deviation = value("sub", x, value("mean", x, datum=datum))
        if deviation in known and over(node).option in (0, 1):
            size = value("abs", deviation) if complex else deviation
            images[node] = _spread(node, value("pow", size, number(2)), datum, counted)
    return substitute_all(graphs, images)


def _spread(node: Value, square: Value, datum: Over, counted: str) -> Value:
    """Return the variance of squared deviations, or its root."""
    variance = value("mean", square, datum=datum)
    if over(node).option == 1:
        free = value("sub", value("count", name(counted), datum=datum), number(1))
        variance = value("div", value("sum", square, datum=datum), free)
    return variance if node.op == "var" else value("sqrt", variance)
