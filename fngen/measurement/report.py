"""What a measurement found: a table, a dict, a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fngen.measurement.errors import FNGEN, Errors

_HEADS = ("", "points", "worst", "95 %", "> 4", "> 8", "nan/inf", "mixed", "worst at")


@dataclass(frozen=True, slots=True)
class Gap:
    """What could not be measured, and why."""

    output: str
    way: str
    why: str
    dtype: str = ""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The errors of a layer, in units of the last place; ``str()`` is a table.

    Attributes:
        name: The name of the layer's function.
        formula: The formula as typed.
        machine: The version of torch, and what it computes with.
        inputs: The names of the inputs, parameters among them.
        errors: Those of each output, in each format and way.
        gaps: What could not be measured.
        alone: Whether the layer reduces everything, and so was given one element at a time.
    """

    name: str
    formula: str
    machine: str
    inputs: tuple[str, ...]
    errors: tuple[Errors, ...]
    gaps: tuple[Gap, ...] = ()
    alone: bool = False

    @property
    def ok(self) -> bool:
        """Whether all was measured and is clean: no wrong nan or inf, and no error beyond 8 ULP.

        Of values and first partials the rounding of one input is forgiven.
        """
        ours = [e for e in self.errors if e.way == FNGEN]
        return bool(ours) and all(e.clean for e in ours) and all(g.way != FNGEN for g in self.gaps)

    @property
    def what(self) -> str:
        """What the figures are."""
        return "errors in ULP against exact values" + ", of one element at a time" * self.alone

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The formats in which something was measured."""
        return tuple(dict.fromkeys(e.format.name for e in self.errors))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for JSON."""
        return {
            "ok": self.ok,
            "name": self.name,
            "formula": self.formula,
            "machine": self.machine,
            "inputs": list(self.inputs),
            "one_element_at_a_time": self.alone,
            "errors": [e.to_dict() for e in self.errors],
            "not_measured": [
                {"output": g.output, "dtype": g.dtype or None, "way": g.way, "why": g.why} for g in self.gaps
            ],
        }

    def plot(self, path: str | Path) -> Path:
        """Draw the errors over the inputs into a file that ends in .svg or .png; return its path.

        Raises:
            FngenError: If there is nothing to draw, or matplotlib is missing.
            OptionError: If the file has another ending.
            FileError: If it cannot be written.
        """
        from fngen.measurement.picture import draw

        return draw(self, Path(path))

    def __str__(self) -> str:
        lines = [line for dtype in self.dtypes for line in self._table(dtype)]
        title = f"{self.name}, {self.what} ({self.machine})"
        return "\n".join([title, *lines, *self._remarks(), *self._not_measured()])

    def _table(self, dtype: str) -> Iterator[str]:
        rows: list[tuple[str, ...]] = [(dtype, *_HEADS)]
        before = ""
        for e in self.errors:
            if e.format.name == dtype:
                rows.append((e.output if e.output != before else "", *e.cells()))
                before = e.output
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            cells = enumerate(zip(row, widths, strict=True))
            left = {0, 1, len(row) - 1}
            yield "  ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in cells).rstrip()

    def _remarks(self) -> Iterator[str]:
        found = [
            (f"{e.format.name} {{}}: {remark}", e.output)
            for e in self.errors
            if e.way == FNGEN
            for remark in e.remarks()
        ]
        yield from _together(found)

    def _not_measured(self) -> Iterator[str]:
        found = []
        for gap in self.gaps:
            whose = [] if gap.way == FNGEN else ["plain autograd,"]
            head = " ".join(["not measured:", *whose, *filter(None, [gap.dtype]), "{}"])
            found.append((f"{head}: {gap.why}", gap.output))
        yield from _together(found)


def _together(found: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield what is the same of several outputs in one line."""
    outputs: dict[str, list[str]] = {}
    for text, output in found:
        outputs.setdefault(text, []).append(output)
    for text, several in outputs.items():
        head, _, tail = text.partition("{}")
        yield head + ", ".join(several) + tail
