"""What the rules of a node take for granted: inputs have one size along what is reduced.

Along other dimensions anything broadcasts. Where an input is broadcast along a reduced one, the sum over
its own elements and the sum over the result's are two different things: there torch's own rules serve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fngen.declared import Param
from fngen.ir import REDUCTIONS, Value, fold, postorder
from fngen.spans import NOTHING, Span, of_inputs, reduced, tracked


@dataclass(frozen=True)
class Alignment:
    """The reduced dimensions and the inputs that run along them.

    Attributes:
        dims: The dimensions that are named.
        every: All dimensions that are told apart.
        inputs: What each input spans, by the node's names; those that span nothing are left out.
        together: Whether every part of the formula has all inputs in it, so that they may be broadcast first.
        params: The dimension that each parameter runs along, by the node's name.
    """

    dims: tuple[int, ...] = ()
    every: Span = NOTHING
    inputs: Mapping[str, Span] | None = None
    together: bool = False
    params: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def front(self) -> int:
        """How many dimensions those counted from the front need."""
        return max((d + 1 for d in self.dims if d >= 0), default=0)

    @property
    def back(self) -> int:
        """How many dimensions those counted from the back need."""
        return max((-d for d in self.dims if d < 0), default=0)

    @property
    def rank(self) -> int:
        """The fewest dimensions at which those named exist."""
        return max(self.front, self.back)

    @property
    def distinct(self) -> int:
        """The fewest dimensions at which none is counted from both ends, if that may happen."""
        along = [d for d in self.params.values() if d is not None]
        front = max([self.front, *(d + 1 for d in along if d >= 0)])
        back = max([self.back, *(-d for d in along if d < 0)])
        if front and back and (self.dims or None in self.every):
            return front + back
        return front if None in self.every else 0

    @property
    def elsewhere(self) -> dict[str, int | None]:
        """The parameters that do not run along all that is reduced, with the dimension of each."""
        whole = None in self.every
        return {x: d for x, d in self.params.items() if whole or set(self.dims) - {d}}

    @property
    def groups(self) -> list[tuple[tuple[int | None, ...], tuple[str, ...]]]:
        """Dimensions along which the same inputs, more than one, must have one size."""
        found: dict[tuple[str, ...], tuple[int | None, ...]] = {}
        for d in sorted(self.every, key=lambda d: (d is None, d)):
            along = tuple(x for x, span in (self.inputs or {}).items() if d in span)
            if len(along) > 1:
                found[along] = (*found.get(along, ()), d)
        return [(dims, along) for along, dims in found.items()]


def alignment(
    roots: Sequence[Value],
    inputs: Mapping[str, str],
    params: Sequence[Param],
    declared: Sequence[Value] = (),
) -> Alignment:
    """Return what a formula's node takes for granted.

    Args:
        roots: The formula, or those of several outputs.
        inputs: The node's name of each input.
        params: The parameters.
        declared: The declared gradients.
    """
    graphs = [*roots, *declared]
    every, named = tracked(graphs, params), reduced(graphs)
    known = {x: span for x, span in of_inputs(inputs, params, every).items() if x in inputs}
    wide = {x for x, span in known.items() if span}
    parts = [p for p in _parts([*roots, *_reduced_in(graphs)], wide) if p]
    full = all(known[x] == every for x in wide)
    return Alignment(
        tuple(sorted(d for d in named if d is not None)),
        every,
        {inputs[x]: span for x, span in known.items() if span},
        full and all(part == wide for part in parts),
        {inputs[p.name]: p.dim for p in params if p.name in inputs},
    )


def _reduced_in(graphs: Sequence[Value]) -> list[Value]:
    return [n.args[0] for n in postorder(graphs) if n.op in REDUCTIONS]


def _parts(tops: Sequence[Value], wide: set[str]) -> list[set[str]]:
    """Return which inputs are in each graph, not below a reduction."""

    def visit(node: Value, args: list[set[str]]) -> set[str]:
        own = {str(node.datum)} & wide if node.op == "name" else set[str]()
        return own if node.op in REDUCTIONS else own.union(*args)

    known = fold(tops, visit)
    return [known[top] for top in tops]
