"""What to do where two operands stand side by side."""

from __future__ import annotations

import re

from fngen.functions import NAMES
from fngen.functions.reductions import REDUCTIONS
from fngen.greek import GREEK
from fngen.language.build import FORMS
from fngen.suggest import closest

_WORDS = ("param", "const", "grad", "inputs", "outputs", "name")
_VALUED = re.compile(r"[A-Za-z_]\w*\s*(?:\[[^\]]*\]\s*)?=(?!=)", re.ASCII)


def missing_operator(text: str, left: str, place: int, right: str) -> str:
    """Return the hint for an operand after another.

    Args:
        text: The whole text.
        left: What stands before.
        place: Where the second one begins.
        right: The second one, as far as it is read.
    """
    start = max(text.rfind(c, 0, place) for c in ";\n") + 1
    rest = re.split(r"[;\n]", text[place:], maxsplit=1)[0].strip()
    alone = text[start:place].strip() == left
    if alone and (_VALUED.match(rest) or left.rstrip("s") in _WORDS) and (word := closest(left, _WORDS)):
        return f"A declaration begins with {word!r}: {word} {rest[:40]}"
    if left in {*NAMES, *FORMS, *REDUCTIONS} - GREEK and right[0] != "(":
        return f"A function is called with brackets: {left}({right})."
    return f"A product is written with '*': {left}*{right}."
