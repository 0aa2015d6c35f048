"""The gradients of the gradients: what arrives at a cotangent and at the leaves, of that of each gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fngen.algebra import ZERO, add, div, mul, neg, sub
from fngen.backends.torch import legalise
from fngen.derivatives import COTANGENT, Derivatives
from fngen.ir import Value, is_number, name, rewrite, value
from fngen.stabilise.autograd import autograd

_SIMPLE: dict[str, Callable[..., Value]] = {"add": add, "div": div, "mul": mul, "neg": neg, "sub": sub}


def gradients(
    found: Derivatives, slopes: Sequence[Value], inputs: Sequence[str], leaves: Sequence[str]
) -> list[Value]:
    """Return the gradient by the cotangent, and by each leaf, of gradients whose cotangents are ``x!``.

    Args:
        found: The derivatives of a formula.
        slopes: Its derivative by each input, in terms of the leaves.
        inputs: The inputs.
        leaves: The names that the slopes are made of: inputs, or the output.
    """
    weights = [name(f"{x}!") for x in inputs]
    owned = found.seconds or (None,) * len(slopes)
    by_cotangent = ZERO
    by_leaf = dict.fromkeys(leaves, ZERO)
    for weight, slope, own in zip(weights, slopes, owned, strict=True):
        by_cotangent = add(by_cotangent, mul(weight, slope))
        rows = _folded(autograd(legalise([slope])[0], tuple(leaves)))
        if own is not None and set(leaves) <= set(inputs):
            known = dict(zip(inputs, own, strict=False))
            rows = [known[x] for x in leaves]
        seed = mul(weight, name(COTANGENT))
        for x, row in zip(leaves, rows, strict=True):
            if not is_number(row, 0):
                by_leaf[x] = add(by_leaf[x], _term(weight, mul(seed, row), alone=len(inputs) == 1))
    nothing = mul(ZERO, name(COTANGENT))
    return [graph if graph is not ZERO else nothing for graph in (by_cotangent, *by_leaf.values())]


def _folded(rows: list[Value]) -> list[Value]:
    """Return graphs without products with one, sums with zero, and quotients of numbers."""
    images = rewrite(rows, lambda n: _SIMPLE[n.op](*n.args) if n.op in _SIMPLE else n)
    return [images[row] for row in rows]


def _term(weight: Value, term: Value, *, alone: bool) -> Value:
    """Return a term; where nothing arrives at a gradient, not even what is infinite there matters."""
    return term if alone else value("where", value("eq", weight, ZERO), ZERO, term)
