"""Another folder for the layers: what builds left in the one before goes, what anybody else wrote stays."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from fngen import project
from fngen.project import Outcome, State

LAYERS = '[layers]\nsquare = "x1**3 + x2**2"\nproduct = "x*y"\n'
MADE = {"square.py", "product.py", "__init__.py", ".fngen.json"}


def declare(output: str, layers: str = LAYERS, name: str = "fngen.toml") -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(f'output = "{output}"\n{layers}')


def build(config: str | None = None, **options: object) -> Outcome:
    return project.build(config, verify=False, **options)  # type: ignore[arg-type]


def names(folder: str) -> set[str]:
    return set(os.listdir(folder)) if os.path.isdir(folder) else set()


def states(outcome: Outcome) -> dict[str, State]:
    return {os.path.relpath(result.path): result.state for result in outcome.results}


@pytest.fixture
def moved(folder: Path) -> Path:
    """A project that was built in one folder and names another."""
    declare("first")
    assert build().ok
    declare("src/second")
    return folder


def test_the_files_move(moved: Path) -> None:
    checked = project.check()
    assert checked.check_code == 1
    assert "--- first/square.py\n+++ /dev/null" in "".join(result.diff() for result in checked.results)
    assert names("first") == MADE
    outcome = build()
    assert outcome.ok
    assert states(outcome) == {
        **{f"first/{name}.py": State.REMOVED for name in ("square", "product", "__init__")},
        **{f"src/second/{name}.py": State.WRITTEN for name in ("square", "product", "__init__")},
    }
    assert not Path("first").exists()
    assert names("src/second") == MADE
    assert project.check().check_code == 0
    # And back.
    declare("first")
    assert build().ok
    assert not Path("src/second").exists()
    assert Path("src").is_dir()
    assert project.check().check_code == 0


def test_what_others_wrote_stays(moved: Path) -> None:
    edited = Path("first/square.py")
    edited.write_text(edited.read_text() + "# mine\n")
    Path("first/helper.py").write_text("a = 1\n")
    outcome = build()
    assert outcome.ok
    assert states(outcome)["first/square.py"] is State.LET_GO
    assert names("first") == {"square.py", "helper.py"}
    assert project.check().check_code == 0
    assert "# mine" in edited.read_text()


def test_force_removes_edits(moved: Path) -> None:
    Path("first/square.py").write_text("# mine\n")
    assert build(force=True).ok
    assert not Path("first").exists()


@pytest.mark.parametrize("options", [{"only": ["square"]}, {"keep_stale": True}])
def test_it_waits_for_a_build_of_all(moved: Path, options: dict[str, object]) -> None:
    assert build(**options).ok
    assert names("first") == MADE
    assert build(**options).ok
    assert names("first") == MADE
    assert project.check().check_code == 1
    assert build().ok
    assert not Path("first").exists()
    assert "former" not in json.loads(Path("src/second/.fngen.json").read_text())


def test_it_waits_until_all_is_well(moved: Path) -> None:
    declare("src/second", LAYERS.replace("x*y", "x*)"))
    for _ in range(2):
        assert build().code == 2
        assert names("first") == MADE
    declare("src/second")
    assert build().ok
    assert not Path("first").exists()


def test_a_build_that_is_killed_before(moved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["fngen.project.build"], "leave", killed)
        with pytest.raises(KeyboardInterrupt):
            build()
    assert names("src/second") >= {"square.py", ".fngen.json"}
    assert build().ok
    assert not Path("first").exists()


def test_what_is_not_this_declarations(folder: Path) -> None:
    """Another project's folder, a copy, a link, and what a manifest only claims."""
    declare("generated", name="packages/a/fngen.toml")
    declare("lib", name="other.toml")
    declare("first")
    for config in ("packages/a", "other.toml", None):
        assert build(config).ok
    shutil.copytree("first", "copy")
    shutil.copytree("first", "packages/b/first")
    declare("second")
    assert build().ok
    for kept in ("packages/a/generated", "lib", "copy", "packages/b/first"):
        assert names(kept) == MADE, kept
    assert not Path("first").exists()
    manifest = Path("second/.fngen.json")
    data = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**data, "former": ["copy", "lib", "../..", "packages/a/generated"]}))
    assert build().ok
    for kept in ("packages/a/generated", "lib", "copy"):
        assert names(kept) == MADE, kept


def test_a_chosen_folder_is_neither_claimed_nor_left(moved: Path) -> None:
    """`--output` is for this build: it does not move the project's layers."""
    assert build(output="chosen").ok
    assert names("chosen") == MADE
    assert names("first") == MADE
    assert "home" not in json.loads(Path("chosen/.fngen.json").read_text())
    assert build(output="other").ok
    assert names("chosen") == names("first") == MADE
    # Nor does a build of the named folder know them; what it named before, it leaves.
    assert build().ok
    assert names("chosen") == names("other") == names("src/second") == MADE
    assert not Path("first").exists()
    assert "former" not in json.loads(Path("src/second/.fngen.json").read_text())
    assert project.check().check_code == 0


def test_the_named_folder_may_be_the_chosen_one(moved: Path) -> None:
    """Then it is no other, and the build is one of the declaration's own."""
    assert build(output="src/second").ok
    assert not Path("first").exists()


def test_a_folder_that_was_chosen_and_is_named_later(folder: Path) -> None:
    declare("first")
    assert build(output="second").ok
    declare("second")
    assert build().ok
    assert names("second") == MADE
    declare("third")
    assert build().ok
    assert not Path("second").exists()


def test_a_link_to_the_folder(folder: Path) -> None:
    declare("real")
    assert build().ok
    Path("link").symlink_to("real", target_is_directory=True)
    declare("link")
    assert build().ok
    assert names("real") == MADE
    assert project.check().check_code == 0


def test_a_copy_of_the_project_is_up_to_date(moved: Path, tmp_path: Path) -> None:
    assert build().ok
    shutil.copytree(moved, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("elsewhere"))
    before = Path("src/second/.fngen.json").read_bytes()
    assert project.check(tmp_path / "elsewhere").check_code == 0
    assert project.build(tmp_path / "elsewhere", verify=False).ok
    assert (tmp_path / "elsewhere/src/second/.fngen.json").read_bytes() == before
    assert names("src/second") == MADE
