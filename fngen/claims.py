"""What an emitted file says about its digits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fngen.layout import filled
from fngen.lower import MARGIN

if TYPE_CHECKING:
    from fngen.stabilise.score import Score
    from fngen.stabilise.stage import Claim

_KEPT = "\N{NO-BREAK SPACE}"
_CALM = 4.0
"""Errors in ulp up to which nothing is to be explained."""


def claimed(claim: Claim) -> list[str]:
    """Return what the choice of the forms rests on, as lines of a docstring."""
    slopes = (
        f"{_rounded(score.beyond)} in the derivative by ``{x.replace(' ', _KEPT)}``"
        for x, score in claim.slopes.items()
    )
    found = [f"{_rounded(claim.value.beyond)} in the value", *slopes]
    if claim.seconds:
        worst = max(score.beyond for score in claim.seconds)
        found.append(f"{_rounded(worst)} in the second {'ones' if len(claim.slopes) > 1 else 'one'}")
    text = (
        f"At {claim.points} float64 points, inputs of 0 or 2**-30 to 2**11 in size, and with every "
        f"operation rounded once, the largest error in ULP of a normal number is {_listed(found)}"
        f"{_conditions(claim.scores)}."
    )
    if wrong := sum(score.wrong for score in claim.scores):
        text += f" {wrong} of the results are inf or nan, and should not be."
    return [line.replace(_KEPT, " ") for line in filled(text.split(" "), MARGIN)]


def _conditions(scores: Sequence[Score]) -> str:
    """Say how much of an error was forgiven."""
    worst = max(score.worst for score in scores)
    if worst <= _CALM:
        return ""
    return f", beside what rounding an input changes: up to {worst:.2g} there"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _rounded(ulp: float) -> str:
    """Return an error, rounded up."""
    return f"{math.ceil(10 * ulp) / 10:.1f}" if ulp < 100 else f"{ulp:.1g}"
