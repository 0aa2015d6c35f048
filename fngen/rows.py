"""Reductions as kernels have them: sums and extremes, all over the last dimension or all over everything."""

from __future__ import annotations

from collections.abc import Sequence

from fngen.algebra import div
from fngen.backends.libm import TILE, NoKernel
from fngen.derivatives import COTANGENT
from fngen.ir import REDUCTIONS, Over, Value, fold, name, names, postorder, rebuild, substitute_all, value
from fngen.problem import Problem
from fngen.spans import over, spans
from fngen.totals import lowered

COUNT, ALL = "the count!", "the count of all!"
"""The names of the number of elements in a row, and in all rows; of that which is reduced, if all is."""


def ending(problem: Problem) -> tuple[str, Value]:
    """Return the reduction of all elements that a formula ends with, if it does, and what is reduced."""
    root = problem.value
    if problem.reduction:
        return problem.reduction, root
    ends = root.op in ("sum", "mean") and over(root).dims is None and problem.every == {-1, None}
    return (root.op, root.args[0]) if ends else ("", root)


def of_rows(roots: Sequence[Value], problem: Problem, *, tiles: bool) -> list[Value]:
    """Return graphs whose reductions a kernel has.

    Args:
        roots: The graphs, without the reduction at the end.
        problem: The formula that they are made from.
        tiles: Whether a row is all that is at hand.

    Raises:
        NoKernel: If something else is reduced, or over another dimension.
    """
    every, ends = problem.every, ending(problem)[0]
    if every != {-1} and (tiles or not (every == {None} or (every == {-1, None} and ends))):
        which = "the last dimension" if tiles else "the last dimension, or over all"
        raise NoKernel(f"kernels of reductions are of those over {which}")
    simple = lowered(roots, problem)
    images = fold(simple, lambda node, args: _legal(node, args, rows=-1 in every))
    return [images[root] for root in simple]


def _legal(node: Value, args: list[Value], *, rows: bool) -> Value:
    if node.op == "expand":
        return args[0]  # It is spread where it meets others.
    if node.op == "finite":
        return value(f"{TILE}capped", args[0])
    if node.op == "count":
        return name(ALL if rows and over(node).dims is None else COUNT)
    if rows and isinstance(node.datum, Over) and over(node).dims is None:
        raise NoKernel("no kernel goes through rows again when it has reduced them all")
    if node.op == "prod" or (isinstance(node.datum, Over) and node.op not in REDUCTIONS):
        raise NoKernel(f"no kernel has {node.op} of a row")
    return rebuild(node, args) if args else node


def narrow(problem: Problem, graphs: Sequence[Value], output: str) -> tuple[bool, ...]:
    """Return of the value and each gradient whether it is one of a row, not of an element.

    Args:
        problem: The formula.
        graphs: Its value without the reduction at the end, and its gradients.
        output: What these call the value.
    """
    if not problem.reduces:
        return (problem.reduction is not None, *[False] * (len(graphs) - 1))
    along = -1 if -1 in problem.every else None
    wide = spans([problem.value], problem.spans)[problem.value]
    found = spans(graphs, {**problem.spans, COTANGENT: wide, f"{output}!": wide})
    learned = {p.name for p in problem.params if along not in problem.spans[p.name]}
    slopes = zip(problem.inputs, graphs[1:], strict=True)
    return (along not in found[graphs[0]], *(x in learned and along not in found[g] for x, g in slopes))


def shared(root: Value, slopes: Sequence[Value]) -> list[Value]:
    """Return the reductions of a value that its gradients need, too."""
    known = {n for n in postorder([root]) if n.op in REDUCTIONS}
    found = [n for n in postorder(slopes) if n in known]
    marked = substitute_all(slopes, {n: name(f"total {i}!") for i, n in enumerate(found)})
    read = set(names(marked))
    return [n for i, n in enumerate(found) if f"total {i}!" in read]


def reduced(
    problem: Problem, roots: Sequence[Value], seconds: Sequence[Value], *, tiles: bool
) -> tuple[list[Value], list[Value]]:
    """Return the graphs of a formula that all elements are reduced of in the end.

    Args:
        problem: The formula.
        roots: Its value and gradients, without the reduction.
        seconds: The gradients of these, by the cotangent first.
        tiles: Whether each tile leaves a sum of its elements.
    """
    total, count = roots[0] if tiles else value("sum", roots[0], datum=Over(None)), name(COUNT)
    if problem.reduction == "sum":
        return [total, *roots[1:]], list(seconds)
    arriving = {name(COTANGENT): div(name(COTANGENT), count)}
    further = substitute_all(seconds, arriving)
    further[:1] = [div(graph, count) for graph in further[:1]]
    return [total if tiles else div(total, count), *substitute_all(roots[1:], arriving)], further
