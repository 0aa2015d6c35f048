"""Rules of the code that hold by test, not by intention."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "fngen"
LONGEST_MODULE = 270
LONGEST_FUNCTION = 45

HOMES = {
    "sympy": {
        "symbolic",
        "differentiate",
        "arrange",
        "monomials",
        "terms",
        "from_sympy",
        "api",
        "stabilise.one_fraction",
    },
    "torch": {
        "timing.clock",
        "timing.draws",
        "timing.run",
        "timing.ways",
        "measurement.computed",
        "measurement.measure",
        "verification.arguments",
        "verification.declarations",
        "verification.formula",
        "verification.judges",
        "verification.mixtures",
        "verification.plain",
        "verification.points",
        "verification.reference",
        "verification.tensors",
        "verification.verify",
        "verification.under_test",
    },
    "jinja2": {"render"},
    "flint": {
        "accuracy.choices",
        "accuracy.elementary",
        "accuracy.evaluation",
        "accuracy.exact",
        "accuracy.extreme_operators",
        "accuracy.extremes",
        "accuracy.mixed",
        "accuracy.plan",
        "accuracy.series",
        "accuracy.special",
        "stabilise.chebyshev",
        "stabilise.laurent",
        "stabilise.shifts",
        "stabilise.simulate",
    },
    "click": {"cli", "options", "project.command", "timing.command", "notebook"},
    "tomlkit": {"project.edit"},
    "filelock": {"project.folder"},
    "watchfiles": {"project.watch"},
    "hatchling": {"integrations.hatch"},
    "setuptools": {"integrations.setuptools"},
    "matplotlib": {"measurement.canvas", "measurement.picture", "timing.picture"},
    "IPython": {"notebook"},
    "pygments": {"display"},
    "pytest": {"integrations.pytest"},
    "mpmath": {"numeric", "grids", "example", "verification.plain", "verification.reference"},
}
"""The modules that may import a library (``api`` only to annotate a type)."""

STAGES = {"problem", "differentiate", "layer", "view", "render"}
LEADERS = {"pipeline", "api", "show", "verification.subject", "verification.verify", "project.work"}
"""What may import several stages; a stage itself builds on the data of the one before."""
BEFORE = {
    "problem": set(),
    "differentiate": set(),
    "layer": {"problem"},
    "view": {"problem", "layer"},
    "render": {"view"},
}
EVALUATORS = {"eval", "exec", "compile", "sympify", "parse_expr", "lambdify", "S", "__import__"}


def modules() -> dict[str, ast.Module]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return {".".join(p.relative_to(PACKAGE).with_suffix("").parts): ast.parse(p.read_text()) for p in paths}


MODULES = modules()


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module in ("fngen", "fngen.verification"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_in_its_homes_only(library: str) -> None:
    users = {name for name, tree in MODULES.items() if any(i.split(".")[0] == library for i in imports(tree))}
    assert users <= HOMES[library]


@pytest.mark.parametrize("name", sorted(set(MODULES) - LEADERS))
def test_stages_do_not_know_their_successors(name: str) -> None:
    used = {i.removeprefix("fngen.") for i in imports(MODULES[name]) if i.startswith("fngen.")}
    if name in STAGES:
        assert used & STAGES <= BEFORE[name]
    assert not used & {"pipeline", "cli", "api"} or name in (
        "cli",
        "timing.command",
        "__init__",
        "__main__",
        "notebook",
    )


def test_only_the_loader_runs_text() -> None:
    calls = {
        (name, node.func.id)
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in EVALUATORS
    }
    assert calls == {("load", "exec"), ("load", "compile")}


@pytest.mark.parametrize("name", MODULES)
def test_modules_and_functions_are_short(name: str) -> None:
    tree = MODULES[name]
    lines = max((getattr(n, "end_lineno", 0) or 0 for n in ast.walk(tree)), default=0)
    assert lines <= LONGEST_MODULE
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION, node.name


def test_no_recursion_over_graphs() -> None:
    """A nest of a thousand calls would end a recursive walk: graphs are walked by ``ir.fold``."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, fngen; sys.setrecursionlimit(400); fngen.generate('sin('*1000 + 'x' + ')'*1000)",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
