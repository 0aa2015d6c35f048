"""What encloses in LaTeX: brackets, fractions, roots, bars, cases, and the arguments of functions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from fngen.language.latex_names import ATOM, Names, Part, Piece
from fngen.language.latex_tokens import (
    BRACKETS,
    CONDITIONAL,
    FENCES,
    FRACTIONS,
    LETTERS,
    LOGIC,
    NEGATION,
    OTHERWISE,
    RELATIONS,
    words,
)
from fngen.language.stack import AND, COMPARE, NOT, OR, PRODUCT, SIGN, SUM
from fngen.language.tokens import Token


class Groups(Names, ABC):
    """Reads what encloses; what is enclosed is for the class below."""

    @abstractmethod
    def sum(self) -> Part:
        """Read a sum of products."""

    def enclosed(self, closing: str) -> Part:
        """Read a sum up to what closes it, which is left."""
        before, self.closing = self.closing, closing
        found = self.sum()
        self.closing = before
        return found

    def argument(self) -> Part:
        """Read what TeX takes as an argument: a group in braces, or one sign."""
        token = self.token
        if token.text == "{":
            self.take()
            found = self.enclosed("}")
            self.expect("}", token)
            return found
        if token.kind == "number":
            digit = self.digit()
            return Part(((digit.text, digit.start, digit.end),), ATOM, "number")
        if token.text in FRACTIONS:
            return self.fraction()
        if token.text == r"\sqrt":
            return self.root()
        if token.kind == "letter" or token.text in LETTERS:
            self.take()
            before, self.tokens[self.position] = self.token, Token("end", "", token.end, token.end + 1)
            self.position -= 1
            found = self.letter()
            self.tokens[self.position] = before
            return found
        raise self.error("an argument stands in braces", token, r"Write x^{-1}, \frac{a}{b}.")

    def applied(self, name: str, token: Token, args: Iterable[Part], kind: str = "") -> Part:
        """Return a call."""
        pieces: list[Piece] = [(f"{name}(", token.start, token.end)]
        for i, arg in enumerate(args):
            pieces += [(", ", arg.start, arg.start + 1)] if i else []
            pieces += arg.pieces
        end = max(pieces[-1][2], self.tokens[self.position - 1].end)
        return Part((*pieces, (")", end - 1, end)), ATOM, kind)

    def fraction(self) -> Part:
        """Read a fraction; a derivative is none."""
        token = self.take()
        with self.deeper():
            over, under = self.argument(), self.argument()
        if over.text.split("*")[0] == "d" and under.text.startswith("d*"):
            at = Token("", "", token.start, self.tokens[self.position - 1].end)
            raise self.error("this is a derivative", at, "fngen derives; it takes the formula alone.")
        sign = ("/", token.start, token.end)
        numbers = over.kind == under.kind == "number"
        pieces = (*over.inside(PRODUCT), sign, *under.inside(SIGN))
        return Part(pieces, PRODUCT, "numbers" if numbers else "fraction", self.tokens[self.position - 1].end)

    def root(self) -> Part:
        """Read a square root, a cube root, or one of another even degree."""
        token, degree = self.take(), 2
        if self.token.text == "[":
            opening = self.take()
            number = self.take()
            self.expect("]", opening)
            degree = int(number.text) if number.text.isdigit() else 0
            if degree != 3 and (degree < 2 or degree % 2):
                hint = "Of positive x it is x^{1/5}."
                raise self.error("roots are of degree 2, 3 or even", number, hint)
        with self.deeper():
            of = self.argument()
        if degree in (2, 3):
            return self.applied("sqrt" if degree == 2 else "cbrt", token, [of])
        power = (f"**(1/{degree})", token.start, token.end)
        return Part((*of.inside(ATOM), power), ATOM - 1)

    def fence(self) -> Part:
        """Read what stands between bars."""
        opening = self.take()
        closing, name = FENCES[opening.text]
        inner = self.enclosed(closing)
        self.expect(closing, opening)
        return self.applied(name, opening, [inner])

    def bracket(self) -> Part:
        """Read brackets of any size, or braces."""
        left = self.take() if self.token.text == r"\left" else None
        opening = self.take()
        if opening.text not in BRACKETS and opening.text not in FENCES and opening.text != "{":
            raise self.error(f"'{opening.text}' is no bracket", opening)
        closing, name = FENCES.get(opening.text) or (BRACKETS.get(opening.text, "}"), "")
        inner = self.enclosed(r"\right" if left else closing)
        if left:
            self.expect(r"\right", left)
        self.expect(closing, opening)
        if name:
            return self.applied(name, opening, [inner])
        return Part(
            inner.pieces, inner.binding, "group" if opening.text == "{" and inner.binding < PRODUCT else ""
        )

    def listed(self) -> list[Part]:
        """Read the arguments of a function in their brackets."""
        left = self.take() if self.token.text == r"\left" else None
        opening = self.take()
        closing = BRACKETS[opening.text]
        before, self.closing = self.closing, r"\right" if left else closing
        found = [self.condition()]
        while self.token.text == ",":
            self.take()
            found.append(self.condition())
        self.closing = before
        if left:
            self.expect(r"\right", left)
        self.expect(closing, opening)
        return found

    def cases(self) -> Part:
        """Read a choice of cases."""
        opening = self.take()
        if words(opening) != "cases":
            raise self.error(f"the environment {words(opening)!r} is not known", opening, "There is cases.")
        before, self.closing = self.closing, ""
        found: list[tuple[Part, Part | None]] = []
        while not self.token.text.startswith(r"\end"):
            if found and found[-1][1] is None:
                raise self.error("a case after the one for all the rest", self.token)
            found.append(self.case(opening))
        self.closing = before
        self.expect(r"\end{cases}", opening)
        return self.chosen(opening, found)

    def case(self, opening: Token) -> tuple[Part, Part | None]:
        """Read a value and its condition; None stands for all the rest."""
        value = self.sum()
        if self.token.text == ",":
            self.take()
        self.expect("&", opening)
        rest = False
        if self.token.kind == "words" and words(self.token) in (*CONDITIONAL, *OTHERWISE):
            rest = words(self.take()) in OTHERWISE
        condition = None if rest else self.condition()
        if self.token.text == r"\\":
            self.take()
        return value, condition

    def chosen(self, opening: Token, found: list[tuple[Part, Part | None]]) -> Part:
        """Return cases as a choice; without one for all the rest they are a Piecewise."""
        if not found or found[0][1] is None:
            raise self.error("cases have a value and a condition each", opening, r"Write x & x > 0 \\ ...")
        if found[-1][1] is not None:
            pairs = [self.applied("", opening, [a, c]) for a, c in found if c is not None]
            return self.applied("Piecewise", opening, pairs)
        result = found[-1][0]
        for value, condition in reversed(found[:-1]):
            assert condition is not None
            result = self.applied("where", opening, [condition, value, result])
        return result

    def condition(self) -> Part:
        """Read comparisons that are joined, or a number."""
        return self.joined("or", OR, lambda: self.joined("and", AND, self.comparison))

    def joined(self, word: str, binding: int, read: Callable[[], Part]) -> Part:
        """Read what is joined by one word."""
        found = read()
        pieces = list(found.pieces)
        while LOGIC.get(self.logical()) == word:
            token = self.take()
            following = read()
            pieces = [
                *Part(tuple(pieces), found.binding).inside(binding),
                (f" {word} ", token.start, token.end),
            ]
            pieces += following.inside(binding + 1)
            found = Part(tuple(pieces), binding)
        return found

    def logical(self) -> str:
        """Return the next token if it may be a word of logic."""
        return words(self.token) if self.token.kind == "words" else self.token.text

    def comparison(self) -> Part:
        """Read a comparison, chained or negated, or a sum."""
        if self.logical() in NEGATION:
            token = self.take()
            with self.deeper():
                inner = self.comparison()
            return Part((("not ", token.start, token.end), *inner.inside(NOT)), NOT)
        if self.token.text == "(" and self.holds_relation():
            opening = self.take()
            inner = self.condition()
            self.expect(")", opening)
            return inner
        first = self.sum()
        pieces, binding = list(first.pieces), first.binding
        while self.token.text in RELATIONS:
            token = self.take()
            pieces.append((f" {RELATIONS[token.text]} ", token.start, token.end))
            pieces += self.sum().inside(SUM)
            binding = COMPARE
        return Part(tuple(pieces), binding, first.kind if binding != COMPARE else "")

    def holds_relation(self) -> bool:
        """Say whether the bracket that begins here holds a comparison, and not an argument of it."""
        depth = 0
        for token in self.tokens[self.position :]:
            depth += (token.text == "(") - (token.text == ")")
            if depth == 1 and token.text in RELATIONS:
                return True
            if depth == 0 or token.kind == "end":
                break
        return False
