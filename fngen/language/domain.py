"""Which operators have a meaning for real numbers, and which for complex ones."""

from __future__ import annotations

from collections.abc import Collection

from fngen.functions import complex as rows
from fngen.functions.reductions import SPELLED
from fngen.ir import CONDITIONS, Value, names

_COMPLEX_ONLY = frozenset(row.name for row in rows.ROWS)


def is_real(node: Value, reals: Collection[Value]) -> bool:
    """Say whether a node is real for complex inputs; ``reals`` are those below it that are."""
    return node.op in rows.REAL_VALUED or (node.op != "name" and all(a in reals for a in node.args))


def without_meaning(node: Value, reals: Collection[Value], *, complex: bool) -> tuple[str, str] | None:
    """Return what is wrong with a node, and a hint, if it has no meaning.

    Args:
        node: The node.
        reals: The nodes below it that are real for complex inputs.
        complex: Whether the inputs are complex numbers.
    """
    op = node.op
    if not complex:
        hint = "Make the layer with --complex (the keyword complex=True)."
        return (f"{op!r} is a function of complex numbers", hint) if op in _COMPLEX_ONLY else None
    real = [a in reals or not names([a]) for a in node.args]
    if op in rows.ALLOWED or (real[0] if op == "where" else all(real)):
        return None
    what = "a condition" if op in CONDITIONS else f"{SPELLED.get(op, op)!r}"
    hint = "It takes re(z), im(z), abs(z), arg(z) and what is made of them alone."
    if op in ("amax", "amin", "maximum", "minimum"):
        hint = f"They have no order. {hint}"
    if op == "sign":
        hint = "Did you mean 'sgn', z/abs(z)?"
    return f"{what} of complex numbers has no meaning", hint
