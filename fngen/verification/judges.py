"""torch's own judges, at points where the finite differences that they compare with are good."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from fngen.ir import postorder
from fngen.problem import Problem
from fngen.verification.points import smooth
from fngen.verification.report import Check
from fngen.verification.under_test import Subject

_JUDGED = 3
_FEW_INPUTS, _MANY_INPUTS = 6, 24
_ELEMENTS = 24
"""Elements of tensors up to which every one is compared by itself."""


def well_conditioned(subject: Subject, native: bool) -> Tensor:
    """Return the few points at which finite differences of the formula itself are good.

    gradcheck compares with finite differences of step 1e-6, which fail near a kink, a pole,
    or where the third derivative is huge: that says nothing about a layer.
    """
    points = subject.points
    order = points.abs().log().abs().amax(0).argsort()
    points = points[:, order]
    if native:
        points = points[:, smooth(subject.problem, points)]
    return points[:, :_JUDGED]


def excused(problem: Problem, name: str) -> str:
    """Return why a judge has nothing to say of a layer, or nothing.

    Finite differences of the value know nothing of a declared gradient, those of gradients do.
    """
    judged = [problem.value] if name == "gradcheck" else problem.graphs
    if any(n.op == "stop_gradient" for n in postorder(judged)):
        return "finite differences see nothing of a gradient that is stopped"
    if name == "gradcheck" and not any(wanted(problem, name)):
        return "every gradient is declared"
    return ""


def wanted(problem: Problem, name: str) -> list[bool]:
    """Return of which inputs a judge looks at the gradient."""
    declared = {x for x, _ in problem.grads} if name == "gradcheck" else set()
    return [x not in declared for x in problem.inputs]


def judge(name: str, judged_by: Callable[..., bool], subject: Subject, points: Tensor) -> Check:
    """Let torch's own judge compare the layer with finite differences."""
    if not points.shape[1]:
        return Check(name, True, 0, detail="no point is smooth enough for finite differences")
    if reason := excused(subject.problem, name):
        return Check(name, True, 0, detail=reason)
    pairs = zip(points, wanted(subject.problem, name), strict=True)
    function, leaves = subject.function, tuple(p.clone().requires_grad_(w) for p, w in pairs)
    if len(leaves) > _MANY_INPUTS:
        function, leaves = _along_a_direction(subject, points)
    options = {"fast_mode": len(leaves) > _FEW_INPUTS}
    if name == "gradcheck":
        options["check_forward_ad"] = True
    with repeatable():
        judged_by(function, leaves, **options)
    return Check(name, True, points.shape[1])


def looked_at(
    judge: Callable[..., bool],
    wanted: Sequence[bool],
    options: Mapping[str, bool],
    function: Callable[..., Tensor],
    sample: Sequence[Tensor],
) -> None:
    """Let a judge compare a function of tensors with finite differences.

    Raises:
        GradcheckError: If they differ.
    """
    leaves = [x.clone().requires_grad_(w) for x, w in zip(sample, wanted, strict=True)]
    with repeatable():
        judge(function, leaves, fast_mode=sum(x.numel() for x in leaves) > _ELEMENTS, **options)


def holds(judged: Callable[..., None], function: Callable[..., Tensor], sample: Sequence[Tensor]) -> bool:
    """Say whether a judge has nothing to say against a function."""
    try:
        judged(function, sample)
    except GradcheckError:
        return False
    return True


@contextmanager
def repeatable() -> Iterator[None]:
    """Let what a judge draws at random be the same at all times."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _along_a_direction(subject: Subject, points: Tensor) -> tuple[Callable[[Tensor], Tensor], tuple[Tensor]]:
    """Return the layer on a line through each point: its Hessian has the square of the inputs."""
    directions = torch.rand(points.shape, generator=torch.Generator().manual_seed(4), dtype=points.dtype)
    steps = torch.zeros(points.shape[1], dtype=points.dtype, requires_grad=True)

    def line(s: Tensor) -> Tensor:
        return subject.function(*(p + s * d for p, d in zip(points, directions, strict=True)))

    return line, (steps,)
