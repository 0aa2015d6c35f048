"""How long a graph takes, in the time of an addition: of large tensors, on a CPU."""

from __future__ import annotations

from fngen.algebra import exact
from fngen.ir import LEAVES, Value, is_number, postorder

_PASSES = {
    **dict.fromkeys(("exp", "log", "log2", "log10", "sqrt", "rsqrt", "sin", "cos", "tanh", "erf"), 1),
    **dict.fromkeys(("abs", "neg", "sign", "round", "floor", "ceil", "maximum", "minimum"), 1),
    **dict.fromkeys(("add", "sub", "mul", "div", "clamp", "clamp_min", "clamp_max", "erfc"), 1),
    **dict.fromkeys(("sigmoid", "logistic", "stop_gradient", "full_like"), 1),
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"), 1),
    **dict.fromkeys(("where", "expm1", "log1p", "exp2", "tan", "atan", "asin", "acos", "silu"), 3),
    **dict.fromkeys(("hypot", "sinh", "cosh", "asinh", "acosh", "atanh", "atan2", "softplus"), 5),
    **dict.fromkeys(("log1pexp", "logaddexp", "logsigmoid", "lgamma", "digamma"), 5),
    "pow": 7,
}
"""Measured once; ``where`` takes one pass if nearly all go one way, seven if nobody can tell."""
_SPECIAL = 25
_MULTIPLIED_OUT = (2, 3, 0.5, -0.5, -1, -2)


def work(root: Value) -> int:
    """Return the time that it takes to evaluate each node of a graph once."""
    return sum(map(_of_node, postorder([root])))


def _of_node(node: Value) -> int:
    if node.op in LEAVES:
        return 0
    if node.op == "pow" and is_number(node.args[1]) and exact(node.args[1]) in _MULTIPLIED_OUT:
        return 1
    return _PASSES.get(node.op, _SPECIAL)
