"""Laws that hold for every formula of the grammar."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import black
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fngen
from fngen import FngenError, FormulaError
from fngen.errors import VerificationError
from fngen.ir import names
from fngen.language.parse import parse
from fngen.printing.formula import FormulaPrinter
from tests.conftest import SCALE
from tests.strategies import SMOOTH, STABLE, formulas, programs

MODE = black.Mode(line_length=88)


@given(formulas())
@settings(max_examples=400 * SCALE)
def test_parse_print_parse_is_the_identity(text: str) -> None:
    try:
        root = parse(text).statements[0].value
    except FormulaError:
        assume(False)
    assert parse(FormulaPrinter().print(root)).statements[0].value is root


def emitted(text: str, stabilise: bool) -> fngen.Source:
    try:
        return fngen.generate(text, name="layer", stabilise=stabilise)
    except FormulaError:
        assume(False)
        raise


@given(formulas(leaves=12), STABLE)
@settings(max_examples=100 * SCALE)
def test_black_has_nothing_to_say(text: str, stabilise: bool) -> None:
    source = emitted(text, stabilise).text
    assert black.format_str(source, mode=MODE) == source
    # Black leaves alone what it cannot split.
    code = [line for line in source.splitlines() if '"' not in line and "#" not in line]
    assert max(map(len, code)) <= 88


@given(programs(), STABLE)
@settings(max_examples=40 * SCALE)
def test_black_has_nothing_to_say_of_programs(text: str, stabilise: bool) -> None:
    source = emitted(text, stabilise).text
    assert black.format_str(source, mode=MODE) == source


def verified(text: str, stabilise: bool) -> fngen.Report:
    source = emitted(text, stabilise)
    try:
        return fngen.verify(source)
    except VerificationError:
        assume(False)
        raise


@given(formulas(SMOOTH, (), 6), STABLE)
@settings(max_examples=150 * SCALE)
def test_smooth_formulas_agree_with_the_reference(text: str, stabilise: bool) -> None:
    report = verified(text, stabilise)
    assert report.ok, report


@given(formulas(leaves=5))
@settings(max_examples=150 * SCALE)
def test_formulas_of_the_whole_grammar_agree_with_the_reference(text: str) -> None:
    report = verified(text, True)
    assert report.ok, report


@pytest.mark.parametrize("text", ["x + elu(x, x)", "leaky_relu(x, y)", "elu(x, 2)*y"])
def test_a_number_of_torch_s_may_be_a_variable(text: str) -> None:
    report = verified(text, True)
    assert report.ok, report


@given(programs(), STABLE)
@settings(max_examples=60 * SCALE)
def test_programs_agree_with_the_reference(text: str, stabilise: bool) -> None:
    report = verified(text, stabilise)
    assert report.ok, report


@given(formulas(), STABLE)
@settings(max_examples=100 * SCALE)
def test_the_header_is_the_recipe(text: str, stabilise: bool) -> None:
    source = emitted(text, stabilise)
    path = Path("layer.py")
    from fngen import recipe

    assert recipe.parse_header(source.text, path) == source.spec


@pytest.mark.slow
def test_ruff_and_mypy_have_nothing_to_say(tmp_path: Path) -> None:
    count = 0

    @given(formulas(leaves=10))
    @settings(max_examples=120 * SCALE)
    def write(text: str) -> None:
        nonlocal count
        try:
            (tmp_path / f"layer_{count}.py").write_text(fngen.generate(text, name=f"layer_{count}").text)
        except FngenError:
            return
        count += 1

    write()
    assert count > 50
    for command in (["ruff", "check", "--isolated"], ["ruff", "format", "--isolated", "--check"], ["mypy"]):
        words = [sys.executable, "-m", *command, str(tmp_path)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@given(formulas(SMOOTH, (), 10), st.permutations(range(4)))
@settings(max_examples=40 * SCALE)
def test_names_in_every_role(text: str, roles: list[int]) -> None:
    """A formula with some of its names learned and some constant, and beside it a second output."""
    inputs = parsed_inputs(text)
    learned, fixed, *_ = [inputs[i] for i in roles if i < len(inputs)] + ["", ""]
    options = {"params": {f"{learned}[C]": 1.5} if learned else {}, "consts": {fixed: 0.75} if fixed else {}}
    formula = f"u = {text}; v = u*{inputs[0]} + sin(u)" if roles[0] % 2 else text
    try:
        source = fngen.generate(
            formula, name="layer", outputs=["u", "v"] if roles[0] % 2 else None, **options
        )
        report = fngen.verify(source)
    except (FormulaError, VerificationError):
        assume(False)
        raise
    assert report.ok, report
    assert black.format_str(source.text, mode=MODE) == source.text


def parsed_inputs(text: str) -> list[str]:
    """Return the names in a formula."""
    try:
        return list(names([parse(text).statements[0].value]))
    except FormulaError:
        assume(False)
        raise
