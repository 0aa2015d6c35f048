"""Measure kernels in C beside what else computes a formula: sympytorch, SymPy's lambdify, JAX, numexpr.

    pip install -e ".[torch]" sympytorch jax numexpr
    python -m benchmarks.peers [--sizes 1,1000,100000,10000000] [--threads 1] [--seconds 1] [--only seed,mish]
        [--compile] [--json FILE]

float32, on so many cores of the machine. All ways of a cell run in one process, interleaved in random
order; a figure is a ratio of two medians: how many times as long the other takes. ``limit`` is the share of
the machine's bandwidth that the kernel reaches: the bytes that it must read and write, over those that a copy
of 40 MB moves in that time.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sympy
import torch
from torch import Tensor

import fngen
from benchmarks.c_backend import CASES, Case
from benchmarks.tutorial import tutorial
from fngen.timing.clock import interleaved, ratio

Step = Callable[[], object]
COPIED = 10_000_000


def _symbolic() -> dict[str, sympy.Expr]:
    """Return the formulas for SymPy, in the symbols that they have here."""
    x, a, b, x1, x2, r, epsilon, sigma = sympy.symbols("x a b x1 x2 r epsilon sigma")
    inner = 0.7978845608028654 * (x + 0.044715 * x**3)  # Numbers: torch takes no root of an integer.
    return {
        "seed": x1**3 + x2**2,
        "gelu_tanh": x / 2 * (1 + sympy.tanh(inner)),
        "gelu": x / 2 * (1 + sympy.erf(0.7071067811865476 * x)),
        "mish": x * sympy.tanh(sympy.log(1 + sympy.exp(x))),
        "swiglu": a / (1 + sympy.exp(-a)) * b,
        "snake": x + sympy.sin(a * x) ** 2 / a,
        "log_cosh": sympy.log(sympy.cosh(x)),
        "lennard_jones": 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6),
        "softplus": sympy.log(1 + sympy.exp(x)),
    }


NUMEXPR = {
    "seed": "x1**3 + x2**2",
    "gelu_tanh": "x/2*(1 + tanh(0.7978845608*(x + 0.044715*x**3)))",
    "mish": "x*tanh(log1p(exp(x)))",
    "swiglu": "a/(1 + exp(-a))*b",
    "snake": "x + sin(a*x)**2/a",
    "log_cosh": "log(cosh(x))",
    "lennard_jones": "4*epsilon*((sigma/r)**12 - (sigma/r)**6)",
    "softplus": "log1p(exp(x))",
}
"""Those that numexpr has functions for: it has no error function."""


def in_torch(function: Callable[..., Tensor], inputs: Sequence[Tensor], cotangent: Tensor) -> dict[str, Step]:
    """Return the steps of a function that torch differentiates."""
    fixed = [x.detach() for x in inputs]
    return {
        "value": lambda: function(*fixed),
        "gradient": lambda: torch.autograd.grad(function(*inputs), inputs, cotangent),
    }


def by_sympytorch(case: Case, expression: sympy.Expr) -> Callable[..., Tensor]:
    """Return sympytorch's module of a formula, called with tensors in order."""
    import sympytorch

    module = sympytorch.SymPyModule(expressions=[expression])
    return lambda *args: module(**dict(zip(case.inputs, args, strict=True))).squeeze(-1)


def by_lambdify(case: Case, expression: sympy.Expr) -> Callable[..., Tensor]:
    """Return what SymPy's lambdify makes for torch."""
    return sympy.lambdify(sympy.symbols(case.inputs), expression, "torch")


def by_jax(
    case: Case, expression: sympy.Expr, inputs: Sequence[Tensor], cotangent: Tensor
) -> dict[str, Step]:
    """Return the steps of a formula that JAX compiles."""
    import jax

    known = [{"erf": jax.scipy.special.erf}, "jax"]
    function = sympy.lambdify(sympy.symbols(case.inputs), expression, known)
    arrays = [jax.numpy.asarray(x.detach().numpy()) for x in inputs]
    arriving = jax.numpy.asarray(cotangent.numpy())

    def gradient(g: Any, *args: Any) -> Any:
        value, pulled_back = jax.vjp(function, *args)
        return value, pulled_back(g)

    value, both = jax.jit(function), jax.jit(gradient)
    return {
        "value": lambda: jax.block_until_ready(value(*arrays)),
        "gradient": lambda: jax.block_until_ready(both(arriving, *arrays)),
    }


def by_numexpr(name: str, case: Case, inputs: Sequence[Tensor]) -> dict[str, Step]:
    """Return the one step that numexpr has."""
    import numexpr

    numexpr.set_num_threads(torch.get_num_threads())
    arrays = dict(zip(case.inputs, (x.detach().numpy() for x in inputs), strict=True))
    return {"value": lambda: numexpr.evaluate(NUMEXPR[name], arrays)}


def ways(name: str, case: Case, inputs: list[Tensor], cotangent: Tensor, *, compile: bool) -> dict[str, Any]:
    """Return the steps of every way, kernels first."""
    kernel = fngen.compile(case.formula, name=name, inputs=case.inputs, backend="c")
    found = {
        "kernel": in_torch(getattr(kernel, name), inputs, cotangent),
        "plain": in_torch(case.plain, inputs, cotangent),
        "tutorial": in_torch(tutorial(case.formula, case.plain), inputs, cotangent),
    }
    if (expression := _symbolic().get(name)) is not None:
        found["sympytorch"] = in_torch(by_sympytorch(case, expression), inputs, cotangent)
        found["lambdify"] = in_torch(by_lambdify(case, expression), inputs, cotangent)
        found["jax"] = by_jax(case, expression, inputs, cotangent)
    if name in NUMEXPR:
        found["numexpr"] = by_numexpr(name, case, inputs)
    if compile:
        torch._dynamo.reset()
        found["compile"] = in_torch(torch.compile(case.plain, dynamic=False), inputs, cotangent)
    return found


def moved(case: Case, size: int, what: str) -> int:
    """Return the bytes that a value must move; with the gradients, those that both must."""
    wide = len(case.inputs) - len(case.single)
    value, gradient = wide + 1, 2 * wide + 1
    return 4 * size * (value if what == "value" else value + gradient)


def cell(name: str, size: int, seconds: float, *, compile: bool) -> list[dict[str, Any]]:
    """Return the rows of a formula at one size."""
    case = CASES[name]
    shapes = [() if x in case.single else (size,) for x in case.inputs]
    inputs = [(torch.rand(shape) + 0.5).requires_grad_() for shape in shapes]
    cotangent = torch.rand(case.plain(*inputs).shape)
    timed = ways(name, case, inputs, cotangent, compile=compile)
    source, target = torch.rand(COPIED), torch.empty(COPIED)
    rows = []
    for what in ("value", "gradient"):
        steps = {way: step[what] for way, step in timed.items() if what in step}
        copy = {"copy": lambda: target.copy_(source)} if size == COPIED else {}
        times = interleaved({**steps, **copy}, seconds)
        row: dict[str, Any] = {"formula": name, "size": size, "what": what}
        row["kernel"] = times["kernel"].median().item()
        row["ratios"] = {way: ratio(times[way], times["kernel"]) for way in steps if way != "kernel"}
        if copy:
            row["limit"] = (
                moved(case, size, what) / (8 * COPIED) * times["copy"].median().item() / row["kernel"]
            )
        rows.append(row)
    return rows


def line(row: dict[str, Any], others: Sequence[str]) -> str:
    """Return a row of the table."""
    ratios = [f"{row['ratios'][way]['value']:.2f}" if way in row["ratios"] else "-" for way in others]
    limit = f"{row['limit']:.2f}" if "limit" in row else "-"
    cells = [row["formula"], f"{row['size']:,}", row["what"], f"{row['kernel']:.1f}", *ratios, limit]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1,1000,100000,10000000")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--only", default=",".join(n for n, c in CASES.items() if not c.rows))
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.threads])  # JAX takes all that it sees.
    torch.set_num_threads(asked.threads)
    others = [
        "plain",
        "tutorial",
        *(["compile"] if asked.compile else []),
        "sympytorch",
        "lambdify",
        "jax",
        "numexpr",
    ]
    print(f"| formula | N | what | kernel, µs | {' | '.join(others)} | limit |")
    print("| --- " * (5 + len(others)) + "|")
    rows: list[dict[str, Any]] = []
    for name in asked.only.split(","):
        for size in map(int, asked.sizes.split(",")):
            found = cell(name, size, asked.seconds, compile=asked.compile)
            print("\n".join(line(row, others) for row in found), flush=True)
            rows += found
    for other in others:
        logs = [torch.tensor(row["ratios"][other]["value"]).log() for row in rows if other in row["ratios"]]
        if logs:
            print(f"geometric mean over {other}: {torch.stack(logs).mean().exp():.2f}")
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
