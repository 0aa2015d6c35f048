"""The reductions: how a formula asks for them, and what their results change by.

In a slope ``x`` is an element of what is reduced, ``y`` the result, ``n`` the number of elements,
``others`` the product of the other elements, and a reduction runs over the same dimensions. The cotangent of ``x`` is that of ``y`` times the slope.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reduction:
    """One reduction.

    Attributes:
        op: Its operator in a graph.
        slope: The derivative of the result by an element. Empty: it is expanded where it is read.
        torch: The operator, as an emitted file spells it.
        options: Parameters beside ``dim`` and ``keepdim``, with their defaults.
        note: What a reader of another library's manual might not expect.
        one: Whether torch takes one dimension only: several are reduced one after the other.
    """

    op: str
    slope: str = ""
    torch: str = ""
    options: tuple[tuple[str, str], ...] = ()
    note: str = ""
    one: bool = False


# torch's rule for amax: elements that tie share the gradient.
_TIES = "where(x == y, 1, 0)/sum(where(x == y, 1, 0))"
_AMAX = Reduction("amax", _TIES, "torch.amax", note="ties share the gradient")
_AMIN = Reduction("amin", _TIES, "torch.amin", note="ties share the gradient")

REDUCTIONS: dict[str, Reduction] = {
    "sum": Reduction("sum", "1", "torch.sum"),
    "mean": Reduction("mean", "1/n", "torch.mean"),
    "prod": Reduction("prod", "others", "torch.prod", note="zeros have their exact gradient", one=True),
    "max": _AMAX,
    "min": _AMIN,
    "amax": _AMAX,
    "amin": _AMIN,
    "var": Reduction("var", "2*(x - mean(x))/(n - correction)", "torch.var", (("correction", "1"),)),
    "std": Reduction(
        "std",
        "(x - mean(x))/((n - correction)*where(y == 0, 1, y))",
        "torch.std",
        (("correction", "1"),),
        note="gradient 0 where it is 0",
    ),
    # p >= 2; for a smaller one see SMALL_NORM.
    "norm": Reduction(
        "norm",
        "x/where(y == 0, 1, y)*(abs(x)/where(y == 0, 1, y))**(p - 2)",
        "torch.linalg.vector_norm",
        (("p", "2"),),
        note="any p, also inf; gradient 0 at 0",
    ),
    "logsumexp": Reduction("logsumexp", "exp(x - y)", "torch.logsumexp"),
    "softmax": Reduction("softmax", torch="torch.softmax"),
    "log_softmax": Reduction("log_softmax", torch="torch.log_softmax"),
}
"""By the names that formulas call them."""

SMALL_NORM = "sign(x)*(where(x == 0, 1, abs(x))/where(y == 0, 1, y))**(p - 1)"
"""The slope of a norm with ``p < 2``: a power of 0 would be infinite in a second derivative."""

NEGATIVE_NORM = SMALL_NORM.replace("sign(x)", "where(y == 0, 0, sign(x))")
"""That of one with ``p < 0``, which is 0 beside an element that is: there it is torch's, 0 again."""

SPELLED = {row.op: name for name, row in reversed(REDUCTIONS.items())}
"""The name in formulas, by operator."""
