"""The layers of generated/: name, formula, and what it is good for."""

from __future__ import annotations

GALLERY = {
    "square": ("x1**3 + x2**2", "the example that fngen began with"),
    "swish": ("x*sigmoid(beta*x)", "a gate with a slope"),
    "swiglu": ("a*sigmoid(a)*b", "the gate of most language models"),
    "gelu": ("x/2*(1 + erf(x/sqrt(2)))", "GELU, exact"),
    "gelu_tanh": ("x/2*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))", "GELU, as GPT-2 has it"),
    "mish": ("x*tanh(softplus(x))", "Mish"),
    "softplus": ("softplus(beta*x)/beta", "a smooth ReLU"),
    "snake": ("x + sin(a*x)**2/a", "for periodic signals"),
    "huber": ("where(abs(x) <= delta, x**2/2, delta*(abs(x) - delta/2))", "a robust loss"),
    "log_cosh": ("abs(x) + log1p(exp(-2*abs(x))) - log(2)", "log(cosh(x)), without its overflow"),
    "lennard_jones": ("4*epsilon*((sigma/r)**12 - (sigma/r)**6)", "a pair potential"),
    "morse": ("D*(1 - exp(-a*(r - r_e)))**2", "a bond's potential"),
    "planck": ("x**3/expm1(x)", "black-body radiation"),
    "black_scholes": (
        "d1 = (log(S/K) + (r + sigma**2/2)*T)/(sigma*sqrt(T)); d2 = d1 - sigma*sqrt(T); "
        "call = S*ndtr(d1) - K*exp(-r*T)*ndtr(d2)",
        "the price of a call; its gradients are the Greeks",
    ),
    "smooth_max": ("logaddexp(k*x, k*y)/k", "a differentiable maximum"),
    "airy_disk": ("(2*j1(r)/r)**2", "diffraction; torch has no derivative of j1"),
    "mse": ("mean((x - y)**2)", "a loss: the mean over all elements"),
}
