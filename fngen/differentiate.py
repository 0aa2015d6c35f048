"""Value to partial derivatives: SymPy inside small pieces, adjoints between them.

A formula that a person would differentiate in one go is one piece. A bigger one is cut
into Lets: SymPy differentiates each by the names in it, and the adjoints accumulate in
reverse, so that the cost is a small multiple of the formula's own size whatever the
number of inputs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from functools import lru_cache

from sympy import Symbol

from fngen.algebra import ONE, ZERO, add, mul
from fngen.arrange import to_value
from fngen.cost import cost
from fngen.functions import TABLE
from fngen.ir import (
    CONDITIONS,
    LEAVES,
    Value,
    is_number,
    name,
    number,
    postorder,
    rewrite,
    substitute,
    substitute_all,
    tree_size,
    value,
)
from fngen.language.rules import definition, instantiate
from fngen.symbolic import NoDerivative, simplest_forms, to_sympy_all

__all__ = ["NoDerivative", "partials"]

WHOLE = 64
"""Operations up to which a formula is one piece, apart from its named and shared parts."""
PIECE = 8
"""Operations in a piece of a bigger formula."""


def partials(
    root: Value, inputs: Iterable[str], named: Collection[Value] = (), *, complex: bool = False
) -> tuple[Value, ...]:
    """Return the partial derivative of ``root`` by each input.

    Args:
        root: The formula, a number at each point.
        inputs: The variables to differentiate by.
        named: The intermediates that the user named: they stay whole.
        complex: The inputs are complex numbers.

    Raises:
        NoDerivative: If a function in it has no known derivative by an argument that
            depends on an input.
    """
    images = rewrite([root, *named], _expand)
    top = images[root]
    cuts = _cuts(top, {images[n] for n in named})
    decimals = any(isinstance(n.datum, Decimal) for n in postorder([top]))
    adjoints: dict[Value, Value] = {top: ONE}
    for piece in reversed([n for n in postorder([top]) if n in cuts and n.args]):
        seed = adjoints.get(piece)
        if seed is None:
            continue
        for leaf, slope in _local_partials(piece, cuts, decimals):
            adjoints[leaf] = add(adjoints.get(leaf, ZERO), mul(seed, slope))
    return _by_quotients(top, [adjoints.get(name(x), ZERO) for x in inputs], complex)


def _by_quotients(root: Value, slopes: list[Value], complex: bool) -> tuple[Value, ...]:
    """Return slopes with ``(x/y)/y`` for ``x/y**2`` of a formula with ``x/y``: ``y**2`` overflows first.

    A real number over an infinite one is 0 as it should be; a complex one is nan.
    """
    images = {}
    for quotient in (n for n in postorder([root]) if n.op == "div" and (complex or not is_number(n.args[0]))):
        x, y = quotient.args
        square = value("pow", quotient, number(2)) if is_number(x, 1) else value("div", quotient, y)
        images[value("div", x, value("pow", y, number(2)))] = square
    return tuple(substitute_all(slopes, images) if images else slopes)


def _expand(node: Value) -> Value:
    """Replace a function that has a definition but no derivative of its own."""
    row = TABLE.get(node.op)
    if row is None or row.derivative:
        return node
    return rewrite([body := instantiate(definition(row.name), row.name, node.args)], _expand)[body]


def _cuts(top: Value, named: Collection[Value]) -> set[Value]:
    """Choose the nodes that are differentiated on their own."""
    order = postorder([top])
    uses: dict[Value, int] = {}
    for node in order:
        for arg in node.args:
            uses[arg] = uses.get(arg, 0) + 1
    limit = WHOLE if tree_size(top) <= 2 * WHOLE else PIECE  # Leaves count too.
    cuts, sizes = {top}, dict[Value, int]()
    constant = _constants(order)
    for node in order:
        size = 0 if node.op in LEAVES or node in constant else 1 + sum(sizes[a] for a in node.args)
        shared = uses.get(node, 0) > 1 and size >= (3 if limit == WHOLE else 1)
        if size and node.op not in CONDITIONS and (node in named or shared or size >= limit):
            cuts.add(node)
            size = 0
        sizes[node] = size
    return cuts


def _constants(order: list[Value]) -> set[Value]:
    found: set[Value] = set()
    for node in order:
        if node.op != "name" and all(a in found for a in node.args):
            found.add(node)
    return found


def _local_partials(piece: Value, cuts: set[Value], decimals: bool) -> list[tuple[Value, Value]]:
    """Return the partial of a piece by each name and each cut node that it is made of."""
    leaves = _leaves(piece, cuts)
    holes = {leaf: name(f"_{i}") for i, leaf in enumerate(leaves)}
    slopes = _slopes(substitute(piece, holes), len(leaves), decimals)
    actual = {hole: leaf for leaf, hole in holes.items()}
    return [
        (leaf, substitute(s, actual)) for leaf, s in zip(leaves, slopes, strict=True) if not is_number(s, 0)
    ]


def _leaves(piece: Value, cuts: set[Value]) -> list[Value]:
    found: dict[Value, None] = {}
    seen: set[Value] = set()
    stack = list(reversed(piece.args)) if piece.args else [piece]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.op == "name" or node in cuts:
            found[node] = None
        else:
            stack.extend(reversed(node.args))
    return list(found)


@lru_cache(maxsize=4096)
def _slopes(piece: Value, count: int, decimals: bool) -> tuple[Value, ...]:
    """Return the derivative of ``piece`` by each of its names ``_0``, ``_1``, ..."""
    symbols = {f"_{i}": Symbol(f"_{i}") for i in range(count)}
    written = to_sympy_all(piece, symbols)
    # Where SymPy comes back to something that the user wrote, it stays as written.
    known = {symbol: name(text) for text, symbol in symbols.items()}
    for node, expr in written.items():
        if expr.free_symbols and node is not piece:
            known.setdefault(expr, node)
    slopes = []
    for symbol in symbols.values():
        forms = simplest_forms(written[piece].diff(symbol))
        slopes.append(min((to_value(f, known, decimals=decimals) for f in forms), key=cost))
    return tuple(slopes)
