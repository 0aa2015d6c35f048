"""Reductions in rules: all of one rule run over the same dimensions, whichever these are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction

from fngen.algebra import as_decimal, exact
from fngen.extents import Extents
from fngen.ir import REDUCTIONS, Over, Value, names, number, value
from fngen.spans import over
from fngen.spans import reduced as spanned

_DIMS = "dims"
"""What a match binds beside its letters: the dimensions."""
_COUNT = "n"
"""Of a form: the number of elements of ``u`` that are reduced."""
_COMMON_DENOMINATOR = 100
"""What a person writes as a quotient, and not as the decimal that it may be too."""


def same(pattern: Value, node: Value, bound: dict[str, Value]) -> Iterator[dict[str, Value]]:
    """Yield what is bound if two nodes of one operator have the same datum: of reductions, the dimensions."""
    if pattern.op not in REDUCTIONS:
        if pattern.datum == node.datum:
            yield bound
    elif over(pattern).option == over(node).option:
        dims = value(_DIMS, datum=replace(over(node), option=None))
        if bound.get(_DIMS, dims) is dims:
            yield {**bound, _DIMS: dims}


def alike(made: Value, node: Value) -> bool:
    """Say whether two graphs have the same variables along the same dimensions, and so one shape."""
    extents = Extents(names([made, node]), every=spanned([made, node]))
    found = extents.depends([made, node])
    return found[made] == found[node]


def named(letter: str, bound: Mapping[str, Value]) -> Value:
    """Return what a letter of a form stands for."""
    if letter == _COUNT:
        # Of what is reduced itself: an input of it may be broadcast along the dimensions.
        return value("count", bound["u"], datum=Over(over(bound[_DIMS]).dims))
    node = bound[letter]
    long = isinstance(node.datum, Fraction) and node.datum.denominator > _COMMON_DENOMINATOR
    return number(as_decimal(exact(node))) if long else node


def reduced(node: Value, args: list[Value], bound: Mapping[str, Value]) -> Value:
    """Return a reduction of a form, over the dimensions that a match has found."""
    x, *order = args
    option = exact(order[0]) if order else over(node).option
    return value(node.op, x, datum=replace(over(bound[_DIMS]), option=option))
