"""Cheaper forms for a backward that nobody differentiates: of what the forward has, of products.

Each rule is exact mathematics; where it costs digits it is left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations

from fngen.algebra import fold_numbers, mul, product_of
from fngen.functions import TABLE
from fngen.ir import Value, fold, is_number, name, number, postorder, rebuild, substitute, value
from fngen.language.rules import complement, instantiate

_Factor = Value | tuple["_Factor", "_Factor"]
"""A factor of a product, or two that stand together in several."""
_MANY = 20_000
"""Pairs of factors beyond which a formula is too long for a person to look for common ones."""
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


def shared_factors(roots: Sequence[Value]) -> list[Value]:
    """Return ``roots`` with a pair of factors that several products have as one value."""
    order = postorder(roots)
    uses = Counter([*roots, *(a for n in order for a in n.args)])
    inner = {a for n in order if n.op == "mul" for a in n.args if a.op == "mul" and uses[a] == 1}
    chains = {n: _chain(n, inner) for n in order if n.op == "mul" and n not in inner}
    grouped = dict(zip(chains, _grouped([list(c) for c in chains.values()]), strict=True))
    images: dict[Value, Value] = {}

    def build(factor: _Factor) -> Value:
        return images[factor] if isinstance(factor, Value) else mul(*map(build, factor))

    def rule(node: Value, args: list[Value]) -> Value:
        if node in grouped and grouped[node] != chains[node]:
            return product_of([build(f) for f in grouped[node]])
        return rebuild(node, args) if args else node

    fold(roots, rule, images)
    return [images[root] for root in roots]


def _chain(top: Value, inner: set[Value]) -> list[_Factor]:
    """Return the factors of a product, a small power written out."""
    factors: list[_Factor] = []
    stack = [top]
    while stack:
        node = stack.pop()
        if node is top or node in inner:
            stack.extend(reversed(node.args))
        elif node.op == "pow" and is_number(node.args[1], 2):
            factors += [node.args[0]] * 2
        else:
            factors.append(node)
    return factors


def _grouped(chains: list[list[_Factor]]) -> list[list[_Factor]]:
    """Return the factors of each product, the pairs that recur made one factor."""
    while sum(len(chain) ** 2 for chain in chains) < _MANY:
        pairs: Counter[tuple[_Factor, _Factor]] = Counter()
        rank = {f: i for i, f in enumerate(dict.fromkeys(f for chain in chains for f in chain))}
        for chain in chains:
            distinct = sorted(set(chain), key=rank.__getitem__)
            pairs.update(combinations(distinct, 2))
        if not pairs or max(pairs.values()) < 2:
            break
        a, b = max(pairs, key=pairs.__getitem__)
        for chain in chains:
            if a in chain and b in chain:
                chain[chain.index(a)] = (a, b)
                chain.remove(b)
    return chains
