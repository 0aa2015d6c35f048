"""The hooks, run by pre-commit in a fresh repository, as `git commit` runs them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.environments import run

pytestmark = pytest.mark.skipif(
    not shutil.which("pre-commit") or not shutil.which("git"), reason="pre-commit or git is not installed"
)
IDENTITY = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Repository:
    """A project in a repository with a hook of fngen's, and with `fngen` on its path."""

    def __init__(self, folder: Path, hook: str) -> None:
        programs, hooks, self.folder = folder / "bin", folder / "fngen", folder / "project"
        for each in (programs, hooks, self.folder):
            each.mkdir()
        fngen = programs / "fngen"
        fngen.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fngen "$@"\n')
        fngen.chmod(0o755)
        nowhere = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self.variables = {**IDENTITY, **nowhere, "PATH": path, "PRE_COMMIT_HOME": str(folder / "cache")}
        shutil.copy(ROOT / ".pre-commit-hooks.yaml", hooks)
        for repository in (hooks, self.folder):
            self.git("init", "-q", cwd=repository)
        self.git("add", ".", cwd=hooks)
        self.git("commit", "-qm", "hooks", cwd=hooks)
        revision = self.git("rev-parse", "HEAD", cwd=hooks).strip()
        self.write(
            ".pre-commit-config.yaml",
            f"repos:\n  - repo: {hooks}\n    rev: {revision}\n    hooks:\n      - id: {hook}\n",
        )
        self.write("fngen.toml", '[layers]\nsquare = "x1**3 + x2**2"\nproduct = "x*y"\n')
        self.run("fngen", "build", "--no-verify")
        self.run("pre-commit", "install")

    def run(self, *command: str, code: int = 0, cwd: Path | None = None) -> str:
        return run(*command, cwd=cwd or self.folder, code=code, **self.variables)

    def git(self, *command: str, code: int = 0, cwd: Path | None = None) -> str:
        return self.run("git", *command, code=code, cwd=cwd)

    def commit(self, *names: str, code: int = 0) -> str:
        """Commit what stands in these files, and return what the hooks print."""
        self.git("add", *names)
        return self.git("commit", "-qm", "a change", code=code)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))


def test_the_hooks_are_what_pre_commit_reads() -> None:
    subprocess.run(["pre-commit", "validate-manifest", ROOT / ".pre-commit-hooks.yaml"], check=True)


def test_check(tmp_path: Path) -> None:
    repository = Repository(tmp_path, "fngen-check")
    assert "Passed" in repository.commit(".")
    # A declaration without its layers.
    repository.replace("fngen.toml", "x*y", "x*y*y")
    printed = repository.commit("fngen.toml", code=1)
    assert "Failed" in printed
    assert "+++ generated/product.py" in printed
    # Layers that are made and not added are not committed, and so they do not count.
    repository.run("fngen", "build", "--no-verify")
    assert "+++ generated/product.py" in repository.commit("fngen.toml", code=1)
    assert "Passed" in repository.commit(".")
    # An edit.
    repository.replace("generated/square.py", "x1**3", "x1**4")
    assert "edited: generated/square.py" in repository.commit(".", code=1)
    repository.git("checkout", "-q", "HEAD", "generated")
    # What has nothing to do with layers.
    repository.write("README.md", "A project\n")
    assert "no files to check" in repository.commit("README.md")
    # A layer that is gone and still declared: git has no file to show, the manifest is one.
    (repository.folder / "generated/square.py").unlink()
    repository.replace("generated/.fngen.json", '"square.py"', '"other.py"')
    assert "+++ generated/square.py" in repository.commit(".", code=1)


def test_build(tmp_path: Path) -> None:
    repository = Repository(tmp_path, "fngen-build")
    assert "Passed" in repository.commit(".")
    repository.replace("fngen.toml", "x*y", "x*y*y")
    printed = repository.commit("fngen.toml", code=1)
    assert "files were modified by this hook" in printed
    assert "written generated/product.py" in printed
    assert "x*y*y" in (repository.folder / "generated/product.py").read_text()
    assert "Passed" in repository.commit(".")
    repository.replace("fngen.toml", "x1**3", "x1*)")
    assert "fngen.toml:2: layers.square.formula" in repository.commit("fngen.toml", code=1)
