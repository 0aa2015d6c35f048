"""What is real for complex inputs."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fngen.functions.complex import REAL_VALUED
from fngen.ir import CONDITIONS, Value, fold

_ALWAYS = REAL_VALUED | CONDITIONS | {"count"}
_OF_THE_FIRST = frozenset({"expand", "sum_to"})


def real_nodes(
    roots: Iterable[Value], known: Collection[str] = (), done: dict[Value, bool] | None = None
) -> dict[Value, bool]:
    """Return for every node below ``roots`` whether it is real.

    Args:
        roots: The graphs.
        known: The names that are real; the others are complex.
        done: What is known already; the rest is added.
    """

    def visit(node: Value, args: list[bool]) -> bool:
        if node.op in _ALWAYS:
            return True
        if node.op == "name":
            return node.datum in known
        return args[0] if node.op in _OF_THE_FIRST else all(args)

    return fold(roots, visit, done)
