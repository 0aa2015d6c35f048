"""Products in the order that works on few elements first: what is reduced, then what is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fngen.algebra import ONE, div, is_gate, is_negative, mul, product_of
from fngen.ir import CONDITIONS, Value, fold, number, postorder, rebuild, value
from fngen.spans import Span

Factor = tuple[Value, int]


def grouped(root: Value, atoms: Iterable[Value], span: Callable[[Value], Span]) -> Value:
    """Return a graph with ``x*(m/s)`` for ``x*m/s``, where ``m`` and ``s`` are smaller than ``x``.

    Args:
        root: The graph.
        atoms: The nodes that stay as they are.
        span: Says which reduced dimensions a node has in full.
    """
    kept = {atom: atom for atom in atoms}
    # What is compared stays too: the largest element is equal to itself, in another order it is not.
    kept |= {n: n for n in postorder([root]) if n.op in CONDITIONS}

    def visit(node: Value, args: list[Value]) -> Value:
        node = rebuild(node, args) if args else node
        return _product(node, kept, span) if node.op in ("mul", "div", "neg") or is_gate(node) else node

    return fold([root], visit, dict(kept))[root]


def _product(node: Value, kept: dict[Value, Value], span: Callable[[Value], Span]) -> Value:
    factors = _factors(node, kept)
    whole = span(node)
    narrow = [f for f in factors if span(f[0]) < whole]
    if len(narrow) in (0, 1, len(factors)) or all(f[0].op == "number" for f in narrow):
        return node
    if not any(span(f[0]) for f in factors):
        return node
    wide = [f for f in factors if f not in narrow]
    top, bottom = (product_of([f for f, n in narrow if n == sign]) for sign in (1, -1))
    first = div(product_of([f for f, n in wide if n == 1]), product_of([f for f, n in wide if n == -1]))
    if top.op == "number":
        return div(mul(top, first), bottom)
    second = div(top, bottom)
    if len(wide) == 1 and wide[0][1] == 1 and (spread := _distributed(wide[0][0], second, kept, span)):
        return spread
    # A sign, or a choice by what is reduced, stays with what is small.
    return value("mul", second, first) if is_negative(second) else value("mul", first, second)


def _distributed(
    root: Value, factor: Value, kept: dict[Value, Value], span: Callable[[Value], Span]
) -> Value | None:
    """Return a sum times what is small, term by term, if each term has something small to take it up."""
    if root in kept or root.op not in ("add", "sub"):
        return None
    terms = []
    for term in root.args:
        whole, found = span(term), _factors(term, kept)
        narrow = [f for f in found if span(f[0]) < whole and f[0].op != "number"]
        if not narrow or len(narrow) == len(found):
            return None
        wide = [f for f in found if f not in narrow]
        (top, bottom), (over, under) = ([_side(fs, sign) for sign in (1, -1)] for fs in (narrow, wide))
        small = div(factor, bottom) if top is ONE else value("mul", div(top, bottom), factor)
        terms.append(mul(div(over, under), small))
    return value(root.op, *terms)


def _side(factors: list[Factor], sign: int) -> Value:
    return product_of([f for f, n in factors if n == sign])


def _factors(root: Value, kept: dict[Value, Value]) -> list[Factor]:
    """Return the factors of a product, a divisor with -1; what a gate lets through is one, and the gate."""
    found, stack = list[Factor](), [(root, 1)]
    while stack:
        node, n = stack.pop()
        if node in kept:
            found.append((node, n))
        elif node.op == "neg":
            found.append((number(-1), 1))
            stack.append((node.args[0], n))
        elif node.op in ("mul", "div"):
            stack += [(node.args[1], n if node.op == "mul" else -n), (node.args[0], n)]
        elif n == 1 and is_gate(node, 1) and _open(node) is not None:
            side = _open(node)
            assert side is not None
            gate = value("where", node.args[0], *(ONE if a is side else a for a in node.args[1:]))
            found.append((gate, 1))
            stack.append((side, 1))
        else:
            found.append((node, n))
    return found


def _open(node: Value) -> Value | None:
    """Return the side of a gate that is no number."""
    sides = [a for a in node.args[1:] if a.op != "number"]
    return sides[0] if len(sides) == 1 else None
