"""What the node for plain tensors is made of: a formula, and how cotangents go through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fngen.contraction import Learned
from fngen.extents import Extents
from fngen.ir import Value
from fngen.lower import Target


@dataclass(frozen=True)
class Pull:
    """How a cotangent goes through a formula, or from a joint to what that is made of.

    Attributes:
        root: What it is the cotangent of.
        cotangent: Its name.
        slopes: The partial derivatives, as a second derivative starts from them.
        quick: The same in the cheapest form.
        targets: Makes of partial derivatives their products with the cotangent.
        masks: For each of them the inputs whose gradients need it, as a bit mask.
        wanted: All inputs whose gradients need the cotangent.
        outputs: The outputs from which a cotangent comes here, as a bit mask.
        scalar: Whether the cotangent is a number, whatever the shape of the inputs.
        exact: Whether it has the shape and the type of ``root``.
    """

    root: Value
    cotangent: str
    slopes: tuple[Value, ...]
    quick: tuple[Value, ...]
    targets: Callable[[Sequence[Value]], list[Target]]
    masks: tuple[int, ...]
    wanted: int
    outputs: int = 1
    scalar: bool = False
    exact: bool = True


@dataclass(frozen=True)
class Formula:
    """A node's formula and what its bodies must respect.

    Attributes:
        roots: The formula, or those of several outputs.
        rooms: The columns that the statement of each leaves for it.
        pulls: How cotangents go through it.
        extents: Of its inputs.
        budget: What autograd of the plain formula would save.
        output: The name of the output.
        leaves: What a second derivative starts from: some inputs, or the output.
        named: The user's names.
        always: Of leaves that are read beside the derivatives, the inputs for whose gradients, as a bit mask.
        taken: Identifiers in use.
        learned: The learnable parameters among its inputs.
        lean: Whether to keep the leaves only.
        indent: The column at which the statements of its gradients start.
    """

    roots: tuple[Value, ...]
    rooms: tuple[int, ...]
    pulls: tuple[Pull, ...]
    extents: Extents
    budget: tuple[int, ...]
    output: str
    leaves: tuple[str, ...]
    named: Mapping[Value, str]
    always: Mapping[str, int]
    taken: frozenset[str]
    learned: Mapping[str, Learned]
    lean: bool
    indent: int = 12

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of its inputs."""
        return self.extents.inputs

    @property
    def reach(self) -> list[int]:
        """For each cotangent the outputs from which it comes."""
        return [pull.outputs for pull in self.pulls]

    @property
    def quick(self) -> list[Value]:
        """Its derivatives as the node has them."""
        return [s for p in self.pulls for s in (p.slopes if self.lean else p.quick)]

    @property
    def graphs(self) -> list[Value]:
        """All that it holds."""
        inside = [graph for p in self.pulls for graph in (p.root, *p.slopes, *p.quick)]
        return [*self.roots, *self.named, *inside]

    def mapped(self, images: Iterator[Value]) -> Formula:
        """Return the formula with other graphs, taken from a stream."""

        def several(graphs: Iterable[Value]) -> tuple[Value, ...]:
            return tuple(next(images) for _ in graphs)

        roots, named = several(self.roots), dict(zip(several(self.named), self.named.values(), strict=True))
        pulls = tuple(
            replace(p, root=next(images), slopes=several(p.slopes), quick=several(p.quick))
            for p in self.pulls
        )
        return replace(self, roots=roots, named=named, pulls=pulls)
