"""What is wrong with a form, in bits."""

from __future__ import annotations

from dataclasses import dataclass

LEAST_GAIN = 2.0
"""Bits that a change of form must gain, all points together."""
_FAIR, _MISSED = 4.0, 60.0
"""What the largest error at points of usual size should be, in ulp or roundings of an input; bits else."""


@dataclass(frozen=True)
class Score:
    """What is wrong with a form.

    Attributes:
        bits: The digits lost over all points, beyond two bits each. Of several variables those at points of
            unusual size count less, and of one too those that no form can keep if the inputs are rounded.
        usual: Those at points of usual size.
        worst: The largest error in ulp at a point of usual size, of a result that is not subnormal.
        beyond: The largest, in what the rounding of an input changes the result by, and one ulp.
        wrong: At how many points of usual size it is no number, or wrongly one.
        cost: The time that it takes, as bits.
        digits: The bits that are lost where it is a number as it should be.
    """

    bits: float
    usual: float
    worst: float
    beyond: float
    wrong: int
    cost: float
    digits: float

    @property
    def overflows(self) -> bool:
        """Whether there are points of any size at which it is no number, or wrongly one."""
        return self.digits < self.bits

    @property
    def calm(self) -> bool:
        """Whether there is nothing to mend: no other form can gain enough."""
        return self.lost <= LEAST_GAIN

    @property
    def missed(self) -> float:
        """What a worst error counts that is not fair."""
        return _MISSED * (self.beyond > _FAIR)

    @property
    def lost(self) -> float:
        """All bits."""
        return self.bits + self.missed

    @property
    def early(self) -> float:
        """Those that are looked after first."""
        return self.usual + self.missed

    @property
    def total(self) -> float:
        """What it costs altogether: digits lost, and work."""
        return self.lost + self.cost

    def beats(self, other: Score) -> bool:
        """Say whether this form is worth its place: clearly more digits, and not for much more work."""
        return other.lost - self.lost > LEAST_GAIN + 0.02 * other.lost and self.total < other.total
