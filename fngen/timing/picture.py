"""The time of an element against the number of elements, drawn by matplotlib."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import Any

from fngen.measurement import canvas
from fngen.timing.report import Bench, Cell

_WIDTH, _HEIGHT, _HEAD, _LETTERS = 3.1, 2.5, 0.75, 11
"""Inches of a panel and of what stands above all, and letters in an inch of that."""
_LOOKS: dict[str, dict[str, Any]] = {
    "plain": {"color": "#eba133", "ls": (0, (4, 1.5)), "marker": "s"},
    "fngen": {"color": "#0b3d6b", "ls": "solid", "marker": "o"},
    "kernel": {"color": "#1f8a5b", "ls": "solid", "marker": "^"},
    "compile": {"color": "#8a8a8a", "ls": (0, (1, 1.2)), "marker": "D"},
}
"""They differ without colours, too."""
_TITLES = {"value": "value", "gradient": "value and gradient", "second": "and gradient of gradient"}


def draw(bench: Bench, path: Path) -> Path:
    """Draw times into a file; return its path."""
    return canvas.saved(path, lambda: _figure(bench), bench.formula)


def _figure(bench: Bench) -> Any:
    from matplotlib.figure import Figure

    threads = sorted({cell.threads for cell in bench.cells})
    whats = [what for what in _TITLES if any(cell.what == what for cell in bench.cells)]
    width, height = _WIDTH * len(whats), _HEAD + _HEIGHT * len(threads)
    figure = Figure(figsize=(width, height), layout="constrained")
    title = "\n".join(wrap(bench.formula, int(width * _LETTERS), max_lines=2, placeholder=" ..."))
    figure.suptitle(f"{title}\n{bench.name}, {bench.dtype} ({bench.machine})", fontsize=8.5)
    panels = figure.subplots(len(threads), len(whats), squeeze=False, sharex=True, sharey="row")
    for row, count in zip(panels, threads, strict=True):
        for axes, what in zip(row, whats, strict=True):
            _panel(axes, [c for c in bench.cells if c.what == what and c.threads == count])
            axes.set_title(f"{_TITLES[what]}, {count} thread{'s' * (count > 1)}")
        row[0].set_ylabel("ns an element")
    for axes in panels[-1]:
        axes.set_xlabel("elements")
    handles, labels = panels[0][-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def _panel(axes: Any, cells: list[Cell]) -> None:
    for way, look in _LOOKS.items():
        found = [(c.size, 1e3 * c.us[way] / c.size) for c in cells if way in c.us]
        if found:
            axes.plot(*zip(*found, strict=True), label=way, lw=1.3, ms=3.5, **look)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(visible=True, which="major", color="#e4e4e4", lw=0.5)
