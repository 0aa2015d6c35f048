"""Measure kernels in Triton beside autograd of the formula, the torch way, torch.compile and Liger-Kernel.

    python -m benchmarks.gpu [--sizes 12,18,24,28] [--rows 10,12,14] [--types bfloat16,float32]
        [--only seed,rms_norm] [--what value,gradient,double] [--rounds 15] [--no-compile] [--json FILE]

Sizes are powers of two; of rows they are the elements of one, of 2^26 in all. The variants of a cell run in
turn on one GPU, the inputs of each call others than those of the last, so that nothing is left in a cache. A
figure is the median over rounds of the time between two events around some calls, in µs a call; where the
host is slower than the device, that is the host's time. ``GB/s`` is of the bytes that must move: each input,
cotangent, result and gradient once; ``of copy`` its share of what a copy within the device's memory moves in
the same run; the last column is the peak of memory beside the lowest of the others'.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.c_backend import CASES, Case, Function, by_torch

_GEGLU = Case(
    "a/2*(1 + tanh(sqrt(2/pi)*(a + 0.044715*a**3)))*b",
    lambda a, b: torch.nn.functional.gelu(a, approximate="tanh") * b,
    ("a", "b"),
)
FORMULAS = {**CASES, "geglu": _GEGLU}
ROWS = {
    "rms_norm": Case(
        "x/sqrt(mean(x**2, dim=-1) + 1e-6)*w",
        lambda x, w: torch.nn.functional.rms_norm(x, w.shape, w, 1e-6),
        ("x", "w"),
        ("w",),
    ),
    "layer_norm": Case(
        "(x - mean(x, dim=-1))/sqrt(var(x, dim=-1, correction=0) + 1e-5)*w + b",
        lambda x, w, b: torch.nn.functional.layer_norm(x, w.shape, w, b, 1e-5),
        ("x", "w", "b"),
        ("w", "b"),
    ),
    "softmax": Case("softmax(x, dim=-1)", lambda x: torch.softmax(x, -1), ("x",)),
    "cross_entropy": Case(
        "-sum(log_softmax(x, dim=-1)*t, dim=-1)",
        lambda x, t: -(torch.log_softmax(x, -1) * t).sum(-1),
        ("x", "t"),
    ),
}
"""Beside torch's own functions; what is ``single`` runs along the last dimension."""
ELEMENTS = 2**26
"""Of the rows together."""
ROTATED = 3 * 2**26
"""Bytes that the inputs of a few calls take together: some times as many as the largest cache holds."""


def liger(name: str) -> Function | None:
    """Return Liger-Kernel's function for the same formula, if it is installed and has one."""
    try:
        from liger_kernel.ops.geglu import LigerGELUMulFunction
        from liger_kernel.ops.layer_norm import LigerLayerNormFunction
        from liger_kernel.ops.rms_norm import LigerRMSNormFunction
        from liger_kernel.ops.softmax import LigerSoftmaxFunction
        from liger_kernel.ops.swiglu import LigerSiLUMulFunction
    except ImportError:
        return None
    return {
        "swiglu": _in_rows(LigerSiLUMulFunction.apply),
        "geglu": _in_rows(LigerGELUMulFunction.apply),
        "rms_norm": lambda x, w: LigerRMSNormFunction.apply(x, w, 1e-6, 0.0, "llama", False),
        "layer_norm": lambda x, w, b: LigerLayerNormFunction.apply(x, w, b, 1e-5),
        "softmax": LigerSoftmaxFunction.apply,
    }.get(name)


def _in_rows(function: Function) -> Function:
    """Return a function that takes rows, of a vector."""
    return lambda *xs: function(*(x.view(-1, 4096) for x in xs)).view(-1)


def variants(name: str, case: Case, *, compile: bool, dynamic: bool) -> dict[str, Function]:
    """Return the functions to compare, kernels first."""
    import fngen

    make: dict[str, Any] = {"name": name, "inputs": case.inputs, "backend": "triton"}
    if name in ROWS:
        make |= {"inputs": None, "params": {f"{x}[-1]": 1.0 for x in case.single}}
    found = {"kernel": getattr(fngen.compile(case.formula, **make), name), "plain": case.plain}
    found["torch way"] = by_torch(name, fngen.compile(case.formula, **make))
    if compile:
        torch._dynamo.reset()
        found["compile"] = torch.compile(case.plain, dynamic=dynamic)
    if by_liger := liger(name):
        found["liger"] = by_liger
    return found


def draws(name: str, size: int, dtype: torch.dtype) -> list[tuple[list[Tensor], Tensor]]:
    """Return inputs and a cotangent, several times; of rows the size is that of one."""
    case, shape, one = {**FORMULAS, **ROWS}[name], (size,), (1,)
    if name in ROWS:
        shape, one, size = (ELEMENTS // size, size), (size,), ELEMENTS
    width = len(case.inputs) - len(case.single)
    count = min(8, max(2, ROTATED // (dtype.itemsize * size * (width + 1))))
    found = []
    for _ in range(count):
        shapes = [one if x in case.single else shape for x in case.inputs]
        inputs = [(torch.rand(s, device="cuda") + 0.5).to(dtype).requires_grad_() for s in shapes]
        of_rows = shape[:1] if name == "cross_entropy" else shape
        found.append((inputs, torch.rand(of_rows, device="cuda").to(dtype)))
    return found


def step(what: str, function: Function) -> Callable[[list[Tensor], Tensor], Any]:
    """Return what is timed: the value without a graph, value and gradients, or a gradient of gradients."""

    def value(inputs: list[Tensor], cotangent: Tensor) -> Any:
        with torch.no_grad():
            return function(*inputs)

    def gradient(inputs: list[Tensor], cotangent: Tensor) -> Any:
        return torch.autograd.grad(function(*inputs), inputs, cotangent)

    def double(inputs: list[Tensor], cotangent: Tensor) -> Any:
        (slope,) = torch.autograd.grad(function(*inputs), inputs[0], cotangent, create_graph=True)
        weight = cotangent if slope.shape == cotangent.shape else torch.ones_like(slope)
        return torch.autograd.grad(slope, inputs, weight, allow_unused=True)

    return {"value": value, "gradient": gradient, "double": double}[what]


def times(
    steps: dict[str, Callable[..., Any]], drawn: list[tuple[list[Tensor], Tensor]], rounds: int
) -> dict[str, float]:
    """Return the median time of each variant in µs."""
    calls = 10 if drawn[0][1].numel() < 2**26 else 3
    found: dict[str, list[float]] = {k: [] for k in steps}
    for _ in range(3):
        for one in steps.values():
            one(*drawn[0])
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    for _ in range(rounds):
        for variant, one in steps.items():
            torch.cuda.synchronize()
            start.record()
            for i in range(calls):
                one(*drawn[i % len(drawn)])
            end.record()
            torch.cuda.synchronize()
            found[variant].append(start.elapsed_time(end) / calls * 1e3)
    return {k: sorted(column)[rounds // 2] for k, column in found.items()}


def peaks(steps: dict[str, Callable[..., Any]], drawn: list[tuple[list[Tensor], Tensor]]) -> dict[str, int]:
    """Return how far each variant's memory rises."""
    found = {}
    for variant, one in steps.items():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        one(*drawn[0])
        found[variant] = torch.cuda.max_memory_allocated() - before
    return found


def moved(case: Case, what: str, size: int, dtype: torch.dtype) -> int:
    """Return the bytes that must move."""
    wide = len(case.inputs) - len(case.single)
    full = int(case is not ROWS["cross_entropy"])  # Whether the value has all elements.
    forward, backward = (wide, full), (wide + full, wide)
    reads, writes = forward
    if what == "gradient":
        reads, writes = reads + backward[0], writes + backward[1]
    elif what == "double":
        return 0
    return (reads + writes) * size * dtype.itemsize


def copied(size: int = 2**30) -> float:
    """Return the bandwidth of a copy in GB/s, bytes read and written."""
    a, b = (torch.empty(size, dtype=torch.uint8, device="cuda") for _ in range(2))
    drawn: Any = [([a], b), ([b], a)]
    return 2 * size / times({"copy": lambda x, y: y.copy_(x[0])}, drawn, 15)["copy"] / 1e3


def cell(name: str, power: int, kind: str, bandwidth: float, asked: argparse.Namespace) -> list[Any]:
    """Return the rows of a formula at one size and type."""
    case, size, dtype = {**FORMULAS, **ROWS}[name], 2**power, getattr(torch, kind)
    drawn, rows = draws(name, size, dtype), []
    found = variants(name, case, compile=not asked.no_compile, dynamic=power < 24 and name not in ROWS)
    total = ELEMENTS if name in ROWS else size
    for what in asked.what.split(","):
        timed = {k: step(what, f) for k, f in found.items() if what != "double" or k in ("kernel", "plain")}
        measured = times(timed, drawn, asked.rounds)
        rate = moved(case, what, total, dtype) / measured["kernel"] / 1e3
        place = {"formula": name, "size": f"2^{power}", "type": kind, "what": what}
        share = rate / bandwidth
        rows.append({**place, "times": measured, "rate": rate, "share": share, "peaks": peaks(timed, drawn)})
    return rows


def line(row: dict[str, Any], others: list[str]) -> str:
    """Return a row of the table."""
    times_, peaks_ = row["times"], row["peaks"]
    cells = [row["formula"], row["size"], row["type"], row["what"], f"{times_['kernel']:.1f}"]
    cells += [f"{times_[o] / times_['kernel']:.2f}" if o in times_ else "" for o in others]
    cells += [f"{row['rate']:.0f}", f"{row['share']:.2f}"] if row["rate"] else ["", ""]
    lowest = min((v for k, v in peaks_.items() if k not in ("kernel", "torch way")), default=0)
    cells.append(f"{peaks_['kernel'] / lowest:.2f}" if lowest else "")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="12,18,24,28")
    parser.add_argument("--rows", default="10,12,14")
    parser.add_argument("--types", default="bfloat16,float32")
    parser.add_argument("--what", default="value,gradient,double")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default=",".join([*FORMULAS, *ROWS]))
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    bandwidth, others = copied(), ["plain", "torch way", "compile", "liger"]
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, copy {bandwidth:.0f} GB/s\n")
    head = ["formula", "N", "type", "what", "kernel, µs", *others, "GB/s", "of copy", "peak of the least"]
    print(f"| {' | '.join(head)} |\n" + "| --- " * len(head) + "|")
    rows: list[Any] = []
    for name in asked.only.split(","):
        for kind in asked.types.split(","):
            for power in map(int, (asked.rows if name in ROWS else asked.sizes).split(",")):
                found = cell(name, power, kind, bandwidth, asked)
                print("\n".join(line(row, others) for row in found), flush=True)
                rows += found
    for other in others:
        logs = [math.log(r["times"][other] / r["times"]["kernel"]) for r in rows if other in r["times"]]
        if logs:
            print(f"geometric mean over {other}: {math.exp(sum(logs) / len(logs)):.2f}")
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
