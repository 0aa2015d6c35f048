"""The derivatives of a formula, as the stages after differentiation take them."""

from __future__ import annotations

from dataclasses import dataclass

from fngen.ir import Value

COTANGENT = "cotangent!"
"""The name of the result's cotangent in a gradient; that of ``x``'s tangent in a tangent is ``x!``."""


def cotangent_of(place: int) -> str:
    """Return the name of the cotangent of one of several outputs."""
    return f"cotangent {place}!"


@dataclass(frozen=True)
class Derivatives:
    """What a node's rules are made of.

    Attributes:
        slopes: The partial derivative by each input; of a formula with reductions inside, the gradient.
        tangents: The tangent of each output of such a formula; others have sums of slopes times tangents.
    """

    slopes: tuple[Value, ...]
    tangents: tuple[Value, ...] = ()
