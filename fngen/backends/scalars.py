"""Python numbers among the tensors: what of a formula is made of constants alone."""

from __future__ import annotations

from fngen.ir import ARITHMETIC, COMPARISONS, LEAVES, Value, rewrite, value
from fngen.language.rules import definition, instantiate

_SAME = {*ARITHMETIC, *COMPARISONS, "and", "or", *LEAVES}
_FUNCTIONS = {
    **{f: f"math.{f}" for f in ("acos", "acosh", "asin", "asinh", "atan", "atanh", "cbrt", "cos", "cosh")},
    **{f: f"math.{f}" for f in ("erf", "erfc", "exp", "expm1", "exp2", "hypot", "lgamma", "log", "log10")},
    **{f: f"math.{f}" for f in ("log1p", "log2", "sin", "sinh", "sqrt", "tan", "tanh", "trunc", "floor")},
    "abs": "abs",
    "atan2": "math.atan2",
    "ceil": "math.ceil",
    "gamma": "math.gamma",
    "maximum": "max",
    "minimum": "min",
    "round": "round",
}
IF_ELSE, NEGATION = "if_else", "negation"


def scalar(node: Value) -> Value | None:
    """Return a function of Python numbers in terms of Python's own, or None if there is none."""
    if node.op in _SAME or node.op in _FUNCTIONS.values() or node.op in (IF_ELSE, NEGATION):
        return node
    if node.op in _FUNCTIONS:
        return value(_FUNCTIONS[node.op], *node.args)
    if node.op in ("where", "not"):  # For a bool of Python's, ~True is -2.
        return value(IF_ELSE if node.op == "where" else NEGATION, *node.args)
    try:
        body = instantiate(definition(node.op), node.op, node.args)
    except (KeyError, ValueError):
        return None
    return rewrite([body], lambda n: scalar(n) or n)[body]
