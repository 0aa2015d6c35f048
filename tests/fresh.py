"""Environments from nothing: a virtual environment, a wheel of this checkout, the tools of constraints.txt."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.conftest import ROOT

_CONSTRAINTS = ROOT / "constraints.txt"


@cache
def why_no_network() -> str:
    """Return why PyPI cannot be asked; nothing if it can."""
    try:
        urlopen("https://pypi.org/simple/hatchling/", timeout=20).close()
    except (URLError, OSError) as error:
        return f"PyPI is not reachable: {error}"
    return ""


def needs_network() -> None:
    """Skip a test that installs from PyPI where that is not reachable."""
    if why_no_network():
        pytest.skip(why_no_network())


class Environment:
    """A virtual environment of nothing but pip."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        self.folder = folder
        self.bin = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / "python"

    @property
    def environ(self) -> dict[str, str]:
        """The variables of a shell in which it is active."""
        rest = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
        path = f"{self.bin}{os.pathsep}{rest['PATH']}"
        return {**rest, "VIRTUAL_ENV": str(self.folder), "PATH": path}

    def run(self, *command: str | Path, cwd: Path | None = None, code: int = 0, **environ: str) -> str:
        """Run a command in it, which ends with this code (-1: any but 0); return what it says."""
        done = subprocess.run(
            list(map(str, command)),
            cwd=cwd or self.folder,
            env=self.environ | environ,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == code or (code < 0 and done.returncode > 0), done.stdout
        return done.stdout

    def pip(self, *args: str | Path, cwd: Path | None = None, code: int = 0, **environ: str) -> str:
        """Run pip."""
        return self.run(self.python, "-m", "pip", *args, cwd=cwd, code=code, **environ)

    def install(self, *requirements: str | Path) -> None:
        """Install with the versions of constraints.txt."""
        self.pip("install", "-q", "-c", _CONSTRAINTS, *requirements)

    def install_fngen(self, wheel: Path) -> None:
        """Install fngen and what it takes to generate: that is not torch."""
        self.install(wheel)

    def borrow_torch(self) -> None:
        """Let it import what lies beside this torch: files of .pth there do not count."""
        import torch

        packages = self.run(self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
        Path(packages.strip(), "borrowed.pth").write_text(str(Path(torch.__file__).parent.parent))


def wheel_of_fngen(folder: Path) -> Path:
    """Return a wheel of this checkout."""
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True)
    (wheel,) = folder.glob("fngen-*.whl")
    return wheel


def constraints_with(wheel: Path, folder: Path) -> dict[str, str]:
    """Return variables by which pip's isolated builds, too, take this fngen and the versions of constraints.txt."""
    path = folder / "constraints.txt"
    path.write_text(f"{_CONSTRAINTS.read_text()}\nfngen @ {wheel.as_uri()}\n")
    return {"PIP_CONSTRAINT": str(path), "PIP_BUILD_CONSTRAINT": str(path)}
