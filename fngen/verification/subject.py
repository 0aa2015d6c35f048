"""What can be verified: a Source in memory, or an emitted file."""

from __future__ import annotations

from pathlib import Path

from fngen import problem, recipe
from fngen.load import load, load_file
from fngen.source import Source
from fngen.verification.report import Report
from fngen.verification.verify import verify


def verify_source(source: Source) -> Report:
    """Verify what was generated."""
    return verify(problem.read(source.spec), load(source), source.name)


def verify_file(path: Path) -> Report:
    """Verify a file as it stands on disk, by the command in its header."""
    spec = recipe.read(path)
    parsed = problem.read(spec)
    name = spec.name or parsed.name
    return verify(parsed, load_file(path), name)
