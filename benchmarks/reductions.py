"""Measure layers that reduce beside the formula by hand and torch's own function.

    python -m benchmarks.reductions [--rows 256] [--columns 512] [--threads 1] [--seconds 2]

Value and gradient by every input, float32, each reduced along the last dimension. The variants run in one
process, interleaved in random order; medians in µs, ratios to the formula by hand and to torch's function
with their 95 % bootstrap intervals, peak memory in tensors of the input's size beyond the inputs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  As everybody calls it.

import fngen
from fngen.timing.clock import interleaved, peak_bytes, ratio

Function = Callable[..., Tensor]


@dataclass(frozen=True)
class Case:
    """A formula, the same by hand, and torch's function for it; the last arguments are parameters."""

    formula: str
    plain: Function
    own: Function
    inputs: int = 1
    params: Mapping[str, float] = field(default_factory=dict)


def _norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True)


def _layer_norm(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, correction=0, keepdim=True) + 1e-5) * w + b


CASES = {
    "softmax": Case(
        "softmax(x, dim=-1)",
        lambda x: torch.exp(x - torch.logsumexp(x, -1, keepdim=True)),
        lambda x: F.softmax(x, -1),
    ),
    "rms_norm": Case(
        "x/sqrt(mean(x**2, dim=-1) + 1e-6)*w",
        lambda x, w: x / torch.sqrt((x**2).mean(-1, keepdim=True) + 1e-6) * w,
        lambda x, w: F.rms_norm(x, x.shape[-1:], w, 1e-6),
        params={"w[-1]": 1.0},
    ),
    "layer_norm": Case(
        "(x - mean(x, dim=-1))/sqrt(var(x, dim=-1, correction=0) + 1e-5)*w + b",
        _layer_norm,
        lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b),
        params={"w[-1]": 1.0, "b[-1]": 0.0},
    ),
    "cosine_similarity": Case(
        "sum(x*y, dim=-1)/(norm(x, dim=-1)*norm(y, dim=-1))",
        lambda x, y: (x * y).sum(-1) / (_norm(x) * _norm(y)).squeeze(-1),
        lambda x, y: F.cosine_similarity(x, y, -1),
        inputs=2,
    ),
    "cross_entropy": Case(
        "-sum(log_softmax(x, dim=-1)*t, dim=-1)",
        lambda x, t: -(torch.log_softmax(x, -1) * t).sum(-1),
        lambda x, t: F.cross_entropy(x, t, reduction="none"),
        inputs=2,
    ),
    "normalize": Case(
        "x/max(norm(x, dim=-1), 1e-12)",
        lambda x: x / _norm(x).clamp(min=1e-12),
        lambda x: F.normalize(x, dim=-1),
    ),
    "pairwise_distance": Case(
        "norm(x - y + 1e-6, dim=-1)",
        lambda x, y: _norm(x - y + 1e-6).squeeze(-1),
        F.pairwise_distance,
        inputs=2,
    ),
    "mean_squared": Case(
        "mean((x - y)**2, dim=-1)",
        lambda x, y: ((x - y) ** 2).mean(-1),
        lambda x, y: F.mse_loss(x, y, reduction="none").mean(-1),
        inputs=2,
    ),
    "gate": Case(
        "x*sigmoid(mean(x, dim=-1))",
        lambda x: x * torch.sigmoid(x.mean(-1, keepdim=True)),
        lambda x: x * torch.sigmoid(x.mean(-1, keepdim=True)),
    ),
}


def measure(name: str, case: Case, shape: tuple[int, int], seconds: float) -> str:
    """Return a row of the table."""
    module = fngen.compile(case.formula, name="layer", params=dict(case.params))
    wide = [torch.rand(shape).add_(0.1).requires_grad_() for _ in range(case.inputs)]
    learned = [torch.rand(shape[1]).requires_grad_() for _ in case.params]
    inputs = [*wide, *learned]
    cotangent = torch.rand_like(case.plain(*inputs))

    def step(function: Function) -> Callable[[], object]:
        return lambda: torch.autograd.grad(function(*inputs), inputs, cotangent)

    steps = {"plain": step(case.plain), "own": step(case.own), "fngen": step(module.layer)}
    for got, want in zip(steps["fngen"](), steps["plain"](), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)
    times = interleaved(steps, seconds)
    micros = [f"{times[k].median().item():.0f}" for k in steps]
    ratios = [ratio(times["fngen"], times[k]) for k in ("plain", "own")]
    shown = [f"{r['value']:.2f} ({r['low']:.2f}-{r['high']:.2f})" for r in ratios]
    unit = 4 * shape[0] * shape[1]
    peaks = [f"{peak_bytes(steps[k]) / unit:.1f}" for k in steps]
    return f"| {name} | {' / '.join(micros)} | {' | '.join(shown)} | {' / '.join(peaks)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--columns", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print("| layer | µs: plain / torch's / fngen | fngen/plain | fngen/torch's | peak: the same |")
    print("| --- | --- | --- | --- | --- |")
    for name, case in CASES.items():
        print(measure(name, case, (options.rows, options.columns), options.seconds), flush=True)


if __name__ == "__main__":
    main()
