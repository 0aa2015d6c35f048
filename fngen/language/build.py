"""Checked construction of graph nodes: kinds, arities, and the size of constants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from fngen import numeric
from fngen.errors import FormulaError
from fngen.functions import NAMES, TABLE, Function, complex
from fngen.functions.reductions import REDUCTIONS
from fngen.ir import Value, value
from fngen.language.domain import is_real, without_meaning
from fngen.language.operand import Call, Operand
from fngen.language.reductions import reduction, signature
from fngen.suggest import closest

UNKNOWN_HINTS = {
    "factorial": "Write gamma(n + 1).",
    "Heavyside": "Did you mean 'Heaviside'?",
    "abs2": "Write x**2.",
    "besselj": "Orders 0 and 1 are j0(x) and j1(x).",
    "bessely": "Orders 0 and 1 are y0(x) and y1(x).",
    "besseli": "Orders 0 and 1 are i0(x) and i1(x).",
    "besselk": "Orders 0 and 1 are k0(x) and k1(x).",
}


@dataclass
class Builder:
    """Makes nodes out of operands; refuses what has no meaning, with its place."""

    text: str
    rule: bool = False
    """Reading a rule of the table: an integer parameter may be a variable there."""
    complex: bool = False
    """The inputs are complex numbers."""
    places: dict[Value, tuple[int, int]] = field(default_factory=dict)
    constants: dict[Value, numeric.Real] = field(default_factory=dict)
    reals: set[Value] = field(default_factory=set)
    """What is real for complex inputs."""

    def error(self, message: str, start: int, end: int, hint: str = "") -> FormulaError:
        """Return the error that marks ``text[start:end]``."""
        return FormulaError(message, hint, self.text, start, end)

    def make(self, op: str, args: tuple[Operand, ...], start: int, end: int, datum: object = None) -> Operand:
        """Return the node of an operator, its constant value checked if it has one."""
        node = value(op, *(a.node for a in args), datum=datum)  # type: ignore[arg-type]
        if not self.rule:
            self._check_domain(node, start, end)
        self.places.setdefault(node, (start, end))
        if (
            node not in self.constants
            and op not in ("name", "nan")
            and all(a.node in self.constants for a in args)
        ):
            try:
                self.constants[node] = numeric.apply(node, [self.constants[a.node] for a in args])
            except numeric.NotReal as error:
                raise self.error(f"this constant is {error}", start, end) from None
        return Operand(node, start, end)

    def _check_domain(self, node: Value, start: int, end: int) -> None:
        if is_real(node, self.reals):
            self.reals.add(node)
        if fault := without_meaning(node, self.reals, complex=self.complex):
            message, hint = fault
            raise self.error(message, start, end, hint)

    def arithmetic(self, op: str, args: tuple[Operand, ...], start: int, end: int) -> Operand:
        """Return an operator or function of numbers."""
        if op in ("div", "remainder", "floor_divide") and self.constants.get(args[1].node) == 0:
            raise self.error("this divides by zero", args[1].start, args[1].end)
        if op == "pow" and self.constants.get(args[0].node) == 0 and args[1].node not in self.constants:
            raise self.error(
                "a power of zero is a constant", start, end, "Write where(x == 0, 1, 0) for 0**x."
            )
        return self.make(op, tuple(map(self.as_number, args)), start, end)

    def as_number(self, operand: Operand) -> Operand:
        """Return ``operand`` if it is a number."""
        self._no_pair(operand)
        if operand.is_condition:
            hint = "A condition becomes a number by where(condition, 1, 0)."
            raise self.error("a number is needed here, not a condition", operand.start, operand.end, hint)
        return operand

    def as_condition(self, operand: Operand) -> Operand:
        """Return ``operand`` if it is a condition."""
        self._no_pair(operand)
        if not operand.is_condition:
            hint = "A condition is a comparison, for example x > 0."
            raise self.error("a condition is needed here, not a number", operand.start, operand.end, hint)
        if operand.node in self.constants:
            always = str(self.constants[operand.node]).lower()
            raise self.error(
                f"this condition is always {always}: no input is in it", operand.start, operand.end
            )
        return operand

    def _no_pair(self, operand: Operand) -> None:
        if operand.pair:
            hint = "Brackets hold a case of Piecewise((value, condition), ...), or dim=(-2, -1)."
            raise self.error("a list has no meaning here", operand.start, operand.end, hint)

    def logic(self, op: str, args: tuple[Operand, ...], start: int, end: int) -> Operand:
        """Return a condition made of conditions."""
        return self.make(op, tuple(map(self.as_condition, args)), start, end)

    def compare(self, op: str, left: Operand, right: Operand) -> Operand:
        """Return a comparison; after another one, both must hold."""
        first = left if left.chain is None else Operand(left.chain, left.start, left.end)
        step = self.arithmetic(op, (first, right), left.start, right.end)
        if left.chain is not None:
            step = self.logic("and", (left, step), left.start, right.end)
        return Operand(step.node, step.start, step.end, chain=right.node)

    def where(self, condition: Operand, chosen: Operand, other: Operand) -> Operand:
        """Return the choice between two numbers."""
        args = (self.as_condition(condition), self.as_number(chosen), self.as_number(other))
        return self.make("where", args, min(a.start for a in args), max(a.end for a in args))

    def call(self, call: Call) -> Operand:
        """Return what a call stands for."""
        return FORMS.get(call.token.text, Builder._function)(self, call)

    def _where(self, call: Call) -> Operand:
        return self.where(*self._arguments(call, ("condition", "x", "y"), {}))

    def _extremum(self, call: Call) -> Operand:
        if call.token.text in REDUCTIONS and (len(call.args) == 1 or "dim" in call.keywords):
            return reduction(self, call)
        if len(call.args) < 2 or call.keywords:
            hint = "Over a dimension, write max(x, dim=-1)."
            message = f"{call.token.text} takes two arguments or more"
            raise self.error(message, call.token.start, call.end, hint)
        op = "maximum" if "max" in call.token.text.lower() else "minimum"
        result = self.as_number(call.args[0])
        for arg in (a for a in call.args[1:] if a.node is not result.node):
            result = self.arithmetic(op, (result, arg), call.token.start, call.end)
        return result

    def _clamp(self, call: Call) -> Operand:
        if len(call.args) == 1 and len(call.keywords) == 1 and set(call.keywords) <= {"min", "max"}:
            ((side, bound),) = call.keywords.items()
            return self.arithmetic(f"clamp_{side}", (call.args[0], bound), call.token.start, call.end)
        return self._function(call)

    def _piecewise(self, call: Call) -> Operand:
        if not call.args or call.keywords or any(len(a.pair) != 2 for a in call.args):
            hint = "Write Piecewise((value, condition), ..., (value, True))."
            raise self.error("Piecewise takes pairs", call.token.start, call.end, hint)
        result = Operand(value("nan"), call.token.start, call.end)
        for chosen, condition in (case.pair for case in reversed(call.args)):
            everywhere = self.constants.get(condition.node) is True
            result = self.as_number(chosen) if everywhere else self.where(condition, chosen, result)
        return result

    def _function(self, call: Call) -> Operand:
        name, (start, end) = call.token.text, (call.token.start, call.token.end)
        rows = NAMES.get(name, ()) or ((TABLE[name],) if self.rule and name in TABLE else ())
        if not rows:
            raise self.error(f"unknown function {name!r}", start, end, _unknown_hint(name))
        count = len(call.args) + len(call.keywords)
        fitting = [r for r in rows if count in r.arities]
        # The sgn of complex numbers is a row of its own.
        preferred = [r for r in fitting if self.complex and r.name in complex.ALLOWED]
        row = next(iter(preferred or fitting), None)
        if row is None:
            raise self.error(f"{_usage(rows)}, not {count}", start, call.end, _signatures(name, rows))
        args = self._arguments(call, row.parameters, row.defaults)
        args = tuple(
            self._integer(row, p, a) if p in row.integers else a
            for p, a in zip(row.parameters, args, strict=True)
        )
        return self.arithmetic(row.name, args, start, call.end)

    def _integer(self, row: Function, parameter: str, operand: Operand) -> Operand:
        if self.rule:
            return operand
        n = self.constants.get(operand.node)
        if not isinstance(n, Fraction) or n.denominator != 1 or not 0 <= n <= 100:
            message = f"{parameter!r} of {row.name} must be an integer constant from 0 to 100"
            raise self.error(message, operand.start, operand.end)
        return Operand(value("number", datum=n), operand.start, operand.end)

    def _arguments(
        self, call: Call, parameters: tuple[str, ...], defaults: dict[str, str]
    ) -> tuple[Operand, ...]:
        """Return one operand a parameter: by position, by keyword, or its default."""
        from fngen.language.parse import parse_expression

        bound: dict[str, Operand] = dict(zip(parameters, call.args, strict=False))
        for keyword, operand in call.keywords.items():
            if keyword not in parameters or keyword in bound:
                hint = f"It takes {', '.join(parameters)}."
                raise self.error(
                    f"{call.token.text} got an unexpected argument {keyword!r}",
                    operand.start,
                    operand.end,
                    hint,
                )
            bound[keyword] = operand
        for parameter, text in defaults.items():
            if parameter not in bound:
                node = parse_expression(text)
                self.constants[node] = Fraction(text)
                bound[parameter] = Operand(node, call.token.start, call.end)
        if len(call.args) > len(parameters) or len(bound) < len(parameters):
            wanted, given = len(parameters), len(call.args) + len(call.keywords)
            message = f"{call.token.text} takes {wanted} argument{'s' * (wanted != 1)}, not {given}"
            raise self.error(
                message,
                call.token.start,
                call.end,
                f"Write {call.token.text}({', '.join(parameters)}).",
            )
        return tuple(bound[p] for p in parameters)


FORMS: dict[str, Callable[[Builder, Call], Operand]] = {
    "where": Builder._where,
    "Piecewise": Builder._piecewise,
    "clamp": Builder._clamp,
    "clip": Builder._clamp,
    **dict.fromkeys(("max", "min", "Max", "Min", "maximum", "minimum"), Builder._extremum),
    **{text: reduction for text in REDUCTIONS if text not in ("max", "min")},
}
"""The calls that are no plain function of numbers."""

FORM_SIGNATURES = (
    ("where(condition, x, y)", "also `x if condition else y`"),
    ("Piecewise((x, condition), ..., (y, True))", "undefined where no condition holds"),
    ("max(x, y, ...)", "also Max, maximum; a tie shares the gradient"),
    ("min(x, y, ...)", "also Min, minimum; a tie shares the gradient"),
    *((signature(text), row.note) for text, row in REDUCTIONS.items()),
)


def _usage(rows: tuple[Function, ...]) -> str:
    counts = sorted({n for row in rows for n in row.arities})
    return f"{rows[0].name} takes {' or '.join(map(str, counts))} argument{'s' * (counts != [1])}"


def _signatures(name: str, rows: tuple[Function, ...]) -> str:
    return "Write " + " or ".join(f"{name}({row.signature})" for row in rows) + "."


def _unknown_hint(name: str) -> str:
    if name in UNKNOWN_HINTS:
        return UNKNOWN_HINTS[name]
    close = closest(name, [*NAMES, *FORMS])
    meant = f"Did you mean {close!r}? " if close else f"A product is written with '*': {name}*(...). "
    return meant + "`fngen functions` lists them all."
