"""Fresh virtual environments for tests of tools that are not installed here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.conftest import ROOT

GENERATION = ("click", "filelock", "jinja2", "mpmath", "sympy", "tomlkit", "tomli; python_version < '3.11'")
"""What fngen needs to generate, and not to verify."""


def environment(folder: Path, *packages: str, python: str | Path = sys.executable) -> Path:
    """Make a virtual environment with packages, and return its folder of programs.

    A package that the constraints name has that version, so that what it does is what it did before.
    """
    subprocess.run([python, "-m", "venv", folder], check=True, capture_output=True)
    if not packages:
        return folder / "bin"
    command = [folder / "bin/python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", *packages]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if "No matching distribution" in done.stderr or "NewConnectionError" in done.stderr:
        pytest.skip(f"cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return folder / "bin"


def run(*command: object, cwd: Path, code: int = 0, **variables: str) -> str:
    """Run a program, see that it ends with a code, and return all that it printed."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | variables,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


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
