"""The dimensions that a result does not have: left out where it is reduced, or at the end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from fngen.ir import REDUCTIONS, Over, Value, postorder, substitute, value
from fngen.spans import Span, over


def dropped(root: Value, dims: Span, numbers: Collection[str]) -> Value:
    """Return a graph without the dimensions that a result does not have.

    Its last reductions leave them out where nothing wider reads them; else they are squeezed at the end.

    Args:
        root: The graph.
        dims: What the result does not have.
        numbers: The names that are Python numbers: they have no shape that could be in the way.
    """
    if not dims or None in dims:
        return root  # A reduction over all dimensions keeps none.
    last, tensors = _last(root, numbers)
    axes = _axes(dims)
    inside = set(postorder(a for n in last for a in n.args))
    if tensors or any(over(n).dims != axes or n in inside for n in last):
        return squeezed(root, dims)
    images = {n: value(n.op, *n.args, datum=replace(over(n), keepdim=False)) for n in last}
    return substitute(root, images)


def squeezed(root: Value, dims: Span) -> Value:
    """Return a graph without the dimensions that a result does not have, all left out at the end."""
    return value("squeeze", root, datum=Over(_axes(dims))) if dims and None not in dims else root


def _axes(dims: Span) -> tuple[int, ...]:
    return tuple(sorted(d for d in dims if d is not None))


def _last(root: Value, numbers: Collection[str]) -> tuple[list[Value], bool]:
    """Return the reductions that nothing reduces again, and whether a tensor stands beside them."""
    last, tensors, stack = dict[Value, None](), False, [root]
    while stack:
        node = stack.pop()
        if node.op in REDUCTIONS:
            last[node] = None
        elif node.op != "count":  # A Python number.
            # A softmax counts dimensions, too.
            tensors |= isinstance(node.datum, Over) or (node.op == "name" and node.datum not in numbers)
            stack.extend(node.args)
    return list(last), tensors


def inserted(dims: Span) -> tuple[int, ...]:
    """Return the dimensions that a cotangent is given back, in an order that puts each in its place."""
    if None in dims:
        return ()  # A number broadcasts.
    numbers = [d for d in dims if d is not None]
    return (*sorted((d for d in numbers if d < 0), reverse=True), *sorted(d for d in numbers if d >= 0))
