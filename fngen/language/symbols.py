"""Formulas as scientists type them: Greek letters, superscripts, roots and bars become plain text.

The rest of fngen, and all that it writes, sees the plain text only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from fngen.errors import FormulaError
from fngen.functions import NAMES
from fngen.greek import LETTERS
from fngen.language.characters import (
    GREEK,
    INDEX,
    OPERATORS,
    ROOTS,
    SUPERSCRIPTS,
    WORDS,
    hint,
    identifier_of,
    shown,
)
from fngen.language.tokens import MAX_LENGTH, Token, too_long
from fngen.language.transcript import Transcript, Writer, as_typed

_TOKEN = re.compile(
    rf"(?P<space>[ \t\r\n]+)|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    rf"|(?P<name>[A-Za-z_{GREEK}][A-Za-z0-9_{GREEK}]*(?:{INDEX})?)"
    rf"|(?P<power>[{''.join(SUPERSCRIPTS)}]+)|(?P<operator>\*\*|//|<=|>=|==|!=|.)",
    re.ASCII | re.DOTALL,
)
_KEYWORDS = frozenset({"and", "or", "not", "if", "else"})
_APPLIED = {row.latex: name for name, rows in NAMES.items() for row in rows if name == row.name}
_BEFORE_OPERAND = frozenset("(,;=+-*/%<>") | {"**", "//", "<=", ">=", "==", "!="}


def transcribe(text: str) -> Transcript:
    """Return a formula in plain text, and where each part of it was typed.

    Raises:
        FormulaError: If a character has no meaning, or could be read in two ways.
    """
    if text.isascii() and "|" not in text:
        return as_typed(text)
    if len(text) > MAX_LENGTH:
        raise too_long(text)
    return _Scribe(Writer(text)).written()


def plain(name: str) -> str:
    """Return a name in plain text, or what is none as it is."""
    try:
        return transcribe(name).text
    except FormulaError:
        return name


@dataclass
class _Scribe:
    """Goes through a text token by token; knows where an operand may begin."""

    writer: Writer
    ended: bool = False
    """Whether the last token ended an operand."""
    after: str = ""
    """What the last token was, if no power may follow: a root or a power."""
    roots: int = 0
    """Roots that wait for what they are of."""
    called: str = ""
    """The function whose name was the last token."""
    open: list[tuple[Token, int]] = field(default_factory=list)
    """Open brackets and bars, and how many brackets their end closes."""
    spelled: dict[str, Token] = field(default_factory=dict)

    def written(self) -> Transcript:
        text = self.writer.typed
        for match in _TOKEN.finditer(text):
            token = Token(str(match.lastgroup), match.group(), match.start(), match.end())
            if token.kind == "space":
                self.put(token.text, token)
                continue
            if self.roots and token.kind not in ("number", "name") and token.text not in ("(", "|", *ROOTS):
                raise self.error("a root takes a number, a name or a bracket", token, "Write √(x + 1).")
            getattr(self, token.kind)(token)
        if self.roots:
            raise self.error("nothing stands under the root", Token("", "", len(text) - 1, len(text)))
        self.no_bar_open()
        return self.writer.transcript()

    def put(self, piece: str, token: Token) -> None:
        self.writer.put(piece, token.start, token.end)

    def error(self, message: str, token: Token, hint: str = "") -> FormulaError:
        return FormulaError(message, hint, self.writer.typed, token.start, token.end)

    def end(self, after: str = "") -> None:
        """Note that an operand has ended."""
        self.ended, self.after, self.called = True, after, ""

    def simple(self, piece: str, token: Token) -> None:
        """Write a number or name, and end the roots that it stands under."""
        self.put(piece, token)
        self.put(")" * self.roots, token)
        self.end("root" if self.roots else "")
        self.roots = 0

    def number(self, token: Token) -> None:
        self.simple(token.text, token)

    def name(self, token: Token) -> None:
        if token.text in _KEYWORDS and not self.roots:
            self.put(token.text, token)
            self.ended, self.after = False, ""
            return
        call = re.compile(r"\s*\(").match(self.writer.typed, token.end)
        if call:
            self.called = self.function(token)
            self.put(self.called, token)
            return
        self.simple(self.identifier(token), token)

    def identifier(self, token: Token) -> str:
        """Return the plain name; two spellings of one name are refused."""
        name = identifier_of(token, self.writer.typed)
        first = self.spelled.setdefault(name, token)
        if first.text != token.text and name != "pi":
            hint = f"Spell it in one way: in plain text both are {name!r}."
            raise self.error(f"{token.text!r} and {first.text!r} are the same name", token, hint)
        return name

    def function(self, token: Token) -> str:
        """Return the function that a name in front of a bracket stands for."""
        name = identifier_of(token, self.writer.typed)
        if token.text not in LETTERS:
            return name
        if (command := rf"\{name}") not in _APPLIED:
            raise self.error(f"{token.text!r} is no function", token, f"A product is {token.text}·(...).")
        return _APPLIED[command]

    def power(self, token: Token) -> None:
        exponent = "".join(map(SUPERSCRIPTS.__getitem__, token.text))
        if not re.fullmatch(r"[-+]?\d+", exponent):
            raise self.error("this exponent is no integer", token, "Write for example x**(1/2).")
        if not self.ended:
            raise self.error(
                "nothing stands before this exponent", token, "A fraction in it is written x**(1/2)."
            )
        self.no_power(token)
        last = re.search(r"(\w+)\s*$", self.writer.typed[: token.start], re.ASCII)
        bracket = re.compile(r"\s*\(").match(self.writer.typed, token.end)
        if bracket and last and last.group(1) in NAMES:
            hint = f"Write {last.group(1)}(x){token.text}."
            raise self.error("the power of a function stands after its argument", token, hint)
        self.put(f"**{exponent.lstrip('+')}", token)
        self.end("power")

    def no_power(self, token: Token) -> None:
        """Refuse a power of a root, or of a power: it could be read in two ways."""
        if self.after:
            hint = "Write √(x**2) or (√x)**2." if self.after == "root" else "Write (x²)**3 or x**(2**3)."
            raise self.error(f"a power of a {self.after} needs brackets", token, hint)

    def operator(self, token: Token) -> None:
        text = token.text
        if text in ROOTS:
            self.put(f"{ROOTS[text]}(", token)
            self.roots, self.ended = self.roots + 1, False
        elif text == "(":
            closes = self.roots + bool(self.called) or 1
            self.bracket("(" if self.called or not self.roots else "", token, closes)
        elif text == ")":
            self.close(token)
        elif text == "|":
            self.bar(token)
        elif text in OPERATORS or text in WORDS:
            self.put(OPERATORS.get(text) or WORDS[text], token)
            self.ended, self.after = False, ""
        elif not text.isascii() or not text.isprintable():
            raise self.error(f"unexpected character {shown(text)}", token, hint(text))
        else:
            self.ascii_operator(token)

    def ascii_operator(self, token: Token) -> None:
        """Write an operator of the language itself."""
        if token.text == "**":
            self.no_power(token)
        if token.text == ";":
            self.no_bar_open()
        self.put(token.text, token)
        self.ended, self.after, self.called = token.text not in _BEFORE_OPERAND, "", ""

    def bracket(self, piece: str, token: Token, closes: int) -> None:
        """Open a bracket that ends with so many."""
        self.put(piece, token)
        self.open.append((Token("root" if self.roots else "", token.text, token.start, token.end), closes))
        self.ended, self.roots, self.called, self.after = False, 0, "", ""

    def close(self, token: Token) -> None:
        """Close a bracket, and the roots around it."""
        if self.open and self.open[-1][0].text == "|":
            self.no_bar_open()
        opening, closes = self.open.pop() if self.open else (token, 1)
        self.put(")" * closes, token)
        self.end(opening.kind if opening.kind == "root" else "")

    def bar(self, token: Token) -> None:
        """Open an absolute value where an operand may begin, close it where one has ended."""
        if not self.ended:
            self.put("abs(", token)
            self.bracket("", token, self.roots + 1)
        elif self.open and self.open[-1][0].text == "|":
            opening, closes = self.open.pop()
            self.put(")" * closes, token)
            self.end(opening.kind if opening.kind == "root" else "")
        else:
            hint = "Conditions are joined with 'or'; an absolute value is |x| or abs(x)."
            raise self.error("unexpected character '|'", token, hint)

    def no_bar_open(self) -> None:
        """Refuse a bar that the bracket or statement around it ends without closing."""
        bars = [opening for opening, _ in self.open if opening.text == "|"]
        if bars:
            raise self.error("'|' was never closed", bars[-1], "An absolute value is |x| or abs(x).")
