"""What ordinary numbers ask of a kernel: without the rare sides of choices, where these take long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fngen.choices import rarely, usual, usually
from fngen.ir import Value, fold, postorder, rebuild, value


@dataclass(frozen=True)
class Usual:
    """The graphs without rare sides, and the condition on which some element asks for one."""

    graphs: list[Value]
    rare: Value


def without_rare_sides(graphs: Sequence[Value], costs: Callable[[Value], bool]) -> Usual | None:
    """Return what is worked out where no element asks for a rare side; nothing, where that saves little.

    Args:
        graphs: What is worked out for an element.
        costs: Says of a node whether it is worked out in many steps.
    """
    ordinary = usually(graphs)
    if not any(map(costs, {*postorder(graphs)} - {*ordinary})):
        return None
    found = [n for n in ordinary if rarely(n)]
    conditions = [n.args[0] for n in found]
    if any(map(costs, postorder(conditions))):
        return None  # To ask would take as long.

    def visit(node: Value, args: list[Value]) -> Value:
        if node in chosen:
            return args[node.args.index(chosen[node])]
        return rebuild(node, args) if args else node

    chosen = {n: usual(n) for n in found}
    images = fold(graphs, visit)
    asked = [c if rarely(n) == "true" else value("not", c) for n, c in zip(found, conditions, strict=True)]
    rare, *others = dict.fromkeys(asked)
    for other in others:
        rare = value("or", rare, other)
    return Usual([images[graph] for graph in graphs], rare)
