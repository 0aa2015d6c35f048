"""Products with a cotangent or a tangent, in the order that rounds and overflows least."""

from __future__ import annotations

from fngen.algebra import div, mul, neg
from fngen.ir import Value, names


def product(a: Value, b: Value) -> Value:
    """Return ``a*b``; where one is a constant over something, with the quotient last.

    ``c*g/x`` is one kernel less than ``g*(c/x)``, and does not overflow before ``g`` shrinks it.
    Nor does ``g*(y/x)/x``, for ``y/x/x``.
    """
    for slope, x in ((a, b), (b, a)):
        if slope.op == "neg":
            return neg(product(x, slope.args[0]))
        if slope.op != "div":
            continue
        top, bottom = slope.args
        twice = top.op == "div" and top.args[1] is bottom
        if twice or _is_constant(top):
            return div(mul(x, top) if twice else mul(top, x), bottom)
    return mul(a, b)


def _is_constant(node: Value) -> bool:
    """Say whether a node is a number, or a choice of numbers."""
    if node.op in ("where", "full_like"):
        return all(map(_is_constant, node.args[1:]))
    return all(n.startswith("_") for n in names([node]))
