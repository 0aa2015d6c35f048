"""How to look more cheaply whether an element asks for the rare side of a choice: at what is there anyway."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction

from fngen.algebra import exact
from fngen.choices import BELOW, rarely, usually
from fngen.ir import Value, fold, number, postorder, rewrite, value

_FEW = 1024
_FOLLOWED: dict[str, Callable[..., float]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "abs": abs,
    "eq": operator.eq,
    "lt": operator.lt,
    "gt": operator.gt,
    **{op: getattr(math, op) for op in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "atan")},
    **{op: getattr(math, op) for op in ("exp", "expm1", "log", "log1p", "sqrt", "pow")},
}
_PASSING = (_FOLLOWED.keys() | {"sigmoid", "rsqrt", "softplus"}) - {"pow", "eq", "lt", "gt"}
"""What is nan where an argument is."""
_RISING: dict[str, Callable[[float], float]] = {
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "exp": math.exp,
}
"""Functions that tell where their argument is small."""
_TELLING = -60
"""From where on they do: in float32, too, their results are normal numbers."""


def with_holes(graphs: Sequence[Value]) -> list[Value]:
    """Return graphs in which choices whose usual side is nan where it is not taken have the datum ``nan``.

    There one look at the result says whether an element asks for the other side.
    """

    def rule(node: Value) -> Value:
        return value("where", *node.args, datum="nan") if node.op == "where" and _is_hole(node) else node

    images = rewrite(graphs, rule)
    return [images[graph] for graph in graphs]


def _is_hole(node: Value) -> bool:
    """Say whether the usual side of ``x == c`` is nan there, whatever else it depends on.

    What is known at the number ``c`` is followed through the graph, None for what is not.
    """
    condition, _, side = node.args
    if condition.op != "eq" or condition.args[1].op != "number":
        return False
    x, place = condition.args

    def visit(n: Value, args: list[float | None]) -> float | None:
        if n is x or n.op == "number":
            return _in_any_type(exact(place if n is x else n))
        if n.op == "where" and args[0] is not None:
            return args[1 if args[0] else 2]
        if n.op in _FOLLOWED and None not in args:
            return _followed(n.op, [a for a in args if a is not None])
        is_nan = n.op in _PASSING and any(a is not None and math.isnan(a) for a in args)
        return math.nan if is_nan else None

    found = fold([side], visit)[side]
    return found is not None and math.isnan(found)


def _followed(op: str, args: Sequence[float]) -> float | None:
    """Return the result of an operator, None where it is not known."""
    if any(map(math.isnan, args)):
        return math.nan
    if op == "div" and args[1] == 0:
        return math.nan if args[0] == 0 else None
    try:
        return _in_any_type(Fraction(_FOLLOWED[op](*args)))
    except (ValueError, OverflowError):
        return None


def _in_any_type(x: Fraction) -> float | None:
    """Return a number of few digits: of others each type has its own."""
    return float(x) if (x * _FEW).denominator == 1 and abs(x) < _FEW else None


def by_results(slopes: Sequence[Value], roots: Sequence[Value]) -> list[Value]:
    """Return derivatives in which ``u < c`` is asked of ``sigmoid(u)``, where the value has that.

    Near the bound both sides of a choice are right.
    """
    read = set(usually(slopes))
    found = {n.args[0]: n for n in postorder(roots) if n.op in _RISING and n.args[0].args and n in read}

    def rule(node: Value) -> Value:
        condition = node.args[0] if node.op == "where" else node
        if rarely(node) != "true" or condition.op not in BELOW or condition.args[0] not in found:
            return node
        told, bound = found[condition.args[0]], float(exact(condition.args[1]))
        if not _TELLING <= bound < 0:
            return node
        asked = value(condition.op, told, number(_rounded(_RISING[told.op](bound))))
        return value("where", asked, *node.args[1:], datum=f"{told.op}({bound:g})")

    images = rewrite(slopes, rule)
    return [images[slope] for slope in slopes]


def _rounded(x: float) -> Fraction:
    """Return a number to two digits: it is read by people."""
    return Fraction(f"{x:.1e}")
