"""Real numbers in a complex layer: as real tensors, and on the real axis of complex ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice, product

import torch
from torch import Tensor

from fngen.problem import Problem
from fngen.verification.plain import Plain, Sample, results_of
from fngen.verification.plain import cotangent as weights
from fngen.verification.reference import cotangent, evaluate, in_phase
from fngen.verification.report import Check
from fngen.verification.under_test import DECIDED, Subject

_MIXTURES = 16
_SMALL = 1e-3
"""The size that numbers have before they cancel, where they do."""
_STEP = 1e-7
"""How far beside the axis a gradient must be the same: else it is a cut that lies there."""


def real_inputs(subject: Subject) -> Check:
    """Compare values, gradients and tangents with torch's, and that what is real stays real."""
    compared = 0
    for kinds in islice(product(("real", "axis"), repeat=len(subject.points)), _MIXTURES):
        try:
            wanted = _on_axis(subject, kinds, 0.0)
            beside = [_on_axis(subject, kinds, step) for step in (_STEP, -_STEP)]
        except RuntimeError:
            continue  # The imaginary part of a real tensor is an error in torch too.
        good = wanted.isfinite().all(0)
        for near in beside:
            good &= ((near - wanted).abs() <= 1e-4 * wanted.abs() + 1e-4).all(0)
        if detail := _differs(subject, kinds, wanted, good):
            return Check("real inputs", False, int(good.sum()), detail=f"{', '.join(kinds)}: {detail}")
        compared += int(good.sum())
    return Check("real inputs", True, compared)


def real_tensors(function: Callable[..., Tensor], plain: Plain, sample: Sample) -> str:
    """Return what differs from the plain formula where some inputs are real tensors, or nothing."""
    kinds = list(islice(product((True, False), repeat=sum(x.is_complex() for x in sample)), _MIXTURES))
    for chosen in kinds[:-1] if len(kinds) < _MIXTURES else kinds:
        real = iter(chosen)
        inputs = tuple(x.real.clone() if x.is_complex() and next(real) else x for x in sample)
        try:
            want = results_of(plain, inputs)
        except RuntimeError:
            continue  # The imaginary part of a real tensor is an error in torch too.
        got = results_of(function, inputs)
        types = ", ".join(str(x.dtype) for x in inputs)
        for label, a, b in zip(("value", *plain.problem.inputs), got, want, strict=True):
            good = b.isfinite()  # A logarithm has no real value of a negative number.
            if (a.dtype, a.shape) != (b.dtype, b.shape) or not _close(a[good], b[good], _SMALL):
                return f"of {types} {label} is not what it is in the formula"
        tangents = tuple(weights(x) - 0.9 for x in inputs)
        output, pushed, *_ = torch.func.jvp(function, inputs, tangents)
        if pushed.dtype != output.dtype:
            return f"of {types} the tangent is {pushed.dtype}, the result {output.dtype}"
        ahead, back = together([(weights(output), pushed)]), together(zip(got[1:], tangents, strict=True))
        if back.isfinite() and not _close(ahead, back, _SMALL):
            return f"of {types} the tangents do not fit the gradients"
    return ""


def together(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Return what all gradients make of all changes."""
    return torch.stack([(g.conj() * t).real.sum() for g, t in pairs]).sum()


def _leaves(subject: Subject, kinds: tuple[str, ...], beside: float) -> list[Tensor]:
    points = subject.points.real
    return [
        x.clone() if kind == "real" else torch.complex(x, torch.full_like(x, beside))
        for x, kind in zip(points, kinds, strict=True)
    ]


def _on_axis(subject: Subject, kinds: tuple[str, ...], beside: float) -> Tensor:
    """Return the gradients by torch autograd of the formula."""
    leaves = [x.requires_grad_() for x in _leaves(subject, kinds, beside)]
    return torch.stack(_gradients(_plain(subject.problem, leaves), leaves))


def _plain(problem: Problem, leaves: list[Tensor]) -> Tensor:
    value = evaluate([problem.value], dict(zip(problem.inputs, leaves, strict=True)))[problem.value]
    value = value.expand(leaves[0].shape)
    reduced: Tensor = getattr(value, problem.reduction)() if problem.reduction else value
    return reduced


def _gradients(output: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    if not output.requires_grad:
        return [torch.zeros_like(x) for x in leaves]
    found = torch.autograd.grad(output, leaves, cotangent(output), allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, leaves, strict=True)]


def _differs(subject: Subject, kinds: tuple[str, ...], wanted: Tensor, good: Tensor) -> str:
    leaves = [x.requires_grad_() for x in _leaves(subject, kinds, 0.0)]
    output = subject.function(*leaves)
    if output.dtype != _plain(subject.problem, leaves).dtype:
        return f"the result is {output.dtype}"
    got = _gradients(output, leaves)
    if not _close(torch.stack(got)[:, good], wanted[:, good]):
        return "the gradients are not those of the formula"
    generator = torch.Generator().manual_seed(5)
    tangents = [torch.rand(x.shape, generator=generator, dtype=x.dtype) for x in leaves]
    pushed = torch.func.jvp(subject.function, tuple(x.detach() for x in leaves), tuple(tangents))[1]
    if pushed.dtype != output.dtype:
        return f"the tangent is {pushed.dtype}, the result {output.dtype}"
    if subject.problem.reduction:
        return ""
    expected = torch.stack([(g.conj() * t).real for g, t in zip(got, tangents, strict=True)]).sum(0)
    return "" if _close(in_phase(pushed)[good], expected[good]) else "the tangents do not fit the gradients"


def _close(a: Tensor, b: Tensor, small: float = 1e-300) -> bool:
    size = float(b.abs().max()) if b.numel() else 0.0
    return torch.allclose(a, b, rtol=10 * DECIDED, atol=1e-9 * max(size, small), equal_nan=True)
