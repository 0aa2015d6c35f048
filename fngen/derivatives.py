"""The derivatives of a formula, as the stages after differentiation take them."""

from __future__ import annotations

from dataclasses import dataclass

from fngen.ir import Value

COTANGENT = "cotangent!"
"""The name of the result's cotangent in a gradient; that of ``x``'s tangent in a tangent is ``x!``."""


@dataclass(frozen=True)
class Derivatives:
    """What a node's rules are made of.

    Attributes:
        slopes: The partial derivative by each input; of a formula with reductions inside, the gradient.
        tangent: The tangent of such a formula; that of others is the sum of slopes times tangents.
    """

    slopes: tuple[Value, ...]
    tangent: Value | None = None

    @property
    def tangents(self) -> tuple[Value, ...]:
        """The tangent, if there is one."""
        return () if self.tangent is None else (self.tangent,)
