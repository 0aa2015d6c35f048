"""The axes of a picture: where a number of a format lies, and which ones are named.

The whole range of a format on a plain symlog axis would leave a tenth of it to the numbers that people
use. So the logarithm is compressed in turn: most room is around 1, and the ends are still there. Errors
have the same axis, with most room where they are small.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from fngen.accuracy import Format

_DECADES = 3.0
"""Up to here from 1 the axis is about logarithmic, beyond about doubly so."""
_GAP = 0.2
"""The distance of the smallest number from 0."""
_EXPONENTS = (0, 5, 30, 300, 10, 3, 1, 100)
"""Powers of ten in the order in which they are named, if there is room."""
LEAST_ERROR = 0.02
"""Errors below this are drawn here: most of them are 0."""
_ERROR_DECADES, _CROWDED = 4.0, 1.3
_STRIP, _ROOM = 0.12, 0.04
"""The strip for a wrong nan or inf, and what is left free below it and at the bottom, as shares."""
Place = tuple[float, float]


def position(x: float, form: Format) -> float:
    """Return where a number lies: 0 in the middle, growing, odd."""
    if x == 0:
        return 0.0
    least = math.asinh(form.least * math.log10(2) / _DECADES)
    return math.copysign(_GAP + math.asinh(math.log10(abs(x)) / _DECADES) - least, x)


def end(form: Format) -> float:
    """Return where the largest number lies."""
    return position(form.largest, form)


def ticks(form: Format, apart: float) -> tuple[dict[float, str], list[float]]:
    """Return the places that are named, with their names, and those of other powers of ten.

    Args:
        form: The format.
        apart: The least distance of two names, as a share of the axis.
    """
    named, others = {0.0: "0"}, []
    for exponent, sign in _powers(form):
        place = position(sign * 10.0**exponent, form)
        if all(abs(place - other) >= apart * 2 * end(form) for other in named):
            minus = "-" * (sign < 0)
            named[place] = f"${minus}10^{{{exponent}}}$" if exponent else f"${minus}1$"
        else:
            others.append(place)
    return named, others


def _powers(form: Format) -> Iterator[tuple[int, int]]:
    least = math.ldexp(1, form.least)
    exponents = dict.fromkeys(s * e for e in _EXPONENTS for s in (1, -1))
    return ((e, sign) for e in exponents for sign in (1, -1) if least <= 10.0**e <= form.largest)


def lost(form: Format) -> float:
    """Return the error in ULP at which no digit is left; larger ones are drawn here."""
    return math.ldexp(1, form.digits)


def height(ulp: float, form: Format) -> float:
    """Return where an error lies: from 0 for none to that at which no digit is left, for what is larger."""
    shown = min(max(ulp, LEAST_ERROR), lost(form))
    return math.asinh(math.log10(shown / LEAST_ERROR) / _ERROR_DECADES)


def strip(form: Format) -> Place:
    """Return the ends of the strip above the errors in which a wrong nan or inf is marked."""
    top = height(lost(form), form)
    return (1 + _ROOM) * top, (1 + _ROOM + _STRIP) * top


def bottom(form: Format) -> float:
    """Return the lower end of the axis."""
    return -_ROOM * height(lost(form), form)


def error_ticks(form: Format) -> dict[float, str]:
    """Return the errors that are named, with their names."""
    digits = math.log10(lost(form))
    step = max(2, round(digits / 3))
    powers = range(step, math.ceil(digits - _CROWDED), step)
    few = {LEAST_ERROR: "0", 0.5: "0.5", 4.0: "4"}
    return few | {10.0**k: f"$10^{{{k}}}$" for k in powers} | {lost(form): "no digit left"}


def envelope(places: Iterable[Place], bins: int, form: Format) -> Iterator[Place]:
    """Yield the largest height in each of so many equal parts of an axis; nan in a gap."""
    low, width = -end(form), 2 * end(form) / bins
    found: dict[int, float] = {}
    for place, h in places:
        k = min(int((place - low) / width), bins - 1)
        found[k] = max(found.get(k, 0.0), h)
    before = min(found, default=0)
    for k in sorted(found):
        if k > before + 3:
            yield math.nan, math.nan
        yield low + (k + 0.5) * width, found[k]
        before = k
