"""One panel of a picture: errors over one input, or of two inputs a map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fngen.accuracy import Error, Format
from fngen.measurement import scales
from fngen.measurement.errors import FNGEN, PLAIN, Errors, ulps

Axes = Any
"""matplotlib's."""
DARK, FAINT, GREY = "#0b3d6b", "#eba133", "#8a8a8a"
STYLES: dict[str, dict[str, Any]] = {
    PLAIN: {"color": FAINT, "dot": 2.0, "width": 1.0, "dashes": (0, (4, 1.5)), "mark": "|", "level": 0.7},
    FNGEN: {"color": DARK, "dot": 1.5, "width": 1.3, "dashes": "solid", "mark": "x", "level": 0.3},
}
"""The faint one is drawn first; they differ without colours, too."""
WRONG = "#1f6fd6"
LIMITS = {0.5: (0, (1, 2)), 4.0: (0, (5, 3))}
COLOURS = "magma_r"
"""From light to dark, in grey too."""
_BINS, _DOT = 90, 0.004


def over_input(axes: Axes, drawn: Sequence[Errors], index: int, *, wide: bool) -> None:
    """Draw errors over one input, plain autograd's behind fngen's; in a wide panel with lines."""
    form = drawn[0].format
    for errors in sorted(drawn, key=lambda e: list(STYLES).index(e.way)):
        style = STYLES[errors.way]
        color = style["color"]
        places = [(scales.position(p[index], form), e) for e, p in _errors(errors)]
        finite = [(x, scales.height(e.ulp, form)) for x, e in places if not e.nonfinite]
        wrong = [x for x, e in places if e.nonfinite]
        _dots(axes, finite, color, style["dot"] + 0.5 * (not wide))
        if wide:
            line = list(scales.envelope(finite, _BINS, form))
            axes.plot(*_columns(line), color=color, lw=style["width"], ls=style["dashes"])
        bottom, top = scales.strip(form)
        level = bottom + (top - bottom) * style["level"]
        axes.plot(wrong, [level] * len(wrong), style["mark"], color=color, ms=3, mew=0.7)
    _frame(axes, form)
    input_axis(axes.xaxis, axes.set_xlim, form, 0.088 if wide else 0.13)


def _errors(errors: Errors) -> Iterator[tuple[Error, tuple[float, ...]]]:
    """Yield the errors, with the points."""
    pairs = zip(errors.found, errors.points, strict=True)
    return ((e, p) for e, p in pairs if isinstance(e, Error))


def _columns(places: Sequence[scales.Place]) -> tuple[list[float], list[float]]:
    return [x for x, _ in places], [y for _, y in places]


def _dots(axes: Axes, places: Sequence[scales.Place], color: str, size: float) -> None:
    """Draw a dot at each place that is not at the bottom.

    A dot is a line of next to no length with round ends: one path in the file, where markers would be an
    element each.
    """
    xs, ys = [], []
    for x, y in places:
        if y > 0:
            xs += [x, x + _DOT, float("nan")]
            ys += [y, y, y]
    axes.plot(xs, ys, color=color, lw=size, solid_capstyle="round", alpha=0.55)


def _frame(axes: Axes, form: Format) -> None:
    bottom, top = scales.strip(form)
    axes.set_ylim(scales.bottom(form), top)
    axes.axhspan(bottom, top, color="#f1f1f1", lw=0, zorder=0)
    for limit, dashes in LIMITS.items():
        axes.axhline(scales.height(limit, form), color=GREY, lw=0.7, ls=dashes, zorder=1)
    named = {scales.height(e, form): text for e, text in scales.error_ticks(form).items()}
    named[(bottom + top) / 2] = "wrong nan, inf"
    axes.set_yticks(list(named), list(named.values()))


def input_axis(axis: Any, limit: Any, form: Format, apart: float) -> None:
    """Lay out an axis of an input over the whole format."""
    named, others = scales.ticks(form, apart)
    axis.set_ticks(list(named), list(named.values()))
    axis.set_ticks(others, minor=True)
    high = 1.02 * scales.end(form)
    limit(-high, high)


def over_two(axes: Axes, errors: Errors) -> Any:
    """Draw a map of errors over two inputs, the largest on top; return what tells its colours."""
    form = errors.format
    axes.set_facecolor("#f6f6f6")
    input_axis(axes.xaxis, axes.set_xlim, form, 0.2)
    input_axis(axes.yaxis, axes.set_ylim, form, 0.1)
    axes.set_box_aspect(1)
    places = [(scales.position(p[0], form), scales.position(p[1], form)) for _, p in errors.finite]
    sizes = [min(max(e, 0.5), scales.lost(form)) for e, _ in errors.finite]
    shown = axes.scatter(
        *_columns(places),
        c=sizes,
        s=5,
        lw=0,
        cmap=COLOURS,
        norm="log",
        vmin=0.05,
        vmax=scales.lost(form),
    )
    wrong = [(scales.position(x, form), scales.position(y, form)) for x, y in errors.nonfinite]
    axes.plot(*_columns(wrong), "x", color=WRONG, ms=3, mew=0.8)
    return shown


def caption(drawn: Sequence[Errors], *, short: bool) -> str:
    """Return the worst errors of a panel, in words."""
    return ", ".join(f"{e.way} {ulps(e.worst)}" + ("" if short else _wrong(e)) for e in drawn)


def _wrong(errors: Errors) -> str:
    n = len(errors.nonfinite)
    return f" and {n} nan, inf" if n else ""
