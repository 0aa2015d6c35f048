"""The declaration of a project's layers: where it is, what it says, where it says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fngen.errors import FileError
from fngen.naming import snake_case
from fngen.project.layers import Layer
from fngen.project.package import FILENAME as PACKAGE_FILE
from fngen.project.places import line_in_formula, line_of_key, toml_lines
from fngen.project.problems import Problem, shown


@dataclass(frozen=True)
class Declaration:
    """The layers of a project, and what is wrong with what says so.

    Attributes:
        path: The file that declares them.
        output: The folder that they go to.
        layers: The layers that can be worked on, sorted by name.
        problems: All that is wrong.
        files: The declaration and the formula files.
        prefix: The keys of the table in its file: ``("tool", "fngen")``.
        named: The folder that it names: ``output``, unless a caller has chosen another.
    """

    path: Path
    output: Path
    layers: tuple[Layer, ...]
    problems: tuple[Problem, ...]
    files: tuple[Path, ...]
    prefix: tuple[str, ...] = ()
    named: Path | None = None

    @property
    def broken(self) -> bool:
        """Whether more is wrong than single layers, so that nothing may be written."""
        return any(not problem.layer for problem in self.problems)

    @cached_property
    def names(self) -> set[str]:
        """The names of all layers, also of those with problems."""
        return {layer.name for layer in self.layers} | {snake_case(p.layer) for p in self.problems if p.layer}

    @property
    def filenames(self) -> tuple[str, ...]:
        """The files that a build makes in the output folder; the package's own comes first."""
        return (PACKAGE_FILE, *(layer.filename for layer in self.layers))

    @cached_property
    def _lines(self) -> dict[tuple[str, ...], int]:
        return toml_lines(text_of(self.path))

    def line(self, *keys: str) -> int:
        """Return the line of a key."""
        return line_of_key(self._lines, self.prefix + keys)

    def line_of(self, layer: Layer, key: str, error: Mapping[str, Any]) -> int:
        """Return the line that an error about a layer's key is on."""
        if not layer.formula_file:
            return self.line("layers", layer.label, key)
        start = error["start"] if error.get("text") else None
        return line_in_formula(text_of(layer.file), error["message"], start)


def text_of(path: Path) -> str:
    """Return the text of a file.

    Raises:
        FileError: If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise FileError(f"cannot read {shown(path)}: {reason}", path=str(path)) from None
