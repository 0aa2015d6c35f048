"""The plugin of pytest, in projects that are tested by pytest with it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from fngen import project
from fngen.project import toml
from tests.conftest import ROOT
from tests.environments import with_fngen

pytest_plugins = ["pytester"]

DECLARATION = """\
formulas = ["layers/*.fn"]
[layers]
square = "x1**3 + x2**2"
Product = "x*y"
"""
TESTS = ["tests/test_a.py::test_a"]
LAYERS = [
    f"fngen.toml::{name}::{kind}" for name in ("half", "product", "square") for kind in ("drift", "verify")
]
PACKAGE = "fngen.toml::__init__::drift"


@pytest.fixture
def built(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project of three layers with a test of its own, built."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makefile(".toml", fngen=DECLARATION)
    pytester.makefile(".ini", pytest="[pytest]\ntestpaths = tests\nfilterwarnings = error\n")
    (pytester.mkdir("layers") / "a.fn").write_text("name half\nx/2\n")
    (pytester.mkdir("tests") / "test_a.py").write_text("def test_a():\n    pass\n")
    assert project.build(pytester.path, verify=False).ok
    return pytester


def outcome(pytester: pytest.Pytester, *args: str) -> tuple[pytest.RunResult, dict[str, str]]:
    """Run pytest, and return its result, and what became of each test."""
    # Where fngen is installed, its entry point would be a second plugin of this name.
    plugin = ("-p", "no:fngen", "-p", "fngen.integrations.pytest", "-p", "no:cacheprovider")
    result = pytester.runpytest_subprocess(*plugin, "-rA", *args)
    words = [line.split(" - ")[0].split(maxsplit=1) for line in result.outlines]
    became = {w[1]: w[0] for w in words if len(w) == 2 and w[0] in ("PASSED", "FAILED", "SKIPPED", "ERROR")}
    return result, became


def replace(pytester: pytest.Pytester, name: str, old: str, new: str) -> None:
    path = pytester.path / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def text(result: pytest.RunResult) -> str:
    return "\n".join(result.outlines)


def test_without_the_option_it_is_not_there(built: pytest.Pytester) -> None:
    assert outcome(built)[1] == dict.fromkeys(TESTS, "PASSED")
    (built.path / "tests/test_a.py").write_text(
        "import sys\n\ndef test_a():\n    loaded = {n.partition('.')[0] for n in sys.modules}\n"
        "    assert not loaded & {'torch', 'sympy', 'mpmath', 'jinja2', 'click'}\n"
        "    assert not [n for n in sys.modules if n.startswith('fngen.') and 'integrations' not in n]\n"
    )
    assert outcome(built)[1] == dict.fromkeys(TESTS, "PASSED")


def test_what_the_plugin_loads() -> None:
    program = """import sys, pytest
before = set(sys.modules)
import fngen.integrations.pytest
print(sorted(set(sys.modules) - before))"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "['fngen', 'fngen.integrations', 'fngen.integrations.pytest']"


def test_every_layer_has_two_tests(built: pytest.Pytester) -> None:
    assert outcome(built, "--fngen")[1] == dict.fromkeys([*TESTS, *LAYERS, PACKAGE], "PASSED")


@pytest.mark.parametrize("args", [["."], ["fngen.toml", "tests"], []])
def test_each_is_collected_once(built: pytest.Pytester, args: list[str]) -> None:
    result, _ = outcome(built, "--fngen", "--collect-only", "-q", *args)
    assert "8 tests collected" in text(result)


def test_a_choice_of_tests(built: pytest.Pytester) -> None:
    assert outcome(built, "--fngen", "-k", "square and drift")[1] == {"fngen.toml::square::drift": "PASSED"}
    one = "fngen.toml::half::verify"
    assert outcome(built, "--fngen", one)[1] == {one: "PASSED"}
    only = outcome(built, "--fngen", "fngen.toml", "-k", "drift")[1]
    assert set(only) == {*(name for name in LAYERS if name.endswith("drift")), PACKAGE}


def test_xdist(built: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    assert outcome(built, "--fngen", "-n", "2")[1] == dict.fromkeys([*TESTS, *LAYERS, PACKAGE], "PASSED")


def failed(became: dict[str, str]) -> set[str]:
    return {name for name, how in became.items() if how != "PASSED"}


def test_drift(built: pytest.Pytester) -> None:
    replace(built, "fngen.toml", "x*y", "x*y*y")
    replace(built, "layers/a.fn", "name half", "name halved")
    (built.path / "generated/square.py").unlink()
    result, became = outcome(built, "--fngen", "-k", "drift")
    assert failed(became) == {f"fngen.toml::{n}::drift" for n in ("product", "halved", "square", "__init__")}
    printed = text(result)
    for line in (
        "generated/square.py: missing: `fngen build` makes it",
        "generated/halved.py: missing: `fngen build` makes it",
        "generated/product.py: out of date: `fngen build` makes it",
        "generated/half.py: no longer declared: `fngen build` removes it",
        '-#     fngen "x*y" --name product',
        '+#     fngen "x*y*y" --name product',
        '+    "Halved",',
    ):
        assert line in printed, line
    assert "Traceback" not in printed
    assert "runtest" not in printed


def test_an_edit_that_is_wrong(built: pytest.Pytester) -> None:
    replace(built, "generated/square.py", "3 * x1**2", "4 * x1**2")
    result, became = outcome(built, "--fngen")
    assert failed(became) == {"fngen.toml::square::drift", "fngen.toml::square::verify"}
    printed = text(result)
    assert "generated/square.py: It was edited, or another fngen wrote it." in printed
    assert "-            grad_x1 = grad_y * (4 * x1**2)" in printed
    assert "check          result  points  worst error" in printed
    assert "d/dx1          FAILED" in printed


def test_torch_as_the_tests_have_set_it(built: pytest.Pytester) -> None:
    """What a project's tests make of torch's defaults has no part in the verification."""
    (built.path / "tests/conftest.py").write_text(
        "import torch\ntorch.set_grad_enabled(False)\ntorch.set_default_device('meta')\n"
    )
    assert failed(outcome(built, "--fngen")[1]) == set()


def test_without_torch(built: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = built.mkdir("hidden")
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as u\nreal = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'torch' else real(name, package)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{hidden}:{ROOT}")
    result, _ = outcome(built, "--fngen")
    assert "torch is not installed" in text(result)
    result.assert_outcomes(passed=5, skipped=3)


def test_a_wrong_formula(built: pytest.Pytester) -> None:
    replace(built, "fngen.toml", "x*y", "x*sigmod(y)")
    result, became = outcome(built, "--fngen", "-k", "drift")
    assert failed(became) == {"fngen.toml::product::drift"}
    assert "fngen.toml:4: layers.Product.formula: unknown function 'sigmod'" in text(result)


@pytest.mark.parametrize(
    ("wrong", "says"), [("layer = 3\n", "fngen.toml:1: layer: unknown key 'layer'"), ("a = =", "not TOML")]
)
def test_a_wrong_declaration(built: pytest.Pytester, wrong: str, says: str) -> None:
    (built.path / "fngen.toml").write_text(wrong)
    result, became = outcome(built, "--fngen")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert failed(became) == {"fngen.toml"}
    assert says in text(result)


def test_no_declaration(built: pytest.Pytester) -> None:
    (built.path / "fngen.toml").unlink()
    result, _ = outcome(built, "--fngen")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "no fngen.toml" in "\n".join(result.errlines)


def test_pyproject(built: pytest.Pytester) -> None:
    (built.path / "fngen.toml").unlink()
    built.makefile(".toml", pyproject="[tool.fngen.layers]\nsquare = 'x1**3 + x2**2'\n")
    assert project.build(built.path, verify=False).ok
    wanted = [f"pyproject.toml::{name}" for name in ("square::drift", "square::verify", "__init__::drift")]
    assert outcome(built, "--fngen", "pyproject.toml")[1] == dict.fromkeys(wanted, "PASSED")


def test_the_entry_point_is_the_plugin() -> None:
    table = toml.loads((ROOT / "pyproject.toml").read_text())
    (name,) = table["project"]["entry-points"]["pytest11"].values()
    assert hasattr(importlib.import_module(name), "pytest_addoption")


@pytest.mark.slow
def test_installed(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """From a wheel, with nothing but what pip brings."""
    environment = with_fngen(tmp_path_factory)
    (tmp_path / "fngen.toml").write_text('[layers]\nsquare = "x1**3 + x2**2"\n')
    environment.run("fngen", "build", cwd=tmp_path)
    printed = environment.run("pytest", "--fngen", "-rs", cwd=tmp_path)
    assert "2 passed, 1 skipped" in printed
    assert "layers are verified against torch, and torch is not installed" in printed
