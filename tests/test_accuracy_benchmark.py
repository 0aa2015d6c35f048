"""The accuracy benchmark measures what it says, on formulas whose errors are known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.accuracy_cases import BUILTINS, FNGEN, PLAIN, TORCH, Case, cases
from benchmarks.accuracy_cells import Cell, Output, cell
from benchmarks.accuracy_tables import details, goals, summary, within, written
from fngen.accuracy import Exact, Outcome
from fngen.errors import FormulaError
from fngen.measurement.computed import computed, plain

ALL = cases("all")


def test_names_are_unique_and_every_built_in_has_a_formula() -> None:
    names = [c.name for c in ALL]
    assert len(set(names)) == len(names)
    assert set(BUILTINS) <= set(names)
    assert len(cases("suite")) >= 63
    assert len(cases("heldout")) >= 150


@pytest.mark.parametrize("case", ALL, ids=lambda c: c.name)
def test_every_formula_has_an_exact_value_somewhere(case: Case) -> None:
    problem = case.problem
    exact = Exact(problem.value, problem.inputs)
    points = [
        (a, b, c, 0.9, 1.4, 0.35)[: len(problem.inputs)]
        for a in (0.3, 1.7, 0.05)
        for b in (0.2, 1.2)
        for c in (0.6, 2.1)
    ]
    assert any(not isinstance(exact.at(p)[0], Outcome) for p in points)


@pytest.mark.parametrize("case", [c for c in ALL if c.name in BUILTINS], ids=lambda c: c.name)
def test_a_built_in_is_the_formula(case: Case) -> None:
    problem = case.problem
    points = [(0.31, 1.2, 0.7), (0.83, 0.45, 1.9), (2.4, 1.3, 0.4)]
    points = [p[: len(problem.inputs)] for p in points]
    ways = plain(problem.value, problem.inputs), BUILTINS[case.name]
    ours, theirs = (torch.tensor(computed(way, points, torch.float64, 1)) for way in ways)
    inside = ours[0].isfinite()
    assert bool(inside.any())
    torch.testing.assert_close(theirs[:, inside], ours[:, inside], rtol=1e-11, atol=1e-11)


def test_a_cell_counts_what_is_wrong(tmp_path: Path) -> None:
    case = Case("overflowing", "exp(x)/(1 + exp(x))", "made up")
    found = cell(case, "float64", 100, 0, tmp_path)
    assert found is not None
    value, slope, second = found.columns[PLAIN]
    assert value.nonfinite > 5
    assert value.nonfinite_at[0] > 700
    assert value.worst < 4
    assert slope.bad > 0
    assert second.points == value.points == 133
    (kept,) = tmp_path.iterdir()
    before = kept.stat().st_mtime_ns
    again = cell(case, "float64", 100, 0, tmp_path)
    assert kept.stat().st_mtime_ns == before
    assert again is not None
    assert again.columns == found.columns


def test_a_kink_is_compared_with_autograd(tmp_path: Path) -> None:
    found = cell(Case("kinked", "max(x, 0)", "made up"), "float64", 20, 0, tmp_path)
    assert found is not None
    slope = found.columns[FNGEN][1]
    assert (slope.kinks, slope.departures) == (1, 0)


def test_formats_of_16_bits_are_for_one_input(tmp_path: Path) -> None:
    assert cell(Case("two", "x*y", "made up"), "float16", 10, 0, tmp_path) is None


def test_the_tables_say_what_the_outputs_do() -> None:
    good, bad = Output(points=100, worst=0.5), Output(points=100, worst=1e6, bad=30, nonfinite=2)
    made = Cell(Case("made", "x", "made up"), "float64", 1)
    made.columns = {PLAIN: [bad, bad], TORCH: [good, good], FNGEN: [good, bad, good]}
    made.decisions = 100
    assert within([good, bad], 4) == 1
    assert written(bad) == "NF2% 1e+6 (30%>8)"
    assert any(
        "| made up | float64 | fngen | 2 | 1 | 1 | 1 | 15.00 % | 1.00 % |" in line for line in summary([made])
    )
    lines = list(goals([made]))
    assert any("G5" in line and "1 of 2: made float64" in line for line in lines)
    assert any("G7" in line and "1 of 1 (100 %)" in line for line in lines)
    assert any("| made | NF2% 1e+6 (30%>8) ; NF2% 1e+6" in line for line in details([made]))


def test_an_unknown_formula_is_named() -> None:
    with pytest.raises(SystemExit, match="nosuch"):
        cases("suite", ["nosuch"])


def test_a_refused_formula_says_why() -> None:
    with pytest.raises(FormulaError):
        _ = Case("broken", "x +", "made up").problem
