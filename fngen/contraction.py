"""Gradients of parameters: what is summed is made slice by slice, and never is as large as the inputs.

A product of two tensors is summed as torch's ``addcmul`` makes it. Any other expression is worked out for
each slice by itself, so that all that it is made of is small too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fngen.buffers import is_cheap
from fngen.extents import Extents
from fngen.ir import CONTRACT, SLICED, Over, Value, inside, name, postorder, substitute, value
from fngen.lower import MARGIN
from fngen.printing.infix import Printer
from fngen.spans import over

TOTAL = "total"
"""A gradient and the shape that it is summed to."""
_WHOLE = frozenset({"expand", "sum_to", "full_like"})
"""Operators of which a slice is not worked out by itself."""
_SHORT, _NUMBERED = "u", "term_100"
"""Names as long as those that terms are given, and as long as where there are many."""
_MANY = 100
"""Nodes from which there may be more terms than short names."""


@dataclass(frozen=True)
class Learned:
    """What a gradient of a parameter is summed to.

    Attributes:
        shape: The name of the parameter's shape.
        inner: Whether there are dimensions on either side of its own: over these at once torch sums badly.
    """

    shape: str
    inner: bool


class Contraction:
    """How gradients are summed.

    Args:
        roots: The gradients.
        learned: The parameters.
        extents: Of the inputs.
        more: The masks of names that are no inputs.
        labels: The names that the user gave to terms.
        printer: The printer of the backend.
        indent: The column at which statements start.
    """

    def __init__(
        self,
        roots: Sequence[Value],
        learned: Mapping[str, Learned],
        extents: Extents,
        more: Mapping[str, int],
        labels: Mapping[Value, str],
        printer: Printer,
        indent: int,
    ) -> None:
        self.roots, self.learned, self.extents = roots, learned, extents
        self.labels, self.printer, self.room = labels, printer, MARGIN - indent - len("    ")
        self.masks = extents.depends(roots, more)
        self.term = _SHORT if len(self.masks) < _MANY else _NUMBERED
        self.uses = Counter([*roots, *(a for n in self.masks for a in n.args)])
        self.no_size = extents.batch
        for x in learned:
            self.no_size |= extents.bits[x]

    def summed(self, root: Value, param: str) -> Value:
        """Return the gradient of a parameter as it is summed; by torch, where nothing else is better."""
        shape, own = name(self.learned[param].shape), self.extents.bits[param]
        chain = self.chain(root, own)
        products = [n for n in reversed(chain) if n.op == "mul" and self.large(n)][:1]
        top = next((n.args[0] for n in reversed(chain) if n.op == "sum"), root)
        at_hand = all(self.is_at_hand(a) for n in products for a in n.args)
        if not (products and at_hand) and (sliced := self.sliced(top, shape, own)):
            return substitute(root, {top: sliced})
        if products:
            (node,) = products
            return substitute(root, {node: value(CONTRACT, *self.large(node), shape)})
        return value(TOTAL, root, shape) if self.learned[param].inner and root.op != "sum" else root

    def chain(self, root: Value, own: int) -> list[Value]:
        """Return a gradient and what is in it, down past all that may as well be done after a sum.

        Of two factors one may be that is made of numbers and of the parameter alone; and nothing else reads
        the product, or what does works it out for itself.
        """
        found: list[Value] = []
        uses = Counter([root, *(a for n in postorder([root]) for a in n.args)])
        node = root
        while uses[node] == 1 and (self.uses[node] == 1 or is_cheap(node)) and _is_linear(node):
            found.append(node)
            places = node.args if node.op == "mul" else node.args[:1]
            same = [a for a in places if all(self.masks[b] | own == own for b in node.args if b is not a)]
            if not same:
                break
            node = same[0]
        return found

    def large(self, node: Value) -> list[Value]:
        """Return the factors of a product, one first that is as large as itself; nothing, if neither is."""
        factors = sorted(node.args, key=lambda a: self.masks[a] != self.masks[node])
        return factors if self.masks[factors[0]] == self.masks[node] else []

    def is_at_hand(self, node: Value) -> bool:
        """Say whether a factor is there without being made for this sum."""
        return not node.args or (self.uses[node] > 1 and not is_cheap(node))

    def sliced(self, top: Value, shape: Value, own: int) -> Value | None:
        """Return a gradient as it is worked out slice by slice; nothing, if it takes more than a line.

        Of the parameter no slices are taken: the sum is over dimensions that it does not have.
        """
        if not _is_pointwise(top):
            return None
        slices: dict[Value, None] = {}
        whole = self.masks[top] & ~self.no_size
        stack = [top]
        while stack:
            node = stack.pop()
            if self.masks[node] | own == own:
                continue
            here = is_cheap(node) or self.uses[node] == 1
            if node is top or (_is_pointwise(node) and here and self.masks[node] & whole == whole):
                stack.extend(reversed(node.args))
            else:
                slices[node] = None
        found = value(SLICED, top, shape, *slices)
        # Otherwise the parameter may be larger than all that slices are taken of.
        is_largest = not any(self.masks[n] & own == own for n in slices)
        return found if self.is_short(found) and not is_largest else None

    def is_short(self, node: Value) -> bool:
        """Say whether what is worked out for each slice has room in a line."""
        body, _, *slices = node.args
        labels = {n: self.label(n) for n in slices}
        text = self.printer.print(substitute(body, {n: name(x) for n, x in labels.items()}))
        return len(f"lambda {', '.join(labels.values())}: {text},") <= self.room

    def spared(self, images: Mapping[Value, Value]) -> set[Value]:
        """Return what of slices takes a buffer of its own: no operand is as large, or the line is too short.

        Args:
            images: Of each node the one that may be in place.
        """
        found = set[Value]()
        for node in images:
            if node.op == SLICED:
                whole = self.masks[node.args[0]] & ~self.extents.batch
                long = not self.is_short(images[node])
                found |= {n for n in inside(node) if long or self.masks[n] & ~self.extents.batch != whole}
        return found

    def label(self, node: Value) -> str:
        """Return a name as long as that of the term, if it is none itself."""
        if node.op == "name" or node in self.labels:
            return self.labels.get(node) or str(node.datum)
        described = node.op if len(node.args) == 1 else "squared" if node.op == "pow" else ""
        first = str(node.args[0].datum) if node.args[0].op == "name" else self.term
        return f"{described}_{first}" if described else self.term


def _is_linear(node: Value) -> bool:
    """Say whether a node is of a sum what it is of the terms, but for one of its factors."""
    return node.op in ("neg", "mul", "div") or (node.op == "sum" and over(node).keepdim)


def _is_pointwise(node: Value) -> bool:
    """Say whether a slice of a node is made of slices."""
    return bool(node.args) and not isinstance(node.datum, Over) and node.op not in _WHOLE
