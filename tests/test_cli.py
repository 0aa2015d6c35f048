"""The command on its good paths, in this process and as a process of its own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

import fngen
from fngen.cli import STAGES, main
from fngen.functions import NAMES
from fngen.installed import TORCH
from fngen.project import toml
from tests.conftest import ROOT

SQUARE = "x1**3 + x2**2"


def invoke(*args: str) -> Result:
    result = CliRunner().invoke(main, list(args))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def ok(*args: str) -> str:
    result = invoke(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


def python(code: str, cwd: Path, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=os.environ | environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def files(folder: Path) -> set[str]:
    return {
        str(p.relative_to(folder)) for p in folder.rglob("*") if "__pycache__" not in p.parts and p.is_file()
    }


def assert_tutorial(output: torch.Tensor, x1: torch.Tensor, x2: torch.Tensor) -> None:
    assert output.item() == 113
    output.backward()
    assert x1.grad is not None
    assert x2.grad is not None
    assert x1.grad.tolist() == [3, 12, 27]
    assert x2.grad.tolist() == [8, 10, 12]


@pytest.fixture
def points() -> tuple[torch.Tensor, torch.Tensor]:
    x1 = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    return x1, torch.tensor([4.0, 5.0, 6.0], requires_grad=True)


@pytest.fixture
def importable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make `generated` of the current folder importable, and forget it afterwards."""
    monkeypatch.syspath_prepend(folder)
    for name in [n for n in sys.modules if n.split(".")[0] == "generated"]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    return folder


def test_example(importable: Path, points: tuple[torch.Tensor, torch.Tensor]) -> None:
    out = ok(SQUARE, "--name", "square")
    assert out.startswith("wrote generated/square.py\nverified: ")
    assert files(importable) == {"generated/__init__.py", "generated/square.py"}
    module = importlib.import_module("generated.square")

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.square = module.Square()

        def forward(self, x1: torch.Tensor, x2: torch.Tensor) -> torch.Tensor:
            return self.square(x1, x2).sum()

    assert_tutorial(Net()(*points), *points)
    for name in [n for n in sys.modules if n.split(".")[0] == "generated"]:
        del sys.modules[name]


def test_reduction_is_a_scalar_layer(folder: Path, points: tuple[torch.Tensor, torch.Tensor]) -> None:
    ok(f"sum({SQUARE})", "--name", "total", "-o", "total.py")
    assert fngen.verify(folder / "total.py").ok
    output = fngen.compile(f"sum({SQUARE})", name="total").Total()(*points)
    assert output.shape == ()
    assert_tutorial(output, *points)


@pytest.mark.parametrize(
    ("output", "written"),
    [
        ("a.py", "a.py"),
        ("new/a.py", "new/a.py"),
        ("new", "new/square.py"),
        ("new/", "new/square.py"),
        (".", "square.py"),
        ("a/b/c", "a/b/c/square.py"),
    ],
)
def test_output(folder: Path, output: str, written: str) -> None:
    ok(SQUARE, "--name", "square", "--no-verify", "-o", output)
    assert files(folder) == {written}
    assert (folder / written).read_text() == fngen.generate(SQUARE, name="square").text


def test_standard_output(folder: Path) -> None:
    assert ok(SQUARE, "-o", "-") == fngen.generate(SQUARE).text
    assert not files(folder)


@pytest.mark.parametrize("name", ["square", "Square"])
def test_both_spellings_of_a_name(folder: Path, name: str) -> None:
    assert ok(SQUARE, "--name", name, "-o", "-").count("class Square(nn.Module)") == 1


@pytest.mark.parametrize("formula", ["-x", "-x1 - x2", "-2*x", "-x**2", "-(x)", "-o*x"])
def test_formula_that_begins_with_a_minus(folder: Path, formula: str) -> None:
    wanted = fngen.generate(formula, name="a").text
    assert ok("--name", "a", "-o", "-", "--", formula) == wanted
    if not formula.startswith("-o"):
        assert ok(formula, "--name", "a", "-o", "-") == wanted


def test_two_minus_signs_after_the_end_of_options(folder: Path) -> None:
    assert ok("-o", "-", "--", "--x") == fngen.generate("--x").text


def test_json_is_one_object(folder: Path) -> None:
    data = json.loads(ok(SQUARE, "--name", "square", "--json"))
    assert data["path"] == "generated/square.py"
    assert data["name"] == "square"
    assert data["verified"]["ok"] is True
    names = [check["name"] for check in data["verified"]["checks"]]
    assert {"value", "d/dx1", "d/dx2", "gradcheck", "gradgradcheck"} <= set(names)


def test_json_without_verification(folder: Path) -> None:
    data = json.loads(ok(SQUARE, "--json", "--no-verify"))
    assert data["verified"] is None
    assert "--no-verify" in data["note"]


def test_no_verify_says_so(folder: Path) -> None:
    assert "not verified (--no-verify)" in ok(SQUARE, "--no-verify")


def test_inputs(folder: Path) -> None:
    text = ok(SQUARE, "--inputs", "x2,x1", "--name", "square", "-o", "-")
    assert "def square(x2: Tensor, x1: Tensor) -> Tensor:" in text
    assert text == fngen.generate(SQUARE, name="square", inputs=["x2", "x1"]).text


def test_force(folder: Path) -> None:
    path = folder / "a.py"
    path.write_text("mine")
    assert invoke(SQUARE, "-o", "a.py", "--no-verify").exit_code == 2
    assert path.read_text() == "mine"
    ok(SQUARE, "-o", "a.py", "--no-verify", "--force")
    assert path.read_text() == fngen.generate(SQUARE).text


def test_unchanged_file_keeps_its_time(folder: Path) -> None:
    ok(SQUARE, "--name", "square", "--no-verify")
    path = folder / "generated" / "square.py"
    os.utime(path, ns=(1_000, 1_000))
    ok(SQUARE, "--name", "square", "--no-verify")
    assert path.stat().st_mtime_ns == 1_000
    ok("x1 + x2", "--name", "square", "--no-verify")
    assert path.stat().st_mtime_ns != 1_000
    assert files(folder) == {"generated/__init__.py", "generated/square.py"}


def test_failed_write_leaves_what_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ok(SQUARE, "-o", "a.py", "--no-verify")
    before = (folder / "a.py").read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    result = invoke("x + y", "-o", "a.py", "--no-verify")
    assert result.exit_code == 2
    assert "No space left" in result.output
    assert (folder / "a.py").read_bytes() == before
    assert files(folder) == {"a.py"}


def test_package_marker_of_a_user_stays(folder: Path) -> None:
    (folder / "generated").mkdir()
    (folder / "generated" / "__init__.py").write_text("mine = 1\n")
    ok(SQUARE, "--no-verify")
    assert (folder / "generated" / "__init__.py").read_text() == "mine = 1\n"


@pytest.mark.parametrize("formula", [SQUARE, "sum(sin(x)*exp(y))", "s = sigmoid(b); a*b*s", "max(a, b, c)"])
def test_same_formula_same_bytes(folder: Path, formula: str) -> None:
    assert ok(formula, "-o", "-") == ok(formula, "-o", "-")


def test_check(folder: Path) -> None:
    ok(SQUARE, "--name", "square")
    path = folder / "generated" / "square.py"
    assert ok("check", str(path)) == f"{path}: up to date\n"
    assert "up to date" in ok("check", "generated")
    path.write_text(path.read_text().replace("3 * x1**2", "2 * x1**2"))
    result = invoke("check", str(path))
    assert result.exit_code == 1
    assert "\n-            grad_x1 = grad_y * (2 * x1**2)" in result.stdout
    assert "\n+            grad_x1 = grad_y * (3 * x1**2)" in result.stdout


@pytest.mark.parametrize(
    "args",
    [
        ["a*b", "--inputs", "b,a"],
        ["x + 1", "--backend", "torch"],
        ["x*tanh(y)", "--lean", "--inputs", "y,x"],
        [" + ".join(f"sin(variable_{i})" for i in range(60)), "--name", "wide"],
        ["s = sin(x)\ny = s*s"],
        ["where(x > 0 and x != 2, x % 3, x)"],
        ["lambda*x + I"],
    ],
)
def test_header_replays(folder: Path, args: list[str]) -> None:
    ok(*args, "-o", "layers", "--no-verify")
    assert "up to date" in ok("check", "layers")


def test_verify(folder: Path) -> None:
    ok(SQUARE, "--name", "square")
    table = ok("verify", "generated/square.py")
    assert table.startswith("generated/square.py\nsquare, against torch autograd of the formula\n")
    for check in ("value", "d/dx1", "d/dx2", "forward mode", "broadcasting", "gradcheck"):
        assert f"\n{check} " in table
    (report,) = json.loads(ok("verify", "generated", "--json"))
    assert report["path"] == "generated/square.py"
    assert report["ok"] is True


@pytest.fixture
def planted(folder: Path) -> Path:
    ok(SQUARE, "--name", "square", "--no-verify", "-o", "square.py")
    path = folder / "square.py"
    path.write_text(path.read_text().replace("3 * x1**2", "2 * x1**2"))
    return path


def test_verify_finds_a_wrong_partial(planted: Path) -> None:
    result = invoke("verify", "square.py")
    assert result.exit_code == 1
    assert "d/dx1" in result.output
    assert "FAILED" in result.output.upper()
    assert "at x1=" in result.output
    assert "the file gives " in result.output
    assert "the formula " in result.output


def test_verify_finds_a_wrong_partial_in_json(planted: Path) -> None:
    result = invoke("verify", "square.py", "--json")
    assert result.exit_code == 1
    (report,) = json.loads(result.stdout)
    assert report["ok"] is False
    wrong = {check["name"]: check for check in report["checks"] if not check["ok"]}
    assert "d/dx1" in wrong
    assert {"value", "d/dx2"}.isdisjoint(wrong)
    words = wrong["d/dx1"]["detail"].split()
    x1 = float(words[1].removeprefix("x1=").rstrip(","))
    assert float(words[words.index("gives") + 1].rstrip(",")) == pytest.approx(2 * x1**2)
    assert float(words[-1]) == pytest.approx(3 * x1**2)


def test_generate_mends_a_wrong_file(planted: Path) -> None:
    ok(SQUARE, "--name", "square", "-o", "square.py")
    ok("verify", "square.py")


@pytest.mark.parametrize("stage", STAGES)
def test_show(folder: Path, stage: str) -> None:
    text = ok("show", "s = sin(x); s*y", "--stage", stage)
    assert text.strip()
    assert text.count("\n") > 1
    assert not files(folder)


def test_show_default_is_the_source(folder: Path) -> None:
    assert ok("show", SQUARE) == ok(SQUARE, "-o", "-")


def test_show_derivatives(folder: Path) -> None:
    assert ok("show", "x**2", "--stage", "derivatives") == "y = x**2\ndy/dx = 2*x\n"


def test_functions_lists_all_names() -> None:
    words = set(ok("functions").replace("(", " ").replace(")", " ").replace(",", " ").split())
    assert set(NAMES) <= words


@pytest.mark.parametrize("name", ["softmax", "norm", "max"])
def test_functions_tells_of_reductions(name: str) -> None:
    assert f"{name}(x, " in ok("functions", name)


@pytest.mark.parametrize("formula", ["-sum(t*log_softmax(x, dim=-1), dim=-1)", "-x*log(x)", "-relu(x)"])
def test_a_formula_begins_with_a_minus_and_letters_of_options(folder: Path, formula: str) -> None:
    assert "class" in ok("--no-verify", formula, "-o", "-")
    assert "class" in ok(formula, "--no-verify", "-o", "-")


def test_functions_tells_more() -> None:
    text = ok("functions", "log")
    assert "also: ln" in text
    assert "domain: x > 0" in text
    assert "d/dx: 1/x" in text


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_function_has_details(name: str) -> None:
    assert ok("functions", name).count("\n") > 1


def test_default_verb(folder: Path) -> None:
    assert ok(SQUARE, "-o", "-") == ok("generate", SQUARE, "-o", "-")


@pytest.mark.parametrize(
    "args",
    [
        [SQUARE],
        [SQUARE, "--no-verify"],
        ["x +"],
        ["functions"],
        ["verify", "missing.py"],
        ["show", SQUARE],
        ["--help"],
    ],
)
def test_no_colour_off_a_terminal(folder: Path, args: list[str]) -> None:
    assert "\x1b" not in invoke(*args).output


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["--version"], ["generate", "--help"], ["check", "-h"]])
def test_help(args: list[str]) -> None:
    assert ok(*args)


def test_import_is_light(tmp_path: Path) -> None:
    code = "import fngen, sys; print(sorted({'torch', 'sympy', 'mpmath', 'jinja2'} & set(sys.modules)))"
    assert python(code, tmp_path) == "[]\n"


@pytest.mark.parametrize(
    ("version", "why"),
    [
        (None, "torch is not installed"),
        ("2.12.1", "torch 2.12.1 is older than 2.13"),
        ("1.99", "torch 1.99 is older"),
    ],
)
def test_without_a_torch_to_verify_with(tmp_path: Path, version: str | None, why: str) -> None:
    """Where there is none, or an old one, a layer is written and said not to be verified."""
    before = "import sys; sys.modules['torch'] = None\n"
    if version is not None:
        info = tmp_path / f"torch-{version}.dist-info"
        info.mkdir()
        info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
        before = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    run = before + "from fngen.cli import main; main(sys.argv[1:], standalone_mode=False)"

    def fngen_(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", run, *args]
        return subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)

    done = fngen_(SQUARE, "--name", "square")
    assert done.returncode == 0
    assert why in done.stdout
    assert ": the layer is not verified" in done.stdout
    assert (tmp_path / "generated/square.py").read_text() == fngen.generate(SQUARE, name="square").text
    (tmp_path / "fngen.toml").write_text('[layers]\ncube = "x**3"\n')
    for asked in (("verify", "generated/square.py"), ("build", "--verify")):
        refused = fngen_(*asked)
        assert refused.returncode == 1
        assert why in refused.stderr
        assert "Traceback" not in refused.stderr
    assert not (tmp_path / "generated/cube.py").exists()


def test_the_torch_to_verify_with_is_the_extra_of_that_name() -> None:
    extras = toml.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = f"torch>={TORCH[0]}.{TORCH[1]}"
    assert extras["torch"] == [wanted]
    assert wanted in extras["dev"]


def test_writing_does_not_import_torch(tmp_path: Path) -> None:
    code = f"""
import sys
from fngen.cli import main
main([{SQUARE!r}, "--no-verify"], standalone_mode=False)
print("torch" in sys.modules)
"""
    assert python(code, tmp_path).endswith("\nFalse\n")


def test_command_as_a_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fngen"]
    good = subprocess.run(
        [*command, SQUARE, "--no-verify", "-o", "-"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert good.stdout == fngen.generate(SQUARE).text
    assert not good.stderr
    bad = subprocess.run([*command, "x +"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert not bad.stdout
    assert bad.stderr == "fngen: '+' has no right side\n    x +\n      ^\n"


MANY = (
    "s = sigmoid(alpha*x + beta); t = tanh(gamma*y - delta); u = s*t + sqrt(1 + x**2 + y**2);"
    " v = where(x > y and z != 0, atan2(x, y)*u, erf(p)*hypot(z, w)*exp(-u)); r = max(v, u, s) + min(t, z, w);"
    " sin(r)*lgamma(1 + z**2) + log(1 + w**2)/(2 + cos(q)) + j0(o) + Piecewise((n, n > m), (m*l, True))"
)


def test_hash_seed_does_not_matter(tmp_path: Path) -> None:
    code = f"import fngen; print(fngen.generate({MANY!r}).text)"
    texts = {python(code, tmp_path, PYTHONHASHSEED=seed) for seed in "012"}
    assert len(texts) == 1
