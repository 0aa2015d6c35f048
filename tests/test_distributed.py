"""Layers under DDP, FSDP2 and DTensor, by two processes: the same values and gradients as by one.

A launch costs seconds, so that each area is one launch and one test, which lists what is wrong.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
import torch.distributed as dist

from tests.conftest import ROOT
from tests.modes_table import COMPLEX
from tests.plain import PLAIN

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (dist.is_available() and dist.is_gloo_available()), reason="torch has no gloo"),
]

PROCESSES = 2
SECONDS, TRIES = 120, 3
AT_THE_END = "terminate called without an active exception"
"""What C++ says of a thread of gloo's that is still there when a process has done its work and ends."""

TORCH_CANNOT = {
    ("airy_disk", "fsdp_bf16"): "torch has no j1 in bfloat16",
}
"""Cells in which torch fails with the plain formula too, and why. Whatever works must leave the list."""

CELLS = {"training": 3 * len(PLAIN) - len(COMPLEX), "dtensor": 5 * len(PLAIN), "modes": 2 * len(PLAIN)}
"""The areas, and the fewest cells that each must report."""


def launch(*module: str) -> list[dict[str, str]]:
    """Run a module in two processes and return what they report; once more if they only failed to end."""
    for _ in range(TRIES):
        code, output, errors = launched(*module)
        if code == 0 or AT_THE_END not in errors:
            break
    assert code == 0, errors[-4000:]
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def launched(*module: str) -> tuple[int, str, str]:
    """Run a module in two processes, on a free port that torchrun picks."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={PROCESSES}"]
    command += ["-m", *module]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=SECONDS)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output, errors


def complaint(cell: dict[str, str]) -> str:
    """Return what is wrong with a cell, or nothing."""
    listed = TORCH_CANNOT.get((cell["layer"], cell["case"]))
    if listed and not cell["fault"]:
        return f"works, though listed as a limit of torch ({listed})"
    if listed and cell["torch"]:
        return ""
    if cell["torch"]:
        return f"torch: {cell['torch']} (list it with its reason)"
    return cell["fault"]


@pytest.mark.parametrize("area", CELLS)
def test_two_processes_are_as_one(area: str) -> None:
    cells = launch("tests.distributed_worker", area)
    assert len(cells) >= CELLS[area]
    assert {cell["layer"] for cell in cells} == set(PLAIN)
    wrong = [f"{c['layer']} {c['case']}: {complaint(c)}" for c in cells if complaint(c)]
    assert not wrong, "\n".join(wrong)


def test_parameters_of_a_module() -> None:
    assert launch("tests.distributed_parameters") == []
