"""Identifiers: checked, mangled, derived, and free."""

from __future__ import annotations

import keyword
import re
from collections.abc import Container
from hashlib import sha256
from itertools import chain, count

from fngen.errors import OptionError
from fngen.ir import Value, fold

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
RESERVED = frozenset({"Any", "Tensor", "ctx", "forward_ad", "inputs", "math", "nn", "output", "self", "torch"})
"""Names that the code of an emitted file uses itself."""
LONGEST = 40
_SUFFIXES = {2: "squared", 3: "cubed"}
_WORDS = {"add": "plus", "sub": "minus", "mul": "times", "div": "over", "pow": "to_the", "neg": "minus"}


def free_name(stem: str, taken: Container[str]) -> str:
    """Return ``stem``, or the first of ``stem_1``, ``stem_2``, ... that is not taken."""
    candidates = chain([stem], (f"{stem}_{i}" for i in count(1)))
    return next(name for name in candidates if name not in taken)


def python_name(name: str, taken: Container[str]) -> str:
    """Return the identifier of a variable in Python: ``lambda`` is ``lambda_``."""
    while keyword.iskeyword(name) or name in RESERVED or name in taken:
        name += "_"
    return name


def snake_case(name: str) -> str:
    """Return ``square`` for ``Square``, ``my_gate`` for ``MyGate``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return spaced.lower()


def class_name(name: str) -> str:
    """Return ``MyGate`` for ``my_gate``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def check_layer_name(name: str) -> str:
    """Return the name of file and function for a layer.

    Raises:
        OptionError: If it is no identifier, or one that the file needs for itself.
    """
    if not IDENTIFIER.fullmatch(name) or name.startswith("_") or len(name) > 100:
        hint = "Use letters, digits and '_', a letter first, for example my_gate."
        raise OptionError(f"the name {name[:100]!r} is not an identifier", hint, option="name")
    snake = snake_case(name)
    parts = {snake, class_name(snake), class_name(snake) + "Function"}
    if keyword.iskeyword(snake) or parts & RESERVED or keyword.iskeyword(class_name(snake)):
        hint = f"Use for example {snake}_layer."
        raise OptionError(f"the name {name!r} means something else in the emitted file", hint, option="name")
    return snake


def derived_name(root: Value, text: str) -> str:
    """Return a readable name for a formula without one, the same on every machine."""
    words = _words(root)
    slug = re.sub(r"_+", "_", re.sub(r"[^a-z0-9]+", "_", words.lower())).strip("_")
    if not slug or not slug[0].isalpha():
        slug = f"f_{slug}"
    if len(slug) > LONGEST:
        head = slug[:LONGEST].rsplit("_", 1)[0]
        slug = f"{head}_{sha256(text.encode()).hexdigest()[:6]}"
    taken = {class_name(slug), class_name(slug) + "Function", slug} & RESERVED
    return f"{slug}_layer" if taken or keyword.iskeyword(slug) else slug


def _words(root: Value) -> str:
    def visit(node: Value, args: list[str]) -> str:
        if node.op == "number":
            return str(node.datum).replace(".", "p").replace("/", "_over_").replace("-", "minus_")
        if node.op == "name":
            return snake_case(str(node.datum))
        if node.op == "pow" and node.args[1].op == "number" and node.args[1].datum in _SUFFIXES:
            return f"{args[0]}_{_SUFFIXES[int(node.args[1].datum)]}"  # type: ignore[arg-type]
        if node.op in _WORDS and len(args) == 2:
            return _clipped(f"{args[0]}_{_WORDS[node.op]}_{args[1]}")
        return _clipped("_".join([_WORDS.get(node.op, node.op), *args]))

    return fold([root], visit)[root]


def _clipped(text: str) -> str:
    """Bound a slug, so that a deep formula costs no more than its size."""
    return text[: 4 * LONGEST]
