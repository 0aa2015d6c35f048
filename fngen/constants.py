"""Irrational numbers by name: worked out once, and rounded once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from fngen.ir import Value, name, postorder, substitute_all, tree_size, value
from fngen.naming import free_name
from fngen.numeric import apply_or_none
from fngen.printing.infix import float_text

_LONGEST_MEANING = 40


@dataclass(frozen=True)
class Constant:
    """A module-level constant: its name, its value rounded once, and what it is."""

    name: str
    literal: str
    meaning: str


def hoist_constants(
    roots: Sequence[Value], taken: set[str], spell: Callable[[Value], str]
) -> tuple[list[Value], list[Constant]]:
    """Replace irrational constants by names; return the new roots and the constants.

    Folding at generation time rounds once, where ``math.sqrt(2 / math.pi)`` rounds twice.
    """
    order = postorder(roots)
    numbers: dict[Value, Any] = {}
    images: dict[Value, Value] = {}
    for node in order:
        if node.op in ("name", "nan") or not all(a in numbers for a in node.args):
            continue
        number = apply_or_none(node, [numbers[a] for a in node.args])
        if number is None:
            images[node] = value("nan")
        else:
            numbers[node] = number
    irrational = {n for n in numbers if n.args and not isinstance(numbers[n], Fraction | bool)}
    used = {a for n in order if n not in irrational for a in n.args} | set(roots)
    constants = []
    for node in (n for n in order if n in irrational and n in used):
        meaning = spell(node) if tree_size(node) <= _LONGEST_MEANING else ""
        label = free_name(_constant_name(meaning), taken)
        taken.add(label)
        constants.append(Constant(label, float_text(numbers[node]), meaning))
        images[node] = name(label)
    return substitute_all(roots, images), constants


def _constant_name(meaning: str) -> str:
    meaning = meaning.replace("-", "minus ", 1) if meaning.startswith("-") else meaning
    slug = re.sub(r"\W+", "_", meaning).strip("_").upper()
    return f"_{slug}" if 0 < len(slug) <= 24 else "_C"
