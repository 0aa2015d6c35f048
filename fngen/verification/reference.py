"""The formula as typed, evaluated operator by operator: by torch, and to 400 digits by mpmath.

Nothing here knows a derivative rule, SymPy or a printer: that is what makes it a reference.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, reduce
from typing import Any

import torch
from mpmath import mp
from torch import Tensor

from fngen.functions import TABLE
from fngen.ir import Over, Value, fold, postorder
from fngen.language.rules import definition
from fngen.numeric import mp_evaluate
from fngen.problem import Problem

DIGITS = 60
"""Enough for a reference."""
MANY_DIGITS = 400
"""Enough for a judge: a difference of step 1e-100 keeps the digits that tanh has near 1."""

COMPLEX_COTANGENT = complex(0.6, 0.8)

_OPERATORS: dict[str, Callable[..., Tensor]] = {
    "neg": operator.neg,
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "pow": operator.pow,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
    "and": operator.and_,
    "or": operator.or_,
    "not": operator.invert,
    "where": torch.where,
    "floor_divide": partial(torch.div, rounding_mode="floor"),
}
_CONSTANTS = {"pi": torch.pi, "nan": float("nan"), "true": True, "false": False}


def evaluate(roots: Sequence[Value], variables: dict[str, Tensor]) -> dict[Value, Tensor]:
    """Return the float64 value of every node below ``roots``."""

    def visit(node: Value, args: list[Tensor]) -> Tensor:
        if node.op == "name":
            return variables[str(node.datum)]
        if node.op == "number":
            return torch.tensor(float(node.datum), dtype=torch.float64)  # type: ignore[arg-type]
        if node.op in _CONSTANTS:
            datum = _CONSTANTS[node.op]
            return torch.tensor(datum, dtype=torch.bool if isinstance(datum, bool) else torch.float64)
        if node.op == "pow" and node.args[1].op == "number":
            return args[0] ** float(args[1])  # Of two tensors torch makes a logarithm too.
        if isinstance(node.datum, Over):
            return _reduced(node.op, args[0], node.datum)
        return _function(node.op)(*args)

    return fold(roots, visit)


def _reduced(op: str, x: Tensor, over: Over) -> Tensor:
    """Return a reduction that keeps its dimensions; over all, it has none."""
    if over.dims is None:
        return _reduced(op, x.flatten(), replace(over, dims=(0,))).reshape(())
    dims = over.dims
    if op == "prod":  # Of one dimension after the other.
        return reduce(lambda total, d: total.prod(d, keepdim=True), dims, x)
    if op == "norm":
        norm: Tensor = torch.linalg.vector_norm(x, float(over.option or 0), dims, keepdim=True)
        return norm
    more = {} if over.option is None else {"correction": float(over.option)}
    function: Callable[..., Tensor] = getattr(torch, op)
    return function(x, dim=dims, keepdim=True, **more)


def _function(op: str) -> Callable[..., Tensor]:
    if op in _OPERATORS:
        return _OPERATORS[op]
    row = TABLE[op]
    if row.torch:
        root: Any = torch
        function: Callable[..., Tensor] = reduce(getattr, row.torch.removeprefix("torch.").split("."), root)
        integers = [p in row.integers for p in row.parameters]
        numbers = [p in row.numbers for p in row.parameters]

        def call(*args: Any) -> Tensor:
            if any(n and isinstance(a, Tensor) for a, n in zip(args, numbers, strict=True)):
                return _by_definition(op, *args)  # torch takes a number there.
            return function(*(int(a) if i else a for a, i in zip(args, integers, strict=True)))

        return call
    return partial(_by_definition, op)


def _by_definition(op: str, *args: Any) -> Tensor:
    body = definition(op)
    found: Tensor = evaluate([body], dict(zip(TABLE[op].parameters, args, strict=True)))[body]
    return found


def torch_differentiates(problem: Problem) -> bool:
    """Say whether torch has the derivative of every function in the formula."""
    ops = {node.op for node in postorder([problem.value, *(slope for _, slope in problem.grads)])}
    return all(TABLE[op].native for op in ops if op in TABLE)


def cotangent(value: Tensor) -> Tensor:
    """Return what gradients are taken with: 1, or a complex number of that size.

    At 1, a derivative and its conjugate look alike.
    """
    return torch.full_like(value, COMPLEX_COTANGENT if value.is_complex() else 1)


def in_phase(change: Tensor) -> Tensor:
    """Return the part of a result's change that gradients with that cotangent speak of."""
    return (cotangent(change).conj() * change).real


def gradients(problem: Problem, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the value at each point, and the gradient by each input: torch autograd's, or the declared one.

    Args:
        problem: The formula.
        points: Shape ``(inputs, points)``.

    Returns:
        Tensors of shape ``(points,)`` and ``(inputs, points)``.
    """
    leaves = [p.clone().requires_grad_() for p in points]
    value = evaluate([problem.value], dict(zip(problem.inputs, leaves, strict=True)))[problem.value]
    value = value.expand(points.shape[1:])
    found: Sequence[Tensor | None] = [None] * len(leaves)
    if value.requires_grad:
        found = torch.autograd.grad(value, leaves, cotangent(value), allow_unused=True)
    slopes = [torch.zeros_like(x) if g is None else g for g, x in zip(found, leaves, strict=True)]
    for x, slope in problem.grads:
        variables = dict(zip(problem.inputs, points, strict=True))
        slopes[problem.inputs.index(x)] = evaluate([slope], variables)[slope].expand(points.shape[1:])
    return value.detach(), torch.stack(slopes)


def precise_value(problem: Problem, point: Sequence[complex], digits: int = DIGITS) -> complex:
    """Return the value at a point, worked out to so many digits."""
    with mp.workdps(digits):
        value = _mp_value(problem, [mp.mpmathify(x) for x in point])
        return complex(value) if isinstance(value, mp.mpc) else float(value)


def precise_partial(problem: Problem, point: Sequence[complex], index: int, digits: int = DIGITS) -> complex:
    """Return the gradient by one input at a point: the declared one, or by differences at so many digits."""
    with mp.workdps(digits):
        x = [mp.mpmathify(v) for v in point]
        if slope := dict(problem.grads).get(problem.inputs[index]):
            return float(mp_evaluate([slope], dict(zip(problem.inputs, x, strict=True)))[slope])
        if not problem.complex:
            return float(_slope(problem, x, index, mp.one, digits))
        along, across = (_slope(problem, x, index, d, digits) for d in (mp.one, mp.j))
        return complex(_in_phase(along), _in_phase(across))


def _in_phase(slope: Any) -> float:
    """Return the part of a change that a loss sees, when the gradient of the result is what it is."""
    return float((mp.conj(COMPLEX_COTANGENT) * slope).real if isinstance(slope, mp.mpc) else slope)


def _slope(problem: Problem, point: Sequence[Any], index: int, direction: Any, digits: int) -> Any:
    step = mp.mpf(10) ** -(digits // 4) * max(1, abs(point[index]))
    ahead, behind = list(point), list(point)
    ahead[index] += step * direction
    behind[index] -= step * direction
    return (_mp_value(problem, ahead) - _mp_value(problem, behind)) / (2 * step)


def _mp_value(problem: Problem, point: Sequence[Any]) -> Any:
    variables = dict(zip(problem.inputs, point, strict=True))
    return mp_evaluate([problem.value], variables)[problem.value]
