"""Where things stand: the line of a key in a TOML file, of a mistake in a formula file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from fngen import declared
from fngen.errors import OptionError
from fngen.project import toml

Path = tuple[str, ...]

_TOKENS = (
    r'"""(?:[^\\]|\\.)*?"{3,5}',
    r"'''.*?'{3,5}",
    r'"(?:[^"\\\n]|\\.)*"',
    r"'[^'\n]*'",
    r"#[^\n]*",
    r".",
)
_TOKEN = re.compile("|".join(_TOKENS), re.DOTALL)


def toml_lines(text: str) -> dict[Path, int]:
    """Return the line on which each key of a TOML text is said first.

    The text is cut into statements; what keys a statement has, TOML's own reader says.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    for line, statement in _statements(text):
        try:
            content = toml.loads(statement)
        except toml.TOMLDecodeError:
            continue
        paths = list(_paths(content))
        if statement.lstrip().startswith("["):
            table = paths[-1]
            paths = [table[:n] for n in range(1, len(table) + 1)]
        else:
            paths = [table + path for path in paths]
        for path in paths:
            found.setdefault(path, line)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield the statements of a TOML text with their first lines."""
    start, line, depth, parts = 1, 1, 0, list[str]()
    for part in (match.group() for match in _TOKEN.finditer(text + "\n")):
        depth += (part in ("[", "{")) - (part in ("]", "}"))
        line += part.count("\n")
        if part != "\n" or depth > 0:
            parts.append(part)
            continue
        if "".join(parts).strip():
            yield start, "".join(parts)
        start, depth, parts = line, 0, []


def _paths(table: Mapping[str, object]) -> Iterator[Path]:
    """Yield the keys of a table and of the tables in it, outer ones first."""
    for key, value in table.items():
        yield (key,)
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from ((key, *path) for path in _paths(inner))


def line_of_key(lines: Mapping[Path, int], path: Path) -> int:
    """Return the line of a key, or of the nearest table around it; 0 if there is none."""
    return next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), 0)


def line_in_formula(text: str, message: str, start: int | None) -> int:
    """Return the line of a formula file that a mistake is on: the first at which its text has it.

    Args:
        text: The text of the file.
        message: What is wrong.
        start: The place in the formula that the text's statements are, or None.
    """
    lines = text.split("\n")
    for n in range(1, len(lines) + 1):
        try:
            statements, _ = declared.split(declared.without_comments("\n".join(lines[:n])))
        except OptionError as found:
            if found.message == message:
                return n
            continue
        if start is not None and len(statements) > start:
            return n
    return 1
