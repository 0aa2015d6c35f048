"""A SymPy expression to a formula, so that it passes the same checks as typed text."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import sympy
from sympy import Basic

from fngen.arrange import to_value
from fngen.errors import FngenError, OptionError
from fngen.ir import COMPARISONS, CONDITIONS, Value, name, names, number, postorder, tree_size, value
from fngen.naming import IDENTIFIER
from fngen.printing.formula import FormulaPrinter
from fngen.symbolic import to_sympy

_SAME = (
    "sign floor frac exp log sin cos tan sec csc cot asin acos atan acot asec acsc atan2 sinh cosh tanh sech"
    " csch coth asinh acosh atanh acoth asech acsch erf erfc erfinv gamma digamma polygamma beta zeta expm1"
    " log1p log2 log10 exp2 hypot sinc"
)
_FUNCTIONS = dict.fromkeys(_SAME.split()) | {
    "Abs": "abs",
    "ceiling": "ceil",
    "loggamma": "lgamma",
    "Mod": "remainder",
    "Max": "maximum",
    "Min": "minimum",
    "Sqrt": "sqrt",
    "Cbrt": "cbrt",
    "Heaviside": "heaviside",
    "conjugate": "conj",
    "re": "re",
    "im": "im",
    "arg": "arg",
}
"""SymPy's functions; those without an entry have the same name in a formula."""
_BESSEL = {"besselj": "j", "bessely": "y", "besseli": "i", "besselk": "k"}
_RELATIONS = {symbol: op for op, symbol in COMPARISONS.items()}
_LOGIC = {"And": "and", "Or": "or"}
MAX_NODES = 100_000


def formula(expr: Any, *, complex: bool = False) -> str:
    """Return the formula that a SymPy expression stands for; ``complex`` says what its symbols are.

    Raises:
        FngenError: If it holds something that no formula can.
    """
    if not isinstance(expr, Basic):
        hint = "Pass a formula as text, or a SymPy expression."
        raise OptionError(f"a {type(expr).__name__} is no formula", hint, option="expr")
    done: dict[Basic, Value] = {}
    stack: list[Basic] = [expr]
    while stack:
        node = stack[-1]
        missing = [a for a in node.args if a not in done] if node not in done else []
        if missing:
            stack.extend(missing)
            if len(done) > MAX_NODES:
                raise FngenError(f"the expression has more than {MAX_NODES:,} nodes")
            continue
        stack.pop()
        if node not in done:
            args = [done[a] for a in node.args]
            signum = complex and isinstance(node, sympy.sign)  # SymPy's is z/abs(z).
            done[node] = value("sgn", *args) if signum else _convert(node, args)
    _check_symbols(done)
    if tree_size(done[expr]) > MAX_NODES:
        raise FngenError(f"the expression, written out, has more than {MAX_NODES:,} operations")
    if done[expr].op == "pair" or done[expr].op in CONDITIONS:
        raise FngenError(f"{type(expr).__name__} is no number at each point, and so no formula")
    return FormulaPrinter().print(_arranged(done[expr]))


def _check_symbols(nodes: Iterable[Any]) -> None:
    """Refuse two symbols of one name, say one real and one not: SymPy tells them apart."""
    called = [node.name for node in nodes if node.is_Symbol]
    for text in sorted(called):
        if called.count(text) > 1:
            raise FngenError(
                f"two different symbols are called {text[:60]!r}", "Create a symbol once, and reuse it."
            )


def _arranged(root: Value) -> Value:
    """Return a graph in the order in which a person writes it; SymPy's own is for machines."""
    symbols = {x: sympy.Symbol(x) for x in sorted(names([root]))}
    decimals = any(isinstance(n.datum, Decimal) for n in postorder([root]))
    return to_value(to_sympy(root, symbols), {s: name(x) for x, s in symbols.items()}, decimals=decimals)


def _convert(node: Any, args: list[Value]) -> Value:
    if node.is_Symbol:
        return _symbol(node)
    if isinstance(node, sympy.Number | sympy.NumberSymbol):
        return _number(node)
    if node.is_Add:
        return _chain("add", args)
    if node.is_Mul:
        return _chain("mul", args)
    if node.is_Pow:
        return value("div", number(1), args[0]) if node.exp == -1 else value("pow", *args)
    if node is sympy.I:
        raise FngenError("a formula has no imaginary unit", "Make it an input, and call the layer with 1j.")
    kind = type(node).__name__
    if node in (sympy.true, sympy.false):
        return value("true" if node else "false")
    if isinstance(node, sympy.core.relational.Relational):
        return value(_RELATIONS[node.rel_op], *args)
    if kind in _LOGIC:
        return _chain(_LOGIC[kind], args)
    if kind == "Not":
        return value("not", *args)
    if kind in ("ExprCondPair", "Tuple"):
        return value("pair", *args)
    if kind in ("Piecewise", "ITE"):
        return _cases(kind, args)
    return _function(node, kind, args)


def _symbol(node: Any) -> Value:
    text = node.name
    if not IDENTIFIER.fullmatch(text) or text.startswith("__") or text in ("pi", "True", "False"):
        hint = "A symbol becomes a name in Python source: use letters, digits and '_'."
        raise FngenError(f"the symbol {text[:60]!r} cannot be a name in a formula", hint)
    return name(text)


def _number(node: Any) -> Value:
    if node.is_Rational:
        exact = Fraction(int(node.p), int(node.q))
        return (
            value("div", number(exact.numerator), number(exact.denominator))
            if exact.denominator != 1
            else number(exact)
        )
    if node.is_Float and node.is_finite:
        return number(Decimal(repr(float(node))))
    if node is sympy.pi:
        return value("pi")
    if node is sympy.E:
        return value("exp", number(1))
    raise FngenError(f"{node} is not a number that a layer can hold")


def _chain(op: str, args: list[Value]) -> Value:
    result = args[0]
    for arg in args[1:]:
        result = value(op, result, arg)
    return result


def _cases(kind: str, args: list[Value]) -> Value:
    if kind == "ITE":
        return value("where", *args)
    result = value("nan")
    for pair in reversed(args):
        chosen, condition = pair.args
        result = chosen if condition.op == "true" else value("where", condition, chosen, result)
    return result


def _function(node: Any, kind: str, args: list[Value]) -> Value:
    if kind in _BESSEL and node.args[0] in (0, 1):
        return value(f"{_BESSEL[kind]}{node.args[0]}", args[1])
    if kind not in _FUNCTIONS:
        hint = "`fngen functions` lists what there is."
        raise FngenError(f"{kind} of SymPy has no counterpart in a formula", hint)
    op = _FUNCTIONS[kind] or kind
    if kind == "sinc":  # SymPy's has no pi in it.
        args = [value("div", args[0], value("pi"))]
    if kind == "zeta" and len(args) == 1:
        args = [*args, number(1)]
    if kind == "log" and len(args) == 2:
        op = "log_base"
    return _chain(op, args) if op in ("maximum", "minimum") else value(op, *args)
