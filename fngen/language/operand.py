"""What the parser passes to the builder: a node with its place, and a call as written."""

from __future__ import annotations

from dataclasses import dataclass

from fngen.ir import CONDITIONS, Value
from fngen.language.tokens import Token


@dataclass(frozen=True, slots=True)
class Operand:
    """A node and the place in the text that it was read from."""

    node: Value
    start: int
    end: int
    chain: Value | None = None
    """The right side of an unbracketed comparison, for ``a < b < c``."""
    pair: tuple[Operand, ...] = ()
    """The members of a bracketed list: a case of Piecewise, or dimensions."""

    @property
    def is_condition(self) -> bool:
        """Whether this is a truth value and not a number."""
        return self.node.op in CONDITIONS


@dataclass(frozen=True, slots=True)
class Call:
    """A call as written, its arguments read."""

    token: Token
    args: tuple[Operand, ...]
    keywords: dict[str, Operand]
    end: int
