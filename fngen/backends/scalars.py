"""Python numbers among the tensors: what of a formula is made of constants alone."""

from __future__ import annotations

from functools import cache

from fngen.algebra import exact
from fngen.errors import OptionError
from fngen.functions import TABLE
from fngen.ir import ARITHMETIC, COMPARISONS, LEAVES, Value, names, number, rewrite, value
from fngen.language.parse import parse_expression
from fngen.language.rules import definition, instantiate

_SAME = {*ARITHMETIC, *COMPARISONS, "and", "or", "count", *LEAVES}
_FUNCTIONS = {
    **{f: f"math.{f}" for f in ("acos", "acosh", "asin", "asinh", "atan", "atanh", "cbrt", "cos", "cosh")},
    **{f: f"math.{f}" for f in ("erf", "erfc", "exp", "expm1", "exp2", "hypot", "lgamma", "log", "log10")},
    **{f: f"math.{f}" for f in ("log1p", "log2", "sin", "sinh", "sqrt", "tan", "tanh", "trunc", "floor")},
    "abs": "math.fabs",
    "atan2": "math.atan2",
    "ceil": "math.ceil",
    "gamma": "math.gamma",
    "maximum": "py.max",
    "minimum": "py.min",
    "round": "py.round",
}
_STEADY = {
    "logsigmoid": "minimum(x, 0) - log1p(exp(-abs(x)))",
    "sigmoid": "exp(minimum(x, 0))/(1 + exp(-abs(x)))",
    "softplus": "maximum(x, 0) + log1p(exp(-abs(x)))",
}
"""Definitions in which no exponential overflows: Python's raises then."""
IF_ELSE, NEGATION = "if_else", "negation"
_OWN = {*_FUNCTIONS.values(), IF_ELSE, NEGATION, "math.pow"}


def scalar(node: Value) -> Value:
    """Return a function of Python numbers in terms of Python's own.

    Raises:
        OptionError: If there is none.
    """
    if node.op == "pow" and not _is_integer(node.args[1]):
        return value("math.pow", *node.args)  # (-2)**0.5 is complex, where this is an error.
    if node.op in _SAME or node.op in _OWN:
        return node
    if node.op in _FUNCTIONS:
        return value(_FUNCTIONS[node.op], *node.args)
    if node.op in ("where", "not"):  # For a bool of Python's, ~True is -2.
        return value(IF_ELSE if node.op == "where" else NEGATION, *node.args)
    if node.op == "sign":
        (x,) = node.args
        below = value(IF_ELSE, value("lt", x, number(0)), number(-1), x)
        return value(IF_ELSE, value("gt", x, number(0)), number(1), below)
    if node.op in _STEADY:
        return _expanded(_steady(node.op), node)
    if not TABLE[node.op].definition:
        message = f"{node.op} of constants alone is not among the functions of Python's math"
        raise OptionError(
            message, "Make the constant an input: it may be a number there too.", option="consts"
        )
    return _expanded(definition(node.op), node)


def may_raise(node: Value) -> bool:
    """Say whether a number need not have a value in Python: that of a function, a quotient, a power."""
    return node.op.startswith("math.") or (node.op in ("div", "pow") and bool(names(node.args[1:])))


@cache
def _steady(op: str) -> Value:
    return parse_expression(_STEADY[op], rule=True)


def _expanded(rule: Value, node: Value) -> Value:
    body = instantiate(rule, node.op, node.args)
    return rewrite([body], lambda n: scalar(n) if names([n]) else n)[body]


def _is_integer(node: Value) -> bool:
    return node.op == "number" and exact(node).denominator == 1
