"""The errors of one formula in one format, against a reference that is worked out once and kept."""

from __future__ import annotations

import hashlib
import math
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

import fngen.accuracy
from benchmarks.accuracy_cases import ACCURATE, FNGEN, PLAIN, Case
from fngen.accuracy import FORMATS, Exact, Format, Outcome, error, forgiven, sample, usual
from fngen.accuracy.evaluation import count
from fngen.measurement.computed import computed
from fngen.problem import Problem

Point = tuple[float, ...]
Row = list[tuple[float, float] | Outcome]
EXHAUSTIVE = ("float16", "bfloat16")
_JUDGES = {"__init__", "formats", "points", "ulp"}
"""What of the package has no say in exact numbers."""
SIZES = {"any": sample, "usual": usual}
ROUNDED, GOOD, FAIR = 0.51, 4.0, 8.0


@dataclass
class Output:
    """The errors of a value or of one partial derivative.

    Attributes:
        points: How many points were compared.
        worst: The largest error in ULP where both are finite, and the point.
        mixed: The same with the rounding of one input forgiven.
        unrounded: The points with an error beyond 0.51.
        poor: Those beyond 4.
        bad: Those beyond 8.
        nonfinite: Those with a wrong NaN or infinity, and one of them.
        undecided: The points where the reference could not tell.
        dropped: Those where there is no derivative.
        kinks: Those among them with a finite value, where a gradient is a convention.
        departures: Those among them where it is not plain autograd's.
    """

    points: int = 0
    worst: float = 0.0
    worst_at: tuple[float, ...] = ()
    mixed: float = 0.0
    unrounded: int = 0
    poor: int = 0
    bad: int = 0
    nonfinite: int = 0
    nonfinite_at: tuple[float, ...] = ()
    undecided: int = 0
    dropped: int = 0
    kinks: int = 0
    departures: int = 0
    departure_at: tuple[float, ...] = ()

    def add(self, number: float, row: Row, index: int, point: tuple[float, ...], form: Format) -> None:
        """Compare one number."""
        exact = row[index]
        if isinstance(exact, Outcome):
            self.undecided += exact is Outcome.UNDECIDED
            self.dropped += exact is not Outcome.UNDECIDED
            return
        off = error(number, exact, form)
        self.points += 1
        if off.nonfinite:
            self.nonfinite, self.nonfinite_at = self.nonfinite + 1, self.nonfinite_at or point
            return
        self.unrounded += off.ulp > ROUNDED
        self.poor += off.ulp > GOOD
        self.bad += off.ulp > FAIR
        if off.ulp > self.worst:
            self.worst, self.worst_at = off.ulp, point
        if off.ulp > self.mixed:
            self.mixed = max(self.mixed, forgiven(off.ulp, row, index, point, form))


@dataclass
class Cell:
    """A formula in a format.

    Attributes:
        inputs: The number of its inputs.
        columns: The outputs of each way to compute it: value, first and second partials.
        refused: Why a way could not be measured.
    """

    case: Case
    form: str
    inputs: int
    columns: dict[str, list[Output]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    undecided: int = 0
    decisions: int = 0


def cell(
    case: Case, form: str, points: int, seed: int, cache: Path, drawn: Callable[..., list[Point]] = sample
) -> Cell | None:
    """Return the errors of a formula at points as drawn, or None: 16 bits are tried with one input only."""
    problem = case.problem
    n = len(problem.inputs)
    if form in EXHAUSTIVE and n > 1:
        return None
    form_ = FORMATS[form]
    order = 1 if form in EXHAUSTIVE else 2
    where = [(x,) for x in form_.every()] if form in EXHAUSTIVE else drawn(n, points, form_, seed)
    rows = reference(problem, form, where, order, cache)
    found = Cell(case, form, n)
    found.decisions = sum(map(len, rows))
    found.undecided = sum(exact is Outcome.UNDECIDED for row in rows for exact in row)
    numbers: dict[str, list[list[float]]] = {}
    same = form == "float64"  # In it the accurate way is the other one.
    for way, function in case.ways(problem, accurate=not same).items():
        if isinstance(function, str):
            found.refused[way] = function
            continue
        try:
            numbers[way] = computed(function, where, getattr(torch, form), order)
        except (RuntimeError, NotImplementedError) as problem_:
            found.refused[way] = str(problem_).splitlines()[0]
    if same and FNGEN in numbers:
        numbers[ACCURATE] = numbers[FNGEN]
    for way, columns in numbers.items():
        found.columns[way] = _outputs(columns, rows, where, form_, count(n, order))
    for way in (FNGEN, ACCURATE):
        if way in numbers and PLAIN in numbers:
            _conventions(found.columns[way][: n + 1], numbers[way], numbers[PLAIN], rows, where, form_)
    return found


def _outputs(
    columns: list[list[float]],
    rows: Sequence[Row],
    points: Sequence[tuple[float, ...]],
    form: Format,
    wanted: int,
) -> list[Output]:
    found = [Output() for _ in range(wanted)]
    for index, (output, numbers) in enumerate(zip(found, columns, strict=True)):
        for number, row, point in zip(numbers, rows, points, strict=True):
            output.add(number, row, index, point, form)
    return found


def _conventions(
    outputs: list[Output],
    ours: list[list[float]],
    plain: list[list[float]],
    rows: Sequence[Row],
    points: Sequence[tuple[float, ...]],
    form: Format,
) -> None:
    """Compare the gradients at kinks with those of plain autograd, as far as these are numbers."""
    for index, output in enumerate(outputs[1:], 1):
        for a, b, row, point in zip(ours[index], plain[index], rows, points, strict=True):
            if row[index] is Outcome.KINK and not isinstance(row[0], Outcome) and not math.isnan(b):
                output.kinks += 1
                if not (a == b or abs(a - b) <= FAIR * form.epsilon * abs(b)):
                    output.departures += 1
                    output.departure_at = output.departure_at or point


def reference(
    problem: Problem, form: str, points: Sequence[tuple[float, ...]], order: int, cache: Path
) -> list[Row]:
    """Return the exact numbers at every point, from the cache if they are there."""
    text = repr((problem.value, problem.inputs, form, order, points, _version()))
    path = cache / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.pickle"
    if path.exists():
        return pickle.loads(path.read_bytes())
    exact = Exact(problem.value, problem.inputs)
    rows = [exact.at(point, order) for point in points]
    cache.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{id(rows)}.draft")
    draft.write_bytes(pickle.dumps(rows))
    draft.replace(path)
    return rows


def _version() -> str:
    """Return what tells one version of the reference from another."""
    folder = Path(fngen.accuracy.__file__).parent
    paths = [path for path in sorted(folder.glob("*.py")) if path.stem not in _JUDGES]
    texts = [path.read_bytes() for path in paths]
    return hashlib.sha256(b"".join(texts)).hexdigest()
