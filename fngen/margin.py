"""The last resort for lines beyond the margin: where names are long, no subterm is left to be named."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fngen.layout import bracketed, filled, if_lines, tuple_lines
from fngen.lower import MARGIN

_CALL = re.compile(r"[\w\])]\(.*\)(?:\.\w+)?,?")


def fitted(text: str) -> str:
    """Return the text of a file, its long lines laid out in several as Black lays them out.

    Calls, conditions and the prose of docstrings are; a name may be too long for anything.
    """
    if all(len(line) <= MARGIN for line in text.splitlines()):
        return text
    lines, inside = list[str](), False
    for line in text.split("\n"):
        quotes = line.count('"""')
        if len(line) <= MARGIN or "#" in line or quotes == 1:
            lines.append(line)
        else:
            lines += _summary(line) if quotes else _prose(line) if inside else _code(line)
        inside ^= quotes == 1
    return "\n".join(lines)


def _prose(line: str) -> list[str]:
    """Return an entry of a docstring, what follows its first line indented."""
    indent = len(line) - len(line.lstrip())
    first, *rest = filled(line.split(), MARGIN - indent - 4)
    return [" " * indent + first, *(" " * (indent + 4) + more for more in rest)]


def _summary(line: str) -> list[str]:
    """Return a docstring of one line as two sentences, apart at its last comma."""
    first, comma, rest = line.rpartition(", ")
    indent = " " * (len(line) - len(line.lstrip()))
    rest = rest.removesuffix('"""')
    return [f"{first}.", "", f"{indent}{rest[:1].upper()}{rest[1:]}", f'{indent}"""'] if comma else [line]


def _code(line: str) -> list[str]:
    """Return a statement, or an item of a bracketed list."""
    body = line.lstrip()
    indent = len(line) - len(body)
    if body.startswith("if ") and body.endswith(":"):
        for word in ("or", "and"):
            conditions = list(_split(body[3:-1], f" {word} "))
            if len(conditions) > 1:
                return [" " * indent + part for part in if_lines(conditions, word, indent)]
    if refusal := re.fullmatch(r'(raise \w+\()(f?"[^"]*")\)', body):
        return bracketed(refusal[1], [refusal[2]], ")", indent)
    if target := re.match(r"return |[\w, ]+ = ", body):
        parts = list(_split(body[target.end() :], ", "))
        if len(parts) > 1:
            return tuple_lines(parts, indent, target.group())
    start = _last_bracket(body)
    if not start or '"' in body or not _CALL.fullmatch(body, start - 1):
        return [line]
    end = body.rindex(")")
    items = list(_split(body[start + 1 : end], ", "))
    return bracketed(body[: start + 1], items, body[end:], indent) if items[0] else [line]


def _last_bracket(body: str) -> int:
    """Return the place of the bracket that the last round one closes; 0 if there is none."""
    depth = 0
    for place in range(body.rfind(")"), -1, -1):
        depth += (body[place] in ")]}") - (body[place] in "([{")
        if not depth:
            return place
    return 0


def _split(text: str, separator: str) -> Iterator[str]:
    """Yield the parts of a text between separators that stand in no bracket and before no lambda's colon."""
    depth = start = waiting = 0
    for place, character in enumerate(text):
        opens = not depth and text.startswith("lambda ", place)
        closes = bool(waiting) and depth == waiting and character == ":"
        depth += (character in "([{" or opens) - (character in ")]}" or closes)
        waiting = depth if opens else 0 if closes else waiting
        if not depth and text.startswith(separator, place):
            yield text[start:place]
            start = place + len(separator)
    yield text[start:]
