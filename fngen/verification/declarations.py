"""What a layer declares, checked in the file: constants at other values, first values, names of outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fngen.declared import CHANNELS
from fngen.problem import Problem
from fngen.verification.reference import evaluate
from fngen.verification.report import Check

_CLOSE = 1e-9


@dataclass(frozen=True)
class Declared:
    """A layer beside what was asked for.

    Attributes:
        problem: The formula, its constants still names.
        apply: The file's function.
        cls: The file's module.
        points: Shape ``(inputs, points)``.
    """

    problem: Problem
    apply: Callable[..., Any]
    cls: Callable[..., torch.nn.Module]
    points: Tensor

    def checks(self) -> Iterator[tuple[str, Callable[[], list[Check]]]]:
        """Return the names of the checks that the layer needs, and the checks."""
        if self.problem.consts:
            yield "constants", lambda: [self._said("constants", self._constants())]
        if self.problem.params:
            yield "parameters", lambda: [self._said("parameters", self._parameters())]
        if self.problem.results:
            yield "outputs", lambda: [self._said("outputs", self._outputs())]

    def _said(self, name: str, fault: str) -> Check:
        return Check(name, not fault, self.points.shape[1], detail=fault)

    @property
    def _sizes(self) -> list[int]:
        return [1 for _ in {p.dim for p in self.problem.params} - {None}]

    def _constants(self) -> str:
        """Compare function and module with the formula, each constant moved by something else."""
        places = enumerate(self.problem.consts, 1)
        moved = {c.name: float(c.default) * 1.25 + 0.5 * i for i, c in places}
        consts = tuple(replace(c, default=repr(moved[c.name])) for c in self.problem.consts)
        settled = replace(self.problem, consts=consts).at_defaults()
        want = evaluate([settled.value], dict(zip(settled.inputs, self.points, strict=True)))[settled.value]
        reduced = getattr(torch, settled.reduction)(want) if settled.reduction else want
        try:
            got = self._total(self.apply(*self.points, *moved.values()))
        except (ArithmeticError, ValueError):
            return ""  # Python's math has no value there, as the formula may have none.
        if not torch.allclose(got, reduced.expand_as(got), _CLOSE, _CLOSE, equal_nan=True):
            return f"with {moved} the function differs from the formula"
        learned = [torch.full((1,), float(p.init), dtype=torch.float64) for p in self.problem.params]
        inputs = self.points[: len(self.points) - len(learned)]
        wide = {"dtype": torch.float64} if learned else {}
        module = self.cls(*self._sizes, *moved.values(), **wide)
        got, want = module(*inputs), self.apply(*inputs, *learned, *moved.values())
        if not torch.allclose(self._total(got), self._total(want), 0, 0, equal_nan=True):
            return f"with {moved} the module differs from the function"
        return ""

    def _parameters(self) -> str:
        """Compare first values, and a parameter of each channel with one channel at a time."""
        module = self.cls(*(2 for _ in self._sizes))
        for (label, p), asked in zip(module.named_parameters(), self.problem.params, strict=True):
            if p.shape != ((1,) if asked.dim is None else (2,)):
                return f"{label} has shape {tuple(p.shape)}"
            if not torch.equal(p, torch.full_like(p, float(asked.init))):
                return f"{label} does not begin with {asked.init}"
        if not any(p.dim == CHANNELS for p in self.problem.params):
            return ""
        along = {p.name for p in self.problem.params if p.dim is not None}
        points = [row[:2] for row in self.points]
        whole = [
            row if x in along else row[None, :, None].expand(3, len(row), 2)
            for x, row in zip(self.problem.inputs, points, strict=True)
        ]
        if any(p.dim not in (None, CHANNELS) for p in self.problem.params):
            return ""
        got, want = self._total(self.apply(*whole)), self._total(self.apply(*points))
        spread = want if self.problem.reduction else want[None, :, None].expand_as(got)
        if not self.problem.reduction and not torch.allclose(got, spread, _CLOSE, 1e-300, equal_nan=True):
            return "a parameter does not run along dimension 1"
        return ""

    def _outputs(self) -> str:
        got = self.apply(*self.points)
        wanted = [label for label, _ in self.problem.results]
        names: Sequence[str] = getattr(got, "_fields", ())
        if [name.rstrip("_") for name in names] != [label.rstrip("_") for label in wanted]:
            return f"the outputs are {', '.join(names) or 'without names'}, not {', '.join(wanted)}"
        return ""

    def _total(self, output: Any) -> Tensor:
        total: Tensor = sum(output) if self.problem.results else output
        return total
