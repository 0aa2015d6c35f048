"""Arithmetic of a backward as the kernels that torch has for several operators at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from fngen.buffers import Buffers, buffers_alive
from fngen.factors import SLOPE, bounded, depending, logistic, unit_sum
from fngen.ir import Over, Value, is_number, rebuild, value
from fngen.kernels import VJP
from fngen.spans import over


def fuse(
    roots: Sequence[Value],
    masks: Mapping[Value, int],
    small: Collection[str],
    cotangent: str,
    batch: int | None = 0,
) -> list[Value]:
    """Return ``roots`` with ``addcmul(a, b, c)`` for ``a + b*c``, and torch's own backward kernels.

    Args:
        roots: What is computed.
        masks: For each node the inputs that it depends on, as a bit mask.
        small: Names that stand for numbers of moderate size.
        cotangent: The name of the output's gradient.
        batch: The bits of a mask that are the cotangent's alone; None if it may be larger than what it
            is the cotangent of.
    """
    fusion = _Fusion(roots, masks, small, cotangent, batch)
    images: dict[Value, Value] = {}
    for node in fusion.order:
        node_as = fusion.product(node) or fusion.sum(node) or node
        images[node] = rebuild(node_as, [images[a] for a in node_as.args]) if node_as.args else node_as
    return [images[root] for root in roots]


class _Fusion(Buffers):
    def __init__(
        self,
        roots: Sequence[Value],
        masks: Mapping[Value, int],
        small: Collection[str],
        cotangent: str,
        batch: int | None,
    ) -> None:
        super().__init__(roots, masks)
        self.small, self.batch = small, batch
        self.bounded = bounded(self.order, small)
        self.need = buffers_alive(self.order)
        self.leads = depending(self.order, cotangent)

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
            # What has the shape or the device of the whole comes first: torch takes a lone number only last.
            if not self.is_alike(node, p) and not (self.leads[p] and factor.op == SLOPE):
                continue
            if factor.op == SLOPE:
                return value(VJP, p, *factor.args, datum=factor.datum)
            if not self.inside(factor):
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
        """Return the product ``y*(p - sum(p*y))`` as the kernel for a softmax's backward.

        It does not broadcast: ``p`` has to have the shape and the type of ``y``.
        """
        for y, rest in (node.args, reversed(node.args)):
            if rest.op != "sub" or rest.args[1].op != "sum" or not self.inside(rest):
                continue
            p, total = rest.args
            dims = over(total).dims
            alike = total.args[0].op == "mul" and set(total.args[0].args) == {p, y}
            if (
                alike
                and dims is not None
                and len(dims) == 1
                and self.batch is not None
                and self.masks[p] & ~self.batch == self.masks[y]
            ):
                return value("softmax_backward", p, y, datum=Over(dims))
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
            if any(x.op == SLOPE for x in product.args):
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
