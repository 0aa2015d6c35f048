"""Times and memory of a layer, cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from fngen.problem import Problem
from fngen.timing.clock import interleaved, peak_bytes, ratio, saved_bytes
from fngen.timing.draws import drawn
from fngen.timing.report import Bench, Cell, Memory
from fngen.timing.request import Request
from fngen.timing.ways import COMPILED, PLAIN, Function, ways

_LEAST = 10_000
"""Elements below which memory says nothing."""
Step = Callable[[], object]


def bench(problem: Problem, module: ModuleType, function: str, request: Request) -> Bench:
    """Time a layer against plain autograd of its formula.

    Args:
        problem: The formula.
        module: The emitted file, imported.
        function: The name of its function.
        request: What is to be timed.
    """
    asked, problem = problem, problem.at_defaults()
    found = ways(problem, module, function, compiled=request.compiled)
    cells, memory = list[Cell](), list[Memory]()
    for threads in request.threads:
        with _threads(threads):
            for size in request.sizes:
                inputs = drawn(problem, size, getattr(torch, request.dtype))
                steps = _steps(found, inputs)
                cells += [_cell(what, size, threads, of, request.seconds) for what, of in steps.items()]
                if threads == request.threads[0] and size >= _LEAST:
                    memory.append(_memory(size, found, inputs))
    machine = f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"
    return Bench(function, asked.reading.text, request.dtype, machine, tuple(cells), tuple(memory))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _steps(found: Mapping[str, Function], inputs: list[Tensor]) -> dict[str, dict[str, Step]]:
    """Return what is timed, way by way: the value without a graph, value and gradient, and theirs again."""
    fixed = [x.detach() for x in inputs]

    def first(function: Function, *, graph: bool = False) -> Sequence[Tensor]:
        return torch.autograd.grad(_total(function(*inputs)), inputs, create_graph=graph)

    def second(function: Function) -> object:
        slopes = [g.sum() for g in first(function, graph=True) if g.requires_grad]
        return torch.autograd.grad(slopes, inputs, allow_unused=True) if slopes else ()

    whats: dict[str, Callable[[Function], object]] = {
        "value": lambda f: f(*fixed),
        "gradient": first,
        "second": second,
    }
    return {
        what: {name: partial(run, f) for name, f in found.items() if _can(name, what)}
        for what, run in whats.items()
    }


def _can(name: str, what: str) -> bool:
    """Say whether a way has derivatives of this order: what torch.compile makes has first ones."""
    return name != COMPILED or what != "second"


def _total(value: Any) -> Tensor:
    """Return the sum of all outputs: a cotangent of ones, which costs every way the same."""
    return torch.stack([y.sum() for y in value]).sum() if isinstance(value, tuple) else value.sum()


def _cell(what: str, size: int, threads: int, steps: Mapping[str, Step], seconds: float) -> Cell:
    times = interleaved(dict(steps), seconds)
    medians = {name: column.median().item() for name, column in times.items()}
    ratios = {name: ratio(column, times[PLAIN]) for name, column in times.items() if name != PLAIN}
    return Cell(what, size, threads, medians, ratios)


def _memory(size: int, found: Mapping[str, Function], inputs: list[Tensor]) -> Memory:
    """Return the bytes at the peak of value and gradient, and those that are kept in between."""
    unit = max(x.nbytes for x in inputs)
    several = {name: f for name, f in found.items() if name != COMPILED}
    peaks = {name: peak_bytes(step) / unit for name, step in _steps(several, inputs)["gradient"].items()}
    kept = {name: saved_bytes(f, inputs) / unit for name, f in several.items()}
    return Memory(size, peaks, kept)
