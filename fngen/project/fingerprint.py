"""A hash of what turns requests into files: fngen itself and the libraries that it works with."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib import metadata

from fngen import __version__
from fngen.shipped import PACKAGE, templates

_LIBRARIES = ("jinja2", "mpmath", "sympy")


@cache
def tool() -> str:
    """Return a hash of fngen's version, source and templates, and of the versions of its libraries."""
    digest = sha256(__version__.encode())
    for library in _LIBRARIES:
        digest.update(f"{library} {_version(library)}\n".encode())
    files = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    files |= {f"templates/{path.name}": path for path in templates().glob("*.jinja")}
    for name, path in sorted(files.items()):
        digest.update(f"{name}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "unknown"
