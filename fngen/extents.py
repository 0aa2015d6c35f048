"""How large each node is, as a bit mask: which inputs it has, and along which reduced dimensions in full.

Nodes of one mask have one shape, whatever the inputs broadcast to. A mask within another is of something
no larger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fngen.ir import REDUCTIONS, Value, fold
from fngen.spans import NOTHING, Span, over


@dataclass(frozen=True)
class Extents:
    """The inputs, and what each spans.

    A mask has a row of bits for the dimensions that no reduction names, then one for each that some does; and
    one that stays, where everything is reduced. The last bit of a row is for the cotangent.

    Attributes:
        inputs: Their names.
        spans: The reduced dimensions that each has in full; nothing, where nothing is reduced.
        every: All dimensions that are reduced.
    """

    inputs: tuple[str, ...]
    spans: Mapping[str, Span] = field(default_factory=dict)
    every: Span = NOTHING

    @property
    def rows(self) -> list[int | str]:
        """What each row of bits is for."""
        named = sorted(d for d in self.every if d is not None)
        return [*(["tensor"] if None in self.every else []), "rest", *named]

    @property
    def width(self) -> int:
        """The bits of a row."""
        return len(self.inputs) + 1

    @property
    def bits(self) -> dict[str, int]:
        """The mask of each input."""
        every = self.every
        return {x: self.mask(i, self.spans.get(x, every)) for i, x in enumerate(self.inputs)}

    def mask(self, column: int, span: Span) -> int:
        """Return the mask of something with a bit of its own."""
        rows = [i for i, d in enumerate(self.rows) if isinstance(d, str) or d in span]
        return sum(1 << (self.width * i + column) for i in rows)

    def along(self, dims: tuple[int, ...] | None) -> int:
        """Return the bits of dimensions; of all of them, for None."""
        rows = [i for i, d in enumerate(self.rows) if (d != "tensor" if dims is None else d in dims)]
        return sum(((1 << self.width) - 1) << (self.width * i) for i in rows)

    @property
    def batched(self) -> int:
        """The last bit of every row."""
        return sum(1 << (self.width * (i + 1) - 1) for i in range(len(self.rows)))

    def cotangent(self, result: int) -> int:
        """Return the mask of a result's cotangent: under vmap it may be batched alone."""
        row = (1 << self.width) - 1
        rows = [i for i in range(len(self.rows)) if not i or result & row << (self.width * i)]
        return result | sum(1 << (self.width * i + self.width - 1) for i in rows)

    def depends(self, roots: Iterable[Value], more: Mapping[str, int] | None = None) -> dict[Value, int]:
        """Return the mask of every node below ``roots``; ``more`` are those of names that are no inputs."""
        known = self.bits | dict(more or {})

        def visit(node: Value, masks: list[int]) -> int:
            if node.op == "count":
                return 0
            if node.op == "sum_to":
                return masks[1]
            mask = known.get(str(node.datum), 0) if node.op == "name" else 0
            for m in masks:
                mask |= m
            return mask & ~self.along(over(node).dims) if node.op in REDUCTIONS else mask

        return fold(roots, visit)
