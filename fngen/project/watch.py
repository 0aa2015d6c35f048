"""Build again whenever the declaration or a formula file is saved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fngen.errors import FileError, FngenError
from fngen.project.build import build
from fngen.project.outcome import CHANGES, Outcome
from fngen.project.problems import DeclarationError, Problem
from fngen.project.reading import find

_SETTLED = 1000
"""Milliseconds after which the first build is looked at again: nobody watched while it ran."""


def watch(config: str | Path | None = None, **options: Any) -> Iterator[Outcome]:
    """Yield the outcome of a build, and of another one whenever a file that it read is saved.

    Takes the keywords of :func:`fngen.project.build`. What is wrong is in the outcome, and the next
    save may repair it.

    Raises:
        FngenError: If there is no declaration, or the package watchfiles is missing.
    """
    try:
        import watchfiles
    except ImportError:
        hint = "Install it with `pip install watchfiles`."
        raise FngenError("watching needs the package watchfiles", hint) from None
    path = Path(config).absolute() if config is not None else find()
    path = find(path) if path.is_dir() else path

    def concerns(_: object, name: str) -> bool:
        return Path(name) == path or name.endswith(".fn")

    while True:
        outcome = _built(path, options)
        yield outcome
        folders = _folders(path, outcome)
        settled = False
        for changes in watchfiles.watch(
            *folders, watch_filter=concerns, rust_timeout=_SETTLED, yield_on_timeout=True
        ):
            if settled and not changes:
                continue
            before, outcome = outcome, _built(path, options)
            if changes or any(outcome.of(*CHANGES)) or outcome.problems != before.problems:
                yield outcome
            settled = True
            if _folders(path, outcome) != folders:
                break


def _built(path: Path, options: dict[str, Any]) -> Outcome:
    """Return the outcome of a build; what ends a build is a problem in it."""
    try:
        return build(path, **options)
    except DeclarationError as error:
        return Outcome(problems=error.problems, inputs=(path,))
    except FileError as error:
        return Outcome(problems=(Problem(error.message, error.hint, path),), inputs=(path,))


def _folders(path: Path, outcome: Outcome) -> list[Path]:
    """Return the folders to watch, none inside another."""
    wanted = {path.parent, *(file.resolve().parent for file in outcome.inputs)}
    return sorted(folder for folder in wanted if not wanted & set(folder.parents))
