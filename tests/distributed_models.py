"""DDP and FSDP2: a model with the layer in it, trained by two processes on half a batch each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from tests.distributed_cells import Cell, PlainModule, assert_close
from tests.modes_table import in_reals, total
from tests.plain import PLAIN, between

_WIDTH, _BATCH = 8, 6
_BF16 = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)


class Model(nn.Module):
    """Feeds a layer from linear maps and, every other input, from a parameter; all within its ranges."""

    def __init__(self, name: str, layer: nn.Module):
        super().__init__()
        self.ranges, self.complex = PLAIN[name].ranges, PLAIN[name].complex
        self.layer = layer
        widths = [2 * _WIDTH if pairs else _WIDTH for pairs in self.complex]
        self.linear = nn.ModuleList(nn.Linear(_WIDTH, width) for width in widths[::2])
        self.free = nn.ParameterList(nn.Parameter(torch.randn(width)) for width in widths[1::2])

    def forward(self, x: Tensor) -> Tensor:
        operands = []
        for i, (low, high) in enumerate(self.ranges):
            share = torch.sigmoid(self.free[i // 2] if i % 2 else self.linear[i // 2](x))
            if self.complex[i]:
                share = torch.view_as_complex(share.unflatten(-1, (_WIDTH, 2)))
            operands.append(between(low, high, share))
        value = self.layer(*operands)
        return total(value) / value.numel()


def build(name: str, layer: nn.Module, dtype: torch.dtype) -> Model:
    torch.manual_seed(0)
    return Model(name, layer).to(dtype)


def batch(dtype: torch.dtype) -> Tensor:
    return torch.randn(_BATCH, _WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).to(
        dtype
    )


def my_part(x: Tensor) -> Tensor:
    return x.chunk(dist.get_world_size())[dist.get_rank()]


def gradients(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Return the gradient of every parameter, whole."""
    model(x).backward()
    found = [p.grad for p in model.parameters()]
    return [g.full_tensor() if isinstance(g, DTensor) else g for g in found]


def by_ddp(model: Model) -> nn.Module:
    return DistributedDataParallel(model)


def by_fsdp(model: Model, policy: MixedPrecisionPolicy | None = None) -> nn.Module:
    """Shard each linear map, and the rest together."""
    options = {"mp_policy": policy} if policy else {}
    for part in model.linear:
        fully_shard(part, **options)
    return fully_shard(model, **options)


def check(name: str, spread: Callable[[Model], nn.Module], layer: nn.Module) -> None:
    want = gradients(build(name, PlainModule(name), torch.float64), batch(torch.float64))
    got = gradients(spread(build(name, layer, torch.float64)), my_part(batch(torch.float64)))
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        assert_close(g, w, f"parameter {i}")


def check_bf16(name: str, layer: nn.Module) -> None:
    """Compare with one process in float64: the error may not exceed by much the plain formula's in bfloat16."""
    want = gradients(build(name, PlainModule(name), torch.float64), batch(torch.float64))
    halves = [
        gradients(by_fsdp(build(name, m, torch.float32), _BF16), my_part(batch(torch.float32)))
        for m in (layer, PlainModule(name))
    ]
    for i, (g, p, w) in enumerate(zip(*halves, want, strict=True)):
        scale = w.abs().max()
        ours, plains = ((x.double() - w).abs().max() / scale for x in (g, p))
        if not ours <= 2 * plains + 0.02:
            raise AssertionError(f"parameter {i}: error {ours:.3f}, the plain formula's {plains:.3f}")


def cells() -> Iterator[Cell]:
    """Return every layer in every kind of training; complex numbers have no bfloat16."""
    for name, plain in PLAIN.items():
        yield Cell(name, "ddp", partial(check, name, by_ddp))
        yield Cell(name, "fsdp", partial(check, name, by_fsdp))
        if in_reals(plain):
            yield Cell(name, "fsdp_bf16", partial(check_bf16, name))
