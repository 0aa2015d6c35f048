"""Kernels in Triton: what the compiler makes of them without a card, sums of gradients, a file without Triton."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

import fngen
from fngen.load import load
from tests.conftest import ROOT
from tests.kernels import OF_ROWS, POINTWISE, is_from_kernel, made, module, ready
from tests.layer_rows import ROWS
from tests.modes_table import close, gradients, like
from tests.plain import DEVICE, PLAIN
from tests.test_kernels import LOOSE, both
from tests.test_layers import drawn

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
        assert row["spilled"] <= 16 * (row["layer"] in ("snake", "rms_norm") and row["capability"] == 80), row


@pytest.mark.parametrize("shape", [(3, 40), (2, 3, 33), (70, 5), (1, 1), (4, 1), (5, 2048)], ids=str)
@pytest.mark.parametrize("dtype", LOOSE, ids=str)
@pytest.mark.parametrize("name", OF_ROWS)
def test_rows(name: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    if name == "softmax" and dtype.itemsize == 2:
        pytest.skip("its gradient is made of its value, which was rounded")
    file, plain = module(name, "triton"), PLAIN[name]
    inputs = [
        like(torch.empty(shape, dtype=dtype, device=DEVICE), seed=i) - 1 for i in range(len(plain.inputs(5)))
    ]
    if name.endswith("norm"):
        inputs[1:] = [x.flatten()[-shape[-1] :].clone() for x in inputs[1:]]
    inputs = [x.requires_grad_() for x in inputs]
    kernel, by_torch = both(file, inputs)
    want = plain.function(*(x.double() for x in inputs))
    wanted = [want, *torch.autograd.grad(want, inputs, like(kernel[0]).double())]
    for got, torch_says, says in zip(kernel, by_torch, wanted, strict=True):
        assert got.shape == torch_says.shape
        scale = 1 + says.detach().abs().max().item()
        close(got.double(), says.double(), rtol=LOOSE[dtype], atol=LOOSE[dtype] * scale)


@pytest.mark.slow
def test_layers_of_the_list() -> None:
    """Every layer that has a kernel, against the torch way of the same file."""
    found = 0
    for name, row in ROWS.items():
        source = fngen.generate(row.formula, name=name, backend="triton", **row.options)
        if source.missing:
            continue
        found += 1
        params = [
            torch.full((5,) if "[" in k else (), v, dtype=torch.float64, device=DEVICE)
            for k, v in row.params.items()
        ]
        if len(row.shape) > 2:
            params = [p[:, None] if "[C]" in k else p for k, p in zip(row.params, params, strict=True)]
        inputs = [
            *(x.detach().to(DEVICE).requires_grad_() for x in drawn(row)),
            *(p.requires_grad_() for p in params),
        ]
        for kernel, by_torch in zip(*both(ready(load(source)), inputs), strict=True):
            close(kernel, by_torch, rtol=1e-10, atol=1e-11 * (1 + by_torch.abs().max().item()))
    assert found >= 90


@pytest.mark.parametrize("kind", ["nan", "infinite", "all infinite"])
def test_rows_with_what_is_no_number(kind: str) -> None:
    x = like(torch.empty(3, 7, dtype=torch.float64, device=DEVICE))
    x[1, 2:] = {"nan": torch.nan, "infinite": torch.inf, "all infinite": -torch.inf}[kind]
    x[1, :2] = -torch.inf if kind == "all infinite" else 0
    inputs = [x.requires_grad_()]
    formulas = ["max(x, dim=-1)", "min(x, dim=-1)", "logsumexp(x, dim=-1)"]
    # What is left of a row with an infinite number is 0 to the formula; torch has no number there.
    formulas += ["softmax(x, dim=-1)"] * (kind != "infinite")
    for formula in formulas:
        for kernel, by_torch in zip(*both(made(formula, "triton"), inputs), strict=True):
            close(kernel, by_torch, rtol=1e-12)


def test_rows_that_lie_apart_are_left_to_torch() -> None:
    file = module("softmax", "triton")
    for x in (torch.ones(4, 6).mT, torch.ones(4, 6)[:, ::2], torch.ones(()), torch.ones(1, 2**17)):
        assert file._run(file._VALUE, (x,)) is None


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


def test_a_softmax_of_large_numbers() -> None:
    """The logarithm of a sum would be lost beside them."""
    x = torch.tensor([[1e8, 1e8, 1e8 - 8]], device=DEVICE, requires_grad=True)
    for formula in ("softmax(x, dim=-1)", "log_softmax(x, dim=-1)"):
        for kernel, by_torch in zip(*both(made(formula, "triton"), [x]), strict=True):
            close(kernel, by_torch, rtol=1e-5)
