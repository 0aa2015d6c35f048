"""Errors over the inputs, drawn by matplotlib."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import Any

from fngen.errors import FngenError
from fngen.measurement import canvas
from fngen.measurement.bands import Band, bands
from fngen.measurement.errors import FNGEN, PLAIN
from fngen.measurement.panels import GREY, LIMITS, STYLES, WRONG
from fngen.measurement.report import Accuracy

_LETTERS, _SMALL, _LINES = 10.5, 16.5, 3
"""Letters in an inch, of the title and below it; lines of the title."""
_LINE, _FOOT = 0.19, 0.35
_NAMES = {FNGEN: "fngen", PLAIN: "plain autograd"}


def draw(report: Accuracy, path: Path) -> Path:
    """Draw a report into a file; return its path."""
    canvas.check(path)
    if not report.errors:
        raise FngenError(f"there is nothing to draw of {report.name!r}", str(report))
    return canvas.saved(path, lambda: _figure(report), report.formula)


def _figure(report: Accuracy) -> Any:
    from matplotlib.figure import Figure

    found = bands(report)
    width = max(band.width for band in found)
    title = wrap(report.formula, int(width * _LETTERS), max_lines=_LINES, placeholder=" ...")
    words = wrap(_words(report, found[0]), int(width * _SMALL))
    heights = [_LINE * (len(title) + len(words) + 0.8), *(band.height for band in found), _FOOT]
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
    at, left, line = 1 - 0.08 / heights[0], 0.08 / width, _LINE / heights[0]
    parts[0].text(left, at, "\n".join(title), va="top", family="DejaVu Sans Mono", weight="bold", size=10)
    parts[0].text(left, at - line * (len(title) + 0.1), "\n".join(words), va="top", color="#444444")
    for part, band in zip(parts[1:-1], found, strict=True):
        band.draw(part)
    _legend(parts[-1], found[0])
    return figure


def _words(report: Accuracy, band: Band) -> str:
    """Return what the picture shows."""
    points = max(e.compared for e in report.errors)
    lines = "; lines join the largest nearby" if band.has_lines else ""
    return f"{report.name}: {report.what} at {points} points{lines} ({report.machine})"


def _legend(part: Any, band: Band) -> None:
    """Say what the marks stand for."""
    from matplotlib.lines import Line2D

    if band.is_map:
        marks = [Line2D([], [], color=WRONG, marker="x", ms=4, lw=0, label="wrong nan or inf")]
    else:
        marks = [_mark(way, band.has_lines) for way in reversed(STYLES)]
        marks += [Line2D([], [], color=GREY, lw=0.7, ls=d, label=f"{e:g} ULP") for e, d in LIMITS.items()]
    part.legend(handles=marks, loc="center", ncols=len(marks), frameon=False, handlelength=2.6)


def _mark(way: str, has_lines: bool) -> Any:
    from matplotlib.lines import Line2D

    style = STYLES[way]
    line = {"lw": style["width"], "ls": style["dashes"]} if has_lines else {"lw": 0}
    return Line2D(
        [], [], color=style["color"], marker="o", ms=style["dot"] + 0.8, mew=0, label=_NAMES[way], **line
    )
