"""What torch's autograd makes of an emitted formula: the derivative of each operator as it computes it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from fngen.algebra import ONE, ZERO, add
from fngen.backends.torch import legalise
from fngen.functions import TABLE
from fngen.ir import CONDITIONS, LEAVES, Value, is_number, name, number, postorder, rewrite, substitute, value
from fngen.language.parse import parse_expression
from fngen.language.rules import derivative, instantiate

RULES: dict[str, tuple[str, ...]] = {
    "neg": ("-g",),
    "add": ("g", "g"),
    "sub": ("g", "-g"),
    "mul": ("g*b", "g*a"),
    "div": ("g/b", "-g*(a/b/b)"),
    "abs": ("g*sign(a)",),
    "reciprocal": ("-g*y*y",),
    "sqrt": ("g/(2*y)",),
    "rsqrt": ("-g/2*y**3",),
    "hypot": ("g*(a/y)", "g*(b/y)"),
    "atan2": (
        "where(a == 0 and b == 0, 0, g*b/(a**2 + b**2))",
        "where(a == 0 and b == 0, 0, g*-a/(a**2 + b**2))",
    ),
    "exp": ("g*y",),
    "exp2": ("g*y*log(2)",),
    "expm1": ("g*(y + 1)",),
    "log": ("g/a",),
    "log1p": ("g/(a + 1)",),
    "log2": ("g/(a*log(2))",),
    "log10": ("g/(a*log(10))",),
    "logaddexp": ("g/(1 + exp(b - a))", "g/(1 + exp(a - b))"),
    "xlogy": ("g*where(a == 0 and b <= 0, 0, log(b))", "g*a/b"),
    "sin": ("g*cos(a)",),
    "cos": ("g*-sin(a)",),
    "tan": ("g*(1 + y**2)",),
    "asin": ("g*rsqrt(1 - a*a)",),
    "acos": ("-g*rsqrt(1 - a*a)",),
    "atan": ("g/(a*a + 1)",),
    "sinh": ("g*cosh(a)",),
    "cosh": ("g*sinh(a)",),
    "tanh": ("g*(1 - y*y)",),
    "asinh": ("g*rsqrt(a**2 + 1)",),
    "acosh": ("g*rsqrt(a**2 - 1)",),
    "atanh": ("g/(1 - a**2)",),
    "erf": ("2/sqrt(pi)*exp(-a**2)*g",),
    "erfc": ("-2/sqrt(pi)*exp(-a**2)*g",),
    "erfinv": ("sqrt(pi)/2*exp(y**2)*g",),
    "erfcx": ("(2*a*y - 2/sqrt(pi))*g",),
    "log_ndtr": ("g/erfcx(a/-sqrt(2))*sqrt(2/pi)",),
    "sigmoid": ("g*(1 - y)*y",),
    "logistic": ("g*(1 - y)*y",),
    "log1pexp": ("where(a > 40, g, g*exp(Min(a, 40))/(exp(Min(a, 40)) + 1))",),
    "softplus": ("where(a > 20, g, g*exp(Min(a, 20))/(exp(Min(a, 20)) + 1))",),
    "maximum": (
        "where(a < b, 0, where(a == b, g/2, g))",
        "where(b < a, 0, where(a == b, g/2, g))",
    ),
    "minimum": (
        "where(a > b, 0, where(a == b, g/2, g))",
        "where(b > a, 0, where(a == b, g/2, g))",
    ),
    "clamp_min": ("where(a >= b, g, 0)", "where(a < b, g, 0)"),
    "clamp_max": ("where(a <= b, g, 0)", "where(a > b, g, 0)"),
}
"""The cotangent that arrives at each argument ``a``, ``b`` of ``y``, where ``g`` arrives at ``y``."""
_LETTERS = tuple(map(name, "ab"))
_COTANGENT, _RESULT = name("g"), name("y")


def autograd(root: Value, inputs: tuple[str, ...]) -> list[Value]:
    """Return the derivative of a legal graph by each input, as torch's reverse mode computes it."""
    order = [n for n in postorder([root]) if n.op not in CONDITIONS]
    adjoints: dict[Value, Value] = {root: ONE}
    for node in reversed(order):
        if node not in adjoints or node.op in LEAVES:
            continue
        for arg, cotangent in _arriving(node, adjoints[node]):
            known = adjoints.get(arg)
            adjoints[arg] = cotangent if known is None else value("add", known, cotangent)
    return legalise([adjoints.get(name(x), ZERO) for x in inputs])


def without_ones(graphs: list[Value]) -> list[Value]:
    """Return such derivatives in fewer operations, with the same bits."""
    images = rewrite(graphs, _without_one)
    return [images[graph] for graph in graphs]


def _without_one(node: Value) -> Value:
    """Return what a product with 1, or a power of 1, is to the last bit."""
    if node.op in ("mul", "pow") and is_number(node.args[1], 1):
        return node.args[0]
    return node.args[1] if node.op == "mul" and is_number(node.args[0], 1) else node


def _arriving(node: Value, cotangent: Value) -> Iterator[tuple[Value, Value]]:
    """Yield the arguments of a node that are differentiated, and what arrives there."""
    if node.op == "where":
        condition, first, second = node.args
        yield first, value("where", condition, cotangent, ZERO)
        yield second, value("where", condition, ZERO, cotangent)
    elif node.op == "pow" and node.args[1].op == "number":
        base, exponent = node.args
        slope = value("mul", exponent, value("pow", base, add(exponent, number(-1))))
        yield base, value("mul", cotangent, slope)
    elif node.op in RULES:
        letters = {_COTANGENT: cotangent, _RESULT: node, **dict(zip(_LETTERS, node.args, strict=False))}
        yield from ((a, substitute(r, letters)) for a, r in zip(node.args, _read(node.op), strict=True))
    elif node.op in TABLE and TABLE[node.op].derivative:
        slopes = ((a, derivative(node.op, i)) for i, a in enumerate(node.args))
        for arg, rule in ((a, r) for a, r in slopes if r is not None and not is_number(r, 0)):
            yield arg, value("mul", cotangent, instantiate(rule, node.op, node.args))


@cache
def _read(op: str) -> tuple[Value, ...]:
    return tuple(parse_expression(text, rule=True) for text in RULES[op])
