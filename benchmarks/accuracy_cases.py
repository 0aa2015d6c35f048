"""The formulas of the accuracy benchmark, and the ways in which each is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

import fngen
from fngen.errors import FngenError
from fngen.measurement.computed import Function, plain
from fngen.problem import Problem, read
from fngen.spec import Spec

HERE = Path(__file__).parent
SETS = {name: HERE / f"accuracy_{name}.tsv" for name in ("suite", "heldout", "second", "many")}
PLAIN, TORCH, FNGEN, ACCURATE = "plain", "torch", "fngen", "accurate"


def _stacked(function: Callable[[Tensor, int], Tensor]) -> Function:
    return lambda *inputs: function(torch.stack(inputs), 0)


BUILTINS: dict[str, Function] = {
    "sigmoid": torch.sigmoid,
    "sigmoid2": torch.sigmoid,
    "silu": F.silu,
    "mish": F.mish,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "softplus": F.softplus,
    "logsigmoid": F.logsigmoid,
    "elu": F.elu,
    "celu2": lambda x: F.celu(x, alpha=2.0),
    "selu": F.selu,
    "hardswish": F.hardswish,
    "softsign": F.softsign,
    "tanhshrink": F.tanhshrink,
    "ndtr": torch.special.ndtr,
    "log_ndtr": torch.special.log_ndtr,
    "tanh_exp": torch.tanh,
    "logit": torch.logit,
    "expm1": torch.expm1,
    "log1p": torch.log1p,
    "sinc": lambda x: torch.sinc(x / math.pi),
    "entropy": torch.special.entr,
    "binentropy": lambda x: torch.special.entr(x) + torch.special.entr(1 - x),
    "asinh": torch.asinh,
    "atanh": torch.atanh,
    "huber": lambda x: F.huber_loss(x, torch.zeros_like(x), reduction="none"),
    "bce_logits": lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"),
    "kl": lambda x, y: torch.xlogy(x, x) - torch.xlogy(x, y),
    "poisson": lambda x, y: F.poisson_nll_loss(x, y, reduction="none"),
    "hypot": torch.hypot,
    "softmax2": lambda x, y: torch.softmax(torch.stack([x, y]), 0)[0],
    "logaddexp": torch.logaddexp,
    "atan2": torch.atan2,
    "pow": torch.pow,
    "sinh_written": torch.sinh,
    "cosh_written": torch.cosh,
    "tanh_by_two": torch.tanh,
    "erfc_written": torch.erfc,
    "erfcx_written": torch.special.erfcx,
    "normal_tail": lambda x: torch.special.ndtr(-x),
    "one_minus_sigmoid": lambda x: torch.sigmoid(-x),
    "swiglu": lambda x, y: F.silu(x) * y,
    "geglu": lambda x, y: F.gelu(x) * y,
    "acosh_written": torch.acosh,
    "log_softmax_of_two": lambda x, y: torch.log_softmax(torch.stack([x, y]), 0)[0],
    "softmax_of_three": lambda *t: torch.softmax(torch.stack(t), 0)[0],
    "logsumexp_of_three": _stacked(torch.logsumexp),
    "hypot_of_three": lambda *t: torch.linalg.vector_norm(torch.stack(t), dim=0),
    "fermi_dirac": lambda x, y, z: torch.sigmoid((y - x) / z),
}
"""torch's own function for a formula that is one."""


@dataclass(frozen=True)
class Case:
    """A formula.

    Attributes:
        name: Its name in the tables.
        formula: What a user types.
        family: The set that it is from.
    """

    name: str
    formula: str
    family: str

    @property
    def problem(self) -> Problem:
        """Its graph, the inputs in alphabetical order."""
        inputs = sorted(read(Spec.create(self.formula)).inputs)
        return read(Spec.create(self.formula, inputs=inputs)).at_defaults()

    def ways(self, problem: Problem, *, accurate: bool = True) -> dict[str, Function | str]:
        """Return the functions to compare; of one that fngen refuses, why."""
        found: dict[str, Function | str] = {PLAIN: plain(problem.value, problem.inputs)}
        if self.name in BUILTINS:
            found[TORCH] = BUILTINS[self.name]
        found[FNGEN] = self._emitted(problem)
        if accurate:
            found[ACCURATE] = self._emitted(problem, accurate=True)
        return found

    def _emitted(self, problem: Problem, **options: bool) -> Function | str:
        name = f"accuracy_{self.name}"
        try:
            module = fngen.compile(self.formula, name=name, inputs=problem.inputs, **options)
        except FngenError as error:
            return str(error).splitlines()[0]
        return getattr(module, name)


def cases(family: str, names: Sequence[str] = ()) -> list[Case]:
    """Return the formulas of a set, or of all, or those of them that are named."""
    found = []
    for label, path in SETS.items():
        if family in (label, "all"):
            lines = [line.split("\t") for line in path.read_text().splitlines() if line[:1] != "#"]
            found += [Case(name, formula, label) for name, formula in lines]
    unknown = set(names) - {c.name for c in found}
    if unknown:
        raise SystemExit(f"no such formula: {', '.join(sorted(unknown))}")
    return [c for c in found if not names or c.name in names]
