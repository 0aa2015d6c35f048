"""LaTeX to tokens, and what its commands stand for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fngen.errors import FormulaError
from fngen.functions import NAMES
from fngen.greek import GREEK
from fngen.greek import LETTERS as GREEK_SIGNS
from fngen.language.characters import hint, shown
from fngen.language.tokens import Token

MAX_LENGTH = 20_000
"""Characters of a formula in LaTeX."""

_TOKEN = re.compile(
    r"(?P<space>\s+|~|\\[,;:!> ]"
    r"|\\(?:quad|qquad|displaystyle|textstyle|limits|nolimits|[bB]ig{1,2}[lrm]?)(?![A-Za-z]))"
    r"|(?P<words>\\(?:text|mathrm|textrm|operatorname\*?|mathit|textit|mathbf|boldsymbol|mathsf)"
    r"\s*\{(?P<inside>[^{}\\$]*)\})"
    r"|(?P<environment>\\(?:begin|end)\s*\{[^{}]*\})"
    r"|(?P<command>\\(?:[A-Za-z]+|.))|(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<letter>[A-Za-z])|(?P<sign>.)",
    re.ASCII | re.DOTALL,
)
_SIGNS = frozenset("{}()[]^_+-*/=<>,|&")
_HINTS = {
    "'": "A prime is no part of a name: write for example x_{p}. A derivative is fngen's to find.",
    "!": r"A factorial is \Gamma(n + 1).",
    "%": "A formula has no comments.",
    ";": r"Statements are separated by \\.",
    "$": "Only around the whole formula.",
    ".": "A number has digits before its point.",
}
_AROUND = (("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)"))

RELATIONS = {
    "<": "<",
    ">": ">",
    "=": "==",
    r"\lt": "<",
    r"\gt": ">",
    **dict.fromkeys((r"\le", r"\leq", r"\leqslant"), "<="),
    **dict.fromkeys((r"\ge", r"\geq", r"\geqslant"), ">="),
    **dict.fromkeys((r"\ne", r"\neq"), "!="),
}
LOGIC = {r"\land": "and", r"\wedge": "and", "and": "and", r"\lor": "or", r"\vee": "or", "or": "or"}
NEGATION = frozenset({r"\lnot", r"\neg", "not"})
OTHERWISE = frozenset({"otherwise", "else"})
CONDITIONAL = frozenset({"if", "for", "when"})
RESERVED = frozenset({"and", "or", "not"}) | OTHERWISE | CONDITIONAL
"""Words that are no names."""
TIMES = {"*": "*", r"\cdot": "*", r"\times": "*", r"\ast": "*", "/": "/", r"\div": "/"}
LETTERS = {rf"\{name}": name for name in GREEK} | {
    **{rf"\var{name}": name for name in ("epsilon", "theta", "phi", "rho")},
    r"\varkappa": "kappa",
    r"\hbar": "hbar",
    r"\ell": "ell",
}
FUNCTIONS = {
    rf"\{name}": name
    for name in (
        *("sin", "cos", "tan", "sec", "csc", "cot", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"),
        *("coth", "exp", "log", "ln", "max", "min", "arg"),
    )
}
"""TeX's own; others are written \\operatorname{erf}."""
APPLIED = {row.latex: row.name for rows in NAMES.values() for row in rows if row.latex in LETTERS}
"""Letters that are the name of a function in front of a bracket."""
BRACKETS = {"(": ")", "[": "]", r"\{": r"\}", r"\lbrace": r"\rbrace"}
FENCES = {
    "|": ("|", "abs"),
    r"\vert": (r"\vert", "abs"),
    r"\lvert": (r"\rvert", "abs"),
    r"\lfloor": (r"\rfloor", "floor"),
    r"\lceil": (r"\rceil", "ceil"),
}
ACCENTS = {rf"\{accent}": accent for accent in ("hat", "tilde", "bar", "vec")}
FRACTIONS = frozenset({r"\frac", r"\dfrac", r"\tfrac", r"\cfrac"})


def latex_tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a formula in LaTeX, the last of kind ``end``; words keep their command.

    Raises:
        FormulaError: If it is too long, or has a character that no formula has.
    """
    if len(text) > MAX_LENGTH:
        message = f"the formula has {len(text):,} characters; the limit for LaTeX is {MAX_LENGTH:,}"
        raise FormulaError(message, text=text, start=MAX_LENGTH, end=MAX_LENGTH + 1)
    start, end = _inside(text)
    for match in _TOKEN.finditer(text, start, end):
        kind, found = str(match.lastgroup), match.group()
        kind = "words" if match.group("words") else kind
        if kind == "sign" and found not in _SIGNS:
            note = _HINTS.get(found) or ("" if found.isascii() else hint(found))
            note = rf"Write \{GREEK_SIGNS[found]}." if found in GREEK_SIGNS else note
            raise FormulaError(f"unexpected character {shown(found)}", note, text, match.start(), match.end())
        if kind != "space":
            yield Token(kind, found, match.start(), match.end())
    yield Token("end", "", end, end + 1)


def words(token: Token) -> str:
    """Return what stands in the braces of words or an environment."""
    return token.text[token.text.index("{") + 1 : -1].strip()


def _inside(text: str) -> tuple[int, int]:
    """Return where the formula begins and ends between the signs of mathematics around it."""
    stripped = text.strip()
    start = text.index(stripped) if stripped else 0
    for left, right in _AROUND:
        if stripped.startswith(left) and stripped.endswith(right) and len(stripped) >= len(left + right):
            return start + len(left), start + len(stripped) - len(right)
    return start, start + len(stripped)
