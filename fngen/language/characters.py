"""The characters beyond plain text that a formula may have, and what to say of the others."""

from __future__ import annotations

import re
import string
import unicodedata
from itertools import pairwise

from fngen.errors import FormulaError
from fngen.greek import LETTERS
from fngen.language.tokens import Token

SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+", strict=True))
DIGITS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
INDICES = dict(zip("ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", "aehijklmnoprstuvx", strict=True))
ROOTS = {"√": "sqrt", "∛": "cbrt"}
OPERATORS = {
    **dict.fromkeys(("\N{MIDDLE DOT}", "\N{DOT OPERATOR}", "\N{BULLET OPERATOR}"), "*"),
    **dict.fromkeys(("\N{MULTIPLICATION SIGN}", "\N{ASTERISK OPERATOR}"), "*"),
    **dict.fromkeys(("\N{DIVISION SIGN}", "\N{DIVISION SLASH}", "\N{FRACTION SLASH}"), "/"),
    "\N{MINUS SIGN}": "-",
    **dict.fromkeys(("≤", "⩽"), "<="),
    **dict.fromkeys(("≥", "⩾"), ">="),
    "≠": "!=",
}
WORDS = {"\N{LOGICAL AND}": " and ", "\N{LOGICAL OR}": " or ", "\N{NOT SIGN}": " not "}
_HINTS = {
    "∞": "Infinity is no number of a formula; only norm(x, p=inf) knows it.",
    "\N{N-ARY SUMMATION}": "Write sum(x, dim=-1).",
    "\N{N-ARY PRODUCT}": "Write prod(x, dim=-1).",
    **dict.fromkeys(("\N{EN DASH}", "\N{EM DASH}"), "This is a typographic dash; a minus is '-'."),
}
GREEK = "".join(LETTERS)
_ALPHABET = string.ascii_letters + GREEK
INDEX = f"[{''.join(DIGITS)}]+|[{''.join(INDICES)}]+"
_PARTS = re.compile(rf"[{GREEK}]|[A-Za-z]+|\d+|_+|{INDEX}", re.ASCII)


def identifier_of(token: Token, text: str) -> str:
    """Return a name in plain text; a Greek letter that touches another letter is refused."""
    parts = _PARTS.findall(token.text)
    for first, second in pairwise(parts):
        if (first in LETTERS and second[0] in _ALPHABET) or (second in LETTERS and first[-1] != "_"):
            hint = f"Write {first}·{second} for a product, {first}_{second} for one name."
            message = f"{token.text!r} could be a product or one name"
            raise FormulaError(message, hint, text, token.start, token.end)
    spelled = (LETTERS.get(part) or _index(part) for part in parts)
    return "".join(spelled)


def _index(part: str) -> str:
    """Return a subscript as the end of a name, any other part as it is."""
    if part[0] in DIGITS:
        return "".join(map(DIGITS.__getitem__, part))
    return "_" + "".join(map(INDICES.__getitem__, part)) if part[0] in INDICES else part


def shown(character: str) -> str:
    """Return a character as a message shows it: one that cannot be seen by its number."""
    plain = character.isprintable() and not unicodedata.combining(character)
    return repr(character) if plain else ascii(character)


def hint(character: str) -> str:
    """Say what a character is, and what to write in its place."""
    called = unicodedata.name(character, "a character without a name")
    usual = unicodedata.normalize("NFKC", character)
    category = unicodedata.category(character)
    if character in _HINTS:
        return _HINTS[character]
    if category[0] in "CZ":
        return f"This is {called}; it cannot be seen. Remove it."
    if category[0] == "M":
        return f"This is {called}; a name has no accents. Write for example x_hat."
    if unicodedata.decomposition(character).startswith("<super>"):
        return f"An exponent that is no integer is written x**{usual}."
    if usual != character and usual.isascii():
        return f"This is {called}; write {usual!r}."
    if "\N{FRACTION SLASH}" in usual:
        return "Write ({}).".format(usual.replace("\N{FRACTION SLASH}", "/"))
    letters = "Names are made of the letters a to z, Greek letters, digits and '_'. "
    return f"{letters if character.isalpha() else ''}This is {called}."
