"""Kernels as data: passes over the elements, or over rows, in a language."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from fngen.constants import Constant
from fngen.lower import Body
from fngen.printing.infix import Printer


@dataclass(frozen=True)
class Language:
    """How a pass is written down.

    Attributes:
        printer: What prints graphs, given a name of the type to compute in, and the constants.
        let: The columns that a statement takes beside its text.
        result: The columns that are left for the text of the result of a place and a name.
        helper: The same of what a helper returns.
        rows: Whether a pass may have sums over rows in it.
    """

    printer: Callable[[str, Collection[str]], Printer]
    let: int
    result: Callable[[int, str], int]
    helper: int
    rows: bool = False


@dataclass(frozen=True)
class Pass:
    """A function of one element.

    Attributes:
        name: Its name.
        reads: The arrays that it reads, by name.
        results: What it works out, by name.
        numbers: The names of the numbers that it takes, and the text of each in Python.
        count: The name of the number of elements in a row, if it takes that.
        narrow: The results that are one of a row, not of an element.
        body: The statements.
    """

    name: str
    reads: tuple[str, ...]
    results: tuple[str, ...]
    numbers: dict[str, str]
    count: str
    narrow: tuple[str, ...]
    body: Body


@dataclass(frozen=True)
class Kernels:
    """The passes of a layer.

    Attributes:
        value: That of the value.
        gradients: That of all gradients.
        seconds: That of the gradients of these, if there is one.
        leaves: The node's names of what the gradients read, beside the cotangent.
        shapes: Those of learnable parameters that are read for their shape alone.
        users: For each of the leaves the inputs whose gradients read it, as a bit mask.
        constants: The irrational numbers by name.
        library: The functions of C's library that they call.
        helpers: The functions that the source defines: name, parameters and statements.
        rows: Whether a tile has whole rows in it.
        narrow: Whether the value is one of a row, not of an element.
    """

    value: Pass
    gradients: Pass
    seconds: Pass | None
    leaves: tuple[str, ...]
    shapes: tuple[str, ...]
    users: tuple[int, ...]
    constants: tuple[Constant, ...]
    library: tuple[str, ...]
    helpers: tuple[tuple[str, tuple[str, ...], Body], ...]
    rows: bool
    narrow: bool

    @property
    def passes(self) -> tuple[Pass, ...]:
        """All of them."""
        return (self.value, self.gradients, *([self.seconds] if self.seconds else ()))

    @property
    def python(self) -> tuple[str, ...]:
        """The numbers that Python hands to them."""
        return tuple(text for p in self.passes for text in p.numbers.values())
