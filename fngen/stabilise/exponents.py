"""Powers with an exponent that varies as exponentials, of which more is known.

``u**v`` is ``exp(v*log(u))`` for ``u > 0``: ``(u**v - 1)/v`` is ``log(u)`` times a function of ``v*log(u)``
that is 1 where that is 0. Where it is large the power itself has more digits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import reduce

from fngen.algebra import ONE, ZERO, add, exact, fold_numbers, mul, neg, power, where
from fngen.choices import rarely, usual
from fngen.ir import Value, fold, is_number, names, number, postorder, rebuild, substitute, value
from fngen.stabilise import views

_PLAIN = frozenset({"mul", "div", "neg", "pow", "where"})


def exponentials(form: Value, typed: Collection[Value] = ()) -> Iterator[Value]:
    """Yield a form with all such powers as exponentials: where their arguments are small, and everywhere.

    Of a choice each side has its own: ``where(x > 0, (1 + x)**y, (1 - x)**y)``.

    Args:
        form: The form.
        typed: The nodes of the formula: a choice in it that asks for an exponent or a power is the user's.
    """
    powers = _powers(form)
    view = _View(powers, typed)
    if form.op == "where" and not view.is_never(form.args[0]):
        for side in form.args[1:]:
            yield from (substitute(form, {side: made}) for made in exponentials(side, typed))
        return
    bases = dict.fromkeys(n.args[0] for n in powers)
    if not _is_more(form) or not all(names([b]) or (b.op == "number" and exact(b) > 0) for b in bases):
        return
    made = fold([form], view.visit)[form]
    made = fold_numbers([made])[made]
    positive = [value("gt", b, ZERO) for b in bases if b.op != "number"]
    small = [value("lt", value("abs", u), ONE) for u in view.arguments.values()]
    yield where(_all(positive + small), made, form)
    yield where(_all(positive), made, form) if positive else made


def _is_more(form: Value) -> bool:
    """Say whether a form is more than a product of powers: of these a power itself is the best."""

    def visit(node: Value, args: list[tuple[bool, bool]]) -> tuple[bool, bool]:
        args = args[1:] if node.op == "where" else args
        power, more = (any(found) for found in zip(*args, strict=True)) if args else (False, False)
        return power or _varies(node), more or (power and node.op not in _PLAIN)

    return fold([form], visit)[form][1]


def settled(form: Value) -> list[Value]:
    """Return the sides of choices that are for powers of what is not positive, or far from 1."""
    found = []
    for node in postorder([form]):
        if node.op == "where":
            positive = {value("gt", n.args[0], ZERO) for n in _powers(node.args[2])}
            found += [] if positive.isdisjoint(postorder([node.args[0]])) else [node.args[2]]
    return found


class _View:
    """What nodes are where every base of some powers is positive.

    Attributes:
        arguments: What each exponential is of.
    """

    def __init__(self, powers: list[Value], typed: Collection[Value]) -> None:
        self.typed = typed
        self.bases = {n.args[0] for n in powers}
        self.rests = {_whole_and_rest(n.args[1])[1] for n in powers}
        self.logs = {_log(b, b) for b in self.bases if b.op != "number"}
        self.arguments: dict[Value, Value] = {}

    def visit(self, before: Value, args: list[Value]) -> Value:
        """Return a node with the images of its arguments."""
        node = rebuild(before, args) if args else before
        if before in self.logs:
            (u,) = node.args
            return _positive_log(u if node.op == "log" else add(ONE, u))
        if node.op == "where" and self.is_never(before.args[0]):
            return node.args[2]
        if rarely(node) and before.args[0] not in self.typed and self._has_power(node.args[0]):
            return usual(node)  # What is rare is a power that is large.
        return self._exponential(*node.args) if _varies(node) else node

    def _exponential(self, base: Value, exponent: Value) -> Value:
        n, rest = _whole_and_rest(exponent)
        argument = mul(rest, _positive_log(base))
        found = value("exp", argument)
        self.arguments[found] = argument
        return mul(power(_positive(base), number(n)), found) if n else found

    def _has_power(self, image: Value) -> bool:
        return not self.arguments.keys().isdisjoint(postorder([image]))

    def is_never(self, asked: Value) -> bool:
        """Say whether a condition is for powers of 0 alone; or to the power of 0, in a derivative of one."""
        if asked.op == "and":
            return any(map(self.is_never, asked.args))
        if asked.op != "eq" or not is_number(asked.args[1], 0):
            return False
        of_power = asked not in self.typed and _whole_and_rest(asked.args[0])[1] in self.rests
        return asked.args[0] in self.bases or of_power


def _powers(form: Value) -> list[Value]:
    return list(filter(_varies, postorder([form])))


def _varies(node: Value) -> bool:
    return node.op == "pow" and node.args[1].op != "number"


def _whole_and_rest(exponent: Value) -> tuple[int, Value]:
    """Return the integer that an exponent has as a term, and the rest."""
    found = views.terms(exponent)
    whole = int(found.get(ONE, 0))
    rest = {t: n - whole if t is ONE else n for t, n in found.items()}
    return whole, views.sum_of({t: n for t, n in rest.items() if n})


def _positive(base: Value) -> Value:
    """Return a base, 1 where it is not positive."""
    return base if base.op == "number" else where(value("gt", base, ZERO), base, ONE)


def _positive_log(base: Value) -> Value:
    """Return the logarithm of a base, as if it were 1 where it is not positive."""
    if base.op == "div" and is_number(base.args[0], 1):
        return neg(_positive_log(base.args[1]))
    found = _log(base, _positive(base))
    return found if found.op == "log" else value("log1p", where(value("gt", base, ZERO), found.args[0], ZERO))


def _log(base: Value, argument: Value) -> Value:
    """Return the logarithm of a base by its name, else of an argument."""
    found = views.terms(base)
    if found.get(ONE) != 1 or len(found) == 1:
        return value("log", argument)
    return value("log1p", views.sum_of({t: c for t, c in found.items() if t is not ONE}))


def _all(conditions: list[Value]) -> Value:
    return reduce(lambda a, b: value("and", a, b), conditions)
