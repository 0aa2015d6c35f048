"""Reductions as kernels have them: sums and extremes, all over the last dimension or all over everything."""

from __future__ import annotations

from collections.abc import Sequence

from fngen.backends.libm import TILE, NoKernel
from fngen.ir import REDUCTIONS, Over, Value, fold, name, rebuild, value
from fngen.problem import Problem
from fngen.spans import over
from fngen.totals import lowered

COUNT = "count!"
"""The name of the number of elements in a row."""
LAST: tuple[int, ...] = (-1,)


def of_rows(roots: Sequence[Value], problem: Problem) -> list[Value]:
    """Return graphs whose reductions a kernel has.

    Args:
        roots: The graphs.
        problem: The formula that they are made from.

    Raises:
        NoKernel: If something else is reduced, or over another dimension.
    """
    simple = lowered(roots, problem)
    images = fold(simple, _legal)
    return [images[root] for root in simple]


def _legal(node: Value, args: list[Value]) -> Value:
    if node.op == "expand":
        return args[0]  # It is spread where it meets others.
    if node.op == "finite":
        return value(f"{TILE}finite", args[0])
    if isinstance(node.datum, Over) and over(node).dims != LAST:
        raise NoKernel("kernels of reductions are of those over the last dimension")
    if node.op == "count":
        return name(COUNT)
    if node.op == "prod" or (isinstance(node.datum, Over) and node.op not in REDUCTIONS):
        raise NoKernel(f"no kernel has {node.op} of a row")
    return rebuild(node, args) if args else node
