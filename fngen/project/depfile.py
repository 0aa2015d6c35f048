"""What a build's files depend on, for make and ninja."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fngen.errors import FileError
from fngen.project.outcome import Outcome
from fngen.project.problems import shown
from fngen.write import write_if_changed


def depfile(outcome: Outcome) -> str:
    """Return one rule: all files of a build depend on the declaration and the formula files.

    The inputs follow as targets without a rule, so that make goes on when one has been deleted.
    """
    inputs = [_escaped(path) for path in outcome.inputs]
    rule = f"{_joined(map(_escaped, outcome.outputs))}: {_joined(inputs)}\n"
    return rule + "".join(f"\n{path}:\n" for path in inputs)


def write_depfile(outcome: Outcome, path: Path) -> None:
    """Write the rule to a file.

    Raises:
        FileError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_if_changed(path, depfile(outcome))
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
