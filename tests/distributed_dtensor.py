"""DTensor: every placement of the inputs, and values and gradients as of one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard, distribute_tensor

from tests.distributed_cells import Cell, PlainModule, assert_close
from tests.modes_table import total
from tests.plain import PLAIN

_WIDE, _NARROW, _UNEVEN = (4, 6), (6,), (5, 3)
_KINDS = {"shard0": Shard(0), "shard1": Shard(1), "replicate": Replicate(), "partial": Partial()}


@dataclass(frozen=True)
class Case:
    """The shape and the placement of each input; without a placement it is an ordinary tensor."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    placements: tuple[Placement | None, ...]


def cases(count: int) -> Iterator[Case]:
    """Return the cases for so many inputs."""
    for name, kind in _KINDS.items():
        yield Case(name, (_WIDE,) * count, (kind,) * count)
    yield Case("uneven", (_UNEVEN,) * count, (Shard(0),) * count)
    if count == 1:
        return
    kinds = list(_KINDS.values())
    for start in range(len(kinds)):
        turned = tuple(kinds[(start + i) % len(kinds)] for i in range(count))
        yield Case(f"mix{start}", (_WIDE,) * count, turned)
    for name, wide, narrow in (
        ("broadcast", Shard(0), Replicate()),
        ("broadcast_shard", Shard(1), Shard(0)),
        ("broadcast_partial", Shard(0), Partial()),
    ):
        yield _first_wide(name, count, wide, narrow, _NARROW)
    yield _first_wide("number", count, Shard(0), None, ())
    yield Case("last_wide", (_NARROW,) * (count - 1) + (_WIDE,), (Replicate(),) * (count - 1) + (Shard(0),))


def _first_wide(
    name: str, count: int, wide: Placement, narrow: Placement | None, shape: tuple[int, ...]
) -> Case:
    return Case(name, (_WIDE, *(shape,) * (count - 1)), (wide, *(narrow,) * (count - 1)))


def draw(layer: str, case: Case) -> list[Tensor]:
    """Return the inputs as one process has them, the same on every process."""
    full = PLAIN[layer].inputs(*max(case.shapes, key=len))
    wanted = zip(full, case.shapes, strict=True)
    return [x[(0,) * (x.ndim - len(shape))].clone() for x, shape in wanted]


def place(x: Tensor, placement: Placement | None, mesh: DeviceMesh) -> Tensor:
    """Return the DTensor whose full tensor is ``x``."""
    if placement is None:
        return x
    if isinstance(placement, Partial):
        share = x * (0.25, 0.75)[dist.get_rank()]
        return DTensor.from_local(share, mesh, [placement]).requires_grad_()
    return distribute_tensor(x, mesh, [placement], src_data_rank=None).requires_grad_()


def whole(x: Tensor) -> Tensor:
    return x.full_tensor() if isinstance(x, DTensor) else x


Results = list[Tensor]


def gradient(function: Callable[..., Tensor], inputs: list[Tensor], cotangent: Tensor) -> Results:
    y = function(*inputs)
    return [y, *torch.autograd.grad(total(y * cotangent), [x for x in inputs if x.requires_grad])]


def second_order(function: Callable[..., Tensor], inputs: list[Tensor], cotangent: Tensor) -> Results:
    """Return the gradient of the gradient's square."""
    first = torch.autograd.grad(total(function(*inputs) * cotangent), inputs, create_graph=True)
    penalty = sum(total(g**2) for g in first)
    return list(torch.autograd.grad(penalty, inputs, materialize_grads=True))


def value(function: Callable[..., Tensor], inputs: list[Tensor], cotangent: Tensor) -> Results:
    with torch.no_grad():
        return [function(*inputs)]


def compiled(function: Callable[..., Tensor], inputs: list[Tensor], cotangent: Tensor) -> Results:
    """Return value and gradient of the layer compiled in one graph."""
    torch._dynamo.reset()
    return gradient(torch.compile(function, fullgraph=True, backend="aot_eager"), inputs, cotangent)


Mode = Callable[[Callable[..., Tensor], list[Tensor], Tensor], Results]


def check(layer: str, case: Case, mode: Mode, mesh: DeviceMesh, module: nn.Module) -> None:
    """Compare what a mode gives for DTensors with what it gives in one process for the plain formula."""
    inputs = draw(layer, case)
    placed = [place(x, p, mesh) for x, p in zip(inputs, case.placements, strict=True)]
    leaves = [x.requires_grad_(p is not None) for x, p in zip(inputs, case.placements, strict=True)]
    shape = PLAIN[layer].function(*(x.detach() for x in leaves)).shape
    cotangent = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    got = mode(module, placed, distribute_tensor(cotangent, mesh, [Replicate()], src_data_rank=None))
    reference = gradient if mode is compiled else mode
    want = reference(PlainModule(layer), leaves, cotangent)
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        if not isinstance(g, DTensor):
            raise TypeError(f"result {i} is a {type(g).__name__}, not a DTensor")
        assert_close(whole(g.detach()), w.detach(), f"result {i}")


def cells(mode: Mode, wanted: Callable[[str, Case], bool], mesh: DeviceMesh) -> Iterator[Cell]:
    for layer, plain in PLAIN.items():
        for case in cases(len(plain.ranges)):
            if wanted(layer, case):
                yield Cell(layer, f"{mode.__name__}:{case.name}", partial(check, layer, case, mode, mesh))


def first_order_cells(mesh: DeviceMesh) -> Iterator[Cell]:
    """Return value and gradient of every layer in every case."""
    yield from cells(gradient, lambda layer, case: True, mesh)


def other_cells(mesh: DeviceMesh) -> Iterator[Cell]:
    """Return the other modes: no gradient wanted, the second order, compiled."""
    few = ("shard0", "partial", "mix1", "broadcast")
    yield from cells(value, lambda layer, case: case.name in few, mesh)
    twice = ("square", "swish", "gelu", "snake", "morse", "reflection", "modrelu")
    yield from cells(second_order, lambda layer, case: layer in twice and case.name in few, mesh)
    both = ("shard0", "broadcast")
    yield from cells(
        compiled, lambda layer, case: layer in ("square", "gelu", "modrelu") and case.name in both, mesh
    )
