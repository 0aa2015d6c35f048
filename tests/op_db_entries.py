"""PyTorch's operator database in fngen's language: which formula each pointwise entry is.

See ``Entry`` for how a row is read.
"""

from __future__ import annotations

from dataclasses import replace

from tests.op_db_complex import IN_COMPLEX, ONLY_COMPLEX
from tests.op_db_rows import (
    Entry,
    Skip,
    channels,
    doubled,
    entry,
    floating,
    halves,
    promoted,
    rows,
    trailing,
    when,
)

_REDUCED = Skip("reduces along some dimensions")
_DOT = Skip("a sum of integers is an int64, their dot product is not")
_LOSS = "x, y, reduction='mean'"
_IS_NAN = "(x != x and y != y)"
_CLOSE = "x == y or (d - d == 0 and abs(d) <= {atol} + abs({rtol}*y))"
_BCE = "(y - 1)*clamp(log1p(-x), min=-100) - y*clamp(log(x), min=-100)"
_BCE_LOGITS = "softplus(x) - y*x"
_BCE_POSITIVE = "(1 - y)*softplus(x) + pos_weight*y*softplus(-x)"
_SOFT_MARGIN = "y*logsigmoid(x) + (1 - y)*logsigmoid(-x)"
_STIRLING = "where(y > 1, y*log(y) - y + log(2*pi*y)/2, 0)"
_GAUSSIAN = "s = max(v, eps); {reduction}((log(s) + (x - y)**2/s)/2"
_MVLGAMMA = tuple(
    when(" + ".join([f"lgamma(x - {i}/2)" for i in range(p)] + [f"{p * (p - 1)}*log(pi)/4"]), p=p)
    for p in range(1, 6)
)

_UNARY = {
    "abs": "abs(x)",
    "acos": "acos(x)",
    "acosh": "acosh(x)",
    "angle": "where(x != x, 0*x, where(x < 0, pi, 0))",
    "asin": "asin(x)",
    "asinh": "asinh(x)",
    "atan": "atan(x)",
    "atanh": "atanh(x)",
    "ceil": "ceil(x)",
    "conj": "x",
    "conj_physical": "x",
    "cos": "cos(x)",
    "cosh": "cosh(x)",
    "deg2rad": "x*(pi/180)",
    "digamma": "digamma(x)",
    "erf": "erf(x)",
    "erfc": "erfc(x)",
    "erfinv": "erfinv(x)",
    "exp": "exp(x)",
    "exp2": "exp2(x)",
    "expm1": "expm1(x)",
    "floor": "floor(x)",
    "frac": "frac(x)",
    "i0": "i0(x)",
    "lgamma": "lgamma(x)",
    "log": "log(x)",
    "log10": "log10(x)",
    "log1p": "log1p(x)",
    "log2": "log2(x)",
    "neg": "-x",
    "nn.functional.hardsigmoid": "hardsigmoid(x)",
    "nn.functional.hardswish": "hardswish(x)",
    "nn.functional.logsigmoid": "logsigmoid(x)",
    "nn.functional.mish": "mish(x)",
    "nn.functional.relu": "relu(x)",
    "nn.functional.relu6": "relu6(x)",
    "nn.functional.selu": "selu(x)",
    "nn.functional.silu": "silu(x)",
    "nn.functional.softsign": "softsign(x)",
    "nn.functional.tanhshrink": "tanhshrink(x)",
    "positive": "x",
    "rad2deg": "x*(180/pi)",
    "real": "x",
    "reciprocal": "1/x",
    "resolve_conj": "x",
    "resolve_neg": "x",
    "round": "round(x)",
    "rsqrt": "rsqrt(x)",
    "sgn": "sign(x)",
    "sigmoid": "sigmoid(x)",
    "sign": "sign(x)",
    "sin": "sin(x)",
    "sinc": "sinc(x)",
    "sinh": "sinh(x)",
    "special.bessel_j0": "j0(x)",
    "special.bessel_j1": "j1(x)",
    "special.bessel_y0": "y0(x)",
    "special.bessel_y1": "y1(x)",
    "special.entr": "entr(x)",
    "special.erfcx": "erfcx(x)",
    "special.i0e": "i0e(x)",
    "special.i1": "i1(x)",
    "special.i1e": "i1e(x)",
    "special.log_ndtr": "log_ndtr(x)",
    "special.modified_bessel_i0": "i0(x)",
    "special.modified_bessel_i1": "i1(x)",
    "special.modified_bessel_k0": "k0(x)",
    "special.modified_bessel_k1": "k1(x)",
    "special.ndtr": "ndtr(x)",
    "special.ndtri": "ndtri(x)",
    "special.scaled_modified_bessel_k0": "k0e(x)",
    "special.scaled_modified_bessel_k1": "k1e(x)",
    "special.spherical_bessel_j0": "where(x == x and x - x != 0, 0, sinc(x/pi))",
    "sqrt": "sqrt(x)",
    "square": "square(x)",
    "tan": "tan(x)",
    "tanh": "tanh(x)",
    "trunc": "trunc(x)",
}
_CONDITION = {
    "isfinite": "x - x == 0",
    "isinf": "x == x and x - x != 0",
    "isnan": "x != x",
    "isneginf": "x < 0 and x - x != 0",
    "isposinf": "x > 0 and x - x != 0",
    "isreal": "x == x or x != x",
    "logical_not": "x == 0",
    "signbit": "x < 0 or 1/x < 0",
}
_BINARY = {
    "__radd__": "y + x",
    "__rdiv__": "y/x",
    "__rmod__": "y % x",
    "__rmul__": "y*x",
    "__rpow__": "y**x",
    "__rsub__": "y - x",
    "atan2": "atan2(x, y)",
    "clamp_max": "clamp_max(x, y)",
    "clamp_min": "clamp_min(x, y)",
    "div/no_rounding_mode": "x/y",
    "floor_divide": "x // y",
    "fmax": "where(x >= y or y != y, x, y)",
    "fmin": "where(x <= y or y != y, x, y)",
    "fmod": "fmod(x, y)",
    "heaviside": "heaviside(x, y)",
    "hypot": "hypot(x, y)",
    "ldexp": "x*exp2(y)",
    "logaddexp": "logaddexp(x, y)",
    "logaddexp2": "logaddexp(x*log(2), y*log(2))/log(2)",
    "max/binary": "max(x, y)",
    "maximum": "maximum(x, y)",
    "min/binary": "min(x, y)",
    "minimum": "minimum(x, y)",
    "mul": "x*y",
    "pow": "x**y",
    "remainder": "remainder(x, y)",
    "special.xlog1py": "xlog1py(x, y)",
    "true_divide": "x/y",
    "xlogy": "xlogy(x, y)",
}
_COMPARISON = {
    "eq": "x == y",
    "ge": "x >= y",
    "gt": "x > y",
    "le": "x <= y",
    "logical_and": "x != 0 and y != 0",
    "logical_or": "x != 0 or y != 0",
    "logical_xor": "(x != 0 and y == 0) or (x == 0 and y != 0)",
    "lt": "x < y",
    "ne": "x != y",
}


def _pairs(rows: dict[str, str], signature: str) -> list[Entry]:
    return [entry(name, signature, formula) for name, formula in rows.items()]


def _conditions(rows: dict[str, str], signature: str) -> list[Entry]:
    return [entry(n, signature, f"where({c}, 1, 0)", condition=True) for n, c in rows.items()]


_OTHERS = [
    entry("add", "x, y, alpha=1", when("x + y", alpha=1), "x + {alpha}*y"),
    entry("addcdiv", "x, a, b, value=1", "x + {value}*(a/b)", prepare=promoted),
    entry("addcmul", "x, a, b, value=1", "x + {value}*a*b", prepare=promoted),
    entry(
        "clamp",
        "x, a=None, b=None",
        when("clamp_min(x, a)", b=None),
        when("clamp_max(x, b)", a=None),
        "clamp(x, a, b)",
    ),
    entry("clone", "x, memory_format=None", "x"),
    entry("contiguous", "x, memory_format=None", "x"),
    entry("copysign", "x, y", "where(y < 0 or 1/y < 0, -abs(x), abs(x))", prepare=floating),
    entry("div/floor_rounding", "x, y, rounding_mode=None", "x // y"),
    entry(
        "div/trunc_rounding",
        "x, y, rounding_mode=None",
        when("sign(x)*sign(y)*(abs(x) // abs(y))", integral=True),
        "trunc(x/y)",
    ),
    entry("dot", "x, y", when(_DOT, integral=True), "sum(x*y)"),
    entry("fill", "x, value", "where(x == x, {value}, {value})"),
    entry("float_power", "x, y", "x**y", prepare=doubled),
    entry(
        "isclose",
        "x, y, rtol=1e-5, atol=1e-8, equal_nan=False",
        when(f"d = x - y; where({_CLOSE} or {_IS_NAN}, 1, 0)", equal_nan=True),
        f"d = x - y; where({_CLOSE}, 1, 0)",
        condition=True,
    ),
    entry("lerp", "x, y, w", "where(abs(w) < 0.5, x + w*(y - x), y - (y - x)*(1 - w))"),
    entry("logit", "x, eps=None", when("logit(x)", eps=None), "logit(clamp(x, {eps}, 1 - {eps}))"),
    entry("masked_fill", "x, mask, value", "where(mask != 0, value, x)"),
    entry("mean", "x, dim=None, keepdim=False", when("mean(x)", dim=None), when(_REDUCED)),
    *[entry(f"mvlgamma/mvlgamma_p_{p}", "x, p", *_MVLGAMMA) for p in (1, 3, 5)],
    entry(
        "nan_to_num",
        "x",
        when("x", integral=True),
        "where(x != x, 0, clamp(x, {smallest}, {largest}))",
    ),
    entry("nansum", "x, dim=None, keepdim=False", when("sum(where(x != x, 0, x))", dim=None), when(_REDUCED)),
    entry(
        "nn.functional.binary_cross_entropy",
        f"{_LOSS}, weight=None",
        when(f"{{reduction}}({_BCE})", weight=None),
        f"{{reduction}}(weight*({_BCE}))",
    ),
    entry(
        "nn.functional.binary_cross_entropy_with_logits",
        f"{_LOSS}, weight=None, pos_weight=None",
        when(f"{{reduction}}({_BCE_LOGITS})", weight=None, pos_weight=None),
        when(f"{{reduction}}(weight*({_BCE_LOGITS}))", pos_weight=None),
        when(f"{{reduction}}({_BCE_POSITIVE})", weight=None),
        f"{{reduction}}(weight*({_BCE_POSITIVE}))",
    ),
    entry("nn.functional.celu", "x, alpha=1.0", "celu(x, {alpha})"),
    entry("nn.functional.elu", "x, alpha=1.0", "elu(x, {alpha})"),
    entry(
        "nn.functional.gaussian_nll_loss",
        "x, y, v, full=False, eps=1e-6, reduction='mean'",
        when(f"{_GAUSSIAN} + log(2*pi)/2)", full=True),
        f"{_GAUSSIAN})",
        prepare=trailing,
    ),
    entry("nn.functional.gelu", "x, approximate='none'", when("gelu_tanh(x)", approximate="tanh"), "gelu(x)"),
    entry("nn.functional.glu", "x, dim=-1", "x*sigmoid(y)", prepare=halves),
    entry("nn.functional.hardshrink", "x, lambd=0.5", "where(x < -{lambd} or x > {lambd}, x, 0*x)"),
    entry(
        "nn.functional.hardtanh",
        "x, min_val=-1.0, max_val=1.0",
        when("clamp(x, -1, 1)", integral=True, min_val=-1.0, max_val=1.0),
        when(Skip("limits that torch truncates to integers"), integral=True),
        "hardtanh(x, {min_val}, {max_val})",
    ),
    entry(
        "nn.functional.hinge_embedding_loss",
        "x, y, margin=1.0, reduction='mean'",
        "{reduction}(where(y == 1, 0, clamp({margin} - x, min=0)) + where(y == -1, 0, x))",
    ),
    entry(
        "nn.functional.huber_loss",
        f"{_LOSS}, delta=1.0",
        "d = x - y; {reduction}(where(abs(d) <= {delta}, d**2/2, {delta}*(abs(d) - {delta}/2)))",
    ),
    entry(
        "nn.functional.kl_div",
        f"{_LOSS}, log_target=False",
        when(Skip("divides by the size of the first dimension"), reduction="batchmean"),
        when("{reduction}(exp(y)*(y - x))", log_target=True),
        "{reduction}(xlogy(y, y) - y*x)",
    ),
    entry("nn.functional.l1_loss", _LOSS, "{reduction}(abs(x - y))"),
    entry("nn.functional.leaky_relu", "x, negative_slope=0.01", "leaky_relu(x, {negative_slope})"),
    entry(
        "nn.functional.margin_ranking_loss",
        "a, b, y, margin=0.0, reduction='mean'",
        "{reduction}(clamp(-y*(a - b) + {margin}, min=0))",
    ),
    entry("nn.functional.mse_loss", _LOSS, "{reduction}((x - y)**2)"),
    entry(
        "nn.functional.multilabel_soft_margin_loss",
        "x, y, weight=None",
        when(f"mean(-({_SOFT_MARGIN}))", weight=None),
        f"mean(-weight*({_SOFT_MARGIN}))",
    ),
    entry(
        "nn.functional.poisson_nll_loss",
        "x, y, log_input=True, full=False, eps=1e-8, reduction='mean'",
        when(f"{{reduction}}(exp(x) - y*x + {_STIRLING})", log_input=True, full=True),
        when("{reduction}(exp(x) - y*x)", log_input=True),
        when(f"{{reduction}}(x - y*log(x + {{eps}}) + {_STIRLING})", full=True),
        "{reduction}(x - y*log(x + {eps}))",
    ),
    entry("nn.functional.prelu", "x, weight", "where(x > 0, x, weight*x)", prepare=channels),
    entry(
        "nn.functional.rrelu",
        "x, lower=0.125, upper=0.3333333333333333, training=False",
        when(Skip("random slopes"), training=True),
        "leaky_relu(x, ({lower} + {upper})/2)",
    ),
    entry(
        "nn.functional.smooth_l1_loss",
        f"{_LOSS}, beta=1.0",
        when("{reduction}(abs(x - y))", beta=0),
        "d = x - y; {reduction}(where(abs(d) < {beta}, d**2/(2*{beta}), abs(d) - {beta}/2))",
    ),
    entry("nn.functional.soft_margin_loss", _LOSS, "{reduction}(softplus(-y*x))"),
    entry(
        "nn.functional.softplus",
        "x, beta=1, threshold=20",
        "where({beta}*x > {threshold}, x, softplus({beta}*x)/{beta})",
    ),
    entry(
        "nn.functional.softshrink",
        "x, lambd=0.5",
        "where(x > {lambd}, x - {lambd}, where(x < -{lambd}, x + {lambd}, 0*x))",
    ),
    entry("nn.functional.threshold", "x, threshold, value", "where(x <= {threshold}, {value}, x)"),
    entry("outer", "x, y", "x*y", prepare=rows),
    # torch counts up from the least x: the sample of 100 large numbers takes seconds, all of them torch's.
    *[
        entry(f"polygamma/polygamma_n_{n}", "x, n", "polygamma({n}, x)", largest=99 if n else 20_000)
        for n in range(5)
    ],
    entry("round/decimals_0", "x, decimals", "round(x)"),
    entry(
        "round/decimals_3",
        "x, decimals",
        when(Skip("1000*x is rounded to 8 bits; torch multiplies in float32"), dtype="bfloat16"),
        "round(1000*x)/1000",
    ),
    entry("round/decimals_neg_3", "x, decimals", "1000*round(x/1000)"),
    entry("rsub", "x, y, alpha=1", when("y - x", alpha=1), "y - {alpha}*x"),
    entry("special.polygamma/special_polygamma_n_0", "x, n", "polygamma({n}, x)"),
    entry("special.zeta", "x, y", "zeta({x}, y)"),
    entry("sub", "x, y, alpha=1", when("x - y", alpha=1), "x - {alpha}*y"),
    entry("sum", "x, dim=None, keepdim=False", when("sum(x)", dim=None), when(_REDUCED)),
    entry("vdot", "x, y", when(_DOT, integral=True), "sum(x*y)"),
    entry("where", "x, c, y", "where(c != 0, x, y)"),
]

ENTRIES: dict[str, Entry] = {
    e.name: replace(e, complex=IN_COMPLEX.get(e.name, ()))
    for e in sorted(
        [
            *_pairs(_UNARY, "x"),
            *_conditions(_CONDITION, "x"),
            *_pairs(_BINARY, "x, y"),
            *_conditions(_COMPARISON, "x, y"),
            *_OTHERS,
            *ONLY_COMPLEX,
        ],
        key=lambda e: e.name,
    )
}
