"""The last resort for lines beyond the margin: where names are long, no subterm is left to be named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from fngen.layout import bracketed, filled, if_lines, tuple_lines
from fngen.lower import MARGIN

_OPERATORS = tuple(map(re.compile, (" (if|else) ", r" ([!=]=|[<>]=?) ", r" \| ", " & ", r" [+-] ", " [*/] ")))
"""Operators at which an expression is cut, the loosest first."""
_PUNCTUATED = re.compile(r'"[^"]*[,()][^"]*"')
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
    pieces = _cut(line)
    if pieces == [line]:
        return pieces
    return [part for piece in pieces for part in (_code(piece) if len(piece) > MARGIN else [piece])]


def _cut(line: str) -> list[str]:
    """Return what Black makes of a line first: some of the pieces may still be too long."""
    body = line.lstrip()
    indent = len(line) - len(body)
    if body.startswith("if ") and body.endswith(":"):
        for word in ("or", "and"):
            conditions = list(_split(body[3:-1], f" {word} "))
            if len(conditions) > 1:
                return [" " * indent + part for part in if_lines(conditions, word, indent)]
    if refusal := re.fullmatch(r'(raise \w+\()(f?"[^"]*")\)', body):
        return bracketed(refusal[1], [refusal[2]], ")", indent)
    if unpacked := re.fullmatch(r"([\w, ]+) = (\w+)", body):
        return _unpacking(unpacked[1], unpacked[2], indent)
    if target := re.match(r"return |[\w, ]+ = ", body):
        parts = list(_split(body[target.end() :], ", "))
        if len(parts) > 1:
            return tuple_lines(parts, indent, target.group())
    start, end = _last_bracket(body, MARGIN - indent)
    if start and not _PUNCTUATED.search(body) and _CALL.fullmatch(body, start - 1):
        items = list(_split(body[start + 1 : end], ", "))
        if items[0]:
            return bracketed(body[: start + 1], items, body[end:], indent)
    if not target:
        return _operands(body, indent)
    inside = _operands(body[target.end() :], indent + 4)
    fits = all(len(piece) <= MARGIN for piece in inside)
    return [f"{' ' * indent}{target.group()}(", *inside, f"{' ' * indent})"] if fits else [line]


def _unpacking(names: str, value: str, indent: int) -> list[str]:
    """Return an assignment to several names, the value in brackets if that is enough."""
    pad = " " * indent
    if len(f"{pad}{names} = (") <= MARGIN:
        return [f"{pad}{names} = (", f"{pad}    {value}", f"{pad})"]
    return tuple_lines(names.split(", "), indent, tail=f" = {value}")


def _operands(body: str, indent: int) -> list[str]:
    """Return an expression within brackets, cut before its loosest operators if it is long."""
    places = list(_outside(body)) if indent + len(body) > MARGIN else []
    for operator in _OPERATORS:
        cuts = [0, *(place + 1 for place in places if operator.match(body, place)), len(body) + 1]
        if len(cuts) > 2:
            return [" " * indent + body[a : b - 1] for a, b in pairwise(cuts)]
    return [" " * indent + body]


def _last_bracket(body: str, room: int) -> tuple[int, int]:
    """Return where the last round bracket opens and closes; of chained calls the last that opens in time."""
    end = body.rfind(")")
    while True:
        depth = start = 0
        for place in range(end, -1, -1):
            depth += (body[place] in ")]}") - (body[place] in "([{")
            if not depth:
                start = place
                break
        before = re.search(r"\)\.\w+$", body[:start])
        if start < room or not before:
            return start, end
        end = before.start()


def _split(text: str, separator: str) -> Iterator[str]:
    """Yield the parts of a text between separators that are in no bracket."""
    start = 0
    for place in _outside(text):
        if text.startswith(separator, place):
            yield text[start:place]
            start = place + len(separator)
    yield text[start:]


def _outside(text: str) -> Iterator[int]:
    """Yield the places that are in no bracket and not among the arguments of a lambda."""
    depth = waiting = 0
    for place, character in enumerate(text):
        opens = not depth and text.startswith("lambda ", place)
        closes = bool(waiting) and depth == waiting and character == ":"
        depth += (character in "([{" or opens) - (character in ")]}" or closes)
        waiting = depth if opens else 0 if closes else waiting
        if not depth:
            yield place
