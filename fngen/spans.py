"""Which of the reduced dimensions a node of a graph still has in full.

An input spans all of them, a number none, and what was reduced no more than is left. Where a formula
reduces over all dimensions, ``None`` stands for those that no reduction names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fngen.declared import Param
from fngen.ir import REDUCTIONS, Over, Value, fold, postorder

Span = frozenset[int | None]
NOTHING: Span = frozenset()


def reduced(roots: Iterable[Value]) -> Span:
    """Return the dimensions that some reduction below ``roots`` runs over."""
    found: set[int | None] = set()
    for node in postorder(roots):
        if node.op in REDUCTIONS:
            found |= {None} if over(node).dims is None else set(over(node).dims or ())
    return frozenset(found)


def tracked(roots: Iterable[Value], params: Iterable[Param]) -> Span:
    """Return the dimensions to tell apart: those that are reduced, and those of parameters, if all are."""
    every = reduced(roots)
    return every | {p.dim for p in params if p.dim is not None} if None in every else every


def over(node: Value) -> Over:
    """Return the datum of a reduction."""
    assert isinstance(node.datum, Over)
    return node.datum


def of_inputs(inputs: Iterable[str], params: Iterable[Param], every: Span) -> dict[str, Span]:
    """Return what each input spans: a parameter runs along one dimension or none.

    Args:
        inputs: Inputs and parameters.
        params: The parameters.
        every: The dimensions that are reduced.
    """
    found = dict.fromkeys(inputs, every)
    return found | {p.name: every & {p.dim} if p.dim is not None else NOTHING for p in params}


def spans(
    roots: Iterable[Value],
    known: Mapping[str, Span],
    *,
    kept: bool = False,
    done: dict[Value, Span] | None = None,
) -> dict[Value, Span]:
    """Return the span of every node below ``roots``.

    Args:
        roots: The graphs.
        known: The spans of names; those without spans are numbers.
        kept: Whether a reduction that keeps its dimension on request counts as none.
        done: The spans that are known already; the others are added.
    """

    def visit(node: Value, args: list[Span]) -> Span:
        if node.op == "name":
            return known.get(str(node.datum), NOTHING)
        if node.op == "count":
            return NOTHING
        if node.op == "sum_to":
            return args[1]
        span = NOTHING.union(*args)
        if node.op in REDUCTIONS and not (kept and over(node).keepdim):
            dims = over(node).dims
            return NOTHING if dims is None else span - set(dims)
        return span

    return fold(roots, visit, done)
