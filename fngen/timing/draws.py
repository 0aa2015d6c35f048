"""Inputs to time a layer with: ordinary numbers inside the formula's domain."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fngen.alignment import alignment
from fngen.errors import VerificationError
from fngen.problem import Problem
from fngen.timing.ways import plain
from fngen.verification.plain import Plain
from fngen.verification.points import find_points

_COLUMNS = 512
"""The elements of a row, where rows are reduced."""
_SMALL, _LARGE, _FEW = 1e-2, 4.0, 8
"""The size of ordinary numbers, and how few of them are worse than others."""


def drawn(problem: Problem, size: int, dtype: torch.dtype) -> list[Tensor]:
    """Return tensors for the inputs of a formula, of so many elements; parameters have their own shapes.

    Raises:
        VerificationError: If there is no point at which the formula is finite.
    """
    shape = _shape(problem, size)
    shapes = {x: Plain(problem).shape_of(x, shape) or (1,) for x in problem.inputs}
    if problem.reduces or problem.complex:
        kind = dtype.to_complex() if problem.complex else dtype
        return [(torch.rand(shapes[x], dtype=kind) + 0.5).requires_grad_() for x in problem.inputs]
    pool = _pool(problem)
    count = math.prod(shape)
    chosen = torch.randint(pool.shape[1], (count,), generator=torch.Generator().manual_seed(0))
    learned = {p.name for p in problem.params}
    found = []
    for x, row in zip(problem.inputs, pool, strict=True):
        values = row[:1].expand(shapes[x]) if x in learned else row[chosen].reshape(shapes[x])
        found.append(values.to(dtype).requires_grad_())
    return found


def _shape(problem: Problem, size: int) -> tuple[int, ...]:
    """Return a shape of about so many elements: a row alone, unless dimensions have a meaning."""
    rank = alignment([problem.value], {x: x for x in problem.inputs}, problem.params).rank
    if not problem.reduces and rank < 2:
        return (size,)
    columns = min(size, _COLUMNS)
    return (*(1 for _ in range(rank - 2)), max(size // columns, 1), columns)


def _pool(problem: Problem) -> Tensor:
    """Return points where the formula is finite, parameters as they start: ordinary numbers if it can be."""
    points = find_points(problem)
    first = {p.name: float(p.init) for p in problem.params}
    for x, row in zip(problem.inputs, points, strict=True):
        if x in first:
            row.fill_(first[x])
    values = plain(problem)(*points)
    results = torch.stack([y.expand(points.shape[1]) for y in (values if problem.results else (values,))])
    points = points[:, results.isfinite().all(0)]
    if not points.shape[1]:
        raise VerificationError("no point found at which the formula is finite: there is nothing to time")
    ordinary = ((points.abs() >= _SMALL) & (points.abs() <= _LARGE)).all(0)
    return points[:, ordinary] if int(ordinary.sum()) >= _FEW else points
