"""Arithmetic of a backward as the kernels that torch has for several operators at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from fngen.buffers import Buffers, buffers_alive
from fngen.factors import bounded, logistic, unit_sum
from fngen.ir import Over, Value, is_number, rebuild, value
from fngen.spans import over


def fuse(
    roots: Sequence[Value], masks: Mapping[Value, int], small: Collection[str], batched: int = 0
) -> list[Value]:
    """Return ``roots`` with ``addcmul(a, b, c)`` for ``a + b*c``, and torch's own backward kernels.

    Args:
        roots: What is computed.
        masks: For each node the inputs that it depends on, as a bit mask.
        small: Names that stand for numbers of moderate size.
        batched: The bits of what may be batched alone: they say nothing of a shape.
    """
    fusion = _Fusion(roots, masks, small, batched)
    images: dict[Value, Value] = {}
    for node in fusion.order:
        node_as = fusion.product(node) or fusion.sum(node) or node
        images[node] = rebuild(node_as, [images[a] for a in node_as.args]) if node_as.args else node_as
    return [images[root] for root in roots]


class _Fusion(Buffers):
    def __init__(
        self, roots: Sequence[Value], masks: Mapping[Value, int], small: Collection[str], batched: int
    ) -> None:
        super().__init__(roots, masks)
        self.small, self.batched = small, batched
        self.bounded = bounded(self.order, small)
        self.need = buffers_alive(self.order)

    def inside(self, node: Value) -> bool:
        """Say whether one node alone reads a node."""
        return len(self.users[node]) == 1 and node not in self.roots

    def product(self, node: Value) -> Value | None:
        """Return a product with the derivative of a sigmoid or tanh, or with ``1 + m``, as one kernel."""
        if node.op != "mul":
            return None
        if softmax := self.softmax(node):
            return softmax
        for p, factor in (node.args, reversed(node.args)):
            # What fills the whole shape comes first: torch takes a lone number of another device only last.
            if not self.inside(factor) or not self.is_alike(node, p):
                continue
            if (s := logistic(factor)) and self.masks[s]:
                return value("sigmoid_backward", p, s)
            m = unit_sum(factor)
            if m is None or not self.masks[m]:
                continue
            if factor.op == "sub" and m.op == "pow" and self.is_small(m.args[0]) and is_number(m.args[1], 2):
                return value("tanh_backward", p, m.args[0])
            # inf - inf*m has no value where inf*(1 - m) has one; and p would wait for a costly m.
            if self.bounded[p] and (not p.args or self.need[m] < 2):
                return _addcmul(factor, p, p, m)
        return None

    def softmax(self, node: Value) -> Value | None:
        """Return the product ``y*(p - sum(p*y))`` as the kernel for a softmax's backward."""
        for y, rest in (node.args, reversed(node.args)):
            if rest.op != "sub" or rest.args[1].op != "sum" or not self.inside(rest):
                continue
            p, total = rest.args
            dims = over(total).dims
            alike = total.args[0].op == "mul" and set(total.args[0].args) == {p, y}
            # The kernel broadcasts nothing.
            alike = alike and self.masks[p] & ~self.batched == self.masks[y] & ~self.batched
            if alike and dims is not None and len(dims) == 1:
                return value("softmax_backward", p, y, p, datum=Over(dims))
        return None

    def is_small(self, node: Value) -> bool:
        """Say whether a node is a result of moderate size that the forward has saved."""
        return node.op == "name" and node.datum in self.small

    def sum(self, node: Value) -> Value | None:
        """Return ``a + b*c`` as one kernel, unless the sum could be left in the buffer of ``b*c``."""
        if node.op not in ("add", "sub"):
            return None
        orders = [node.args, node.args[::-1]][: 2 if node.op == "add" else 1]
        for a, product in sorted(orders, key=lambda order: not self.needs_no_buffer(order[0])):
            if product.op != "mul" or not self.inside(product) or not self.is_alike(node, a):
                continue
            wide = [x for x in product.args if self.is_alike(node, x)]
            rest = [x for x in product.args if x is not wide[0]] if wide else []
            better = self.owned(node, a) or (a is node.args[0] and not self.swaps(node))
            if rest and self.masks[rest[0]] and better:
                return _addcmul(node, a, wide[0], rest[0])
        return None

    def needs_no_buffer(self, node: Value) -> bool:
        """Say whether a product is left in the buffer of a factor."""
        return node.op == "mul" and any(self.owned(node, arg) for arg in node.args)


def _addcmul(node: Value, a: Value, b: Value, c: Value) -> Value:
    return value("addcmul", a, b, c, datum=Fraction(1 if node.op == "add" else -1))
