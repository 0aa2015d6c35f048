"""The stack machine under the parser: operators that wait for operands, open brackets."""

from __future__ import annotations

from dataclasses import dataclass, field

from fngen.errors import FormulaError
from fngen.functions.reductions import REDUCTIONS
from fngen.ir import COMPARISONS
from fngen.language.build import Builder
from fngen.language.operand import Call, Operand
from fngen.language.tokens import Token

TERNARY, OR, AND, NOT, COMPARE, SUM, PRODUCT, SIGN, POWER = range(9)
BINARY = {
    "or": OR, "and": AND, "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT,
    "//": PRODUCT, "%": PRODUCT, "**": POWER, **dict.fromkeys(COMPARISONS.values(), COMPARE),
}  # fmt: skip
PREFIX = {"-": SIGN, "+": SIGN, "not": NOT}
_OPS = {"+": "add", "-": "sub", "*": "mul", "/": "div", "**": "pow", "%": "remainder", "//": "floor_divide"}
_OPS |= {symbol: op for op, symbol in COMPARISONS.items()}
_OPENING = ("(", "call")


@dataclass(slots=True)
class Pending:
    """An operator that waits for its right side, or an open bracket."""

    kind: str  # binary, prefix, if, else, ( or call
    token: Token
    binding: int = -1
    args: list[Operand] = field(default_factory=list)
    keywords: dict[str, Operand] = field(default_factory=dict)
    keyword: str = ""

    @property
    def may_close(self) -> bool:
        """Whether it may close without another argument: f(), f(x,) and (-1,) do."""
        return not self.keyword and (self.kind == "call" or (self.kind == "(" and bool(self.args)))


class Stack:
    """Operands read so far, and the operators and brackets that wait for more."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.operands: list[Operand] = []
        self.pending: list[Pending] = []
        self.brackets = 0

    def error(self, message: str, token: Token, hint: str = "") -> FormulaError:
        """Return the error that marks a token."""
        return self.builder.error(message, token.start, max(token.end, token.start + 1), hint)

    def open(self, bracket: Pending) -> bool:
        """Open a bracket; an operand is wanted next."""
        self.pending.append(bracket)
        self.brackets += 1
        return True

    def close(self, token: Token, empty: bool = False) -> bool:
        """Close a bracket: its contents become an operand."""
        bracket = self.pending[-1] if empty else self.collect()
        if bracket is None:
            raise self.error("')' closes nothing", token)
        self.pending.pop()
        self.brackets -= 1
        if bracket.kind == "call":
            self.operands.append(
                self.builder.call(Call(bracket.token, tuple(bracket.args), bracket.keywords, token.end))
            )
            return False
        first = bracket.args[0]
        pair = tuple(bracket.args) if len(bracket.args) > 1 or empty else first.pair
        self.operands.append(Operand(first.node, bracket.token.start, token.end, pair=pair))
        return False

    def comma(self, token: Token) -> bool:
        """End an argument; another is wanted next."""
        bracket = self.collect()
        if bracket is None or (bracket.kind == "(" and not self.is_list(bracket)):
            raise self.error("a comma separates the arguments of a function, nothing else", token)
        return True

    def is_list(self, bracket: Pending) -> bool:
        """Say whether a bracket may hold several: a case of Piecewise, the dimensions of a reduction."""
        outer = self.pending[-2] if len(self.pending) > 1 else None
        if outer is None or outer.kind != "call":
            return False
        return len(bracket.args) == 1 if outer.token.text == "Piecewise" else outer.token.text in REDUCTIONS

    def collect(self) -> Pending | None:
        """Finish the operand before a comma or bracket; return the bracket it is in."""
        self.reduce(TERNARY)
        bracket = self.pending[-1] if self.pending else None
        if bracket is not None:
            operand = self.operands.pop()
            if not bracket.keyword and bracket.keywords:
                raise self.builder.error("arguments with a name come last", operand.start, operand.end)
            if bracket.keyword in bracket.keywords:
                raise self.builder.error(f"{bracket.keyword!r} is given twice", operand.start, operand.end)
            if bracket.keyword:
                bracket.keywords[bracket.keyword] = operand
            else:
                bracket.args.append(operand)
            bracket.keyword = ""
        return bracket

    def else_(self, token: Token) -> bool:
        """Turn the waiting ``if`` into a choice."""
        self.reduce(TERNARY + 1)
        while self.pending and self.pending[-1].kind == "else":
            self.apply(self.pending.pop())
        if not self.pending or self.pending[-1].kind != "if":
            raise self.error("'else' without 'if'", token, "Write a if condition else b.")
        self.pending[-1] = Pending("else", token, TERNARY)
        return True

    def reduce(self, binding: int) -> None:
        """Apply the waiting operators that bind at least as tightly as ``binding``."""
        while self.pending and self.pending[-1].binding >= binding:
            self.apply(self.pending.pop())

    def apply(self, pending: Pending) -> None:
        """Apply one operator to the operands on the stack."""
        build, text, right = self.builder, pending.token.text, self.operands.pop()
        if pending.kind == "if":
            raise self.error("'if' without 'else'", pending.token, "Write a if condition else b.")
        if pending.kind == "else":
            condition, chosen = self.operands.pop(), self.operands.pop()
            self.operands.append(build.where(condition, chosen, right))
            return
        if pending.kind == "prefix":
            start = pending.token.start
            if text == "not":
                result = build.logic("not", (right,), start, right.end)
            elif text == "-":
                result = build.arithmetic("neg", (right,), start, right.end)
            else:
                result = Operand(build.as_number(right).node, start, right.end)
            self.operands.append(result)
            return
        self.operands.append(self.binary(text, self.operands.pop(), right))

    def binary(self, text: str, left: Operand, right: Operand) -> Operand:
        """Return the operand that a binary operator makes of two."""
        build, start, end = self.builder, left.start, right.end
        if text in ("and", "or"):
            return build.logic(text, (left, right), start, end)
        if text in COMPARISONS.values():
            return build.compare(_OPS[text], left, right)
        return build.arithmetic(_OPS[text], (left, right), start, end)

    def never_closed(self) -> FormulaError:
        """Return the error that marks the innermost open bracket."""
        bracket = next(p for p in reversed(self.pending) if p.kind in _OPENING)
        at = self.builder.text.index("(", bracket.token.start)
        return self.builder.error("'(' was never closed", at, at + 1)
