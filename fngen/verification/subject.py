"""What can be verified and measured: a Source in memory, or an emitted file."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from fngen import problem, recipe
from fngen.load import load, load_file
from fngen.source import Source

Subject = tuple[problem.Problem, ModuleType, str]
"""The formula, the module that was made of it, the name of its function."""


def opened(source: Source | str | Path) -> Subject:
    """Return what was generated, or a file as it stands on disk with the command in its header.

    Raises:
        FileError: If the file cannot be read or imported, or is not one of fngen's.
    """
    if isinstance(source, Source):
        return problem.read(source.spec), load(source), source.name
    path = Path(source)
    spec = recipe.read(path)
    parsed = problem.read(spec)
    return parsed, load_file(path), spec.name or parsed.name
