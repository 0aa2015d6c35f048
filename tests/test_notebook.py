"""The magics in a shell of IPython's, and what a notebook shows of a layer."""

from __future__ import annotations

import atexit
import builtins
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import fngen
from fngen.source import Source

SWISH = "x*sigmoid(beta*x)"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.chdir(tmp_path)
    config = Config()
    config.HistoryManager.enabled = False
    before = sys.displayhook, sys.excepthook
    made = InteractiveShell(config=config, ipython_dir=str(tmp_path))
    made.run_cell("%load_ext fngen")
    yield made
    made.atexit_operations()
    atexit.unregister(made.atexit_operations)
    InteractiveShell.clear_instance()
    sys.displayhook, sys.excepthook = before


def run(shell: InteractiveShell, text: str) -> Any:
    result = shell.run_cell(text)
    result.raise_error()
    return result.result


def failure(shell: InteractiveShell, capsys: pytest.CaptureFixture[str], text: str) -> str:
    assert not shell.run_cell(text).success
    captured = capsys.readouterr()
    output = captured.out + captured.err
    assert "Traceback" not in output
    assert output.startswith("UsageError: ")
    return output


def test_line_magic(shell: InteractiveShell) -> None:
    source = run(shell, f"%fngen {SWISH} --name swish --param beta=1.5")
    assert source == fngen.generate(SWISH, name="swish", params={"beta": "1.5"})
    x = torch.linspace(-2, 2, 5)
    shell.push({"x": x})
    torch.testing.assert_close(run(shell, "Swish()(x)"), (x * torch.sigmoid(1.5 * x)), check_dtype=False)
    assert {"Swish", "SwishFunction", "swish"} <= set(shell.user_ns)


@pytest.mark.parametrize(
    "line",
    [
        "x**2 + y --name square",
        "x**2  +  y   --name square",
        '"x**2 + y" --name square',
        "'x**2 + y' --name=square",
        "x² + y --name square",
        "x**2 + y --name square --verify",
    ],
)
def test_the_formula_may_have_spaces(shell: InteractiveShell, line: str) -> None:
    assert run(shell, f"_found = %fngen {line}\n_found").name == "square"
    torch.testing.assert_close(run(shell, "import torch\nsquare(torch.tensor(3.0), 2.0)"), torch.tensor(11.0))


def test_a_formula_that_begins_with_a_minus(shell: InteractiveShell) -> None:
    assert "-(x**2)" in run(shell, "%fngen -x**2 --name minus").text


def test_cell_magic(shell: InteractiveShell) -> None:
    cell = "# remarks\nname gate\nparam beta = 1.0\nconst eps = 1e-6\n\nu = beta*x   # {x} $x\nx*sigmoid(u)/(\n    abs(x) + eps)\n"
    source = run(shell, f"%%fngen --lean\n{cell}")
    assert source == fngen.generate(cell, lean=True)
    assert source.name == "gate"
    assert "Gate" in shell.user_ns


def test_verify(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    run(shell, "%fngen sin(x) --name s --verify")
    assert "verified: value and 1 partial" in capsys.readouterr().out


def test_nothing_in_curly_brackets_is_evaluated(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.push({"x": 3})
    for formula in ("{x}*y", "{__import__('os').getcwd()}*y", "$x*y"):
        assert "unexpected character" in failure(shell, capsys, f"%fngen {formula} --name n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%fngen x*sigmod(y)", "    x*sigmod(y)\n      ^^^^^^"),
        ("%fngen", "a formula is missing"),
        ("%fngen --name n", "a formula is missing"),
        ("%%fngen\n ", "a formula is missing"),
        ("%%fngen x**2\nx", "stands in the cell"),
        ("%fngen x**2 --nmae n", "--nmae"),
        ("%fngen x**2 --name n y", "The formula comes first."),
        ("%fngen x**2 --name", "requires an argument"),
        ("%fngen x**2 --name 'n", "the options cannot be read"),
        ("%fngen x**2 --name class", "means something else"),
        ("%%fngen\nx +\n", "has no right side"),
    ],
)
def test_errors_have_no_traceback(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    assert message in failure(shell, capsys, text)


def test_a_cell_that_fails_leaves_names_alone(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.push({"square": 1})
    failure(shell, capsys, "%fngen x**2 + --name square")
    assert shell.user_ns["square"] == 1


# What is shown.


class Page(HTMLParser):
    """The text of a page, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


CHOICE = "where(x < 0 and y > 1, x*y, x**2)"


@pytest.mark.parametrize("pygments", [True, False])
@pytest.mark.parametrize("formula", [SWISH, CHOICE, "u = x*y; v = u + x", "softmax(x, dim=-1)"])
def test_html_holds_the_code_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, formula: str, pygments: bool
) -> None:
    if not pygments:
        real = builtins.__import__

        def without(name: str, *args: Any, **keywords: Any) -> Any:
            if name.startswith("pygments"):
                raise ImportError(name)
            return real(name, *args, **keywords)

        monkeypatch.setattr(builtins, "__import__", without)
    source = fngen.generate(formula)
    page = Page(source._repr_html_())
    mathematics, _, code = page.text.partition("\\end{aligned}$$")
    assert mathematics.startswith("$$\\begin{aligned}")
    assert code.strip() == source.text.strip()
    assert page.tags <= {"div", "pre", "span"}
    assert ("span" in page.tags) == pygments


def test_html_is_escaped() -> None:
    source = Source(
        "n", "x = '<script>alert(1)</script> & \"'\n", fngen.generate("x + 1").spec, ("a < b & c",)
    )
    page = Page(source._repr_html_())
    assert "script" not in page.tags
    assert "a < b & c" in page.text
    assert "<script>alert(1)</script>" in page.text


def test_latex() -> None:
    latex = fngen.generate("x1**2 + sin(y)")._repr_latex_()
    assert latex == (
        "$$\\begin{aligned}\n"
        "y_1 &= x_1^2 + \\sin(y) \\\\\n"
        "\\frac{\\partial y_1}{\\partial x_1} &= 2 x_1 \\\\\n"
        "\\frac{\\partial y_1}{\\partial y} &= \\cos(y)\n"
        "\\end{aligned}$$"
    )
    declared = fngen.generate("round(x)", grads={"x": "1"})._repr_latex_()
    assert declared is not None
    assert "&:= 1" in declared


def test_every_row_is_in_the_docstring() -> None:
    source = fngen.generate(f"param beta = 1; {SWISH}", name="swish")
    flat = " ".join(source.text.split())
    assert len(source.derivation) == 3
    for row in source.derivation:
        assert " ".join(row.split()) in flat


def test_a_derivation_too_long_to_read_is_left_out() -> None:
    source = fngen.generate(" + ".join(f"sin(x{i}*x{i + 1})" for i in range(40)), name="long")
    assert source.derivation == ()
    assert source._repr_latex_() is None
    assert "$$" not in source._repr_html_()
    assert set(source._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_mime_bundle(shell: InteractiveShell) -> None:
    source = fngen.generate(SWISH)
    bundle = source._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "text/latex"}
    assert bundle["text/plain"] == source.text
    assert set(source._repr_mimebundle_(include={"text/html"})) == {"text/html"}
    assert set(source._repr_mimebundle_(exclude={"text/html"})) == {"text/plain", "text/latex"}
    shown, _ = shell.display_formatter.format(source)
    assert shown["text/plain"] == source.text
    assert shown["text/latex"] == source._repr_latex_()
    assert re.search(r"<span[^>]*>class</span>", shown["text/html"])


def test_the_import_stays_light() -> None:
    code = "import sys, fngen; print({'torch', 'sympy', 'IPython', 'pygments'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_latex_in_a_notebook(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    source = run(shell, r"%fngen \frac{x}{1+e^{-\beta x}} --latex --name gate")
    assert capsys.readouterr().err == "read as: x/(1 + exp(-beta*x))\n"
    assert source == fngen.generate("x/(1 + exp(-beta*x))", name="gate")
    cell = "%%fngen --latex --name bell\n\\exp\\left[-\\frac{x^2}\n  {2\\sigma^2}\\right]\n"
    assert run(shell, cell) == fngen.generate("exp(-x**2/(2*sigma**2))", name="bell")
