"""Groups of variables: what is a function of fewer of them is one, and cancels where that one is small."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

from fngen.algebra import ONE, div, mul, sub
from fngen.ir import LEAVES, Value, name, names, number, postorder, substitute
from fngen.stabilise import homogeneous, shifts, views
from fngen.stabilise.guards import HOLE, at_place, order
from fngen.stabilise.homogeneous import Group
from fngen.stabilise.rewrite import BUILD

_MOST_NAMES = 3
_LOGS = frozenset({"log", "log1p"})


def groups(form: Value) -> Iterator[tuple[Value, Group]]:
    """Yield what in a form is of one group and has sums and functions in it, the largest first.

    Where there are none of these nothing cancels, or as one fraction it does not.
    """
    for node in reversed(postorder([form])):
        if node.op in BUILD:
            yield from ((node, found) for found in _of_one_group(node))
            yield from ((node, found) for found in _of_logs(node))


def beside_one(form: Value) -> Iterator[Value]:
    """Yield a form with such a part guarded where two variables are equal, or each other's negative."""
    for node, (rest, part, t) in groups(form):
        over, under = t.args if t.op == "div" else (t, t)
        for place in (1, -1) if t.op == "div" else ():
            distance = div(sub(over, mul(number(place), under)), under)
            for made in at_place(part, t, Fraction(place), distance):
                yield substitute(form, {node: mul(rest, made)})


@lru_cache(maxsize=4096)
def _of_logs(node: Value) -> tuple[Group, ...]:
    """Return the groups of what depends on a variable by its logarithm alone, for which that stands."""
    if len(names([node])) not in range(2, 1 + _MOST_NAMES):
        return ()
    images: dict[Value, Value] = {}
    for x in names([node]):
        calls = (n for n in postorder([node]) if n.op in _LOGS and names([n]) == (x,))
        alone = [n for n in calls if x not in names([substitute(node, {n: ONE})])]
        images |= {n: name(x) for n in alone[-1:]}
    back = {x: n for n, x in images.items()}
    found = _of_one_group(substitute(node, images)) if images else ()
    return tuple(Group(substitute(rest, back), part, substitute(t, back)) for rest, part, t in found)


@lru_cache(maxsize=4096)
def _of_one_group(node: Value) -> tuple[Group, ...]:
    inputs = names([node])
    if not 2 <= len(inputs) <= _MOST_NAMES or any(x.endswith("!") for x in inputs):
        return ()
    order = postorder([node])
    if not any(map(views.is_sum, order)) or all(n.op in BUILD or n.op in LEAVES for n in order):
        return ()
    try:
        found = [homogeneous.of_one_group(node)]
        found += shifts.of_sum(node, *inputs) if len(inputs) == 2 else []
    except ZeroDivisionError:  # Where its variables are equal it is nothing.
        return ()
    return tuple(_regular(group) for group in found if group)


def _regular(group: Group) -> Group:
    """Return a group with what its function is 0 like in place of a divisor that is 0 there too.

    ``f(y*x)/y**2`` is ``x**2`` times ``f(t)/t**2``.
    """
    rest, part, t = group
    (c, outside), (_, inside) = views.factors(rest), views.factors(t)
    if not any(n < 0 and inside.get(f, 0) > 0 for f, n in outside.items()) or not (k := order(part)):
        return group
    outside = views.times(outside, {f: k * n for f, n in inside.items()})
    d, found = views.factors(part)
    return Group(views.product(c, outside), views.product(d, views.times(found, {HOLE: Fraction(-k)})), t)
