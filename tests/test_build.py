"""A project's layers: declared once, brought up to date, never at the cost of what others wrote."""

from __future__ import annotations

import errno
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import fngen
from benchmarks.build import declaration as many_layers
from fngen import project, write
from fngen.cli import main
from fngen.project import State, keys, toml
from fngen.project import build as _build_function
from fngen.project.places import toml_lines
from tests.conftest import ROOT

BUILD = sys.modules["fngen.project.build"]
FOUR = """\
[layers]
square = "x1**3 + x2**2"
Cubic = { formula = "x*(1 + beta*x**2)", params = { beta = 1.0 } }

[layers.rms]
formula = "x/sqrt(mean(x**2, dim=-1) + eps)*w"
params = { "w[-1]" = 1.0 }
consts = { eps = 1e-6 }

[layers.pair]
formula = "u = x*y; v = sin(u) + x"
outputs = ["v", "u"]
lean = true
"""
TEXTS = {
    "square": fngen.generate("x1**3 + x2**2", name="square").text,
    "cubic": fngen.generate("x*(1 + beta*x**2)", name="cubic", params={"beta": 1.0}).text,
    "rms": fngen.generate(
        "x/sqrt(mean(x**2, dim=-1) + eps)*w", name="rms", params={"w[-1]": 1.0}, consts={"eps": 1e-6}
    ).text,
    "pair": fngen.generate("u = x*y; v = sin(u) + x", name="pair", outputs=["v", "u"], lean=True).text,
}


def invoke(*args: str) -> Result:
    result = CliRunner().invoke(main, list(args))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def ok(*args: str) -> str:
    result = invoke(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


def build(*args: str, code: int = 0) -> Result:
    result = invoke("build", "--no-verify", *args)
    assert result.exit_code == code, result.output
    return result


def declare(text: str, name: str = "fngen.toml") -> None:
    Path(name).write_text(text)


def contents(folder: str | Path = "generated") -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in Path(folder).iterdir() if p.is_file()}


def times() -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in Path("generated").iterdir() if p.is_file()}


def aged() -> dict[str, int]:
    """Make all files old, so that a write shows whatever the clock's grain."""
    for path in Path("generated").iterdir():
        os.utime(path, ns=(1_000, 1_000))
    return times()


def process(*args: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fngen", *args],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of four layers, built."""
    path = tmp_path_factory.mktemp("four")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        declare(FOUR)
        build()
    return path


@pytest.fixture
def four(built: Path, folder: Path) -> Path:
    """The same, a test's own: nothing that a build writes says where or when it was."""
    shutil.copytree(built, folder, dirs_exist_ok=True)
    return folder


# What is declared


def test_layers_are_what_the_library_generates(four: Path) -> None:
    for name, text in TEXTS.items():
        assert Path(f"generated/{name}.py").read_text() == text
    assert set(contents()) == {*(f"{n}.py" for n in TEXTS), "__init__.py", ".fngen.json"}


def test_pyproject_and_the_nearest_folder_above(folder: Path) -> None:
    declare('[tool.fngen]\noutput = "src/layers"\n[tool.fngen.layers]\na = "x*y"\n', "pyproject.toml")
    below = folder / "sub" / "pyproject.toml"
    below.parent.mkdir()
    below.write_text("[project]\nname = 'no declaration'\n")
    os.chdir(below.parent)
    build()
    assert (folder / "src/layers/a.py").read_text() == fngen.generate("x*y", name="a").text


def test_two_declarations_in_a_folder(folder: Path) -> None:
    declare("[layers]\n")
    declare("[tool.fngen.layers]\n", "pyproject.toml")
    assert "two declarations" in build(code=2).output
    build("--config", "fngen.toml")


def test_no_declaration_names_the_way_out(folder: Path) -> None:
    assert "fngen init" in build(code=2).output


def test_formula_files_are_layers(folder: Path) -> None:
    declare('formulas = ["layers/**/*.fn"]\n[defaults]\nlean = true\n')
    for name, text in {
        "layers/morse.fn": "# a bond\nparam D = 4.6\nD*(1 - exp(-r))**2",
        "layers/in/b.fn": "name other\nx*y",
    }.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    build()
    want = fngen.generate("D*(1 - exp(-r))**2", name="morse", params={"D": "4.6"}, lean=True).text
    assert Path("generated/morse.py").read_text() == want
    assert Path("generated/other.py").exists()


def test_defaults_are_for_the_layers_that_use_them(folder: Path) -> None:
    declare(
        "[defaults]\nconsts = { eps = 1e-6, k = 2.0 }\n[layers]\na = 'x/(eps + abs(x))'\nb = 'x + y'\n"
        "c = 'eps = x*y; eps + sin(eps)'\nd = { formula = 'x*k/(eps + abs(x))', consts = { eps = 1.0 } }\n"
        "e = { formula = 'x*k', params = { k = 0.5 } }\nf = { formula = 'x*k', inputs = ['k', 'x'] }\n"
    )
    build()
    want = {
        "a": fngen.generate("x/(eps + abs(x))", name="a", consts={"eps": 1e-6}),
        "b": fngen.generate("x + y", name="b"),
        "c": fngen.generate("eps = x*y; eps + sin(eps)", name="c"),
        "d": fngen.generate("x*k/(eps + abs(x))", name="d", consts={"k": 2.0, "eps": 1.0}),
        "e": fngen.generate("x*k", name="e", params={"k": 0.5}),
        "f": fngen.generate("x*k", name="f", inputs=["k", "x"]),
    }
    for name, source in want.items():
        assert Path(f"generated/{name}.py").read_text() == source.text, name


WRONG = """\
outputs = "lib"
formulas = ["*.fn", "morse.fm"]

[defaults]
leann = true

[layers]
good = "x*y"
and = "x"
number = 3
Twice = "x"
twice = "y"
typo = "x*sigmod(x)"

[layers.table]
formula = "x + y"
input = ["x"]
lean = "yes"
consts = { k = 1.0 }

[layers.const]
formula = "x + k"
consts = { k = "one" }

[layers.none]
lean = true
"""


def test_all_that_is_wrong_is_said_at_once_with_its_place(folder: Path) -> None:
    declare(WRONG)
    Path("bad.fn").write_text("# remark\nparam k = 1\n\nu = k*x\ny = u +* 2\n")
    Path("late.fn").write_text("x*y\nparam z\n")
    output = build(code=2).output
    for line in (
        "fngen.toml:1: outputs: unknown key 'outputs'\nDid you mean 'output'?",
        "fngen.toml:2: formulas: no formula file is 'morse.fm'",
        "fngen.toml:5: defaults.leann: unknown key 'leann'\nDid you mean 'lean'?",
        "fngen.toml:9: layers.and: the name 'and' means something else",
        "fngen.toml:10: layers.number: wants a formula or a table, not 3",
        "fngen.toml:12: layers.twice: the layer 'twice' is declared twice, also in fngen.toml:11",
        "fngen.toml:13: layers.typo.formula: unknown function 'sigmod'\n    x*sigmod(x)\n      ^^^^^^\nDid you mean 'sigmoid'?",
        "fngen.toml:17: layers.table.input: unknown key 'input'\nDid you mean 'inputs'?",
        "fngen.toml:18: layers.table.lean: wants true or false, not the text 'yes'",
        "layers.const: the value of 'k' is not a number: one",
        "fngen.toml:25: layers.none: a layer has a formula",
        "bad.fn:5: ",
        "late.fn:2: 'z' has no value",
    ):
        assert f"fngen: {line}" in output or line in output, line
    assert not Path("generated").exists()


def test_wrong_toml_has_a_line(folder: Path) -> None:
    declare('[layers]\na = "x"\nb = = "y"\n')
    assert "fngen.toml:3: not TOML" in build(code=2).output
    data = json.loads(build("--json", code=2).stdout)
    assert data["problems"][0]["line"] == 3


def test_a_wrong_layer_does_not_stop_the_others(four: Path) -> None:
    declare(FOUR.replace("x1**3", "x1*)").replace("sin(u)", "cos(u)"))
    output = build(code=2).output
    assert "fngen.toml:2: layers.square.formula" in output
    assert Path("generated/square.py").read_text() == TEXTS["square"]
    assert "cos" in Path("generated/pair.py").read_text()
    assert b'"Square"' in contents()["__init__.py"]
    declare(FOUR)
    build()
    assert Path("generated/pair.py").read_text() == TEXTS["pair"]


TRICKY = '''# a comment with [brackets] = "and" quotes
title.deep = """
[not.a.table]
a = 1 \\""" still
"""
other = \'\'\'
x = '\'\'\'
[ "quoted.key" . plain ]  # a table
a = [1, # one ]
  2]
b = { c = "}", d = [ { e = 1 } ] }

[[array]]
f = "#"
[[array]]
g = 'h'
'''


def test_lines_of_keys() -> None:
    toml.loads(TRICKY)
    lines = toml_lines(TRICKY)
    assert lines == {
        ("title",): 2, ("title", "deep"): 2, ("other",): 6,
        ("quoted.key",): 8, ("quoted.key", "plain"): 8, ("quoted.key", "plain", "a"): 9,
        ("quoted.key", "plain", "b"): 11, ("quoted.key", "plain", "b", "c"): 11,
        ("quoted.key", "plain", "b", "d"): 11, ("quoted.key", "plain", "b", "d", "e"): 11,
        ("array",): 13, ("array", "f"): 14, ("array", "g"): 16,
    }  # fmt: skip


DECLARATIONS = {
    "": True,
    "output = 'x'": True,
    "output = ''": False,
    "output = 3": False,
    "formulas = ['nothing/*.fn']": None,
    "formulas = 'x'": False,
    "formulas = [1]": False,
    "layers = 3": False,
    "defaults = 3": False,
    "other = 3": False,
    "[defaults]\nlean = true\ncomplex = false\nbackend = 'torch'\nparams = {k = 1}\nconsts = {}": True,
    "[defaults]\nformula = 'x'": False,
    "[defaults]\nlean = 1": False,
    FOUR: True,
    "layers = {a = 'x'}": True,
    "[layers]\na = 3": False,
    "[layers]\na = true": False,
    "[layers]\na = ['x']": False,
    "[layers]\n'a b' = 'x'": False,
    "[layers]\n_a = 'x'": False,
    "[layers.a]\nlean = true": False,
    "[layers.a]\nformula = 3": False,
    "[layers.a]\nformula = 'x'\nname = 'b'": False,
    "[layers.a]\nformula = 'x'\nbackend = 'cuda'": False,
    "[layers.a]\nformula = 'x'\nbackend = ['torch']": True,
    "[layers.a]\nformula = 'x*y'\ninputs = 'y,x'": True,
    "[layers.a]\nformula = 'x*y'\ninputs = ['y', 'x']": True,
    "[layers.a]\nformula = 'x*y'\ninputs = ['y', 1]": False,
    "[layers.a]\nformula = 'x*y'\ninputs = {x = 1}": False,
    "[layers.a]\nformula = 'x*k'\nparams = {k = 1.5}": True,
    "[layers.a]\nformula = 'x*k'\nparams = {k = '1.5'}": True,
    "[layers.a]\nformula = 'x*k'\nparams = ['k=1.5']": True,
    "[layers.a]\nformula = 'x*k'\nparams = 'k=1.5'": False,
    "[layers.a]\nformula = 'x*k'\nparams = {k = true}": False,
    "[layers.a]\nformula = 'x*k'\nparams = {k = [1]}": False,
    "[layers.a]\nformula = 'x'\ngrads = {x = '1'}": True,
    "[layers.a]\nformula = 'x'\ngrads = {x = 1}": False,
    "[layers.a]\nformula = 'x'\nlean = 'true'": False,
    "[layers.a]\nformula = 'x'\nlean = 2026-01-01": False,
}  # fmt: skip
"""Declarations, and whether they are right; None: for the schema, which sees no files."""


@pytest.mark.parametrize("text", DECLARATIONS)
def test_the_schema_and_the_reader_agree(folder: Path, text: str) -> None:
    import jsonschema

    schema = json.loads(ok("build", "--schema"))
    jsonschema.Draft202012Validator.check_schema(schema)
    right = DECLARATIONS[text]
    assert jsonschema.Draft202012Validator(schema).is_valid(toml.loads(text)) is (right is not False)
    declare(text)
    assert (not project.read().problems) is bool(right)


def test_the_schema_knows_every_keyword_of_the_library() -> None:
    import inspect

    keywords = set(inspect.signature(fngen.generate).parameters) - {"expr", "name"}
    assert set(keys.LAYER) == keywords | {"formula"}


# What is written


def test_unchanged_files_keep_their_time(four: Path) -> None:
    before = aged()
    assert build().stdout == "5 up to date\n"
    assert times() == before
    declare(FOUR.replace("x1**3", "x1**4"))
    assert build().stdout.splitlines()[0] == "written generated/square.py"
    changed = {name for name, t in times().items() if t != before[name]}
    assert changed == {"square.py", ".fngen.json"}


def test_only_the_changed_layer_is_generated(four: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answers = BUILD.answers

    def spy(questions, jobs):  # type: ignore[no-untyped-def]
        asked.extend(q["request"]["name"] for _, q in questions)
        return answers(questions, jobs)

    monkeypatch.setattr(BUILD, "answers", spy)
    build()
    assert asked == []
    declare(FOUR.replace("1e-6", "1e-5"))
    build()
    assert asked == ["rms"]


def test_another_fngen_generates_anew_and_adopts(four: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = aged()
    monkeypatch.setattr(BUILD, "tool", lambda: "another")
    assert build().stdout.endswith("5 up to date\n")
    assert {n for n, t in times().items() if t != before[n]} == {".fngen.json"}


def test_what_is_no_longer_declared_is_removed(four: Path) -> None:
    declare(FOUR.replace('square = "x1**3 + x2**2"\n', ""))
    assert "kept generated/square.py" in build("--keep-stale").stdout
    assert Path("generated/square.py").exists()
    assert "removed generated/square.py" in build().stdout
    assert set(contents()) == {"cubic.py", "rms.py", "pair.py", "__init__.py", ".fngen.json"}
    assert b"Square" not in contents()["__init__.py"]


def test_without_a_manifest(four: Path) -> None:
    """Equal files are adopted, files that their header makes are ours, those of the old list are stale."""
    before = aged()
    manifest = Path("generated/.fngen.json")
    text = manifest.read_text()
    manifest.unlink()
    assert invoke("build", "--check").exit_code == 0
    assert not manifest.exists()
    build()
    assert {n for n, t in times().items() if t != before[n]} == {".fngen.json"}
    assert manifest.read_text() == text
    for damage in (
        "",
        "<<<<<<< ours",
        '{"format": 1, "files": {"../x.py": []}}',
    ):
        manifest.write_text(damage)
        declare(FOUR.replace("x1**3", "x1**4").replace("[layers.pair]", "[layers.pair2]"))
        out = build().stdout
        assert "written generated/square.py" in out
        assert "removed generated/pair.py" in out
        manifest.write_text(damage)
        declare(FOUR)
        build()
        assert manifest.read_text() == text


def test_a_layer_that_a_user_generated_is_neither_listed_nor_removed(folder: Path) -> None:
    ok("x*y*z", "--name", "mine", "--no-verify")
    declare(FOUR)
    build()
    build()
    assert Path("generated/mine.py").exists()
    assert b"mine" not in contents()["__init__.py"]
    declare(FOUR + '\n[layers.mine]\nformula = "x + y"\n')
    build()
    assert Path("generated/mine.py").read_text() == fngen.generate("x + y", name="mine").text


@pytest.mark.parametrize("manifest", [True, False])
def test_an_edit_is_never_lost(four: Path, manifest: bool) -> None:
    path = Path("generated/square.py")
    edited = TEXTS["square"].replace("3 * x1**2", "4 * x1**2")
    path.write_text(edited)
    if not manifest:
        Path("generated/.fngen.json").unlink()
    for declared in (FOUR, FOUR.replace("x1**3", "x1**4")):
        declare(declared)
        output = build(code=2).output
        assert "edited: generated/square.py" in output
        assert "--force" in output
        assert path.read_text() == edited
    declare(FOUR)
    build("--force")
    assert path.read_text() == TEXTS["square"]
    build()


def test_an_edited_layer_that_nobody_declares_is_let_go(four: Path) -> None:
    path = Path("generated/square.py")
    path.write_text(path.read_text() + "\n# mine\n")
    declare(FOUR.replace('square = "x1**3 + x2**2"\n', ""))
    assert invoke("build", "--check").exit_code == 1
    assert "let go generated/square.py" in build().stdout
    assert path.exists()
    assert build().stdout == "4 up to date\n"
    assert invoke("build", "--check").exit_code == 0


@pytest.mark.parametrize("text", [b"mine = 1\n", b"\xff\xfe", b""])
def test_a_foreign_file_is_never_touched(folder: Path, text: bytes) -> None:
    Path("generated").mkdir()
    Path("generated/square.py").write_bytes(text)
    declare(FOUR)
    for options in ([], ["--force"], ["--check"]):
        assert "fngen did not write it" in build(*options, code=2).output
        assert contents()["square.py"] == text
    assert Path("generated/cubic.py").exists()
    assert b"square" not in contents()["__init__.py"]


def test_a_package_file_of_a_user_stays(folder: Path) -> None:
    Path("generated").mkdir()
    Path("generated/__init__.py").write_text("mine = 1\n")
    declare(FOUR)
    assert "left alone" in build("--force").output
    assert Path("generated/__init__.py").read_text() == "mine = 1\n"
    assert build().stdout == "4 up to date\n"


def test_an_edited_package_file_is_reported(four: Path) -> None:
    path = Path("generated/__init__.py")
    text = path.read_text()
    for manifest in (True, False):
        path.write_text(text + "\nmine = 1\n")
        if not manifest:
            Path("generated/.fngen.json").unlink()
        assert "edited: generated/__init__.py" in build(code=2).output
        assert "mine" in path.read_text()
        build("--force")
        assert path.read_text() == text


def test_an_edit_during_the_build_is_not_lost(four: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = BUILD.answers

    def slow(questions, jobs):  # type: ignore[no-untyped-def]
        for label, answer in answers(questions, jobs):
            Path("generated/square.py").write_text("edited meanwhile")
            yield label, answer

    monkeypatch.setattr(BUILD, "answers", slow)
    declare(FOUR.replace("x1**3", "x1**4"))
    assert "was changed during the build" in build(code=2).output
    assert Path("generated/square.py").read_text() == "edited meanwhile"


def test_only(four: Path) -> None:
    declare(FOUR.replace("x1**3", "x1**4").replace("sin(u)", "cos(u)").replace("rms", "root"))
    build("--only", "Square")
    assert "x1**4" in Path("generated/square.py").read_text()
    assert Path("generated/pair.py").read_text() == TEXTS["pair"]
    assert Path("generated/rms.py").exists()
    assert "Did you mean 'square'?" in build("--only", "squar", code=2).output


def test_dry_run_and_json(four: Path) -> None:
    declare(FOUR.replace("x1**3", "x1**4").replace("[layers.pair]", "[layers.both]"))
    before = contents()
    out = build("--dry-run").stdout
    for line in ("removed generated/pair.py", "written generated/square.py", "written generated/both.py"):
        assert line in out
    data = json.loads(build("--dry-run", "--json").stdout)
    assert {f["name"]: f["state"] for f in data["files"]} == {
        "square": "written", "cubic": "up to date", "rms": "up to date", "both": "written",
        "pair": "removed", "__init__": "written",
    }  # fmt: skip
    assert contents() == before


# The package


NAMES = ["x1", "x10", "x2", "a", "ab", "zeta_function", "http_server2", "l" * 60, "really_quite_long_names_of_layers_" * 2 + "x"]  # fmt: skip


@pytest.fixture
def importable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(folder)

    def forget() -> None:
        for name in [n for n in sys.modules if n.split(".")[0] == "generated"]:
            del sys.modules[name]

    forget()
    importlib.invalidate_caches()
    yield folder
    forget()


def test_the_package_is_clean(folder: Path) -> None:
    """Black and ruff have nothing to say."""
    declare("[layers]\n" + "".join(f'{name} = "x*y"\n' for name in NAMES))
    build()
    for command in (
        ["black", "--check", "-q"],
        ["ruff", "check", "-q", "--config", str(ROOT / "pyproject.toml"), "--ignore", "E501,D"],
        ["ruff", "format", "--check", "-q", "--isolated"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command, "generated/__init__.py"],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_mypy_sees_what_a_name_is(four: Path) -> None:
    Path("use.py").write_text(
        "from generated import Square, Rms\nreveal_type(Square())\nreveal_type(Rms.forward)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "use.py"], check=False, capture_output=True, text=True
    )
    assert 'Revealed type is "generated.square.Square"' in done.stdout, done.stdout
    assert "__init__.py" not in done.stdout
    assert "use.py" not in "".join(line for line in done.stdout.splitlines() if "error" in line)


def test_the_package_is_lazy(importable: Path) -> None:
    declare(FOUR)
    build()
    package = importlib.import_module("generated")
    assert not [n for n in sys.modules if n.startswith("generated.")]
    assert package.Square is importlib.import_module("generated.square").Square
    assert [n for n in sys.modules if n.startswith("generated.")] == ["generated.square"]
    assert package.__all__ == sorted(package.__all__)
    assert {"Square", "SquareFunction", "Cubic", "Rms", "Pair"} <= set(dir(package))
    with pytest.raises(AttributeError, match="'generated' has no attribute 'Nothing'"):
        package.Nothing  # noqa: B018
    assert package.square is sys.modules["generated.square"]  # In whatever order they are imported.


def test_two_layers_that_export_one_name(folder: Path) -> None:
    declare('[layers]\ngate = "x"\ngate_function = "x*y"\n')
    output = build(code=2).output
    assert "the layers 'gate' and 'gate_function' both export 'GateFunction'" in output


def test_other_verbs_know_the_folder(four: Path) -> None:
    assert "up to date" in ok("check", "generated")
    assert ok("check", *(str(p) for p in Path("generated").glob("*.py"))).count("up to date") == 4


# Verification


def test_verified_are_those_that_are_written(four: Path) -> None:
    declare(FOUR.replace("x1**3", "x1**4"))
    states = {r.name: r for r in _build_function().results}
    assert "torch autograd" in states["square"].report
    assert not states["cubic"].report
    assert not any(r.report for r in _build_function().results)
    every = {r.name: r.report for r in _build_function(verify=True).results}
    assert all("torch autograd" in every[name] for name in TEXTS)


def test_a_layer_that_fails_is_not_written(four: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = BUILD.answers
    report = {"ok": False, "table": "d/dx1: at x1=1", "line": ""}

    def failing(questions, jobs):  # type: ignore[no-untyped-def]
        return ((label, answer | {"report": report}) for label, answer in answers(questions, jobs))

    declare(FOUR.replace("x1**3", "x1**4"))
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(BUILD, "answers", failing)
            result = invoke("build")
        assert result.exit_code == 1
        assert "not verified: generated/square.py\nd/dx1: at x1=1" in result.output
        assert Path("generated/square.py").read_text() == TEXTS["square"]
    assert invoke("build").exit_code == 0
    assert "x1**4" in Path("generated/square.py").read_text()


def test_a_layer_that_cannot_be_verified(folder: Path) -> None:
    declare('[layers]\na = "sqrt(-1 - x**2)"\n')
    result = invoke("build")
    assert result.exit_code == 1
    assert not Path("generated/a.py").exists()


# Check


def test_check(four: Path) -> None:
    before = contents()
    assert ok("build", "--check") == "5 up to date\n"
    cases = {
        "out of date": FOUR.replace("x1**3", "x1**4"),
        "missing": FOUR + '\n[layers.more]\nformula = "x + y"\n',
        "stale": FOUR.replace('square = "x1**3 + x2**2"\n', ""),
    }
    wanted = {
        "out of date": "-        return x1**3 + x2**2\n+        return (x1**2).pow_(2) + x2**2\n",
        "missing": "--- /dev/null\n+++ generated/more.py\n",
        "stale": "--- generated/square.py\n+++ /dev/null\n",
    }
    for what, text in cases.items():
        declare(text)
        result = invoke("build", "--check")
        assert result.exit_code == 1, what
        assert wanted[what] in result.stdout
        shown = invoke("diff")
        assert shown.exit_code == 0
        assert wanted[what] in shown.stdout
        assert contents() == before
    declare(FOUR)
    Path("generated/square.py").write_text(TEXTS["square"].replace("3 * x1**2", "2 * x1**2"))
    result = invoke("build", "--check")
    assert result.exit_code == 1
    assert "+            grad_x1 = grad_y * (3 * x1**2)\n" in result.stdout
    Path("generated/square.py").unlink()
    assert invoke("build", "--check").exit_code == 1
    declare("[layers]\na = 'x +'\n")
    assert invoke("build", "--check").exit_code == 2


def test_fresh_trusts_no_manifest(four: Path) -> None:
    """A manifest that was edited along with a file."""
    from fngen.project.manifest import hashed

    path, manifest = Path("generated/square.py"), Path("generated/.fngen.json")
    edited = TEXTS["square"].replace("3 * x1**2", "2 * x1**2")
    path.write_text(edited)
    old, new = (hashed(text.encode()) for text in (TEXTS["square"], edited))
    manifest.write_text(manifest.read_text().replace(old, new))
    assert invoke("build", "--check").exit_code == 0
    assert invoke("build", "--check", "--fresh").exit_code == 1


@pytest.mark.parametrize("verb", ["build", "check"])
def test_nothing_to_do_loads_neither_torch_nor_sympy(four: Path, verb: str) -> None:
    code = f"""if True:
        import sys, fngen.project
        outcome = fngen.project.{verb}()
        assert outcome.ok and outcome.check_code == 0, outcome
        loaded = {{name.split(".")[0] for name in sys.modules}}
        print(loaded & {{"torch", "sympy", "mpmath", "jinja2", "tomlkit", "filelock"}})"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "set()\n"


# init, add


def test_init_and_add(folder: Path) -> None:
    ok("init")
    assert invoke("init").exit_code == 2
    declare(Path("fngen.toml").read_text() + "# the last word\n")
    ok(
        "add",
        "Gate",
        "-x*sigmoid(beta*x)/(eps + abs(x))",
        "--param",
        "beta[C]=1.0",
        "--const",
        "eps=1e-3",
        "--lean",
    )
    ok("add", "cubic", "x**3")
    ok("add", "pass_on", "round(x)*y", "--grad", "x=y", "--inputs", "y,x")
    text = Path("fngen.toml").read_text()
    assert text.startswith("# The layers of this project")
    assert "# the last word\n" in text
    build()
    assert sorted(p.stem for p in Path("generated").glob("*.py")) == [
        "__init__",
        "cubic",
        "gate",
        "pass_on",
        "square",
    ]
    want = fngen.generate(
        "-x*sigmoid(beta*x)/(eps + abs(x))", name="gate", params={"beta[C]": "1.0"}, consts={"eps": "1e-3"}, lean=True
    )  # fmt: skip
    assert fngen.verify("generated/gate.py").ok
    assert _same_request(Path("generated/gate.py").read_text(), want.text)
    for args, said in (
        (["Cubic", "x"], "there is a layer 'cubic'"),
        (["bad", "x*sigmod(x)"], "Did you mean 'sigmoid'?"),
        (["a b", "x"], "is not an identifier"),
        (["two", "x*k", "--param", "k=one"], "is not a number"),
    ):
        result = invoke("add", *args)
        assert result.exit_code == 2
        assert said in result.output
    assert Path("fngen.toml").read_text() == text


def _same_request(one: str, other: str) -> bool:
    """Say whether two files differ in the spelling of numbers alone."""
    return one.replace("1e-3", "0.001") == other.replace("1e-3", "0.001")


def test_init_in_a_pyproject(folder: Path) -> None:
    declare("[project]\nname = 'a'  # mine", "pyproject.toml")
    ok("init")
    text = Path("pyproject.toml").read_text()
    assert text.startswith("[project]\nname = 'a'  # mine\n")
    assert invoke("init").exit_code == 2
    ok("add", "cubic", "x**3")
    build()
    assert Path("generated/cubic.py").exists()
    assert Path("pyproject.toml").read_text().startswith(text)


@pytest.mark.parametrize(
    "text",
    [
        '[layers]\n# one\na = "x"  # why\n\n[layers.b]\nformula = "x*w"\n# last\n',
        'layers = { a = "x" }  # in a line\n',
        'layers.a = "x"\noutput = "generated"  # the end\n',
        '[layers.a]\nformula = "x"\n[defaults]\nlean = true\n[layers.b]\nformula = "y"\n',
        "# nothing yet\n",
        "",
    ],
)
def test_add_keeps_what_is_there(folder: Path, text: str) -> None:
    declare(text)
    before = {layer.name: layer.request for layer in project.read().layers}
    ok("add", "one", "x*y")
    ok("add", "two", "x*k", "--const", "k=2")
    after = {layer.name: layer.request for layer in project.read().layers}
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"one", "two"}
    for comment in ("# one", "# why", "# last", "# in a line", "# the end", "# nothing yet"):
        assert (comment in text) == (comment in Path("fngen.toml").read_text())


# Robust


def test_the_same_bytes_everywhere(tmp_path: Path) -> None:
    text = many_layers(12) + 'z = "sum(x*y, dim=-1)"\n'
    found = []
    for i, (jobs, seed) in enumerate([("1", "0"), ("2", "1"), ("3", "77")]):
        folder = tmp_path / f"copy {i}"
        folder.mkdir()
        (folder / "fngen.toml").write_text(text)
        done = process("build", "--no-verify", "-j", jobs, cwd=folder, PYTHONHASHSEED=seed)
        assert done.returncode == 0, done.stderr
        found.append(contents(folder / "generated"))
    assert found[0] == found[1] == found[2]
    shutil.copytree(tmp_path / "copy 0", tmp_path / "moved")
    assert process("build", "--check", cwd=tmp_path / "moved").stdout == "14 up to date\n"


def test_two_builds_at_once(tmp_path: Path) -> None:
    (tmp_path / "fngen.toml").write_text(many_layers(10))
    command = [sys.executable, "-m", "fngen", "build", "--no-verify", "-j", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE) for _ in range(3)
    ]
    outputs = [p.communicate()[0].decode() for p in both]
    assert [p.returncode for p in both] == [0, 0, 0]
    assert sum(output.count("written") for output in outputs) >= 10
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "fngen.toml").write_text(many_layers(10))
    assert process("build", "--no-verify", cwd=alone).returncode == 0
    assert contents(tmp_path / "generated") == contents(alone / "generated")


def _killed(folder: Path, after: float) -> bool:
    """Start a build, kill it and its workers after some seconds; say whether it was still at work."""
    command = [sys.executable, "-m", "fngen", "build", "--no-verify", "-j", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )  # fmt: skip
    time.sleep(after)
    alive = running.poll() is None
    if alive:
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    return alive


@pytest.mark.parametrize("kills", [4, pytest.param(25, marks=pytest.mark.slow)])
def test_killed_at_any_moment(tmp_path: Path, kills: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is the old or the new one, and the next build makes all new."""
    plain = "[defaults]\nstabilise = false\n\n"  # Otherwise there is more to generate than to write.
    texts = [plain + many_layers(8, seed) + f'only_{seed} = "x*y"\n' for seed in (0, 1)]
    wanted, start = [], time.monotonic()
    for i, text in enumerate(texts):
        folder = tmp_path / f"alone_{i}"
        folder.mkdir()
        (folder / "fngen.toml").write_text(text)
        assert process("build", "--no-verify", cwd=folder).returncode == 0
        wanted.append(contents(folder / "generated"))
    whole = (time.monotonic() - start) / len(texts)
    work = tmp_path / "work"
    work.mkdir()
    rng, hit = random.Random(0), 0
    for i in range(kills):
        (work / "fngen.toml").write_text(texts[i % 2])
        hit += _killed(work, rng.uniform(0.2, 1.2) * whole)
        found = contents(work / "generated") if (work / "generated").exists() else {}
        for name, content in found.items():
            if name.endswith(".py") and name[0] != "." and name != "__init__.py":
                assert content in [w.get(name) for w in wanted], name
        if i % 3 == 2:
            assert process("build", "--no-verify", cwd=work).returncode == 0
            assert contents(work / "generated") == wanted[i % 2]
    assert hit
    (work / "fngen.toml").write_text(texts[0])
    assert process("build", "--no-verify", cwd=work).returncode == 0
    assert contents(work / "generated") == wanted[0]


def test_killed_at_every_write(four: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that stops before or after any single step of its writes; the next one has no memory of it."""

    class Killed(BaseException):
        pass

    old = contents()
    changed = FOUR.replace("x1**3", "x1**4").replace("[layers.rms]", "[layers.root]")
    declare(changed)
    build()
    new = contents()
    steps = {"replace": os.replace, "unlink": os.unlink}
    for step in range(100):
        for path in Path("generated").iterdir():
            path.unlink()
        for name, content in old.items():
            Path("generated", name).write_bytes(content)
        count = iter(range(1000))

        def dying(*args, real, **kw):  # type: ignore[no-untyped-def]
            if next(count) == step:  # noqa: B023
                raise Killed
            return real(*args, **kw)

        with monkeypatch.context() as patch:
            for name, real in steps.items():
                patch.setattr(os, name, lambda *a, real=real, **kw: dying(*a, real=real, **kw))
            try:
                project.build(verify=False, jobs=1)
                done = True
            except Killed:
                done = False
        left = contents()
        for name, content in left.items():
            if name.endswith(".py"):
                assert content in (old.get(name), new.get(name)), (step, name)
        build()
        assert contents() == new, step
        if done:
            break
    assert step > 5


def test_leftovers_are_removed(four: Path) -> None:
    leftover = Path("generated/.square.py.abcd1234" + write.TEMPORARY)
    leftover.write_text("half")
    other = Path("generated/.square.py.swp")
    other.write_text("an editor's")
    build()
    assert not leftover.exists()
    assert other.exists()


@pytest.mark.parametrize("room", range(8))
def test_a_full_disk(four: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    before = contents()
    declare(FOUR.replace("x1**3", "x1**4").replace("sin(u)", "cos(u)").replace("1e-6", "1e-5"))
    writes = iter(range(1000))
    real = os.fdopen

    class Full:
        def __init__(self, file) -> None:  # type: ignore[no-untyped-def]
            self.file = file

        def __enter__(self):  # type: ignore[no-untyped-def]
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, content: bytes) -> int:
            self.file.write(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

    def fdopen(handle: int, mode: str = "r", *args, **kw):  # type: ignore[no-untyped-def]
        file = real(handle, mode, *args, **kw)
        return Full(file) if mode == "wb" and next(writes) >= room else file

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", fdopen)
        result = invoke("build", "--no-verify")
    if result.exit_code:
        assert result.exit_code == 2
        assert "No space left on device" in result.output
    else:
        assert room >= 5
    for name, content in contents().items():
        assert not name.endswith(write.TEMPORARY)
        if room == 0:
            assert content == before[name]
    build()
    assert b"x1**4" in contents()["square.py"]
    assert invoke("build", "--check").exit_code == 0


def test_a_folder_that_cannot_be_written(four: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents()
    declare(FOUR.replace("x1**3", "x1**4"))
    real = os.open

    def refused(path, flags, *args, **kw):  # type: ignore[no-untyped-def]
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, flags, *args, **kw)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refused)
        result = invoke("build", "--no-verify")
    assert result.exit_code == 2
    assert "Read-only file system" in result.output
    assert contents() == before
    declare(FOUR)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refused)
        assert build().stdout == "5 up to date\n"


@pytest.mark.parametrize("there", ["a file", "a folder where a layer goes"])
def test_something_else_in_the_way(folder: Path, there: str) -> None:
    declare(FOUR)
    if there == "a file":
        Path("generated").write_text("a file")
    else:
        Path("generated/square.py").mkdir(parents=True)
    result = build(code=2)
    assert result.output.startswith("fngen: cannot ")


# For other tools


def test_depfile(folder: Path) -> None:
    declare('output = "my layers"\nformulas = ["a #1/*.fn"]\n[layers]\nb = "x*y"\n')
    Path("a #1").mkdir()
    Path("a #1/c$.fn").write_text("name c\nx + y\n")
    build("--depfile", "out/build.d")
    text = Path("out/build.d").read_text()
    assert "my\\ layers/b.py" in text
    assert "a\\ \\#1/c$$.fn" in text
    if make := shutil.which("make"):
        Path("Makefile").write_text("include out/build.d\nmy\\ layers/%.py:\n\t@echo made $@\n")
        command = [make, "-s", "my layers/b.py"]
        os.utime("my layers/b.py", (2_000_000_000, 2_000_000_000))
        assert "made" not in subprocess.run(command, check=True, capture_output=True, text=True).stdout
        os.utime("a #1/c$.fn", (2_100_000_000, 2_100_000_000))
        assert "made" in subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(not shutil.which("ninja"), reason="ninja is not installed")
def test_depfile_for_ninja(four: Path) -> None:
    command = f"PYTHONPATH={ROOT} {sys.executable} -m fngen build --no-verify --depfile build.d"
    layers = " ".join(f"generated/{name}.py" for name in TEXTS)
    Path("build.ninja").write_text(
        f"rule fngen\n  command = {command}\n  depfile = build.d\n  restat = 1\n"
        f"build generated/__init__.py | {layers}: fngen fngen.toml\n"
    )

    def ninja() -> str:
        return subprocess.run(["ninja"], check=True, capture_output=True, text=True).stdout

    ninja()
    assert "no work to do" in ninja()
    declare(FOUR.replace("x1**3", "x1**4"))
    assert "fngen build" in ninja()
    assert "x1**4" in Path("generated/square.py").read_text()
    assert "no work to do" in ninja()


def test_a_worker_that_dies_takes_one_layer_with_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = sys.modules["fngen.project.workers"]
    program = workers._PROGRAM.replace("serve()", "import fngen.project.work as w, os\nreal = w.answer\n")
    program += "w.answer = lambda q: os._exit(9) if q['request']['name'] == 'square' else real(q)\nw.serve()"
    monkeypatch.setattr(workers, "_PROGRAM", program)
    declare(FOUR)
    outcome = project.build(verify=False)
    assert outcome.code == 2
    assert ["ended with code 9" in p.message for p in outcome.problems] == [True]
    assert {r.name for r in outcome.of(State.WRITTEN)} == {"cubic", "rms", "pair", "__init__"}


def test_watch(folder: Path) -> None:
    pytest.importorskip("watchfiles")
    from fngen.project.watch import watch

    declare(FOUR)
    outcomes = watch(verify=False)
    assert next(outcomes).ok
    declare(FOUR.replace("x1**3", "x1**4"))
    assert next(outcomes).ok
    assert "x1**4" in Path("generated/square.py").read_text()
    declare(FOUR.replace("x1**3", "x1*)"))
    assert [p.line for p in next(outcomes).problems] == [2]
    outcomes.close()
