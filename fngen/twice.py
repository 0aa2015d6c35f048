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
    count, by_leaf = len(inputs), dict.fromkeys(leaves, ZERO)
    weights, owned = [name(f"{x}!") for x in inputs], found.seconds or (None,) * len(slopes)
    by_cotangent = list[Value]()
    for j, cotangent in enumerate(arrived.cotangents):
        arriving, total = dict.fromkeys(leaves, ZERO), ZERO
        row = slice(j * count, (j + 1) * count)
        for weight, slope, own in zip(weights, slopes[row], owned[row], strict=True):
            total = add(total, _term(weight, mul(weight, slope), alone=count == 1))
            seed = mul(weight, name(cotangent))
            for x, second in zip(leaves, _seconds(slope, own, inputs, leaves), strict=True):
                if not is_number(second, 0):
                    arriving[x] = add(arriving[x], _term(weight, mul(seed, second), alone=count == 1))
        by_cotangent.append(total)
        for x, term in arriving.items():
            some = term is not ZERO and len(arrived.cotangents) > 1
            by_leaf[x] = add(by_leaf[x], given(term, 1 << j, arrived.conditions) if some else term)
    nothing = mul(ZERO, name(arrived.cotangents[0]))
    return [graph if graph is not ZERO else nothing for graph in (*by_cotangent, *by_leaf.values())]


def _seconds(
    slope: Value, own: Sequence[Value] | None, inputs: Sequence[str], leaves: Sequence[str]
) -> Sequence[Value]:
    """Return the derivatives of a slope by the leaves; its ``own`` are by the inputs."""
    if own is not None and set(leaves) <= set(inputs):
        known = dict(zip(inputs, own, strict=False))
        return [known[x] for x in leaves]
    return _folded(autograd(legalise([slope])[0], tuple(leaves)))


def _folded(rows: list[Value]) -> list[Value]:
    """Return graphs without products with one, sums with zero, and quotients of numbers."""
    images = rewrite(rows, lambda n: _SIMPLE[n.op](*n.args) if n.op in _SIMPLE else n)
    return [images[row] for row in rows]


def _term(weight: Value, term: Value, *, alone: bool) -> Value:
    """Return a term; where nothing arrives at a gradient, not even what is infinite there matters."""
    if alone or term is ZERO:
        return term
    return value("where", value("eq", weight, ZERO), ZERO, term)
