"""What is homogeneous in its variables as a product of powers and a function of one group of them.

The theorem is Buckingham's (Physical Review 4, 1914). ``y**2*log(cosh(x/y))``, whatever the units of ``x``
and ``y`` are, as long as they are the same, is ``y**2`` times a function of ``t = x/y`` alone, and so are
its derivatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import lcm
from typing import NamedTuple

from fngen.algebra import exact, fold_numbers
from fngen.ir import LEAVES, Value, fold, name, names, number, rebuild, tree_size
from fngen.stabilise import views
from fngen.stabilise.guards import HOLE
from fngen.stabilise.rewrite import BUILD

Degree = tuple[Fraction, ...]
"""What each variable's own degree counts in that of a graph."""


class Group(NamedTuple):
    """A graph as a product and a function of one group.

    Attributes:
        rest: The product.
        part: The function, of ``u!``.
        t: The group: a product, a quotient, a sum or difference.
    """

    rest: Value
    part: Value
    t: Value


class _NotHomogeneous(ArithmeticError):
    """A graph that is no function of one group."""


def of_one_group(node: Value) -> Group | None:
    """Return a homogeneous graph as what it is."""
    inputs = names([node])
    try:
        degree, row = _degrees(node, inputs)
    except _NotHomogeneous:
        return None
    made = [_as_group(node, inputs, degree, powers, i) for powers in _both(row) for i in _pivots(powers)]
    return min(made, key=lambda group: tree_size(group.part), default=None)


def rebuilt(node: Value, args: list[Value]) -> Value:
    """Return a node with other arguments; sums and products of numbers are shorter."""
    return BUILD[node.op](*args) if node.op in BUILD else rebuild(node, args) if args else node


def _both(row: Degree) -> tuple[Degree, Degree]:
    return row, tuple(-n for n in row)


def _pivots(row: Degree) -> Iterator[int]:
    return (i for i, n in enumerate(row) if n == 1)


def _as_group(node: Value, inputs: tuple[str, ...], degree: Degree, row: Degree, i: int) -> Group:
    """Return a graph as a function of the group with those powers, every variable but one being 1 in it."""
    images = {x: HOLE if k == i else number(1) for k, x in enumerate(inputs)}

    def visit(n: Value, args: list[Value]) -> Value:
        if n.op == "name":
            return images[str(n.datum)]
        return rebuilt(n, args)

    part = fold([node], visit)[node]
    left = [n - degree[i] * k for n, k in zip(degree, row, strict=True)]
    rest, t = (_monomial(inputs, powers) for powers in (left, row))
    return Group(rest, fold_numbers([part])[part], t)


def _monomial(inputs: tuple[str, ...], powers: Iterable[Fraction]) -> Value:
    return views.product(Fraction(1), {name(x): n for x, n in zip(inputs, powers, strict=True) if n})


def _degrees(root: Value, inputs: tuple[str, ...]) -> tuple[Degree, Degree]:
    """Return the degree of a graph, and the powers of the group that it is a function of beside that.

    Raises:
        _NotHomogeneous: If there is no such group, or more than one.
    """
    nothing = (Fraction(0),) * len(inputs)
    rows: list[Degree] = []

    def same(a: Degree, b: Degree) -> None:
        gap = tuple(x - y for x, y in zip(a, b, strict=True))
        if any(gap):
            rows.append(gap)

    def visit(node: Value, args: list[Degree]) -> Degree:
        if node.op == "name":
            return tuple(Fraction(x == node.datum) for x in inputs)
        if node.op in LEAVES:
            return nothing
        if node.op in ("add", "sub"):
            same(*args)
            return args[0]
        if node.op in ("neg", "mul", "div"):
            sign = -1 if node.op == "div" else 1
            return args[0] if node.op == "neg" else tuple(a + sign * b for a, b in zip(*args, strict=True))
        if node.op == "pow" and node.args[1].op == "number" and exact(node.args[1]).denominator == 1:
            return tuple(a * exact(node.args[1]) for a in args[0])
        for a in args:
            same(a, nothing)
        return nothing

    degree = fold([root], visit)[root]
    return degree, _one_direction(rows)


def _one_direction(rows: list[Degree]) -> Degree:
    """Return the direction that all of some rows have, in whole numbers.

    Raises:
        _NotHomogeneous: If they have none, or several.
    """
    if not rows:
        raise _NotHomogeneous
    first = rows[0]
    whole = first[next(i for i, x in enumerate(first) if x)]
    for row in rows[1:]:
        times = row[first.index(whole)] / whole
        if any(b != times * a for a, b in zip(first, row, strict=True)):
            raise _NotHomogeneous
    shared = [x / whole for x in first]
    return tuple(x * lcm(*(x.denominator for x in shared)) for x in shared)
