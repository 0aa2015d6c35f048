"""Gradients of parameters: a product is summed as it is made, so that it never is as large as the inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fngen.buffers import is_cheap
from fngen.extents import Extents
from fngen.ir import Value, name, postorder, substitute, value
from fngen.spans import over

CONTRACT = "contract"
"""A product and the shape that it is summed to; with a ``_`` its first factor may hold the result."""
TOTAL = "total"
"""A gradient and the shape that it is summed to."""


@dataclass(frozen=True)
class Learned:
    """What a gradient of a parameter is summed to.

    Attributes:
        shape: The name of the parameter's shape.
        inner: Whether there are dimensions on either side of its own: over these at once torch sums badly.
    """

    shape: str
    inner: bool


def contracted(
    roots: Sequence[Value],
    params: Sequence[str],
    learned: Mapping[str, Learned],
    extents: Extents,
    more: Mapping[str, int],
) -> list[Value]:
    """Return gradients, those of parameters summed as they are made where they are products.

    Args:
        roots: The gradients, operators in place among them.
        params: For each the parameter that it is of; nothing, if it is of none.
        learned: The parameters.
        extents: Of the inputs.
        more: The masks of names that are no inputs.
    """
    masks = extents.depends(roots, more)
    uses = Counter([*roots, *(a for n in masks for a in n.args)])
    found = []
    for root, param in zip(roots, params, strict=True):
        if not param:
            found.append(root)
            continue
        chain, shape = _chain(root, uses, masks, extents.bits[param]), name(learned[param].shape)
        images = ((node, _contraction(node, masks, shape)) for node in reversed(chain))
        whole = value(TOTAL, root, shape) if learned[param].inner and root.op != "sum" else root
        found.append(next((substitute(root, {node: image}) for node, image in images if image), whole))
    return found


def _chain(root: Value, uses: Mapping[Value, int], masks: Mapping[Value, int], own: int) -> list[Value]:
    """Return a gradient and what is in it, down past all that may as well be done after a sum.

    Of two factors one may be that is made of numbers and of the parameter alone; and nothing else reads
    the product, or what does works it out for itself.
    """
    chain: list[Value] = []
    inside = Counter([root, *(a for n in postorder([root]) for a in n.args)])
    node = root
    while inside[node] == 1 and (uses[node] == 1 or is_cheap(node)) and _is_linear(node):
        chain.append(node)
        places = node.args if node.op == "mul" else node.args[:1]
        same = [a for a in places if all(masks[b] | own == own for b in node.args if b is not a)]
        if not same:
            break
        node = same[0]
    return chain


def _is_linear(node: Value) -> bool:
    """Say whether a node is of a sum what it is of the terms, but for one of its factors."""
    return node.op.removesuffix("_") in ("neg", "mul", "div") or (node.op == "sum" and over(node).keepdim)


def _contraction(node: Value, masks: Mapping[Value, int], shape: Value) -> Value | None:
    """Return a product as it is summed; its first factor has to be as large as itself."""
    if node.op not in ("mul", "mul_"):
        return None
    large, other = sorted(node.args, key=lambda a: masks[a] != masks[node])
    if masks[large] != masks[node]:
        return None
    return value(node.op.replace("mul", CONTRACT), large, other, shape)
