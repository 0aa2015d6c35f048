"""The torch backend: graphs made of what torch has."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fractions import Fraction

from fngen.algebra import exact, fold_numbers, mul, neg
from fngen.backends.scalars import IF_ELSE, scalar
from fngen.functions import TABLE
from fngen.ir import (
    COMPARISONS,
    REDUCTIONS,
    Value,
    fold,
    is_number,
    name,
    names,
    number,
    postorder,
    rewrite,
    value,
)
from fngen.language.rules import definition, derivative, instantiate
from fngen.reals import real_nodes
from fngen.softmax import as_softmax

TEMPLATE = "torch.py.jinja"
HALF = Fraction(1, 2)
IN_PLACE = frozenset(
    {
        *("abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "clamp_max", "clamp_min", "cos", "cosh"),
        *(
            "digamma",
            "erf",
            "erfc",
            "erfinv",
            "exp",
            "exp2",
            "expm1",
            "frac",
            "lgamma",
            "log",
            "log10",
            "log1p",
        ),
        *("log2", "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc"),
    }
)
"""The functions that torch also has as a method in place, under the same name and a ``_``."""
_IN_FACTORS = range(4, 9)
"""Exponents of powers that are products here: at most seven roundings, of half an epsilon each."""
_SIGNED = frozenset({"mul", "div"})
_MIRRORED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}


def legalise(roots: Iterable[Value], numbers: Collection[str] = (), *, complex: bool = False) -> list[Value]:
    """Return ``roots`` in terms of operators that torch has, called as torch takes them.

    Args:
        roots: The graphs.
        numbers: The names that are Python numbers.
        complex: Whether the others are complex tensors.
    """
    return Legaliser(numbers, complex)(roots)


def _multiplied_out(base: Value, n: int) -> Value:
    """Return a power in terms of those that torch multiplies out: another takes it thirty times as long."""
    square = value("pow", base, number(3 if n >= 6 and n != 8 else 2))
    even = value("pow", square, number(2))
    if n == 8:
        even = value("pow", even, number(2))
    return mul(base, even) if n % 2 else even


def _signs_outside(roots: list[Value]) -> list[Value]:
    """Return graphs with ``-(x/y)`` for ``(-x)/y``, and likewise of products, where ``x/y`` is there too."""
    known = {n for n in postorder(roots) if n.op in _SIGNED}
    if not any(a.op == "neg" for n in known for a in n.args):
        return roots

    def rule(node: Value) -> Value:
        if node.op in _SIGNED and any(a.op == "neg" for a in node.args):
            positive = value(node.op, *(a.args[0] if a.op == "neg" else a for a in node.args))
            if positive in known:
                return neg(positive) if sum(a.op == "neg" for a in node.args) == 1 else positive
        return node

    images = rewrite(roots, rule)
    return [images[root] for root in roots]


def _without_cosh(node: Value) -> Value:
    """Return ``4*sigmoid(2*x)*sigmoid(-2*x)`` for ``sech(x)**2``: cosh overflows in its derivative."""
    if node.op != "pow" or node.args[0].op != "sech" or not is_number(node.args[1], 2):
        return node
    twice = mul(number(2), node.args[0].args[0])
    return mul(mul(number(4), value("sigmoid", twice)), value("sigmoid", neg(twice)))


class Legaliser:
    """:func:`legalise`, which remembers the nodes that it has seen: graphs may have most in common."""

    def __init__(self, numbers: Collection[str] = (), complex: bool = False) -> None:
        self.variables: dict[Value, Value | None] = {name(x): None for x in numbers}
        self.complex, self.reals = complex, dict[Value, bool]()
        self.smooth, self.images = dict[Value, Value](), dict[Value, Value]()

    def __call__(self, roots: Iterable[Value]) -> list[Value]:
        """Return graphs made legal."""
        roots = list(roots)
        smooth = rewrite(roots, _without_cosh, self.smooth)
        images = rewrite([smooth[root] for root in roots], self.legal, self.images)
        return _signs_outside([images[smooth[root]] for root in roots])

    def variable(self, node: Value) -> Value | None:
        """Return a variable that ``node`` depends on, no larger than it is; None for a constant."""

        def visit(n: Value, args: list[Value | None]) -> Value | None:
            if n.op == "count":
                return None  # A Python number, of which torch.where would make a float32 tensor.
            found = sorted(filter(None, args), key=lambda a: a.op != "name")
            return n if n.op == "name" or (found and n.op in REDUCTIONS) else next(iter(found), None)

        if node not in self.variables:
            fold([node], visit, self.variables)
        return self.variables[node]

    def legal(self, node: Value) -> Value:
        """Return a node whose arguments are legal, made legal itself; constants stay."""
        if self.variable(node) is None:
            return scalar(node) if names([node]) else node
        if (softmax := as_softmax(node)) is not None and self.is_real(softmax):
            return softmax
        if node.op in ("pow", "where", "maximum", "minimum"):
            return getattr(self, f"legal_{node.op}")(*node.args)  # type: ignore[no-any-return]
        if node.op in COMPARISONS and node.args[0] is node.args[1]:
            return self.legal_tautology(node)
        if node.op in _MIRRORED and node.args[0].op == "neg" and is_number(node.args[1]):
            return value(_MIRRORED[node.op], node.args[0].args[0], number(-exact(node.args[1])))
        if node.op in ("neg", "abs") and node.args[0].op == "neg":
            (inner,) = node.args[0].args
            return inner if node.op == "neg" else value("abs", inner)
        if node.op in _MIRRORED and self.variable(node.args[0]) is None:
            # A number on the left: 0 == x is a bool to a type checker, and 0 < x reads badly.
            return value(_MIRRORED[node.op], *reversed(node.args))
        row = TABLE.get(node.op)
        if row is None:
            return node
        if node.op == "clamp" and any(self.variable(a) is not None for a in node.args[1:]):
            # torch takes no tensor beside a number, and does not un-broadcast two tensors.
            x, low, high = node.args
            return self.legal(value("clamp_max", self.legal(value("clamp_min", x, low)), high))
        pairs = zip(row.parameters, node.args, strict=True)
        if not row.torch or any(p in row.numbers and self.variable(a) is not None for p, a in pairs):
            return self.expand(node)
        tensors = [p not in row.scalars | row.numbers for p in row.parameters]
        return value(node.op, *map(self.spread, node.args, tensors, [node] * len(tensors)))

    def is_real(self, node: Value) -> bool:
        """Say whether a node is a real tensor."""
        return not self.complex or real_nodes([node], done=self.reals)[node]

    def tensors(self, node: Value) -> list[str]:
        """Return the names of the tensors that a node is made of."""
        return [x for x in names([node]) if self.variables.get(name(x), name(x)) is not None]

    def legal_tautology(self, node: Value) -> Value:
        """Return what a comparison of a value with itself asks: whether it is nan."""
        unordered = value("isnan", node.args[0])
        if node.op in ("lt", "gt"):
            return value("and", unordered, value("not", unordered))
        return unordered if node.op == "ne" else value("not", unordered)

    def expand(self, node: Value) -> Value:
        """Return the definition of a function that torch does not have."""
        body = instantiate(definition(node.op), node.op, node.args)
        folded = fold_numbers([body])[body]
        if set(names([folded])) != set(names(node.args)):
            # A constant argument has decided a choice: as a tensor it decides at each element.
            args = tuple(self.spread(a, True, node) for a in node.args)
            folded = instantiate(definition(node.op), node.op, args)
        return rewrite([folded], self.legal)[folded]

    def spread(self, arg: Value, tensor: bool, node: Value) -> Value:
        """Return a constant as a tensor, where torch takes no number."""
        shape = self.variable(node)
        if not tensor or shape is None or self.variable(arg) is not None:
            return arg
        return value("full_like", value("re", shape) if self.complex else shape, arg)

    def legal_pow(self, base: Value, exponent: Value) -> Value:
        """Return a root or reciprocal where a power is one, and a short product of squares and cubes."""
        exact = Fraction(exponent.datum) if exponent.op == "number" else None  # type: ignore[arg-type]
        if exact == -1:
            return value("div", number(1), base)
        if exact in (HALF, -HALF):
            return value("sqrt" if exact == HALF else "rsqrt", base)
        if exact is not None and exact in _IN_FACTORS and self.is_real(base):
            return _multiplied_out(base, int(exact))
        return value("pow", base, exponent)

    def legal_maximum(self, a: Value, b: Value) -> Value:
        """Return a bound where one side is a constant: torch.maximum takes tensors only."""
        return self.bound("maximum", "clamp_min", a, b)

    def legal_minimum(self, a: Value, b: Value) -> Value:
        """Return a bound where one side is a constant, as for maximum."""
        return self.bound("minimum", "clamp_max", a, b)

    def bound(self, op: str, clamp: str, a: Value, b: Value) -> Value:
        """Return ``op(a, b)``, a constant side as the bound of a clamp."""
        if self.variable(b) is None:
            return value(clamp, a, b)
        return value(clamp, b, a) if self.variable(a) is None else value(op, a, b)

    def legal_where(self, condition: Value, a: Value, b: Value) -> Value:
        """Return a choice that has the inputs' type also between two constants."""
        tensor = next((x for x in (condition, a, b) if self.variable(x) is not None), condition)
        if self.variable(condition) is None and len({frozenset(self.tensors(x)) for x in (a, b)}) > 1:
            condition = value("full_mask", tensor, condition)  # The shape and type are those of both.
        if self.variable(condition) is None:
            return value(IF_ELSE, condition, self.spread(a, True, tensor), self.spread(b, True, tensor))
        if self.variable(a) is None and self.variable(b) is None:
            a = self.spread(a, True, condition)
        return value("where", condition, a, b)


def wrapped(roots: Iterable[Value]) -> list[str]:
    """Return the functions below ``roots`` that need an autograd node of their own.

    torch has their values, but no derivative of theirs, or one that is wrong somewhere.
    The derivative of one may need others, and so on: the result is closed under that.
    """
    found: dict[str, None] = {}
    pending = legalise(roots)
    while pending:
        nodes, pending = postorder(pending), []
        for op in (n.op for n in nodes if n.op in TABLE and not TABLE[n.op].native and n.op not in found):
            found[op] = None
            rules = (derivative(op, i) for i in range(len(TABLE[op].parameters)))
            pending += legalise(rule for rule in rules if rule is not None)
    return list(found)
