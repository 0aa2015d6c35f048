"""What every plugin does: bring the layers up to date, and know which files a package then holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from fngen import ahead
from fngen.errors import FngenError
from fngen.installed import require_torch
from fngen.project import Listener, Result, State, build, read
from fngen.project.manifest import FILENAME as MANIFEST
from fngen.project.problems import shown


@dataclass(frozen=True)
class Brought:
    """Layers that are up to date.

    Attributes:
        folder: The folder that they are in.
        outputs: Their files, the package's own among them.
        libraries: Their kernels, built ahead of time: a wheel with these is for one platform.
        sources: What it takes to make them again: the declaration, the formula files, the manifest.
            With the manifest a later fngen may replace what this one wrote.
    """

    folder: Path
    outputs: tuple[Path, ...]
    libraries: tuple[Path, ...]
    sources: tuple[Path, ...]


def brought(
    root: Path,
    config: str | None = None,
    *,
    verify: bool = False,
    compile: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Brought:
    """Bring the layers of the project in a folder up to date.

    Args:
        root: The folder of the project's pyproject.toml.
        config: The declaration, from there. Default: what declares layers there.
        verify: Verify those that are written.
        compile: Build their kernels in C ahead of time.
        tell: Is told what becomes of each file.

    Raises:
        FngenError: With all that is wrong.
    """
    if verify:
        require_torch("Name fngen[torch] in the requirements of the build, or leave `verify` out.")
    declaration = read(root / config if config else root)
    _check_inside(root, (declaration.output, *declaration.files))
    verified = None if verify else False
    outcome = build(declaration.path, verify=verified, compile=compile, listener=_Telling(tell))
    if not outcome.ok:
        raise FngenError(outcome.complaint)
    for note in outcome.notes:
        tell(note)
    sources = (*outcome.inputs, declaration.output / MANIFEST)
    outputs = tuple(path for path in outcome.outputs if path.suffix == ".py")
    libraries = tuple(path for path in outcome.outputs if path.name.endswith(ahead.SUFFIX))
    return Brought(declaration.output, outputs, libraries, sources)


def _check_inside(root: Path, paths: Iterable[Path]) -> None:
    """Refuse what no package of the project could hold."""
    for path in paths:
        if not path.resolve().is_relative_to(root.resolve()):
            hint = "A package holds what lies below its pyproject.toml: move it there."
            raise FngenError(f"{shown(path)} is not in the project {root}", hint)


class _Telling(Listener):
    """Tells of each file that is written."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def done(self, result: Result) -> None:
        """Tell what became of a layer."""
        if result.state is State.WRITTEN:
            self._tell(f"fngen: {result.state} {shown(result.path)}")
