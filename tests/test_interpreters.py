"""The same bytes from every Python that fngen runs on, whatever the hash seed, the processes and the path."""

from __future__ import annotations

import shutil
import sys
from itertools import islice
from pathlib import Path

import pytest
import tomlkit

from benchmarks.build import declaration as many_layers
from tests.conftest import ROOT
from tests.environments import Environment, as_here, interpreters, run, wheel_of_fngen
from tests.layer_rows import ROWS

VERSIONS = ("3.10", "3.11", "3.12", "3.13")
SYMBOLIC = ("jinja2", "mpmath", "sympy")


def declaration() -> str:
    """Declare a part of the list of layers, and layers with more options; the gallery has headers."""
    layers: dict[str, object] = {}
    for name, row in islice(ROWS.items(), 0, None, 8):  # A build takes a second for each.
        said = {key: _plain(value) for key, value in row.options.items() if value}
        layers[f"listed_{name}"] = {"formula": row.formula, **said}
    return many_layers(6) + tomlkit.dumps({"layers": layers}).removeprefix("[layers]\n")


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else dict(value) if hasattr(value, "items") else value


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, built here."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "fngen.toml").write_text(declaration())
    run(sys.executable, "-m", "fngen", "build", "--no-verify", cwd=folder, PYTHONHASHSEED="0")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_bytes_on_every_python(
    version: str, reference: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python = interpreters().get(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    environment = Environment.fresh(tmp_path / "venv", python)
    environment.install(wheel_of_fngen(tmp_path_factory), *as_here(*SYMBOLIC))
    fngen = "python", "-W", "error", "-m", "fngen"
    assert environment.run("python", "-c", "import sys; print(sys.version)").startswith(version)

    folder = tmp_path / "another place"
    folder.mkdir()
    (folder / "fngen.toml").write_text(declaration())
    jobs = 1 + VERSIONS.index(version) % 3
    environment.run(*fngen, "build", "--no-verify", "-j", jobs, cwd=folder, PYTHONHASHSEED=str(41 + jobs))
    made, wanted = contents(folder / "generated"), contents(reference / "generated")
    assert made.keys() == wanted.keys()
    assert [name for name in made if made[name] != wanted[name]] == []
    # The gallery itself, by the commands in its headers.
    assert "---" not in environment.run(*fngen, "check", ROOT / "generated")


@pytest.mark.slow
def test_a_copy_elsewhere_is_up_to_date(reference: Path, tmp_path: Path) -> None:
    copy = tmp_path / "a copy" / "deep down"
    shutil.copytree(reference, copy)
    command = [sys.executable, "-m", "fngen", "build", "--check", "--fresh", "-j", "3"]
    run(*command, cwd=copy, PYTHONHASHSEED="7")
    assert contents(copy / "generated") == contents(reference / "generated")
