"""What a build's files depend on, for make and ninja."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fngen.errors import FileError
from fngen.project import fingerprint
from fngen.project.outcome import Outcome
from fngen.project.problems import shown
from fngen.write import write_if_changed


def depfile(outcome: Outcome, stamp: Path | None = None) -> str:
    """Return one rule: all files of a build, or the stamp, depend on what they are made of and by.

    That is the declaration, the formula files, and the files of fngen and its libraries. They follow
    as targets without a rule, so that make goes on when one has been deleted. A stamp depends on the
    folders of formula files as well: one that is new makes it out of date.
    """
    folders = {path.parent for path in outcome.inputs if path.suffix == ".fn"} if stamp else set()
    inputs = [_escaped(path) for path in (*outcome.inputs, *sorted(folders), *fingerprint.files())]
    targets = outcome.outputs if stamp is None else (stamp,)
    rule = f"{_joined(map(_escaped, targets))}: {_joined(inputs)}\n"
    return rule + "".join(f"\n{path}:\n" for path in inputs)


def write_depfile(outcome: Outcome, path: Path, stamp: Path | None = None) -> None:
    """Write the rule to a file.

    Raises:
        FileError: If it cannot be written.
    """
    with _writing(path):
        write_if_changed(path, depfile(outcome, stamp))


def touch(stamp: Path) -> None:
    """Give a stamp the time of now, also if it is there.

    Raises:
        FileError: If it cannot be written.
    """
    with _writing(stamp):
        stamp.touch()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Make the folder of a file; say what it was if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise FileError(f"cannot write {shown(path)}: {error.strerror}", path=str(path)) from None


def _joined(paths: Iterable[str]) -> str:
    return " \\\n  ".join(paths)


def _escaped(path: Path) -> str:
    """Return a path as both make and ninja read it."""
    text = Path(shown(path)).as_posix().replace("$", "$$")
    for character in (" ", "#"):
        text = text.replace(character, f"\\{character}")
    return text
