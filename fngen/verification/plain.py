"""A formula with reductions as plain torch operators, on tensors, and to 60 digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from mpmath import mp
from torch import Tensor

from fngen import grids
from fngen.alignment import alignment
from fngen.declared import CHANNELS
from fngen.grids import Grid
from fngen.ir import Over, Value, name, postorder, value
from fngen.problem import Problem
from fngen.spans import over
from fngen.verification.reference import DIGITS, evaluate, torch_differentiates

_SIZES = (4, 5, 6, 3)
_MOST, _SEVERAL, _LONGEST = 64, 6, 40
"""The dimensions that a tensor may have; those of them that are given elements; how many at most."""
_WANTED, _TRIES = 6, 200
Sample = tuple[Tensor, ...]


@dataclass(frozen=True)
class Plain:
    """The formula as torch's operators, one by one.

    Attributes:
        problem: The formula.
        beside: The other outputs of its layer, which must have the dimensions that they reduce, too.
    """

    problem: Problem
    beside: tuple[Value, ...] = ()

    def __call__(self, *tensors: Tensor) -> Tensor:
        """Return the value, without the dimensions that everything was reduced over."""
        rank, problem = max(t.dim() for t in tensors), self.problem
        channels = {p.name for p in problem.params if p.dim == CHANNELS}
        named = zip(problem.inputs, tensors, strict=True)
        variables = {x: along_channels(t, rank) if x in channels else t for x, t in named}
        declared = {x for x, _ in problem.grads}
        given = {x: t.detach() if x in declared else t for x, t in variables.items()}
        value = evaluate([problem.value], given)[problem.value]
        for term in self.declared(variables):
            value = value + (term + torch.zeros_like(value)).sum_to_size(value.shape)
        if problem.reduction:
            reduced: Tensor = getattr(torch, problem.reduction)(value)
            return reduced
        dropped = problem.dropped
        axes = () if None in dropped else tuple(d for d in dropped if d is not None)
        return value.squeeze(axes) if axes else value

    def declared(self, variables: dict[str, Tensor]) -> Iterator[Tensor]:
        """Yield zeros that have the declared gradients: each times what its input has changed by."""
        params = {p.name for p in self.problem.params}
        inputs = [torch.zeros_like(t) for x, t in variables.items() if x not in params]
        shape = sum(inputs[1:], inputs[0]).shape
        fixed = {x: t.detach() for x, t in variables.items()}
        for x, slope in self.problem.grads:
            change = variables[x] - fixed[x]
            yield evaluate([slope], fixed)[slope] * (change if x in params else change.expand(shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """A shape with one dimension more than the formula needs, few elements along many of them."""
        problem = self.problem
        roots, declared = [problem.value, *self.beside], [slope for _, slope in problem.grads]
        needs = alignment(roots, {x: x for x in problem.inputs}, problem.params, declared)
        rank = min(max(needs.rank, needs.distinct, 1) + 1, _MOST)
        sizes = [*_SIZES, *(1 for _ in range(rank))][:rank]
        # A variance is infinite where its correction is the number of elements or more.
        graphs = postorder([*roots, *declared])
        options = [over(n).option or 0 for n in graphs if n.op in ("var", "std")]
        least = min(int(max(options, default=0)) + 2, _LONGEST)
        for d in sorted({d % rank for d in needs.dims} or {0})[:_SEVERAL]:
            sizes[d] = max(sizes[d], least)
        return tuple(sizes)

    def shape_of(self, x: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of an input when the others have ``shape``."""
        dims = {p.name: p.dim for p in self.problem.params}
        if x not in dims:
            return shape
        dim = dims[x]
        return () if dim is None else (shape[dim],)

    def drawn(self, x: str, low: float, high: float, generator: torch.Generator) -> Tensor:
        """Return random numbers of an input; complex ones in a square."""
        learned = {p.name for p in self.problem.params}
        dtype = torch.complex128 if self.problem.complex and x not in learned else torch.float64
        share = torch.rand(self.shape_of(x, self.shape), generator=generator, dtype=dtype)
        return (complex(low, low) if dtype.is_complex else low) + (high - low) * share

    def samples(self) -> list[Sample]:
        """Return tensors for which value and gradients are finite, on several scales."""
        generator = torch.Generator().manual_seed(0)
        found = []
        scales = ((-1, 1), (0.1, 1), (-3, 3), (0.5, 4))
        for i in range(_TRIES):
            low, high = scales[i % len(scales)]
            sample = tuple(self.drawn(x, low, high, generator) for x in self.problem.inputs)
            if all(bool(t.isfinite().all()) for t in self.results(sample)):
                found.append(sample)
            if len(found) == _WANTED:
                break
        return found

    def results(self, sample: Sample) -> list[Tensor]:
        """Return the value and the gradient by each input, as far as torch has them."""
        if not torch_differentiates(self.problem):
            return [self(*sample)]
        return results_of(self, sample)


def along_channels(t: Tensor, rank: int) -> Tensor:
    """Return a parameter of shape ``(C,)`` as it broadcasts along dimension 1 of so many."""
    return t.reshape([1] * min(1, rank - 1) + [-1] + [1] * (rank - 2))


def results_of(function: Callable[..., Tensor], sample: Sample) -> list[Tensor]:
    """Return the value of a function and its gradients, of a cotangent that is not the same everywhere."""
    leaves = [x.clone().requires_grad_() for x in sample]
    value = function(*leaves)
    if not value.requires_grad:
        return [value, *(torch.zeros_like(x) for x in sample)]
    grads = torch.autograd.grad(value, leaves, cotangent(value), allow_unused=True)
    return [
        value.detach(),
        *(torch.zeros_like(x) if g is None else g for g, x in zip(grads, leaves, strict=True)),
    ]


def cotangent(value: Tensor) -> Tensor:
    """Return what gradients are taken with: another number for each element."""
    generator = torch.Generator().manual_seed(5)
    return torch.rand(value.shape, generator=generator, dtype=value.dtype) + 0.5


def number(x: Any) -> complex:
    """Return a number of mpmath as one of Python."""
    return complex(x) if isinstance(x, mp.mpc) else float(x)


@dataclass(frozen=True)
class Precise:
    """Value and gradients of a formula for one sample, worked out to 60 digits by differences."""

    problem: Problem
    sample: Sample

    def result(self, index: int, place: int) -> complex:
        """Return one element of the value (0) or of the gradient by an input (from 1)."""
        with mp.workdps(DIGITS):
            if not index:
                return number(self.value(self.grids()).items[place])
            if slope := dict(self.problem.grads).get(self.problem.inputs[index - 1]):
                return float(self.declared(slope, index - 1, place))
            along = self.slope(index - 1, place, mp.one)
            if not self.sample[index - 1].is_complex():
                return float(along)
            return complex(along, self.slope(index - 1, place, mp.j))

    def slope(self, index: int, place: int, direction: Any) -> Any:
        """Return the derivative of what the cotangent makes of the value, in a direction of one element."""
        step = mp.mpf(10) ** -(DIGITS // 3)
        ahead, behind = (self.total(index, place, s * direction) for s in (step, -step))
        return (ahead - behind) / (2 * step)

    def results(self) -> list[Tensor]:
        """Return the value and the gradient by each input."""
        with mp.workdps(DIGITS):
            items = self.value(self.grids()).items
        like = Plain(self.problem)(*self.sample)
        found = [torch.tensor([number(v) for v in items], dtype=like.dtype).reshape(like.shape)]
        for i, x in enumerate(self.sample, 1):
            slopes = [self.result(i, place) for place in range(x.numel())]
            found.append(torch.tensor(slopes, dtype=x.dtype).reshape(x.shape))
        return found

    def grids(self) -> dict[str, Grid]:
        """Return the inputs."""
        rank = max(t.dim() for t in self.sample)
        channels = {p.name for p in self.problem.params if p.dim == CHANNELS}
        found = {}
        for x, t in zip(self.problem.inputs, self.sample, strict=True):
            wide = along_channels(t, rank) if x in channels else t
            found[x] = Grid(tuple(wide.shape), tuple(map(mp.mpmathify, wide.flatten().tolist())))
        return found

    def value(self, variables: dict[str, Grid]) -> Grid:
        """Return the value of the formula."""
        root, reduction = self.problem.value, self.problem.reduction
        whole = value(reduction, root, datum=Over()) if reduction else root
        return grids.evaluate(whole, variables, real=not self.problem.complex)

    def declared(self, slope: Value, index: int, place: int) -> Any:
        """Return what the cotangent makes of a declared gradient, for one element of its input."""
        variables, x = self.grids(), self.problem.inputs[index]
        change = Grid(variables[x].shape, tuple(mp.mpf(i == place) for i in range(len(variables[x].items))))
        term = grids.evaluate(value("mul", slope, name("change!")), {**variables, "change!": change})
        whole = grids.evaluate(self.problem.value, variables)
        count = len(whole.items) if self.problem.reduction == "mean" else 1
        weights = Grid(self.value(variables).shape, tuple(w / count for w in self.weights()))
        return mp.fsum(weights.at(i) * term.at(i) for i in grids.indices([term, whole]))

    def weights(self) -> list[Any]:
        """Return the cotangent."""
        return list(map(mp.mpmathify, cotangent(Plain(self.problem)(*self.sample)).flatten().tolist()))

    def total(self, index: int, place: int, step: Any) -> Any:
        """Return what the cotangent makes of the value, one element of an input moved."""
        variables = self.grids()
        x = self.problem.inputs[index]
        items = list(variables[x].items)
        items[place] += step
        moved = self.value({**variables, x: Grid(variables[x].shape, tuple(items))})
        return mp.fsum(mp.re(mp.conj(w) * v) for w, v in zip(self.weights(), moved.items, strict=True))
