"""The rules for parts that reduce: a softmax, a variance, a norm, in steps.

All reductions of a rule run over the same dimensions, whichever these are. In a form ``n`` is how many
elements of ``u`` these are. In a pattern ``e`` is an exponent that nothing has been taken off: no largest
element, and nothing without a gradient.
"""

from __future__ import annotations

from fngen.stabilise.rows import DIGITS, FEWER, OVERFLOW, Rule

FLAT = "gradient 0 at 0"
_TOP = "stop_gradient(clamp(logsumexp(e), 0, 1e30))"
"""What may be taken off exponents: beside it nothing is small that was not, and an infinite one stays. A row
without elements has one, too, where it has no largest."""

OF_REDUCTIONS = (
    # A sum of exponentials is that of its logarithm; a softmax is exp(u - logsumexp(u)).
    Rule("log(sum(exp(u)))", "logsumexp(u)", OVERFLOW),
    Rule("log(mean(exp(u)))", "logsumexp(u) - log(n)", OVERFLOW),
    Rule("log(exp(u)/mean(exp(u)))", "u - logsumexp(u) + log(n)", OVERFLOW),
    Rule("log(a*mean(exp(u)))", "log(a) + (logsumexp(u) - log(n))", OVERFLOW),
    Rule("log(exp(u)/sum(exp(v)))", "u - logsumexp(v)", OVERFLOW),
    Rule("log(a*exp(u)/sum(exp(v)))", "log(a) + (u - logsumexp(v))", OVERFLOW),
    Rule("log(a*sum(exp(v))/exp(u))", "log(a) - (u - logsumexp(v))", OVERFLOW),
    Rule("log(a*sum(exp(u)))", "log(a) + logsumexp(u)", OVERFLOW),
    Rule("log(a/sum(exp(u)))", "log(a) - logsumexp(u)", OVERFLOW),
    Rule("log(sum(C*exp(u)))", "log(C) + logsumexp(u)", OVERFLOW, "C > 0"),
    Rule("log(exp(u) + sum(exp(v)))", "logaddexp(u, logsumexp(v))", OVERFLOW),
    Rule("log(sum(exp(u)) + sum(exp(v)))", "logaddexp(logsumexp(u), logsumexp(v))", OVERFLOW),
    Rule("log(1 + sum(exp(u)))", "log1pexp(logsumexp(u))", OVERFLOW),
    Rule("log(a + sum(exp(e)))", f"{_TOP} + log(a*exp(-{_TOP}) + sum(exp(e - {_TOP})))", OVERFLOW),
    Rule("log1p(sum(exp(u)))", "log1pexp(logsumexp(u))", OVERFLOW),
    Rule("log1p(sum(exp(u))*sum(exp(v)))", "log1pexp(logsumexp(u) + logsumexp(v))", OVERFLOW),
    Rule("sum(u*exp(v))/sum(exp(v))", "sum(u*exp(v - logsumexp(v)))", OVERFLOW),
    Rule("sum(exp(u))/sum(exp(v))", "exp(logsumexp(u) - logsumexp(v))", OVERFLOW),
    Rule("exp(u)/sum(exp(v))", "exp(u - logsumexp(v))", OVERFLOW),
    Rule("exp(u)/mean(exp(u))", "n*exp(u - logsumexp(u))", OVERFLOW),
    Rule("exp(u)/(exp(u) + sum(exp(v)))", "logistic(u - logsumexp(v))", OVERFLOW),
    Rule("sum(exp(v))/(exp(u) + sum(exp(v)))", "logistic(logsumexp(v) - u)", OVERFLOW),
    Rule("sum(exp(u))/(1 + sum(exp(u)))", "logistic(logsumexp(u))", OVERFLOW),
    Rule("exp(u)/(a + sum(exp(e)))", f"exp(u - {_TOP})/(a*exp(-{_TOP}) + sum(exp(e - {_TOP})))", OVERFLOW),
    Rule("1/(1 + sum(exp(u)))", "logistic(-logsumexp(u))", OVERFLOW),
    # What was subtracted by hand is not needed any more.
    Rule("max(u) + logsumexp(u - max(u))", "logsumexp(u)", FEWER),
    Rule(
        "stop_gradient(max(u)) + logsumexp(u - stop_gradient(max(u)))",
        "logsumexp(u)",
        FEWER,
    ),
    # Moments.
    Rule("mean(u**2) - mean(u)**2", "var(u, correction=0)", DIGITS),
    Rule("mean(u*v) - mean(u)*mean(v)", "mean((u - mean(u))*(v - mean(v)))", DIGITS),
    # Roots of what may be 0, where torch's autograd has a nan.
    Rule("sqrt(var(u))", "std(u)", FLAT),
    Rule("sqrt(var(u, correction=0))", "std(u, correction=0)", FLAT),
    Rule("sqrt(mean((u - mean(u))**2))", "std(u, correction=0)", FLAT),
    Rule("sqrt(mean((mean(u) - u)**2))", "std(u, correction=0)", FLAT),
    Rule("sqrt(sum(abs(u)**2))", "norm(u)", FLAT),
    Rule("sqrt(sum(u**2))", "norm(u)", FLAT),
    Rule("sqrt(mean(abs(u)**2))", "norm(u)/sqrt(n)", FLAT),
    Rule("sqrt(mean(u**2))", "norm(u)/sqrt(n)", FLAT),
    Rule("sum(abs(u)**P)**Q", "norm(u, P)", FLAT, "P*Q == 1 and P > 0 and P != 1"),
    Rule("sum(u**P)**Q", "norm(u, P)", FLAT, "P*Q == 1 and P > 0 and floor(P/2) == P/2"),
)
"""What a part of a formula is, as the other names: these come first, for theirs are no reductions."""
