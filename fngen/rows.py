"""Reductions over the last dimension, for kernels that have a row in a tile."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from fngen.algebra import ONE, ZERO, add, div, mul, sub
from fngen.backends.libm import TILE, NoKernel
from fngen.ir import REDUCTIONS, Over, Value, is_number, name, number, rewrite, value

COUNT = "count!"
"""The name of the number of elements in a row."""


def lowered(roots: Sequence[Value]) -> list[Value]:
    """Return graphs whose reductions are sums and extremes of a row.

    Raises:
        NoKernel: If something else is reduced, or over another dimension.
    """
    images = rewrite(roots, _lowered)
    return [images[root] for root in roots]


def _lowered(node: Value) -> Value:
    if node.op == "expand":
        return node.args[0]  # As a tile it is spread where it meets others.
    if node.op == "finite":
        return value(f"{TILE}finite", node.args[0])
    if not isinstance(node.datum, Over):
        return node
    if node.datum.dims != (-1,):
        raise NoKernel("kernels of reductions are of those over the last dimension")
    if node.op == "count":
        return name(COUNT)
    if node.op not in REDUCTIONS or node.op == "prod":
        raise NoKernel(f"no kernel has {node.op} of a row")
    return _reduced(node.op, node.args[0], node.datum.option)


def _reduced(op: str, x: Value, option: object) -> Value:
    """Return a reduction, in terms of sums and extremes."""
    count = name(COUNT)
    if op in ("sum", "amax", "amin"):
        return value(f"{TILE}{op}", x)
    if op == "mean":
        return div(_sum(x), count)
    if op == "logsumexp":
        largest = value(f"{TILE}amax", x)
        finite = value("eq", sub(largest, largest), ZERO)
        start = value("where", finite, largest, ZERO)
        return add(start, value("log", _sum(value("exp", sub(x, start)))))
    if op == "norm":
        return _norm(x, number(Fraction(str(option))))
    free = sub(count, number(Fraction(str(option))))
    variance = div(_sum(_square(sub(x, div(_sum(x), count)))), free)
    return variance if op == "var" else value("sqrt", variance)


def _norm(x: Value, order: Value) -> Value:
    if is_number(order, 2):
        return value("sqrt", _sum(_square(x)))
    if is_number(order, 1):
        return _sum(value("abs", x))
    if is_number(order, 0):
        raise NoKernel("no kernel counts what is not zero")
    return value("pow", _sum(value("pow", value("abs", x), order)), div(ONE, order))


def _sum(x: Value) -> Value:
    return value(f"{TILE}sum", x)


def _square(x: Value) -> Value:
    return mul(x, x)
