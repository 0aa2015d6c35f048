"""Measure kernels in C beside autograd of the formula, the torch way, and torch.compile.

    python -m benchmarks.c_backend [--sizes 1,1000,100000,10000000] [--threads 1,2] [--seconds 1]
        [--hidden 1024,4096] [--only seed,mish] [--no-compile] [--json FILE]

float32. All variants of a cell run in one process, interleaved in random order; a figure is a ratio of two
medians with its 95 % bootstrap interval: how many times as long the other variant takes. ``--json`` writes
the times too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

import fngen
from fngen.timing.clock import interleaved, ratio

Function = Callable[..., Tensor]


@dataclass(frozen=True)
class Case:
    """A formula, the same by hand, its inputs, those that are one number, and those that all rows share."""

    formula: str
    plain: Function
    inputs: tuple[str, ...]
    single: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    params: dict[str, float] = field(default_factory=dict)
    rows: bool = False


def _black_scholes(S: Tensor, K: Tensor, r: Tensor, sigma: Tensor, T: Tensor) -> Tensor:
    d1 = (torch.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * torch.sqrt(T))
    d2 = d1 - sigma * torch.sqrt(T)
    return S * torch.special.ndtr(d1) - K * torch.exp(-r * T) * torch.special.ndtr(d2)


def _gelu_tanh(x: Tensor) -> Tensor:
    return x / 2 * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))


CASES = {
    "seed": Case("x1**3 + x2**2", lambda x1, x2: x1**3 + x2**2, ("x1", "x2")),
    "gelu_tanh": Case("x/2*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))", _gelu_tanh, ("x",)),
    "gelu": Case("x/2*(1 + erf(x/sqrt(2)))", lambda x: x / 2 * (1 + torch.erf(x / 2**0.5)), ("x",)),
    "mish": Case("x*tanh(softplus(x))", lambda x: x * torch.tanh(torch.nn.functional.softplus(x)), ("x",)),
    "swiglu": Case("a*sigmoid(a)*b", lambda a, b: a * torch.sigmoid(a) * b, ("a", "b")),
    "snake": Case("x + sin(a*x)**2/a", lambda x, a: x + torch.sin(a * x) ** 2 / a, ("x", "a"), ("a",)),
    "log_cosh": Case("log(cosh(x))", lambda x: torch.log(torch.cosh(x)), ("x",)),
    "black_scholes": Case(
        "d1 = (log(S/K) + (r + sigma**2/2)*T)/(sigma*sqrt(T)); d2 = d1 - sigma*sqrt(T); "
        "call = S*ndtr(d1) - K*exp(-r*T)*ndtr(d2)",
        _black_scholes,
        ("S", "K", "r", "sigma", "T"),
    ),
    "lennard_jones": Case(
        "4*epsilon*((sigma/r)**12 - (sigma/r)**6)",
        lambda epsilon, sigma, r: 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6),
        ("epsilon", "sigma", "r"),
        ("epsilon", "sigma"),
    ),
    "softplus": Case("softplus(x)", torch.nn.functional.softplus, ("x",)),
    "sum_log_cosh": Case("sum(log(cosh(x - y)))", lambda x, y: (x - y).cosh().log().sum(), ("x", "y")),
    "rms_norm": Case(
        "x/sqrt(mean(x**2, dim=-1) + 1e-6)*w",
        lambda x, w: x / torch.sqrt((x**2).mean(-1, keepdim=True) + 1e-6) * w,
        ("x", "w"),
        shared=("w",),
        params={"w[-1]": 1.0},
        rows=True,
    ),
    "layer_norm": Case(
        "(x - mean(x, dim=-1))/sqrt(var(x, dim=-1, correction=0) + 1e-5)*w + b",
        lambda x, w, b: torch.nn.functional.layer_norm(x, x.shape[-1:], w, b),
        ("x", "w", "b"),
        shared=("w", "b"),
        params={"w[-1]": 1.0, "b[-1]": 0.0},
        rows=True,
    ),
    "cross_entropy": Case(
        "-sum(t*log_softmax(x, dim=-1), dim=-1)",
        lambda x, t: -(t * torch.log_softmax(x, -1)).sum(-1),
        ("x", "t"),
        rows=True,
    ),
}


def by_torch(name: str, file: ModuleType) -> Function:
    """Return the torch way of a file: a copy of it without its kernels."""
    file._run = lambda *args: None
    return getattr(file, name)


def variants(name: str, case: Case, *, compile: bool) -> dict[str, Function]:
    """Return the functions to compare, kernels first."""
    inputs = case.inputs[: len(case.inputs) - len(case.params)]
    make = {"name": name, "inputs": inputs, "params": case.params, "backend": "c"}
    found = {"kernel": getattr(fngen.compile(case.formula, **make), name), "plain": case.plain}
    found["torch way"] = by_torch(name, fngen.compile(case.formula, **make))
    if compile:
        torch._dynamo.reset()
        found["compile"] = torch.compile(case.plain, dynamic=False)
    return found


def steps(function: Function, inputs: list[Tensor], cotangent: Tensor) -> dict[str, Callable[[], Any]]:
    """Return what is timed: the value without a graph, and value and gradients."""
    fixed = [x.detach() for x in inputs]
    return {
        "value": lambda: function(*fixed),
        "gradient": lambda: torch.autograd.grad(function(*inputs), inputs, cotangent),
    }


def cell(
    name: str, size: int, threads: int, seconds: float, *, hidden: int, compile: bool
) -> list[dict[str, Any]]:
    """Return the rows of a formula at one size and number of threads."""
    torch.set_num_threads(threads)
    case = CASES[name]
    whole = (max(1, size // hidden), min(size, hidden)) if case.rows else (size,)
    known = dict.fromkeys(case.single, ()) | dict.fromkeys(case.shared, whole[-1:])
    inputs = [(torch.rand(known.get(x, whole)) + 0.5).requires_grad_() for x in case.inputs]
    cotangent = torch.rand(case.plain(*inputs).shape)
    timed = {k: steps(f, inputs, cotangent) for k, f in variants(name, case, compile=compile).items()}
    rows = []
    for what in ("value", "gradient"):
        times = interleaved({variant: step[what] for variant, step in timed.items()}, seconds)
        ratios = {other: ratio(times[other], times["kernel"]) for other in times if other != "kernel"}
        medians = {variant: column.median().item() for variant, column in times.items()}
        label = f"{name}, {whole[-1]:,}" if case.rows else name
        place = {"formula": label, "size": size, "threads": threads, "what": what}
        rows.append({**place, "medians": medians, "ratios": ratios})
    return rows


def cells(asked: argparse.Namespace, *, rows: bool) -> Iterator[tuple[int, int]]:
    """Return sizes, and of rows their lengths: those that are shorter than the whole."""
    for size in map(int, asked.sizes.split(",")):
        lengths = [int(h) for h in asked.hidden.split(",") if int(h) <= size] if rows else []
        yield from ((size, hidden) for hidden in lengths or [size])


def line(row: dict[str, Any]) -> str:
    """Return a row of the table."""
    cells = [row["formula"], f"{row['size']:,}", str(row["threads"]), row["what"]]
    cells.append(f"{row['medians']['kernel']:.1f}")
    for found in row["ratios"].values():
        cells.append(f"{found['value']:.2f} ({found['low']:.2f} to {found['high']:.2f})")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1,1000,100000,10000000")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--hidden", default="1024,4096")
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    others = ["plain", "torch way", *([] if asked.no_compile else ["compile"])]
    print(f"| formula | N | threads | what | kernel, µs | {' | '.join(others)} |")
    print("| --- " * (5 + len(others)) + "|")
    rows = []
    for name in asked.only.split(","):
        for threads in map(int, asked.threads.split(",")):
            for size, hidden in cells(asked, rows=CASES[name].rows):
                found = cell(
                    *(name, size, threads, asked.seconds), hidden=hidden, compile=not asked.no_compile
                )
                print("\n".join(map(line, found)), flush=True)
                rows += found
    for other in others:
        logs = [torch.tensor(row["ratios"][other]["value"]).log() for row in rows]
        print(f"geometric mean over {other}: {torch.stack(logs).mean().exp():.2f}")
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
