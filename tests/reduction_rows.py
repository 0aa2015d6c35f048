"""Layers that reduce, as formulas, beside torch's own modules and functions or the formula by hand."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F  # noqa: N812  As everybody calls it.

from tests.layer_row import POSITIVE, REAL, UNIT, Row, with_gradients

IMAGE, GROUPS = (2, 5, 3, 4), (4, 3, 5)


def _grn(x, gamma, beta):
    size = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
    return gamma * (x * size / (size.mean(-1, keepdim=True) + 1e-6)) + beta + x


def _focal(x, t):
    logs = F.log_softmax(x, -1)
    return (-t * (1 - logs.exp()) ** 2 * logs).sum(-1).mean()


def _js(x, y):
    p, q = F.softmax(x, -1), F.softmax(y, -1)
    m = torch.log((p + q) / 2)
    return (F.kl_div(m, p, reduction="none") + F.kl_div(m, q, reduction="none")).sum(-1) / 2


SOFTMAX = {
    "softmax": Row("softmax(x, dim=-1)", lambda x: F.softmax(x, -1), "nn.Softmax"),
    "softmax_of_the_first": Row("softmax(x, dim=0)", lambda x: F.softmax(x, 0), "nn.Softmax"),
    "softmax2d": Row("softmax(x, dim=-3)", torch.nn.Softmax2d(), "nn.Softmax2d", shape=IMAGE),
    "softmin": Row("softmax(-x, dim=-1)", lambda x: F.softmin(x, -1), "nn.Softmin"),
    "log_softmax": Row("log_softmax(x, dim=-1)", lambda x: F.log_softmax(x, -1), "nn.LogSoftmax"),
    "log_softmax_of_an_image": Row("log_softmax(x, dim=(-2, -1))",
        lambda x: F.log_softmax(x.flatten(-2), -1).view_as(x), "nn.LogSoftmax of a flat image", shape=IMAGE),
    "softmax_by_hand": Row("e = exp(x - max(x, dim=-1)); e/sum(e, dim=-1)", lambda x: F.softmax(x, -1), "nn.Softmax"),
    "softmax_in_steps": Row("e = exp(x); e/sum(e, dim=-1)", lambda x: F.softmax(x, -1), "nn.Softmax"),
    "softmax_off_by_one": Row("exp(x)/(1 + sum(exp(x), dim=-1))", lambda x: x.exp() / (1 + x.exp().sum(-1, True)),
        "a softmax that may be next to 0"),
    "tempered_softmax": Row("softmax(x/tau, dim=-1)", lambda x, t: F.softmax(x / t, -1), "a softmax whose temperature is learned",
        params={"tau": 1.5}),
    "logsumexp": Row("logsumexp(x, dim=-1)", lambda x: torch.logsumexp(x, -1), "torch.logsumexp"),
    "smooth_max": Row("logsumexp(k*x, dim=-1)/k", lambda x: torch.logsumexp(3 * x, -1) / 3, "a smooth maximum", consts={"k": 3}),
    "log_mean_exp": Row("log(mean(exp(x), dim=-1))", lambda x: x.logsumexp(-1) - math.log(x.shape[-1]), "by hand"),
    "attention_pooling": Row("sum(softmax(s, dim=-1)*v, dim=-1)", lambda s, v: (F.softmax(s, -1) * v).sum(-1), "by hand",
        (REAL, REAL)),
    "entropy": Row("-sum(softmax(x, dim=-1)*log_softmax(x, dim=-1), dim=-1)",
        lambda x: torch.distributions.Categorical(logits=x).entropy(), "torch.distributions.Categorical"),
    "cross_entropy": Row("mean(-sum(log_softmax(x, dim=-1)*t, dim=-1))", F.cross_entropy, "nn.CrossEntropyLoss, soft targets",
        (REAL, UNIT)),
    "cross_entropy_in_steps": Row("p = exp(x)/sum(exp(x), dim=-1); mean(-sum(t*log(p), dim=-1))", F.cross_entropy,
        "nn.CrossEntropyLoss, soft targets", (REAL, UNIT), inputs=("x", "t")),
    "smoothed_cross_entropy": Row("p = t/sum(t, dim=-1); mean(-sum(log_softmax(x, dim=-1)*((1 - s)*p + s/5), dim=-1))",
        lambda x, t: F.cross_entropy(x, t / t.sum(-1, keepdim=True), label_smoothing=0.1), "nn.CrossEntropyLoss, smoothed",
        (REAL, UNIT), consts={"s": 0.1}, inputs=("x", "t")),
    "multiclass_focal": Row("u = log_softmax(x, dim=-1); mean(-sum(t*(1 - exp(u))**2*u, dim=-1))", _focal, "focal loss",
        (REAL, UNIT), inputs=("x", "t")),
    "kl_divergence": Row("mean(sum(t*(log(t) - x), dim=-1))", lambda t, x: F.kl_div(x, t, reduction="batchmean"), "nn.KLDivLoss",
        (UNIT, REAL)),
    "jensen_shannon_of_logits": Row("p = softmax(x, dim=-1); q = softmax(y, dim=-1); m = (p + q)/2; "
        "sum(p*log(p/m) + q*log(q/m), dim=-1)/2", _js, "Jensen-Shannon divergence", (REAL, REAL)),
    "distillation": Row("sum(softmax(y, dim=-1)*(log_softmax(y, dim=-1) - log_softmax(x, dim=-1)), dim=-1)",
        lambda y, x: F.kl_div(F.log_softmax(x, -1), F.log_softmax(y, -1), reduction="none", log_target=True).sum(-1),
        "nn.KLDivLoss of log targets", (REAL, REAL)),
}  # fmt: skip

NORMS = {
    "rms_norm": Row("x/sqrt(mean(x**2, dim=-1) + eps)*w", lambda x, w: F.rms_norm(x, x.shape[-1:], w, 1e-6), "nn.RMSNorm",
        params={"w[-1]": 1.0}, consts={"eps": 1e-6}),
    "rms_norm_by_rsqrt": Row("x*rsqrt(mean(x**2, dim=-1) + eps)*w", lambda x, w: F.rms_norm(x, x.shape[-1:], w, 1e-6), "nn.RMSNorm",
        params={"w[-1]": 1.0}, consts={"eps": 1e-6}),
    "layer_norm": Row("(x - mean(x, dim=-1))/sqrt(var(x, dim=-1, correction=0) + eps)*w + b",
        lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b), "nn.LayerNorm", params={"w[-1]": 1.0, "b[-1]": 0.0},
        consts={"eps": 1e-5}),
    "layer_norm_in_steps": Row("m = mean(x, dim=-1); d = x - m; d*rsqrt(mean(d**2, dim=-1) + eps)*w + b",
        lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b), "nn.LayerNorm", params={"w[-1]": 1.0, "b[-1]": 0.0},
        consts={"eps": 1e-5}),
    "layer_norm_2d": Row("(x - mean(x, dim=(-2, -1)))/sqrt(var(x, dim=(-2, -1), correction=0) + eps)",
        lambda x: F.layer_norm(x, x.shape[-2:]), "nn.LayerNorm of two dimensions", consts={"eps": 1e-5}, shape=IMAGE),
    "group_norm": Row("(x - mean(x, dim=-1))/sqrt(var(x, dim=-1, correction=0) + eps)", lambda x: F.group_norm(x, x.shape[1]),
        "nn.GroupNorm, groups apart", consts={"eps": 1e-5}, shape=GROUPS),
    "instance_norm": Row("(x - mean(x, dim=(2, 3)))/sqrt(var(x, dim=(2, 3), correction=0) + eps)*w + b",
        lambda x, w, b: F.instance_norm(x, weight=w, bias=b), "nn.InstanceNorm2d", params={"w[C]": 1.0, "b[C]": 0.0},
        consts={"eps": 1e-5}, shape=IMAGE),
    "batch_norm": Row("(x - mean(x, dim=(0, 2, 3)))/sqrt(var(x, dim=(0, 2, 3), correction=0) + eps)*w + b",
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), "nn.BatchNorm2d in training",
        params={"w[C]": 1.0, "b[C]": 0.0}, consts={"eps": 1e-5}, shape=IMAGE),
    "channel_norm": Row("(x - mean(x, dim=1))/sqrt(var(x, dim=1, correction=0) + eps)*w + b",
        lambda x, w, b: F.layer_norm(x.movedim(1, -1), x.shape[1:2], w, b).movedim(-1, 1), "LayerNorm of channels (ConvNeXt)",
        params={"w[C]": 1.0, "b[C]": 0.0}, consts={"eps": 1e-5}, shape=IMAGE),
    "response_norm": Row("g = norm(x, dim=(-3, -2)); gamma*x*g/(mean(g, dim=-1) + eps) + beta + x", _grn, "GRN (ConvNeXt V2)",
        params={"gamma[-1]": 1.0, "beta[-1]": 0.1}, consts={"eps": 1e-6}, shape=(2, 3, 4, 5)),
    "squeeze_excite": Row("x*sigmoid(w*mean(x, dim=(2, 3)) + b)",
        lambda x, w, b: x * torch.sigmoid(w.view(-1, 1, 1) * x.mean((2, 3), keepdim=True) + b.view(-1, 1, 1)), "a gate a channel",
        params={"w[C]": 1.0, "b[C]": 0.1}, shape=IMAGE),
    "standardize": Row("(x - mean(x, dim=-1))/std(x, dim=-1)", lambda x: (x - x.mean(-1, True)) / x.std(-1, keepdim=True), "by hand"),
    "normalize": Row("x/max(norm(x, dim=-1), eps)", lambda x: F.normalize(x, dim=-1), "functional.normalize", consts={"eps": 1e-12}),
    "normalize_1": Row("x/max(norm(x, p=1, dim=1), eps)", lambda x: F.normalize(x, p=1.0), "functional.normalize, p=1",
        consts={"eps": 1e-12}),
    "squash": Row("n = norm(x, dim=-1); n/(1 + n**2)*x", lambda x: (n := x.norm(dim=-1, keepdim=True)) / (1 + n**2) * x, "a capsule's squash"),
}  # fmt: skip

DISTANCES = {
    "cosine_similarity": Row("sum(x*y, dim=-1)/(norm(x, dim=-1)*norm(y, dim=-1))", lambda x, y: F.cosine_similarity(x, y, -1),
        "nn.CosineSimilarity", (REAL, REAL)),
    "cosine_distance": Row("mean(1 - sum(x*y, dim=-1)/(norm(x, dim=-1)*norm(y, dim=-1)))",
        lambda x, y: F.cosine_embedding_loss(x, y, x.new_ones(len(x))), "nn.CosineEmbeddingLoss", (REAL, REAL)),
    "pairwise_distance": Row("norm(x - y + eps, dim=-1)", F.pairwise_distance, "nn.PairwiseDistance", (REAL, REAL), consts={"eps": 1e-6}),
    "pairwise_distance_1": Row("norm(x - y + eps, p=1, dim=-1)", lambda x, y: F.pairwise_distance(x, y, 1.0), "nn.PairwiseDistance, p=1",
        (REAL, REAL), consts={"eps": 1e-6}),
    "triplet_margin": Row("mean(max(0, norm(a - p + eps, dim=-1) - norm(a - n + eps, dim=-1) + margin))", F.triplet_margin_loss,
        "nn.TripletMarginLoss", (REAL, REAL, REAL), consts={"eps": 1e-6, "margin": 1.0}),
    "gaussian_kernel": Row("exp(-sum((x - y)**2, dim=-1)/(2*s**2))", lambda x, y, s: torch.exp(-((x - y) ** 2).sum(-1) / (2 * s**2)),
        "a Gaussian kernel", (REAL, REAL), params={"s": 2.0}),
    "dice": Row("1 - (2*sum(p*t, dim=-1) + 1)/(sum(p, dim=-1) + sum(t, dim=-1) + 1)",
        lambda p, t: 1 - (2 * (p * t).sum(-1) + 1) / (p.sum(-1) + t.sum(-1) + 1), "Dice loss", (UNIT, UNIT)),
    "correlation": Row("a = x - mean(x, dim=-1); b = y - mean(y, dim=-1); sum(a*b, dim=-1)/(norm(a, dim=-1)*norm(b, dim=-1))",
        lambda x, y: F.cosine_similarity(x - x.mean(-1, True), y - y.mean(-1, True), -1), "Pearson's correlation", (REAL, REAL)),
    "relative_error": Row("norm(x - y)/norm(y)", lambda x, y: (x - y).norm() / y.norm(), "a relative error", (REAL, REAL)),
    "dirichlet_nll": Row("sum(lgamma(a), dim=-1) - lgamma(sum(a, dim=-1)) - sum((a - 1)*log(p), dim=-1)",
        lambda a, p: torch.lgamma(a).sum(-1) - torch.lgamma(a.sum(-1)) - ((a - 1) * torch.log(p)).sum(-1),
        "a Dirichlet's likelihood", (POSITIVE, UNIT)),
}  # fmt: skip

PLAIN_REDUCTIONS = {
    "row_sum": Row("sum(x, dim=-1)", lambda x: x.sum(-1), "torch.sum"),
    "mean_kept": Row("mean(x, dim=0, keepdim=True)", lambda x: x.mean(0, keepdim=True), "torch.mean"),
    "prod": Row("prod(x, dim=-1)", lambda x: x.prod(-1), "torch.prod"),
    "amax": Row("max(x, dim=-1)", lambda x: x.amax(-1), "torch.amax"),
    "amin": Row("min(x, dim=(-2, -1))", lambda x: x.amin((-2, -1)), "torch.amin"),
    "var": Row("var(x, dim=-1)", lambda x: x.var(-1), "torch.var"),
    "std": Row("std(x, dim=0, correction=0)", lambda x: x.std(0, correction=0), "torch.std"),
    "var_in_steps": Row("mean(x**2, dim=-1) - mean(x, dim=-1)**2", lambda x: x.var(-1, correction=0), "torch.var"),
    "root_mean_square": Row("sqrt(mean(x**2, dim=-1))", lambda x: x.square().mean(-1).sqrt(), "by hand"),
    "norm_3": Row("norm(x, p=3, dim=-1)", lambda x: torch.linalg.vector_norm(x, 3, -1), "torch.linalg.vector_norm"),
    "norm_inf": Row("norm(x, p=inf, dim=-1)", lambda x: torch.linalg.vector_norm(x, torch.inf, -1), "torch.linalg.vector_norm"),
    "norm_of_all": Row("norm(x)", torch.linalg.vector_norm, "torch.linalg.vector_norm"),
}  # fmt: skip


def _hard(x):
    p = F.softmax(x, -1)
    return torch.heaviside(p - p.amax(-1, keepdim=True), p.new_ones(()))


def _ternary(x):
    size = x.abs().mean(-1, keepdim=True)
    return torch.where(x.abs() > 0.7 * size, x.sign() * size, 0.0)


DECLARED = {
    "rounded_dot": Row("sum(round(x)*w, dim=-1)", with_gradients(lambda x, w: (x.round() * w).sum(-1),
        lambda g, x, w: g[..., None] * w, lambda g, x, w: g[..., None] * x.round()), "straight through a rounded input", (REAL, REAL),
        grads={"x": "w"}),
    "absmax_quantisation": Row("s = amax(abs(x), dim=-1, keepdim=True)/127; round(x/s)*s",
        lambda x: x + ((x / (s := x.abs().amax(-1, keepdim=True) / 127)).round() * s - x).detach(), "symmetric quantisation, straight through",
        grads={"x": "1"}),
    "hard_softmax": Row("p = softmax(x, dim=-1); where(p >= max(p, dim=-1), 1, 0)",
        with_gradients(_hard, lambda g, x: g * F.softmax(x, -1) * (1 - F.softmax(x, -1))), "the largest, with a softmax's slope",
        grads={"x": "softmax(x, dim=-1)*(1 - softmax(x, dim=-1))"}),
    "ternary_weights": Row("s = mean(abs(x), dim=-1); where(abs(x) > 0.7*s, sign(x)*s, 0)",
        with_gradients(_ternary, lambda g, x: torch.where(x.abs() < 1, g, 0.0)), "ternary weights (TWN), clipped straight through",
        grads={"x": "where(abs(x) < 1, 1, 0)"}),
}  # fmt: skip

REDUCING = {**SOFTMAX, **NORMS, **DISTANCES, **PLAIN_REDUCTIONS, **DECLARED}
