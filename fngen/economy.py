"""Cheaper forms for a backward that nobody differentiates: of what the forward has, of powers.

Each rule is exact mathematics; where it costs digits it is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from fngen.algebra import fold_numbers
from fngen.functions import TABLE
from fngen.ir import Value, fold, name, number, postorder, rebuild, substitute, value
from fngen.language.rules import complement, instantiate

_LARGEST_POWER = 32
"""Inductor, too, multiplies up to here: torch's general power costs as much as twenty products."""


def complements(slopes: Sequence[Value], root: Value) -> list[Value]:
    """Return derivatives with ``1 - sigmoid(u)`` for ``sigmoid(-u)``, where ``root`` has it.

    And so with every complement in the function table. Where the term is a factor of the whole
    derivative its cancellation would be the derivative's: there it stays as it is, if ``u`` is
    an input. Otherwise it is as torch's own derivative has it.
    """
    images: dict[Value, Value] = {}
    for node in postorder([root]):
        if node.op in TABLE and TABLE[node.op].complement:
            pattern, by_result = complement(node.op)
            pattern = instantiate(pattern, node.op, node.args)
            images[fold_numbers([pattern])[pattern]] = substitute(by_result, {name("y"): node})
    if not images:
        return list(slopes)
    return [_replaced(slope, images) for slope in slopes]


def _replaced(root: Value, images: Mapping[Value, Value]) -> Value:
    exact = {n for n in _factors(root) if n in images and _of_an_input(n)}
    return substitute(root, {old: new for old, new in images.items() if old not in exact})


def _of_an_input(node: Value) -> bool:
    while len(node.args) == 1 or node.op == "pow":
        node = node.args[0]
    return node.op == "name"


def _factors(root: Value) -> list[Value]:
    found, stack = [], [root]
    while stack:
        node = stack.pop()
        found.append(node)
        if node.op in ("mul", "div", "neg"):
            stack.extend(node.args)
    return found


def products(roots: Sequence[Value]) -> list[Value]:
    """Return ``roots`` with integer powers as products of shared squares."""

    def rule(node: Value, args: list[Value]) -> Value:
        exponent = node.args[1].datum if node.op == "pow" else None
        if isinstance(exponent, Fraction) and exponent.denominator == 1 and 3 < exponent <= _LARGEST_POWER:
            return _power(args[0], int(exponent))
        return rebuild(node, args) if args else node

    images = fold(roots, rule)
    return [images[root] for root in roots]


def _power(base: Value, n: int) -> Value:
    if n <= 3:
        return value("pow", base, number(n)) if n > 1 else base
    if n % 2:
        return value("mul", _power(base, n - 1), base)
    return value("pow", _power(base, n // 2), number(2))
