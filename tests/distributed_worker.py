"""One of two processes: tries every cell of an area, and the first process reports a line of JSON each.

    python -m torch.distributed.run --standalone --nproc_per_node=2 -m tests.distributed_worker AREA

Where a cell fails, the plain formula is put through the same: that tells a fault of ours from a limit of torch.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from collections.abc import Iterator
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh

from tests import distributed_dtensor, distributed_models
from tests.distributed_cells import Cell, PlainModule, generated_module

SECONDS = 110
"""After so long a process ends itself and says where it was; nothing is left running behind a test."""


def cells(area: str) -> Iterator[Cell]:
    if area == "training":
        return distributed_models.cells()
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    if area == "dtensor":
        return distributed_dtensor.first_order_cells(mesh)
    if area == "modes":
        return distributed_dtensor.other_cells(mesh)
    raise ValueError(area)


def fault(cell: Cell, module: nn.Module) -> str:
    """Return what goes wrong on any process, or nothing."""
    try:
        cell.check(module)
        mine = ""
    except Exception as error:
        mine = f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
    everyone: list[str] = [""] * dist.get_world_size()
    dist.all_gather_object(everyone, mine)
    return next(filter(None, everyone), "")


def main() -> None:
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=30))
    for cell in cells(sys.argv[1]):
        ours = fault(cell, generated_module(cell.layer))
        plain = fault(cell, PlainModule(cell.layer)) if ours else ""
        if dist.get_rank() == 0:
            line = {"layer": cell.layer, "case": cell.case, "fault": ours, "torch": plain}
            print(json.dumps(line), flush=True)
    leave()


def leave() -> None:
    """End without the interpreter's shutdown: on a busy machine torch's threads abort the process there."""
    dist.barrier()
    dist.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
