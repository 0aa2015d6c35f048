"""Compares a layer with an entry of PyTorch's operator database: value, dtype and gradient.

Below float64 and complex128, a result that is not the operator's is compared with the operator in those
at the same point. It may be twice as far from that as the operator's, or as far as some roundings of the
inputs would move it: a formula rounds where a kernel of torch may keep more digits. Complex numbers that
have a nan in either part are equal: which part it is depends on the kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.testing._comparison import default_tolerances

from tests.op_db_departures import DEPARTURES
from tests.op_db_rows import Departure, Entry, Skip
from tests.op_db_samples import NARROW, ROUNDINGS, Trial, database, samples, tensors_of, trial, widen
from tests.plain import DEVICE

DRAWS = 8


@dataclass
class Tally:
    """What became of the samples of an entry in one dtype."""

    samples: int = 0
    gradients: int = 0
    settled: int = 0
    """Comparisons that the operator in float64 or complex128 had to settle."""
    skipped: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    departed: set[Departure] = field(default_factory=set)


def cotangent(y: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    wide = torch.complex128 if y.is_complex() else torch.float64
    return torch.randn(y.shape, dtype=wide, generator=generator).to(y)


def gradients(y: Tensor, inputs: Sequence[Tensor], grad_y: Tensor) -> list[Tensor | None]:
    if not y.requires_grad:
        return [None] * len(inputs)
    return list(torch.autograd.grad(y, inputs, grad_y, allow_unused=True))


def compare(case: Trial, tally: Tally) -> str:
    """Return the first thing that is wrong, or nothing."""
    try:
        expected = case.operator()
    except (RuntimeError, TypeError):
        tally.skipped["torch refuses"] += 1
        return ""
    tally.samples += 1
    actual = case.layer()
    if case.entry.condition:
        expected = expected.to(actual.dtype)
    if problem := Comparison(case, tally).problem(actual, expected):
        return problem
    if not (case.moving and expected.requires_grad):
        return ""
    grad_y = cotangent(expected)
    try:
        wanted = gradients(expected, case.moving, grad_y)
    except RuntimeError:
        tally.skipped["torch cannot differentiate"] += 1
        return ""
    tally.gradients += 1
    got = gradients(actual, case.moving, grad_y)
    for i, (g, w) in enumerate(zip(got, wanted, strict=True)):
        if w is None:
            continue
        g = torch.zeros_like(w) if g is None else g
        if problem := Comparison(case, tally, i, grad_y).problem(g, w):
            return problem
    return ""


@dataclass(frozen=True)
class Comparison:
    """Compares one result of a trial with the operator's."""

    case: Trial
    tally: Tally
    index: int | None = None
    """Which input the gradient is by; None compares the values."""
    grad_y: Tensor | None = None

    @property
    def name(self) -> str:
        return "value" if self.index is None else f"gradient {self.index}"

    def exact(self, generator: torch.Generator | None = None) -> Tensor:
        """Return what the operator gives in float64 or complex128, with a ``generator`` some roundings away."""
        case = self.case.widened(generator)
        y = case.operator()
        if self.index is None:
            return y.detach()
        result = gradients(y, case.moving, widen(self.grad_y, generator))[self.index]
        assert result is not None
        return result

    def problem(self, actual: Tensor, expected: Tensor) -> str:
        actual, expected = actual.detach(), expected.detach()
        if actual.shape != expected.shape:
            return f"{self.name} has the shape {tuple(actual.shape)}, not {tuple(expected.shape)}"
        excused = torch.zeros_like(actual, dtype=torch.bool)
        rows = list(self._departures(actual))
        for row, at in rows:
            if not self._is_true(row, actual, at):
                return f"{self.name} is wrong where {row.reason}"
            if actual.dtype != expected.dtype or not _equal(actual, expected)[at].all():
                self.tally.departed.add(row)
            excused |= at
        if rows and excused.all():
            return ""
        if actual.dtype != expected.dtype:
            return f"{self.name} is {actual.dtype}, not {expected.dtype}"
        return self._settle(actual, expected, excused)

    def _settle(self, actual: Tensor, expected: Tensor, excused: Tensor) -> str:
        fine = excused | _equal(actual, expected)
        if not fine.all() and actual.dtype in NARROW:
            self.tally.settled += 1
            fine |= self._is_as_good(actual, expected)
        if fine.all():
            return ""
        first = int((~fine).flatten().nonzero()[0])
        got, want = (t.flatten()[first].item() for t in (actual, expected))
        return (
            f"{self.name} is {got:.7g}, not {want:.7g}, and {int((~fine).sum())} of {fine.numel()} are wrong"
        )

    def _is_as_good(self, actual: Tensor, expected: Tensor) -> Tensor:
        """Return where a result is as near to that in float64 as the operator's, or some roundings away."""
        exact = self.exact()
        rtol, atol = default_tolerances(actual)
        rtol = max(rtol, ROUNDINGS / 2 * torch.finfo(actual.dtype).eps)
        error, error_of_torch = ((t.to(exact.dtype) - exact).abs() for t in (actual, expected))
        fine = error <= (atol + rtol * exact.abs()).maximum(2 * error_of_torch)
        fine |= _equal(actual, exact.to(actual.dtype))
        if not fine.all():
            generator = torch.Generator().manual_seed(2)
            moved = torch.stack([self.exact(generator) - exact for _ in range(DRAWS)])
            fine |= error <= 2 * moved.abs().nan_to_num(0, 0).amax(0)
        return fine

    def _departures(self, result: Tensor) -> Iterator[tuple[Departure, Tensor]]:
        present = {result.dtype, tensors_of(self.case.sample)[0].dtype}
        for row in DEPARTURES:
            known = not self.case.complex if row.dtypes is None else not present.isdisjoint(row.dtypes)
            if (
                known
                and self.case.entry.name in row.entries
                and row.what in (self.name, self.name.split()[0])
            ):
                yield row, _fold(row.at(*self._points()), result)

    def _points(self) -> tuple[Tensor, ...]:
        values = [torch.as_tensor(v, device=DEVICE).detach() for v in self.case.arguments.values()]
        return tuple(torch.broadcast_tensors(*values))

    def _is_true(self, row: Departure, actual: Tensor, at: Tensor) -> bool:
        if row.truth is None or (self.index and row.what != self.name):
            return True
        right = row.truth(*self._points())
        if self.grad_y is not None:
            right = self.grad_y * right.conj()
        if not actual.is_complex():
            right = right.real
        return right.shape != actual.shape or bool(_equal(actual, right.to(actual.dtype))[at].all())


def _fold(mask: Tensor, result: Tensor) -> Tensor:
    """Return a mask of broadcast points as one of a result that they were summed to."""
    return mask if mask.shape == result.shape else mask.double().sum_to_size(result.shape) > 0


def _equal(actual: Tensor, expected: Tensor) -> Tensor:
    rtol, atol = default_tolerances(actual, expected)
    return torch.isclose(actual.to(expected.dtype), expected, rtol=rtol, atol=atol, equal_nan=True)


def judge(entry: Entry, dtype: torch.dtype) -> Tally:
    """Return what became of the samples of an entry in one dtype."""
    op, tally = database()[entry.name], Tally()
    gradient = op.supports_autograd and dtype in op.supported_backward_dtypes(DEVICE)
    for sample in samples(op, dtype, gradient):
        case = trial(op, entry, sample, dtype)
        if isinstance(case, Skip):
            tally.skipped[case.reason] += 1
            continue
        try:
            problem = compare(case, tally)
        except Exception as error:
            problem = f"{type(error).__name__}: {' '.join(str(error).split())}"
        if problem:
            tally.wrong.append(f"{case.formula} on {_shapes(case.arguments)}: {problem}")
    return tally


def _shapes(arguments: dict[str, Any]) -> str:
    return ", ".join(str(tuple(v.shape)) if isinstance(v, Tensor) else repr(v) for v in arguments.values())
