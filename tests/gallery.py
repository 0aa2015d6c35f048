"""The layers of generated/: name, formula, and what it is good for."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """What a layer is made of, and what for."""

    formula: str
    purpose: str
    complex: bool = False
    params: dict[str, float] = {}
    consts: dict[str, float] = {}
    outputs: tuple[str, ...] = ()

    @property
    def options(self) -> dict[str, object]:
        """The keywords of its request, beside the name."""
        named = {"params": self.params, "consts": self.consts, "outputs": self.outputs or None}
        return {"complex": self.complex, **named}


GALLERY = {
    "square": Entry("x1**3 + x2**2", "the example that fngen began with"),
    "swish": Entry("x*sigmoid(beta*x)", "a gate with a slope"),
    "swiglu": Entry("a*sigmoid(a)*b", "the gate of most language models"),
    "gelu": Entry("x/2*(1 + erf(x/sqrt(2)))", "GELU, exact"),
    "gelu_tanh": Entry("x/2*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))", "GELU, as GPT-2 has it"),
    "mish": Entry("x*tanh(softplus(x))", "Mish"),
    "softplus": Entry("softplus(beta*x)/beta", "a smooth ReLU"),
    "snake": Entry("x + sin(a*x)**2/a", "for periodic signals"),
    "huber": Entry("where(abs(x) <= delta, x**2/2, delta*(abs(x) - delta/2))", "a robust loss"),
    "log_cosh": Entry("abs(x) + log1p(exp(-2*abs(x))) - log(2)", "log(cosh(x)), without its overflow"),
    "lennard_jones": Entry("4*epsilon*((sigma/r)**12 - (sigma/r)**6)", "a pair potential"),
    "morse": Entry("D*(1 - exp(-a*(r - r_e)))**2", "a bond's potential"),
    "planck": Entry("x**3/expm1(x)", "black-body radiation"),
    "black_scholes": Entry(
        "d1 = (log(S/K) + (r + sigma**2/2)*T)/(sigma*sqrt(T)); d2 = d1 - sigma*sqrt(T); "
        "call = S*ndtr(d1) - K*exp(-r*T)*ndtr(d2)",
        "the price of a call; its gradients are the Greeks",
    ),
    "smooth_max": Entry("logaddexp(k*x, k*y)/k", "a differentiable maximum"),
    "airy_disk": Entry("(2*j1(r)/r)**2", "diffraction; torch has no derivative of j1"),
    "mse": Entry("mean((x - y)**2)", "a loss: the mean over all elements"),
    "softmax": Entry("softmax(x, dim=-1)", "shares that add up to 1"),
    "cross_entropy": Entry(
        "-sum(log_softmax(x, dim=-1)*t, dim=-1)", "the loss of a classifier, for soft targets"
    ),
    "rms_norm": Entry(
        "x/sqrt(mean(x**2, dim=-1) + eps)*weight",
        "the norm of most language models",
        params={"weight[-1]": 1.0},
        consts={"eps": 1e-6},
    ),
    "layer_norm": Entry(
        "(x - mean(x, dim=-1))/sqrt(var(x, dim=-1, correction=0) + eps)*weight + bias",
        "LayerNorm, its backward with two means",
        params={"weight[-1]": 1.0, "bias[-1]": 0.0},
        consts={"eps": 1e-5},
    ),
    "cosine_similarity": Entry(
        "sum(x*y, dim=-1)/max(norm(x, dim=-1)*norm(y, dim=-1), eps)",
        "the angle between vectors",
        consts={"eps": 1e-8},
    ),
    "greeks": Entry(
        "d1 = (log(S/K) + (r + sigma**2/2)*T)/(sigma*sqrt(T)); d2 = d1 - sigma*sqrt(T); "
        "delta = ndtr(d1); call = S*delta - K*exp(-r*T)*ndtr(d2); "
        "vega = S*sqrt(T)*exp(-d1**2/2)/sqrt(2*pi)",
        "the price of a call and two of its sensitivities, differentiable themselves; three outputs",
        outputs=("call", "delta", "vega"),
    ),
    "reflection": Entry("(Z - Z0)/(Z + Z0)", "the Smith chart: how much a load reflects", complex=True),
    "modrelu": Entry("relu(abs(z) + re(b))*sgn(z)", "a ReLU that keeps the phase", complex=True),
    "fidelity": Entry(
        "abs(sum(conj(u)*v, dim=-1))**2/(sum(abs(u)**2, dim=-1)*sum(abs(v)**2, dim=-1))",
        "how alike two quantum states are",
        complex=True,
    ),
}
