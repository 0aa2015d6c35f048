"""Layers that people use, as formulas, beside torch's own modules and functions or the formula by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  As everybody calls it.

import fngen
from fngen.source import Source
from tests.layer_row import POSITIVE, REAL, UNIT, Range, Row, with_gradients
from tests.reduction_rows import REDUCING

ACTIVATIONS = {
    "elu": Row("elu(x, alpha)", lambda x: F.elu(x, 0.7), "nn.ELU", consts={"alpha": 0.7}),
    "hardshrink": Row("where(abs(x) > k, x, 0)", lambda x: F.hardshrink(x, 0.5), "nn.Hardshrink", consts={"k": 0.5}),
    "hardsigmoid": Row("hardsigmoid(x)", lambda x: F.relu6(x + 3) / 6, "nn.Hardsigmoid"),
    "hardtanh": Row("clamp(x, low, high)", lambda x: F.hardtanh(x, -0.5, 1.5), "nn.Hardtanh",
        consts={"low": -0.5, "high": 1.5}),
    "hardswish": Row("hardswish(x)", F.hardswish, "nn.Hardswish"),
    "leaky_relu": Row("where(x > 0, x, slope*x)", lambda x: F.leaky_relu(x, 0.01), "nn.LeakyReLU", consts={"slope": 0.01}),
    "logsigmoid": Row("logsigmoid(x)", F.logsigmoid, "nn.LogSigmoid"),
    "prelu": Row("where(x > 0, x, w*x)", F.prelu, "nn.PReLU", params={"w[C]": 0.25}),
    "relu": Row("relu(x)", F.relu, "nn.ReLU"),
    "relu6": Row("min(max(x, 0), 6)", F.relu6, "nn.ReLU6", ((-3.0, 9.0),)),
    "rrelu": Row("where(x >= 0, x, (lower + upper)/2*x)", lambda x: F.rrelu(x), "nn.RReLU in evaluation",
        consts={"lower": 1 / 8, "upper": 1 / 3}),
    "selu": Row("selu(x)", F.selu, "nn.SELU"),
    "celu": Row("max(0, x) + min(0, alpha*expm1(x/alpha))", lambda x: torch.where(x > 0, x, 1.3 * torch.expm1(x / 1.3)), "nn.CELU", consts={"alpha": 1.3}),
    "gelu": Row("x*ndtr(x)", F.gelu, "nn.GELU"),
    "gelu_tanh": Row("x/2*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))", lambda x: F.gelu(x, approximate="tanh"),
        "nn.GELU('tanh')"),
    "sigmoid": Row("1/(1 + exp(-x))", torch.sigmoid, "nn.Sigmoid"),
    "silu": Row("x*sigmoid(x)", F.silu, "nn.SiLU"),
    "mish": Row("x*tanh(softplus(x))", F.mish, "nn.Mish"),
    "softplus": Row("softplus(beta*x)/beta", lambda x: F.softplus(x, 2.0), "nn.Softplus", consts={"beta": 2}),
    "softshrink": Row("where(x > k, x - k, where(x < -k, x + k, 0))", lambda x: F.softshrink(x, 0.5), "nn.Softshrink",
        consts={"k": 0.5}),
    "softsign": Row("x/(1 + abs(x))", F.softsign, "nn.Softsign"),
    "tanh": Row("tanh(x)", torch.tanh, "nn.Tanh"),
    "tanhshrink": Row("x - tanh(x)", F.tanhshrink, "nn.Tanhshrink"),
    "threshold": Row("where(x > t, x, value)", lambda x: F.threshold(x, 0.1, 20), "nn.Threshold",
        consts={"t": 0.1, "value": 20}),
}  # fmt: skip

GATES = {
    "glu": Row("a*sigmoid(b)", lambda a, b: F.glu(torch.cat([a, b], -1)), "nn.GLU", (REAL, REAL)),
    "reglu": Row("a*relu(b)", lambda a, b: a * F.relu(b), "ReGLU", (REAL, REAL)),
    "geglu": Row("a*gelu(b)", lambda a, b: a * F.gelu(b), "GEGLU", (REAL, REAL)),
    "swiglu": Row("a*silu(b)", lambda a, b: a * F.silu(b), "SwiGLU", (REAL, REAL)),
    "snake": Row("x + sin(a*x)**2/a", lambda x, a: x + torch.sin(a * x) ** 2 / a, "Snake", params={"a[C]": 1.0}),
    "serf": Row("x*erf(softplus(x))", lambda x: x * torch.erf(F.softplus(x)), "SERF"),
    "swish_beta": Row("x*sigmoid(beta*x)", lambda x, b: x * torch.sigmoid(b * x), "Swish", params={"beta[C]": 1.0}),
    "acon": Row("d = (p1 - p2)*x; d*sigmoid(beta*d) + p2*x",
        lambda x, p1, p2, b: (p1 - p2) * x * torch.sigmoid(b * (p1 - p2) * x) + p2 * x, "ACON-C",
        params={"p1[C]": 1.0, "p2[C]": 0.1, "beta[C]": 1.0}),
    "pau": Row("(a0 + x*(a1 + x*(a2 + x*a3)))/(1 + abs(b1*x + b2*x**2))",
        lambda x, a0, a1, a2, a3, b1, b2: (a0 + a1 * x + a2 * x**2 + a3 * x**3) / (1 + abs(b1 * x + b2 * x**2)),
        "PAU, safe", params={"a0": 0.02, "a1": 0.5, "a2": 0.6, "a3": 0.2, "b1": 0.4, "b2": 0.1}),
    "affine": Row("w*x + b", lambda x, w, b: w * x + b, "an affine map a channel", params={"w[C]": 1.0, "b[C]": 0.0}),
    "layer_scale": Row("gamma*x", lambda x, g: g * x, "LayerScale", params={"gamma[-1]": 1e-5}),
    "dyt": Row("gamma*tanh(alpha*x) + beta", lambda x, g, a, b: g * torch.tanh(a * x) + b, "DyT",
        params={"gamma[-1]": 1.0, "alpha": 0.5, "beta[-1]": 0.0}),
    "spike": Row("heaviside(v - theta)",
        with_gradients(lambda v: torch.heaviside(v - 1, v.new_tensor(0.5)), lambda g, v: g / (1 + 4 * abs(v - 1)) ** 2), "a spiking neuron, surrogate gradient", consts={"theta": 1, "k": 4}, grads={"v": "1/(1 + k*abs(v - theta))**2"}),
}  # fmt: skip


def _losses(name: str, formula: str, twin: Callable[..., Tensor], equals: str, ranges: tuple[Range, ...],
            inputs: tuple[str, ...] = ("x", "y", "var"), **options: Mapping[str, float]) -> dict[str, Row]:  # fmt: skip
    """Return a loss with each of torch's reductions."""
    return {
        f"{name}_{how}": Row(
            formula if how == "none" else f"{how}({formula})",
            lambda *args, how=how: twin(*args, reduction=how),
            f"{equals}({how!r})",
            ranges,
            inputs=inputs[: len(ranges)],
            **options,
        )
        for how in ("none", "sum", "mean")
    }


def _bce(x: Tensor, y: Tensor, reduction: str) -> Tensor:
    return F.binary_cross_entropy_with_logits(x, y, pos_weight=x.new_tensor(3.0), reduction=reduction)


def _soft_margin(x: Tensor, y: Tensor, reduction: str) -> Tensor:
    """By hand: torch's own has no derivative by the target."""
    loss = F.softplus(-y * x)
    return loss if reduction == "none" else getattr(loss, reduction)()


LOSSES = {
    **_losses("l1", "abs(x - y)", F.l1_loss, "nn.L1Loss", (REAL, REAL)),
    **_losses("mse", "(x - y)**2", F.mse_loss, "nn.MSELoss", (REAL, REAL)),
    **_losses("huber", "where(abs(x - y) <= delta, (x - y)**2/2, delta*(abs(x - y) - delta/2))",
        lambda x, y, reduction: F.huber_loss(x, y, reduction=reduction, delta=0.8), "nn.HuberLoss", (REAL, REAL),
        consts={"delta": 0.8}),
    **_losses("smooth_l1", "where(abs(x - y) < beta, (x - y)**2/(2*beta), abs(x - y) - beta/2)",
        lambda x, y, reduction: F.smooth_l1_loss(x, y, reduction=reduction, beta=0.6), "nn.SmoothL1Loss", (REAL, REAL),
        consts={"beta": 0.6}),
    **_losses("bce", "-(y*log(x) + (1 - y)*log1p(-x))", F.binary_cross_entropy, "nn.BCELoss", (UNIT, UNIT)),
    **_losses("bce_with_logits", "(1 - y)*x + (1 + (pos_weight - 1)*y)*softplus(-x)", _bce, "nn.BCEWithLogitsLoss",
        (REAL, UNIT), consts={"pos_weight": 3}),
    **_losses("poisson_nll", "exp(x) - y*x", F.poisson_nll_loss, "nn.PoissonNLLLoss", (REAL, POSITIVE)),
    **_losses("kl_div", "y*(log(y) - x)", F.kl_div, "nn.KLDivLoss", (REAL, POSITIVE)),
    **_losses("gaussian_nll", "(log(max(var, eps)) + (x - y)**2/max(var, eps))/2",
        lambda x, y, var, reduction: F.gaussian_nll_loss(x, y, var, reduction=reduction), "nn.GaussianNLLLoss",
        (REAL, REAL, POSITIVE), consts={"eps": 1e-6}),
    **_losses("soft_margin", "softplus(-y*x)", _soft_margin, "nn.SoftMarginLoss", (REAL, REAL)),
    **_losses("margin_ranking", "max(0, margin - y*(a - b))",
        lambda a, b, y, reduction: F.margin_ranking_loss(a, b, y, margin=0.3, reduction=reduction),
        "nn.MarginRankingLoss", (REAL, REAL, REAL), inputs=("a", "b", "y"), consts={"margin": 0.3}),
    **_losses("hinge_embedding", "where(y != 1, max(0, margin - x), 0) + where(y != -1, x, 0)",
        lambda x, y, reduction: F.hinge_embedding_loss(x, y, margin=0.7, reduction=reduction), "nn.HingeEmbeddingLoss",
        (REAL, REAL), consts={"margin": 0.7}),
    "multilabel_soft_margin": Row("mean(-mean(y*logsigmoid(x) + (1 - y)*logsigmoid(-x), dim=-1))",
        F.multilabel_soft_margin_loss, "nn.MultiLabelSoftMarginLoss", (REAL, UNIT), inputs=("x", "y")),
    "log_cosh": Row("mean(abs(x - y) + log1p(exp(-2*abs(x - y))) - log(2))",
        lambda x, y: torch.log(torch.cosh(x - y)).mean(), "log-cosh", (REAL, REAL)),
    "quantile": Row("mean(max(q*(y - x), (q - 1)*(y - x)))",
        lambda x, y: torch.maximum(0.9 * (y - x), -0.1 * (y - x)).mean(), "pinball loss", (REAL, REAL), consts={"q": 0.9}, inputs=("x", "y")),
    "focal": Row("p = sigmoid(x); mean(y*(1 - p)**gamma*softplus(-x) + (1 - y)*p**gamma*softplus(x))",
        lambda x, y: (y * (1 - torch.sigmoid(x)) ** 2 * F.softplus(-x)
                      + (1 - y) * torch.sigmoid(x) ** 2 * F.softplus(x)).mean(),
        "focal loss, binary", (REAL, UNIT), consts={"gamma": 2}),
    "smoothed_bce": Row("t = (1 - s)*y + s/2; mean(softplus(x) - t*x)",
        lambda x, y: F.binary_cross_entropy_with_logits(x, 0.9 * y + 0.05), "label smoothing, binary", (REAL, UNIT),
        consts={"s": 0.1}, inputs=("x", "y")),
    "jensen_shannon": Row("m = (p + q)/2; sum((p*log(p/m) + q*log(q/m))/2)",
        lambda p, q: (p * torch.log(2 * p / (p + q)) + q * torch.log(2 * q / (p + q))).sum() / 2,
        "Jensen-Shannon divergence", (UNIT, UNIT)),
    "crps": Row("z = (y - mu)/sigma; sigma*(z*(2*ndtr(z) - 1) + 2*exp(-z**2/2)/sqrt(2*pi) - 1/sqrt(pi))",
        lambda y, mu, s: s * ((y - mu) / s * torch.erf((y - mu) / s / math.sqrt(2))
            + 2 * torch.exp(-(((y - mu) / s) ** 2) / 2) / math.sqrt(2 * math.pi) - 1 / math.sqrt(math.pi)),
        "CRPS of a normal", (REAL, REAL, POSITIVE)),
    "evidential": Row("o = 2*b*(1 + nu); log(pi/nu)/2 - a*log(o) + (a + 1/2)*log((y - g)**2*nu + o) + lgamma(a) - lgamma(a + 1/2)",
        lambda b, nu, a, y, g: torch.log(math.pi / nu) / 2 - a * torch.log(2 * b * (1 + nu))
            + (a + 0.5) * torch.log((y - g) ** 2 * nu + 2 * b * (1 + nu)) + torch.lgamma(a) - torch.lgamma(a + 0.5),
        "evidential regression", (POSITIVE, POSITIVE, POSITIVE, REAL, REAL)),
}  # fmt: skip

SCIENCE = {
    "lennard_jones": Row("4*epsilon*((sigma/r)**12 - (sigma/r)**6)", lambda r, e, s: 4 * e * ((s / r) ** 12 - (s / r) ** 6),
        "Lennard-Jones", ((0.9, 2.0),), params={"epsilon": 1.0, "sigma": 1.0}),
    "morse": Row("D*(1 - exp(-a*(r - r_e)))**2", lambda r, d, a, e: d * (1 - torch.exp(-a * (r - e))) ** 2, "Morse",
        (POSITIVE,), params={"D": 4.6, "a": 1.9, "r_e": 0.74}),
    "buckingham": Row("A*exp(-B*r) - C6/r**6", lambda r, a, b, c: a * torch.exp(-b * r) - c / r**6, "Buckingham",
        ((0.8, 3.0),), params={"A": 100.0, "B": 3.0, "C6": 1.5}),
    "stillinger_weber": Row("where(r < rc, A*(B/r**4 - 1)*exp(1/(min(r, rc - 1e-9) - rc)), 0)",
        lambda r, a, b: torch.where(r < 1.8, a * (b / r**4 - 1) * torch.exp(1 / (r.clamp(max=1.8 - 1e-9) - 1.8)), 0.0),
        "Stillinger-Weber pair term", ((0.9, 2.2),), params={"A": 7.0, "B": 0.6}, consts={"rc": 1.8}),
    "zbl": Row("x = r/a; k/r*(0.18175*exp(-3.1998*x) + 0.50986*exp(-0.94229*x) + 0.28022*exp(-0.4029*x) + 0.028171*exp(-0.20162*x))",
        lambda r: 5.0 / r * (0.18175 * torch.exp(-3.1998 * r / 0.3) + 0.50986 * torch.exp(-0.94229 * r / 0.3)
            + 0.28022 * torch.exp(-0.4029 * r / 0.3) + 0.028171 * torch.exp(-0.20162 * r / 0.3)),
        "ZBL", (POSITIVE,), consts={"a": 0.3, "k": 5}),
    "eam_embedding": Row("-F0*(1 - log(rho**n))*rho**n", lambda rho, f: -f * (1 - 0.6 * torch.log(rho)) * rho**0.6,
        "EAM embedding", (POSITIVE,), params={"F0": 2.0}, consts={"n": 0.6}),
    "michaelis_menten": Row("vmax*s/(km + s)", lambda s, v, k: v * s / (k + s), "Michaelis-Menten", (POSITIVE,),
        params={"vmax": 2.0, "km": 0.5}),
    "arrhenius": Row("A*exp(-Ea/(R*T))", lambda t, a, e: a * torch.exp(-e / (8.314 * t)), "Arrhenius", ((280.0, 400.0),),
        params={"A": 1e3, "Ea": 5e3}, consts={"R": 8.314}),
    "hill": Row("s**n/(k**n + s**n)", lambda s, k, n: s**n / (k**n + s**n), "Hill", (POSITIVE,), params={"k": 1.0, "n": 2.0}),
    "planck": Row("x**3/expm1(x)", lambda x: x**3 / torch.expm1(x), "Planck's law", ((0.1, 8.0),)),
}  # fmt: skip

ROWS = {**ACTIVATIONS, **GATES, **LOSSES, **SCIENCE, **REDUCING}


@cache
def source(name: str) -> Source:
    """Return a layer of the list, which takes seconds to generate."""
    return fngen.generate(ROWS[name].formula, name=name, **ROWS[name].options)
