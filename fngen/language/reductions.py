"""Calls of reductions: ``sum(x**2, dim=-1)``, ``norm(x, p=1, dim=(-2, -1), keepdim=True)``."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from fngen.functions.reductions import REDUCTIONS, Reduction
from fngen.ir import Over, value
from fngen.language.operand import Call, Operand

if TYPE_CHECKING:
    from fngen.language.build import Builder

_MOST = 64
"""Dimensions that a tensor may have."""
_EXAMPLE = "Write for example dim=-1 or dim=(-2, -1)."


def reduction(builder: Builder, call: Call) -> Operand:
    """Return what a call of a reduction stands for.

    Raises:
        FormulaError: If an argument is none that the reduction takes.
    """
    text, start, end = call.token.text, call.token.start, call.end
    row = REDUCTIONS[text]
    given = _given(builder, call, row)
    if "x" not in given:
        raise builder.error(f"{text} takes what it reduces", start, end, f"Write {signature(text)}.")
    x = builder.as_number(given["x"])
    if x.node in builder.constants:
        raise builder.error("no input is in what is reduced", x.start, x.end, "A constant is one number.")
    dims = _dims(builder, given["dim"]) if "dim" in given else None
    keepdim = "keepdim" in given and _truth(builder, given["keepdim"])
    if row.op == "norm":
        return _norm(builder, x, dims, keepdim, given.get("p"), start, end)
    option = None
    if row.options:
        ((label, default),) = row.options
        option = _number(builder, given[label], label) if label in given else Fraction(default)
    if not row.slope:
        return _normalized(builder, text, x, dims, start, end)
    steps = [(d,) for d in dims or ()] if row.one and dims else [dims]
    for step in steps:
        x = builder.make(row.op, (x,), start, end, Over(step, keepdim, option))
    return x


def signature(text: str) -> str:
    """Return how a reduction is called."""
    row = REDUCTIONS[text]
    options = [f"{label}={default}" for label, default in row.options]
    tail = ["keepdim=False"] if row.slope else []
    return f"{text}({', '.join(['x', *_in_order(options, text, 'dim=...'), *tail])})"


def _in_order(options: list[str], text: str, dim: str) -> list[str]:
    """Return parameters in torch's order: the order of a norm stands before its dimensions."""
    return [*options, dim] if text == "norm" else [dim, *options]


def _given(builder: Builder, call: Call, row: Reduction) -> dict[str, Operand]:
    """Return the arguments by the names of their parameters."""
    text = call.token.text
    options = [label for label, _ in row.options]
    known = ["x", *_in_order(options, text, "dim"), *(["keepdim"] if row.slope else [])]
    if len(call.args) > len(known):
        extra = call.args[len(known)]
        raise builder.error(
            f"{text} has an argument too many", extra.start, extra.end, f"Write {signature(text)}."
        )
    given = dict(zip(known, call.args, strict=False))
    for keyword, operand in call.keywords.items():
        if keyword not in known or keyword in given:
            hint = "The dimensions are called dim." if keyword == "axis" else f"Write {signature(text)}."
            message = f"{text} got an unexpected argument {keyword!r}"
            raise builder.error(message, operand.start, operand.end, hint)
        given[keyword] = operand
    return given


def _dims(builder: Builder, operand: Operand) -> tuple[int, ...]:
    found = [_dim(builder, part) for part in operand.pair or (operand,)]
    if len(set(found)) < len(found):
        raise builder.error("a dimension is named twice", operand.start, operand.end)
    return tuple(sorted(found))


def _dim(builder: Builder, operand: Operand) -> int:
    n = builder.constants.get(operand.node)
    if operand.pair or not isinstance(n, Fraction) or n.denominator != 1 or not -_MOST <= n < _MOST:
        message = f"a dimension is an integer from {-_MOST} to {_MOST - 1}"
        raise builder.error(message, operand.start, operand.end, _EXAMPLE)
    return int(n)


def _truth(builder: Builder, operand: Operand) -> bool:
    if operand.node.op not in ("true", "false"):
        raise builder.error("keepdim is True or False", operand.start, operand.end)
    return operand.node.op == "true"


def _number(builder: Builder, operand: Operand, label: str) -> Fraction | Decimal:
    n = builder.constants.get(operand.node)
    if not isinstance(n, Fraction) or operand.pair:
        raise builder.error(
            f"{label!r} must be a number, known when the layer is made", operand.start, operand.end
        )
    # As torch would be handed it: 2 + 1e-20 is 2.
    nearest = Fraction(float(n))
    return nearest if nearest.denominator == 1 else n


def _norm(
    builder: Builder,
    x: Operand,
    dims: tuple[int, ...] | None,
    keepdim: bool,
    order: Operand | None,
    start: int,
    end: int,
) -> Operand:
    """Return a norm; one that is another reduction is that."""
    if builder.rule and order is not None and order.node.op == "name":
        return builder.make("norm", (x, order), start, end, Over(dims, keepdim))
    infinity = value("name", datum="inf")
    p: Fraction | Decimal | str = Fraction(2)
    if order is not None:
        names = {infinity: "inf", value("neg", infinity): "-inf"}
        p = names.get(order.node) or _number(builder, order, "p")
    sized = p in ("inf", "-inf", 1) or (p == 0 and builder.complex)
    size = builder.make("abs", (x,), start, end) if sized else x
    if p == 0:
        zero, one = (builder.make("number", (), start, end, Fraction(n)) for n in (0, 1))
        size = builder.where(builder.arithmetic("ne", (size, zero), start, end), one, zero)
    op = {"inf": "amax", "-inf": "amin", 1: "sum", 0: "sum"}.get(p, "norm")
    option = p if op == "norm" and not isinstance(p, str) else None
    return builder.make(op, (size,), start, end, Over(dims, keepdim, option))


def _normalized(
    builder: Builder, text: str, x: Operand, dims: tuple[int, ...] | None, start: int, end: int
) -> Operand:
    """Return a softmax in terms of the one reduction that it needs."""
    if builder.complex and x.node not in builder.reals:
        hint = f"torch has none either. It takes re(z), im(z), abs(z), arg(z), as in {text}(abs(z), dim=-1)."
        raise builder.error(f"{text!r} of complex numbers has no meaning", start, end, hint)
    total = builder.make("logsumexp", (x,), start, end, Over(dims, keepdim=False))
    shifted = builder.make("sub", (x, total), start, end)
    return shifted if text == "log_softmax" else builder.make("exp", (shifted,), start, end)
