"""The error of a computed number against the exact one, in units of the last place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fngen.accuracy.evaluation import place
from fngen.accuracy.exact import Pair
from fngen.accuracy.formats import Format
from fngen.accuracy.undefined import Outcome


@dataclass(frozen=True)
class Error:
    """How far a computed number is off.

    Attributes:
        ulp: Its distance from the exact number in spacings of the format there, the subnormal ones
            included; infinite if it is wrongly finite or not.
        nonfinite: Whether it is NaN or infinite where the exact number is in the format, or not
            infinite where the exact number is beyond it.
    """

    ulp: float
    nonfinite: bool = False


NONE, WRONG = Error(0.0), Error(math.inf, nonfinite=True)


def error(computed: float, exact: Pair, form: Format) -> Error:
    """Return the error of a computed number.

    Where the exact number rounds to infinity, infinity is right; a finite number is off by some
    spacings if the exact one is hardly beyond the largest.
    """
    high, _ = exact
    if is_beyond(exact, form):
        if math.isinf(computed) and (computed > 0) == (high > 0):
            return NONE
        hardly = math.isfinite(high) and abs(high) <= form.largest + form.ulp(form.largest)
        if math.isfinite(computed) and hardly:
            return _distance(computed, exact, form)
        return WRONG
    if not math.isfinite(computed):
        return WRONG
    return _distance(computed, exact, form)


def _distance(computed: float, exact: Pair, form: Format) -> Error:
    off = abs((computed - exact[0]) - exact[1])
    exponent = form.ulp_exponent(exact[0])
    if math.isinf(off):
        return Error(_scaled(computed / 4 - exact[0] / 4, 2 - exponent))
    return Error(_scaled(off, -exponent))


def _scaled(x: float, exponent: int) -> float:
    try:
        return math.ldexp(abs(x), exponent)
    except OverflowError:
        return math.inf


def is_beyond(exact: Pair, form: Format) -> bool:
    """Say whether a number rounds to infinity."""
    high, low = exact
    if math.isinf(high):
        return True
    middle = form.largest + form.ulp(form.largest) / 2 if form.name != "float64" else math.inf
    size, rest = (high, low) if high > 0 else (-high, -low)
    return size > middle or (size == middle and rest >= 0)


def mixed(off: float, point: float, slope: float, exact: Pair, form: Format) -> float:
    """Return an error in ulp with the rounding of one input forgiven.

    Args:
        off: The error in ulp.
        point: The input.
        slope: The derivative of the exact function by it.
        exact: The exact result.
        form: The format.
    """
    forgiven = abs(point * slope) * form.epsilon
    if math.isnan(forgiven):
        return off
    return off / (1 + min(_scaled(forgiven, -form.ulp_exponent(exact[0])), 1e300))


def forgiven(
    off: float, row: Sequence[Pair | Outcome], index: int, point: Sequence[float], form: Format
) -> float:
    """Return an error in ulp with the rounding of that input forgiven that matters most.

    Args:
        off: The error in ulp.
        row: What ``Exact`` knows at the point, of the order after that of the result.
        index: The place of the result: the value (0) or a first partial. A second one is forgiven nothing.
        point: The inputs.
        form: The format.
    """
    n, exact = len(point), row[index]
    if index > n or isinstance(exact, Outcome):
        return off
    best = off
    for i in range(n):
        at = 1 + i if index == 0 else place(n, *sorted((i, index - 1)))
        slope = row[at] if at < len(row) else Outcome.UNDECIDED
        if not isinstance(slope, Outcome):
            best = min(best, mixed(off, point[i], slope[0], exact, form))
    return best
