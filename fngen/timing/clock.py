"""Time several functions against each other, and follow the memory of one."""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

ROUNDS = 7
"""The fewest rounds of a cell, however slow."""


@dataclass(frozen=True)
class Ratio:
    """A ratio of medians and the 95 % interval of its bootstrap."""

    value: float
    low: float
    high: float


@contextmanager
def _no_gc() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what the profiler's C++ prints on standard error."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def interleaved(steps: dict[str, Callable[[], object]], seconds: float) -> dict[str, Tensor]:
    """Return the times of each step in µs: in every round each runs once, in random order, to its end.

    So that whatever else the machine does hits all alike, and a ratio of two is better than either.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    order = list(steps)
    finish: Callable[[], object] = torch.cuda.synchronize if torch.cuda.is_available() else int
    for name in order:
        _warm(steps[name])
    with _no_gc():
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times[order[0]]) < ROUNDS:
            random.shuffle(order)
            for name in order:
                start = time.perf_counter()
                steps[name]()
                finish()
                times[name].append((time.perf_counter() - start) * 1e6)
    return {name: torch.tensor(column, dtype=torch.float64) for name, column in times.items()}


def _warm(step: Callable[[], object]) -> None:
    """Run a step until 20 times or 50 ms."""
    end = time.perf_counter() + 0.05
    for _ in range(20):
        step()
        if time.perf_counter() > end:
            return


def ratio(above: Tensor, below: Tensor, samples: int = 300) -> dict[str, float]:
    """Return the ratio of two medians; the bootstrap draws rounds, so it keeps their pairing."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(len(above), (samples, len(above)), generator=generator)
    spread = above[drawn].median(1).values / below[drawn].median(1).values
    low, high = spread.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return asdict(Ratio((above.median() / below.median()).item(), low, high))


def peak_bytes(step: Callable[[], object]) -> int:
    """Return how far the tensors' memory rises above its start, by the allocator's own records."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return torch.cuda.max_memory_allocated() - before
    with _quiet(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


def saved_bytes(function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> int:
    """Return the bytes kept for the backward, the inputs aside; a storage counts once."""
    storages: dict[int, int] = {}
    own = {x.untyped_storage().data_ptr() for x in inputs}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        result = function(*inputs)
    del result
    return sum(n for pointer, n in storages.items() if pointer not in own)
