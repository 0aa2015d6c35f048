"""SymPy expression to graph, in the order in which a person writes it."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from sympy import Expr

from fngen.algebra import (
    ONE,
    ZERO,
    add,
    as_decimal,
    div,
    exact,
    is_negative,
    neg,
    power,
    product_of,
    sub,
    where,
)
from fngen.ir import Value, fold, number, value

_Power = tuple[Value, int]
SMALL = 10**6
"""Numerators and denominators that are written as a quotient."""


def to_value(expr: Expr, leaves: Mapping[Expr, Value], *, decimals: bool) -> Value:
    """Return the graph of a SymPy expression.

    Args:
        expr: The expression.
        leaves: What its symbols stand for.
            Whole subexpressions may be among them: they come back as they were written.
        decimals: Write ``0.1*x`` rather than ``x/10``, as the formula itself does.
    """
    return _Arranger(leaves, decimals).convert(expr)


class _Arranger:
    def __init__(self, leaves: Mapping[Expr, Value], decimals: bool) -> None:
        self.decimals = decimals
        self.leaves = leaves
        self.done: dict[Expr, Value] = dict(leaves)
        names = [node for node in leaves.values() if node.op == "name"]
        self.order = {node: i for i, node in enumerate(names)}
        self.memo: dict[Value, tuple[int, str]] = {}

    def convert(self, root: Expr) -> Value:
        stack = [root]
        while stack:
            expr = stack[-1]
            if expr in self.done:
                stack.pop()
                continue
            missing = [a for a in _parts(expr) if a not in self.done]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            self.done[expr] = self.build(expr)
        return self.done[root]

    def build(self, expr: Expr) -> Value:
        if expr.is_Rational:
            return self.rational(Fraction(int(expr.p), int(expr.q)))
        if (expr.is_Add or expr.is_Mul) and -expr in self.leaves:
            return neg(self.leaves[-expr])
        if expr.is_Add:
            return self.sum(expr)
        if expr.is_Mul or expr.is_Pow:
            return self.product(expr)
        if expr.is_Symbol or expr.is_NumberSymbol:
            return value(str(expr).rstrip("!"))
        if not expr.args:
            return value("nan")  # SymPy's infinities: a division by zero.
        op = getattr(expr, "fngen_op", "where")
        args = [self.done[a] for a in expr.args]
        return where(*args) if op == "where" else value(op, *args)

    def rational(self, x: Fraction) -> Value:
        return number(as_decimal(x) if self.decimals and x.denominator != 1 else x)

    def sum(self, expr: Expr) -> Value:
        terms = [self.done[a] for a in expr.args]
        positive = sorted((t for t in terms if not is_negative(t)), key=self.term_key)
        negative = sorted((neg(t) for t in terms if is_negative(t)), key=self.term_key)
        # A polynomial goes by falling powers, and the sign of a term does not move it.
        if all(self.degree(t) is not None for t in terms):
            ordered = sorted(terms, key=self.degree_key)
            if not is_negative(ordered[0]):
                positive, negative = ordered, []
        total = ZERO
        for term in positive:
            total = add(total, term)
        for term in negative:
            total = sub(total, term)
        return total

    def product(self, expr: Expr) -> Value:
        """Arrange a product: sign, constants, then the factors over the divisors."""
        coefficient, constants = Fraction(1), list[_Power]()
        over, under = list[_Power](), list[_Power]()
        for factor in expr.args if expr.is_Mul else (expr,):
            if factor.is_Rational:
                coefficient *= Fraction(int(factor.p), int(factor.q))
                continue
            base, exponent = self.base(factor)
            if factor.is_Add and factor not in self.leaves and -factor in self.leaves:
                coefficient, base = -coefficient, self.leaves[-factor]
            if not factor.free_symbols:
                constants.append((base, exponent))
            else:
                (over if exponent > 0 else under).append((base, abs(exponent)))
        over, under = _paired(over, under)
        front, back = self.coefficient(abs(coefficient), constants)
        top, bottom = self.factors(over), self.factors(under)
        result = div(product_of([front, *top]), product_of([back, *bottom]))
        return neg(result) if coefficient < 0 else result

    def factors(self, powers: list[_Power]) -> list[Value]:
        return sorted((power(b, number(n)) for b, n in powers), key=self.factor_key)

    def base(self, factor: Expr) -> _Power:
        if factor.is_Pow:
            return self.done[factor.base], int(factor.exp)
        return self.done[factor], 1

    def coefficient(self, x: Fraction, constants: list[_Power]) -> tuple[Value, Value]:
        """Return the constant factor of a product and the constant divisor."""
        if constants:
            over = [power(b, number(e)) for b, e in constants if e > 0]
            under = [power(b, number(-e)) for b, e in constants if e < 0]
            top = product_of([number(x.numerator), *over])
            return div(top, product_of([number(x.denominator), *under])), ONE
        if x.denominator == 1 or (self.decimals and as_decimal(x) is not x):
            return self.rational(x), ONE
        if max(x.numerator, x.denominator) > SMALL:
            return number(x), ONE
        return number(x.numerator), number(x.denominator)

    def degree(self, term: Value) -> int | None:
        """Return the degree of a monomial in plain names, or None for anything else."""
        if term in self.order or term.op == "number":
            return int(term in self.order)
        if term.op == "neg" or (term.op == "div" and term.args[1].op == "number"):
            return self.degree(term.args[0])
        if term.op == "pow" and term.args[0] in self.order and term.args[1].op == "number":
            exponent = exact(term.args[1])
            return int(exponent) if exponent.denominator == 1 else None
        if term.op == "mul":
            parts = [self.degree(a) for a in term.args]
            return None if None in parts else sum(p or 0 for p in parts)
        return None

    def factor_key(self, node: Value) -> tuple[Any, ...]:
        """Sort names before functions before sums, names by their order."""
        base = node.args[0] if node.op == "pow" else node
        if base in self.order:
            return (0, self.order[base], 0)
        return (2 if base.op in ("add", "sub") else 1, *self.size_key(node))

    def term_key(self, node: Value) -> tuple[Any, ...]:
        """Sort constants, then names, then by size."""
        if node.op == "number":
            return (0,)
        return (1, self.order[node]) if node in self.order else (2, *self.size_key(node))

    def degree_key(self, term: Value) -> tuple[Any, ...]:
        """Sort by falling degree, whatever the sign."""
        return (-(self.degree(term) or 0), *self.term_key(neg(term) if is_negative(term) else term))

    def size_key(self, node: Value) -> tuple[int, str]:
        """Sort by the number of operations, then by text: the same on every machine."""
        if node not in self.memo:
            order = self.order

            def visit(n: Value, args: list[tuple[int, str]]) -> tuple[int, str]:
                own = f"#{order[n]}" if n in order else f"{n.op}{n.datum or ''}"
                return 1 + sum(a[0] for a in args), own + "(" + ",".join(a[1] for a in args) + ")"

            self.memo[node] = fold([node], visit)[node]
        return self.memo[node]


def _paired(over: list[_Power], under: list[_Power]) -> tuple[list[_Power], list[_Power]]:
    """Write ``a**n/b**n`` as ``(a/b)**n``, which does not overflow where the powers do."""
    for n in sorted({n for _, n in over if n > 1} & {n for _, n in under}):
        top, bottom = ([b for b, m in side if m == n] for side in (over, under))
        ratio = (div(product_of(top), product_of(bottom)), n)
        over = [*(p for p in over if p[1] != n), ratio]
        under = [p for p in under if p[1] != n]
    return over, under


def _parts(expr: Expr) -> list[Expr]:
    """Return the subexpressions that :meth:`_Arranger.build` looks up."""
    if expr.is_Pow:
        return [expr.base]
    if expr.is_Mul:
        return [f.base if f.is_Pow else f for f in expr.args if not f.is_Rational]
    return list(expr.args)
