"""What kernels are made of: the functions of C's mathematics library, and definitions in terms of them.

CUDA's libdevice and ROCm's have the same functions under the same names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from fngen.algebra import fold_numbers, neg
from fngen.errors import FngenError
from fngen.functions import TABLE
from fngen.ir import (
    ARITHMETIC,
    COMPARISONS,
    LEAVES,
    LOGIC,
    REDUCTIONS,
    Value,
    is_number,
    number,
    postorder,
    rewrite,
    value,
)
from fngen.language.parse import parse_expression
from fngen.language.rules import definition, instantiate

LIBM = "libm."
"""What the names of these functions begin with in a legal graph."""
TILE = "tile."
"""What those begin with that are written for each type."""
VECTOR = frozenset(
    {
        *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "erf", "erfc"),
        *("exp", "exp2", "expm1", "hypot", "log", "log10", "log1p", "log2", "pow", "sin", "sinh", "tan"),
        "tanh",
    }
)
"""The functions that glibc's libmvec has for vectors."""
INLINE = frozenset({"ceil", "fabs", "floor", "rint", "sqrt", "trunc"})
"""Those that compilers have instructions for."""
_NAMES = {
    **{f: f for f in VECTOR | INLINE},
    "abs": "fabs",
    "fmod": "fmod",
    "lgamma": "lgamma",
    "round": "rint",
}
_STEADY = {
    "clamp": "minimum(maximum(x, min), max)",
    "clamp_max": "minimum(x, max)",
    "clamp_min": "maximum(x, min)",
    "elu": "where(x > 0, x, alpha*expm1(minimum(x, 0)))",
    "frac": "x - trunc(x)",
    "hardsigmoid": "minimum(maximum(x + 3, 0), 6)/6",
    "hardswish": "x*minimum(maximum(x + 3, 0), 6)/6",
    "leaky_relu": "where(x > 0, x, negative_slope*x)",
    "log1pexp": "maximum(x, 0) + log1p(exp(-abs(x)))",
    "logaddexp": "maximum(x, y) + log1p(exp(-abs(where(x == y, 0, x - y))))",
    "logcosh": "where(abs(x) < 1, 0, abs(x) - 0.69314718055994530942)"
    " + log1p(where(abs(x) < 1, expm1(-abs(x))**2/(2 + 2*expm1(-abs(x))), (1 + expm1(-abs(x)))**2))",
    "logistic": "where(x < 0, exp(-abs(x)), 1)/(1 + exp(-abs(x)))",
    "logit": "log(x/(1 - x))",
    "logsigmoid": "minimum(x, 0) - log1p(exp(-abs(x)))",
    "maximum": "where(x > y or x != x, x, y)",
    "minimum": "where(x < y or x != x, x, y)",
    "mish": "x*tanh(softplus(x))",
    "relu": "maximum(x, 0)",
    "relu6": "minimum(maximum(x, 0), 6)",
    "remainder": "fmod(x, y) + where((y < 0 and fmod(x, y) > 0) or (y > 0 and fmod(x, y) < 0), y, 0)",
    "rsqrt": "1/sqrt(x)",
    "sech_squared": "4*exp(-2*abs(x))/(1 + exp(-2*abs(x)))**2",
    "sech_squared_softplus": "4*{w}*({n} + {w})/({n} + 2*{w})**2",
    "sigmoid": "where(x < 0, exp(-abs(x)), 1)/(1 + exp(-abs(x)))",
    "selu": "1.0507009873554804934*where(x > 0, x, 1.6732632423543772848*expm1(minimum(x, 0)))",
    "sign": "where(x > 0, 1, where(x < 0, -1, 0))",
    "silu": "x*sigmoid(x)",
    "sinc": "where(x == 0, 1, sin(pi*x)/(pi*where(x == 0, 1, x)))",
    "softplus": "maximum(x, 0) + log1p(exp(-abs(x)))",
    "softsign": "x/(1 + abs(x))",
    "stop_gradient": "x",
    "tanh_softplus": "{n}/({n} + 2*{w})",
    "tanhshrink": "x - tanh(x)",
    "xlog1py": "where(x == 0 and y == y, 0, x*log1p(y))",
    "xlogy": "where(x == 0 and y == y, 0, x*log(y))",
}
"""Definitions of what torch has as one operator, with its nan and infinities; and of some compositions."""
DEFINED = frozenset(_STEADY)
_BRANCH = {
    "{n}": "where(x < 0, exp(-abs(x))*(exp(-abs(x)) + 2), 1 + 2*exp(-abs(x)))",
    "{w}": "where(x < 0, 1, exp(-abs(x))**2)",
}
"""The tanh of a softplus is a quotient of polynomials in one exponential, which does not overflow."""
_SAME = {*ARITHMETIC, *COMPARISONS, *LOGIC, *LEAVES, *REDUCTIONS, "where"}
_SOFTPLUS = ("softplus", "log1pexp")
_LONGEST_PRODUCT = 16
"""The largest exponent of a power that is multiplied out."""


class NoKernel(FngenError):
    """What there is no kernel for."""


@dataclass(frozen=True)
class Helper:
    """A function that the source of kernels defines itself: its name, parameters and value."""

    name: str
    parameters: tuple[str, ...]
    value: Value


def arity(function: str) -> int:
    """Return the number of arguments of a function of C's library."""
    return 2 if function in ("atan2", "fmod", "hypot", "pow") else 1


def reserved() -> Iterable[str]:
    """Return the names of all functions that a source may call."""
    return (*_NAMES.values(), *_STEADY, "NAN")


def expand(roots: Iterable[Value]) -> list[Value]:
    """Return ``roots`` in terms of functions that the library has or kernels define, constants as they are.

    Raises:
        NoKernel: If there is none for a function.
    """
    roots = list(roots)
    squares = rewrite(roots, _composed)
    images = rewrite([squares[root] for root in roots], _expanded)
    return [images[squares[root]] for root in roots]


def legalise(roots: Iterable[Value]) -> list[Value]:
    """Return expanded graphs with powers as products, and functions under their names in the library."""
    roots = list(roots)
    images = rewrite(roots, _legal)
    return [images[root] for root in roots]


def functions(roots: Iterable[Value]) -> tuple[list[str], list[Helper]]:
    """Return the library's functions below legal graphs, and the others, each after what it calls."""
    library, helpers = set[str](), dict[str, Helper]()

    def visit(graphs: Iterable[Value]) -> None:
        for op in (n.op.removeprefix(LIBM) for n in postorder(graphs) if n.op.startswith(LIBM)):
            if op not in _STEADY:
                library.add(op)
            elif op not in helpers:
                (rule,) = legalise([_steady(op)])
                visit([rule])
                parameters = TABLE[op].parameters if op in TABLE else ("x",)
                helpers[op] = Helper(op, parameters, rule)

    visit(roots)
    return sorted(library), list(helpers.values())


def is_costly(node: Value) -> bool:
    """Say whether a legal node is worked out in many steps: it costs more than memory."""
    return node.op.startswith(LIBM) and not VECTOR.isdisjoint(_below(node.op))


@cache
def _below(op: str) -> tuple[str, ...]:
    library, _ = functions([value(op)])
    return tuple(library)


def _composed(node: Value) -> Value:
    """Return compositions that have a definition of their own: fewer exponentials, and none that overflow."""
    inner = node.args[0] if node.args else node
    if node.op == "pow" and inner.op == "sech" and is_number(node.args[1], 2):
        (x,) = inner.args
        return value("sech_squared_softplus", *x.args) if x.op in _SOFTPLUS else value("sech_squared", x)
    return value("tanh_softplus", *inner.args) if node.op == "tanh" and inner.op in _SOFTPLUS else node


def _expanded(node: Value) -> Value:
    if node.op == "full_like":
        return node.args[1]  # Every result of a kernel has its shape anyway.
    if node.op == "isnan":
        return value("ne", *node.args, *node.args)
    if node.op in _SAME or node.op in _NAMES or node.op in _STEADY or node.op.startswith(TILE):
        return node
    row = TABLE.get(node.op)
    if row is None or row.torch or not row.definition:
        raise NoKernel(f"C's mathematics library has no {node.op}")
    body = instantiate(definition(node.op), node.op, node.args)
    folded = fold_numbers([body])[body]
    return rewrite([folded], _expanded)[folded]


def _legal(node: Value) -> Value:
    if node.op == "pow":
        return _power(*node.args)
    if node.op in _NAMES or node.op in _STEADY:
        return value(f"libm.{_NAMES.get(node.op, node.op)}", *node.args)
    return node


@cache
def _steady(op: str) -> Value:
    text = _STEADY[op]
    for place, branch in _BRANCH.items():
        text = text.replace(place, branch)
    return parse_expression(text, rule=True)


def _power(base: Value, exponent: Value) -> Value:
    """Return a power as a root or as products, where it is one."""
    exact = Fraction(exponent.datum) if exponent.op == "number" else None  # type: ignore[arg-type]
    if exact is not None and exact < 0 and (exact.denominator == 1 or exact == Fraction(-1, 2)):
        return value("div", number(1), _power(base, neg(exponent)))
    if exact == Fraction(1, 2):
        return value("libm.sqrt", base)
    if exact is not None and exact.denominator == 1 and 1 <= exact <= _LONGEST_PRODUCT:
        return _product(base, int(exact))
    return value("libm.pow", base, exponent)


def _product(base: Value, exponent: int) -> Value:
    """Return an integer power, from the squares that make it up."""
    if exponent == 1:
        return base
    half = _product(base, exponent // 2)
    square = value("mul", half, half)
    return value("mul", square, base) if exponent % 2 else square
