"""torch.export and what starts from it: AOTInductor and ONNX."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.modes_compile import CELLS as CELLS
from tests.modes_compile import row
from tests.modes_table import COMPLEX, Layer, close, draw, of_complex, stateless
from tests.plain import Plain

BESSEL = {"airy_disk": "ONNX has no Bessel functions"}
PAIRS = of_complex("ONNX has no complex numbers, torch pairs for some uses only (pytorch/pytorch#126972)")
AHEAD = {
    "reflection": "AOTInductor's difference of complex tensors fails (pytorch/pytorch#189189)",
    "modrelu": "AOTInductor has no complex sgn",
}


def exported(layer: Layer, plain: Plain, strict: bool) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=2)
    shapes = ([{0: batch}] * len(plain.ranges),)
    inputs = tuple(draw(plain, 4, 3, dtype=torch.float32))

    class Call(nn.Module):
        """A list of inputs, lest their names matter."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = layer.module()

        def forward(self, inputs: list[Tensor]) -> Tensor:
            return self.layer(*inputs)

    return torch.export.export(Call(), (list(inputs),), dynamic_shapes=shapes, strict=strict)


def export(layer: Layer, plain: Plain, strict: bool) -> None:
    """The program takes other batches, and is made of torch's own operators."""
    program = exported(layer, plain, strict)
    inputs = draw(plain, 9, 3, dtype=torch.float32)
    close(program.module()(inputs), plain.function(*inputs), rtol=1e-4, atol=1e-5)
    calls = [node.target for node in program.graph.nodes if node.op == "call_function"]
    assert calls
    assert all(isinstance(c, torch._ops.OpOverload) and c.namespace == "aten" for c in calls), calls
    assert not [node for node in program.graph.nodes if node.op == "call_module"]


@row()
def export_strict(layer: Layer, plain: Plain) -> None:
    export(layer, plain, strict=True)


@row()
def export_non_strict(layer: Layer, plain: Plain) -> None:
    export(layer, plain, strict=False)


@row(slow=True, layers=("square", "black_scholes", "airy_disk", *COMPLEX), xfail=AHEAD)
def aot_inductor(layer: Layer, plain: Plain) -> None:
    path = torch._inductor.aoti_compile_and_package(exported(layer, plain, strict=False))
    inputs = draw(plain, 9, 3, dtype=torch.float32)
    close(torch._inductor.aoti_load_package(path)(inputs), plain.function(*inputs), rtol=1e-4, atol=1e-5)
    Path(path).unlink()


@row(where=stateless, slow=True, xfail=BESSEL | PAIRS)
def onnx(layer: Layer, plain: Plain) -> None:
    """In onnxruntime, with another batch than the exported one; on a CPU, wherever it was exported."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    inputs = tuple(draw(plain, 4, 3, dtype=torch.float32))
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs)
    program = torch.onnx.export(
        layer.module().eval(), inputs, dynamo=True, dynamic_shapes=shapes, verbose=False
    )
    session = runtime.InferenceSession(program.model_proto.SerializeToString())
    others = [x.cpu() for x in draw(plain, 7, 3, dtype=torch.float32)]
    feed = {i.name: x.numpy() for i, x in zip(session.get_inputs(), others, strict=True)}
    close(torch.from_numpy(session.run(None, feed)[0]), plain.function(*others), rtol=1e-4, atol=1e-5)
