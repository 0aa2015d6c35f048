"""Derivatives of a formula in complex numbers, as torch's gradients want them.

Each input ``z`` and its conjugate ``w`` count as independent variables of ``f(z, w)``. For
the output's gradient ``g`` the input's is ``g*conj(df/dz) + conj(g)*df/dw``, and a tangent
``t`` becomes ``df/dz*t + df/dw*conj(t)``. Of a real result ``df/dz`` is the conjugate of
``df/dw``: the gradient is ``2*g*df/dw``, the tangent the real part of ``2*df/dz*t``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction

from fngen import differentiate
from fngen.algebra import ZERO, add, div, exact, mul, neg, power, sub, sum_of
from fngen.functions.complex import ANALYTIC
from fngen.ir import Datum, Value, fold, is_number, name, names, number, postorder, value
from fngen.naming import free_name
from fngen.problem import Problem
from fngen.reals import real_nodes

UNIT = name("1j")
"""The imaginary unit: a name that no formula can have."""
_PAIRED = frozenset({"re", "im", "abs", "arg", "sgn"})
_WITH_UNIT = frozenset({"im", "arg"})
_EVEN, _ODD = frozenset({"abs", "re", "eq", "ne"}), frozenset({"im", "arg"})
_CONSTRUCTORS: dict[str, Callable[..., Value]] = {"neg": neg, "add": add, "sub": sub, "mul": mul, "div": div}
_SAFE = frozenset({"tanh", "coth", "cot", "sigmoid"})


@dataclass(frozen=True)
class Entry:
    """A derivative as people are shown it.

    Attributes:
        variable: The input, or its conjugate.
        slope: The derivative by it.
        twice: Whether ``slope`` is twice the derivative.
        output: Which of several outputs it is a derivative of.
    """

    variable: Value
    slope: Value
    twice: bool = False
    output: str = ""


def listed(problem: Problem, partials: Sequence[Value]) -> list[Entry]:
    """Return the derivatives that say all about a layer, real or complex."""
    n = len(problem.inputs)
    if problem.results:
        found = zip(((x, y) for y, _ in problem.results for x in problem.inputs), partials, strict=True)
        return [Entry(name(x), p, output=y) for (x, y), p in found if not is_number(p, 0)]
    if not problem.complex or problem.reduces:
        return [Entry(name(x), p) for x, p in zip(problem.inputs, partials, strict=True)]
    real = is_real(problem.value)
    ahead = [Entry(name(x), p) for x, p in zip(problem.inputs, partials[:n], strict=True)]
    behind = [
        Entry(value("conj", name(x)), p, real)
        for x, p in zip(problem.inputs, partials[n : 2 * n], strict=True)
    ]
    if real:
        return behind
    return [*ahead, *(entry for entry in behind if not is_number(entry.slope, 0))]


def has_unit(slopes: Sequence[Value]) -> bool:
    """Say whether derivatives may be complex at real numbers."""
    return str(UNIT.datum) in names(slopes)


def is_real(root: Value) -> bool:
    """Say whether the result is a real tensor for complex inputs."""
    return real_nodes([root])[root]


def partials(
    root: Value, inputs: Sequence[str], named: Collection[Value] = (), reals: Collection[str] = ()
) -> tuple[Value, ...]:
    """Return the derivatives of ``root`` by the inputs and by their conjugates.

    Args:
        root: The formula.
        inputs: The variables.
        named: The intermediates that the user named: they stay whole.
        reals: The variables that are real. They have one derivative, and zero as the other.

    Returns:
        First the derivatives by each input, then those by each conjugate, then the
        conjugates of the first. Of a real result, twice the derivatives by complex variables, and
        zeros last: there the derivative by the conjugate does alone.

    Raises:
        NoDerivative: If a function in it has no known derivative.
    """
    bars = _bars(inputs, reals)
    pairs = _pairs([root, *named], bars, reals)
    real = real_nodes([root], reals)[root]
    top, cuts = pairs[root][0], [pairs[n][0] for n in named]
    twice = mul(number(2), top) if real else top
    found = dict.fromkeys([*inputs, *bars.values()], ZERO)
    for graph, variables in ((twice, [x for x in found if x not in reals]), (top, list(reals))):
        if variables:
            slopes = differentiate.partials(graph, variables, cuts, complex=True)
            found |= dict(zip(variables, slopes, strict=True))
    rows = [found[x] for x in inputs] + [ZERO if x in reals else found[bars[x]] for x in inputs]
    forward = frozenset(postorder([root]))
    conjugates = {bar: value("conj", name(x)) for x, bar in bars.items() if x not in reals}
    plain = _plain(rows, conjugates, forward)
    mirrored = [ZERO if real else conjugate(a, forward, reals) for a in plain[: len(inputs)]]
    return (*plain, *mirrored)


def _bars(inputs: Sequence[str], reals: Collection[str]) -> dict[str, str]:
    """Return the name of each variable's conjugate: a real one is its own."""
    bars: dict[str, str] = {}
    for x in inputs:
        bars[x] = x if x in reals else free_name(f"{x}_bar", {*inputs, *bars.values()})
    return bars


def _pairs(
    roots: Sequence[Value], bars: dict[str, str], reals: Collection[str]
) -> dict[Value, tuple[Value, Value]]:
    """Return each node, and its conjugate, in terms of the inputs and their conjugates."""
    real = real_nodes(roots, reals)

    def visit(node: Value, args: list[tuple[Value, Value]]) -> tuple[Value, Value]:
        here, there = [a[0] for a in args], [a[1] for a in args]
        if node.op == "name":
            return node, name(bars[str(node.datum)])
        if node.op == "conj":
            return there[0], here[0]
        if node.op in _PAIRED:
            unit = [UNIT] * (node.op in _WITH_UNIT)
            image = value(f"_{node.op}", *here, *there, *unit)
            return image, image if real[node] else value(f"_{node.op}", *there, *here)
        if _is_even_power_of_abs(node):
            square = mul(*args[0][0].args)  # abs(u)**2 is u*conj(u), with a simpler derivative.
            image = power(square, number(exact(node.args[1]) / 2))
            return image, image
        op = f"_{node.op}" if node.op in _SAFE else node.op
        if node.op == "pow" and names([node.args[1]]):
            op = "_pow"
        image = value(op, *here, datum=node.datum)
        return image, image if real[node] else value(op, *there, datum=node.datum)

    return fold(roots, visit)


def _is_even_power_of_abs(node: Value) -> bool:
    exponent = node.args[1].datum if node.op == "pow" and node.args[0].op == "abs" else None
    return isinstance(exponent, Fraction) and exponent > 0 and exponent % 2 == 0


def _plain(roots: Sequence[Value], conjugates: dict[str, Value], forward: frozenset[Value]) -> list[Value]:
    """Return derivatives in terms of the inputs alone, in the functions of a formula."""

    def visit(node: Value, args: list[Value]) -> Value:
        if node.op == "name":
            return conjugates.get(str(node.datum), node)
        op = node.op if node.op == "_promoted" else node.op.removeprefix("_")
        args = args[:1] if op in _PAIRED else args
        known = value(op, *args, datum=node.datum)
        return known if known in forward else conjugate_outside(op, args, node.datum)

    done = fold(roots, visit)
    return [done[root] for root in roots]


def conjugate_outside(op: str, args: list[Value], datum: Datum | None) -> Value:
    """Return an operator of conjugates as the conjugate of one.

    The formula has that one too. And on the cut of a function, where a real number lies, the
    value beyond the cut is not the conjugate: torch forgets the sign of the zero in conj(z) + 1.
    """
    variables = [a for a in args if names([a])]
    if variables and all(a.op == "conj" for a in variables):
        inside = [a.args[0] if a.op == "conj" else a for a in args]
        if op in _EVEN:
            return value(op, *inside)
        if op in _ODD:
            return neg(value(op, *inside))
        if op in ANALYTIC or op in ("sgn", "_promoted"):
            return value("conj", value(op, *inside, datum=datum))
    if op == "mul" and value("conj", args[0]) is args[1]:
        return value("pow", value("abs", args[0]), number(2))
    make = _CONSTRUCTORS.get(op)
    return make(*args) if make else value(op, *args, datum=datum)


def conjugate(root: Value, forward: frozenset[Value] = frozenset(), reals: Collection[str] = ()) -> Value:
    """Return the conjugate of a derivative, made of the results in ``forward`` where it can be."""
    real = real_nodes([root], reals)

    def visit(node: Value, args: list[Value]) -> Value:
        if node is UNIT:
            return neg(node)
        if real[node]:
            return node
        if node.op == "name":
            return value("conj", node)
        if node.op == "conj":
            return node.args[0]
        return value("conj", node) if node in forward else conjugate_outside(node.op, args, node.datum)

    return fold([root], visit)[root]


def gradients(slopes: Sequence[Value], cotangent: Value, *, real: bool) -> list[Value]:
    """Return the gradient of each input, from what :func:`partials` returns."""
    n = len(slopes) // 3
    ahead, behind, mirrored = slopes[:n], slopes[n : 2 * n], slopes[2 * n :]
    if real:
        return [mul(cotangent, b) for b in behind]

    def gradient(a: Value, b: Value, m: Value) -> Value:
        if m is b:
            return mul(mul(number(2), value("re", cotangent)), m)
        if a is b:  # Only the real part of the input counts: the gradient is real.
            return mul(number(2), value("re", mul(cotangent, m)))
        return add(mul(cotangent, m), mul(value("conj", cotangent), b))

    return list(map(gradient, ahead, behind, mirrored))


def tangent(slopes: Sequence[Value], tangents: Sequence[str], *, real: bool) -> Value:
    """Return the tangent of the result, from what :func:`partials` returns."""
    n = len(slopes) // 3
    rows = list(zip(slopes[:n], slopes[n : 2 * n], map(name, tangents), strict=True))
    # A zero partial still has a shape.
    terms = [
        value("full_like", t, ZERO) if is_number(a, 0) and is_number(b, 0) else mul(a, t) for a, b, t in rows
    ]
    if real:
        return value("re", sum_of(terms))
    return sum_of(terms + [mul(b, value("conj", t)) for _, b, t in rows])
