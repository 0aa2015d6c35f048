"""A graph as one fraction."""

from __future__ import annotations

from collections.abc import Iterator

import sympy

from fngen.algebra import add, div, exact
from fngen.arrange import to_value
from fngen.ir import Value, fold, name, names, number, postorder, substitute, value
from fngen.symbolic import factored, to_sympy

ARITHMETIC = frozenset({"add", "sub", "mul", "div", "neg", "pow", "number"})
LONGEST = 80
"""The size of a form that is made one fraction: SymPy takes long over many nodes, unknowns, high powers."""
_MOST_UNKNOWNS, _HIGHEST = 5, 8
_HIGHEST_DEGREE, _OF_MANY = {1: 24, 2: 12}, 8
"""The degree of a fraction of so many unknowns, and of more, before anything cancels."""
_SOON = 10
"""Terms of a polynomial that is factored soon."""


def one_fraction(node: Value) -> Iterator[Value]:
    """Yield a graph as one fraction, in terms of the functions in it."""
    leaves: dict[Value, Value] = {}
    for n in postorder([node]):
        if n.op not in ARITHMETIC or (n.op == "pow" and n.args[1].op != "number"):
            leaves.setdefault(n, name(f"_{len(leaves):04}"))
    written = substitute(node, _without_expm1(node, leaves))
    powers = [n.args[1] for n in postorder([written]) if n.op == "pow"]
    unknowns = len(names([written]))
    if unknowns > _MOST_UNKNOWNS or any(abs(exact(n)) > _HIGHEST for n in powers):
        return
    if max(_degrees(written)) > _HIGHEST_DEGREE.get(unknowns, _OF_MANY):
        return
    symbols = {str(hole.datum): sympy.Symbol(str(hole.datum)) for hole in leaves.values()}
    extra = {x: sympy.Symbol(x) for x in names([written]) if x not in symbols}
    expr = sympy.together(to_sympy(written, symbols | extra))
    over, under = expr.as_numer_denom()
    known = {symbol: name(text) for text, symbol in (symbols | extra).items()}
    back = {hole: n for n, hole in leaves.items()}
    flat = sympy.expand(over)
    forms = {sympy.factor_terms(flat)}
    if len(flat.args) <= _SOON:
        forms.add(sympy.factor(flat))
    for top in sorted(forms, key=str):
        sides = (to_value(factored(side), known, decimals=False) for side in (top, under))
        yield substitute(div(*sides), back)


def _degrees(root: Value) -> tuple[int, int]:
    """Return the degrees of the two sides of a fraction, before anything cancels."""

    def visit(node: Value, args: list[tuple[int, int]]) -> tuple[int, int]:
        if not args:
            return int(node.op == "name"), 0
        (a, b), (c, d) = args[0], args[-1]
        if node.op in ("add", "sub"):
            return max(a + d, c + b), b + d
        if node.op == "pow":
            n = int(exact(node.args[1]))
            return (a * n, b * n) if n > 0 else (b * -n, a * -n)
        return {"neg": (a, b), "mul": (a + c, b + d), "div": (a + d, b + c)}[node.op]

    return fold([root], visit)[root]


def _without_expm1(node: Value, leaves: dict[Value, Value]) -> dict[Value, Value]:
    """Return images in which ``expm1(u)`` is ``exp(u) - 1``, if there is ``exp(u)`` too."""
    images = dict(leaves)
    for n in leaves:
        partner = value("exp", *n.args) if n.op == "expm1" else None
        if partner in leaves:
            images[n] = add(leaves[partner], number(-1))
    return images
