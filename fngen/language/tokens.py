"""Formula text to tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fngen.errors import FormulaError

MAX_LENGTH = 200_000
"""Characters in a formula."""

_TOKEN = re.compile(
    r"(?P<space>[ \t\r]+)|(?P<newline>\n)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>\*\*|//|<=|>=|==|!=|[-+*/%<>=(),;])",
    re.ASCII,
)

_HINTS = {
    "^": "A power is written with '**'.",
    "&": "Conditions are joined with 'and'.",
    "~": "A condition is negated with 'not'.",
    "!": "A condition is negated with 'not'; a factorial is gamma(n + 1).",
    "[": "Only round brackets group.",
    "{": "Only round brackets group.",
    ":": "A name is assigned with '='.",
    ".": "Names have no attributes here; functions are called by their plain name.",
    "'": "A formula has no strings.",
    '"': "A formula has no strings.",
    "#": "A formula has no comments.",
    "\\": "LaTeX is read with --latex, or latex=True.",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A lexeme: ``kind`` is number, name, operator, newline or end."""

    kind: str
    text: str
    start: int
    end: int


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of ``text``, the last of kind ``end``.

    Raises:
        FormulaError: If the text is too long or has a character that no formula has.
    """
    if len(text) > MAX_LENGTH:
        raise too_long(text)
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unexpected(text, position)
        position = match.end()
        if match.lastgroup == "number":
            _check_number_ends(text, match.start(), position)
        if match.lastgroup != "space":
            yield Token(str(match.lastgroup), match.group(), match.start(), position)
    yield Token("end", "", len(text), len(text))


def too_long(text: str) -> FormulaError:
    """Return the error of a text with more characters than any formula has."""
    message = f"the formula has {len(text):,} characters; the limit is {MAX_LENGTH:,}"
    return FormulaError(message, text=text, start=MAX_LENGTH, end=MAX_LENGTH + 1)


def _unexpected(text: str, position: int) -> FormulaError:
    character = text[position]
    hint = _HINTS.get(character, "")
    message = f"unexpected character {ascii(character) if not character.isprintable() else repr(character)}"
    return FormulaError(message, hint, text, position, position + 1)


def _check_number_ends(text: str, start: int, end: int) -> None:
    """Refuse ``2x``, ``1_000``, ``0x10``, ``1j`` and ``1.2.3``."""
    tail = re.compile(r"[\w.]+").match(text, end)
    if tail is None:
        return
    literal, rest = text[start:end], tail.group()
    hint = "Write digits only, for example 1000, 0.5 or 1e-6."
    other_base = literal == "0" and rest[0] in "xXoObB"
    if re.fullmatch(r"[A-Za-z]\w*", rest) and not other_base and not re.fullmatch(r"[jJ]\d*|[eE]", rest):
        hint = f"A product is written with '*': {literal}*{rest}."
    if rest in ("j", "J", "i"):
        hint = f"The imaginary unit is an argument: write {literal}*i, and call the layer with 1j for it."
    message = f"{literal + rest!r} is not a number"
    raise FormulaError(message, hint, text, start, tail.end())
