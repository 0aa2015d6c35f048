"""Kernels as data: loops over the elements, and what is worked out between them, in a language."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from fngen.constants import Constant
from fngen.lower import Body
from fngen.printing.infix import Printer


@dataclass(frozen=True)
class Language:
    """How kernels are written down.

    Attributes:
        printer: What prints graphs, given a name of the type to compute in, and the constants.
        let: The columns that a statement takes beside its text.
        result: The columns that are left for the text of the result of a place and a name.
        helper: The same of what a helper returns.
        tiles: Whether a whole row is at hand, with its sums: all passes over it are one.
        most: The number of arrays that a kernel can have.
    """

    printer: Callable[[str, Collection[str]], Printer]
    let: int
    result: Callable[[int, str], int]
    helper: int
    tiles: bool = False
    most: float = math.inf


@dataclass(frozen=True)
class Loop:
    """A pass over the elements.

    Attributes:
        once: The statements before it, of what is one of a row.
        ones: The names of what they work out.
        each: The statements for an element, if there are any.
        ends: The names of what these work out.
        totals: The names among them of what is reduced, and how.
        usual: The statements for a block in which nothing asks for a rare side, if these take long.
        rare: Those that say whether one does.
    """

    once: Body | None
    ones: tuple[str, ...]
    each: Body | None
    ends: tuple[str, ...]
    totals: dict[str, str]
    usual: Body | None = None
    rare: Body | None = None


@dataclass(frozen=True)
class Kernel:
    """A function of the source.

    Attributes:
        name: Its name.
        reads: The arrays that it reads, by name.
        results: What it works out, by name.
        numbers: The names of the numbers that it takes, and the text of each in Python.
        counts: The names of numbers of elements that it takes: those of a row, or of all.
        narrow: What it reads and works out that is one of a row, not of an element.
        kept: The names of what one loop leaves for later ones, of each element.
        loops: Its passes.
    """

    name: str
    reads: tuple[str, ...]
    results: tuple[str, ...]
    numbers: dict[str, str]
    counts: dict[str, bool]
    narrow: tuple[str, ...]
    kept: tuple[str, ...]
    loops: tuple[Loop, ...]

    @property
    def bodies(self) -> tuple[Body, ...]:
        """All its statements."""
        loops = self.loops
        return tuple(b for loop in loops for b in (loop.once, loop.each, loop.usual, loop.rare) if b)


@dataclass(frozen=True)
class Kernels:
    """The kernels of a layer.

    Attributes:
        value: That of all values.
        gradients: That of all gradients.
        seconds: That of the gradients of these, if there is one.
        leaves: The node's names of what the gradients read, beside the cotangent.
        shapes: Those of learnable parameters that are read for their shape alone.
        totals: What the value leaves for the gradients: the names of what is reduced for both.
        users: For each of the leaves the inputs whose gradients read it, as a bit mask.
        outputs: For each of the inputs the outputs whose cotangents its gradient is made of, as a bit mask.
        constants: The irrational numbers by name.
        library: The functions of C's library that they call.
        helpers: The functions that the source defines: name, parameters and statements.
        rows: Whether they reduce rows.
        narrow: Whether the value is one of a row, or one for all, not one of an element.
        total: The reduction of all elements at the end, if there is one.
    """

    value: Kernel
    gradients: Kernel
    seconds: Kernel | None
    leaves: tuple[str, ...]
    shapes: tuple[str, ...]
    totals: tuple[str, ...]
    users: tuple[int, ...]
    outputs: tuple[int, ...]
    constants: tuple[Constant, ...]
    library: tuple[str, ...]
    helpers: tuple[tuple[str, tuple[str, ...], Body], ...]
    rows: bool
    narrow: bool
    total: str

    @property
    def all(self) -> tuple[Kernel, ...]:
        """All of them."""
        return (self.value, self.gradients, *([self.seconds] if self.seconds else ()))

    @property
    def python(self) -> tuple[str, ...]:
        """The numbers that Python hands to them."""
        return tuple(text for kernel in self.all for text in kernel.numbers.values())
