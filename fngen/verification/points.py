"""Points inside a formula's domain, found by looking for them."""

from __future__ import annotations

import torch
from torch import Tensor

from fngen.ir import Value, fold, postorder
from fngen.problem import Problem
from fngen.verification.reference import evaluate, gradients, in_phase, torch_differentiates

POPULATION = 384
WANTED = 96
ROUNDS = 80
_SENSITIVE, _TYPICAL, _FEW = 1e-10, 1e-8, 8
LARGEST = 1e100
"""Numbers beyond this, on the way too, say more about overflow than about a derivative:
they are a last resort."""


def find_points(problem: Problem) -> Tensor:
    """Return up to 96 points at which the formula and its gradient are finite.

    A point that is outside is moved in the inputs that the first undefined subexpression
    depends on, and in no others: a product of many restricted functions is found as fast
    as one of them. The same formula always gives the same points.

    Returns:
        Shape ``(inputs, points)``, float64 or complex128, on the CPU; no points if none were found.
    """
    for largest in (LARGEST, torch.inf):
        points = _search(problem, largest)
        if points.shape[1]:
            break
    return points


def _search(problem: Problem, largest: float) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    order = postorder([problem.value])
    support = _support(problem, order)
    points = _draw(problem, generator)
    for _ in range(ROUNDS):
        good = _is_good(problem, points, largest)
        if int(good.sum()) >= WANTED:
            break
        move = _to_move(problem, order, support, points, good)
        keep = torch.rand(move.shape, generator=generator) < 0.25
        points = torch.where(move & ~keep, _draw(problem, generator), points)
    return points[:, _is_good(problem, points, largest)][:, :WANTED]


def well_posed(problem: Problem, points: Tensor) -> Tensor:
    """Return the points at which rounding the inputs says next to nothing of the result.

    At 1e3, sin(x**3) is all rounding: no two ways of computing it agree there, and none is
    wrong. If few points are better than that, all of them are returned.
    """
    generator = torch.Generator().manual_seed(3)
    here = torch.cat([row.reshape(-1, points.shape[1]) for row in gradients(problem, points)])
    floor = _TYPICAL * here.abs().median(dim=1, keepdim=True).values
    good = torch.ones(points.shape[1], dtype=torch.bool)
    for _ in range(3):
        ulps = torch.randint(-4, 5, points.shape, generator=generator).to(points.dtype)
        near = gradients(problem, points * (1 + ulps * torch.finfo(points.dtype).eps))
        moved = torch.cat([row.reshape(-1, points.shape[1]) for row in near]) - here
        good &= (moved.abs() <= _SENSITIVE * here.abs().maximum(floor)).all(0)
    return points[:, good] if int(good.sum()) >= _FEW else points


def _draw(problem: Problem, generator: torch.Generator) -> Tensor:
    size = (len(problem.inputs), POPULATION)
    first = _coordinates(*size, generator)
    return torch.complex(first, _coordinates(*size, generator)) if problem.complex else first


def _coordinates(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Return coordinates on several scales: near 0, near 1, on both sides, far out."""

    def uniform(low: float, high: float) -> Tensor:
        size = (rows, columns)
        return low + (high - low) * torch.rand(size, generator=generator, dtype=torch.float64)

    sign = torch.where(uniform(-1, 1) < 0, -1.0, 1.0)
    scales = torch.stack(
        [
            uniform(-1, 1),
            uniform(0, 1),
            uniform(-3, 3),
            uniform(0.5, 4),
            sign * 10 ** uniform(-2, 3),
        ]
    )
    pick = torch.randint(len(scales), (1, rows, columns), generator=generator)
    drawn: Tensor = scales.gather(0, pick)[0]
    return drawn


def _support(problem: Problem, order: list[Value]) -> dict[Value, Tensor]:
    """Return for each node which inputs it depends on."""
    unit = torch.eye(len(problem.inputs), dtype=torch.bool)
    nothing = torch.zeros(len(problem.inputs), dtype=torch.bool)

    def visit(node: Value, args: list[Tensor]) -> Tensor:
        if node.op == "name":
            return unit[problem.inputs.index(str(node.datum))]
        depends: Tensor = torch.stack([nothing, *args]).any(0)
        return depends

    return fold(order, visit)


def _is_good(problem: Problem, points: Tensor, largest: float) -> Tensor:
    value, grads = gradients(problem, points)
    inside: Tensor = value.isfinite()
    for node in evaluate([problem.value], dict(zip(problem.inputs, points, strict=True))).values():
        inside &= ~(node.abs() > largest) if node.dtype != torch.bool else True
    if not torch_differentiates(problem):
        return inside
    inside &= grads.isfinite().all(0) & (grads.abs() <= largest).all(0)
    return inside


def _to_move(
    problem: Problem, order: list[Value], support: dict[Value, Tensor], points: Tensor, good: Tensor
) -> Tensor:
    """Return which coordinates the first undefined node of each bad point depends on."""
    values = evaluate(order, dict(zip(problem.inputs, points, strict=True)))
    pending, move = ~good, torch.zeros_like(points, dtype=torch.bool)
    for node in order:
        undefined = (~values[node].isfinite()).expand(good.shape) & pending
        if undefined.any():
            move |= support[node][:, None] & undefined
            pending &= ~undefined
    return move | pending


def smooth(problem: Problem, points: Tensor) -> Tensor:
    """Say at which points finite differences of value and gradient of the formula are good."""
    generator = torch.Generator().manual_seed(2)
    good = torch.ones(points.shape[1], dtype=torch.bool)
    for _ in range(2):
        direction = torch.rand(points.shape, generator=generator, dtype=points.dtype) - 0.5
        for step in (1e-6, 1e-4):
            (high, high_grad), (low, low_grad) = (
                gradients(problem, points + s * direction) for s in (step, -step)
            )
            _, grads = gradients(problem, points)
            slope, wanted = in_phase(high - low) / (2 * step), (grads.conj() * direction).sum(0).real
            good &= (slope - wanted).abs() <= 1e-4 * wanted.abs() + 1e-6
            middle = (high_grad + low_grad) / 2
            good &= ((middle - grads).abs() <= 1e-3 * grads.abs() + 1e-6).all(0)
            good &= (high_grad.abs() < 1e6).all(0)
    return good
