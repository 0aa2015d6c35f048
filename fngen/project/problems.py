"""What is wrong with a declaration: where, what, and what to do; all of it at once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fngen.errors import FngenError


@dataclass
class Problem(FngenError):
    """One mistake: ``file:line: key: message``, the marked place in the formula, the hint.

    Attributes:
        file: The declaration or the formula file.
        line: The line of the key or the statement, or 0 for the file as a whole.
        key: The key in the declaration, dotted.
        mark: The formula with the place marked.
        layer: The layer that cannot be made, or nothing if it is the declaration itself.
    """

    file: Path = Path()
    line: int = 0
    key: str = ""
    mark: str = ""
    layer: str = ""

    def __str__(self) -> str:
        place = f"{shown(self.file)}:{self.line}" if self.line else shown(self.file)
        head = ": ".join(filter(None, [place, self.key, self.message]))
        return "\n".join(filter(None, [head, self.mark, self.hint]))

    def to_dict(self) -> dict[str, Any]:
        """Return the problem as plain data, for JSON."""
        return {**asdict(self), "file": shown(self.file)}


@dataclass
class DeclarationError(FngenError):
    """A declaration that cannot be used, with all that is wrong."""

    problems: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> DeclarationError:
        """Return one error for several problems."""
        listed = tuple(problems)
        return cls("\n".join(map(str, listed)), problems=listed)


def shown(path: Path) -> str:
    """Return a path for people: from the current folder where it lies below."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # Another drive.
        return str(path)
    return str(path) if relative.startswith("..") else relative
