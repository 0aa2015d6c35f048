"""Reductions in terms of those that one pass over the elements can have: sums, products and extremes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType

from fngen.algebra import ONE, ZERO, add, div, mul, sub
from fngen.ir import REDUCTIONS, Over, Value, fold, is_number, name, number, rebuild, value
from fngen.problem import Problem
from fngen.softmax import is_log_softmax
from fngen.spans import Span, over, spans

SIMPLE = frozenset({"sum", "prod", "amax", "amin"})
"""What is worked out in one pass."""
NO_MORE: Mapping[str, Span] = MappingProxyType({})


def lowered(roots: Sequence[Value], problem: Problem, more: Mapping[str, Span] = NO_MORE) -> list[Value]:
    """Return graphs whose reductions are all simple ones.

    Args:
        roots: The graphs.
        problem: The formula that they are made from.
        more: What names span that are no inputs of it.
    """
    lowering = _Lowering(problem, spans(roots, {**problem.spans, **more}))
    images = fold(roots, lowering.visit)
    return [images[root] for root in roots]


class _Lowering:
    def __init__(self, problem: Problem, left: Mapping[Value, Span]) -> None:
        self.counted, self.every, self.left = name(problem.inputs[0]), problem.every, left

    def visit(self, node: Value, args: list[Value]) -> Value:
        """Return the image of a node, of those of its arguments."""
        if is_log_softmax(node):
            shifted, total = self.shares(args[0], node.args[1])
            return sub(shifted, value("log", total))  # The sum of what was taken off and it would round.
        if node.op == "exp" and is_log_softmax(node.args[0]):
            shifted, total = args[0].args[0], args[0].args[1].args[0]
            return div(value("exp", shifted), total)
        if node.op in REDUCTIONS - SIMPLE:
            return self.reduced(node, args[0])
        return rebuild(node, args) if args else node

    def reduced(self, node: Value, x: Value) -> Value:
        """Return a reduction of something lowered."""
        count = self.count(node)
        if node.op == "mean":
            return div(_total("sum", node, x), count)
        if node.op == "logsumexp":
            return add(_start(node, x), value("log", self.shares(x, node)[1]))
        if node.op == "norm":
            return _norm(node, x)
        free = sub(count, number(Fraction(over(node).option or 0)))
        deviation = sub(x, div(_total("sum", node, x), count))
        variance = div(_total("sum", node, mul(deviation, deviation)), free)
        return variance if node.op == "var" else value("sqrt", variance)

    def count(self, node: Value) -> Value:
        """Return the number of elements that a reduction runs over: of all, those that are left."""
        count = value("count", self.counted, datum=Over(over(node).dims))
        gone = sorted(d for d in self.every - self.left[node.args[0]] if d is not None)
        if over(node).dims is not None or not gone:
            return count
        return div(count, value("count", self.counted, datum=Over(tuple(gone))))

    def shares(self, x: Value, node: Value) -> tuple[Value, Value]:
        """Return what is above the largest element, and the sum of its exponentials."""
        shifted = sub(x, _start(node, x))
        return shifted, _total("sum", node, value("exp", shifted))


def _start(node: Value, x: Value) -> Value:
    """Return the largest element, 0 where that is infinite."""
    largest = _total("amax", node, x)
    return value("where", value("eq", sub(largest, largest), ZERO), largest, ZERO)


def _norm(node: Value, x: Value) -> Value:
    order, size = number(Fraction(over(node).option or 0)), value("abs", x)
    if is_number(order, 2):
        return value("sqrt", _total("sum", node, mul(x, x)))
    if is_number(order, 1):
        return _total("sum", node, size)
    if is_number(order, 0):
        return _total("sum", node, value("where", value("ne", x, ZERO), ONE, ZERO))
    return value("pow", _total("sum", node, value("pow", size, order)), div(ONE, order))


def _total(op: str, node: Value, x: Value) -> Value:
    """Return another reduction over the dimensions of one."""
    return value(op, x, datum=Over(over(node).dims))
