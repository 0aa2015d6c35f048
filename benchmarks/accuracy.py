"""Measure how accurate emitted layers are, against the exact value in ball arithmetic.

    python -m benchmarks.accuracy                       # the suite, float64 and float32
    python -m benchmarks.accuracy --set all --format all -j 2 --write benchmarks/accuracy.md

Formats of 16 bits are tried with every bit pattern, for formulas of one input; the others at `--points`
points of random bits and of random logarithms, at nearly equal points, and at the edges of the format, or
with `--sizes usual` at points of the sizes that people compute with, a billionth to a thousand.
Exact numbers are kept in `--cache`, so that a second run costs little.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks import accuracy_tables as tables
from benchmarks.accuracy_cases import FNGEN, PLAIN, SETS, Case, cases
from benchmarks.accuracy_cells import SIZES, Cell, cell
from fngen.accuracy import FORMATS, Exact, Outcome, sample
from fngen.timing.clock import interleaved

HEAD = """\
# Accuracy

Written by `python -m benchmarks.accuracy`, see its docstring; torch {}, {} points a formula, of {} size,
seed {}.

Errors are in ULP against the exact value in ball arithmetic. A cell is value ; partials: the largest error,
in brackets the share of points beyond 8, and after NF the share of points with a wrong nan or inf. A maximum
over samples is no bound. A mixed error has the rounding of one input forgiven. "plain" is autograd of the
formula as typed, "torch" torch's own function where there is one, "fngen" the layer.
"""
SPEED_SIZE, SPEED_SECONDS = 1_000_000, 1.5


def measured(job: tuple[Case, str], points: int, seed: int, cache: Path, sizes: str) -> Cell | None:
    """Return one formula in one format."""
    torch.set_num_threads(1)
    return cell(*job, points, seed, cache, SIZES[sizes])


def all_cells(chosen: Sequence[Case], options: argparse.Namespace) -> Iterator[Cell]:
    """Yield every cell, in order."""
    jobs = [(case, form) for form in options.formats for case in chosen]
    draw = {"points": options.points, "seed": options.seed, "sizes": options.sizes}
    work = partial(measured, cache=options.cache, **draw)
    if options.jobs == 1:
        found = map(work, jobs)
        yield from _reported(found, len(jobs))
        return
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        yield from _reported(pool.map(work, jobs), len(jobs))


def _reported(found: Iterator[Cell | None], total: int) -> Iterator[Cell]:
    for done, cell_ in enumerate(found, 1):
        name = f"{cell_.case.name} {cell_.form}" if cell_ else ""
        print(f"\r{done}/{total} {name:<50}", end="", file=sys.stderr, flush=True)
        if cell_:
            yield cell_
    print(file=sys.stderr)


def speed(case: Case) -> float | None:
    """Return the time of value and gradient of the emitted layer, in that of plain autograd."""
    problem = case.problem
    ways = case.ways(problem)
    exact = Exact(problem.value, problem.inputs)
    points = [
        p for p in sample(len(problem.inputs), 200, FORMATS["float32"]) if all(1e-3 < abs(x) < 20 for x in p)
    ]
    points = [p for p in points if not any(isinstance(r, Outcome) for r in exact.at(p, 1))]
    if not points or isinstance(ways[FNGEN], str):
        return None
    columns = torch.tensor(points, dtype=torch.float32).T
    repeat = -(-SPEED_SIZE // columns.shape[1])
    inputs = [c.repeat(repeat)[:SPEED_SIZE].clone().requires_grad_() for c in columns]
    ones = torch.ones(SPEED_SIZE)

    def step(function):
        return lambda: torch.autograd.grad(function(*inputs), inputs, ones, allow_unused=True)

    times = interleaved({way: step(ways[way]) for way in (PLAIN, FNGEN)}, SPEED_SECONDS)
    return (times[FNGEN].median() / times[PLAIN].median()).item()


def speed_table(chosen: Sequence[Case]) -> Iterator[str]:
    """Yield the lines of the table of times."""
    torch.set_num_threads(1)
    yield "| formula | time of value and gradient, N = 1e6, float32: fngen / plain |"
    yield "| --- | --- |"
    ratios = []
    for case in chosen:
        ratio = speed(case)
        if ratio is not None:
            ratios.append(ratio)
            yield f"| {case.name} | {ratio:.2f} |"
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    yield f"| **geometric mean of {len(ratios)}** | **{mean:.2f}** |"


def report(options: argparse.Namespace) -> str:
    """Return everything that was measured."""
    chosen = cases(options.set, options.formulas)
    lines = HEAD.format(torch.__version__, options.points, options.sizes, options.seed).splitlines()
    found = list(all_cells(chosen, options))
    lines += ["", "## Goals", "", *tables.goals(found), "", "## Summary", "", *tables.summary(found)]
    if options.speed:
        lines += ["", "## Time", "", *speed_table(chosen)]
    if not options.brief:
        lines += ["", "## Formulas", *tables.details(found)]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=[*SETS, "all"], default="suite")
    parser.add_argument(
        "--formulas", type=lambda text: text.split(","), default=[], help="names, with commas"
    )
    parser.add_argument("--format", choices=[*FORMATS, "all"], action="append", dest="formats")
    parser.add_argument("--points", type=int, default=600)
    parser.add_argument("--sizes", choices=[*SIZES], default="any", help="of the numbers in points")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-j", "--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir(), "fngen-accuracy"))
    parser.add_argument("--speed", action="store_true", help="times of emitted against plain too")
    parser.add_argument("--brief", action="store_true", help="no table of formulas")
    parser.add_argument("--write", type=Path, help="write the report to a file too")
    options = parser.parse_args()
    forms = options.formats or ["float64", "float32"]
    options.formats = ["float64", "float32", "float16", "bfloat16"] if "all" in forms else forms
    text = report(options)
    print(text, end="")
    if options.write:
        options.write.write_text(text)


if __name__ == "__main__":
    main()
