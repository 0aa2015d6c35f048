"""What was timed: a table, a dict, a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_WHATS = {
    "value": "value, no gradient wanted",
    "gradient": "value and gradient",
    "second": "value, gradient, and gradient of the gradient",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """Times of one thing at one size.

    Attributes:
        what: ``value``, ``gradient`` or ``second``.
        size: The number of elements.
        threads: The number of threads.
        us: The median of each way in microseconds.
        ratios: Of each other way, its time in that of plain autograd: the ratio of the medians, and its 95 %
            bootstrap interval under ``low`` and ``high``.
    """

    what: str
    size: int
    threads: int
    us: Mapping[str, float]
    ratios: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of value and gradient at one size, in tensors of the inputs' size, beside the inputs.

    Attributes:
        size: The number of elements.
        peak: Of each way, the most at a time.
        kept: What is kept for the backward.
    """

    size: int
    peak: Mapping[str, float]
    kept: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Bench:
    """Times of a layer beside those of plain autograd; ``str()`` is a table.

    Attributes:
        name: The name of the layer's function.
        formula: The formula as typed.
        dtype: The type of the tensors.
        machine: The version of torch, and what it computes with.
        cells: The times.
        memory: The memory, at sizes where it says something.
    """

    name: str
    formula: str
    dtype: str
    machine: str
    cells: tuple[Cell, ...]
    memory: tuple[Memory, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all as a dict that JSON can hold."""
        return asdict(self)

    def plot(self, path: str | Path) -> Path:
        """Draw the time of an element against the number of elements, as SVG or PNG by the file's ending.

        Raises:
            OptionError: If the file has another ending.
            FngenError: If matplotlib is missing.
            FileError: If the file cannot be written.
        """
        from fngen.timing.picture import draw

        return draw(self, Path(path))

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.name}: {self.formula}"
        yield f"{self.dtype}, {self.machine}; medians in µs, and how many times as long as plain autograd"
        for what, meaning in _WHATS.items():
            chosen = [cell for cell in self.cells if cell.what == what]
            if chosen:
                yield from ("", meaning, *_aligned([_heads(chosen[0]), *map(_row, chosen)]))
        if self.memory:
            ways = list(self.memory[0].peak)
            rows = [["N", *(f"peak: {w}" for w in ways), *(f"kept: {w}" for w in ways)]]
            rows += [
                [f"{m.size:,}", *(f"{x:.1f}" for x in (*m.peak.values(), *m.kept.values()))]
                for m in self.memory
            ]
            yield from ("", "memory of value and gradient, in tensors beside the inputs", *_aligned(rows))


def _heads(cell: Cell) -> list[str]:
    others = [text for way in cell.ratios for text in (way, "x plain")]
    return ["N", "threads", "plain", *others]


def _row(cell: Cell) -> list[str]:
    row = [f"{cell.size:,}", str(cell.threads), f"{cell.us['plain']:.1f}"]
    for way, found in cell.ratios.items():
        row += [f"{cell.us[way]:.1f}", f"{found['value']:.2f} ({found['low']:.2f}-{found['high']:.2f})"]
    return row


def _aligned(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
