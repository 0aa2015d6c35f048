"""No overflow: where ``exp(u)`` is large it stands in front of all that it multiplies, in one exponent.

There is ``(exp(u) - 1)/(a*exp(u) + b)`` the quotient of ``1 - exp(-u)`` and ``a + b*exp(-u)``, and
``exp(-v)*sinh(u)`` half of ``exp(u - v)*(1 - exp(-2*u))``: what is left has no exponential that grows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from fngen.algebra import ONE, add, div, exact, fold_numbers, mul, neg, power
from fngen.ir import CONDITIONS, Value, dump, fold, number, postorder, rebuild, value
from fngen.stabilise import views
from fngen.stabilise.faint import exponents

_FAR = 40
"""From here on ``exp(-u)`` is nothing beside 1; it may be something beside what else there is."""
_GROWING = frozenset({"exp", "expm1", "sinh", "cosh"})
_MOST = 24
"""Sums in an exponent that are multiplied out."""
_ROOTS = {"sqrt": Fraction(1, 2), "rsqrt": Fraction(-1, 2)}
_Sum = dict[tuple[tuple[Value, Fraction], ...], Fraction]
"""The coefficient of each product of powers in a sum; the powers are in the order of their texts."""


def dominant(form: Value) -> Iterator[Value]:
    """Yield a form with ``exp(u)`` in front where ``u`` is large, for all that it has exponentials of."""
    for u in exponents(n for n in postorder([form]) if n.op in _GROWING):
        scaling = _Scaling(u)
        found = fold([form], scaling.visit)[form]
        if scaling.grows and not found.is_plain:
            there = value("gt", u, number(_FAR))
            whole = found.whole(u)
            yield value("where", there, fold_numbers([whole])[whole], form)


@dataclass(frozen=True)
class _Scaled:
    """What a node is: ``exp(order*u + more)*rest``."""

    node: Value
    order: Fraction
    more: _Sum
    rest: Value

    @classmethod
    def plain(cls, node: Value) -> _Scaled:
        return cls(node, Fraction(0), {}, node)

    @property
    def is_plain(self) -> bool:
        return self.rest is self.node

    def whole(self, u: Value) -> Value:
        """Return it in one piece; what is small stands between two halves of what is large."""
        exponent = self.exponent(u)
        if exponent is None:
            return self.rest
        if self.rest is ONE:
            return value("exp", exponent)
        c, inside = views.coefficient(exponent)
        half = value("exp", views.scaled(c / 2, inside))
        return mul(mul(half, self.rest), half)

    def exponent(self, u: Value) -> Value | None:
        """Return what the exponential in front is of."""
        if not self.more:
            return views.scaled(self.order, u) if self.order else None
        return _value_of(_plus(self.more, _expanded(u), self.order))


class _Scaling:
    """Takes ``exp(u)`` out of the nodes of a graph.

    Attributes:
        grows: Whether there is one that grows with ``u``.
    """

    def __init__(self, u: Value) -> None:
        self.u, self.unit = u, _expanded(u)
        self.far = value("maximum", u, number(_FAR))
        self.grows = False

    def visit(self, node: Value, args: list[_Scaled]) -> _Scaled:
        """Return what a node is, of what its arguments are."""
        if node.op in _GROWING and args[0].is_plain:
            return self._exponential(node)
        if node.op in CONDITIONS or all(a.is_plain for a in args):
            return _Scaled.plain(node)
        if node.op in ("add", "sub"):
            return self._joined(node, args)
        if node.op == "where":
            return self._joined(node, args[1:])
        if node.op in ("mul", "div"):
            (a, b), sign = args, 1 if node.op == "mul" else -1
            rest = (mul if sign > 0 else div)(a.rest, b.rest)
            return _Scaled(node, a.order + sign * b.order, _plus(a.more, b.more, Fraction(sign)), rest)
        if node.op == "neg":
            return _Scaled(node, args[0].order, args[0].more, neg(args[0].rest))
        return self._function(node, args)

    def _exponential(self, node: Value) -> _Scaled:
        (argument,) = node.args
        order, more = self._parts(argument)
        self.grows = self.grows or order > 0
        front = _Scaled(node, order, more, ONE)
        if node.op == "exp":
            return front if order or more else _Scaled.plain(node)
        if not order or (node.op == "expm1" and order < 0):
            return _Scaled.plain(node)
        if node.op == "expm1":
            return _Scaled(node, order, more, neg(value("expm1", neg(self._far(argument, order, more)))))
        sign = 1 if order > 0 else -1
        left = views.scaled(Fraction(-2 * sign), self._far(argument, order, more))
        twice = add(ONE, value("exp", left)) if node.op == "cosh" else neg(value("expm1", left))
        signed = neg(twice) if node.op == "sinh" and sign < 0 else twice
        return _Scaled(node, abs(order), _plus({}, more, Fraction(sign)), div(signed, number(2)))

    def _parts(self, argument: Value) -> tuple[Fraction, _Sum]:
        """Return how often ``u`` is in a sum, and the rest of it."""
        found = _expanded(argument)
        orders = {found.get(key, Fraction(0)) / c for key, c in self.unit.items()}
        order = orders.pop() if len(orders) == 1 else Fraction(0)
        return order, _plus(found, self.unit, -order)

    def _far(self, argument: Value, order: Fraction, more: _Sum) -> Value:
        """Return an argument, that of ``u`` alone as it is where that is large."""
        return argument if more else views.scaled(order, self.far)

    def _joined(self, node: Value, args: Sequence[_Scaled]) -> _Scaled:
        """Return a sum or a choice with what all have in common in front."""
        more = args[0].more if all(a.more == args[0].more for a in args) else {}
        top = max(a.order for a in args)
        rests = [self._less(a, top, more) for a in args]
        return _Scaled(node, top, more, rebuild(node, [*node.args[: -len(args)], *rests]))

    def _less(self, found: _Scaled, top: Fraction, more: _Sum) -> Value:
        """Return what is left of something without what is in front of the whole."""
        order, left = found.order - top, _plus(found.more, more, Fraction(-1))
        if not order and not left:
            return found.rest
        if not found.order and not order and found.rest is ONE:
            return found.node
        exponent = _value_of(_plus(left, self.unit, order)) if left else views.scaled(order, self.far)
        return mul(value("exp", exponent), found.rest)

    def _function(self, node: Value, args: list[_Scaled]) -> _Scaled:
        """Return a power, a root or a logarithm; another function stays as it is."""
        a = args[0]
        if node.op in _ROOTS:
            n = _ROOTS[node.op]
            return _Scaled(node, n * a.order, _plus({}, a.more, n), value(node.op, a.rest))
        if node.op == "pow" and args[1].is_plain:
            return self._power(node, a)
        if node.op == "log":
            exponent = a.exponent(self.u)
            whole = value("log", a.rest)
            return _Scaled.plain(node) if exponent is None else self._made(node, add(whole, exponent))
        if node.op == "log1p" and a.order > 0:
            one = _Scaled.plain(ONE)
            return self._function(value("log", a.node), [self._joined(add(ONE, a.node), [one, a])])
        return _Scaled.plain(node)

    def _power(self, node: Value, base: _Scaled) -> _Scaled:
        exponent, made = node.args[1], power(base.rest, node.args[1])
        if exponent.op == "number":
            n = exact(exponent)
            return _Scaled(node, n * base.order, _plus({}, base.more, n), made)
        front = base.exponent(self.u)
        order, more = self._parts(mul(exponent, front)) if front is not None else (Fraction(0), {})
        return _Scaled(node, order, more, made)

    @staticmethod
    def _made(node: Value, rest: Value) -> _Scaled:
        return _Scaled(node, Fraction(0), {}, rest)


def _expanded(node: Value) -> _Sum:
    """Return a sum multiplied out, as far as it is not too long."""
    found: _Sum = {}
    stack, left = [*views.terms(node).items()], _MOST
    while stack:
        term, c = stack.pop()
        d, parts = views.factors(term)
        inner = next((f for f, n in parts.items() if n == 1 and views.is_sum(f)), None)
        if inner is None or left <= 0:
            key = tuple(sorted(parts.items(), key=lambda power: dump(power[0])))
            found[key] = found.get(key, Fraction(0)) + c * d
            continue
        left -= 1
        rest = views.product(d, {f: n for f, n in parts.items() if f is not inner})
        stack += [(mul(rest, t), c * e) for t, e in views.terms(inner).items()]
    return {key: c for key, c in found.items() if c}


def _plus(a: _Sum, b: _Sum, times: Fraction) -> _Sum:
    """Return a sum, with another so many times."""
    total = {key: a.get(key, Fraction(0)) + times * b.get(key, Fraction(0)) for key in {**a, **b}}
    return {key: c for key, c in total.items() if c}


def _value_of(found: _Sum) -> Value:
    return views.sum_of({views.product(Fraction(1), dict(key)): c for key, c in found.items()})
