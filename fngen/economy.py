"""Cheaper forms for a backward that nobody differentiates: of what the forward has, of powers.

Each rule is exact mathematics; where it costs digits it is left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import gcd

from fngen.algebra import add, fold_numbers, mul, power, sum_of
from fngen.extents import Extents
from fngen.functions import TABLE
from fngen.ir import Value, fold, name, number, postorder, rebuild, rewrite, substitute, value
from fngen.language.rules import complement, instantiate
from fngen.lower import Target

_SUM = frozenset({"add", "sub", "neg"})
_OPPOSITE = {"clamp_min": "clamp_max", "clamp_max": "clamp_min"}
_SEVERAL = 3
"""Powers of one base above the first from which a sum counts as a polynomial."""
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


def polynomials(roots: Sequence[Value]) -> list[Value]:
    """Return ``roots`` with long polynomials in the form of Horner, which needs one buffer beside its own."""
    inner = {a for n in postorder(roots) if n.op in _SUM for a in n.args if a.op in _SUM}

    def rule(node: Value, args: list[Value]) -> Value:
        if node.op in _SUM and node not in inner and (found := _polynomial(node)):
            base, terms = found
            step = gcd(*terms)
            x = power(images[base], number(step))
            degree = max(terms) // step
            total = number(terms[degree * step])
            for k in reversed(range(degree)):
                total = add(mul(x, total), number(terms.get(k * step, Fraction(0))))
            return total
        return rebuild(node, args) if args else node

    images: dict[Value, Value] = {}
    fold(roots, rule, images)
    return [images[root] for root in roots]


def _polynomial(node: Value) -> tuple[Value, dict[int, Fraction]] | None:
    """Return what a sum of several powers is a polynomial in, and the coefficient of each power."""
    terms: dict[int, Fraction] = {}
    bases: set[Value] = set()
    stack = [(node, Fraction(1))]
    while stack:
        term, sign = stack.pop()
        if term.op in _SUM:
            *first, last = term.args
            stack += [*((a, sign) for a in first), (last, sign if term.op == "add" else -sign)]
            continue
        coefficient, base = _scaled(term)
        degree = 0 if base is None else 1
        if base is not None:
            exponent = _exact(base.args[1]) if base.op == "pow" else None
            if exponent and exponent.denominator == 1 and 0 < exponent <= _LARGEST_POWER:
                base, degree = base.args[0], int(exponent)
            bases.add(base)
        terms[degree] = terms.get(degree, Fraction(0)) + sign * coefficient
    return (bases.pop(), terms) if len(bases) == 1 and len(terms.keys() - {0, 1}) >= _SEVERAL else None


def _scaled(term: Value) -> tuple[Fraction, Value | None]:
    """Return the exact coefficient of a term, and what it stands before."""
    coefficient = Fraction(1)
    if term.op == "div" and (c := _exact(term.args[1])):
        coefficient, term = 1 / c, term.args[0]
    if term.op == "mul" and (c := _exact(term.args[0])) is not None:
        coefficient, term = c * coefficient, term.args[1]
    if (c := _exact(term)) is not None:
        return c * coefficient, None
    return coefficient, term


def _exact(node: Value) -> Fraction | None:
    return node.datum if isinstance(node.datum, Fraction) else None


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


def bounds(roots: Sequence[Value]) -> list[Value]:
    """Return ``roots`` with ``-clamp(u, min=c)`` for ``clamp(-u, max=-c)``: ``-u`` has fewer readers then."""

    def rule(node: Value) -> Value:
        if node.op not in _OPPOSITE or node.args[0].op != "neg" or (bound := _exact(node.args[1])) is None:
            return node
        return value("neg", value(_OPPOSITE[node.op], *node.args[0].args, number(-bound)))

    images = rewrite(roots, rule)
    return [images[root] for root in roots]


def gates(roots: Sequence[Value], masks: Mapping[Value, int]) -> list[Value]:
    """Return ``roots`` with ``where(c, p, 0)`` for ``p*where(c, ones_like(x), 0)``, if ``p`` is as large.

    Args:
        roots: The graphs.
        masks: For each node the inputs that it depends on, as a bit mask.
    """
    uses = Counter(a for n in postorder(roots) for a in n.args)

    def rule(node: Value, args: list[Value]) -> Value:
        for i in (0, 1) if node.op == "mul" else ():
            p, other = args[i], node.args[1 - i]
            if masks[other] & ~masks[node.args[i]] or p.op == "number":
                continue
            if other.op == "full_like" and (c := _filling(other)):
                return mul(c, p)
            sides = [_filling(side) for side in other.args[1:]] if other.op == "where" else [None]
            if uses[other] == 1 and all(c and c.datum in (0, 1) for c in sides):
                return value("where", images[other.args[0]], *(mul(c, p) for c in sides if c))
        return rebuild(node, args) if args else node

    images: dict[Value, Value] = {}
    fold(roots, rule, images)
    return [images[root] for root in roots]


def gradients(targets: Sequence[Target], extents: Extents, cotangent: str, result: Value) -> list[Target]:
    """Return targets with gates that take the cotangent of a result themselves."""
    graphs = [t.value for t in targets]
    size = extents.cotangent(extents.depends([result])[result])
    masks = extents.depends(graphs, {cotangent: size})
    return [replace(t, value=graph) for t, graph in zip(targets, gates(graphs, masks), strict=True)]


def tangent(terms: Sequence[Value], extents: Extents, tangents: Sequence[str]) -> Value:
    """Return the sum of derivatives times tangents, with gates that take these themselves."""
    spans = dict(zip(tangents, extents.bits.values(), strict=False))
    return sum_of(gates(terms, extents.depends(terms, spans)))


def _filling(node: Value) -> Value | None:
    """Return the number that a node is everywhere, if it is one number."""
    filling = node.args[1] if node.op == "full_like" else node
    return filling if filling.op == "number" else None
