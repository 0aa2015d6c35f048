"""Which form is looked at next: a search that follows the best one alone misses what is better in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fngen.ir import Value

Step = tuple[Value, str]
"""A form, and why it may be better."""


class Frontier:
    """Forms of which more can be made.

    They have their turns one after another: the best, the best of those of which nothing was made yet, and
    the first.
    """

    def __init__(self) -> None:
        self.steps: dict[Value, Iterator[Step]] = {}
        self.order: dict[Value, float] = {}
        self.fresh: dict[Value, None] = {}
        self.turn = 0

    def __bool__(self) -> bool:
        return bool(self.steps)

    def add(self, form: Value, steps: Iterator[Step], order: float) -> None:
        """Add a form, and what can be made of it; the least in order is the best."""
        self.steps[form], self.order[form], self.fresh[form] = steps, order, None

    def rank(self, order: Callable[[Value], float]) -> None:
        """Put the forms in another order."""
        self.order = {form: order(form) for form in self.steps}

    def next(self) -> tuple[Value, Iterator[Step]]:
        """Return the form whose turn it is, and what is left to be made of it."""
        some = (self.steps, self.fresh or self.steps, [next(iter(self.steps))])[self.turn % 3]
        here = min(some, key=self.order.__getitem__)
        self.turn += 1
        self.fresh.pop(here, None)
        return here, self.steps[here]

    def drop(self, form: Value) -> None:
        """Take away a form of which nothing more can be made."""
        del self.steps[form]
