"""Formulas in LaTeX, read into fngen's own language; what paper leaves open is refused."""

from __future__ import annotations

import re

from fngen.errors import FormulaError
from fngen.functions import NAMES
from fngen.language.build import FORMS
from fngen.language.latex_groups import Groups
from fngen.language.latex_names import ATOM, Part, Piece
from fngen.language.latex_tokens import (
    APPLIED,
    BRACKETS,
    FENCES,
    FRACTIONS,
    FUNCTIONS,
    LETTERS,
    LOGIC,
    RELATIONS,
    RESERVED,
    TIMES,
    words,
)
from fngen.language.stack import POWER, PRODUCT, SIGN, SUM
from fngen.language.tokens import Token
from fngen.language.transcript import Transcript, Writer

_UNNAMED = frozenset("fghFGH")
"""Letters that are functions on paper if a bracket follows."""
_ENDS = frozenset({r"\right", r"\rvert", r"\rfloor", r"\rceil", r"\}", r"\rbrace", r"\\", *RELATIONS, *LOGIC})


def transcribe_latex(text: str) -> Transcript:
    """Return a formula in fngen's own language, and where each part of it stands in the LaTeX.

    Raises:
        FormulaError: If it is no formula, or could be read in two ways.
    """
    return _Reader(text).read()


class _Reader(Groups):
    def read(self) -> Transcript:
        writer = Writer(self.text)
        while self.token.kind != "end":
            if self.token.text == r"\\":
                self.take()
                continue
            if writer.pieces:
                writer.put("; ", self.token.start, self.token.start)
            for piece, start, end in self.statement():
                writer.put(piece, start, end)
            if self.token.kind != "end" and self.token.text != r"\\":
                raise self.unexpected()
        if not writer.pieces:
            hint = r"Write for example \frac{1}{1 + e^{-x}}."
            raise FormulaError("the formula is empty", hint, self.text, 0, len(self.text))
        self.check_applied()
        return writer.transcript()

    def statement(self) -> tuple[Piece, ...]:
        """Read ``name = expression``, or an expression."""
        first = self.sum()
        if self.token.text == "&" and self.following.text == "=":
            self.take()
        if self.token.text != "=":
            return first.pieces
        sign = self.take()
        if first.kind != "letter":
            raise self.error("only a name is assigned to", sign, "Write y = ..., or the right side alone.")
        return (*first.pieces, (" = ", sign.start, sign.end), *self.sum().pieces)

    def sum(self) -> Part:
        """Read a sum of products."""
        with self.deeper():
            return self.signed()

    def signed(self) -> Part:
        """Read products with signs before them."""
        sign = self.take() if self.token.text in ("+", "-") else None
        term = self.product()
        minus = sign is not None and sign.text == "-"
        parts = [("-", sign.start, sign.end)] if sign is not None and minus else []
        parts += term.inside(PRODUCT)
        binding = min(SIGN, max(term.binding, PRODUCT)) if minus else term.binding
        kind = "" if sign else term.kind
        while self.token.text in ("+", "-"):
            if binding < SUM:
                raise self.unexpected()
            sign = self.take()
            parts += [(f" {sign.text} ", sign.start, sign.end), *self.product().inside(PRODUCT)]
            binding, kind = SUM, ""
        return Part(tuple(parts), binding, kind)

    def product(self) -> Part:
        """Read factors, with or without signs between them."""
        first = last = self.factor()
        over = False
        parts: list[Piece] = []
        while (sign := TIMES.get(self.token.text, "")) or self.begins_factor():
            at = self.take() if sign else Token("", "", self.token.start, self.token.start + 1)
            minus = self.take() if sign and self.token.text == "-" else None
            following = self.factor()
            if not sign:
                self.check_neighbours(last, following, over)
            over = sign == "/"
            parts.append((sign or "*", at.start, at.end))
            parts += [("-", minus.start, minus.end)] if minus else []
            parts += following.inside(POWER if minus else SIGN)
            last = following
        return Part((*first.inside(PRODUCT), *parts), PRODUCT) if parts else first

    def check_neighbours(self, last: Part, following: Part, over: bool) -> None:
        """Refuse what stands side by side and could mean something else than a product."""
        at = Token("", "", following.start, following.end)
        if over:
            raise self.error("what is divided by?", at, r"Write \frac{a}{b} c, or \frac{a}{b c}.")
        if following.kind == "number":
            hint = r"An exponent of several digits stands in braces, x^{23}; a product is 2x or x \cdot 2."
            raise self.error("a number stands after a factor", at, hint)
        if last.kind == "number" and following.kind == "numbers":
            hint = r"Write 2 + \frac{1}{2}, or 2 \cdot \frac{1}{2}."
            raise self.error("a mixed number, or a product?", at, hint)
        for part in (last, following):
            if part.kind == "group":
                raise self.unprinted(part)

    def unprinted(self, part: Part) -> FormulaError:
        """Return the error of braces that group what a reader sees apart."""
        at = Token("", "", part.start, part.end)
        return self.error("the braces around this are not printed", at, r"Brackets are \left( \right).")

    def begins_factor(self) -> bool:
        """Say whether another factor follows, without a sign."""
        token = self.token
        if token.kind == "words":
            return words(token) not in RESERVED
        if token.kind == "environment":
            return token.text.startswith(r"\begin")
        if token.text in _ENDS or token.text == self.closing:
            return False
        return token.kind in ("letter", "number", "command") or token.text in ("(", "[", "{", *FENCES)

    def factor(self) -> Part:
        """Read a base and its exponent."""
        base = self.base()
        if self.token.text != "^":
            return base
        sign = self.take()
        if base.kind == "function":
            hint = r"Write \sin^2(x), or \left(\sin(x)\right)^2."
            raise self.error("a power of the function, or of its argument?", sign, hint)
        if base.kind in ("fraction", "numbers"):
            hint = r"Write \left(\frac{a}{b}\right)^2, or \frac{a^2}{b}."
            raise self.error("a power of the fraction, or of what is over it?", sign, hint)
        if base.kind == "group":
            raise self.unprinted(base)
        exponent = self.argument()
        if self.token.text == "^":
            raise self.error("this is a second exponent", self.token, "Write x^{y^z}.")
        if base.kind == "euler":
            return self.applied("exp", Token("", "", base.start, base.end), [exponent])
        power = ("**", sign.start, sign.end)
        return Part((*base.inside(ATOM), power, *exponent.inside(ATOM)), POWER)

    def base(self) -> Part:
        """Read what an exponent may stand at."""
        token = self.token
        if token.kind == "number":
            self.take()
            return Part(((token.text, token.start, token.end),), ATOM, "number")
        if token.text in FRACTIONS:
            return self.fraction()
        if token.text == r"\sqrt":
            return self.root()
        if token.text == r"\overline":
            return self.applied("conj", self.take(), [self.argument()])
        if token.text in FENCES and token.text != self.closing:
            return self.fence()
        if token.kind == "environment":
            return self.cases()
        if token.text in BRACKETS or token.text in (r"\left", "{"):
            return self.bracket()
        return self.function() if self.is_function() else self.letter()

    def is_function(self) -> bool:
        """Say whether the next token is the name of a function; of letters, in front of its bracket."""
        token, bracket = self.token, re.compile(r"\s*(?:\\left)?\s*\(").match(self.text, self.token.end)
        if token.text in FUNCTIONS:
            return True
        if token.kind == "words":
            known = words(token) in NAMES or words(token) in FORMS
            return token.text.startswith(r"\operator") or bool(bracket and known)
        if bracket and token.text in APPLIED:
            self.applications.setdefault(LETTERS[token.text], token)
            return True
        if bracket and token.text in _UNNAMED:
            hint = rf"A product is {token.text} \cdot (...), a function of fngen's \operatorname{{erf}}(x)."
            raise self.error(f"{token.text!r} is no function", token, hint)
        return False

    def function(self) -> Part:
        """Read the application of a function."""
        token = self.take()
        name = words(token) if token.kind == "words" else APPLIED.get(token.text) or FUNCTIONS[token.text]
        base, power = self.script("_"), self.script("^")
        if power is not None and power.text.startswith("-"):
            hint = r"Write \arcsin(x), or \left(\sin(x)\right)^{-1}."
            raise self.error(
                "the inverse function, or one over it?", Token("", "", power.start, power.end), hint
            )
        args = self.arguments(token)
        if base is not None and name != "log":
            raise self.error(f"{token.text} has no index", token, r"\log has one: \log_2 x.")
        if base is not None and base.text in ("2", "10"):
            name, base = f"log{base.text}", None
        found = self.applied(name, token, args if base is None else [*args, base], "function")
        if power is None:
            return found
        return Part((*found.pieces, ("**", power.start, power.end), *power.inside(ATOM)), POWER, "function")

    def script(self, sign: str) -> Part | None:
        """Read an index or exponent of a function, if it has one."""
        if self.token.text != sign:
            return None
        self.take()
        return self.argument()

    def arguments(self, token: Token) -> list[Part]:
        """Read arguments in brackets, or without them the factors that follow."""
        if self.token.text in BRACKETS or (self.token.text == r"\left" and self.following.text in BRACKETS):
            return self.listed()
        if not self.begins_factor():
            raise self.error(f"{token.text} has no argument", token, rf"Write {token.text}(x).")
        if self.is_function():
            with self.deeper():
                return [self.function()]
        part = self.factor()
        parts, binding = list(part.pieces), part.binding
        while self.token.kind in ("letter", "number") or self.token.text in (*LETTERS, *FRACTIONS, r"\sqrt"):
            if self.is_function():
                break
            last, part = part, self.factor()
            self.check_neighbours(last, part, over=False)
            parts += [("*", part.start, part.start + 1), *part.inside(SIGN)]
            binding = PRODUCT
        if self.token.text in ("/", r"\div", "(", "[", r"\left", "{"):
            hint = rf"Write {token.text}\left(...\right)."
            raise self.error(f"how far does the argument of {token.text} go?", self.token, hint)
        return [Part(tuple(parts), binding)]
