"""What a formula may reduce, and which dimensions its result has in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fngen.declared import CHANNELS, Const, Param
from fngen.ir import REDUCTIONS, Value, names, postorder, rewrite, value
from fngen.language.parse import Reading
from fngen.spans import Span, over, spans


def check_reductions(reading: Reading, roots: Sequence[Value], consts: Sequence[Const]) -> None:
    """Refuse reductions that keep what nobody names, or in which nothing varies.

    Args:
        reading: The text.
        roots: Graphs in it.
        consts: The constants: each is one number.
    """
    for node in (n for n in postorder(roots) if n.op in REDUCTIONS):
        if over(node).dims is None and over(node).keepdim:
            hint = "Write for example dim=(-2, -1), keepdim=True."
            raise reading.error("keepdim=True needs dim=", node, hint)
        if not set(names(node.args)) - {c.name for c in consts}:
            raise reading.error("no input is in what is reduced", node, "A constant is one number.")


def check_dimensions(reading: Reading, roots: Sequence[Value], known: Mapping[str, Span]) -> None:
    """Refuse reductions of what has nothing left to reduce.

    Args:
        reading: The text.
        roots: Graphs in terms of the inputs.
        known: What each input spans.
    """
    left = spans(roots, known)
    for node in (n for n in left if n.op in REDUCTIONS):
        span = left[node.args[0]]
        gone = sorted(set(over(node).dims or ()) - span)
        if gone or not span:
            what = f"dimension {gone[0]}" if gone else "no dimension"
            inner = [over(n).dims for n in postorder(node.args) if n.op in REDUCTIONS]
            hint = "A number has no dimension, and a parameter one or none."
            if any(dims is None or set(gone) & set(dims) for dims in inner):
                hint = "It is reduced inside already, and has one element there: leave one of the two out."
            raise reading.error(f"what is reduced here has {'no ' * bool(gone)}{what} to reduce", node, hint)


def without(
    roots: Sequence[Value], known: Mapping[str, Span], every: Span, params: Sequence[Param]
) -> tuple[Span, ...]:
    """Return the dimensions over which everything in a result was reduced, and that nobody asked to keep.

    What is made of parameters alone has no more dimensions than those.
    """
    kept = spans(roots, known, kept=True)
    return tuple((every - kept[root]) & _of_result(root, known, every, params) for root in roots)


def _of_result(root: Value, known: Mapping[str, Span], every: Span, params: Sequence[Param]) -> Span:
    """Return the dimensions that there may be: all, but for parameters that are not shaped as inputs."""
    own = {p.name: p.dim for p in params}
    dims = {own.get(x, CHANNELS) for x in names([root]) if x in known}
    return every if CHANNELS in dims else every & {None, *dims}


def with_dimensions(roots: Sequence[Value]) -> list[Value]:
    """Return graphs in which what was reduced has its dimensions still, and so broadcasts."""

    def rule(node: Value) -> Value:
        return (
            value(node.op, *node.args, datum=replace(over(node), keepdim=True))
            if node.op in REDUCTIONS
            else node
        )

    images = rewrite(roots, rule)
    return [images[root] for root in roots]
