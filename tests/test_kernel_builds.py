"""Building kernels in hostile circumstances: whatever happens, a layer gives its numbers."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

import fngen
from fngen.load import execute
from tests.kernels import BACKENDS, OF_ROWS, is_from_kernel, source

X = torch.linspace(-3, 3, 101)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of kernels."""
    monkeypatch.setenv("FNGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fresh(name: str = "mish") -> ModuleType:
    """Return a layer as a new process has it: nothing built or loaded."""
    return execute(source(name).text, f"fresh_{name}", "<fresh>")


def check(file: ModuleType, *, kernel: bool) -> None:
    """Check the numbers of a layer, and who works them out."""
    x = X.clone().requires_grad_()
    result = file.mish(x)
    want = torch.nn.functional.mish(x)
    torch.testing.assert_close(result, want)
    slopes = [torch.autograd.grad(y.sum(), x)[0] for y in (result, want)]
    torch.testing.assert_close(*slopes)
    assert is_from_kernel(result) == kernel


def check_warned(match: str) -> None:
    """Check that torch does the work, after one warning that says why."""
    file = fresh()
    with pytest.warns(RuntimeWarning, match=match):
        check(file, kernel=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(file, kernel=False)


def compiler(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a shell script in the place of the compiler."""
    path = folder / "compiler"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("CC", str(path))


def entries(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.so"))


def test_it_is_built_once(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check(fresh(), kernel=True)
    (entry,) = entries(cache)
    assert os.listdir(cache) == [entry.name]
    before = entry.stat().st_mtime_ns
    check(fresh(), kernel=True)
    assert entries(cache)[0].stat().st_mtime_ns == before
    assert entry.stat().st_mode & 0o077 == 0
    assert cache.stat().st_mode & 0o077 == 0


def test_another_compiler_or_type_is_another_entry(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    check(fresh(), kernel=True)
    fresh().mish(X.double())
    compiler(tmp_path, 'exec cc "$@"', monkeypatch)
    check(fresh(), kernel=True)
    assert len(entries(cache)) == 3


def test_no_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/nowhere/cc")
    check_warned(r"mish\(\) does without its kernels: no C compiler '/nowhere/cc'")


BROKEN = {
    "fails": ("echo 'cc: confused' >&2; exit 1", "confused"),
    "is killed": ("kill -9 $$", "failed"),
    "makes nothing": ("exit 0", "failed"),
    "makes rubbish": ('while [ "$1" != -o ]; do shift; done; echo rubbish > "$2"', "made|file|ELF|header"),
    "knows nothing of ours": (
        "echo 'int unrelated;' | cc -shared -o \"$(eval echo \\${$#})\" -x c -",
        "value_method",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_compiler_that_is_broken(
    how: str, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script, match = BROKEN[how]
    compiler(tmp_path, script, monkeypatch)
    check_warned(match)
    monkeypatch.delenv("CC")
    check(fresh(), kernel=True)


def test_a_cache_that_is_no_folder(cache: Path) -> None:
    cache.write_text("in the way")
    check_warned("File exists")


def test_a_cache_on_a_file_system_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc is one for root too."""
    monkeypatch.setenv("FNGEN_CACHE", "/proc/fngen")
    check_warned("/proc/fngen")


def test_a_cache_that_is_full(cache: Path) -> None:
    def replace(*paths: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", replace)
        check_warned("No space left")
    assert os.listdir(cache) == []
    check(fresh(), kernel=True)


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o702])
def test_a_cache_that_others_can_write(cache: Path, mode: int) -> None:
    cache.mkdir()
    cache.chmod(mode)
    check_warned("not ours alone")


def test_a_cache_that_is_another_place(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    cache.symlink_to(tmp_path / "elsewhere")
    check_warned("not ours alone")


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_cache_of_somebody_else(cache: Path) -> None:
    cache.mkdir(mode=0o700)
    os.chown(cache, 12345, -1)
    check_warned("not ours alone")


def _truncate(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:-100])


def _empty(entry: Path) -> None:
    entry.write_bytes(b"")


def _flip(entry: Path) -> None:
    content = bytearray(entry.read_bytes())
    content[5000] ^= 1
    entry.write_bytes(content)


def _swap(entry: Path) -> None:
    fresh("gelu").gelu(X)
    (other,) = (path for path in entries(entry.parent) if path != entry)
    entry.write_bytes(other.read_bytes())


def _open_to_all(entry: Path) -> None:
    entry.chmod(0o666)


def _link(entry: Path) -> None:
    other = entry.with_name("real")
    entry.rename(other)
    entry.symlink_to(other)


@pytest.mark.parametrize("damage", [_truncate, _empty, _flip, _swap, _open_to_all, _link])
def test_an_entry_that_is_not_what_was_built(damage: Callable[[Path], None], cache: Path) -> None:
    fresh()._library(["-DFLOAT32"])
    (entry,) = entries(cache)
    whole = entry.read_bytes()
    damage(entry)
    check(fresh(), kernel=True)
    assert entry.read_bytes()[:1000] == whole[:1000]
    assert not entry.is_symlink()
    assert entry.stat().st_mode & 0o077 == 0


def test_kernels_can_be_turned_off(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FNGEN_DISABLE_KERNELS", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(fresh(), kernel=False)
    assert not cache.exists()
    monkeypatch.setenv("FNGEN_DISABLE_KERNELS", "0")
    check(fresh(), kernel=True)


def test_two_versions_of_a_layer_in_a_process(cache: Path) -> None:
    one = fngen.compile("x**2", name="power", backend="c")
    two = fngen.compile("x**3", name="power", backend="c")
    x = torch.tensor([3.0])
    assert [f.power(x).item() for f in (one, two, one)] == [9, 27, 9]


TOGETHER = """
import os, sys, torch, warnings
warnings.simplefilter("error")
import layer
children = []
for _ in range(10):
    if not (child := os.fork()):
        x = torch.linspace(-3, 3, 1000, requires_grad=True)
        y = layer.mish(x)
        good = "Fused" in type(y.grad_fn).__name__ and torch.allclose(y, torch.nn.functional.mish(x))
        os._exit(0 if good else 1)
    children.append(child)
sys.exit(max(os.waitpid(child, 0)[1] for child in children))
"""
AFTER_USE = """
import os, sys, torch
import layer
torch.set_num_threads(2)
x = torch.linspace(-3, 3, 1_000_000)
want = layer.mish(x)
if not (child := os.fork()):
    # A comparison by torch would wait for threads that are not there.
    os._exit(0 if (layer.mish(x).numpy() == want.numpy()).all() else 1)
sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.parametrize("script", [TOGETHER, AFTER_USE], ids=["ten at once", "a child after use"])
def test_processes(script: str, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "layer.py").write_text(source("mish").text)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    (_,) = entries(cache)
    assert len(os.listdir(cache)) == 1


def test_the_source_compiles_without_a_warning(tmp_path: Path) -> None:
    for name in ("black_scholes", "huber", "planck", "log_cosh", "mse", "greeks", *OF_ROWS):
        file = fresh(name)
        for flags in file._TYPES.values():
            words = [
                "cc",
                "-Wall",
                "-Wextra",
                "-Wno-psabi",
                "-Wno-unused-parameter",
                "-std=gnu11",
                *flags,
                *file._ROUNDING,
            ]
            words += ["-O3", "-fopenmp", "-fPIC", "-c", "-x", "c", "-", "-o", str(tmp_path / "made.o")]
            done = subprocess.run(words, input=file._SOURCE, capture_output=True, text=True, check=False)
            assert done.returncode == 0
            assert done.stderr == ""


def test_files_are_as_tools_want_them(tmp_path: Path) -> None:
    found = [
        source(name, b)
        for name in ("square", "huber", "mse", "greeks", *OF_ROWS)
        for b in (*BACKENDS, "c,triton")
    ]
    cell = "c = f*c0 + sigmoid(a + b)*w*g; h = o*tanh(k*c)"
    of_cell = {"outputs": ["c", "h"], "params": {"b[C]": 0, "w": 1}, "consts": {"k": 2}}
    found += [fngen.generate(cell, name="cell", backend=b, **of_cell) for b in (*BACKENDS, "c,triton")]
    many = "; ".join(f"u{i} = sin(x + {i}*z)*y" for i in range(12))
    found.append(fngen.generate(many, name="many", backend="c,triton"))
    reducing = ("alpha*sum(x**2) + x", "exp(x - max(x))*alpha", "alpha*mean(x, dim=-1)", "mean(exp(x))*alpha")
    found += [fngen.generate(f, name="f", params={"alpha": 1}, backend="c") for f in reducing]
    for i, made in enumerate(found):
        (tmp_path / f"{made.name}_{i}.py").write_text(made.text)
        assert all(len(line) <= 88 for line in made.text.splitlines()), made.name
    for command in (["ruff", "check", "--isolated"], ["ruff", "format", "--isolated", "--check"], ["mypy"]):
        words = [sys.executable, "-m", *command, str(tmp_path)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_header_is_the_recipe() -> None:
    from fngen import recipe

    for name in ("square", "huber"):
        assert recipe.parse_header(source(name).text, "layer.py") == source(name).spec
