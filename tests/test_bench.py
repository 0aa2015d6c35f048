"""The bench: what it times, that it measures the same formula, what it refuses. Never how long anything takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

import fngen
from fngen.cli import main
from fngen.errors import OptionError, VerificationError
from fngen.problem import read
from fngen.spec import Spec
from fngen.timing.draws import drawn
from fngen.timing.ways import plain

QUICK = {"sizes": [3], "seconds": 1e-3}
FORMULAS = {
    "swish": "x*sigmoid(beta*x)",
    "numbers everywhere": "2/x + 3**x - x**2 + (4 - x)*0.5 + Max(x, 0) + where(x > 1, x, 2)",
    "a definition": "elu(x) + mish(x)",
    "several": "u = x*y; v = u + sin(x); w = u*v",
    "a mean": "mean((x - y)**2)",
    "rows": "x/sqrt(mean(x**2, dim=-1) + eps)*w",
    "narrow domain": "log(x - 3)*acos(x - 3)",
}


def problem(text: str, **more: object):  # type: ignore[no-untyped-def]
    return read(Spec.create(text, **more)).at_defaults()  # type: ignore[arg-type]


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["bench", *words])


@pytest.mark.parametrize("name", FORMULAS)
def test_the_plain_way_is_the_formula(name: str) -> None:
    """The same as the layer in value and gradient, in the type of the inputs."""
    text = FORMULAS[name]
    declared = {"params": ["w[-1]=1.0"], "consts": ["eps=1e-6"]} if name == "rows" else {}
    asked = problem(text, **declared)
    inputs = drawn(asked, 64, torch.float64)
    layer = fngen.compile(text, name="f", **declared).f  # type: ignore[arg-type]
    got, want = (f(*inputs) for f in (plain(asked), layer))
    results = [(a if isinstance(a, tuple) else (a,)) for a in (got, want)]
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
        slopes = [torch.autograd.grad(y.sum(), inputs, retain_graph=True, allow_unused=True) for y in (a, b)]
        for p, q in zip(*slopes, strict=True):
            torch.testing.assert_close(p if p is not None else 0 * q, q, rtol=1e-8, atol=1e-12)
    single = [x.detach().float() for x in inputs]
    first, *_ = y if isinstance(y := plain(asked)(*single), tuple) else (y,)
    assert first.dtype == torch.float32


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_inputs_are_ordinary_and_inside_the_domain(size: int) -> None:
    asked = problem("log(x - 3)*sqrt(b - x)", params=["b=4"])
    x, b = drawn(asked, size, torch.float32)
    assert (x.shape, b.shape) == ((size,), (1,))
    assert x.requires_grad
    assert bool(plain(asked)(x, b).isfinite().all())
    (y,) = drawn(problem("sin(x)"), size, torch.float32)
    assert float(y.detach().abs().max()) <= 4


def test_no_point_at_all() -> None:
    with pytest.raises(VerificationError, match="no point"):
        fngen.bench(fngen.generate("log(-1 - x**2)"), **QUICK)  # type: ignore[arg-type]


def test_what_is_reported() -> None:
    found = fngen.bench(fngen.generate("x*sigmoid(beta*x)", name="swish"), sizes=[1, 20_000], seconds=1e-3)
    assert {(c.what, c.size) for c in found.cells} == {
        (what, size) for what in ("value", "gradient", "second") for size in (1, 20_000)
    }
    for cell in found.cells:
        assert set(cell.us) == {"plain", "fngen"}
        ratio = cell.ratios["fngen"]
        assert ratio["low"] <= ratio["value"] <= ratio["high"]
        assert ratio["value"] == pytest.approx(cell.us["fngen"] / cell.us["plain"])
    (memory,) = found.memory
    assert (memory.size, memory.kept["plain"]) == (20_000, 1.0)
    assert "value and gradient" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["name"] == "swish"


def test_a_file_with_kernels_has_one_way_more(tmp_path: Path) -> None:
    path = fngen.generate("x*sigmoid(x)", name="gate", backend="c").write(tmp_path / "gate.py")
    found = fngen.bench(path, **QUICK)  # type: ignore[arg-type]
    assert set(found.cells[0].us) == {"plain", "fngen", "kernel"}


@pytest.mark.slow
def test_torch_compile_beside_it() -> None:
    found = fngen.bench(fngen.generate("x*sin(x)", name="f"), compiled=True, **QUICK)  # type: ignore[arg-type]
    ways = {cell.what: set(cell.us) for cell in found.cells}
    assert ways["gradient"] == {"plain", "fngen", "compile"}
    assert ways["second"] == {"plain", "fngen"}


def test_the_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()
    fngen.bench(fngen.generate("x**2", name="f"), threads=[2, 1], **QUICK)  # type: ignore[arg-type]
    assert torch.get_num_threads() == before


def test_the_command(tmp_path: Path) -> None:
    picture = tmp_path / "times.svg"
    done = run("x**2", "--size", "3", "--seconds", "0.001", "--json", "--plot", str(picture))
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["cells"][0]["size"] == 3
    assert picture.read_text().startswith("<?xml")
    assert run("-x**2", "--size", "3", "--seconds", "0.001").exit_code == 0
    path = fngen.generate("x**2", name="f").write(tmp_path / "f.py")
    done = run(str(path), "--size", "3", "--seconds", "0.001")
    assert done.exit_code == 0, done.output
    assert "f: x**2" in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("x**2", "--dtype", "flaot32"), "Did you mean float32?"),
        (("x**2", "--size", "0"), "from 1 to"),
        (("x**2", "--threads", "-1"), "from 1 to"),
        (("x**2", "--threads", "1000000"), "from 1 to 1024"),
        (("x**2", "--siez", "3"), "--siez"),
        (("x**2", "--seconds", "0"), "no time to measure in"),
        (("x**2", "--plot", "times.jpg"), "ends in .svg or .png"),
        (("x+*y",), "x+*y"),
        (("missing.py",), "missing.py"),
        (("x**2", "--backend", "fortran"), "unknown backend"),
    ],
)
def test_what_is_refused(words: tuple[str, ...], message: str) -> None:
    done = run(*words)
    assert done.exit_code == 2, done.output
    assert message in done.output


def test_of_the_library_too() -> None:
    with pytest.raises(OptionError, match="no size"):
        fngen.bench(fngen.generate("x**2", name="f"), sizes=[])
