"""Inputs that a formula sees only in one sum or difference, or softmax: that is what the node takes.

``mean((x - y)**2)`` is a function of ``x - y``. Autograd's own rule for the difference is
exact and keeps nothing, so a node of one argument is faster and keeps half as much. And a softmax
keeps its result alone, which the rest of the formula needs too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fngen.ir import LEAVES, Value, name, names, postorder, substitute_all
from fngen.naming import free_name
from fngen.problem import Problem
from fngen.spans import over

_LINEAR = frozenset({"add", "sub", "neg"})


@dataclass(frozen=True)
class Core:
    """What is left for the node, and its arguments in terms of the formula's inputs."""

    problem: Problem
    arguments: tuple[Value, ...]


def split(problem: Problem) -> Core:
    """Return the part of a formula that needs derivatives of its own."""
    if problem.grads or problem.results:  # Gradients are of the inputs themselves; u + v is no result.
        return Core(problem, tuple(map(name, problem.inputs)))
    consts = {c.name for c in problem.consts}
    found = [n for n in _combinations(problem.value) if n is not problem.value]
    combinations = [
        n for n in found if len(set(names([n])) - consts) > 1 or n.op not in _LINEAR or _is_shifted(n)
    ]
    if not combinations:
        return Core(problem, tuple(map(name, problem.inputs)))
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
    return Core(replace(problem, inputs=labels, value=root, named=named), tuple(order))


def _combinations(root: Value) -> list[Value]:
    """Return the sums and differences of inputs that appear nowhere else."""
    order = postorder([root])
    linear: set[Value] = set()
    for node in order:
        if node.op in ("name", "number") or (_is_simple(node) and all(a in linear for a in node.args)):
            linear.add(node)
    users: dict[Value, set[Value]] = {node: set() for node in order}
    for node in order:
        for arg in node.args:
            users[arg].add(node)
    tops = [n for n in order if n in linear and n.op not in LEAVES and not users[n] <= linear]
    return [n for n in tops if _closed(n, users)]


def _is_simple(node: Value) -> bool:
    """Say whether torch's own derivative keeps no more than needed: of a sum, of a softmax in its parts."""
    if node.op == "logsumexp":
        dims = over(node).dims
        return dims is not None and len(dims) == 1
    return node.op in _LINEAR or (node.op == "exp" and _is_shifted(node.args[0]))


def _is_shifted(node: Value) -> bool:
    """Say whether a node is the logarithm of a softmax."""
    return node.op == "sub" and node.args[1].op == "logsumexp" and node.args[1].args[0] is node.args[0]


def _closed(top: Value, users: dict[Value, set[Value]]) -> bool:
    inside = set(postorder([top]))
    return all(users[n] <= inside for n in inside - {top})
