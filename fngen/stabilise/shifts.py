"""What depends on the difference or the sum of two variables alone, up to an exponential of one.

``exp(x) - exp(y) - exp(y)*(x - y)`` is ``exp(y)`` times a function of ``t = x - y``: where both are moved by
as much, it grows as ``exp(y)`` does. That is told from numbers in ball arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from flint import arb, ctx

from fngen.accuracy.plan import KNOWN, Plan
from fngen.algebra import ONE, add, fold_numbers, mul, sub
from fngen.ir import Value, fold, is_number, name, number, postorder, substitute, tree_size, value
from fngen.stabilise.guards import HOLE
from fngen.stabilise.homogeneous import Group, rebuilt

_POINTS = (("0.71", "0.32", "0.45"), ("-0.43", "1.17", "0.86"), ("1.39", "0.23", "-0.58"))
"""Two variables, and how far they are moved."""
_GROWING = frozenset(
    {"exp", "expm1", "log", "log1p", "logistic", "sigmoid", "log1pexp", "softplus", "logaddexp"}
)
_BITS, _NOISE = 200, 1e-40


def of_sum(node: Value, x: str, y: str) -> Iterator[Group]:
    """Yield a graph as a function of the difference, or the sum, of two variables."""
    if all(n.op not in _GROWING for n in postorder([node])):
        return
    for sign in (1, -1):
        rate = _rate(node, (x, y), sign)
        if rate is not None:
            made = [_as_group(node, a, b, rate * s, sign) for a, b, s in ((x, y, sign), (y, x, 1))]
            best = min(made, key=lambda group: tree_size(group.part))
            if substitute(best.part, {HOLE: best.t}) is not node:
                yield best


def _as_group(node: Value, x: str, y: str, rate: Fraction, sign: int) -> Group:
    """Return a graph as a function of ``x - y``, or ``x + y``, and how it grows with ``y``."""
    images = {x: HOLE, y: number(0)}

    def visit(n: Value, args: list[Value]) -> Value:
        if n.op == "name":
            return images[str(n.datum)]
        if n.op == "exp" and is_number(args[0], 0):
            return ONE
        return rebuilt(n, args)

    part = fold([node], visit)[node]
    rest = value("exp", mul(number(rate), name(y))) if rate else ONE
    return Group(rest, fold_numbers([part])[part], (sub if sign > 0 else add)(name(x), name(y)))


def _rate(node: Value, inputs: tuple[str, str], sign: int) -> Fraction | None:
    """Return ``r`` if a graph grows by ``exp(r*c)`` where its variables do by ``c`` and ``sign*c``."""
    before = ctx.prec
    try:
        ctx.prec = _BITS
        plan = Plan.of(node, inputs, KNOWN)
        found = [_one_rate(plan, [arb(x) for x in point], sign) for point in _POINTS]
    except (LookupError, NotImplementedError):
        return None
    finally:
        ctx.prec = before
    first = found[0]
    if first is None or any(r is None or not abs(r - first) < _NOISE for r in found):
        return None
    rate = Fraction(round(2 * float(first)), 2)
    return rate if abs(first - float(rate)) < _NOISE else None


def _one_rate(plan: Plan, point: Sequence[Any], sign: int) -> Any:
    x, y, c = point
    here, there = (plan.run(plan.constants(), [x + d, y + sign * d]) for d in (arb(0), c))
    both = isinstance(here, arb) and isinstance(there, arb) and here.is_finite() and there.is_finite()
    if not both or here.contains(0) or not there / here > 0:
        return None
    return (there / here).log() / c
