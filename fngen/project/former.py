"""Folders that a declaration named before: what builds left there is stale.

The manifests in them say whose they are. They are looked for when there is none in the folder that
is named now; its own then remembers them until they are left.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fngen.project import manifest
from fngen.project.declaration import Declaration
from fngen.project.folder import Folder, locked
from fngen.project.judge import stale
from fngen.project.manifest import Home
from fngen.project.outcome import Result, State
from fngen.project.settings import Listener, Options

_DEPTH = 5
"""How far below the declaration a folder of layers is looked for: data may lie in a million folders."""
_OTHERS = ("node_modules", "__pycache__")


def home(declaration: Declaration, folder: Path) -> Home | None:
    """Return what the manifest in a folder of a declaration says; nothing for one that it does not name."""
    if declaration.output != declaration.named:
        return None
    try:
        place = os.path.relpath(folder, declaration.path.parent)
    except ValueError:  # Another drive.
        return None
    return declaration.path.name, Path(place).as_posix()


def former(declaration: Declaration, folder: Folder) -> tuple[str, ...]:
    """Return the folders, from the declaration's own, that builds of it wrote to before."""
    if folder.manifest.home is None:
        return ()
    root = declaration.path.parent
    known = folder.content(manifest.FILENAME) is not None
    places = folder.manifest.former if known else _with_manifests(root)
    paths = [root / place for place in places]
    there = [path for path in paths if path.is_dir() and not _same(path, folder.path)]
    homes = [home(declaration, path) for path in there]
    ours = [found for path, found in zip(there, homes, strict=True) if manifest.read(path).home == found]
    return tuple(sorted(place for _, place in filter(None, ours)))


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _with_manifests(root: Path) -> Iterator[str]:
    """Yield the folders below one, from there, that hold a manifest; not those of other tools."""
    for folder, inner, names in os.walk(root):
        place = Path(folder).relative_to(root)
        if "pyvenv.cfg" in names or len(place.parts) == _DEPTH:
            inner.clear()
        inner[:] = [name for name in inner if name[0] != "." and name not in _OTHERS]
        if manifest.FILENAME in names:
            yield place.as_posix()


def leave(path: Path, options: Options, listener: Listener) -> list[Result]:
    """Remove what builds wrote to a folder, and say what became of each file."""
    if options.dry or options.keep_stale:
        folder = Folder(path)
        return stale(sorted(folder.entries), folder, options)
    with locked(path, listener.waiting):
        folder = Folder(path)
        results = stale(sorted(folder.entries), folder, options)
        folder.remove([result.path.name for result in results if result.state is State.REMOVED])
        folder.entries.clear()
        folder.remember()
    with suppress(OSError):  # There may be more in it.
        path.rmdir()
    return results
