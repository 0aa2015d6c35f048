"""Reductions over the last dimension, for kernels that have a row in a tile."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from fngen.algebra import ONE, ZERO, add, div, mul, sub
from fngen.backends.libm import TILE, NoKernel
from fngen.ir import REDUCTIONS, Over, Value, fold, is_number, name, number, rebuild, value

COUNT = "count!"
"""The name of the number of elements in a row."""


def lowered(roots: Sequence[Value]) -> list[Value]:
    """Return graphs whose reductions are sums and extremes of a row.

    Raises:
        NoKernel: If something else is reduced, or over another dimension.
    """
    images = fold(roots, _visited)
    return [images[root] for root in roots]


def _visited(node: Value, args: list[Value]) -> Value:
    x, *others = node.args or (node,)
    if node.op == "sub" and others[0].op == "logsumexp" and others[0].args == (x,) and _over_rows(others[0]):
        start, logarithm = _logsumexp(args[0])
        return sub(sub(args[0], start), logarithm)  # The sum of both would round away the logarithm.
    return _lowered(rebuild(node, args) if args else node)


def _over_rows(node: Value) -> bool:
    return isinstance(node.datum, Over) and node.datum.dims == (-1,)


def _lowered(node: Value) -> Value:
    if node.op == "expand":
        return node.args[0]  # As a tile it is spread where it meets others.
    if node.op == "finite":
        return value(f"{TILE}finite", node.args[0])
    if not isinstance(node.datum, Over):
        return node
    if not _over_rows(node):
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
        return add(*_logsumexp(x))
    if op == "norm":
        return _norm(x, number(Fraction(str(option))))
    free = sub(count, number(Fraction(str(option))))
    variance = div(_sum(_square(sub(x, div(_sum(x), count)))), free)
    return variance if op == "var" else value("sqrt", variance)


def _logsumexp(x: Value) -> tuple[Value, Value]:
    """Return the largest of a row, and the logarithm of the sum of exponentials of what is above it."""
    largest = value(f"{TILE}amax", x)
    finite = value("eq", sub(largest, largest), ZERO)
    start = value("where", finite, largest, ZERO)
    return start, value("log", _sum(value("exp", sub(x, start))))


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
