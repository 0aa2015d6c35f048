"""Black's layout of bracketed lists and long texts, for the few places that may be long."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fngen.lower import MARGIN


def bracketed(head: str, items: Sequence[str], tail: str, indent: int) -> list[str]:
    """Return ``head(items)tail`` as Black lays it out at this indentation.

    ``head`` ends with the opening bracket, ``tail`` begins with the closing one.
    """
    line = f"{' ' * indent}{head}{', '.join(items)}{tail}"
    if len(line) <= MARGIN:
        return [line]
    inner = f"{' ' * (indent + 4)}{', '.join(items)}"
    body = [inner] if len(inner) <= MARGIN else [f"{' ' * (indent + 4)}{item}," for item in items]
    return [f"{' ' * indent}{head}", *body, f"{' ' * indent}{tail}"]


def filled(words: Sequence[str], width: int, separator: str = " ") -> list[str]:
    """Return lines of at most ``width`` columns that hold ``words``."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(separator) + len(word) <= width:
            lines[-1] += separator + word
        else:
            lines.append(word)
    return lines


def folded(text: str, width: int) -> list[str]:
    """Return lines of at most ``width`` columns that make up ``text``, broken between words."""
    return filled(re.findall(r"[\w.]+ ?|\W ?", text), width, "")
