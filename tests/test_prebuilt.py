"""Kernels built ahead of time: they work where nothing can be built, and never for another source."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest
import torch
from click.testing import CliRunner, Result

import fngen
from fngen import ahead
from fngen.cli import main
from fngen.errors import FngenError
from fngen.load import execute
from tests.kernels import POINTWISE, is_from_kernel, source

DECLARATION = """
[layers.mish]
formula = "x*tanh(softplus(x))"
backend = "c"

[layers]
plain_square = "x**2"
"""
LIBRARY = Path("generated/mish.kernels.so")
TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
X = torch.linspace(-3, 3, 1001)


def build(*args: str, code: int = 0) -> Result:
    verb = ["build", *([] if "--check" in args else ["--no-verify"]), *args]
    result = CliRunner().invoke(main, verb)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its kernels built."""
    root = tmp_path_factory.mktemp("once")
    root.joinpath("fngen.toml").write_text(DECLARATION)
    outcome = fngen.project.build(root, compile=True, verify=False)
    assert outcome.ok, outcome.complaint
    return root


@pytest.fixture
def project(once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, the current folder."""
    shutil.copytree(once, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiler, and no cache."""
    monkeypatch.setenv("CC", "/nowhere/cc")
    monkeypatch.setenv("FNGEN_CACHE", "/proc/fngen")


def imported(path: Path) -> ModuleType:
    """Return a layer as a new process has it."""
    return execute(path.read_text(), f"prebuilt_{path.stem}", str(path))


def check(path: Path, *, kernel: bool, message: str = "") -> None:
    """Check the numbers of mish, who works them out, and what is said of that."""
    file, x = imported(path), X.clone().requires_grad_()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = file.mish(x)
    torch.testing.assert_close(result, torch.nn.functional.mish(x))
    assert is_from_kernel(result) == kernel
    assert [message in str(w.message) for w in said] == [True] * bool(message)


def test_it_works_where_nothing_can_be_built(project: Path, no_compiler: None) -> None:
    file = imported(project / "generated/mish.py")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for dtype in TYPES:
            x = X.to(dtype).requires_grad_()
            result = file.mish(x)
            assert is_from_kernel(result)
            torch.testing.assert_close(result, torch.nn.functional.mish(x))
            (slope,) = torch.autograd.grad(result.sum(), x, create_graph=True)
            (want,) = torch.autograd.grad(torch.nn.functional.mish(x).sum(), x)
            torch.testing.assert_close(slope, want)


AT_LEVEL = """
import os, sys, warnings, torch
warnings.simplefilter("error")
from generated import mish
x = torch.linspace(-9, 9, 4001)
results = []
for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
    t = x.to(dtype).requires_grad_()
    y = mish.mish(t)
    assert type(y.grad_fn).__name__.endswith("FusedBackward")
    (slope,) = torch.autograd.grad(y.sum(), t, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), t)
    results += [y, slope, second]
torch.save([t.detach() for t in results], sys.argv[1])
"""


def at_level(project: Path, level: str, environment: dict[str, str]) -> list[torch.Tensor]:
    """Return what a process computes whose torch works at a level."""
    done = subprocess.run(
        [sys.executable, "-c", AT_LEVEL, "numbers.pt"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project), "ATEN_CPU_CAPABILITY": level} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return torch.load(project / "numbers.pt")


LEVELS = ("default", "avx2", "avx512")
HERE = {"NO AVX": 1, "DEFAULT": 1, "AVX2": 2, "AVX512": 3}.get(torch.backends.cpu.get_cpu_capability(), 1)


@pytest.mark.parametrize("level", LEVELS[:HERE])
def test_at_each_level_it_has_the_bits_of_a_build_on_first_use(project: Path, level: str) -> None:
    before = at_level(project, level, {"CC": "/nowhere/cc", "FNGEN_CACHE": "/proc/fngen"})
    LIBRARY.unlink()
    built = at_level(project, level, {"FNGEN_CACHE": str(project / "cache")})
    assert len(list(project.glob("cache/*.so"))) == len(TYPES)
    assert all(torch.equal(a, b) for a, b in zip(before, built, strict=True))


def test_kernels_can_be_turned_off(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FNGEN_DISABLE_KERNELS", "1")
    check(project / "generated/mish.py", kernel=False)


def test_the_layer_is_imported_and_not_its_library(project: Path) -> None:
    call = "import generated.mish as m; print(m.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", call], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("mish.py")


def test_one_of_another_source_is_not_used(project: Path, no_compiler: None) -> None:
    path = project / "generated/mish.py"
    text = path.read_text()
    for old, new in (("/ 2)", "/ 4)"), ("-fno-math-errno", "-fmath-errno"), ('"-O3"', '"-O2"')):
        assert old in text[text.index("_SOURCE") :]
        path.write_text(text[: text.index("_SOURCE")] + text[text.index("_SOURCE") :].replace(old, new))
        check(path, kernel=False, message="no C compiler")
    path.write_text(text)
    check(path, kernel=True)


def test_one_that_is_replaced_in_a_running_process(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dynamic loader knows libraries by their paths."""
    path = project / "generated/mish.py"
    check(path, kernel=True)
    path.write_text(path.read_text().replace("real u = exp(", "real u = (real)1 * exp("))
    kernels = ahead.kernel_source(path.read_text())
    assert kernels is not None
    LIBRARY.unlink()
    LIBRARY.write_bytes(ahead.built(kernels, 2))
    monkeypatch.setenv("CC", "/nowhere/cc")
    check(path, kernel=False, message="no C compiler")


DAMAGES = {
    "cut": lambda content: content[:-100],
    "empty": lambda content: b"",
    "flipped": lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
    "another's": lambda content: ahead.built(ahead.kernel_source(source("square").text), 2),
    "text": lambda content: b"not a library",
}


@pytest.mark.parametrize("how", DAMAGES)
def test_one_that_is_damaged(project: Path, how: str, no_compiler: None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CC")
        content = DAMAGES[how](LIBRARY.read_bytes())
    LIBRARY.write_bytes(content)
    check(project / "generated/mish.py", kernel=False, message="no C compiler")


def test_one_that_cannot_be_used_is_built_into_the_cache(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FNGEN_CACHE", str(tmp_path / "cache"))
    LIBRARY.write_bytes(b"not a library")
    check(project / "generated/mish.py", kernel=True)
    assert len(list(tmp_path.glob("cache/*.so"))) == 1


def test_one_of_another_machine(project: Path, no_compiler: None) -> None:
    """It is whole, and the loader refuses it."""
    kernels = ahead.kernel_source(Path("generated/mish.py").read_text())
    assert kernels is not None
    content = LIBRARY.read_bytes()[:-64]
    content = content[:18] + b"\xff\xff" + content[20:] + kernels.key  # The field of an ELF header.
    LIBRARY.write_bytes(content + ahead._seal(kernels.key, content))
    assert ahead.key_of(LIBRARY.read_bytes()) == kernels.key
    check(project / "generated/mish.py", kernel=False, message="no C compiler")


def test_a_layer_that_is_in_no_file_takes_none_from_the_current_folder(
    project: Path, no_compiler: None
) -> None:
    text = Path("generated/mish.py").read_text()
    shutil.copy(LIBRARY, "<fngen mish>.kernels.so")
    file = execute(text, "prebuilt_in_memory", "<fngen mish>")
    with pytest.warns(RuntimeWarning, match="no C compiler"):
        file.mish(X)


# The build


def test_a_second_build_does_nothing(project: Path, no_compiler: None) -> None:
    before = LIBRARY.stat().st_mtime_ns
    assert build("--compile").output == "4 up to date\n"
    assert build("--compile", "--check").output == "4 up to date\n"
    assert LIBRARY.stat().st_mtime_ns == before
    assert sorted(os.listdir("generated")) == [
        ".fngen.json",
        "__init__.py",
        "mish.kernels.so",
        "mish.py",
        "plain_square.py",
    ]


@pytest.mark.parametrize("why", ["missing", "out of date", "damaged"])
def test_what_is_not_as_it_should_be_is_built(project: Path, why: str) -> None:
    whole = LIBRARY.read_bytes()
    if why == "missing":
        LIBRARY.unlink()
    elif why == "damaged":
        LIBRARY.write_bytes(whole[:-1])
    else:
        LIBRARY.write_bytes(DAMAGES["another's"](whole))
    said = build("--compile", "--check", code=1).output
    assert said == f"{LIBRARY}: {why}\nwould be: 3 up to date, 1 written\n"
    assert f"written {LIBRARY}\n" in build("--compile", "--dry-run").output
    note = f"{LIBRARY.name} is not used ({why}): `fngen build --compile` brings it up to date\n"
    for args in ((), ("--check",)):
        assert build(*args).output == note * (why != "missing") + "3 up to date\n"
    assert f"written {LIBRARY}\n" in build("--compile").output
    assert LIBRARY.read_bytes() == whole
    check(project / "generated/mish.py", kernel=True)


def test_a_layer_that_changes(project: Path) -> None:
    Path("fngen.toml").write_text(DECLARATION.replace("tanh", "sigmoid"))
    assert f"{LIBRARY}: out of date\n" in build("--compile", "--check", code=1).output
    assert "is not used" in build().output
    assert build("--compile").output == f"written {LIBRARY}\n3 up to date, 1 written\n"
    assert build("--compile", "--check").output == "4 up to date\n"


def test_a_layer_without_kernels_has_none(project: Path) -> None:
    Path("fngen.toml").write_text(DECLARATION.replace('"c"', '"torch"'))
    assert "is not used" in build().output
    assert LIBRARY.exists()
    said = build("--compile", "--check", code=1).output
    assert said == f"{LIBRARY}: the layer has no kernels in C\nwould be: 3 up to date, 1 removed\n"
    assert f"removed {LIBRARY}\n" in build("--compile").output
    assert not LIBRARY.exists()
    assert build("--compile").output.startswith("no layer has kernels in C: there is nothing to compile\n")


def test_it_goes_with_its_layer(project: Path) -> None:
    Path("fngen.toml").write_text('[layers]\nplain_square = "x**2"\n')
    build()
    assert not LIBRARY.exists()
    assert not Path("generated/mish.py").exists()


def test_it_goes_with_its_layer_from_a_folder_that_was_named_before(project: Path) -> None:
    Path("fngen.toml").write_text('output = "moved"\n' + DECLARATION)
    build("--compile")
    assert not Path("generated").exists()
    assert Path("moved/mish.kernels.so").exists()


def test_what_others_put_there_stays(project: Path) -> None:
    LIBRARY.write_bytes(b"somebody's")
    Path("fngen.toml").write_text('[layers]\nplain_square = "x**2"\n')
    build()
    assert LIBRARY.read_bytes() == b"somebody's"


def test_only(project: Path) -> None:
    LIBRARY.unlink()
    build("--compile", "--only", "plain_square")
    assert not LIBRARY.exists()
    build("--compile", "--only", "mish")
    assert LIBRARY.exists()


def test_fresh_builds_it_anew_and_the_same(project: Path) -> None:
    before, when = LIBRARY.read_bytes(), LIBRARY.stat().st_mtime_ns
    assert f"up to date {LIBRARY}" in build("--compile", "--fresh").output
    assert (LIBRARY.read_bytes(), LIBRARY.stat().st_mtime_ns) == (before, when)


def test_json_and_the_depfile_name_it(project: Path) -> None:
    said = json.loads(build("--compile", "--json", "--depfile", "made.d").output)
    assert {"name": "mish.kernels", "path": str(LIBRARY), "state": "up to date", "message": ""} in said[
        "files"
    ]
    assert str(LIBRARY) in said["outputs"]
    assert str(LIBRARY) in Path("made.d").read_text().partition(":")[0]
    assert str(LIBRARY) not in json.loads(build("--json").output)["outputs"]


def test_an_edited_layer_has_none_built(project: Path) -> None:
    path = Path("generated/mish.py")
    path.write_text(path.read_text().replace("-40", "-41"))
    before = LIBRARY.read_bytes()
    build("--compile", code=2)
    assert LIBRARY.read_bytes() == before


def test_no_compiler(project: Path, no_compiler: None) -> None:
    LIBRARY.unlink()
    Path("fngen.toml").write_text(DECLARATION.replace("tanh", "sigmoid"))
    said = build("--compile", code=2).output
    assert said.endswith("fngen: no C compiler '/nowhere/cc'\nInstall one, or name it in the variable CC.\n")
    assert not [x for x in os.listdir("generated") if ".so" in x or "~" in x]
    assert build("--check").output == "3 up to date\n"


BROKEN = {
    "fails": ("echo 'cc: confused' >&2; exit 1", "failed with code 1\ncc: confused\n"),
    "is killed": ("kill -9 $$", "failed with code -9\n"),
    "links nothing": (
        'case "$*" in *-shared*) echo "ld: full" >&2; exit 2;; *) exec cc "$@";; esac',
        "failed with code 2\nld: full\n",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_compiler_that_is_broken(
    project: Path, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, message = BROKEN[how]
    path = tmp_path / "compiler"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    LIBRARY.write_bytes(b"what was there")
    monkeypatch.setenv("CC", str(path))
    said = build("--compile", code=2).output
    assert f"fngen: {LIBRARY}: {path} {message}" in said
    assert "3 up to date, 1 wrong" in said
    assert LIBRARY.read_bytes() == b"what was there"
    assert not [x for x in os.listdir("generated") if "~" in x]


def test_a_folder_that_is_full(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(*paths: object) -> None:
        raise OSError(28, "No space left on device")

    LIBRARY.unlink()
    monkeypatch.setattr(os, "replace", replace)
    said = build("--compile", code=2).output
    assert f"fngen: cannot write {LIBRARY}: No space left on device\n" in said
    assert not [x for x in os.listdir("generated") if ".so" in x]


def test_other_machines_have_the_least_level(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "compiler"
    path.write_text('#!/bin/sh\n[ "$1" = -dumpmachine ] && echo aarch64-linux-gnu || exec cc "$@"\n')
    path.chmod(0o755)
    monkeypatch.setenv("CC", str(path))
    kernels = ahead.kernel_source(Path("generated/mish.py").read_text())
    assert kernels is not None
    content = ahead.built(kernels, 2)
    assert b"value_method_DEFAULT_FLOAT32" in content
    assert b"AVX" not in content


@pytest.mark.parametrize("name", POINTWISE)
def test_what_is_read_in_a_file_is_what_is_in_it(name: str) -> None:
    text = source(name).text
    file, kernels = execute(text, f"read_{name}", "<read>"), ahead.kernel_source(text)
    assert kernels is not None
    assert kernels.source == file._SOURCE
    assert (kernels.command, kernels.rounding, kernels.levels) == (
        file._COMMAND,
        file._ROUNDING,
        file._LEVELS,
    )
    assert (kernels.types, kernels.passes) == ([*file._TYPES.values()], file._PASSES)


def test_a_file_without_kernels_has_nothing_to_read() -> None:
    assert ahead.kernel_source(fngen.generate("x**2").text) is None
    assert ahead.kernel_source("") is None


def test_a_compiler_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(FngenError, match="failed: "):
        ahead._output([str(tmp_path)])
