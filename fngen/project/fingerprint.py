"""A hash of what turns requests into files: fngen itself and the libraries that it works with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path

from fngen import __version__
from fngen.shipped import PACKAGE, templates

_LIBRARIES = ("jinja2", "mpmath", "python-flint", "sympy")


@cache
def tool() -> str:
    """Return a hash of fngen's version, source and templates, and of the versions of its libraries."""
    digest = sha256(__version__.encode())
    for library in _LIBRARIES:
        digest.update(f"{library} {_version(library)}\n".encode())
    for name, path in _sources().items():
        digest.update(f"{name}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def files() -> Iterator[Path]:
    """Yield the files by whose times, or absence, one sees that what generates has changed."""
    yield from _sources().values()
    for library in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            distribution = metadata.distribution(library)
            # The folder has the version in its name: another one, and this file is gone.
            listed = (file for file in distribution.files or () if file.name == "METADATA")
            yield from (Path(str(distribution.locate_file(file))) for file in listed)


def _sources() -> dict[str, Path]:
    """Return the files of fngen that generate, by their names in the package, sorted."""
    files = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    files |= {f"templates/{path.name}": path for path in templates().glob("*.jinja")}
    return dict(sorted(files.items()))


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "unknown"
