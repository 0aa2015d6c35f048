"""The layers of generated/ as a user would write them by hand in torch: the judge of every mode.

Written by hand on purpose, so that they share nothing with the generator.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

DEVICE = os.environ.get("FNGEN_DEVICE", "cpu")
"""Where the layers are tested: test_cuda.py runs the modes again where there is a GPU."""


def _huber(x: Tensor, delta: Tensor) -> Tensor:
    return torch.where(abs(x) <= delta, x**2 / 2, delta * (abs(x) - delta / 2))


def _black_scholes(S: Tensor, K: Tensor, r: Tensor, sigma: Tensor, T: Tensor) -> Tensor:
    d1 = (torch.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * torch.sqrt(T))
    d2 = d1 - sigma * torch.sqrt(T)
    return S * torch.special.ndtr(d1) - K * torch.exp(-r * T) * torch.special.ndtr(d2)


class _J1(torch.autograd.Function):
    """torch has no derivative of j1: this one is by j1' = j0 - j1/x, and once only."""

    @staticmethod
    def forward(ctx, r):
        ctx.save_for_backward(r)
        return torch.special.bessel_j1(r)

    @staticmethod
    def backward(ctx, grad):
        (r,) = ctx.saved_tensors
        return grad * (torch.special.bessel_j0(r) - torch.special.bessel_j1(r) / r)


def _rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    return x / torch.sqrt(torch.mean(x**2, -1, keepdim=True) + 1e-6) * weight


def _layer_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    d = x - torch.mean(x, -1, keepdim=True)
    return d / torch.sqrt(torch.mean(d**2, -1, keepdim=True) + 1e-5) * weight + bias


def _cosine_similarity(x: Tensor, y: Tensor) -> Tensor:
    lengths = torch.linalg.vector_norm(x, dim=-1) * torch.linalg.vector_norm(y, dim=-1)
    return torch.sum(x * y, -1) / lengths.clamp(min=1e-8)


def _greeks(S: Tensor, K: Tensor, r: Tensor, sigma: Tensor, T: Tensor) -> tuple[Tensor, ...]:
    width = sigma * torch.sqrt(T)
    d1 = (torch.log(S / K) + (r + sigma**2 / 2) * T) / width
    delta = torch.special.ndtr(d1)
    call = S * delta - K * torch.exp(-r * T) * torch.special.ndtr(d1 - width)
    return call, delta, S * torch.sqrt(T) * torch.exp(-(d1**2) / 2) / math.sqrt(2 * math.pi)


def joined(function: Callable[..., tuple[Tensor, ...]]) -> Callable[..., Tensor]:
    """Return a function of several outputs with these as one tensor: each has a cotangent of its own."""

    def value(*inputs: Tensor) -> Tensor:
        return sum(k * output for k, output in enumerate(function(*inputs), 1))

    return value


def _fidelity(u: Tensor, v: Tensor) -> Tensor:
    conjugate = 2 * u.real - u  # Forward mode of torch fails in conj() of a batched dual number.
    sizes = (u.abs() ** 2).sum(-1) * (v.abs() ** 2).sum(-1)
    return (conjugate * v).sum(-1).abs() ** 2 / sizes


def between(low: complex, high: complex, share: Tensor) -> Tensor:
    """Return the number so far on the way; a complex one goes its own way along each axis."""
    if not share.is_complex():
        return low + (high - low) * share
    way = high - low
    return torch.complex(low.real + way.real * share.real, low.imag + way.imag * share.imag)


@dataclass(frozen=True)
class Plain:
    """A formula in torch operators, and the ranges in which to draw its inputs.

    Attributes:
        function: The formula.
        ranges: For each input the lowest and highest value of a test; of a complex one, two opposite
            corners of a rectangle.
        native: Whether torch differentiates the formula, to every order and in every mode.
        scalar: Whether the result is one number, whatever the shapes.
        rank: The fewest dimensions of its inputs: it reduces the last so many.
        stateless: Whether its module is made without arguments and has no parameters.
        several: Whether the layer has several outputs, which the modes see joined.
    """

    function: Callable[..., Tensor]
    ranges: tuple[tuple[complex, complex], ...]
    native: bool = True
    scalar: bool = False
    rank: int = 0
    stateless: bool = True
    several: bool = False

    @property
    def complex(self) -> tuple[bool, ...]:
        """Which inputs are complex."""
        return tuple(isinstance(low, complex) for low, _ in self.ranges)

    def inputs(self, *shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> list[Tensor]:
        """Return one random tensor an input, all of one shape and, real or complex, of one precision."""
        generator = torch.Generator().manual_seed(seed)
        types = [torch.complex128 if c else torch.float64 for c in self.complex]
        shares = [torch.rand(*shape, generator=generator, dtype=t) for t in types]
        points = (between(low, high, s) for s, (low, high) in zip(shares, self.ranges, strict=True))
        return [x.to(device=DEVICE, dtype=dtype.to_complex() if x.is_complex() else dtype) for x in points]


_ANY, _POSITIVE = (-3.0, 3.0), (0.5, 2.0)
_PLANE, _IMPEDANCE = (-2.0 - 2.0j, 2.0 + 2.0j), (0.5 - 2.0j, 2.0 + 2.0j)

PLAIN = {
    "square": Plain(lambda x1, x2: x1**3 + x2**2, (_ANY, _ANY)),
    "swish": Plain(lambda x, beta: x * torch.sigmoid(beta * x), (_ANY, _POSITIVE)),
    "swiglu": Plain(lambda a, b: a * torch.sigmoid(a) * b, (_ANY, _ANY)),
    "gelu": Plain(lambda x: x / 2 * (1 + torch.erf(x / math.sqrt(2))), (_ANY,)),
    "gelu_tanh": Plain(
        lambda x: x / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), (_ANY,)
    ),
    "mish": Plain(lambda x: x * torch.tanh(torch.nn.functional.softplus(x)), (_ANY,)),
    "softplus": Plain(lambda beta, x: torch.nn.functional.softplus(beta * x) / beta, (_POSITIVE, _ANY)),
    "snake": Plain(lambda x, a: x + torch.sin(a * x) ** 2 / a, (_ANY, _POSITIVE)),
    "huber": Plain(_huber, (_ANY, _POSITIVE)),
    "log_cosh": Plain(lambda x: abs(x) + torch.log1p(torch.exp(-2 * abs(x))) - math.log(2), (_ANY,)),
    "lennard_jones": Plain(
        lambda epsilon, sigma, r: 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6),
        (_POSITIVE, (0.9, 1.1), (0.9, 2.0)),
    ),
    "morse": Plain(
        lambda D, a, r, r_e: D * (1 - torch.exp(-a * (r - r_e))) ** 2,
        (_POSITIVE, _POSITIVE, _POSITIVE, _POSITIVE),
    ),
    "planck": Plain(lambda x: x**3 / torch.expm1(x), ((0.1, 8.0),)),
    "black_scholes": Plain(
        _black_scholes, ((80.0, 120.0), (80.0, 120.0), (0.0, 0.1), (0.1, 0.5), (0.1, 2.0))
    ),
    "smooth_max": Plain(lambda k, x, y: torch.logaddexp(k * x, k * y) / k, (_POSITIVE, _ANY, _ANY)),
    "airy_disk": Plain(lambda r: (2 * _J1.apply(r) / r) ** 2, ((0.5, 10.0),), native=False),
    "mse": Plain(lambda x, y: torch.mean((x - y) ** 2), (_ANY, _ANY), scalar=True),
    "softmax": Plain(lambda x: torch.softmax(x, -1), (_ANY,), rank=1),
    "cross_entropy": Plain(lambda x, t: -(torch.log_softmax(x, -1) * t).sum(-1), (_ANY, _POSITIVE), rank=1),
    "rms_norm": Plain(_rms_norm, (_ANY, _POSITIVE), rank=1, stateless=False),
    "layer_norm": Plain(_layer_norm, (_ANY, _POSITIVE, _ANY), rank=1, stateless=False),
    "cosine_similarity": Plain(_cosine_similarity, (_ANY, _ANY), rank=1),
    "greeks": Plain(
        joined(_greeks),
        ((80.0, 120.0), (80.0, 120.0), (0.0, 0.1), (0.1, 0.5), (0.1, 2.0)),
        stateless=False,
        several=True,
    ),
    "reflection": Plain(lambda Z, Z0: (Z - Z0) / (Z + Z0), (_IMPEDANCE, _IMPEDANCE)),
    "fidelity": Plain(_fidelity, (_PLANE, _PLANE), rank=1),
    "modrelu": Plain(lambda z, b: torch.relu(abs(z) + b.real) * torch.sgn(z), (_PLANE, (-1.0, 1.0))),
}
