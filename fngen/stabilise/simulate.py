"""The arithmetic of float64 on any machine: every operation rounded once, functions by ball arithmetic.

Graphs are those of the torch backend. Results are columns, a number for each point; graphs that share
a part share its column.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from flint import arb, ctx

from fngen.accuracy.exact import pair
from fngen.accuracy.plan import KNOWN, Plan
from fngen.functions import TABLE
from fngen.ir import Value, fold, name, value
from fngen.language.rules import definition

Column = list[Any]
_PRECISIONS = (120, 480, 1920)
_RIGHT_BITS = 62
_NOTHING = arb(2) ** -1100
"""Less than this is rounded to 0."""
_INF, _NAN = math.inf, math.nan
_AT_INFINITY: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("floor", "ceil", "round"), (-_INF, _INF)),
    **dict.fromkeys(("k0", "k1", "k0e", "k1e"), (_NAN, 0.0)),
    "exp": (0.0, _INF),
    "exp2": (0.0, _INF),
    "expm1": (-1.0, _INF),
    "log": (_NAN, _INF),
    "log2": (_NAN, _INF),
    "log10": (_NAN, _INF),
    "log1p": (_NAN, _INF),
    "sinh": (-_INF, _INF),
    "cosh": (_INF, _INF),
    "tanh": (-1.0, 1.0),
    "asinh": (-_INF, _INF),
    "acosh": (_NAN, _INF),
    "atan": (-math.pi / 2, math.pi / 2),
    "erf": (-1.0, 1.0),
    "erfc": (2.0, 0.0),
    "erfcx": (_INF, 0.0),
    "lgamma": (_INF, _INF),
    "digamma": (_NAN, _INF),
    "log_ndtr": (-_INF, 0.0),
    "i0e": (0.0, 0.0),
    "i1e": (0.0, 0.0),
    "logsigmoid": (-_INF, 0.0),
    "sigmoid": (0.0, 1.0),
    "softplus": (0.0, _INF),
    "log1pexp": (0.0, _INF),
    "silu": (_NAN, _INF),
}
"""What functions are at minus infinity and at infinity; others are what their definitions make of it."""
_POLES = {
    **{(op, 0.0): -_INF for op in ("log", "log2", "log10", "digamma", "y0", "y1")},
    **{(op, 0.0): _INF for op in ("lgamma", "k0", "k1", "k0e", "k1e")},
    **{(op, side): side * _INF for op in ("atanh", "erfinv") for side in (1.0, -1.0)},
    ("log1p", -1.0): -_INF,
}
"""What they are where they are infinite."""
_LARGE = {
    "exp": 800.0,
    "expm1": 800.0,
    "sinh": 709.785,
    "cosh": 709.785,
    "exp2": 1200.0,
    "erfc": 1e6,
    "erf": 1e6,
}
"""From where on they are what they are at infinity: in torch, whose sinh and cosh are those of exp."""


class Simulation:
    """What graphs are worth at some points.

    Args:
        inputs: The names of the variables.
        points: Their values.
    """

    def __init__(self, inputs: Sequence[str], points: Sequence[Sequence[float]]) -> None:
        self.count = len(points)
        columns = zip(*points, strict=True) if points else [()] * len(inputs)
        self.columns: dict[Value, Column] = {name(x): list(c) for x, c in zip(inputs, columns, strict=True)}

    def __call__(self, root: Value) -> Column:
        """Return the column of a graph.

        Raises:
            NotImplementedError: If an operator is not one of numbers.
        """
        return fold([root], self._column, self.columns)[root]

    def _column(self, node: Value, args: list[Column]) -> Column:
        if not args:
            return [_leaf(node)] * self.count
        return list(map(_operator(node), *args))


def _leaf(node: Value) -> Any:
    if node.op == "number":
        assert isinstance(node.datum, Fraction | Decimal)
        try:
            return float(node.datum)
        except OverflowError:
            return math.copysign(_INF, node.datum)
    return {"pi": math.pi, "nan": _NAN, "true": True, "false": False}[node.op]


def _operator(node: Value) -> Callable[..., Any]:
    if node.op == "pow" and node.args[1].op == "number":
        n = Fraction(node.args[1].datum)  # type: ignore[arg-type]
        if n.denominator == 1 and abs(n) <= 3:
            k = int(n)
            return lambda x, _: _small_power(x, k)
    return _OPERATORS.get(node.op) or _function(node.op, len(node.args))


def _small_power(x: float, n: int) -> float:
    """Return a power as torch multiplies it out."""
    found = 1.0
    for _ in range(abs(n)):
        found *= x
    return _divided(1.0, found) if n < 0 else found


def _power(x: float, y: float) -> float:
    """Return a power, of 0 and infinity as IEEE 754 has it."""
    if x != 0 and math.isfinite(x) and math.isfinite(y):
        return _function("pow", 2)(x, y)
    try:
        return math.pow(x, y)
    except ValueError:  # 0 to a negative power.
        odd = y.is_integer() and y % 2 == 1
        return math.copysign(_INF, x) if odd else _INF


def _divided(a: float, b: float) -> float:
    if b == 0:
        sign = math.copysign(1.0, a) * math.copysign(1.0, b)
        return _NAN if a == 0 or math.isnan(a) else math.copysign(_INF, sign)
    return a / b


def _length(x: float, y: float) -> float:
    return _INF if math.isinf(x) or math.isinf(y) else _function("hypot", 2)(x, y)


def _arc_tangent(y: float, x: float) -> float:
    """Return an angle, of zeros and infinities as IEEE 754 has it."""
    plain = x != 0 and y != 0 and math.isfinite(x) and math.isfinite(y)
    return _function("atan2", 2)(y, x) if plain else math.atan2(y, x)


def _square_root(x: float) -> float:
    return math.sqrt(x) if x >= 0 else _NAN


def _larger(a: float, b: float) -> float:
    return a if a > b or math.isnan(a) else b


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + _function("exp", 1)(-x))


def _smaller(a: float, b: float) -> float:
    return a if a < b or math.isnan(a) else b


_OPERATORS: dict[str, Callable[..., Any]] = {
    "neg": operator.neg,
    "pow": _power,
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": _divided,
    "sqrt": _square_root,
    "atan2": _arc_tangent,
    "hypot": _length,
    "rsqrt": lambda x: _divided(1.0, _square_root(x)),
    "abs": abs,
    "sign": lambda x: 0.0 if x == 0 or math.isnan(x) else math.copysign(1.0, x),
    "maximum": _larger,
    "minimum": _smaller,
    "clamp_min": _larger,
    "clamp_max": _smaller,
    "clamp": lambda x, low, high: _smaller(_larger(x, low), high),
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": lambda a: not a,
    "isnan": math.isnan,
    "where": lambda c, a, b: a if c else b,
    "if_else": lambda c, a, b: a if c else b,
    "full_like": lambda x, fill: fill,
    "full_mask": lambda x, c: c,
    "stop_gradient": lambda x: x,
    "logistic": _sigmoid,
}
"""What is none of torch's functions: those are taken as right, as whoever calls one by name takes it."""


@cache
def _function(op: str, arity: int) -> Callable[..., float]:
    holes = [f"a{i}" for i in range(arity)]
    plan = Plan.of(value(op, *map(name, holes)), holes, KNOWN)
    known: dict[tuple[float, ...], float] = {}
    low, high = _AT_INFINITY.get(op, (_NAN, _NAN))
    large = _LARGE.get(op, _INF if op in _AT_INFINITY else _NAN)

    def function(*args: float) -> float:
        if args not in known:
            if arity == 1 and abs(args[0]) >= large:
                known[args] = high if args[0] > 0 else low
            elif arity == 1 and (op, args[0]) in _POLES:
                known[args] = _POLES[op, args[0]]
            else:
                found = _rounded(plan, args) if all(map(math.isfinite, args)) else _NAN
                known[args] = _by_definition(op, args) if math.isnan(found) else found
        return known[args]

    return function


def _by_definition(op: str, args: tuple[float, ...]) -> float:
    """Return what a definition makes of infinities, and at a pole; NaN without one."""
    row = TABLE.get(op)
    if row is None or not row.definition or op in KNOWN or any(map(math.isnan, args)):
        return _NAN
    return float(Simulation(row.parameters, [args])(definition(op))[0])


def _rounded(plan: Plan, args: Sequence[float]) -> float:
    before = ctx.prec
    try:
        for bits in _PRECISIONS:
            ctx.prec = bits
            ball = plan.run(plan.constants(), list(map(arb, args)))
            if isinstance(ball, arb) and ball.is_finite() and ball.rel_accuracy_bits() >= _RIGHT_BITS:
                return pair(ball)[0]
            if isinstance(ball, arb) and abs(ball) < _NOTHING:
                return 0.0
        return _NAN
    finally:
        ctx.prec = before
