"""What is to be timed: sizes, threads, type and time, checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fngen.errors import OptionError
from fngen.suggest import closest

SIZES, THREADS, SECONDS = (1, 1_000, 100_000, 1_000_000), (1,), 0.3
DTYPES = ("float32", "float64", "float16", "bfloat16")
_MOST_ELEMENTS, _MOST_THREADS, _MOST_SECONDS = 10**9, 1024, 600.0
"""Of many more threads than that OpenMP ends the process."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be timed.

    Attributes:
        sizes: Numbers of elements, in order.
        threads: Numbers of threads.
        dtype: The type of the tensors.
        seconds: How long each cell is measured.
        compiled: Whether ``torch.compile`` of the plain formula is timed too.
    """

    sizes: tuple[int, ...]
    threads: tuple[int, ...]
    dtype: str
    seconds: float
    compiled: bool

    @classmethod
    def create(
        cls, sizes: Iterable[int], threads: Iterable[int], dtype: str, seconds: float, *, compiled: bool
    ) -> Request:
        """Return the checked request.

        Raises:
            OptionError: If there is no such type, or a number is out of range.
        """
        if dtype not in DTYPES:
            close = closest(dtype, DTYPES)
            hint = f"Did you mean {close}?" if close else f"There are {', '.join(DTYPES)}."
            raise OptionError(f"nothing is timed in {dtype!r}", hint, option="dtype")
        if not 0 < seconds <= _MOST_SECONDS:
            raise OptionError(f"{seconds:g} seconds are no time to measure in", "Give 0.3.", option="seconds")
        return cls(
            _counts(sizes, "size", _MOST_ELEMENTS),
            _counts(threads, "threads", _MOST_THREADS),
            dtype,
            seconds,
            bool(compiled),
        )


def _counts(given: Iterable[int], option: str, most: int) -> tuple[int, ...]:
    found = tuple(dict.fromkeys(given))
    for n in found:
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= most:
            raise OptionError(f"{option} takes an int from 1 to {most}, not {n!r}", "", option=option)
    if not found:
        raise OptionError(f"there is no {option} to measure", "Give at least one.", option=option)
    return found
