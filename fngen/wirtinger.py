"""Derivatives of a formula in complex numbers, as torch's gradients want them.

Each input ``z`` and its conjugate ``w`` count as independent variables of ``f(z, w)``. For
the output's gradient ``g`` the input's is ``g*conj(df/dz) + conj(g)*df/dw``, and a tangent
``t`` becomes ``df/dz*t + df/dw*conj(t)``. Of a real result ``df/dz`` is the conjugate of
``df/dw``: the gradient is ``2*g*df/dw``, the tangent the real part of ``2*df/dz*t``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fngen import differentiate
from fngen.algebra import ZERO, add, fold_numbers, mul, sum_of
from fngen.functions.complex import REAL_VALUED
from fngen.ir import Value, fold, is_number, name, names, number, rebuild, value
from fngen.naming import free_name

UNIT = name("1j")
"""The imaginary unit: a name that no formula can have."""
_PAIRED = frozenset({"re", "im", "abs", "arg", "sgn"})
_WITH_UNIT = frozenset({"im", "arg"})
_SAFE = frozenset({"tanh", "sigmoid"})


@dataclass(frozen=True)
class Slopes:
    """The derivatives by one input.

    Attributes:
        ahead: The derivative by the input; of a real result, twice that.
        behind: The derivative by its conjugate; of a real result, twice that.
        mirrored: The conjugate of ``ahead``.
    """

    ahead: Value
    behind: Value
    mirrored: Value


def is_real(root: Value) -> bool:
    """Say whether the result is a real tensor for complex inputs."""
    return _real([root])[root]


def _real(roots: Sequence[Value]) -> dict[Value, bool]:
    return fold(roots, lambda n, args: n.op in REAL_VALUED or (n.op != "name" and all(args)))


def partials(root: Value, inputs: Sequence[str], named: Sequence[Value] = ()) -> tuple[Slopes, ...]:
    """Return the derivatives of ``root`` by each input and its conjugate.

    Raises:
        NoDerivative: If a function in it has no known derivative.
    """
    bars = _bars(inputs)
    pairs = _pairs([root, *named], bars)
    top = pairs[root][0]
    real = is_real(root)
    if real:
        top = mul(number(2), top)
    kept = [pairs[n][0] for n in named]
    slopes = differentiate.partials(top, [*inputs, *bars.values()], kept)
    plain = _plain(slopes, {bar: value("conj", name(x)) for x, bar in bars.items()})
    ahead, behind = plain[: len(inputs)], plain[len(inputs) :]
    mirrored = [ZERO if real else conjugate(a) for a in ahead]
    return tuple(Slopes(*row) for row in zip(ahead, behind, mirrored, strict=True))


def _bars(inputs: Sequence[str]) -> dict[str, str]:
    """Return the name of each input's conjugate."""
    bars: dict[str, str] = {}
    for x in inputs:
        bars[x] = free_name(f"{x}_bar", {*inputs, *bars.values()})
    return bars


def _pairs(roots: Sequence[Value], bars: dict[str, str]) -> dict[Value, tuple[Value, Value]]:
    """Return each node, and its conjugate, in terms of the inputs and their conjugates."""
    real = _real(roots)

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
        op = f"_{node.op}" if node.op in _SAFE else node.op
        if node.op == "pow" and names([node.args[1]]):
            op = "_pow"
        image = value(op, *here, datum=node.datum)
        return image, image if real[node] else value(op, *there, datum=node.datum)

    return fold(roots, visit)


def _plain(roots: Sequence[Value], conjugates: dict[str, Value]) -> list[Value]:
    """Return derivatives in terms of the inputs alone, in the functions of a formula."""

    def visit(node: Value, args: list[Value]) -> Value:
        if node.op == "name":
            return conjugates.get(str(node.datum), node)
        if node.op[0] != "_":
            return rebuild(node, args) if args else node
        op = node.op[1:]
        return value(op, *(args[:1] if op in _PAIRED else args))

    done = fold(roots, visit)
    return [done[root] for root in roots]


def conjugate(root: Value) -> Value:
    """Return the conjugate of a derivative."""
    if set(names([root])) <= {UNIT.datum}:
        return _conjugate_inside(root)
    if root.op == "conj":
        return root.args[0]
    if root.op == "neg":
        return value("neg", conjugate(root.args[0]))
    holomorphic = not any(n.op in (*_PAIRED, "conj") for n in fold([root], lambda n, _: n))
    return value("conj", root) if holomorphic else _conjugate_inside(root)


def _conjugate_inside(root: Value) -> Value:
    """Return the conjugate, taken of the variables: what is real stays as it is."""
    real = _real([root])

    def visit(node: Value, args: list[Value]) -> Value:
        if node is UNIT:
            return value("neg", node)
        if real[node]:
            return node
        if node.op == "name":
            return value("conj", node)
        if node.op == "conj":
            return node.args[0]
        return rebuild(node, args)

    return fold([root], visit)[root]


def gradient(slopes: Slopes, cotangent: Value, *, real: bool) -> Value:
    """Return the gradient of an input."""
    if real:
        return mul(cotangent, slopes.behind)
    return add(mul(cotangent, slopes.mirrored), mul(value("conj", cotangent), slopes.behind))


def tangent(slopes: Sequence[Slopes], tangents: Sequence[str], *, real: bool) -> Value:
    """Return the tangent of the result."""
    terms = [mul(s.ahead, name(t)) for s, t in zip(slopes, tangents, strict=True)]
    if not real:
        terms += [
            mul(s.behind, value("conj", name(t))) for s, t in zip(slopes, tangents, strict=True)
        ]
    total = sum_of(terms)
    if is_number(total, 0):
        return value("full_like", name(tangents[0]), ZERO)
    return value("re", total) if real else total
