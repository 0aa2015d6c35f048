"""What is certainly no real number, and what cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any


class Outcome(Enum):
    """Why there is no number."""

    UNDEFINED = "undefined"
    """There is none: outside of the domain, or at a jump or a pole that has two sides."""
    KINK = "kink"
    """The two sides have different derivatives."""
    UNDECIDED = "undecided"
    """The precision did not suffice to tell."""


class Nowhere:
    """The result of a function outside of its domain; whatever is made of it is the same."""

    def _same(self, *_: object) -> Nowhere:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _same
    __neg__ = __abs__ = __pow__ = __rpow__ = _same

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._same


NOWHERE = Nowhere()
