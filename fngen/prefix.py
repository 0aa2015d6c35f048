"""Inputs that a formula sees only in one sum or difference, or softmax: that is what the node takes.

``mean((x - y)**2)`` is a function of ``x - y``. Autograd's own rule for the difference is
exact and keeps nothing, so a node of one argument is faster and keeps half as much. And a softmax
keeps its result alone, which the rest of the formula needs too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fngen.ir import LEAVES, Value, name, names, postorder, substitute, substitute_all
from fngen.naming import free_name
from fngen.problem import Problem
from fngen.softmax import is_log_softmax
from fngen.spans import NOTHING, over, spans

_LINEAR = frozenset({"add", "sub", "neg"})


@dataclass(frozen=True)
class Core:
    """What is left for the node, and its arguments in terms of the formula's inputs."""

    problem: Problem
    arguments: tuple[Value, ...]


def whole(problem: Problem) -> Core:
    """Return all of a formula."""
    return Core(problem, tuple(map(name, problem.inputs)))


def split(problem: Problem) -> Core:
    """Return the part of a formula that needs derivatives of its own."""
    if problem.grads or problem.results:  # Gradients are of the inputs themselves; u + v is no result.
        return whole(problem)
    consts = {c.name for c in problem.consts}
    groups = (g for g in _groups(problem.value, consts) if _as_wide_as_inputs(g, problem))
    combinations = [n for group in groups for n in group]
    if not combinations:
        return whole(problem)
    taken = {*problem.inputs, *problem.named.values(), problem.output}
    images: dict[Value, Value] = {}
    for node in combinations:
        label = problem.named.get(node) or free_name("u", taken)
        taken.add(label)
        images[node] = name(label)
    absorbed = set(names(combinations))
    inputs = tuple(x for x in problem.inputs if x not in absorbed)
    order = [*combinations, *map(name, inputs)]
    rest = {n: text for n, text in problem.named.items() if n not in images}
    root, *intermediates = substitute_all([problem.value, *rest], images)
    named = dict(zip(intermediates, rest.values(), strict=True))
    labels = tuple(str(images.get(n, n).datum) for n in order)
    written = substitute(problem.written, images) if problem.written else None
    if written and not {*names([written])} <= {*names([root]), *labels}:
        written = None  # What was typed has other combinations.
    return Core(replace(problem, inputs=labels, value=root, named=named, written=written), tuple(order))


def _groups(root: Value, consts: set[str]) -> list[list[Value]]:
    """Return combinations of inputs that appear nowhere else; a group of them shares inputs."""
    found, order = _combinations(root)
    users: dict[Value, set[Value]] = {node: set() for node in order}
    for node in order:
        for arg in node.args:
            users[arg].add(node)
    groups: list[list[Value]] = []
    for top in found:
        inputs = set(names([top]))
        joined = [g for g in groups if inputs & set(names(g))]
        groups = [g for g in groups if g not in joined] + [[*(n for g in joined for n in g), top]]
    return [g for g in groups if _is_worth_it(g, consts) and _closed(g, users)]


def _combinations(root: Value) -> tuple[list[Value], list[Value]]:
    """Return the largest sums and differences of inputs, and all nodes."""
    order = postorder([root])
    linear: set[Value] = set()
    for node in order:
        if node.op in ("name", "number") or (_is_simple(node) and all(a in linear for a in node.args)):
            linear.add(node)
    read = {arg for node in order if node not in linear for arg in node.args}
    tops = {n: None for n in order if n in linear and n.op not in LEAVES and n in read}
    inner = [n for n in tops if not any(other in tops for other in postorder([n])[:-1])]
    return inner, order


def _is_worth_it(group: list[Value], consts: set[str]) -> bool:
    """Say whether combinations are fewer than the inputs in them, or one is a softmax."""
    inputs = set(names(group)) - consts
    softmax = group[0].op == "exp" or is_log_softmax(group[0])
    return len(group) < len(inputs) or (len(group) == 1 and softmax and bool(inputs))


def _as_wide_as_inputs(group: list[Value], problem: Problem) -> bool:
    """Say whether combinations have all dimensions that an argument of the node has."""
    left = spans(group, problem.spans)
    return all(left[n] == NOTHING.union(*(problem.spans.get(x, NOTHING) for x in names([n]))) for n in group)


def _closed(group: list[Value], users: dict[Value, set[Value]]) -> bool:
    """Say whether nothing else reads what combinations are made of."""
    inside = set(postorder(group))
    return all(users[n] <= inside for n in inside - set(group) if n.op != "number")


def _is_simple(node: Value) -> bool:
    """Say whether torch's own derivative keeps no more than needed: of a sum, of a softmax in its parts."""
    if node.op == "logsumexp":
        dims = over(node).dims
        return dims is not None and len(dims) == 1
    return node.op in _LINEAR or (node.op == "exp" and is_log_softmax(node.args[0]))
