"""A formula cut into segments: what lies between reductions, differentiated as a formula of its own.

A small formula is cut at its reductions only. A bigger one has joints, too, where gradients meet: what
several segments read, and every so many operations. So it costs a small multiple of its own size.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fngen.ir import CONDITIONS, LEAVES, REDUCTIONS, Value, is_number, name, names, postorder, substitute_all

LARGE = 48
"""What the segments of a formula read, one by one, beyond which it has joints."""
PIECE = 16
"""Operations between joints."""


Partials = tuple[Value, ...]
"""The derivative by a variable; in complex numbers there are several."""
Rule = Callable[[Value, Sequence[str], Collection[Value]], list[Partials]]
"""Returns the derivatives of a formula by some variables; what was named, and radicands, stay whole."""


@dataclass(frozen=True)
class Segment:
    """A part of a formula, and its derivatives by each input, reduction and joint in it.

    Attributes:
        end: The reduction that takes it or the joint that it is; None for the formula itself.
        graph: What is differentiated.
        slopes: The derivatives that are not 0.
    """

    end: Value | None
    graph: Value
    slopes: Mapping[Value, Partials]


class Segments:
    """The segments of a formula.

    Args:
        root: The formula.
        inputs: What it is differentiated by; what depends on none of them is a constant.
        named: The intermediates that the user named.
    """

    def __init__(self, root: Value, inputs: Collection[str], named: Collection[Value]) -> None:
        self.root, self.inputs, self.named = root, inputs, set(named)
        order = postorder([root])
        self.varies = _varying(order, inputs)
        reductions = [n for n in order if n.op in REDUCTIONS]
        self.joints: Collection[Value] = set()
        self.counts = [n for n in order if n.op == "count"]
        self._cut(reductions)
        if sum(len(self._leaves(end)) for end in (None, *reductions)) > LARGE:
            self.joints = joints(order, self.varies)
            self._cut([n for n in order if n.op in REDUCTIONS or n in self.joints])

    def _cut(self, ends: Sequence[Value]) -> None:
        self.ends = [end for end in ends if end in self.varies]
        self.holes = {end: name(f"end {i}!") for i, end in enumerate([*ends, *self.counts])}
        self.actual = {hole: end for end, hole in self.holes.items()}
        self.variables = {*self.inputs, *(str(self.holes[end].datum) for end in self.ends)}

    def segments(self, partials: Rule) -> Iterator[Segment]:
        """Yield the segments, each before what it is made of."""
        for end in (None, *reversed(self.ends)):
            yield self._segment(end, partials)

    def _segment(self, end: Value | None, partials: Rule) -> Segment:
        graph, inside = self._inside(end)
        holes = {n: self.holes[n] for n in inside if n in self.holes and n is not end}
        marked = [n for n in inside if n in self.named and n.args and n not in holes]
        local, *cuts = substitute_all([graph, *marked], holes)
        cuts += [n.args[0] for n in postorder([local]) if n.op in _POWERS and n.args[0].op in ("add", "sub")]
        variables = [x for x in names([local]) if x in self.variables]
        found = partials(local, variables, cuts)
        leaves = [self.actual.get(name(x), name(x)) for x in variables]
        slopes = {leaf: tuple(substitute_all(s, self.actual)) for leaf, s in zip(leaves, found, strict=True)}
        wanted = {leaf: s for leaf, s in slopes.items() if not all(is_number(d, 0) for d in s)}
        return Segment(end, graph, wanted)

    def _inside(self, end: Value | None) -> tuple[Value, list[Value]]:
        """Return the graph of a segment, and its nodes down to other segments'."""
        graph = self.root if end is None else end.args[0] if end.op in REDUCTIONS else end
        seen, stack = dict[Value, None](), [graph]
        while stack:
            node = stack.pop()
            if node not in seen:
                seen[node] = None
                stack += [] if node in self.holes and node is not end else node.args
        return graph, list(seen)

    def _leaves(self, end: Value | None) -> list[Value]:
        return [n for n in self._inside(end)[1] if n in self.holes or n.datum in self.inputs]


_POWERS = frozenset({"sqrt", "rsqrt", "pow"})


def joints(order: Sequence[Value], varies: Collection[Value]) -> set[Value]:
    """Return the nodes of a formula at which the gradients of several segments meet, and those of pieces."""
    root = order[-1]
    readers: dict[Value, set[Value]] = {n: set() for n in order}
    shared = set[Value]()
    for node in reversed(order):
        able = node in varies and node.args and node.op not in CONDITIONS
        if able and node.op not in REDUCTIONS and len(readers[node]) > 1:
            shared.add(node)
        own = node is root or node.op in REDUCTIONS or node in shared
        for arg in node.args:
            readers[arg] |= {node} if own else readers[node]
    return shared | _pieces(order, shared, varies)


def _pieces(order: Sequence[Value], shared: Collection[Value], varies: Collection[Value]) -> set[Value]:
    """Return nodes that have so many operations below them, down to others of the kind."""
    found, sizes = set[Value](), dict[Value, int]()
    for node in order:
        small = node not in varies or node.op in LEAVES or node.op in REDUCTIONS or node in shared
        sizes[node] = 0 if small else 1 + sum(sizes[a] for a in node.args)
        if sizes[node] >= PIECE and node.op not in CONDITIONS:
            found.add(node)
            sizes[node] = 0
    return found


def _varying(order: Sequence[Value], inputs: Collection[str]) -> set[Value]:
    found = set[Value]()
    for node in order:
        if node.op == "count":
            continue  # Of elements, whatever their values are.
        if node.datum in inputs if node.op == "name" else not found.isdisjoint(node.args):
            found.add(node)
    return found
