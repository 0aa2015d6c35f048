"""The samples of PyTorch's operator database as calls of layers."""

from __future__ import annotations

import ast
import math
import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

import fngen
from tests.op_db_departures import COMPLEX, FLOATING, INTEGRAL
from tests.op_db_rows import Entry, Skip, inputs_of
from tests.plain import DEVICE

NARROW = (*FLOATING[:3], torch.complex64)
"""The dtypes whose results a wider one can settle."""
ROUNDINGS = 8
"""Up to how many roundings away from a sample its result may be taken."""


@cache
def database() -> dict[str, Any]:
    """Return the entries by ``name/variant``; the import takes seconds and warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return {f"{op.name}/{op.variant_test_name}".rstrip("/"): op for op in op_db}


@cache
def layer(formula: str, inputs: tuple[str, ...], complex: bool) -> Callable[..., Tensor]:
    module = fngen.compile(formula, name="layer", inputs=inputs, complex=complex)
    function: Callable[..., Tensor] = module.layer
    return function


def dtypes(entry: Entry) -> list[torch.dtype]:
    """Return the types to try: of complex numbers a GPU's arithmetic makes nan of infinities in its own way."""
    supported = database()[entry.name].supported_dtypes(DEVICE)
    wanted = FLOATING + INTEGRAL + (COMPLEX if DEVICE == "cpu" else ())
    return [d for d in wanted if d in supported]


@dataclass(frozen=True)
class Trial:
    """A sample with the call of the layer that it stands for."""

    op: Any
    entry: Entry
    sample: Any
    formula: str
    arguments: dict[str, Any]
    complex: bool

    @property
    def moving(self) -> list[Tensor]:
        return [t for t in tensors_of(self.sample) if t.requires_grad]

    def operator(self) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Some tell of changes to come.
            y = self.op(self.sample.input, *self.sample.args, **self.sample.kwargs)
        if not isinstance(y, Tensor):
            raise TypeError(f"{self.entry.name} returned {y!r}")
        return y

    def layer(self) -> Tensor:
        return layer(self.formula, tuple(self.arguments), self.complex)(*self.arguments.values())

    def widened(self, generator: torch.Generator | None = None) -> Trial:
        """Return the trial in float64 or complex128, with a ``generator`` at inputs some roundings away."""
        return replace(self, sample=self.sample.transform(lambda v: widen(v, generator)))


def widen(value: Any, generator: torch.Generator | None) -> Any:
    if not _is_differentiable(value):
        return value
    wide = value.detach().to(torch.promote_types(value.dtype, torch.float64), copy=True)
    if generator:  # Towards 0, which leaves no domain and crosses no cut.
        parts = torch.view_as_real(wide) if wide.is_complex() else wide
        drawn = torch.rand(parts.shape, generator=generator).to(DEVICE)
        parts *= 1 - ROUNDINGS * torch.finfo(value.dtype).eps * drawn
    return wide.requires_grad_(value.requires_grad)


def tensors_of(sample: Any) -> list[Tensor]:
    values = (sample.input, *sample.args, *sample.kwargs.values())
    return [v for v in values if isinstance(v, Tensor)]


def _leaf(value: Any) -> Any:
    """Return a sample's argument as a leaf: samples are views, and share storage."""
    if not isinstance(value, Tensor):
        return value
    return value.detach().clone().requires_grad_(value.requires_grad)


def samples(op: Any, dtype: torch.dtype, gradient: bool) -> Iterator[Any]:
    """Yield an entry's reference inputs, which begin with its sample inputs.

    Which tensors require a gradient is the entry's choice too.
    """
    source = op.reference_inputs_func or op.sample_inputs_func
    torch.manual_seed(0)
    random.seed(0)
    try:
        found = list(source(op, DEVICE, dtype, gradient))
    except ValueError:  # Some ask for gradients of their integers.
        found = [s.transform(_moving) for s in source(op, DEVICE, dtype, False)]
    yield from found


def _moving(value: Any) -> Any:
    return value.detach().clone().requires_grad_() if _is_differentiable(value) else value


def _is_differentiable(value: Any) -> bool:
    return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())


def _is_complex(value: Any) -> bool:
    return isinstance(value, complex) or (isinstance(value, Tensor) and value.is_complex())


def number(value: Any) -> str:
    """Return a value as text of a formula."""
    if isinstance(value, Tensor):
        value = value.item()
    if isinstance(value, str):
        return "" if value == "none" else value
    if isinstance(value, bool):
        value = int(value)
    return f"({value!r})" if value < 0 else repr(value)


def bind(entry: Entry, sample: Any) -> dict[str, Any]:
    """Return the arguments of a sample by name."""
    parts = [part.partition("=") for part in entry.signature.split(", ")]
    bound = {name: ast.literal_eval(default) for name, _, default in parts if default}
    bound |= dict(zip((p[0] for p in parts), (sample.input, *sample.args), strict=False)) | sample.kwargs
    return {name: bound.pop(name) for name, *_ in parts} | bound


def _same(value: Any, wanted: Any) -> bool:
    if value is None or wanted is None or isinstance(value, Tensor):
        return value is wanted
    return bool(value == wanted)


def trial(op: Any, entry: Entry, sample: Any, dtype: torch.dtype) -> Trial | Skip:
    if any(t.numel() > entry.largest for t in tensors_of(sample)):
        return Skip("large")
    sample = sample.transform(_leaf)
    arguments = bind(entry, sample)
    imaginary = entry.unit or any(map(_is_complex, arguments.values()))
    if entry.unit:
        arguments["i"] = 1j
    cases = entry.complex if imaginary and entry.complex else entry.cases
    known = arguments | {"integral": dtype in INTEGRAL, "dtype": str(dtype).removeprefix("torch.")}
    formula = next(c.formula for c in cases if all(_same(known[k], v) for k, v in c.given.items()))
    if isinstance(formula, Skip):
        return formula
    literals = {k: v for k, v in arguments.items() if f"{{{k}}}" in formula}
    if any(isinstance(v, float) and not math.isfinite(v) for v in literals.values()):
        return Skip("a number that is not finite")
    if any(isinstance(v, Tensor) and v.ndim for v in literals.values()):
        return Skip("a tensor where fngen takes a number")
    if entry.prepare:
        entry.prepare(arguments)
    inputs = inputs_of(formula, list(arguments))
    if not any(isinstance(arguments[name], Tensor) for name in inputs):
        return Skip("numbers only")
    limits = torch.finfo(torch.float32 if dtype in INTEGRAL else dtype)
    texts = {"largest": number(limits.max), "smallest": number(limits.min)}
    texts |= {k: number(v) for k, v in literals.items()}
    return Trial(op, entry, sample, formula.format(**texts), {n: arguments[n] for n in inputs}, imaginary)
