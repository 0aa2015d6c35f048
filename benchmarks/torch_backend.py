"""Measure the layers of generated/ beside the plain formula, a tutorial's Function and torch.compile.

    python -m benchmarks.torch_backend [--layers square,gelu] [--sizes 1,100000] [--threads 1,2] [--compile]

Value and gradient by every input, float32, all inputs of N elements. The variants of a cell run in one
process, interleaved in random order; times are medians in µs. Beside a ratio stands its 95 % bootstrap
interval: where that holds 1, there is no difference to see. Each number of threads has its own process. On a
busy machine believe one thread only: a parallel region waits for its last thread, and that one for a core.
With FNGEN_DEVICE=cuda, on a GPU: a time is that until the device has finished.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.tutorial import tutorial
from fngen.timing.clock import interleaved, peak_bytes, ratio, saved_bytes
from tests.gallery import GALLERY
from tests.plain import DEVICE, PLAIN, joined

ROOT = Path(__file__).parent.parent
SIZES = "1,1000,100000,10000000"
MEASURED = ("plain", "tutorial", "fngen")
SMALLEST_FOR_MEMORY = 100_000
RAW = argparse.RawDescriptionHelpFormatter

Variants = dict[str, Callable[..., Tensor]]


def variants(layer: str, compiled: bool) -> Variants:
    """Return the ways to compute a layer."""
    plain = PLAIN[layer].function
    function = getattr(importlib.import_module(f"generated.{layer}"), layer)
    if PLAIN[layer].several:
        found = {"plain": plain, "fngen": joined(function)}
    else:
        written = tutorial(GALLERY[layer].formula, plain, PLAIN[layer].scalar)
        found = {"plain": plain, "tutorial": written, "fngen": function}
    if compiled:
        torch._dynamo.reset()
        found["compile"] = torch.compile(plain, dynamic=False)
    return found


def draw(layer: str, size: int) -> tuple[list[Tensor], Tensor]:
    """Return inputs and a cotangent."""
    inputs = [x.requires_grad_() for x in PLAIN[layer].inputs(size, dtype=torch.float32)]
    return inputs, torch.rand(() if PLAIN[layer].scalar else (size,), device=DEVICE)


def gradient_steps(found: Variants, inputs: list[Tensor], cotangent: Tensor) -> dict[str, Callable]:
    """Return, for each variant, value and gradient as a function of nothing."""

    def step(function: Callable[..., Tensor]) -> Callable:
        return lambda: torch.autograd.grad(function(*inputs), inputs, cotangent)

    return {name: step(function) for name, function in found.items()}


def value_steps(found: Variants, inputs: list[Tensor], grad: bool) -> dict[str, Callable]:
    """Return, for each variant, the value as a function of nothing."""

    def step(function: Callable[..., Tensor]) -> Callable:
        def run() -> None:
            with torch.set_grad_enabled(grad):
                function(*inputs)

        return run

    return {name: step(function) for name, function in found.items()}


def compare(layer: str, steps: dict[str, Callable]) -> None:
    """Refuse to time a variant whose gradient is wrong."""
    want = steps["plain"]()
    for name, step in steps.items():
        for got, expected in zip(step(), want, strict=True):
            error = (got - expected).abs().max() / expected.abs().max()
            if not error < 1e-3:
                raise ValueError(f"{layer}: the gradient of {name} differs from plain's by {error:.1e}")


def timed(what: str, layer: str, size: int, steps: dict[str, Callable], seconds: float) -> dict:
    """Return a cell: medians, and each variant's ratio to the plain formula."""
    times = interleaved(steps, seconds)
    medians = {name: column.median().item() for name, column in times.items()}
    ratios = {name: ratio(column, times["plain"]) for name, column in times.items()}
    rounds = len(times["plain"])
    return {"what": what, "layer": layer, "size": size, "rounds": rounds, "us": medians, "ratio": ratios}


def memory(layer: str, size: int, found: Variants, inputs: list[Tensor], steps: dict[str, Callable]) -> dict:
    """Return peak and saved memory beyond the inputs, in tensors of N elements."""
    unit = 4 * size
    names = [name for name in MEASURED if name in found]
    peak = {name: peak_bytes(steps[name]) / unit for name in names}
    saved = {name: saved_bytes(found[name], inputs) / unit for name in names}
    return {"what": "memory", "layer": layer, "size": size, "peak": peak, "saved": saved}


def cells(layers: list[str], sizes: list[int], compiled: bool, seconds: float) -> Iterator[dict]:
    """Measure everything that this process is asked for."""
    for layer in layers:
        found = variants(layer, compiled)
        for size in sizes:
            inputs, cotangent = draw(layer, size)
            steps = gradient_steps(found, inputs, cotangent)
            compare(layer, steps)
            yield timed("gradient", layer, size, steps, seconds)
            if size == 1:
                for grad in (False, True):
                    name = "value" if grad else "no_grad"
                    yield timed(name, layer, size, value_steps(found, inputs, grad), seconds)
            if size == max(sizes) >= SMALLEST_FOR_MEMORY:
                yield memory(layer, size, found, inputs, steps)


def worker(options: argparse.Namespace) -> None:
    """Measure with one number of threads, a line of JSON each cell."""
    torch.set_num_threads(int(options.threads))
    torch.manual_seed(0)
    sizes = [int(float(s)) for s in options.sizes.split(",")]
    for cell in cells(options.layers.split(","), sizes, options.compile, options.seconds):
        print(json.dumps(cell), flush=True)


def run_worker(options: argparse.Namespace, threads: str) -> list[dict]:
    """Measure in a fresh process; a library reads the number of threads once, at its start."""
    command = [sys.executable, "-m", "benchmarks.torch_backend", "--worker", "--threads", threads]
    command += ["--layers", options.layers, "--sizes", options.sizes, "--seconds", str(options.seconds)]
    command += ["--compile"] if options.compile else []
    environment = {**os.environ, "OMP_NUM_THREADS": threads}
    found = []
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if not line.startswith("{"):
                continue
            found.append(json.loads(line))
            cell = found[-1]
            print(f"{threads} thread(s): {cell['layer']} {cell['what']} N={cell['size']}", file=sys.stderr)
    if process.returncode:
        raise SystemExit(process.returncode)
    return found


def time_tables(found: list[dict], threads: str) -> str:
    """Return the times of one number of threads."""
    sections = {
        "gradient": f"Value and gradient, {threads} thread(s), µs",
        "no_grad": f"Value under no_grad, {threads} thread(s), µs",
        "value": f"Value with a graph, {threads} thread(s), µs",
    }
    heads = "layer N plain tutorial fngen compile fngen/plain interval rounds"
    rows = {what: [time_row(cell) for cell in found if cell["what"] == what] for what in sections}
    return "\n".join(table(title, heads, rows[what]) for what, title in sections.items() if rows[what])


def memory_table(found: list[dict]) -> str:
    """Return the memory of the largest size; it does not depend on the number of threads."""
    rows = [memory_row(cell) for cell in found if cell["what"] == "memory"]
    title = "Memory beyond the inputs, in tensors of N elements: peak of value and gradient, saved for it"
    heads = "layer N peak:plain peak:tutorial peak:fngen saved:plain saved:tutorial saved:fngen"
    return table(title, heads, rows) if rows else ""


def table(title: str, heads: str, rows: list[list[str]]) -> str:
    columns = heads.split()
    lines = [columns, ["---"] * len(columns), *rows]
    return f"### {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def time_row(cell: dict) -> list[str]:
    us, ours = cell["us"], cell["ratio"]["fngen"]
    times = [f"{us[v]:.1f}" if v in us else "-" for v in ("plain", "tutorial", "fngen", "compile")]
    interval = f"{ours['low']:.2f}-{ours['high']:.2f}"
    return [cell["layer"], f"{cell['size']:g}", *times, f"{ours['value']:.2f}", interval, str(cell["rounds"])]


def memory_row(cell: dict) -> list[str]:
    found = [cell[kind].get(name) for kind in ("peak", "saved") for name in MEASURED]
    amounts = ["-" if amount is None else f"{amount:.1f}" for amount in found]
    return [cell["layer"], f"{cell['size']:g}", *amounts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=RAW)
    real = [layer for layer in GALLERY if not GALLERY[layer].complex and not PLAIN[layer].rank]
    parser.add_argument("--layers", default=",".join(real))
    parser.add_argument("--sizes", default=SIZES, help="numbers of elements")
    parser.add_argument("--threads", default="1,2", help="numbers of threads")
    parser.add_argument("--compile", action="store_true", help="torch.compile the plain formula too: slow")
    parser.add_argument("--seconds", type=float, default=0.3, help="time for a cell; seven rounds at least")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there too")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options)
        return
    found = {threads: run_worker(options, threads) for threads in options.threads.split(",")}
    tables = [time_tables(cells, threads) for threads, cells in found.items()]
    text = "\n".join([*tables, memory_table(next(iter(found.values())))])
    print(text)
    if options.markdown:
        options.markdown.write_text(text)


if __name__ == "__main__":
    main()
