"""The bridge to SymPy: small graphs to expressions, derivatives back to graphs.

SymPy sees sums, products, integer powers and rational numbers. Every other function is an
opaque SymPy function whose derivative is the rule of the table, so that no evaluation of
SymPy's changes a domain, a kink or a nan behind our back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import cache
from math import gcd
from typing import Any

import sympy
from sympy import Add, Expr, Function, Integer, Mul, Pow, Rational, Symbol

from fngen import numeric
from fngen.functions import TABLE
from fngen.ir import CONDITIONS, Value, fold, value
from fngen.language.rules import derivative

_TRUTH = {"true": Symbol("true!"), "false": Symbol("false!")}
_COSTLY = 120
"""Operations up to which a second form of a derivative is worth trying."""


class NoDerivative(Exception):
    """A function whose derivative by one parameter is not known."""

    def __init__(self, op: str, parameter: str) -> None:
        super().__init__(op, parameter)
        self.op, self.parameter = op, parameter


@cache
def function_class(op: str) -> Any:
    """Return the SymPy class of a function, comparison or choice."""
    if op == "where":
        return type(
            "where",
            (Function,),
            {"eval": classmethod(_where_eval), "_eval_derivative": _where_derivative},
        )
    if op in CONDITIONS:
        return type(
            f"{op}_",
            (Function,),
            {"eval": classmethod(_condition_eval), "fngen_op": op, "fdiff": _flat},
        )
    members: dict[str, Any] = {"fngen_op": op, "fdiff": _fdiff}
    if parity := TABLE[op].parity:
        members["eval"] = classmethod(_parity_eval(parity))
    if op == "pow":
        members["eval"] = classmethod(_pow_eval)
    if op == "sqrt":
        members["_eval_power"] = _sqrt_power
    return type(f"{op}_", (Function,), members)


def _fdiff(self: Any, argindex: int = 1) -> Expr:
    op = self.fngen_op
    rule = derivative(op, argindex - 1)
    if rule is None:
        raise NoDerivative(op, TABLE[op].parameters[argindex - 1])
    return to_sympy(rule, dict(zip(TABLE[op].parameters, self.args, strict=True)))


def _flat(self: Any, argindex: int = 1) -> Expr:
    return Integer(0)


def _parity_eval(parity: int) -> Callable[..., Expr | None]:
    def evaluate(cls: Any, x: Expr) -> Expr | None:
        negative = not x.is_Add and x.as_coeff_Mul()[0].is_negative
        return parity * cls(-x) if negative else None

    return evaluate


def _pow_eval(cls: Any, base: Expr, exponent: Expr) -> Expr | None:
    if exponent.is_Integer:
        return base**exponent
    return function_class("sqrt")(base) if exponent == Rational(1, 2) else None


def _sqrt_power(self: Any, exponent: Expr) -> Expr | None:
    even = exponent.is_Integer and exponent % 2 == 0
    return self.args[0] ** (exponent / 2) if even else None


def _condition_eval(cls: Any, *args: Expr) -> Expr | None:
    true, false, op = _TRUTH["true"], _TRUTH["false"], cls.fngen_op
    if op in ("and", "or"):
        neutral, final = (true, false) if op == "and" else (false, true)
        if final in args:
            return final
        rest = [a for a in args if a != neutral]
        return neutral if not rest else rest[0] if len(rest) == 1 else None
    if op == "not":
        return {true: false, false: true}.get(args[0])
    if any(a.free_symbols for a in args):
        return None
    holds = numeric.apply(value(op), [_constant(a) for a in args])
    return _TRUTH["true" if holds else "false"]


def _constant(expr: Expr) -> Any:
    if expr.is_Rational:
        return Fraction(int(expr.p), int(expr.q))
    from fngen.arrange import to_value

    node = to_value(expr, {}, decimals=False)
    return fold([node], numeric.apply)[node]


def _where_eval(cls: Any, condition: Expr, a: Expr, b: Expr) -> Expr | None:
    if a == b or condition == _TRUTH["true"]:
        return a
    return b if condition == _TRUTH["false"] else None


def _where_derivative(self: Any, symbol: Symbol) -> Expr:
    condition, a, b = self.args
    return self.func(condition, a.diff(symbol), b.diff(symbol))


def to_sympy(root: Value, variables: Mapping[str, Expr]) -> Expr:
    """Return the SymPy expression of a graph."""
    return to_sympy_all(root, variables)[root]


def to_sympy_all(root: Value, variables: Mapping[str, Expr]) -> dict[Value, Expr]:
    """Return the SymPy expression of every node below ``root``."""

    def visit(node: Value, args: list[Expr]) -> Expr:
        if node.op == "name":
            return variables[str(node.datum)]
        if node.op == "number":
            exact = Fraction(node.datum)  # type: ignore[arg-type]
            return Rational(exact.numerator, exact.denominator)
        if node.op in _SYMPY:
            return _SYMPY[node.op](*args)
        return function_class(node.op)(*args)

    return fold([root], visit)


_SYMPY: dict[str, Callable[..., Expr]] = {
    "pi": lambda: sympy.pi,
    "nan": lambda: Symbol("nan!"),
    "true": lambda: _TRUTH["true"],
    "false": lambda: _TRUTH["false"],
    "neg": lambda a: -a,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b if b.is_Integer else function_class("pow")(a, b),
}


def factored(root: Expr) -> Expr:
    """Return ``root`` with the common factor of each sum in front of it.

    Arguments of functions stay as they are. Never ``simplify``, nor even ``factor``: they
    take seconds on a derivative of a hundred operations, and often return a longer one.
    """
    if root.is_Add:
        return _common_factor([factored(term) for term in root.args])
    if root.is_Mul:
        return Mul(*_flat_factors(factored(f) for f in root.args), evaluate=False)
    if root.is_Pow:
        return Pow(factored(root.base), root.exp)
    return root


def _flat_factors(factors: Iterable[Expr]) -> list[Expr]:
    parts = [part for f in factors for part in (f.args if f.is_Mul else (f,))]
    exact = [p for p in parts if p.is_Rational]
    product = Mul(*exact)
    return [p for p in [product, *(p for p in parts if not p.is_Rational)] if p != 1]


def _common_factor(terms: list[Expr]) -> Expr:
    powers = [_powers(term) for term in terms]
    shared = {}
    for base in powers[0][1]:
        exponents = [p[1].get(base, 0) for p in powers]
        same_side = all(e > 0 for e in exponents) or all(e < 0 for e in exponents)
        if same_side:
            shared[base] = min(exponents) if exponents[0] > 0 else max(exponents)
    content = _content([p[0] for p in powers], bool(shared))
    if not shared and content == 1:
        return Add(*terms, evaluate=False)
    front = Mul(*(b**e for b, e in shared.items()))
    rest = [
        Mul(
            c / content,
            *(b ** (e - shared.get(b, 0)) for b, e in p.items() if e != shared.get(b, 0)),
        )
        for c, p in powers
    ]
    return Mul(*_flat_factors([content, front, Add(*rest)]), evaluate=False)


def _powers(term: Expr) -> tuple[Rational, dict[Expr, int]]:
    """Return the rational coefficient of a term, and its other factors with exponents."""
    coefficient, powers = Integer(1), dict[Expr, int]()
    for factor in term.args if term.is_Mul else (term,):
        if factor.is_Rational:
            coefficient *= factor
        elif factor.is_Pow:
            powers[factor.base] = powers.get(factor.base, 0) + int(factor.exp)
        else:
            powers[factor] = powers.get(factor, 0) + 1
    return coefficient, powers


def _content(coefficients: list[Rational], others: bool) -> Rational:
    """Return the rational factor worth taking out of a sum."""
    if len({abs(c) for c in coefficients}) == 1:
        return abs(coefficients[0])
    if not others or len({c.q for c in coefficients}) > 1:
        return Integer(1)
    return Rational(gcd(*(int(c.p) for c in coefficients)), coefficients[0].q)


def simplest_forms(expr: Expr) -> list[Expr]:
    """Return forms of ``expr`` that may read well, the preferred one first."""
    return [factored(expr), expr] if sympy.count_ops(expr) <= _COSTLY else [expr]
