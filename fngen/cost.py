"""What it costs to evaluate a graph, in passes over the data."""

from __future__ import annotations

from fngen.ir import LEAVES, Value, postorder

_WEIGHT = {"add": 2, "sub": 2, "mul": 2, "div": 3, "neg": 1, "abs": 1, "sign": 1, "pow": 3}
_WEIGHT |= dict.fromkeys(("clamp", "clamp_min", "clamp_max", "maximum", "minimum"), 2)
_CALL = 6


def weight(node: Value) -> int:
    """Return the work of one node."""
    return 0 if node.op in LEAVES else _WEIGHT.get(node.op, _CALL)


def cost(root: Value) -> int:
    """Return the work of evaluating each node of a graph once."""
    return sum(map(weight, postorder([root])))
