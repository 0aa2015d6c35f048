"""The errors of an imported layer at points all over a format, against ball arithmetic."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType

import torch

from fngen.accuracy import FORMATS, Error, Exact, Format, Outcome, Pair, error, forgiven, sample
from fngen.accuracy.evaluation import count as results
from fngen.accuracy.evaluation import pairs
from fngen.accuracy.points import Point
from fngen.errors import FileError
from fngen.ir import names
from fngen.measurement.computed import Function, computed, one_at_a_time, plain
from fngen.measurement.errors import FNGEN, PLAIN, Errors, output
from fngen.measurement.report import Accuracy, Gap
from fngen.problem import Problem
from fngen.verification.reference import torch_differentiates

_MOST_INPUTS = 6
"""Inputs of which second partials are measured: their number grows as the square."""
_DRAWS = 16
Row = list[Pair | Outcome]


@dataclass(frozen=True)
class Target:
    """One output of a layer, beside its formula.

    Attributes:
        label: The name of the output, if there are several.
        exact: The formula.
        ways: The functions to measure.
        wanted: The inputs by which each result is a derivative that is measured, by its place.
        orders: How many derivatives are taken, in each way.
    """

    label: str
    exact: Exact
    ways: dict[str, Function]
    wanted: dict[int, tuple[str, ...]]
    orders: dict[str, int]

    @property
    def order(self) -> int:
        """How many derivatives the exact results are of."""
        return max(self.orders.values())

    def gap(self, index: int, way: str, why: str, dtype: str = "") -> Gap:
        """Return that a result could not be measured."""
        return Gap(output(self.label, self.wanted[index]), way, why, dtype)


def measure(
    problem: Problem, module: ModuleType, function: str, dtypes: Sequence[str], points: int
) -> Accuracy:
    """Compare an imported layer, and autograd of the plain formula, with exact values.

    Args:
        problem: The formula, as parsed from the text that the user typed.
        module: The emitted file, imported.
        function: The name of its function.
        dtypes: The formats.
        points: How many points to find in each, edges not counted.

    Raises:
        FileError: If the file has no such function.
    """
    apply = getattr(module, function, None)
    if not callable(apply):
        raise FileError(f"the file has no layer {function!r}")
    problem = problem.at_defaults()
    gaps: list[Gap] = []
    targets = list(_targets(problem, apply, gaps))
    errors = [e for dtype in dtypes if targets for e in _in_format(targets, FORMATS[dtype], points, gaps)]
    capability = torch.backends.cpu.get_cpu_capability()
    machine = f"torch {torch.__version__}, {capability}"
    formula = " ".join(problem.reading.text.split())
    alone = problem.reduction is not None
    return Accuracy(function, formula, machine, problem.inputs, tuple(errors), tuple(gaps), alone)


def _targets(problem: Problem, apply: Callable[..., object], gaps: list[Gap]) -> Iterator[Target]:
    """Yield what can be measured; note the rest."""
    if problem.complex or problem.reduces:
        what = "of complex numbers" if problem.complex else "with reductions inside"
        gaps.append(Gap("value and partials", FNGEN, f"errors in ULP of a formula {what} are not known"))
        return
    for j, (label, graph) in enumerate(problem.results or (("", problem.value),)):
        try:
            exact = Exact(graph, problem.inputs)
        except NotImplementedError as unknown:
            gaps.append(Gap(f"{label}: " * bool(label) + "value and partials", FNGEN, str(unknown)))
            continue
        ours: Function = _output(apply, j) if problem.results else apply  # type: ignore[assignment]
        ways = {FNGEN: one_at_a_time(ours) if problem.reduction else ours, PLAIN: plain(graph, exact.inputs)}
        order = 2 if len(problem.inputs) <= _MOST_INPUTS else 1
        one = replace(problem, value=graph, results=())
        native = torch_differentiates(one)
        target = Target(label, exact, ways, _wanted(one, order), {FNGEN: order, PLAIN: order * native})
        gaps += _left_out(target, {x for x, _ in problem.grads})
        yield target


def _output(apply: Callable[..., object], j: int) -> Function:
    return lambda *xs: apply(*xs)[j]  # type: ignore[index]


def _wanted(problem: Problem, order: int) -> dict[int, tuple[str, ...]]:
    """Return by which inputs each result is a derivative, without inputs that the formula does not have."""
    inputs, has = problem.inputs, set(names([problem.value]))
    seconds = ((inputs[i], inputs[j]) for i, j in pairs(len(inputs)))
    taken = [(), *((x,) for x in inputs), *seconds][: results(len(inputs), order)]
    return {i: by for i, by in enumerate(taken) if has.issuperset(by)}


def _left_out(target: Target, declared: set[str]) -> Iterator[Gap]:
    """Take from a target what cannot be measured; yield what that is."""
    if target.order == 1:
        why = f"of more than {_MOST_INPUTS} inputs there are too many"
        yield Gap("second partials", FNGEN, why)
    for i in [i for i, by in target.wanted.items() if declared & set(by)]:
        yield target.gap(i, FNGEN, "the gradient is declared, and need not be the derivative")
        del target.wanted[i]
    if not target.orders[PLAIN]:
        yield from (target.gap(i, PLAIN, "torch has no derivative of it") for i in target.wanted if i)


def _in_format(targets: Sequence[Target], form: Format, count: int, gaps: list[Gap]) -> Iterator[Errors]:
    """Yield the errors of each output in a format."""
    points, rows = _exact(targets, form, count)
    if not points:
        gaps.append(
            Gap("value and partials", FNGEN, "no point was found at which the formula has a value", form.name)
        )
        return
    for target, exact in zip(targets, rows, strict=True):
        columns = {w: _computed(target, w, points, form, gaps) for w in target.ways}
        for index in target.wanted:
            for way, found in columns.items():
                if index < len(found):
                    yield _errors(target, index, way, found[index], exact, points, form)


def _exact(targets: Sequence[Target], form: Format, count: int) -> tuple[list[Point], list[list[Row]]]:
    """Return points at which one of the outputs has a value, and the exact results of each at them."""
    points: list[Point] = []
    rows: list[list[Row]] = [[] for _ in targets]
    seen: set[Point] = set()
    for drawn in _drawn(len(targets[0].exact.inputs), form, count):
        for point in drawn:
            if point in seen:
                continue
            seen.add(point)
            here = [t.exact.at(point, t.order) for t in targets]
            if any(row[0] is not Outcome.UNDEFINED for row in here):
                points.append(point)
                for row, column in zip(here, rows, strict=True):
                    column.append(row)
        if len(points) >= count:
            break
    return points, rows


def _drawn(inputs: int, form: Format, count: int) -> Iterator[Sequence[Point]]:
    """Yield points, more if the domain is narrow; all there are, if a format has no more than are wanted."""
    if inputs == 1 and count >= 2**form.bits:
        yield [(x,) for x in form.every()]
        return
    for seed in range(_DRAWS):
        yield sample(inputs, count, form, seed)


def _computed(
    target: Target, way: str, points: Sequence[Point], form: Format, gaps: list[Gap]
) -> list[list[float]]:
    """Return what a function gives, as many derivatives as it has."""
    dtype: torch.dtype = getattr(torch, form.name)
    why, found = "", list[list[float]]()
    for order in range(target.orders[way], -1, -1):
        try:
            found = computed(target.ways[way], points, dtype, order)
            break
        except Exception as problem:  # Whatever a broken file raises is its failure, not ours.
            why = why or " ".join([type(problem).__name__, *str(problem).strip().splitlines()[:1]])
    if why:
        gaps += [target.gap(i, way, why, form.name) for i in target.wanted if i >= len(found)]
    return found


def _errors(
    target: Target,
    index: int,
    way: str,
    numbers: Sequence[float],
    rows: Sequence[Row],
    points: Sequence[Point],
    form: Format,
) -> Errors:
    """Return the errors of one output."""
    inputs = target.exact.inputs
    found: list[Error | Outcome] = []
    mixed = 0.0
    for number, row, point in zip(numbers, rows, points, strict=True):
        exact = row[index]
        if isinstance(exact, Outcome):
            found.append(exact)
            continue
        off = error(number, exact, form)
        if not off.nonfinite:
            # JSON has no infinity; nothing is lost beyond this.
            off = Error(min(off.ulp, sys.float_info.max))
            mixed = max(mixed, forgiven(off.ulp, row, index, point, form)) if off.ulp > mixed else mixed
        found.append(off)
    by = target.wanted[index]
    kept = mixed if target.order > len(by) else None
    return Errors(target.label, by, form, way, inputs, tuple(points), tuple(found), kept)
