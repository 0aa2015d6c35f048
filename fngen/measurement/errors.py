"""The errors of one output in one format, and what there is to say of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fngen.accuracy import Error, Format, Outcome
from fngen.accuracy.points import Point

FNGEN, PLAIN = "fngen", "plain"
"""The ways to compute: the emitted file, and autograd of the formula as typed."""
FAIR, GOOD = 8.0, 4.0
SHARE = 0.95
_SHOWN = 8
REASONS = {
    Outcome.UNDEFINED: "where there is no value or derivative",
    Outcome.KINK: "at kinks",
    Outcome.UNDECIDED: "where the exact number could not be told",
}


@dataclass(frozen=True)
class Errors:
    """The errors of a value or of one partial derivative.

    Attributes:
        label: The name of the output, if the formula has several.
        by: The inputs by which it is a derivative.
        format: The format.
        way: What computed it: ``fngen``, or ``plain`` autograd of the formula as typed.
        inputs: The names of the inputs.
        points: Their values.
        found: The error at each point, or why there is none.
        mixed: The largest error with the rounding of one input forgiven; None for second partials.
    """

    label: str
    by: tuple[str, ...]
    format: Format
    way: str
    inputs: tuple[str, ...]
    points: tuple[Point, ...]
    found: tuple[Error | Outcome, ...]
    mixed: float | None = None

    @property
    def output(self) -> str:
        """What was measured."""
        return output(self.label, self.by)

    @cached_property
    def finite(self) -> list[tuple[float, Point]]:
        """The errors in ULP where both numbers are finite, with the points; the largest come last."""
        pairs = zip(self.found, self.points, strict=True)
        errors = [(e.ulp, p) for e, p in pairs if isinstance(e, Error) and not e.nonfinite]
        return sorted(errors, key=lambda pair: pair[0])

    @cached_property
    def nonfinite(self) -> list[Point]:
        """The points with a wrong nan or inf."""
        pairs = zip(self.found, self.points, strict=True)
        return [p for e, p in pairs if isinstance(e, Error) and e.nonfinite]

    @property
    def compared(self) -> int:
        """At how many points there is an exact number."""
        return len(self.finite) + len(self.nonfinite)

    @property
    def worst(self) -> float | None:
        """The largest error in ULP, None if no number was finite."""
        return self.finite[-1][0] if self.finite else None

    @property
    def usual(self) -> float | None:
        """The error in ULP that 95 % of the finite numbers do not exceed."""
        place = math.ceil(SHARE * len(self.finite)) - 1
        return self.finite[place][0] if self.finite else None

    def beyond(self, limit: float) -> float:
        """Return the share of points with a finite number and a larger error."""
        return sum(e > limit for e, _ in self.finite) / max(self.compared, 1)

    @property
    def left_out(self) -> dict[Outcome, int]:
        """How many points have no exact number, by the reason."""
        counts = {reason: sum(e is reason for e in self.found) for reason in REASONS}
        return {reason: n for reason, n in counts.items() if n}

    @property
    def clean(self) -> bool:
        """Whether there is no wrong nan or inf, and no error beyond 8 ULP, one input's rounding forgiven."""
        worst = self.worst if self.mixed is None else self.mixed
        return bool(self.compared) and not self.nonfinite and (worst or 0) <= FAIR

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain data, for JSON."""
        return {
            "output": self.output,
            "dtype": self.format.name,
            "way": self.way,
            "points": self.compared,
            "worst": self.worst,
            "worst_at": self._named(self.finite[-1:] and self.finite[-1][1]),
            "percentile_95": self.usual,
            "beyond_4": self.beyond(GOOD),
            "beyond_8": self.beyond(FAIR),
            "wrong_nan_or_inf": len(self.nonfinite),
            "wrong_nan_or_inf_at": self._named(self.nonfinite[:1] and self.nonfinite[0]),
            "mixed": self.mixed,
            "left_out": {reason.value: n for reason, n in self.left_out.items()},
        }

    def _named(self, point: Sequence[Any]) -> dict[str, float] | None:
        return dict(zip(self.inputs, point, strict=True)) if point else None

    def cells(self) -> list[str]:
        """Return the figures as the cells of a row, behind the name of the output."""
        worst = self.finite[-1][1] if self.finite else None
        place = worst if worst and self.worst else None
        return [
            self.way,
            str(self.compared),
            ulps(self.worst),
            ulps(self.usual),
            f"{100 * self.beyond(GOOD):.1f} %",
            f"{100 * self.beyond(FAIR):.1f} %",
            str(len(self.nonfinite)),
            ulps(self.mixed),
            written(self.inputs, place, self.format) if place else "-",
        ]

    def remarks(self) -> Iterable[str]:
        """Yield what the figures alone do not say."""
        if self.nonfinite:
            yield f"a wrong nan or inf, as at {written(self.inputs, self.nonfinite[0], self.format)}"
        if self.mixed is not None and self.mixed <= GOOD and (self.worst or 0) > FAIR:
            yield "beyond 8 ULP only where rounding an input moves the result as much"
        for reason, n in self.left_out.items():
            yield f"{n} point{'s' * (n != 1)} left out {REASONS[reason]}"


def output(label: str, by: Sequence[str]) -> str:
    """Return the name of a value or partial derivative: ``value``, ``d/dx``, ``u: d²/dx dy``."""
    first, *more = by or ("",)
    kind = f"d/d{first}" if first else "value"
    if more:
        kind = f"d²/d{first}²" if more == [first] else f"d²/d{first} d{more[0]}"
    return f"{label}: {kind}" if label else kind


def ulps(x: float | None) -> str:
    """Return an error as a short text."""
    if x is None:
        return "-"
    return f"{x:.2f}" if x < 1000 else f"{x:.1e}"


def written(inputs: Sequence[str], point: Point, form: Format) -> str:
    """Return a point, each number with the digits that tell it from its neighbours in the format."""
    numbers = [f"{x}={shortest(v, form)}" for x, v in zip(inputs, point, strict=True)]
    return ", ".join(numbers[:_SHOWN] + ["..."] * (len(numbers) > _SHOWN))


def shortest(x: float, form: Format) -> str:
    """Return the shortest decimal number that is this one in the format."""
    if x == int(x) and abs(x) < 1e6:
        return str(int(x))
    texts = (f"{x:.{digits}g}" for digits in range(1, 18))
    return next((t for t in texts if form.rounded(float(t)) == x), repr(x))
