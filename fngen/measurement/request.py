"""What is to be measured: the formats and the number of points, checked."""

from __future__ import annotations

from collections.abc import Iterable

from fngen.accuracy import FORMATS
from fngen.errors import OptionError
from fngen.suggest import closest

DTYPES = ("float32", "float64")
POINTS = 1000


def checked_dtypes(dtypes: str | Iterable[str]) -> tuple[str, ...]:
    """Return the formats, each once; those that are usual if none is named.

    Raises:
        OptionError: If there is none of a name.
    """
    named = (dtypes,) if isinstance(dtypes, str) else tuple(dict.fromkeys(dtypes))
    for x in named:
        if x not in FORMATS:
            close = closest(x, FORMATS)
            hint = f"Did you mean {close}?" if close else f"There are {', '.join(FORMATS)}."
            raise OptionError(f"no errors in ULP are known of {x!r}", hint, option="dtype")
    return named or DTYPES


def checked_points(points: int) -> int:
    """Return the number of points.

    Raises:
        OptionError: If it is none.
    """
    if points < 1:
        raise OptionError(f"{points} points are none to measure at", "Give 1 or more.", option="points")
    return points
