"""The functions of formulas, for a Python function that fngen reads: ``from fngen.fn import where``.

def gate(x, eps=1e-6, *, beta=1.0):
return where(x > 0, x, 0) / (abs(beta * x) + eps)

fngen.compile(gate)
"""

from __future__ import annotations

from typing import Any

from fngen.ir import value
from fngen.traced import CALLABLE, Traced, function

pi = Traced(value("pi"))


def __getattr__(name: str) -> Any:
    """Return a function of formulas."""
    if name == "__all__":
        return [*sorted(CALLABLE), "pi"]
    if name.startswith("__"):
        raise AttributeError(name)
    return function(name)


def __dir__() -> list[str]:
    """Return the names that are listed."""
    return [*sorted(CALLABLE), "pi"]
