"""Measure the gradients of parameters beside the formula by hand: error, peak memory and time.

    python -m benchmarks.parameters [--sizes 100000,10000000] [--threads 1] [--seconds 2]

Value and gradient of the parameters alone, as in a first layer, float32. Errors are in units of the last
place of the exact gradient, the largest of a parameter's elements: that is summed in float64. Where the terms
cancel, units are those of the sum of their absolute values. The two variants run in one process, interleaved
in random order: the ratio of their medians with its 95 % bootstrap interval, peak memory in tensors of the
input's size beyond the inputs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

import fngen
from fngen.timing.clock import interleaved, peak_bytes, ratio

Function = Callable[..., Tensor]


@dataclass(frozen=True)
class Case:
    """A formula of ``x`` and one parameter, the same by hand, and the shape of the parameter.

    ``x`` is drawn from one unit around ``centre``.
    """

    formula: str
    plain: Function
    param: str
    shape: Callable[[int], tuple[int, ...]]
    along: Callable[[Tensor], Tensor] = lambda w: w
    centre: float = 1.0


def _one(size: int) -> tuple[int, ...]:
    return ()


CASES = {
    "one for all": Case("w*x", lambda x, w: w * x, "w", _one),
    "of a channel": Case("w*x", lambda x, w: w * x, "w[C]", lambda c: (c,), lambda w: w.reshape(1, -1, 1)),
    "of the last dimension": Case("w*x", lambda x, w: w * x, "w[-1]", lambda c: (10 * c,)),
    "swish": Case("x*sigmoid(w*x)", lambda x, w: x * torch.sigmoid(w * x), "w", _one),
    "snake": Case(
        "x + sin(w*x)**2/w",
        lambda x, w: x + torch.sin(w * x) ** 2 / w,
        "w[C]",
        lambda c: (c,),
        lambda w: w.reshape(1, -1, 1),
    ),
    "prelu": Case("where(x > 0, x, w*x)", lambda x, w: torch.where(x > 0, x, w * x), "w", _one, centre=0.0),
    "prelu of a channel": Case(
        "where(x > 0, x, w*x)",
        lambda x, w: torch.where(x > 0, x, w * x),
        "w[C]",
        lambda c: (c,),
        lambda w: w.reshape(1, -1, 1),
        centre=0.0,
    ),
    "a quotient": Case("x/(1 + exp(-w*x))", lambda x, w: x / (1 + torch.exp(-w * x)), "w", _one),
    "rational": Case("(w*x + x**2)/(1 + x**2)", lambda x, w: (w * x + x**2) / (1 + x**2), "w", _one),
    "denominator": Case("x/(1 + (w*x)**2)", lambda x, w: x / (1 + (w * x) ** 2), "w", _one),
    "rms_norm": Case(
        "x/sqrt(mean(x**2, dim=-1) + 1e-6)*w",
        lambda x, w: x / torch.sqrt((x**2).mean(-1, keepdim=True) + 1e-6) * w,
        "w[-1]",
        lambda c: (10 * c,),
    ),
}
COTANGENTS: Mapping[str, Function] = {"positive": torch.rand_like, "cancelling": torch.randn_like}
CHANNELS = 10


def ulps(got: Tensor, exact: Tensor, scale: Tensor) -> float:
    """Return the largest error in units of the last place of ``scale``."""
    unit = torch.exp2(torch.floor(torch.log2(scale.abs()))) * torch.finfo(torch.float32).eps
    return ((got.double() - exact).abs() / unit).max().item()


def errors(case: Case, functions: Mapping[str, Function], x: Tensor, w: Tensor, kind: str) -> list[str]:
    """Return the error of each variant."""
    cotangent = COTANGENTS[kind](x)
    wide, learned = x.double(), w.detach().double().requires_grad_()
    (exact,) = torch.autograd.grad(case.plain(wide, case.along(learned)), learned, cotangent.double())
    ones = case.along(torch.ones_like(learned)).expand_as(wide).clone().requires_grad_()
    (terms,) = torch.autograd.grad(case.plain(wide, ones * case.along(learned)), ones, cotangent.double())
    total = (terms / case.along(learned.detach())).abs().sum_to_size(case.along(learned).shape)
    scale = exact if kind == "positive" else total.reshape(exact.shape)
    found = []
    for function in functions.values():
        (got,) = torch.autograd.grad(function(x, w), w, cotangent)
        found.append(f"{ulps(got, exact, scale):.2g}")
    return found


def measure(title: str, case: Case, size: int, seconds: float) -> str:
    """Return a row of the table."""
    layer = fngen.compile(case.formula, name="layer", params={case.param: 1.0}).layer
    x = torch.rand(size // (10 * CHANNELS**2), CHANNELS, 10 * CHANNELS).add_(case.centre - 0.5)
    w = torch.ones(case.shape(CHANNELS)).mul_(1.3).requires_grad_()
    functions = {"plain": lambda x, w: case.plain(x, case.along(w)), "fngen": layer}
    cotangent = torch.rand_like(x)

    def step(function: Function) -> Callable[[], object]:
        return lambda: torch.autograd.grad(function(x, w), w, cotangent)

    steps = {name: step(function) for name, function in functions.items()}
    wrong = [" / ".join(errors(case, functions, x, w, kind)) for kind in COTANGENTS]
    peaks = " / ".join(f"{peak_bytes(s) / (4 * x.numel()):.2f}" for s in steps.values())
    times = interleaved(steps, seconds)
    micros = " / ".join(f"{column.median().item():.0f}" for column in times.values())
    r = ratio(times["fngen"], times["plain"])
    return (
        f"| {title} | {size:.0e} | {' | '.join(wrong)} | {peaks} | {micros} "
        f"| {r['value']:.2f} ({r['low']:.2f}-{r['high']:.2f}) |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="100000,10000000")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print("| parameter | terms | ULP: plain / fngen | cancelling | peak | µs | fngen/plain |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for title, case in CASES.items():
        for size in map(int, options.sizes.split(",")):
            print(measure(title, case, size, options.seconds), flush=True)


if __name__ == "__main__":
    main()
