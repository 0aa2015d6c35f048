"""The gradients of the gradients: what arrives at cotangents and at the leaves, of that of each gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fngen.algebra import ZERO, add, div, mul, neg, sub
from fngen.backends.torch import legalise
from fngen.derivatives import Derivatives
from fngen.ir import Value, is_number, name, rewrite, value
from fngen.stabilise.autograd import autograd
from fngen.vjp import Arriving, given

_SIMPLE: dict[str, Callable[..., Value]] = {"add": add, "div": div, "mul": mul, "neg": neg, "sub": sub}


def gradients(
    found: Derivatives,
    slopes: Sequence[Value],
    inputs: Sequence[str],
    leaves: Sequence[str],
    arrived: Arriving,
) -> list[Value]:
    """Return the gradient by each cotangent, and by each leaf, of gradients whose cotangents are ``x!``.

    Args:
        found: The derivatives of a formula.
        slopes: Its derivative by each input, in terms of the leaves; output by output.
        inputs: The inputs.
        leaves: The names that the slopes are made of: inputs, or the output.
        arrived: The gradients; what says whether a cotangent is there is added to their conditions.
    """
    weights, owned = [name(f"{x}!") for x in inputs], found.seconds or (None,) * len(slopes)
    by_cotangent = dict.fromkeys(arrived.cotangents, ZERO)
    by_leaf = dict.fromkeys(leaves, ZERO)
    for j, cotangent in enumerate(by_cotangent):
        arriving, row = dict.fromkeys(leaves, ZERO), slice(j * len(inputs), (j + 1) * len(inputs))
        for weight, slope, own in zip(weights, slopes[row], owned[row], strict=True):
            by_cotangent[cotangent] = add(by_cotangent[cotangent], mul(weight, slope))
            rows = _folded(autograd(legalise([slope])[0], tuple(leaves)))
            if own is not None and set(leaves) <= set(inputs):
                known = dict(zip(inputs, own, strict=False))
                rows = [known[x] for x in leaves]
            seed = mul(weight, name(cotangent))
            for x, second in zip(leaves, rows, strict=True):
                if not is_number(second, 0):
                    term = _term(weight, mul(seed, second), alone=len(inputs) == 1)
                    arriving[x] = add(arriving[x], term)
        for x, term in arriving.items():
            several = term is not ZERO and len(by_cotangent) > 1
            by_leaf[x] = add(by_leaf[x], given(term, 1 << j, arrived.conditions) if several else term)
    nothing = mul(ZERO, name(arrived.cotangents[0]))
    graphs = (*by_cotangent.values(), *by_leaf.values())
    return [graph if graph is not ZERO else nothing for graph in graphs]


def _folded(rows: list[Value]) -> list[Value]:
    """Return graphs without products with one, sums with zero, and quotients of numbers."""
    images = rewrite(rows, lambda n: _SIMPLE[n.op](*n.args) if n.op in _SIMPLE else n)
    return [images[row] for row in rows]


def _term(weight: Value, term: Value, *, alone: bool) -> Value:
    """Return a term; where nothing arrives at a gradient, not even what is infinite there matters."""
    return term if alone else value("where", value("eq", weight, ZERO), ZERO, term)
