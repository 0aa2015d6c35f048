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
    # The one parameter of a function has a comma behind it.
    flat = len(inner) <= MARGIN and not (head.startswith("def ") and len(items) == 1)
    body = [inner] if flat else [f"{' ' * (indent + 4)}{item}," for item in items]
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
    return filled(re.findall(r"--\w+ ?|[\w.]+ ?|\W ?", text), width, "")


def commented(text: str, comment: str, column: int = 0) -> str:
    """Return a statement with a comment, if there is one and it fits in the line."""
    line = f"{text}{comment}"
    return line if column + len(line) <= MARGIN else text


def alike(item: str, count: int) -> str:
    """Return a tuple of one item so many times."""
    if count > 4:
        return f"({item},) * {count}"
    return f"({', '.join([item] * count)}{',' * (count == 1)})"


def typed(inputs: tuple[str, ...], scalars: tuple[bool, ...] = ()) -> list[str]:
    """Return parameters with their types: tensors, except where ``scalars`` says number."""
    flags = scalars or (False,) * len(inputs)
    return [f"{x}: {'float' if scalar else 'Tensor'}" for x, scalar in zip(inputs, flags, strict=True)]


def tuple_lines(items: list[str], indent: int, head: str = "", tail: str = "") -> list[str]:
    """Return ``head a, b, c tail``, in brackets where it does not fit in a line."""
    listed = ", ".join(items) if len(items) > 1 else f"({items[0]},)"
    flat = f"{' ' * indent}{head}{listed}{tail}"
    if len(flat) <= MARGIN:
        return [flat]
    pad = " " * indent
    return [f"{pad}{head}(", *(f"{pad}    {item}," for item in items), f"{pad}){tail}"]


def if_lines(conditions: Sequence[str], word: str, indent: int) -> list[str]:
    """Return the head of a statement for some conditions, as Black lays it out at this indentation."""
    flat = f"if {f' {word} '.join(conditions)}:"
    if indent + len(flat) <= MARGIN:
        return [flat]
    if len(conditions) == 2 and conditions[1].endswith(")") and not conditions[1].endswith("()"):
        head, last = f" {word} ".join(conditions).removesuffix(")").rsplit("(", 1)
        return [f"if {head}(", f"    {last}", "):"]
    return ["if (", *(f"    {f'{word} ' * bool(i)}{c}" for i, c in enumerate(conditions)), "):"]
