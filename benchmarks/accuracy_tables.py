"""The tables of the accuracy benchmark: a summary, the goals, a row for each formula."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.accuracy_cases import ACCURATE, FNGEN, PLAIN, TORCH
from benchmarks.accuracy_cells import EXHAUSTIVE, FAIR, GOOD, ROUNDED, Cell, Output

_HEADS = (
    *("set", "format", "way", "outputs", "≤ 0.51", "≤ 4", "≤ 8", "points beyond 8", "wrong nan or inf"),
    *("≤ 4 mixed", "second partials ≤ 8", "wrong nan or inf in them"),
)
WAYS = (PLAIN, TORCH, FNGEN, ACCURATE)


def first_order(cell: Cell, way: str) -> list[Output]:
    """Return the outputs that are the value and the first partials."""
    return cell.columns.get(way, [])[: cell.inputs + 1]


def second_order(cell: Cell, way: str) -> list[Output]:
    """Return the outputs that are second partials."""
    return cell.columns.get(way, [])[cell.inputs + 1 :]


def gathered(cells: Iterable[Cell], way: str) -> list[Output]:
    """Return the first outputs of several cells."""
    return [output for cell in cells for output in first_order(cell, way)]


def within(outputs: Sequence[Output], limit: float) -> int:
    """Return how many have no error beyond a limit, and no wrong NaN or infinity."""
    return sum(o.worst <= limit and not o.nonfinite for o in outputs)


def share(part: float, whole: float) -> str:
    """Return a share in per cent."""
    return f"{100 * part / whole:.2f} %" if whole else "-"


def written(output: Output) -> str:
    """Return the errors of an output in a few characters."""
    worst = f"{output.worst:.3g}" if output.worst < 1e4 else f"{output.worst:.0e}".replace("e+0", "e+")
    words = [worst]
    if output.bad:
        words.append(f"({max(100 * output.bad / output.points, 1):.0f}%>8)")
    if output.nonfinite:
        words.insert(0, f"NF{100 * output.nonfinite / output.points:.0f}%")
    return " ".join(words) if output.points else "none"


def worst_of(outputs: Sequence[Output]) -> Output:
    """Return several outputs as one."""
    total = Output()
    for o in outputs:
        total.points += o.points
        total.bad += o.bad
        total.nonfinite += o.nonfinite
        total.worst = max(total.worst, o.worst)
    return total


def summary(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield the lines of the summary."""
    yield "| " + " | ".join(_HEADS) + " |"
    yield "| " + " | ".join(["---"] * len(_HEADS)) + " |"
    for family, form, group in groups(cells):
        for way in WAYS:
            outputs = gathered(group, way)
            if not outputs:
                continue
            points = sum(o.points for o in outputs)
            second = [o for cell in group for o in second_order(cell, way)]
            yield (
                "| "
                + " | ".join(
                    [
                        *(family, form, way, str(len(outputs))),
                        *(str(within(outputs, limit)) for limit in (ROUNDED, GOOD, FAIR)),
                        share(sum(o.bad for o in outputs), points),
                        share(sum(o.nonfinite for o in outputs), points),
                        str(sum(o.mixed <= GOOD and not o.nonfinite for o in outputs)),
                        f"{within(second, FAIR)} of {len(second)}" if second else "-",
                        share(sum(o.nonfinite for o in second), sum(o.points for o in second)),
                    ]
                )
                + " |"
            )


def groups(cells: Sequence[Cell]) -> Iterator[tuple[str, str, list[Cell]]]:
    """Yield the cells of each set and format."""
    for family in dict.fromkeys(c.case.family for c in cells):
        for form in dict.fromkeys(c.form for c in cells):
            group = [c for c in cells if (c.case.family, c.form) == (family, form)]
            if group:
                yield family, form, group


def goals(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield the lines of goal against measured."""
    yield "| goal | set | what | measured |"
    yield "| --- | --- | --- | --- |"
    for family in dict.fromkeys(c.case.family for c in cells):
        of = {form: [c for c in cells if (c.case.family, c.form) == (family, form)] for form in _FORMATS}
        for goal, what, measured in _goals(of):
            yield f"| {goal} | {family} | {what} | {measured} |"


_FORMATS = ("float64", "float32", *EXHAUSTIVE)


def _goals(of: dict[str, list[Cell]]) -> Iterator[tuple[str, str, str]]:
    small = [o for form in EXHAUSTIVE for o in gathered(of[form], FNGEN)]
    if small:
        yield "G1", "fp16, bf16: outputs ≤ 0.51 ULP at every bit pattern: all", _part(small, ROUNDED)
    accurate, single = gathered(of["float32"], ACCURATE), gathered(of["float32"], FNGEN)
    if accurate:
        yield "G2", "float32 accurate: outputs ≤ 0.51 ULP: all", _part(accurate, ROUNDED)
    if single:
        yield "G2", "float32: outputs ≤ 4 ULP: 95 %", _part(single, GOOD)
    double = gathered(of["float64"], FNGEN)
    if double:
        forgiven = sum(o.mixed <= GOOD and not o.nonfinite for o in double)
        yield "G3", "float64: outputs ≤ 4 ULP: 95 %", _part(double, GOOD)
        yield "G3", "float64: outputs ≤ 4 mixed: all", f"{forgiven} of {len(double)}"
    cells = [c for g in of.values() for c in g]
    everything = [o for form in _FORMATS for way in (FNGEN, ACCURATE) for o in gathered(of[form], way)]
    yield "G4", "outputs with a wrong nan or inf, all formats: 0", _faulty(everything)
    yield (
        "G5",
        "outputs with more bad points than torch's own: 0",
        _beaten(cells),
    )
    kinks, departures = sum(o.kinks for o in everything), sum(o.departures for o in everything)
    departed = [c.case.name for c in cells if any(o.departures for o in first_order(c, FNGEN))]
    what = "gradients at kinks that are not plain autograd's: 0"
    yield "G6", what, f"{departures} of {kinks}" + _named(departed)
    second = [o for f in ("float64", "float32") for c in of[f] for o in second_order(c, FNGEN)]
    yield "G7", "second partials with a wrong nan or inf: 0", _faulty(second)
    yield "G7", "second partials ≤ 8 ULP: 90 %", _part(second, FAIR)
    undecided, all_ = sum(c.undecided for c in cells), sum(c.decisions for c in cells)
    yield "", "undecided by the reference: ≤ 0.1 %", f"{100 * undecided / max(all_, 1):.3f} %"


def _part(outputs: Sequence[Output], limit: float) -> str:
    good = within(outputs, limit)
    return f"{good} of {len(outputs)} ({100 * good / max(len(outputs), 1):.0f} %)"


def _faulty(outputs: Sequence[Output]) -> str:
    faulty = sum(o.nonfinite > 0 for o in outputs)
    points, all_ = sum(o.nonfinite for o in outputs), sum(o.points for o in outputs)
    return f"{faulty} of {len(outputs)} ({share(points, all_)} of points)"


def _beaten(cells: Sequence[Cell]) -> str:
    pairs = [
        (c.case.name, c.form, ours, theirs)
        for c in cells
        for ours, theirs in zip(first_order(c, FNGEN), first_order(c, TORCH), strict=False)
    ]
    worse = [f"{n} {f}" for n, f, a, b in pairs if a.bad + a.nonfinite > b.bad + b.nonfinite]
    return f"{len(worse)} of {len(pairs)}{_named(worse)}"


def _named(names: Sequence[str]) -> str:
    once = list(dict.fromkeys(names))
    return f": {', '.join(once)}" if 0 < len(once) <= 12 else ""


def details(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield a table of formulas for each set and format."""
    for family, form, group in groups(cells):
        ways = [w for w in WAYS if any(w in c.columns for c in group)]
        yield f"\n### {family}, {form}\n"
        yield "| formula | " + " | ".join(ways) + " | fngen, second partials |"
        yield "| --- " * (len(ways) + 2) + "|"
        for c in group:
            texts = [" ; ".join(map(written, first_order(c, w))) or c.refused.get(w, "-") for w in ways]
            second = second_order(c, FNGEN)
            yield f"| {c.case.name} | {' | '.join(texts)} | {written(worst_of(second)) if second else '-'} |"
