"""Programs in environments of their own: this checkout's fngen, or a wheel of it in a fresh virtual environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path

import pytest
from filelock import FileLock

from tests.conftest import ROOT

FAILS = -1
"""In place of an exit code: any but 0."""
CONSTRAINTS = ROOT / "constraints.txt"


def run(*command: object, cwd: Path, code: int = 0, **variables: str) -> str:
    """Run a program with this checkout's fngen, see that it ends with a code, and return all that it printed."""
    ours = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return _run(command, cwd, os.environ | ours | variables, code)


def _run(command: tuple[object, ...], cwd: Path, environ: Mapping[str, str], code: int) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environ,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == code or (code == FAILS and done.returncode > 0), done.stdout
    return done.stdout


class Environment:
    """A virtual environment."""

    @classmethod
    def fresh(cls, folder: Path, python: str | Path = sys.executable) -> Environment:
        """Make one that has nothing but pip."""
        subprocess.run([python, "-m", "venv", folder], check=True, capture_output=True)
        return cls(folder)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / "python"

    @property
    def environ(self) -> dict[str, str]:
        """The variables of a shell in which it is active."""
        rest = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
        path = f"{self.bin}{os.pathsep}{rest['PATH']}"
        return {**rest, "VIRTUAL_ENV": str(self.folder), "PATH": path}

    def run(self, *command: object, cwd: Path | None = None, code: int = 0, **variables: str) -> str:
        """Run a command as in a shell in which it is active."""
        return _run(command, cwd or self.folder, self.environ | variables, code)

    def pip(self, *args: object, cwd: Path | None = None, **variables: str) -> str:
        """Run pip; skip the test if that fails because there is no index."""
        try:
            return self.run(self.python, "-m", "pip", *args, cwd=cwd, **variables)
        except AssertionError:
            self._see_that_there_is_an_index()
            raise

    def _see_that_there_is_an_index(self) -> None:
        asked = ("install", "-q", "--dry-run", "--no-deps", "--ignore-installed", "click")
        try:
            self.run(self.python, "-m", "pip", *asked)
        except AssertionError as error:
            pytest.skip(f"pip finds nothing here: {str(error).strip().splitlines()[-1]}")

    def install(self, *requirements: object) -> None:
        """Install packages; what constraints.txt names has that version, so that it does what it did before."""
        self.pip("install", "-q", "-c", CONSTRAINTS, *requirements)

    def reach(self, folders: Iterable[str]) -> None:
        """Let it import what lies in folders; their own .pth files do not count."""
        packages = self.run(self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
        Path(packages.strip(), "reached.pth").write_text("".join(f"{folder}\n" for folder in folders))


def packages_here() -> list[str]:
    """Return the folders of the packages that these tests run with."""
    return [folder for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages")]


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that is filled once in a run of tests, however many processes it has."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(f"{folder}.lock"):
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / "made").touch()
    return folder


def wheel_of_fngen(factory: pytest.TempPathFactory) -> Path:
    """Return a wheel of this checkout."""
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def make(folder: Path) -> None:
        _run((sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder), ROOT, environ, 0)

    (wheel,) = once(factory, "wheel", make).glob("*.whl")
    return wheel


def with_fngen(factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with the wheel and what that asks for, which is no torch, and with other tools."""
    wheel = wheel_of_fngen(factory)
    tools = ("cmake", "ninja", "meson", "pytest")
    folder = once(factory, "with_fngen", lambda f: Environment.fresh(f / "venv").install(wheel, *tools))
    return Environment(folder / "venv")


def as_here(*names: str) -> list[str]:
    """Return requirements of packages in the versions that are installed here."""
    return [f"{name}=={metadata.version(name)}" for name in names]


def interpreters() -> dict[str, Path]:
    """Return the Pythons from 3.10 on that this machine has, by version."""
    paths = [*Path.home().glob(".pyenv/versions/*/bin/python3")]
    paths += [Path(where) for minor in range(10, 15) if (where := shutil.which(f"python3.{minor}"))]
    # What pyenv has put on the PATH may stand for a version that is not chosen, and says nothing.
    versions = {path: _version(path) for path in sorted(paths)}
    return {version: path for path, version in versions.items() if version}


def _version(path: Path) -> str:
    """Return the version of a Python, as 3.11."""
    done = subprocess.run([path, "-V"], check=False, capture_output=True, text=True)
    match = re.match(r"Python (3\.\d\d)", done.stdout)
    return match.group(1) if match else ""
