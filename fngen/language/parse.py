"""Formula text to a graph: operator precedence, with a stack of its own.

Neither Python's parser nor a recursive one survives a sum of thousands of terms, and a
general parser library costs a fifth of the time that a whole `fngen` run may take.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from fngen.errors import FormulaError
from fngen.ir import Value
from fngen.language.build import Builder
from fngen.language.hints import missing_operator
from fngen.language.operand import Operand
from fngen.language.stack import BINARY, POWER, PREFIX, TERNARY, Pending, Stack
from fngen.language.tokens import Token, tokens

MAX_DEPTH = 1_500
"""Brackets, or operators that wait for their right side, inside each other."""
MAX_LITERAL = 400
"""Characters of a number: float64 reaches to 309 digits."""
_KEYWORDS = frozenset({"and", "or", "not", "if", "else"})


@dataclass(frozen=True)
class Statement:
    """``name = value``; the name is empty for a bare expression."""

    name: str
    value: Value
    start: int
    end: int


@dataclass(frozen=True)
class Reading:
    """What a text says: its statements, and where each node stands in the text."""

    text: str
    statements: tuple[Statement, ...]
    places: dict[Value, tuple[int, int]]

    def error(self, message: str, node: Value, hint: str = "") -> FormulaError:
        """Return the error that marks the first place of ``node``."""
        start, end = self.places.get(node, (0, len(self.text)))
        return FormulaError(message, hint, self.text, start, end)


def parse(text: str, *, complex: bool = False) -> Reading:
    """Read statements, split by ``;`` or new lines; ``complex`` says what the inputs are.

    Raises:
        FormulaError: If the text is no formula; it marks the place.
    """
    return _Parser(Builder(text, complex=complex)).read()


def parse_expression(text: str, *, rule: bool = False) -> Value:
    """Return the graph of a single expression, or of a rule of the function table."""
    return _Parser(Builder(text, rule)).read().statements[0].value


class _Parser(Stack):
    def __init__(self, builder: Builder) -> None:
        super().__init__(builder)
        self.stream = tokens(builder.text)
        self.ahead: deque[Token] = deque()
        self.last = Token("end", "", 0, 0)

    def read(self) -> Reading:
        statements = []
        while (token := self.peek()).kind != "end":
            if token.kind == "newline" or token.text == ";":
                self.skip()
                continue
            statements.append(self.statement())
        if not statements:
            text = self.builder.text
            raise self.builder.error("the formula is empty", 0, len(text), "Write for example x1**3 + x2**2.")
        return Reading(self.builder.text, tuple(statements), self.builder.places)

    def fetch(self) -> Token:
        self.last = next(self.stream, self.last)
        return self.last

    def peek(self, ahead: int = 0) -> Token:
        while len(self.ahead) <= ahead:
            self.ahead.append(self.fetch())
        return self.ahead[ahead]

    def skip(self, count: int = 1) -> None:
        for _ in range(count):
            self.take()

    def take(self) -> Token:
        return self.ahead.popleft() if self.ahead else self.fetch()

    def next(self) -> Token:
        token = self.take()
        while self.brackets and token.kind == "newline":
            token = self.take()
        return token

    def statement(self) -> Statement:
        first, name = self.peek(), ""
        if first.kind == "name" and self.peek(1).text == "=":
            name = self.assignable(first)
            self.skip(2)
        result = self.expression()
        return Statement(name, result.node, first.start, first.end if name else result.end)

    def assignable(self, token: Token) -> str:
        if token.text in _KEYWORDS or token.text in ("True", "False", "pi"):
            raise self.error(f"{token.text!r} cannot be assigned to", token)
        return token.text

    def expression(self) -> Operand:
        """Read up to the end of the statement: operand, operator, operand, ..."""
        want_operand = True
        while True:
            token = self.next()
            if len(self.pending) > MAX_DEPTH:
                raise self.error(
                    f"the formula nests deeper than {MAX_DEPTH:,}",
                    token,
                    "Name its parts: s = ...; y = ...",
                )
            if want_operand:
                want_operand = self.operand(token)
            elif token.kind in ("end", "newline") or token.text == ";":
                return self.finish()
            else:
                want_operand = self.operator(token)

    def operand(self, token: Token) -> bool:
        """Take a token where an operand may begin; return whether one is still wanted."""
        if token.text in PREFIX:
            self.pending.append(Pending("prefix", token, PREFIX[token.text]))
            return True
        if token.text == "(":
            return self.open(Pending("(", token))
        if token.kind == "number":
            self.operands.append(self.number(token))
            return False
        if token.kind == "name" and token.text not in _KEYWORDS:
            return self.name(token)
        if token.text == ")" and self.pending and self.pending[-1].may_close:
            return self.close(token, empty=True)
        raise self.missing_operand(token)

    def missing_operand(self, token: Token) -> FormulaError:
        if token.kind in ("end", "newline") or token.text in (";", ")", ","):
            if self.pending and self.pending[-1].kind in ("binary", "prefix"):
                before = self.pending[-1].token
                return self.error(f"{before.text!r} has no right side", before)
            if token.kind == "end" and self.brackets:
                return self.never_closed()
        if token.text == ")" and self.pending and self.pending[-1].kind == "(" and not self.pending[-1].args:
            whole = "Without dim= a reduction is over all elements." if self.is_list(self.pending[-1]) else ""
            return self.builder.error(
                "there is nothing in these brackets", self.pending[-1].token.start, token.end, whole
            )
        shown = {"end": "the end", "newline": "the end of the line"}.get(token.kind, repr(token.text))
        return self.error(f"a number, name or bracket is missing before {shown}", token)

    def number(self, token: Token) -> Operand:
        if len(token.text) > MAX_LITERAL:
            raise self.error("this number has digits beyond float64", token, f"At most {MAX_LITERAL}.")
        # "2." keeps its point: it must read back as the decimal that it is.
        written = Decimal(token.text + "0" if token.text.endswith(".") else token.text)
        datum = Fraction(token.text) if token.text.isdigit() else written
        if written and not 0 < float(written) < float("inf"):
            raise self.error(
                "this number is beyond float64",
                token,
                "The largest is 1.8e308, the smallest 4.9e-324.",
            )
        return self.builder.make("number", (), token.start, token.end, datum)

    def name(self, token: Token) -> bool:
        call = self.peek(0).text == "("
        if call:
            self.skip()
            return self.open(Pending("call", token))
        outer = self.pending[-1] if self.pending else None
        if self.peek().text == "=" and outer is not None and outer.kind == "call" and not outer.keyword:
            self.skip()
            outer.keyword = token.text
            return True
        if token.text.startswith("__"):
            raise self.error("names that begin with two underscores belong to Python", token)
        if token.text == "_":
            raise self.error("a name needs a letter", token)
        words = {"pi": "pi", "True": "true", "False": "false"} | ({"nan": "nan"} if self.builder.rule else {})
        op = words.get(token.text, "name")
        datum = token.text if op == "name" else None
        self.operands.append(self.builder.make(op, (), token.start, token.end, datum))
        return False

    def operator(self, token: Token) -> bool:
        """Take a token where an operand has ended; return whether another is wanted."""
        text = token.text
        if text in BINARY:
            binding = BINARY[text]
            # A power binds to the right: 2**3**2 is 2**(3**2).
            self.reduce(binding + (binding == POWER))
            self.pending.append(Pending("binary", token, binding))
            return True
        if text == "if":
            self.reduce(TERNARY + 1)
            self.pending.append(Pending("if", token, TERNARY))
            return True
        if text == "else":
            return self.else_(token)
        if text == ",":
            return self.comma(token)
        if text == ")":
            return self.close(token)
        raise self.unexpected(token)

    def unexpected(self, token: Token) -> FormulaError:
        if token.text == "=":
            return self.error(
                "'=' assigns a name at the start of a statement",
                token,
                "A comparison is written with '=='.",
            )
        before = self.operands[-1]
        left = self.builder.text[before.start : before.end][-20:]
        right = token.text
        if right == "(":
            short = re.compile(r"\([^()]{0,20}\)").match(self.builder.text, token.start)
            right = short.group() if short else "(...)"
        operand = token.kind != "operator" or token.text == "("
        hint = missing_operator(self.builder.text, left, token.start, right) if operand else ""
        return self.error(f"an operator is missing before {token.text!r}", token, hint)

    def finish(self) -> Operand:
        self.reduce(TERNARY)
        if self.pending:
            raise self.never_closed()
        result = self.operands.pop()
        return self.builder.as_number(result)
