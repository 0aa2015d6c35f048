"""What a formula's text declares beside its statements: parameters, constants, inputs, a name.

    # Swish with a slope that is learned
    param beta = 1.0
    x*sigmoid(beta*x)

A declaration is a word and what the command's option of that name takes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

from fngen.errors import OptionError
from fngen.language.symbols import plain
from fngen.naming import IDENTIFIER

_DECLARATION = re.compile(r"(param|const|grad|inputs?|outputs?|name) +(?=[^\W\d])(.+)", re.DOTALL)
_PARAMETER = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\[\s*(\S+?)\s*\]\s*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LARGEST = 1023
"""The bits of an int that surely is a float."""
CHANNELS, LAST = 1, -1
"""The dimensions of ``w[C]`` and ``w[-1]``."""
_ALONG = {"C": CHANNELS, "-1": LAST}


@dataclass(frozen=True, slots=True)
class Param:
    """A learnable parameter: its name, its first value as it was typed, and the dimension it runs along."""

    name: str
    init: str
    dim: int | None = None

    @property
    def key(self) -> str:
        """Its name as a request spells it."""
        spelled = {dim: text for text, dim in _ALONG.items()}
        return self.name if self.dim is None else f"{self.name}[{spelled[self.dim]}]"


@dataclass(frozen=True, slots=True)
class Const:
    """A number with a default that module and function can override."""

    name: str
    default: str


def split(text: str) -> tuple[str, dict[str, Any]]:
    """Return the statements of a text, and its declarations as keywords of a request.

    Comments are for texts of several lines; a ``;`` ends a statement as a line end does.
    """
    if "\n" in text.strip():
        text = without_comments(text)
    statements: list[str] = []
    keywords: dict[str, Any] = {}
    for statement in one_line(text).split("; "):
        match = _DECLARATION.fullmatch(statement)
        if match is None:
            statements.append(statement)
            continue
        word, rest = match.groups()
        if word in ("param", "const", "grad"):
            key, separator, number = rest.partition("=")
            if not separator:
                raise OptionError(f"{rest.strip()!r} has no value", f"Write for example {word} k = 1.0", word)
            found = keywords.setdefault(f"{word}s", {})
            if key.strip() in found:
                raise OptionError(f"{key.strip()!r} is declared twice", option=word)
            found[key.strip()] = number.strip()
        else:
            key = word if word == "name" else f"{word.rstrip('s')}s"
            if key in keywords:
                raise OptionError(f"{key!r} is declared twice", option=key)
            keywords[key] = rest.strip()
    return "; ".join(statements), keywords


def without_comments(text: str) -> str:
    """Return the text of a formula file without its remarks."""
    return re.sub(r"#.*", "", text)


def one_line(text: str) -> str:
    """Return a formula with ``;`` for its line ends; inside brackets a line end is a space."""
    depth, out = 0, []
    for character in text.strip():
        depth += (character == "(") - (character == ")")
        if character == "\n" and depth <= 0:
            character = ";"
        out.append(" " if character in "\n\r\t" else character)
    statements = (part.strip() for part in "".join(out).split(";"))
    return "; ".join(filter(None, statements))


def params(requested: Mapping[str, object] | Iterable[str]) -> tuple[Param, ...]:
    """Return checked parameters.

    Raises:
        OptionError: If one is no name, has no value, or runs along no dimension.
    """
    found = []
    for key, init in _pairs(requested, "param"):
        match = _PARAMETER.fullmatch(plain(key))
        if match is None:
            hint = "Write for example --param beta=1.0 or --param 'w[C]=0.25'."
            raise OptionError(f"the parameter {key[:60]!r} is not a name", hint, option="params")
        label, along = match.groups()
        found.append(Param(_name(label, "parameter"), _number(init, label), _dimension(label, along)))
    return _distinct(found, "parameter")


def consts(requested: Mapping[str, object] | Iterable[str]) -> tuple[Const, ...]:
    """Return checked constants.

    Raises:
        OptionError: If one is no name, or has no value.
    """
    pairs = _pairs(requested, "const")
    return _distinct([Const(_name(plain(key), "constant"), _number(x, key)) for key, x in pairs], "constant")


def grads(requested: Mapping[str, object] | Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the inputs whose gradient is declared, and its formula.

    Raises:
        OptionError: If one has no formula, or is given twice.
    """
    found = [(plain(label), formula) for label, formula in _pairs(requested, "grad")]
    for label, formula in found:
        if not isinstance(formula, str) or not formula.strip():
            raise OptionError(
                f"the gradient of {label!r} is no formula", "Write for example --grad x=1.", option="grad"
            )
        if [other for other, _ in found].count(label) > 1:
            raise OptionError(f"the gradient of {label!r} is given twice", option="grad")
    return tuple((label, one_line(str(formula))) for label, formula in found)


def _pairs(requested: Mapping[str, object] | Iterable[str], option: str) -> list[tuple[str, object]]:
    if isinstance(requested, Mapping) and all(isinstance(key, str) for key in requested):
        return [(key.strip(), value) for key, value in requested.items()]
    texts = [requested] if isinstance(requested, str) else requested
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        hint = f'Write for example {option}s={{"k": 1.0}}.'
        raise OptionError(f"{option}s are names with their values", hint, option=option)
    pairs = [text.partition("=") for text in texts]
    for key, separator, _ in pairs:
        if not separator:
            hint = f"Write for example --{option} {key.strip() or 'k'}=1.0."
            raise OptionError(f"{key.strip()!r} has no value", hint, option=option)
    return [(key.strip(), value.strip()) for key, _, value in pairs]


def _name(text: str, kind: str) -> str:
    if not IDENTIFIER.fullmatch(text) or text.startswith("__") or text == "pi":
        raise OptionError(f"the {kind} {text[:60]!r} is not a name", "Call it for example k.", option=kind)
    return text


def _number(x: object, label: str) -> str:
    """Return a number as it was typed."""
    if isinstance(x, int) and x.bit_length() > _LARGEST:
        raise OptionError(f"the value of {label!r} is larger than any float", option=label)
    if isinstance(x, Real | Decimal) and not isinstance(x, bool):
        text = str(x) if isinstance(x, int) else repr(float(x))
    else:
        text = x.strip() if isinstance(x, str) else ""
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        hint = "Write for example 1.0."
        raise OptionError(f"the value of {label!r} is not a number: {str(x)[:60]}", hint, option=label)
    return text


def _dimension(label: str, along: str | None) -> int | None:
    if along is None:
        return None
    if along not in _ALONG:
        hint = f"{label}[C] is one number a channel (dimension 1), {label}[-1] one along the last dimension."
        raise OptionError(f"{label}[{along[:20]}] is no parameter", hint, option="params")
    return _ALONG[along]


def _distinct(found: list[Any], kind: str) -> tuple[Any, ...]:
    labels = [x.name for x in found]
    for label in labels:
        if labels.count(label) > 1:
            raise OptionError(f"the {kind} {label!r} is given twice", option=kind)
    return tuple(found)
