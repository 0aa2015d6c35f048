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
from tests.environments import Environment, packages_here, run, wheel_of_fngen
from tests.pages import PAGES, files, from_wheel

SCHEMAS = {
    ".github/workflows/layers.yml": "vendor.github-workflows",
    ".gitlab-ci.yml": "vendor.gitlab-ci",
}


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
def runner(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A fresh environment that has what is installed here within reach: pip need not fetch torch."""
    environment = Environment.fresh(tmp_path_factory.mktemp("ci") / "venv")
    environment.reach(packages_here())
    return environment


@pytest.mark.slow
@pytest.mark.parametrize("name", [".github/workflows/layers.yml", ".gitlab-ci.yml"])
def test_the_commands_of_ci(
    runner: Environment, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    """A checkout that is up to date passes; one with an edit, or a formula that was not built, does not."""
    (requirements,) = (text for page, shown, text in SHOWN if (page, shown) == ("ci.md", "requirements.txt"))
    wheel = wheel_of_fngen(tmp_path_factory).as_uri()
    (tmp_path / "requirements.txt").write_text(from_wheel(requirements, wheel))
    (tmp_path / "fngen.toml").write_text('[layers]\nsquare = "x1**3 + x2**2"\n')
    for command in commands(name):
        if "--check" in command:  # What a developer has committed.
            runner.run("fngen", "build", "--no-verify", cwd=tmp_path)
        runner.run(*shlex.split(command), cwd=tmp_path)
    (check,) = (shlex.split(command) for command in commands(name) if "--check" in command)
    (tmp_path / "fngen.toml").write_text('[layers]\nsquare = "x1**4 + x2**2"\n')
    assert "+++ generated/square.py" in runner.run(*check, cwd=tmp_path, code=1)


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


MARKDOWN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", page.read_text()):
        target = page.parent / link if link else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), anchor


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_is_linked_once_from_the_page_on_builds() -> None:
    links = re.findall(r"\(integrations/(\w+\.md)\)", (ROOT / "docs/build.md").read_text())
    assert sorted(links) == sorted(path.name for path in PAGES.glob("*.md"))


def asked_of_pip(text: str) -> list[str]:
    """Return the words of the commands and lists by which pip installs, quotes apart."""
    lists = re.findall(r"(?:requires|dependencies) = \[(.*?)\]", text, re.DOTALL)
    commands = re.findall(r"pip install ([^`&#\n]*)", text)
    words = re.findall(r"""\"[^"]*\"|'[^']*'|[^\s,]+""", " ".join([*lists, *commands]))
    return [word.strip("'\",") for word in words]


def test_where_fngen_comes_from_is_said_wherever_it_is_installed() -> None:
    """By its name alone pip would get another project, from PyPI."""
    paths = [*MARKDOWN, *(ROOT / "examples").rglob("pyproject.toml"), *(ROOT / "fngen").rglob("*.py")]
    words = [(path.name, word) for path in paths for word in asked_of_pip(path.read_text())]
    words += [
        (page, line) for page, name, text in SHOWN if name == "requirements.txt" for line in text.split("\n")
    ]
    named = [(page, word) for page, word in words if re.match(r"fngen\b", word)]
    assert {(page, word) for page, word in named if "@" not in word} == {
        ("build.md", "fngen")
    }  # The warning.
    assert len(named) >= 10
