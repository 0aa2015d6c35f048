"""The modes, the compilers, the operator database and the list of layers again on a GPU, where there is one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from tests.conftest import ROOT


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
@pytest.mark.parametrize("module", ["test_modes", "test_compilers", "test_op_db", "test_layer_modes"])
def test_on_cuda(module: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", f"tests/{module}.py"]
    environment = {**os.environ, "FNGEN_DEVICE": "cuda"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-4000:]
