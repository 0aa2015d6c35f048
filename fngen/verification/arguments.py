"""How a layer treats its arguments: shapes that broadcast, gradients that are wanted alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import torch
from torch import Tensor

from fngen.verification.reference import cotangent
from fngen.verification.report import Check
from fngen.verification.under_test import DECIDED, Subject

_MANY_INPUTS = 24


def broadcasting(subject: Subject) -> Check:
    """Compare values and summed gradients for inputs of different shapes with those in full shape."""
    points = subject.points[:, :2]
    n = points.shape[1]
    shapes: Iterator[tuple[int, ...]] = cycle([(n, 1), (n,), ()])
    along = {p.name for p in subject.problem.params if p.dim is not None}
    fixed = [x in along for x in subject.problem.inputs]
    chosen = [(n,) if f else s for f, s in zip(fixed, shapes, strict=False)]
    leaves = [p.reshape(s) if s else p[0] for p, s in zip(points, chosen, strict=True)]
    mine = [x.clone().requires_grad_() for x in leaves]
    plain = [x.clone().requires_grad_() for x in leaves]
    # The same values in full shape: there it is the expansion that sums the gradients.
    expected = subject.function(*(x if f else x.expand(n, n) for x, f in zip(plain, fixed, strict=True)))
    got = subject.function(*mine)
    ok = got.shape == expected.shape and torch.allclose(got, expected, DECIDED, 1e-300, equal_nan=True)
    if ok:
        pairs = zip(_grads(got, mine), _grads(expected, plain), strict=True)
        ok = all(a.shape == b.shape and torch.allclose(a, b, DECIDED, 1e-9, equal_nan=True) for a, b in pairs)
    return Check("broadcasting", ok, n, detail="" if ok else "shapes or sums differ from those in full shape")


def one_gradient(subject: Subject) -> Check:
    """Compare each gradient, when it alone is wanted, with the same among all of them."""
    points = subject.points
    together = _grads(subject.function(*(leaves := [p.clone().requires_grad_() for p in points])), leaves)
    for i, x in enumerate(subject.problem.inputs[:_MANY_INPUTS]):
        leaf = points[i].clone().requires_grad_()
        alone = _grads(subject.function(*points[:i], leaf, *points[i + 1 :]), [leaf])
        if not torch.allclose(alone[0], together[i], DECIDED, 1e-300, equal_nan=True):
            detail = f"d/d{x} alone is not what it is among all"
            return Check("one gradient", False, points.shape[1], detail=detail)
    return Check("one gradient", True, points.shape[1])


def _grads(output: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    if not output.requires_grad:
        return [torch.zeros_like(x) for x in leaves]
    grads = torch.autograd.grad(output, leaves, cotangent(output), allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(grads, leaves, strict=True)]
