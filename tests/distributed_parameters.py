"""A generated module with parameters under DDP and FSDP2: a script for two processes of torchrun."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

import fngen

GATE = fngen.compile(
    "x*sigmoid(beta*x + w)/(sqrt(eps) + abs(x))",
    name="gate",
    params={"beta": 1.0, "w[C]": 0.25},
    consts={"eps": 0.5},
)


def build() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), GATE.Gate(6, eps=0.25), nn.Linear(6, 1)).double()


def gradients(model: nn.Module, x: Tensor) -> list[Tensor]:
    model(x).mean().backward()
    found = [p.grad for p in model.parameters()]
    return [g.full_tensor() if isinstance(g, DTensor) else g for g in found]


def main() -> None:
    dist.init_process_group("gloo")
    x = torch.randn(8, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    want = gradients(build(), x)
    part = x.chunk(dist.get_world_size())[dist.get_rank()]
    for spread in (DistributedDataParallel, fully_shard):
        torch.testing.assert_close(gradients(spread(build()), part), want)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
