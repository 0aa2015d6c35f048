"""The derivatives of a formula, as the stages after differentiation take them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fngen.ir import Value

COTANGENT = "the cotangent!"
"""The name of the result's cotangent in a gradient; that of ``x``'s tangent in a tangent is ``x!``."""


def cotangent_of(place: int) -> str:
    """Return the name of the cotangent of one of several outputs."""
    return f"cotangent {place}!"


def cotangent_at(place: int) -> str:
    """Return the name of the cotangent of a joint."""
    return f"cotangent at {place}!"


@dataclass(frozen=True)
class Joint:
    """Where cotangents meet: an output, or something that several outputs are made of.

    Attributes:
        graph: What it is, in terms of the inputs.
        output: Which output it is, or None.
        targets: What it is made of: the places of inputs, and after these the places of joints.
        slopes: Its derivative by each of them; of a formula with reductions inside, the cotangent that
            arrives there.
        quick: The same in the cheapest form.
        cotangent: The name of its cotangent.
    """

    graph: Value
    output: int | None
    targets: tuple[int, ...]
    slopes: tuple[Value, ...]
    quick: tuple[Value, ...] = ()
    cotangent: str = ""

    @property
    def graphs(self) -> tuple[Value, ...]:
        """All that it holds."""
        return (self.graph, *self.slopes, *self.quick)

    def mapped(self, images: Iterator[Value]) -> Joint:
        """Return the joint with other graphs, taken from a stream."""
        graph = next(images)
        slopes = tuple(next(images) for _ in self.slopes)
        return replace(self, graph=graph, slopes=slopes, quick=tuple(next(images) for _ in self.quick))


@dataclass(frozen=True)
class Derivatives:
    """What a node's rules are made of.

    Attributes:
        slopes: The partial derivative by each input; of a formula with reductions inside, the gradient.
        tangents: The tangent of each output of such a formula; others have sums of slopes times tangents.
        seconds: For each slope its derivatives by every input, where it needs a node with those; or None.
        reasons: Why the value and each slope have the form that they have.
        quick: The slopes in forms that have more in common with the value, if there are such.
        joints: Of several outputs, where their cotangents meet; each before what it is made of.
    """

    slopes: tuple[Value, ...]
    tangents: tuple[Value, ...] = ()
    joints: tuple[Joint, ...] = ()
    seconds: tuple[tuple[Value, ...] | None, ...] = ()
    reasons: tuple[tuple[str, ...], ...] = ()
    quick: tuple[Value, ...] = ()
