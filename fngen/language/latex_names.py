"""Tokens of LaTeX one after the other, and the names of variables among them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from fngen.errors import FormulaError
from fngen.functions import NAMES
from fngen.language.latex_tokens import ACCENTS, FUNCTIONS, LETTERS, RESERVED, latex_tokens, words
from fngen.language.stack import POWER
from fngen.language.tokens import Token
from fngen.naming import IDENTIFIER

ATOM = POWER + 1
_DEEPEST = 50
"""Groups and functions inside each other."""
Piece = tuple[str, int, int]
"""Text of fngen's, and the place in the LaTeX that it stands for."""
_HINTS = {
    **dict.fromkeys((r"\sum", r"\prod"), "Over a dimension it is sum(x, dim=-1), in plain text."),
    **dict.fromkeys((r"\partial", r"\nabla", r"\int", r"\lim"), "fngen derives; it takes the formula alone."),
    r"\infty": "Infinity is no number of a formula.",
    **dict.fromkeys((r"\pm", r"\mp"), "Write two formulas."),
    **dict.fromkeys((r"\dot", r"\ddot"), "A derivative is no name: write for example x_{t}."),
    **dict.fromkeys((r"\lVert", r"\|"), "A norm over a dimension is norm(x, dim=-1), in plain text."),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the formula, and how tightly its outermost operator binds."""

    pieces: tuple[Piece, ...]
    binding: int = ATOM
    kind: str = ""
    """number, letter, euler, function, fraction, numbers (a fraction of them) or group, for neighbours."""
    until: int = 0
    """Where it ends, if a bracket does that stands for nothing."""

    @property
    def start(self) -> int:
        """Where it begins."""
        return min(start for _, start, _ in self.pieces)

    @property
    def end(self) -> int:
        """Where it ends."""
        return max(self.until, *(end for _, _, end in self.pieces))

    @property
    def text(self) -> str:
        """What it says."""
        return "".join(piece for piece, _, _ in self.pieces)

    def inside(self, binding: int) -> tuple[Piece, ...]:
        """Return the pieces as an operand, in brackets if they need them."""
        if self.binding >= binding:
            return self.pieces
        return (("(", self.start, self.start + 1), *self.pieces, (")", self.end - 1, self.end))


class Names:
    """The tokens that are left, and the names read so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(latex_tokens(text))
        self.position = 0
        self.depth = 0
        self.closing = ""
        """What closes the innermost bracket."""
        self.spelled: dict[str, Token] = {}
        self.applications: dict[str, Token] = {}
        """Letters that were read as functions."""

    @property
    def token(self) -> Token:
        """The next token."""
        return self.tokens[self.position]

    @property
    def following(self) -> Token:
        """The token after the next."""
        return self.tokens[min(self.position + 1, len(self.tokens) - 1)]

    def take(self) -> Token:
        """Return the next token and go on."""
        token = self.token
        self.position += token.kind != "end"
        return token

    def expect(self, text: str, opening: Token) -> Token:
        """Take what closes a bracket."""
        if self.token.kind == "end":
            raise self.error(f"'{opening.text}' was never closed", opening)
        if self.token.text != text:
            raise self.unexpected()
        return self.take()

    def error(self, message: str, token: Token, hint: str = "") -> FormulaError:
        """Return the error that marks a token."""
        return FormulaError(message, hint, self.text, token.start, max(token.end, token.start + 1))

    def unexpected(self) -> FormulaError:
        """Return the error of a token that has no meaning where it stands."""
        token = self.token
        hint = _HINTS.get(token.text, "")
        if token.text[1:] in NAMES and not hint:
            hint = rf"Write \operatorname{{{token.text[1:]}}}(x)."
        if token.kind == "end":
            return self.error("a number, name or bracket is missing at the end", token)
        if token.text == "|":
            hint = r"Bars inside bars are written \left| \right|."
        return self.error(f"'{token.text}' has no meaning here", token, hint)

    def digit(self) -> Token:
        """Take a number, of several digits the first alone, as TeX does without braces."""
        token = self.take()
        if len(token.text) == 1:
            return token
        self.position -= 1
        self.tokens[self.position] = replace(token, text=token.text[1:], start=token.start + 1)
        return replace(token, text=token.text[0], end=token.start + 1)

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Count what is inside each other; refuse what is too deep."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.error(f"the formula nests deeper than {_DEEPEST}", self.token, "Name its parts.")
        yield
        self.depth -= 1

    def letter(self) -> Part:
        """Read a variable with its index."""
        token = self.token
        stem = self.stem()
        end = self.tokens[self.position - 1].end
        if stem == "e" and self.token.text != "_":
            if self.token.text != "^":
                raise self.error(
                    "'e' has a meaning before an exponent only", token, r"Write \exp(1), or give it an index."
                )
            return Part((("e", token.start, end),), ATOM, "euler")
        if stem == "pi" and self.token.text != "_":
            return Part((("pi", token.start, end),))
        name, index = stem, ""
        if self.token.text == "_":
            self.take()
            index = self.index()
            end = self.tokens[self.position - 1].end
            name = stem + (index if index.isdigit() else f"_{index}")
        key = replace(token, kind=f"{token.text} {stem} {index}", end=end)
        first = self.spelled.setdefault(name, key)
        if first.kind != key.kind:
            mine, other = (self.text[t.start : t.end] for t in (key, first))
            message = f"'{mine}' and '{other}' are the same name"
            raise self.error(message, key, f"In plain text both are {name!r}: spell it in one way.")
        return Part(((name, token.start, end),), ATOM, "letter")

    def stem(self) -> str:
        """Read a variable without its index."""
        token = self.token
        if token.text in ACCENTS:
            self.take()
            braced = self.token.text == "{"
            opening = self.take() if braced else token
            with self.deeper():
                stem = self.stem()
            if braced:
                self.expect("}", opening)
            return f"{stem}_{ACCENTS[token.text]}"
        if token.kind == "letter" or token.text in LETTERS:
            self.take()
            return LETTERS.get(token.text, token.text)
        if token.kind != "words" or words(token) in RESERVED:
            raise self.unexpected()
        if not IDENTIFIER.fullmatch(words(token)):
            raise self.error(f"'{words(token)}' is no name", token, "A name has letters, digits and '_'.")
        return words(self.take())

    def index(self) -> str:
        """Read the index of a name."""
        opening = self.token
        if opening.text != "{":
            return self.index_word(self.digit() if opening.kind == "number" else self.take())
        self.take()
        found = []
        while self.token.text != "}" and self.token.kind != "end":
            found.append(self.index_word(self.take()))
        self.expect("}", opening)
        index = "".join(found).strip("_")
        if not index:
            raise self.error("an index is missing", opening)
        return index

    def index_word(self, token: Token) -> str:
        """Return a part of an index as a part of a name."""
        if token.kind in ("letter", "number") and "." not in token.text:
            return token.text
        if token.text == ",":
            return "_"
        text = words(token) if token.kind == "words" else token.text[1:] if token.text in FUNCTIONS else ""
        text = text or LETTERS.get(token.text, "")
        if not text.replace("_", "").isalnum():
            raise self.error("an index is made of letters and digits", token, r"Write x_{max} or x_1.")
        return text

    def check_applied(self) -> None:
        """Refuse a letter that is a function at one place and a variable at another."""
        for name, token in self.applications.items():
            if name in self.spelled:
                hint = rf"Write {token.text} \cdot (...) for a product."
                raise self.error(f"'{token.text}' is a function here, and a name elsewhere", token, hint)
