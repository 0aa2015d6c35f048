"""Groups of variables: what is a function of fewer of them is one, and cancels where that one is small."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

from fngen.algebra import div, mul, sub
from fngen.ir import LEAVES, Value, names, number, postorder, substitute
from fngen.stabilise import homogeneous, shifts, views
from fngen.stabilise.guards import at_place
from fngen.stabilise.homogeneous import Group
from fngen.stabilise.rewrite import BUILD

_MOST_NAMES = 3


def groups(form: Value) -> Iterator[tuple[Value, Group]]:
    """Yield what in a form is of one group and has sums and functions in it, the largest first.

    Where there are none of these nothing cancels, or as one fraction it does not.
    """
    for node in reversed(postorder([form])):
        if node.op in BUILD:
            yield from ((node, found) for found in _of_one_group(node))


def beside_one(form: Value) -> Iterator[Value]:
    """Yield a form with such a part guarded where two variables are equal, or each other's negative."""
    for node, (rest, part, t) in groups(form):
        over, under = t.args if t.op == "div" else (t, t)
        for place in (1, -1) if t.op == "div" else ():
            distance = div(sub(over, mul(number(place), under)), under)
            for made in at_place(part, t, Fraction(place), distance):
                yield substitute(form, {node: mul(rest, made)})


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
    return tuple(group for group in found if group)
