"""The checks, one function each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from types import ModuleType

import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from fngen.errors import FileError, VerificationError
from fngen.naming import class_name
from fngen.problem import Problem
from fngen.verification.arguments import broadcasting, one_gradient
from fngen.verification.declarations import Declared
from fngen.verification.formula import given_back
from fngen.verification.judges import judge, well_conditioned
from fngen.verification.mixtures import real_inputs
from fngen.verification.points import find_points, well_posed
from fngen.verification.reference import (
    cotangent,
    gradients,
    in_phase,
    precise_partial,
    precise_value,
    torch_differentiates,
)
from fngen.verification.report import Check, Report
from fngen.verification.tensors import verify_tensors
from fngen.verification.under_test import Subject

TOLERANCE = 1e-9
"""Relative difference from the reference beyond which 400 digits decide who is right."""
_PRECISE_POINTS = 16


def verify(problem: Problem, module: ModuleType, function: str) -> Report:
    """Compare an imported layer with torch autograd of the plain formula.

    Args:
        problem: The formula, as parsed from the text that the user typed.
        module: The emitted file, imported.
        function: The name of its function.

    Returns:
        The report; a check that raises is a check that failed.

    Raises:
        VerificationError: If no point of the formula's domain was found.
        FileError: If the file has no such function or module.
    """
    try:
        apply, cls = getattr(module, function), getattr(module, class_name(function))
        layer = cls(*(1 for _ in {p.dim for p in problem.params} - {None}))
    except AttributeError as error:
        raise FileError(f"the file has no layer {function!r}: {error}") from None
    asked, problem = problem, problem.at_defaults()
    if problem.reduces:
        return verify_tensors(asked, apply, cls)
    points = find_points(problem)
    if not points.shape[1]:
        hint = "It may be complex or undefined everywhere: nothing was verified."
        raise VerificationError(f"no point found at which {function!r} is real and finite", hint)
    native = torch_differentiates(problem)
    points = well_posed(problem, points) if native else points[:, :_PRECISE_POINTS]
    total = (lambda *xs: sum(apply(*xs))) if problem.results else apply
    subject = Subject(problem, total, layer, points, native)
    # A layer may warn as torch does; a wrong one is a failed check, not a warning.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checks = tuple(_checks(subject, native))
        declared = Declared(asked, apply, cls, points)
        for name, check in declared.checks():
            checks += tuple(_guarded(name, subject, check))
        checks += (*_each_output(subject, apply, native), *given_back(asked, cls))
    reference = "torch autograd of the formula" if native else "60-digit differences of the formula"
    reference += f" and {len(problem.grads)} declared" if problem.grads else ""
    return Report(function, reference, checks)


def _each_output(subject: Subject, apply: Callable[..., tuple[Tensor, ...]], native: bool) -> Iterator[Check]:
    """Compare each of several outputs with its formula."""
    for j, (label, graph) in enumerate(subject.problem.results):
        single = replace(subject.problem, value=graph, results=())
        one = replace(subject, problem=single, function=_output(apply, j), output=j)
        yield from (replace(c, name=f"{label}: {c.name}") for c in _value_and_partials(one, native))


def _output(apply: Callable[..., tuple[Tensor, ...]], j: int) -> Callable[..., Tensor]:
    """Return one output of a layer as a function."""
    return lambda *xs: apply(*xs)[j]


def _value_and_partials(subject: Subject, native: bool) -> Iterator[Check]:
    value, grads = _reference(subject, native)
    yield from _guarded("value", subject, lambda: _value(subject, value))
    yield from _guarded("partials", subject, lambda: _partials(subject, value, grads))


def _checks(subject: Subject, native: bool) -> Iterator[Check]:
    yield from _value_and_partials(subject, native)
    yield from _guarded("forward mode", subject, lambda: [_forward_mode(subject)])
    if len(subject.problem.inputs) > 1:
        yield from _guarded("broadcasting", subject, lambda: [broadcasting(subject)])
        yield from _guarded("one gradient", subject, lambda: [one_gradient(subject)])
    if subject.problem.complex:
        yield from _guarded("real inputs", subject, lambda: [real_inputs(subject)])
    judged = well_conditioned(subject, native)
    for name, judged_by in (("gradcheck", gradcheck), ("gradgradcheck", gradgradcheck)):
        yield from _guarded(name, subject, lambda n=name, j=judged_by: [judge(n, j, subject, judged)])  # type: ignore[misc]


def _guarded(name: str, subject: Subject, check: Callable[[], list[Check]]) -> list[Check]:
    try:
        return check()
    except Exception as error:  # Whatever a broken file raises is its failure, not ours.
        first = str(error).strip().split("\n")[0]
        return [Check(name, False, subject.points.shape[1], detail=f"{type(error).__name__}: {first}")]


def _reference(subject: Subject, native: bool) -> tuple[Tensor, Tensor]:
    problem, points = subject.problem, subject.points
    if native:
        return gradients(problem, points)
    columns = points.T.tolist()
    value = torch.tensor([precise_value(problem, p) for p in columns], dtype=torch.float64)
    rows = [[precise_partial(problem, p, i) for p in columns] for i in range(len(problem.inputs))]
    return value, torch.tensor(rows, dtype=torch.float64)  # No complex function lacks a derivative.


def _weight(subject: Subject) -> float:
    return 1 / subject.points.shape[1] if subject.problem.reduction == "mean" else 1.0


def _value(subject: Subject, expected: Tensor) -> list[Check]:
    problem, points = subject.problem, subject.points
    got = subject.function(*points)
    if not subject.module_agrees():
        return [Check("value", False, points.shape[1], detail="the module and the function differ")]
    if problem.reduction:
        total = expected.sum() * _weight(subject)
        worst = float((got - total).abs() / expected.abs().sum().clamp(min=1e-300) / _weight(subject))
        detail = "" if worst < TOLERANCE else f"the file gives {got.item()}, the formula {total.item()}"
        return [Check("value", worst < TOLERANCE, points.shape[1], worst, detail)]
    kept = subject.function(*(p.clone().requires_grad_() for p in points))

    def precise(p: list[complex]) -> complex:
        return precise_value(problem, p, subject.digits)

    return [_worst(_compare("value", subject, v, expected, precise) for v in (got, kept))]


def _partials(subject: Subject, value: Tensor, expected: Tensor) -> list[Check]:
    problem = subject.problem
    leaves = [p.clone().requires_grad_() for p in subject.points]
    output = subject.function(*leaves)
    eager = torch.autograd.grad(output, leaves, cotangent(output), allow_unused=True)
    output, vjp, *_ = torch.func.vjp(subject.function, *subject.points)
    transformed = vjp(cotangent(output))
    checks, declared = [], dict(problem.grads)
    for i, x in enumerate(problem.inputs):

        def precise(p: list[complex], index: int = i) -> complex:
            return precise_partial(problem, p, index, subject.digits)

        found = [torch.zeros_like(leaves[i]) if g[i] is None else g[i] for g in (eager, transformed)]
        # What rounding x moves the value by: all that is known of a partial whose terms cancel to 0.
        sizes = torch.cat([value[None], subject.points * expected]).abs().amax(0)
        rounding = 16 * torch.finfo(torch.float64).eps * sizes / subject.points[i].abs()
        title = f"d/d{x}, declared" if x in declared else f"d/d{x}"
        rows = [_compare(title, subject, g / _weight(subject), expected[i], precise, rounding) for g in found]
        checks.append(_worst(rows))
    return checks


def _worst(checks: Iterable[Check]) -> Check:
    """Return the worse of one check made of two nodes of a file."""
    return max(checks, key=lambda c: (not c.ok, c.worst or 0))


def _compare(
    name: str,
    subject: Subject,
    got: Tensor,
    expected: Tensor,
    precise: Callable[[list[complex]], complex],
    rounding: Tensor | None = None,
) -> Check:
    """Compare at every point; where file and reference differ, let 400 digits decide."""
    got = got.detach()
    if (got.shape, got.dtype) != (expected.shape, expected.dtype):
        detail = f"{got.dtype} of shape {tuple(got.shape)} for {expected.dtype} of {tuple(expected.shape)}"
        return Check(name, False, expected.numel(), detail=detail)
    floor = max(subject.floor * float(expected.abs().median()), 1e-300)
    errors = ((got - expected).abs() / expected.abs().clamp(min=floor)).nan_to_num(torch.inf, torch.inf)
    for j in errors.gt(TOLERANCE).nonzero().flatten().tolist():
        point = subject.points[:, j].tolist()
        exact, here, there = precise(point), got[j].item(), expected[j].item()
        mine, other = abs(here - exact), abs(there - exact)
        if rounding is not None and abs(exact) < 1e-30 * rounding[j] and mine <= rounding[j]:
            errors[j] = 0
            continue
        if not mine <= subject.decided * max(abs(exact), floor) + 8 * other:
            return Check(name, False, got.numel(), float(errors[j]), _place(subject, point, here, there))
        errors[j] = min(mine / max(abs(exact), floor), float(errors[j]))
    return Check(name, True, got.numel(), float(errors.max()))


def _place(subject: Subject, point: list[complex], got: complex, expected: complex) -> str:
    inputs = zip(subject.problem.inputs, point, strict=True)
    at = ", ".join(f"{x}={v!r}" for x, v in list(inputs)[:8])
    return f"at {at} the file gives {got!r}, the formula {expected!r}"


def _forward_mode(subject: Subject) -> Check:
    """Compare the tangent with the layer's own partials, which are judged by themselves."""
    points = subject.points
    output, vjp, *_ = torch.func.vjp(subject.function, *points)
    grads = torch.stack(vjp(cotangent(output))) / _weight(subject)
    generator = torch.Generator().manual_seed(1)
    tangents = torch.rand(points.shape, generator=generator, dtype=points.dtype) + 0.5
    got = torch.func.jvp(subject.function, tuple(points), tuple(tangents))[1]
    if got.shape != output.shape:
        return Check("forward mode", False, points.shape[1], detail=f"shape {tuple(got.shape)}")
    got = in_phase(got)
    floor = subject.floor * grads.abs().median(dim=1, keepdim=True).values
    expected = (grads.conj() * tangents).sum(0).real
    size = (grads.abs().clamp(min=floor) * tangents.abs()).sum(0)
    if subject.problem.reduction:
        expected, size = expected.sum() * _weight(subject), size.sum() * _weight(subject)
    close = (got - expected).abs() <= subject.decided * size + 1e-300
    detail = "" if bool(close.all()) else "the tangent is not the sum of partials times tangents"
    return Check("forward mode", not detail, points.shape[1], detail=detail)
