"""The examples of make and ninja, built by these tools: all that is out of date, and nothing twice."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.environments import run

EXAMPLES = ("make", "ninja")
BUILDS = "fngen build"


class Project:
    """An example, copied, with a copy of fngen that may be changed."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.tool = folder / "tool"
        for name in ("fngen", "templates"):
            shutil.copytree(ROOT / name, self.tool / name, ignore=shutil.ignore_patterns("__pycache__"))
        self.folder = folder / "a project"
        shutil.copytree(ROOT / "examples" / kind, self.folder)
        self.fngen, python = f"{sys.executable} -m fngen", sys.executable
        self.command = ["make", f"FNGEN={self.fngen}", f"PYTHON={python}"]
        if kind == "ninja":
            file = self.folder / "build.ninja"
            text = file.read_text().replace("fngen = fngen\npython = python\n", "")
            file.write_text(f"fngen = {self.fngen}\npython = {python}\n{text}")
            self.command = ["ninja", "-v"]

    def make(self, code: int = 0) -> str:
        """Build, and return what was printed."""
        printed = run(*self.command, cwd=self.folder, code=code, PYTHONPATH=str(self.tool))
        return printed.replace(self.fngen, "fngen")

    def change(self, name: str, old: str, new: str) -> None:
        """Change a file, a moment after all that was made before."""
        time.sleep(0.02)
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return Project(request.param, tmp_path)


@pytest.mark.slow
def test_all_that_is_out_of_date_and_nothing_twice(example: Project) -> None:
    first = example.make()
    assert first.count(BUILDS) == 1
    assert "main.py" in first
    # The force is -2*D*a*(1 - e)*e, with e = exp(-a*(r - r_e)).
    forces = example.read("result.txt").split()
    assert forces[0] == "6.950"

    def is_idle() -> bool:
        printed = example.make()
        return BUILDS not in printed and "main.py" not in printed

    assert is_idle()
    # Nothing but a remark: the layers keep their times, and the result is not made again.
    example.change("fngen.toml", "[layers]", "# a remark\n[layers]")
    printed = example.make()
    assert printed.count(BUILDS) == 1
    assert "main.py" not in printed
    assert is_idle()
    # A formula.
    example.change("formulas/morse.fn", "4.6", "9.2")
    printed = example.make()
    assert printed.count(BUILDS) == 1
    assert "written generated/morse.py" in printed
    assert float(example.read("result.txt").split()[0]) == pytest.approx(2 * 6.950, abs=2e-3)
    assert is_idle()
    # A new formula file.
    (example.folder / "formulas/hook.fn").write_text("k*x**2/2\n")
    assert "written generated/hook.py" in example.make()
    assert is_idle()
    (example.folder / "formulas/hook.fn").unlink()
    assert "removed generated/hook.py" in example.make()
    assert is_idle()
    # A layer that was lost.
    (example.folder / "generated/morse.py").unlink()
    assert "written generated/morse.py" in example.make()
    assert is_idle()


@pytest.mark.slow
def test_a_changed_generator_builds_again(example: Project) -> None:
    example.make()
    for part in ("fngen/algebra.py", "templates/module.py.jinja"):
        path = example.tool / part
        time.sleep(0.02)
        path.write_text(path.read_text().replace("Shape:", "Shapes:"))
        assert example.make().count(BUILDS) == 1
        assert ("Shapes:" in example.read("generated/morse.py")) == part.endswith(".jinja")
        assert BUILDS not in example.make()


@pytest.mark.slow
def test_what_fails_is_tried_again(example: Project) -> None:
    example.make()
    example.change("formulas/morse.fn", "exp(", "exq(")
    for _ in range(2):
        assert "formulas/morse.fn:4: unknown function 'exq'" in example.make(code=2)
    example.change("formulas/morse.fn", "exq(", "exp(")
    assert BUILDS in example.make()
    assert BUILDS not in example.make()


def test_what_generates_is_in_the_depfile(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples/make", tmp_path / "p")
    options = ["--no-verify", "--stamp", "out/stamp", "--depfile", "out/d"]
    run(sys.executable, "-m", "fngen", "build", *options, cwd=tmp_path / "p")
    rule, *_ = (tmp_path / "p/out/d").read_text().split("\n\n")
    target, _, inputs = rule.replace("\\\n", "").partition(": ")
    assert target == "out/stamp"
    names = inputs.split()
    assert {"fngen.toml", "formulas", "formulas/morse.fn"} <= set(names)
    assert {str(ROOT / "fngen/algebra.py"), str(ROOT / "templates/module.py.jinja")} <= set(names)
    for library in ("sympy", "mpmath", "jinja2"):
        (file,) = (name for name in names if f"/{library}-" in name.lower())
        assert os.path.isfile(file)
