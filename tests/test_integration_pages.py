"""What the pages on other tools show: it is what these tools read, and the commands in it run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.environments import environment, run

PAGES = ROOT / "docs" / "integrations"
_BLOCK = re.compile(r"^```(\w+)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCHEMAS = {
    ".github/workflows/layers.yml": "vendor.github-workflows",
    ".gitlab-ci.yml": "vendor.gitlab-ci",
}


def files(page: str) -> list[tuple[str, str]]:
    """Return the files that a page shows, with their names: each says its own in its first line."""
    text = (PAGES / page).read_text()
    return [(name, content) for _, name, content in _BLOCK.findall(text)]


OURS = ("ci.md", "make.md", "pre_commit.md", "pytest.md")
SHOWN = [(page, name, text) for page in OURS for name, text in files(page)]
CI = [(name, text) for _, name, text in SHOWN if name in SCHEMAS]


def loaded(text: str) -> dict[str, object]:
    yaml = pytest.importorskip("yaml")
    # GitHub's key `on` is a truth value to YAML 1.1.
    content: dict[str, object] = yaml.safe_load(text.replace("\non:", "\n'on':"))
    return content


def commands(name: str) -> list[str]:
    """Return the commands of a file for CI, in their order."""
    (text,) = (text for page, shown, text in SHOWN if shown == name)
    job = json.loads(json.dumps(loaded(text)))
    if name == ".gitlab-ci.yml":
        return list(job["layers"]["script"])
    return [step["run"] for step in job["jobs"]["layers"]["steps"] if "run" in step]


def test_every_file_is_known() -> None:
    """One that is shown and tested by nothing is found here."""
    names = [name for _, name, _ in SHOWN]
    assert set(names) >= {*SCHEMAS, ".pre-commit-config.yaml", "Makefile", "build.ninja"}
    assert "".join((PAGES / page).read_text() for page in OURS).count("```") == 2 * len(names)


@pytest.mark.skipif(not shutil.which("check-jsonschema"), reason="check-jsonschema is not installed")
@pytest.mark.parametrize(("name", "text"), CI)
def test_the_official_schema(tmp_path: Path, name: str, text: str) -> None:
    assert loaded(text)
    path = tmp_path / "shown.yaml"
    path.write_text(text)
    command = ["check-jsonschema", "--builtin-schema", SCHEMAS[name], path]
    assert "ok" in run(*command, cwd=tmp_path)
    # It is a check: a list is none of these files.
    path.write_text("- nothing\n")
    run(*command, cwd=tmp_path, code=1)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that has what is installed here within reach, and not fngen; a wheel of that."""
    folder = tmp_path_factory.mktemp("ci")
    run(sys.executable, "-m", "build", "-w", "--no-isolation", "-o", folder / "dist", ROOT, cwd=folder)
    programs = environment(folder / "venv")
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    (site / "here.pth").write_text(
        "".join(f"{path}\n" for path in sys.path if path.endswith("site-packages"))
    )
    return programs


@pytest.mark.slow
@pytest.mark.parametrize("name", [".github/workflows/layers.yml", ".gitlab-ci.yml"])
def test_the_commands_of_ci(programs: Path, tmp_path: Path, name: str) -> None:
    """A checkout that is up to date passes; one with an edit, or a formula that was not built, does not."""
    (wheel,) = (programs.parent.parent / "dist").glob("*.whl")
    (tmp_path / "requirements.txt").write_text(f"fngen @ {wheel.as_uri()}\n")
    (tmp_path / "fngen.toml").write_text('[layers]\nsquare = "x1**3 + x2**2"\n')
    for command in commands(name):
        if "--check" in command:  # What a developer has committed.
            run(programs / "fngen", "build", "--no-verify", cwd=tmp_path, PYTHONPATH="")
        program, *rest = shlex.split(command)
        run(programs / program, *rest, cwd=tmp_path, PYTHONPATH="")
    (check,) = (shlex.split(command)[1:] for command in commands(name) if "--check" in command)
    (tmp_path / "fngen.toml").write_text('[layers]\nsquare = "x1**4 + x2**2"\n')
    assert "+++ generated/square.py" in run(programs / "fngen", *check, cwd=tmp_path, code=1, PYTHONPATH="")


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["make", "ninja"])
def test_the_build_files(tmp_path: Path, tool: str) -> None:
    """The file on the page, in a folder with the example's other files."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    shutil.copytree(ROOT / "examples" / tool, tmp_path / "project")
    ((name, text),) = ((n, t) for _, n, t in SHOWN if n == {"make": "Makefile", "ninja": "build.ninja"}[tool])
    programs = tmp_path / "bin"
    programs.mkdir()
    for program, words in {"fngen": "-m fngen ", "python": ""}.items():
        (programs / program).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {words}"$@"\n')
        (programs / program).chmod(0o755)
    (tmp_path / "project" / name).write_text(text)
    path = os.environ["PATH"]
    assert "written" in run(tool, cwd=tmp_path / "project", PATH=f"{programs}:{path}")
    assert (tmp_path / "project" / "result.txt").read_text().startswith("6.950 ")
    printed = run(tool, cwd=tmp_path / "project", PATH=f"{programs}:{path}")
    assert "fngen" not in printed
    assert "main.py" not in printed


@pytest.mark.skipif(not shutil.which("pre-commit"), reason="pre-commit is not installed")
def test_pre_commit_reads_its_page(tmp_path: Path) -> None:
    for name, text in files("pre_commit.md"):
        (tmp_path / name).write_text(text)
        run("pre-commit", "validate-config", name, cwd=tmp_path)


def test_links_lead_somewhere() -> None:
    for page in PAGES.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (PAGES / link).exists(), f"{page.name}: {link}"
