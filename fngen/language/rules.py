"""The formulas inside the function table, read once."""

from __future__ import annotations

from functools import cache

from fngen.algebra import fold_numbers
from fngen.functions import TABLE
from fngen.ir import Value, name, substitute
from fngen.language.parse import parse_expression


@cache
def definition(function: str) -> Value:
    """Return the definition of a function, in terms of its parameters."""
    return _folded(TABLE[function].definition)


@cache
def derivative(function: str, index: int) -> Value | None:
    """Return the partial derivative by one parameter, in terms of the parameters."""
    text = TABLE[function].derivative[index]
    return None if text is None else _folded(text)


@cache
def complement(function: str) -> tuple[Value, Value]:
    """Return what derivatives of a function are made of, and the same by its result ``y``."""
    pair = TABLE[function].complement
    assert pair is not None
    return _folded(pair[0]), _folded(pair[1])


def _folded(text: str) -> Value:
    root = parse_expression(text, rule=True)
    return fold_numbers([root])[root]


def instantiate(rule: Value, function: str, args: tuple[Value, ...]) -> Value:
    """Return ``rule`` with the parameters of ``function`` replaced by ``args``."""
    images = dict(zip(map(name, TABLE[function].parameters), args, strict=True))
    return substitute(rule, images)
