"""What entries of PyTorch's operator database are of complex numbers, where that is another formula."""

from __future__ import annotations

from tests.op_db_rows import Case, Entry, Skip, entry, when

_CHOICE = Skip("complex: the formula is a choice")
_TEXT: dict[str, str] = {
    "add": "x + alpha*y",
    "addcdiv": "x + value*(a/b)",
    "addcmul": "x + value*a*b",
    "angle": "arg(x)",
    "conj": "conj(x)",
    "conj_physical": "conj(x)",
    "lerp": "x + w*(y - x)",
    "nn.functional.softsign": "x/(1 + abs(x))",
    "nn.functional.tanhshrink": "x - tanh(x)",
    "real": "re(x)",
    "rsub": "y - alpha*x",
    "sgn": "sgn(x)",
    "sinc": "sin(pi*x)/(pi*x)",
    "sub": "x - alpha*y",
    "vdot": "sum(conj(x)*y)",
}
_CHOICES = (
    "eq",
    "fill",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isreal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "masked_fill",
    "ne",
    "where",
)
IN_COMPLEX: dict[str, tuple[Case, ...]] = {
    **{name: (when(formula),) for name, formula in _TEXT.items()},
    **{name: (when(_CHOICE),) for name in _CHOICES},
    "logaddexp": (when(Skip("complex: on a branch of its own, the larger argument's")),),
}

ONLY_COMPLEX: list[Entry] = [
    entry("complex", "x, y", "x + i*y", unit=True),
    entry("imag", "x", "im(x)"),
    entry("nn.functional.silu/complex", "x", "x*sigmoid(x)"),
    entry("polar", "x, y", "x*exp(i*y)", unit=True),
]
"""Entries whose arguments or results are complex."""
