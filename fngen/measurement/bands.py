"""What a picture is made of: bands of panels, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fngen.measurement import panels, scales
from fngen.measurement.errors import FNGEN, PLAIN, Errors, output
from fngen.measurement.report import Accuracy

_WIDE, _NARROW, _SQUARE = (4.6, 1.65), (2.5, 1.5), (2.1, 2.15)
"""The sizes of a panel in inches: of one input, of several, of a map."""
_BESIDE = 5
"""Inputs beside each other."""


@dataclass(frozen=True)
class Panel:
    """Errors to be drawn over one input, or if ``index`` is None over two."""

    title: str
    drawn: tuple[Errors, ...]
    index: int | None

    def draw(self, axes: Any, *, wide: bool) -> Any:
        """Draw it; of a map return what tells its colours."""
        axes.set_title(self.title, loc="left")
        axes.set_title(panels.caption(self.drawn, short=not wide), loc="right", fontsize=6.5, color="#444444")
        if self.index is None:
            return panels.over_two(axes, self.drawn[0])
        return panels.over_input(axes, self.drawn, self.index, wide=wide)

    @property
    def axis(self) -> str:
        """What stands at the axis of its input."""
        first = self.drawn[0]
        return f"{first.inputs[self.index or 0]} ({first.format.name})"


@dataclass(frozen=True)
class Band:
    """Rows of panels of one size; None where there is nothing to draw."""

    title: str
    rows: tuple[tuple[Panel | None, ...], ...]
    size: tuple[float, float]

    @property
    def is_map(self) -> bool:
        """Whether colours tell the errors."""
        return self.size == _SQUARE

    @property
    def has_lines(self) -> bool:
        """Whether lines join the largest errors: of several inputs each is but a part of the place."""
        return self.size == _WIDE

    @property
    def width(self) -> float:
        """In inches."""
        return 0.6 + len(self.rows[0]) * self.size[0] + self.is_map * 0.7

    @property
    def height(self) -> float:
        """In inches."""
        return 0.35 + bool(self.title) * 0.3 + len(self.rows) * self.size[1]

    def draw(self, part: Any) -> None:
        """Draw it into a part of a figure."""
        if self.title:
            part.suptitle(self.title, x=0.01, ha="left", fontsize=8.5, weight="bold")
        grid = part.subplots(len(self.rows), len(self.rows[0]), squeeze=False)
        shown = None
        for row, line in zip(grid, self.rows, strict=True):
            for place, panel in zip(row, line, strict=True):
                if panel is None:
                    place.set_axis_off()
                else:
                    shown = panel.draw(place, wide=self.has_lines) or shown
        self._label(grid)
        if shown is not None:
            _colour_bar(part, shown, grid, self.rows[0])

    def _label(self, grid: Any) -> None:
        """Name the axes at the edges."""
        last = len(self.rows) - 1
        for i, line in enumerate(self.rows):
            for j, panel in enumerate(line):
                if panel is None:
                    continue
                below = i == last or self.rows[i + 1][j] is None
                grid[i][j].set_xlabel(panel.axis if below else "")
                grid[i][j].tick_params(labelbottom=below, labelleft=j == 0 or self.has_lines)
                if j == 0:
                    y = panel.drawn[0].inputs[-1]
                    grid[i][j].set_ylabel(f"{panel.drawn[0].way}\n{y}" if self.is_map else "error (ULP)")


def _colour_bar(part: Any, shown: Any, grid: Any, row: Sequence[Panel | None]) -> None:
    form = next(p for p in row if p).drawn[0].format
    bar = part.colorbar(shown, ax=grid, aspect=40, pad=0.01, label="error (ULP)")
    named = {e: text for e, text in scales.error_ticks(form).items() if e >= 0.5}
    bar.ax.set_ylim(0.5, scales.lost(form))
    bar.set_ticks(list(named), labels=list(named.values()))
    bar.ax.set_yticks([], minor=True)


def bands(report: Accuracy) -> list[Band]:
    """Return what a picture of a report is made of."""
    if len(report.inputs) == 1:
        return [_of_one(report)]
    labels = dict.fromkeys(e.label for e in report.errors)
    groups = [(label, dtype) for dtype in report.dtypes for label in labels]
    found = []
    for label, dtype in groups:
        errors = [e for e in report.errors if (e.label, e.format.name) == (label, dtype)]
        title = ", ".join(filter(None, [label, dtype]))
        found += [_of_two(errors, title)] if len(report.inputs) == 2 else _of_many(errors, title)
    return found


def _of_one(report: Accuracy) -> Band:
    """Return the outputs one below the other, and the formats beside each other."""
    outputs = dict.fromkeys(e.output for e in report.errors)
    rows = []
    for kind in outputs:
        line: list[Panel | None] = []
        for dtype in report.dtypes:
            drawn = [e for e in report.errors if (e.output, e.format.name) == (kind, dtype)]
            line.append(Panel(kind, tuple(drawn), 0) if drawn else None)
        rows.append(tuple(line))
    return Band("", tuple(rows), _WIDE)


def _of_two(errors: Sequence[Errors], title: str) -> Band:
    """Return maps: the outputs beside each other, plain autograd below."""
    taken = list(dict.fromkeys(e.by for e in errors))
    ways = [w for w in (FNGEN, PLAIN) if any(e.way == w for e in errors)]
    found = {(e.way, e.by): e for e in errors}
    rows = [
        tuple(Panel(output("", by), (found[w, by],), None) if (w, by) in found else None for by in taken)
        for w in ways
    ]
    return Band(title, tuple(rows), _SQUARE)


def _of_many(errors: Sequence[Errors], title: str) -> list[Band]:
    """Return the value and the partials by each input over that input; the inputs beside each other."""
    inputs = errors[0].inputs
    found = []
    for start in range(0, len(inputs), _BESIDE):
        here = range(start, min(start + _BESIDE, len(inputs)))
        rows = []
        for order in range(3):
            line: list[Panel | None] = []
            for i in here:
                by = (inputs[i],) * order
                drawn = tuple(e for e in errors if e.by == by)
                line.append(Panel(output("", by), drawn, i) if drawn else None)
            line += [None] * (min(_BESIDE, len(inputs)) - len(line))
            if any(line):
                rows.append(tuple(line))
        if rows:
            found.append(Band(title, tuple(rows), _NARROW))
    return found
