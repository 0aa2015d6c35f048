"""Constructors that leave out what a person would leave out: ``1*x``, ``x + 0``, ``--x``.

They keep the grouping that they are given: a sum or product is never re-associated.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from fngen import numeric
from fngen.ir import CONDITIONS, Value, is_number, number, rewrite, value

ZERO, ONE = number(0), number(1)
_COMMON_DENOMINATOR = 100
"""What a person writes as a quotient, and not as the decimal that it may be too."""
_LONGEST_DENOMINATOR = 10**9
"""What a person writes as a quotient; a longer one may overflow where its value does not."""


def exact(node: Value) -> Fraction:
    """Return the exact value of a number node."""
    assert isinstance(node.datum, Fraction | Decimal)
    return Fraction(node.datum)


def _numbers(*nodes: Value) -> list[Fraction] | None:
    """Return the exact values of number nodes, or None if one is something else."""
    if not all(n.op == "number" for n in nodes):
        return None
    return [exact(n) for n in nodes]


def neg(a: Value) -> Value:
    """Return ``-a``."""
    if a.op == "neg":
        return a.args[0]
    if a.op == "number":
        return number(-a.datum)  # type: ignore[operator]
    if a.op == "sub":
        return sub(a.args[1], a.args[0])
    if a.op in ("mul", "div") and is_negative(a.args[0]):
        return (mul if a.op == "mul" else div)(neg(a.args[0]), a.args[1])
    return value("neg", a)


def is_negative(node: Value, depth: int = 8) -> bool:
    """Say whether ``node`` is written with a minus, as far as a reader looks into a product."""
    if node.op == "number":
        return exact(node) < 0
    if node.op in ("mul", "div") and depth:
        return is_negative(node.args[0], depth - 1)
    return node.op == "neg"


def add(a: Value, b: Value) -> Value:
    """Return ``a + b``."""
    if is_number(a, 0):
        return b
    if is_number(b, 0):
        return a
    if both := _numbers(a, b):
        return number(both[0] + both[1])
    if is_negative(b):
        return sub(a, neg(b))
    if a.op == "neg":
        return sub(b, a.args[0])
    return value("add", a, b)


def sub(a: Value, b: Value) -> Value:
    """Return ``a - b``."""
    if is_number(b, 0):
        return a
    if is_number(a, 0):
        return neg(b)
    if both := _numbers(a, b):
        return number(both[0] - both[1])
    if is_negative(b):
        return add(a, neg(b))
    return value("sub", a, b)


def mul(a: Value, b: Value) -> Value:
    """Return ``a * b``; a factor moves into a choice whose other side is zero.

    ``where(c, a*b, 0)``, not ``a*where(c, b, 0)``: the second is nan where ``a`` is
    infinite and the branch not taken. A number or another choice is not copied into it.
    """
    if is_number(a, 0) or is_number(b, 0):
        return ZERO
    if is_number(a, 1):
        return b
    if is_number(b, 1):
        return a
    if is_number(a, -1):
        return neg(b)
    if both := _numbers(a, b):
        return number(both[0] * both[1])
    for factor, choice in ((a, b), (b, a)):
        if is_gate(choice) and not is_gate(factor) and factor.op != "number":
            condition, x, y = choice.args
            return where(condition, mul(factor, x), mul(factor, y))
    if a.op == "neg":
        return neg(mul(a.args[0], b))
    if b.op == "neg":
        return neg(mul(a, b.args[0]))
    if b.op == "div" and is_number(b.args[0], 1):
        return value("div", a, b.args[1])
    if b.op == "number":
        a, b = b, a
    if isinstance(a.datum, Fraction) and a.datum.denominator > _COMMON_DENOMINATOR:
        a = number(as_decimal(a.datum))
    if isinstance(a.datum, Fraction) and 1 < a.datum.denominator <= _LONGEST_DENOMINATOR:
        return div(mul(number(a.datum.numerator), b), number(a.datum.denominator))
    return value("mul", a, b)


def is_gate(node: Value, depth: int = 3) -> bool:
    """Say whether ``node`` is a choice one of whose sides is zero, or a choice of such.

    A factor is copied into each side: in a deep nest of choices that would never end. A choice with a datum
    is one to look at, and stays as it is.
    """
    if node.op != "where" or not depth or node.datum:
        return False
    return any(is_number(a, 0) or is_gate(a, depth - 1) for a in node.args[1:])


def div(a: Value, b: Value) -> Value:
    """Return ``a / b``; a divisor moves into a choice one of whose sides is zero, as a factor does."""
    if is_number(a, 0):
        return ZERO
    if is_number(b, 1):
        return a
    if both := _numbers(a, b):
        return number(both[0] / both[1])
    if a.op == "neg":
        return neg(div(a.args[0], b))
    if is_gate(a) and not is_gate(b) and b.op != "number":
        condition, x, y = a.args
        return where(condition, div(x, b), div(y, b))
    return value("div", a, b)


def power(a: Value, b: Value) -> Value:
    """Return ``a ** b``."""
    if is_number(b, 1):
        return a
    return value("pow", a, b)


def where(condition: Value, a: Value, b: Value) -> Value:
    """Return the choice of ``a`` where the condition holds, else ``b``."""
    if a is b or condition.op == "true":
        return a
    return b if condition.op == "false" else value("where", condition, a, b)


def sum_of(terms: list[Value]) -> Value:
    """Return the sum of ``terms`` from left to right, 0 for none."""
    total = ZERO
    for term in terms:
        total = add(total, term)
    return total


def product_of(factors: list[Value]) -> Value:
    """Return the product of ``factors`` from left to right, 1 for none."""
    total = ONE
    for factor in factors:
        total = mul(total, factor)
    return total


def fold_numbers(roots: list[Value]) -> dict[Value, Value]:
    """Return every node with its rational constants and constant conditions worked out."""
    constants: dict[Value, object] = {}

    def rule(node: Value) -> Value:
        if node.op in ("name", "nan") or not all(a in constants for a in node.args):
            return tidy(node)
        result = numeric.apply_or_none(node, [constants[a] for a in node.args])
        if result is None:
            return value("nan")
        constants[node] = result
        if node.op in CONDITIONS:
            return remember(value("true" if result else "false"), result)
        if node.op == "where":
            return node.args[1] if constants[node.args[0]] else node.args[2]
        if node.op not in numeric.RATIONAL or not isinstance(result, Fraction):
            return node
        decimal = any(isinstance(a.datum, Decimal) for a in node.args)
        return remember(number(as_decimal(result) if decimal else result), result)

    def tidy(node: Value) -> Value:
        # where(c, x, x) stays: an input in c has a say in the shape.
        if node.op == "where" and node.args[0] in constants:
            return where(*node.args)
        if node.op in ("and", "or") and (known := [a for a in node.args if a.op in ("true", "false")]):
            decides = known[0].op == ("true" if node.op == "or" else "false")
            return known[0] if decides else next(a for a in node.args if a is not known[0])
        if node.op in ("add", "sub") and node.args[1].op == "neg":
            return (add if node.op == "add" else sub)(*node.args)
        return neg(node.args[0]) if node.op == "neg" else node

    def remember(node: Value, result: object) -> Value:
        constants[node] = result
        return node

    return rewrite(roots, rule)


def as_decimal(x: Fraction) -> Fraction | Decimal:
    """Return ``x`` as a decimal, if it has one of at most 17 digits."""
    short = Decimal(repr(float(x)))
    return short if Fraction(short) == x else x
