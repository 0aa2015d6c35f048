"""What a row of the tables about PyTorch's operator database is made of.

A signature names the arguments of a sample in order. Braces in a formula stand for the value of an
argument, written as a number; every other name is an input of the layer. Besides the arguments there
are ``{largest}`` and ``{smallest}``, the finite limits of the sample's dtype, and the keys ``integral``
and ``dtype`` that a case can ask for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import torch
from torch import Tensor

Prepare = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Skip:
    """Stands for a formula where the samples of a case have none, and says why."""

    reason: str


@dataclass(frozen=True)
class Case:
    """A formula for the samples whose arguments have the ``given`` values."""

    formula: str | Skip
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """What an entry of the operator database is in fngen's language."""

    name: str
    """``name`` or ``name/variant`` of the entry."""
    signature: str
    """The arguments of a sample in order, with the defaults of the optional ones."""
    cases: tuple[Case, ...]
    """The first that holds is taken."""
    condition: bool = False
    """The operator returns bool; a layer returns numbers, so only the values are compared."""
    largest: int = 20_000
    """Samples with more elements are left out."""
    complex: tuple[Case, ...] = ()
    """The cases of samples with complex numbers, where those are not ``cases``."""
    unit: bool = False
    """The formula has the imaginary unit ``i`` as an argument: its layer is complex at real numbers too."""
    prepare: Prepare | None = None
    """Brings arguments that torch aligns in its own way into shapes that broadcast."""

    @property
    def formula(self) -> str:
        """The formulas of all cases, for people."""
        real, complex_ = (
            " | ".join(c.formula for c in cases if isinstance(c.formula, str))
            for cases in (self.cases, self.complex)
        )
        return f"{real} | complex: {complex_}" if complex_ else real


@dataclass(frozen=True)
class Departure:
    """Points at which a layer is known to differ from the operator; it must differ there."""

    entries: tuple[str, ...]
    what: str
    """``value`` or ``gradient``, or ``gradient 0`` for that by the first tensor only."""
    at: Callable[..., Tensor]
    """Says of the arguments, broadcast, where that is."""
    reason: str
    fault: str = "torch"
    """Who should change: ``torch``, ``fngen``, or ``none`` where both are a choice."""
    truth: Callable[..., Tensor] | None = None
    """The right value or slope (by the first tensor, if there are more) there, from mathematics."""
    dtypes: tuple[torch.dtype, ...] | None = None
    """Where it departs in some dtypes only; None stands for all but the complex ones."""


def entry(name: str, signature: str, *cases: str | Case, **options: Any) -> Entry:
    return Entry(name, signature, tuple(Case(c) if isinstance(c, str) else c for c in cases), **options)


def when(formula: str | Skip, **given: Any) -> Case:
    return Case(formula, given)


# What torch aligns in its own way.


def channels(arguments: dict[str, Any]) -> None:
    """Give a weight per channel the shape that broadcasts against the second dimension."""
    x, w = arguments["x"], arguments["weight"]
    if w.ndim == 1 and x.ndim > 1:
        arguments["weight"] = w.reshape(-1, *[1] * (x.ndim - 2))
    elif x.ndim == 0:
        arguments["weight"] = w.reshape(())


def halves(arguments: dict[str, Any]) -> None:
    arguments["x"], arguments["y"] = arguments["x"].chunk(2, arguments["dim"])


def rows(arguments: dict[str, Any]) -> None:
    arguments["x"] = arguments["x"].unsqueeze(-1)


def trailing(arguments: dict[str, Any]) -> None:
    """Give a variance per row a last dimension."""
    x, v = arguments["x"], arguments["v"]
    if isinstance(v, Tensor) and v.shape != x.shape and v.shape == x.shape[:-1]:
        arguments["v"] = v.unsqueeze(-1)


def promoted(arguments: dict[str, Any]) -> None:
    """Convert to the common dtype, which the operator does before it multiplies."""
    tensors = {name: v for name, v in arguments.items() if isinstance(v, Tensor)}
    common = reduce(torch.promote_types, (t.dtype for t in tensors.values()))
    arguments |= {name: t.to(common) for name, t in tensors.items()}


def floating(arguments: dict[str, Any]) -> None:
    """Convert integers to the default dtype, in which torch computes this."""
    for name, value in arguments.items():
        if isinstance(value, Tensor) and not value.is_floating_point():
            arguments[name] = value.to(torch.get_default_dtype())


def doubled(arguments: dict[str, Any]) -> None:
    """Convert to float64 or complex128, in which torch computes this whatever it is given."""
    for name, value in arguments.items():
        if isinstance(value, Tensor):
            arguments[name] = value.to(torch.promote_types(value.dtype, torch.float64))


def inputs_of(formula: str, names: list[str]) -> list[str]:
    """Return which of the ``names`` a formula reads as inputs."""
    text = re.sub(r"\{\w+\}", "", formula)
    return [n for n in names if re.search(rf"\b{n}\b", text)]
