"""The error tree: one base class, subclasses that keep their data, the message last."""

from __future__ import annotations

from dataclasses import dataclass

_CONTEXT = 76
"""Columns of the formula that an error shows around the marked place."""


@dataclass
class FngenError(Exception):
    """Something that a user can get wrong: ``message`` says what, ``hint`` what to do."""

    message: str
    hint: str = ""

    def __str__(self) -> str:
        return "\n".join(filter(None, [self.message, self.hint]))


@dataclass
class FormulaError(FngenError):
    """A formula that cannot be read or derived; ``text[start:end]`` is the place."""

    text: str = ""
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        return "\n".join(filter(None, [self.message, self.marked(), self.hint]))

    def marked(self) -> str:
        """Return the formula around the place, and a line that marks it; nothing without a formula."""
        if not self.text.strip():
            return ""
        line_start = self.text.rfind("\n", 0, self.start) + 1
        line_end = self.text.find("\n", line_start)
        line = self.text[line_start : line_end if line_end >= 0 else None]
        column = self.start - line_start
        left = max(0, column - _CONTEXT // 2)
        shown = line[left : left + _CONTEXT]
        # A control character would break the line or move the mark.
        shown = "".join(c if c.isprintable() else "?" for c in shown)
        width = max(1, min(self.end - self.start, len(shown) - (column - left)))
        return f"    {shown}\n    {' ' * _columns(shown[: column - left])}{'^' * width}"


def _columns(text: str) -> int:
    """Return how wide a terminal shows a text."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


@dataclass
class OptionError(FngenError):
    """An option (or the library's keyword of the same name) with a wrong value."""

    option: str = ""


@dataclass
class FileError(FngenError):
    """A file that is in the way, missing, or not one of ours."""

    path: str = ""


@dataclass
class VerificationError(FngenError):
    """A file that could not be verified at all (a wrong result is a failed check)."""
