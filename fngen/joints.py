"""Several outputs: where their cotangents meet, so that what lies below is gone through once.

A joint is an output, or something that more than one joint is made of. Each is differentiated by the
joints and inputs that it is made of, as if those were variables: their cotangents add up before anything
below is worked on, as in autograd itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from fngen.algebra import ONE
from fngen.derivatives import COTANGENT, Joint, cotangent_at
from fngen.differentiate import partials
from fngen.functions import TABLE
from fngen.ir import (
    CONDITIONS,
    REDUCTIONS,
    Value,
    fold,
    is_number,
    name,
    names,
    postorder,
    rebuild,
    substitute_all,
)
from fngen.softmax import is_log_softmax

_Found = tuple[Value, int | None, dict[Value, Value]]
"""A joint: its graph, which output it is, and its derivative by each graph that it is made of."""
Rule = Callable[[Value, Sequence[str]], Sequence[Value]]
"""Differentiates a graph by variables."""


def pointwise(results: Sequence[Value], inputs: Sequence[str], named: Collection[Value]) -> tuple[Joint, ...]:
    """Return the joints of an elementwise formula.

    Args:
        results: The outputs.
        inputs: The variables to differentiate by.
        named: The intermediates that the user named.

    Raises:
        NoDerivative: If a function has no known derivative by an argument that depends on an input.
    """
    holes = holes_of(meetings(results, inputs))
    marked = substitute_all(named, holes)
    return joints(results, inputs, holes, lambda local, variables: partials(local, variables, marked), ONE)


def meetings(results: Sequence[Value], inputs: Sequence[str]) -> list[Value]:
    """Return the nodes where cotangents meet, each before what it is made of."""
    order = postorder(results)
    varies = fold(order, lambda n, _: n.op == "name" and n.datum in inputs)
    for node in order:
        varies[node] |= any(varies[a] for a in _differentiable(node))
    softmax = {a for n in order if is_log_softmax(n) for a in (n, n.args[1])}
    readers: dict[Value, set[Value]] = {node: set() for node in order}
    found = []
    for node in reversed(order):
        above = readers[node]
        meets = len(above) > 1 and bool(node.args) and node not in softmax and not _is_scaled(node, varies)
        if node in results or (meets and varies[node]):
            found.append(node)
            above = {node}
        for arg in _differentiable(node):
            if varies[arg]:
                readers[arg] |= above
    return found


def _differentiable(node: Value) -> list[Value]:
    """Return the arguments by which a node has a derivative that is not always 0."""
    if node.op in CONDITIONS:
        return []
    if node.op == "where":
        return list(node.args[1:])
    row = TABLE.get(node.op)
    rules = row.derivative if row and node.op not in REDUCTIONS else ()
    return [a for i, a in enumerate(node.args) if rules[i : i + 1] != ("0",)]


def _is_scaled(node: Value, varies: Mapping[Value, bool]) -> bool:
    """Say whether a node is a constant times one thing, or more: as a factor it stays in the products."""
    linear = node.op in ("neg", "add", "sub", "mul") or (node.op == "div" and not varies[node.args[1]])
    return linear and sum(varies[a] for a in node.args) == 1


def holes_of(graphs: Sequence[Value]) -> dict[Value, Value]:
    """Return the variable that stands for each joint in those above it."""
    return {graph: name(f"joint {k}!") for k, graph in enumerate(graphs)}


def joints(
    results: Sequence[Value], inputs: Sequence[str], holes: Mapping[Value, Value], rule: Rule, same: Value
) -> tuple[Joint, ...]:
    """Return the joints of a formula.

    Args:
        results: The outputs.
        inputs: The variables to differentiate by.
        holes: The meetings, and the variable that stands for each.
        rule: How the graph of one is differentiated.
        same: The derivative of an output by another one that it is.
    """
    inner = {graph: hole for graph, hole in holes.items() if graph.args}
    leaves = {hole: graph for graph, hole in inner.items()} | {name(x): name(x) for x in inputs}
    found = list[_Found]()
    reached = set[Value]()
    for graph in holes:
        outputs = [j for j, result in enumerate(results) if result is graph]
        if not outputs and graph not in reached:
            continue
        local = rebuild(graph, substitute_all(graph.args, inner)) if graph.args else graph
        variables = [x for x in names([local]) if name(x) in leaves]
        slopes = substitute_all(rule(local, variables), leaves)
        by = {leaves[name(x)]: s for x, s in zip(variables, slopes, strict=True) if not is_number(s, 0)}
        found += [(graph, j, {graph: same}) for j in outputs[1:]]
        found.append((graph, outputs[0] if outputs else None, by))
        reached |= set(by)
    found = _without_ends(found, {name(x) for x in inputs})
    places = {graph: len(inputs) + k for k, (graph, *_) in enumerate(found)}
    places |= {name(x): i for i, x in enumerate(inputs)}
    return tuple(
        Joint(graph, output, tuple(places[leaf] for leaf in by), tuple(_of(k, by.values())))
        for k, (graph, output, by) in enumerate(found)
    )


def _without_ends(found: list[_Found], inputs: Collection[Value]) -> list[_Found]:
    """Return joints without those from which nothing arrives at an input."""
    live = set(inputs)
    kept = list[_Found]()
    for graph, output, by in reversed(found):
        by = {leaf: slope for leaf, slope in by.items() if leaf in live}
        if by or output is not None:
            kept.append((graph, output, by))
        if by:
            live.add(graph)
    return kept[::-1]


def _of(place: int, slopes: Iterable[Value]) -> list[Value]:
    """Return derivatives in terms of their own joint's cotangent."""
    return substitute_all(slopes, {name(COTANGENT): name(cotangent_at(place))})
