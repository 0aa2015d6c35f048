"""How much digits are worth: in a request, in what is emitted, in what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import fngen
from fngen import recipe
from fngen.accuracy import FORMATS, Exact
from fngen.accuracy.ulp import error
from fngen.algebra import fold_numbers
from fngen.backends.torch import legalise
from fngen.cli import main
from fngen.errors import OptionError
from fngen.ir import Value
from fngen.language.parse import parse_expression
from fngen.stabilise.work import Budget

GELU = "x*(1 + erf(x/sqrt(2)))/2"


def run(*words: str) -> tuple[int, str]:
    """Return the exit code of a command and what it printed."""
    done = CliRunner().invoke(main, [*words])
    return done.exit_code, done.output


def worst(effort: int) -> float:
    """Return the largest error of gelu in its tail, in ULP."""
    points = [(-float(x),) for x in torch.linspace(2, 20, 40, dtype=torch.float64)]
    exact = Exact(parse_expression(GELU), ["x"])
    f = fngen.compile(GELU, name="f", effort=effort).f
    found = f(torch.tensor([x for (x,) in points], dtype=torch.float64)).tolist()
    pairs = [(y, exact.at(point, 0)[0]) for y, point in zip(found, points, strict=True)]
    return max(error(y, want, FORMATS["float64"]).ulp for y, want in pairs if isinstance(want, tuple))


def test_more_time_is_more_digits() -> None:
    assert worst(1) > 20
    assert worst(10) < 4


def test_the_request_is_in_the_header(tmp_path: Path) -> None:
    path = tmp_path / "gelu.py"
    code, output = run(GELU, "--name", "gelu", "--effort", "3", "-o", str(path), "--no-verify")
    assert code == 0, output
    assert "--effort 3" in path.read_text()
    assert recipe.read(path).effort == 3
    assert path.read_text() == fngen.generate(GELU, name="gelu", effort=3).text
    assert run("check", str(path))[0] == 0


def test_the_usual_is_not_said() -> None:
    assert "--effort" not in fngen.generate(GELU, name="gelu", effort=1).text


@pytest.mark.parametrize("effort", [0, -1, 101, "much", None, 1.5])
def test_an_effort_that_is_none(effort: object) -> None:
    with pytest.raises(OptionError, match="from 1 to 100"):
        fngen.generate("x**2", effort=effort)  # type: ignore[arg-type]


@pytest.mark.parametrize("word", ["0", "101", "much", "1.5"])
def test_of_a_command_too(word: str) -> None:
    code, output = run("x**2", "--effort", word, "-o", "-")
    assert code == 2
    assert "--effort" in output


def test_in_a_declaration(tmp_path: Path) -> None:
    declared = tmp_path / "fngen.toml"
    declared.write_text(f'[layers.gelu]\nformula = "{GELU}"\neffort = 3\n')
    assert run("build", "--config", str(declared), "--no-verify")[0] == 0
    assert recipe.read(tmp_path / "generated" / "gelu.py").effort == 3
    declared.write_text('[layers.gelu]\nformula = "x"\neffort = 0\n')
    code, output = run("build", "--config", str(declared), "--no-verify")
    assert code == 2
    assert "a whole number from 1 to 100" in output


def legal(*texts: str) -> list[Value]:
    """Return formulas as torch computes them."""
    parsed = [parse_expression(text) for text in texts]
    folded = fold_numbers(parsed)
    return legalise(folded[graph] for graph in parsed)


def test_what_is_at_hand_takes_no_time() -> None:
    """A derivative made of the value's own parts is as cheap as what is done with them."""
    value, slope, other = legal("x*tanh(x)", "tanh(x) + x", "tanh(2*x) + x")
    budget = Budget(value, ("x",))
    budget.choose(value, 0)
    budget.choose(slope, 1)
    assert budget.of(slope, 1)[0] < budget.of(other, 1)[0]
    assert budget.of(slope, 1)[1] == 0
    assert budget.of(other, 1)[1] > 0


def test_the_rare_side_of_a_choice_takes_no_time() -> None:
    usual, rare, both = legal("sin(x)", "where(x < -40, exp(x), sin(x))", "where(x < 0, exp(x), sin(x))")
    budget = Budget(usual, ("x",))
    times = [budget.of(form, 0)[0] for form in (usual, rare, both)]
    assert times[0] < times[1] < 1.5 * times[0] < times[2]
