"""Kernels in Triton: what the compiler makes of them without a card, sums of gradients, a file without Triton."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from tests.conftest import ROOT
from tests.kernels import OF_ROWS, POINTWISE, is_from_kernel, made, module
from tests.modes_table import close, gradients, like
from tests.plain import DEVICE
from tests.test_kernels import both

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter")


@pytest.mark.parametrize("names", [POINTWISE[::2], POINTWISE[1::2], OF_ROWS], ids=" ".join)
@pytest.mark.slow
def test_loads_are_wide_and_nothing_spills(names: tuple[str, ...]) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.ptx", *names],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert {row["layer"] for row in found} == {*names}
    for row in found:
        assert row["bits"] == [128], row
        # On the older chip a few bytes: of the reduction of a sine's large arguments, and of a sum of rows.
        few = 16 * (row["layer"] in ("snake", "rms_norm") and row["capability"] == 80)
        # Of half types a thread has eight numbers of each array: of thirteen, these are more than its registers.
        many = 112 * (row["layer"] == "greeks" and row["kernel"] == 1 and row["type"] == "bf16")
        assert row["spilled"] <= few + many, row


LEAVES = {
    "one": ((40, 70), (1,)),
    "one without dimensions": ((300, 100), ()),
    "last": ((40, 70), (70,)),
    "last of many rows": ((3000, 33), (33,)),
    "channels": ((4, 3, 65), (3, 1)),
    "channels of images": ((2, 5, 9, 7), (5, 1, 1)),
    "first": ((4, 3, 65), (4, 1, 1)),
    "rows": ((40, 70), (40, 1)),
    "two of three": ((4, 3, 65), (4, 1, 65)),
    "expanded": ((40, 70), (40, 70)),
}


@pytest.mark.parametrize("case", LEAVES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_gradients_of_what_is_broadcast(case: str, dtype: torch.dtype) -> None:
    whole, part = LEAVES[case]
    inputs = [like(torch.empty(s, dtype=dtype, device=DEVICE), seed=i) for i, s in enumerate((whole, part))]
    if case == "expanded":
        inputs[1] = inputs[1][:1].expand(part)
    inputs = [x.requires_grad_() for x in inputs]
    file = made("x*sin(a)", "triton", inputs=["x", "a"])
    kernel, by_torch = both(file, inputs)
    rough = {torch.float64: 1e-13, torch.float32: 1e-5, torch.bfloat16: 2**-6}[dtype]
    for one, two in zip(kernel, by_torch, strict=True):
        assert one.shape == two.shape
        close(one, two, rtol=rough, atol=rough)


def test_channels_last() -> None:
    x = like(torch.empty(2, 6, 5, 4, device=DEVICE)).to(memory_format=torch.channels_last).requires_grad_()
    a = like(torch.empty(6, 1, 1, device=DEVICE)).requires_grad_()
    kernel, by_torch = both(made("x*sin(a)", "triton", inputs=["x", "a"]), [x, a])
    for one, two in zip(kernel, by_torch, strict=True):
        assert one.stride() == two.stride()
        close(one, two, rtol=1e-5)


def test_without_triton_torch_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    file = module("mish", "triton")
    monkeypatch.setattr(file, "triton", None)
    x = like(torch.empty(5, device=DEVICE)).requires_grad_()
    result = file.mish(x)
    assert not is_from_kernel(result)
    close(
        gradients(result, [x])[0], torch.autograd.grad(torch.nn.functional.mish(x), x, like(x))[0], rtol=1e-6
    )


@pytest.mark.parametrize("what", ["no triton", "types that differ", "nothing"])
def test_left_to_torch(what: str) -> None:
    file = made("x*sin(a)", "triton", inputs=["x", "a"])
    inputs: list[Tensor] = [torch.ones(3), torch.ones(3)]
    if what == "types that differ":
        inputs[1] = inputs[1].double()
    elif what == "nothing":
        inputs = [torch.ones(0), torch.ones(0)]
    else:
        inputs[0] = inputs[0].to(torch.complex64)
    assert file._run(file._VALUE, inputs) is None
