"""The checks of a formula with reductions: its points are whole tensors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.autograd.gradcheck import GradcheckError

from fngen.errors import VerificationError
from fngen.ir import Value
from fngen.problem import Problem
from fngen.verification.formula import given_back
from fngen.verification.judges import excused, holds, looked_at, wanted
from fngen.verification.mixtures import real_tensors, together
from fngen.verification.plain import Plain, Precise, Sample, cotangent, results_of
from fngen.verification.reference import torch_differentiates
from fngen.verification.report import Check, Report

_CLOSE = 1e-9
"""Relative difference from the reference beyond which 60 digits decide who is right."""
_ROUNDED = 1e-14
"""Of the value: of a slope that is 0, as that of a softmax's sum, rounding is all that anyone computes."""


def verify_tensors(
    asked: Problem, apply: Callable[..., Tensor], cls: Callable[..., torch.nn.Module]
) -> Report:
    """Compare a layer with torch autograd of the plain formula, on tensors.

    Args:
        asked: The formula, its constants still names.
        apply: The file's function.
        cls: The file's module.

    Raises:
        VerificationError: If no tensors were found for which the formula is finite.
    """
    report = (_of_several if asked.results else _of_one)(asked, apply, cls)
    return replace(report, checks=(*report.checks, *given_back(asked, cls)))


def _of_one(
    asked: Problem,
    apply: Callable[..., Tensor],
    cls: Callable[..., torch.nn.Module],
    beside: tuple[Value, ...] = (),
) -> Report:
    """Compare a layer of one output with its formula; ``beside`` are others that it has."""
    problem = asked.at_defaults()
    plain, native = Plain(problem, beside), torch_differentiates(problem)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples = plain.samples()
        if not samples:
            hint = "It may be complex or undefined everywhere: nothing was verified."
            raise VerificationError("no tensors found at which the layer is real and finite", hint)
        subject = TensorSubject(asked, plain, apply, cls, samples, native)
        checks = tuple(subject.checks())
    name = getattr(apply, "__name__", "layer")
    reference = "torch autograd of the formula" if native else "60-digit differences of the formula"
    reference += f" and {len(problem.grads)} declared" if problem.grads else ""
    return Report(name, reference, checks)


def _of_several(asked: Problem, apply: Callable[..., Any], cls: Callable[..., torch.nn.Module]) -> Report:
    """Compare each output of a layer with its formula."""
    reports, graphs = [], tuple(graph for _, graph in asked.results)
    for j, ((label, graph), dropped) in enumerate(zip(asked.results, asked.drops, strict=True)):
        single = replace(asked, value=graph, results=(), drops=(), dropped=dropped)

        def output(*xs: Tensor, place: int = j) -> Tensor:
            found: Tensor = apply(*xs)[place]
            return found

        def module(*sizes: float, place: int = j) -> torch.nn.Module:
            return _Output(cls(*sizes), place)

        reports.append((label, _of_one(single, output, module, graphs)))
    checks = tuple(replace(c, name=f"{label}: {c.name}") for label, r in reports for c in r.checks)
    return Report(getattr(apply, "__name__", "layer"), reports[0][1].reference, checks)


class _Output(torch.nn.Module):
    """One output of a module."""

    def __init__(self, module: torch.nn.Module, place: int) -> None:
        super().__init__()
        self.module, self.place = module, place

    def forward(self, *inputs: Tensor) -> Tensor:
        found: Tensor = self.module(*inputs)[self.place]
        return found


@dataclass(frozen=True)
class TensorSubject:
    """A layer under test, beside the plain formula."""

    asked: Problem
    plain: Plain
    apply: Callable[..., Tensor]
    cls: Callable[..., torch.nn.Module]
    found: Sequence[Sample]
    native: bool

    @property
    def count(self) -> int:
        """The number of elements at which it is compared."""
        return sum(s[0].numel() for s in self.found)

    def checks(self) -> Iterator[Check]:
        """Yield the checks; one that raises is one that failed."""
        steps: list[tuple[str, Callable[[], list[Check]]]] = [
            ("value", self.values),
            ("forward mode", lambda: [self.forward_mode()]),
            ("broadcasting", lambda: [self.broadcasting()]),
            ("module", lambda: [self.module()]),
            *([("real inputs", lambda: [self.real_inputs()])] if self.plain.problem.complex else []),
            ("gradcheck", lambda: [self.judged("gradcheck", gradcheck, check_forward_ad=True)]),
            ("gradgradcheck", lambda: [self.judged("gradgradcheck", gradgradcheck)]),
        ]
        for name, step in steps:
            try:
                yield from step()
            except Exception as error:  # Whatever a broken file raises is its failure, not ours.
                first = str(error).strip().split("\n")[0]
                yield Check(name, False, self.count, detail=f"{type(error).__name__}: {first}")

    def values(self) -> list[Check]:
        """Compare the value and each gradient, by the node for plain tensors and by that of torch.func."""
        declared = dict(self.plain.problem.grads)
        titles = [f"d/d{x}, declared" if x in declared else f"d/d{x}" for x in self.plain.problem.inputs]
        titles = ["value", *titles]
        worst = [0.0] * len(titles)
        faults = [""] * len(titles)
        for sample in self.found if self.native else self.found[:1]:
            precise = Precise(self.plain.problem, sample)
            want = self.plain.results(sample) if self.native else precise.results()
            output, vjp, *_ = torch.func.vjp(self.apply, *sample)
            transformed = [output, *vjp(cotangent(output))]
            for got in (results_of(self.apply, sample), transformed):
                for i, (mine, other) in enumerate(zip(got, want, strict=True)):
                    least = _ROUNDED * float(want[0].abs().max()) if i and want[0].numel() else 0.0
                    error, fault = _compared(mine, other, partial(precise.result, i), least)
                    worst[i], faults[i] = max(worst[i], error), faults[i] or fault
        rows = zip(titles, faults, worst, strict=True)
        return [Check(title, not fault, self.count, w, fault) for title, fault, w in rows]

    def forward_mode(self) -> Check:
        """Compare the tangent with the gradients: both say what a direction does."""
        for sample in self.found:
            output, vjp, *_ = torch.func.vjp(self.apply, *sample)
            tangents = tuple(cotangent(x) - 0.9 for x in sample)
            got = torch.func.jvp(self.apply, sample, tangents)[1]
            pairs = list(zip(vjp(cotangent(output)), tangents, strict=True))
            want, size = together(pairs), sum((g * t).abs().sum() for g, t in pairs)
            if got.shape != output.shape:
                return Check("forward mode", False, self.count, detail=f"shape {tuple(got.shape)}")
            if got.dtype != output.dtype:
                return Check("forward mode", False, self.count, detail=f"{got.dtype} for {output.dtype}")
            least = 1e-7 * size + _ROUNDED * output.abs().sum() + 1e-300
            if not bool((together([(cotangent(output), got)]) - want).abs() <= least):
                detail = "the tangent is not what the gradients say"
                return Check("forward mode", False, self.count, detail=detail)
        return Check("forward mode", True, self.count)

    def broadcasting(self) -> Check:
        """Compare with the plain formula where inputs are smaller than others, also along what is reduced."""
        if not self.native:
            return Check("broadcasting", True, 0, detail="torch does not differentiate the formula")
        sample, problem = self.found[0], self.plain.problem
        params = {p.name for p in problem.params}
        n = 0
        for i, x in enumerate(problem.inputs):
            if x in params or len(problem.inputs) - len(params) < 2:
                continue
            for d in range(sample[i].dim()):
                small = (*sample[:i], sample[i].narrow(d, 0, 1), *sample[i + 1 :])
                try:
                    got = results_of(self.apply, small)
                except ValueError:
                    if problem.grads:
                        continue  # Sizes that the formula itself would have to say what to do with.
                    raise
                pairs = zip(got, results_of(self.plain, small), strict=True)
                if not all(
                    a.shape == b.shape and torch.allclose(a, b, 1e-7, 1e-12, equal_nan=True) for a, b in pairs
                ):
                    detail = f"{x} of shape {tuple(small[i].shape)} among {tuple(sample[i].shape)}"
                    return Check("broadcasting", False, n, detail=detail)
                n += 1
        return Check("broadcasting", True, n)

    def real_inputs(self) -> Check:
        """Compare with the plain formula where some of the inputs are real tensors."""
        if not self.native:
            return Check("real inputs", True, 0, detail="torch does not differentiate the formula")
        fault = real_tensors(self.apply, self.plain, self.found[0])
        return Check("real inputs", not fault, self.count, detail=fault)

    def module(self) -> Check:
        """Compare the module with the function, and with the formula at other constants."""
        params, consts = self.plain.problem.params, self.asked.consts
        shape, sample = self.plain.shape, self.found[0]
        sizes = [shape[d] for d in dict.fromkeys(p.dim for p in params) if d is not None]
        moved = [float(c.default) * 1.25 + 0.5 * i for i, c in enumerate(consts, 1)]
        for values in ([float(c.default) for c in consts], moved):
            module = self.cls(*sizes, *values)
            inputs, learned = sample[: len(sample) - len(params)], sample[len(sample) - len(params) :]
            names = [label for label, _ in module.named_parameters()]
            own = {label: p.reshape(-1) for label, p in zip(names, learned, strict=True)}
            got = torch.func.functional_call(module, own, inputs)
            settled = replace(
                self.asked,
                consts=tuple(replace(c, default=repr(v)) for c, v in zip(consts, values, strict=True)),
            )
            want = Plain(settled.at_defaults())(*sample)
            if got.shape != want.shape or not torch.allclose(got, want, 1e-7, 1e-12, equal_nan=True):
                return Check(
                    "module", False, self.count, detail=f"with constants {values} it differs from the formula"
                )
        return Check("module", True, self.count)

    def judged(self, name: str, judge: Callable[..., bool], **options: bool) -> Check:
        """Let torch's own judge compare the layer with finite differences, on a small tensor.

        What it says of the plain formula, too, it says of the tensor: there another one is asked for.
        """
        problem = self.plain.problem
        if reason := excused(problem, name):
            return Check(name, True, 0, detail=reason)
        judged = partial(looked_at, judge, wanted(problem, name), options)
        for sample in (*self.found[1:], *self.found[:1]):
            try:
                judged(self.apply, sample)
            except GradcheckError:
                if problem.grads or not self.native or holds(judged, self.plain, sample):
                    raise
                continue
            return Check(name, True, self.count)
        return Check(name, True, 0, detail="no tensor is smooth enough for finite differences")


def _compared(
    got: Tensor, want: Tensor, precise: Callable[[int], complex], least: float
) -> tuple[float, str]:
    """Return the worst relative error, and what is wrong: where the two differ, 60 digits decide."""
    if (got.shape, got.dtype) != (want.shape, want.dtype):
        return 0.0, f"{got.dtype} of shape {tuple(got.shape)} for {want.dtype} of {tuple(want.shape)}"
    if not want.numel():
        return 0.0, ""
    size = want.abs().maximum(1e-8 * want.abs().max()).clamp(min=1e-300)
    apart = (got - want).abs()
    errors = torch.where(apart <= least, 0, apart / size).nan_to_num(torch.inf, torch.inf).flatten()
    for i in errors.gt(_CLOSE).nonzero().flatten().tolist():
        exact, here, there = precise(i), got.flatten()[i].item(), want.flatten()[i].item()
        mine, other, scale = abs(here - exact), abs(there - exact), float(want.abs().max())
        if not mine <= max(1e-7 * abs(exact), 1e-13 * scale, 8 * other):
            return float(
                errors[i]
            ), f"at element {i} the file gives {here!r}, the formula {there!r}, {exact!r} in full"
        errors[i] = min(float(errors[i]), mine / max(abs(exact), 1e-13 * scale, 1e-300))
    return float(errors.max()), ""
