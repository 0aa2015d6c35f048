"""How long the names in a body live: one whose value is read no longer may name another.

So people write it, ``u = u * x``, and the memory of the old value is free from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from fngen.ir import Value

Time = tuple[int, int]
"""A point in a body: 0 for what targets share or the number of the one target, then the place."""


class Lifetimes:
    """When each node of a body is computed, at the earliest and the latest, and read for the last time.

    Args:
        order: The nodes, arguments first.
        roots: The targets.
        reached: For each node the targets that it is computed for, as a bit mask.
        named: The nodes that will have a name.
        lasting: Those of them that are needed after the body.
        repeated: Says of a node whether each target computes it anew.
    """

    def __init__(
        self,
        order: Sequence[Value],
        roots: Collection[Value],
        reached: Mapping[Value, int],
        named: Collection[Value],
        lasting: Collection[Value],
        repeated: Callable[[Value], bool],
    ) -> None:
        never, lasting = (len(roots) + 1, 0), {*roots, *lasting}
        self.starts, self.done = dict[Value, Time](), dict[Value, Time]()
        self.reads: dict[Value, Time] = dict.fromkeys(order, (0, 0))
        self.ends: dict[str, Time] = {}
        for place, node in reversed(list(enumerate(order))):
            mask = reached[node]
            start = self.starts[node] = (0 if mask & (mask - 1) else mask.bit_length(), place)
            # Without a name a node is computed where the one that reads it is.
            done = start if node in named else never if repeated(node) else self.reads[node]
            if node in lasting:
                done = done if node in named else (mask.bit_length(), len(order))
                self.reads[node] = never
            self.done[node] = done
            for arg in node.args:
                self.reads[arg] = max(self.reads[arg], done)

    def free(self, node: Value, result: str, results: Collection[str]) -> str | None:
        """Return a name that is not in use while the value of a node is.

        Args:
            node: The node.
            result: The name of the result that it is a part of, which comes first; or nothing.
            results: The names of all results: they hold their values to the end.
        """
        start = self.starts[node]
        if result and start >= self.ends.get(result, start):
            return result
        return next((x for x, end in self.ends.items() if start >= end and x not in results), None)

    def add(self, label: str, node: Value) -> None:
        """Record that a node has a name which others may have after it."""
        self.ends[label] = max(self.ends.get(label, (0, 0)), self.reads[node])
