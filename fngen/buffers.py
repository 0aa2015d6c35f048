"""In-place operators where a result is used once: the buffer of an operand serves again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from fngen.backends.torch import IN_PLACE
from fngen.ir import CONDITIONS, LEAVES, Value, postorder, rebuild, value

_COMMUTATIVE = frozenset({"add", "mul"})
_ARITHMETIC = frozenset({"add", "sub", "mul", "div", "neg", "pow"})


def reuse(
    roots: Sequence[Value], masks: Mapping[Value, int], kept: Collection[Value] = ()
) -> dict[Value, Value]:
    """Return every node's image, ``mul(u, x)`` as ``mul_(u, x)`` where nothing else reads ``u``.

    A buffer must have the shape and type of the result, whatever is broadcast or batched:
    it has if it depends on the same inputs.

    Args:
        roots: What is computed.
        masks: For each node the inputs that it depends on, as a bit mask.
        kept: Nodes whose results are needed afterwards.
    """
    order = postorder(roots)
    uses = dict.fromkeys(order, 0)
    for node in [*roots, *(a for n in order for a in n.args)]:
        uses[node] += 1

    def owned(node: Value, arg: Value) -> bool:
        fresh = arg.op not in LEAVES and arg.op not in CONDITIONS and arg not in kept
        return fresh and uses[arg] == 1 and masks[arg] == masks[node] != 0

    def same_layout(node: Value) -> bool:
        # The first operand has the say in the memory format of the result.
        return masks[node].bit_count() == 1 or not masks[node.args[0]]

    need = _buffers_alive(order)
    images: dict[Value, Value] = {}
    for node in order:
        args = [images[a] for a in node.args]
        images[node] = rebuild(node, args) if args else node
        if node.op not in _ARITHMETIC and node.op not in IN_PLACE:
            continue
        swap = node.op in _COMMUTATIVE and owned(node, node.args[1]) and same_layout(node)
        if swap and (need[node.args[1]] > need[node.args[0]] or not owned(node, node.args[0])):
            images[node] = value(f"{node.op}_", args[1], args[0])
        elif owned(node, node.args[0]):
            images[node] = value(f"{node.op}_", *args)
        elif node.op == "div" and not masks[node.args[0]] and owned(node, node.args[1]):
            # As torch itself computes c/x.
            inverse = value("reciprocal_", args[1])
            one = node.args[0].op == "number" and node.args[0].datum == 1
            images[node] = inverse if one else value("mul_", inverse, args[0])
    return images


def _buffers_alive(order: Sequence[Value]) -> dict[Value, int]:
    """Return how many buffers a node needs while it is computed: the operand that needs more goes first.

    R. Sethi and J. D. Ullman, The generation of optimal code for arithmetic expressions, 1970.
    """
    need: dict[Value, int] = {}
    for node in order:
        most = sorted((need[a] for a in node.args), reverse=True)
        need[node] = max((n + i for i, n in enumerate(most)), default=0) or int(bool(node.args))
    return need
