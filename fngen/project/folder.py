"""The output folder: what is there, what builds wrote of it, and one builder at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from fngen import ahead
from fngen.errors import FileError
from fngen.project import manifest, package
from fngen.project.manifest import Entry, Home, hashed
from fngen.project.problems import shown
from fngen.recipe import is_ours
from fngen.write import TEMPORARY, write_if_changed

_LOCK = ".fngen.lock"


class Folder:
    """An output folder as it was found; what it writes is remembered in its entries."""

    def __init__(self, path: Path, home: Home | None = None) -> None:
        """Look at a folder, which need not exist, of a declaration."""
        self.path = path
        self.manifest = manifest.read(path)
        self.manifest.home = home
        self.entries = self.manifest.entries
        self._contents: dict[str, bytes | None] = {}
        self._hashes: dict[str, str] = {}
        for name, entry in self.entries.items():
            if entry.was and entry.content == self.hash(name):  # Written, and then the build was killed.
                self.entries[name] = Entry(entry.key, entry.content)

    @cached_property
    def names(self) -> set[str]:
        """The names of all that is there."""
        try:
            return set(os.listdir(self.path))
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise _unusable("read", self.path, error) from None

    def content(self, name: str) -> bytes | None:
        """Return the content of a file, or None if it is not there."""
        if name not in self._contents:
            try:
                self._contents[name] = (self.path / name).read_bytes() if name in self.names else None
            except OSError as error:
                raise _unusable("read", self.path / name, error) from None
        return self._contents[name]

    def text(self, name: str) -> str | None:
        """Return the text of a file, or None if it is not there."""
        content = self.content(name)
        return None if content is None else content.decode("utf-8", errors="replace")

    def hash(self, name: str) -> str:
        """Return the hash of a file's content; nothing if it is not there."""
        if name not in self._hashes:
            content = self.content(name)
            self._hashes[name] = "" if content is None else hashed(content)
        return self._hashes[name]

    def is_current(self, name: str, key: str) -> bool:
        """Say whether a file is there as a build made it from what has this key."""
        entry = self.entries.get(name)
        return bool(entry and entry.key == key and entry.content == self.hash(name))

    def is_vouched_for(self, name: str) -> bool:
        """Say whether the manifest knows the file as it is."""
        entry, content = self.entries.get(name), self.hash(name)
        return bool(entry and content and content in (entry.content, entry.was))

    def was_ours(self, name: str) -> bool:
        """Say whether fngen wrote the file, whatever has happened to it since."""
        return name in self.entries or is_ours(self.text(name) or "")

    @property
    def leftovers(self) -> list[Path]:
        """What a build that was killed, or is at work, has left: unfinished files, the lock."""
        names = (name for name in sorted(self.names) if name[:1] == ".")
        return [self.path / name for name in names if name.endswith(TEMPORARY) or name == _LOCK]

    @property
    def listed(self) -> set[str]:
        """The files of layers that an earlier build left, by the manifest or by the package."""
        modules = package.listed(self.text(package.FILENAME) or "")
        return ({f"{module}.py" for module in modules} | set(self.entries)) - {package.FILENAME}

    def adopt(self, name: str, key: str, text: str) -> None:
        """Remember that a file has the text that a build would give it."""
        self.entries[name] = Entry(key, hashed(text.encode()))

    @property
    def remembers(self) -> bool:
        """Whether the manifest on disk says what the entries do."""
        there = self.content(manifest.FILENAME)
        return there == manifest.text(self.manifest).encode() if self.entries else there is None

    def write(self, texts: dict[str, tuple[str, str]]) -> None:
        """Write files, each with its text and the key of what it was made from.

        The manifest is written before and after: whenever a build is killed, it vouches for the
        old and for the new content.
        """
        for name, (text, key) in texts.items():
            self._check_untouched(name)
            self.entries[name] = Entry(key, hashed(text.encode()), self.hash(name))
        self.remember()
        for name, (text, key) in texts.items():
            with _writing(self.path / name):
                write_if_changed(self.path / name, text)
            self._contents[name], self._hashes[name] = text.encode(), hashed(text.encode())
            self.names.add(name)
            self.adopt(name, key, text)

    def write_library(self, name: str, content: bytes) -> None:
        """Write a library of kernels: the manifest vouches for texts only."""
        with _writing(self.path / name):
            write_if_changed(self.path / name, content)
        self._contents[name], self._hashes[name] = content, hashed(content)
        self.names.add(name)

    def _check_untouched(self, name: str) -> None:
        """Refuse to write over what was edited while the build was at work."""
        path = self.path / name
        try:
            now = path.read_bytes() if os.path.lexists(path) else None
        except OSError as error:
            raise _unusable("read", path, error) from None
        if now != self.content(name):
            raise FileError(f"{shown(path)} was changed during the build", "Build again.", path=str(path))

    def remove(self, names: list[str]) -> None:
        """Remove files of layers, and the libraries beside them."""
        beside = [ahead.library_name(name) for name in names]
        for name in [*(x for x in beside if ahead.key_of(self.content(x) or b"")), *names]:
            with _writing(self.path / name), suppress(FileNotFoundError):
                (self.path / name).unlink()
            self.names.discard(name)
            self._contents[name], self._hashes[name] = None, ""
            self.entries.pop(name, None)

    def remember(self) -> None:
        """Write the manifest."""
        path = self.path / manifest.FILENAME
        with _writing(path):
            if self.entries:
                write_if_changed(path, manifest.text(self.manifest))
            else:
                path.unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove unfinished files."""
        for path in self.leftovers:
            if path.name == _LOCK:  # It is held, and goes at the end.
                continue
            with _writing(path):
                path.unlink(missing_ok=True)


def _unusable(what: str, path: Path, error: OSError | ValueError) -> FileError:
    reason = getattr(error, "strerror", None) or str(error)
    return FileError(f"cannot {what} {shown(path)}: {reason}", path=str(path))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unusable("write", path, error) from None


@contextmanager
def locked(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a folder, so that one build at a time writes there; make it if it is missing."""
    from filelock import FileLock, Timeout  # Of no use to a build with nothing to do.

    path = folder / _LOCK
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting()
            lock.acquire()
    try:
        yield
    finally:
        # Removed while it is held: who waits for it finds that out, and makes a new one.
        with suppress(OSError):
            path.unlink()
        lock.release()
