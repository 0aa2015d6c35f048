"""A layer under test, beside its formula, and what counts as wrong there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fngen.problem import Problem
from fngen.verification.reference import DIGITS, MANY_DIGITS

DECIDED = 1e-7
"""Relative error that is wrong, unless the reference itself is no better there."""
_FLOOR = 1e-8


@dataclass(frozen=True)
class Subject:
    """A layer under test, beside its formula."""

    problem: Problem
    function: Callable[..., Tensor]
    module: torch.nn.Module
    points: Tensor
    native: bool
    output: int | None = None
    """Which of several outputs the function returns; of all, it returns the sum."""

    def module_agrees(self) -> bool:
        """Say whether the module gives what the function gives."""
        params = [p.name for p in self.problem.params]
        inputs = self.points[: len(self.points) - len(params)]
        learned = [p[:1] for p in self.points[len(inputs) :]]
        names = [name for name, _ in self.module.named_parameters()]
        got = torch.func.functional_call(self.module, dict(zip(names, learned, strict=True)), tuple(inputs))
        if self.output is not None:
            got = got[self.output]
        elif self.problem.results:
            got = sum(got)
        want = self.function(*inputs, *learned)
        return torch.allclose(got, want, rtol=0, atol=0, equal_nan=True)

    @property
    def digits(self) -> int:
        """The digits with which a difference is judged."""
        return MANY_DIGITS if self.native else DIGITS

    @property
    def decided(self) -> float:
        """The relative error that is wrong."""
        return DECIDED if self.native else 100 * DECIDED

    @property
    def floor(self) -> float:
        """The share of a typical size below which errors count as absolute.

        torch's float64 Bessel functions are wrong by up to 1e-6 of their amplitude, and
        the more beside their zeros.
        """
        return _FLOOR if self.native else 0.1
