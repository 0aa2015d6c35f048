"""The rules: what a part of a formula is, in a form that keeps its digits.

A pattern matches in any order of its terms and factors, whatever a sum is multiplied by. Of its letters
``u``, ``v`` and ``w`` stand for what depends on an input, capitals for numbers, others for either. The rules
of one table are tried in order, until none holds: the later ones see what the earlier ones have made.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """An identity.

    Attributes:
        pattern: What the user may have written, or an earlier rule has.
        form: What it is.
        reason: Why that is better.
        given: What must hold of its numbers.
    """

    pattern: str
    form: str
    reason: str
    given: str = ""


OVERFLOW = "no overflow"
DIGITS = "without its cancellation"
EARLY = "not 0 too early"
SMALL = "exact for a small argument"
FEWER = "one function for two"

NAMES = (
    # Exponentials that are a logistic function or a hyperbolic one.
    Rule("exp(u)/(1 + exp(u))", "logistic(u)", OVERFLOW),
    Rule("1/(1 + exp(u))", "logistic(-u)", OVERFLOW),
    Rule("exp(u)*logistic(-u)", "logistic(u)", OVERFLOW),
    Rule("exp(u)/(exp(u) + exp(v))", "logistic(u - v)", OVERFLOW),
    Rule("exp(u)/(exp(u) + exp(v) + exp(w))", "exp(u - logaddexp(logaddexp(u, v), w))", OVERFLOW),
    Rule("1 - 2*logistic(u)", "-tanh(u/2)", DIGITS),
    Rule("1 - logistic(u)", "logistic(-u)", DIGITS),
    Rule("logistic(u) - logistic(-u)", "tanh(u/2)", DIGITS),
    Rule("sigmoid(u) - sigmoid(-u)", "tanh(u/2)", DIGITS),
    Rule("logistic(u)*logistic(-u)", "logistic_pdf(u)", OVERFLOW),
    Rule("exp(u)*logistic(-u)**2", "logistic_pdf(u)", OVERFLOW),
    Rule("exp(u)/(1 + exp(u))**2", "logistic_pdf(u)", OVERFLOW),
    Rule("1 - sigmoid(u)", "logistic(-u)", DIGITS),
    Rule("(exp(u) - exp(-u))/(exp(u) + exp(-u))", "tanh(u)", OVERFLOW),
    Rule("(exp(u) - 1)/(exp(u) + 1)", "tanh(u/2)", OVERFLOW),
    Rule("expm1(u)*logistic(-u)", "tanh(u/2)", OVERFLOW),
    Rule("sinh(u)/cosh(u)", "tanh(u)", OVERFLOW),
    Rule("1 + tanh(u)", "2*logistic(2*u)", DIGITS),
    Rule("1 - tanh(u)", "2*logistic(-2*u)", DIGITS),
    Rule("1 - tanh(u)**2", "sech(u)**2", DIGITS),
    Rule("1 - sech(u)**2", "tanh(u)**2", DIGITS),
    Rule("1/cosh(u)", "sech(u)", OVERFLOW),
    Rule("cosh(u)/sinh(u)", "coth(u)", OVERFLOW),
    Rule("1 - coth(u)**2", "-csch(u)**2", DIGITS),
    Rule("exp(u)/expm1(u)**2", "csch(u/2)**2/4", OVERFLOW),
    Rule("exp(u)/expm1(u)", "-1/expm1(-u)", OVERFLOW),
    Rule("exp(u) - exp(-u)", "2*sinh(u)", SMALL),
    Rule("exp(u) + exp(-u)", "2*cosh(u)", FEWER),
    Rule("cosh(u) - sinh(u)", "exp(-u)", DIGITS),
    Rule("cosh(u) + sinh(u)", "exp(u)", DIGITS),
    Rule("cosh(u) - 1", "2*sinh(u/2)**2", DIGITS),
    # Their logarithms.
    Rule("log(exp(u))", "u", OVERFLOW),
    Rule("log(1 + exp(u))", "log1pexp(u)", OVERFLOW),
    Rule("log((1 + exp(u))/(1 + exp(v)))", "log1pexp(u) - log1pexp(v)", OVERFLOW),
    Rule("log(exp(u) + exp(v))", "logaddexp(u, v)", OVERFLOW),
    Rule("log1p(expm1(u))", "u", DIGITS),
    Rule("log1p(exp(u))", "log1pexp(u)", OVERFLOW),
    Rule("log1p(-exp(u))", "log1mexp(u)", DIGITS),
    Rule("log1p(-logistic(u))", "-log1pexp(u)", OVERFLOW),
    Rule("log1p(-sigmoid(u))", "-log1pexp(u)", OVERFLOW),
    Rule("log(exp(u) + exp(v) + exp(w))", "logaddexp(logaddexp(u, v), w)", OVERFLOW),
    Rule("log(expm1(u))", "u + log1mexp(-u)", OVERFLOW),
    Rule("log(-expm1(u))", "log1mexp(u)", DIGITS),
    Rule("log(exp(u) - exp(v))", "u + log1mexp(v - u)", OVERFLOW),
    Rule("log(logistic(u))", "-log1pexp(-u)", OVERFLOW),
    Rule("log(sigmoid(u))", "-log1pexp(-u)", OVERFLOW),
    Rule("log(cosh(u))", "logcosh(u)", OVERFLOW),
    Rule("log1pexp(u) - log1pexp(-u)", "u", DIGITS),
    Rule("log1pexp(u) - u", "log1pexp(-u)", DIGITS),
    Rule("logaddexp(u, 0)", "log1pexp(u)", FEWER),
    Rule("logaddexp(u, v) - u", "log1pexp(v - u)", DIGITS),
    Rule("logaddexp(u, v) - v", "log1pexp(u - v)", DIGITS),
    Rule("log(2*cosh(u))", "logaddexp(u, -u)", OVERFLOW),
    # Near 1 and near 0.
    Rule("exp(u) - 1", "expm1(u)", SMALL),
    Rule("1 + expm1(u)", "exp(u)", DIGITS),
    Rule("1/(sqrt(a)*(1 - sqrt(a))*(1 + sqrt(a)))", "1/(sqrt(a)*(1 - a))", DIGITS),
    Rule("log((1 + u)/(1 - u))", "2*atanh(u)", DIGITS),
    Rule("log(1 + u)", "log1p(u)", SMALL),
    Rule("log(u + sqrt(1 + u**2))", "asinh(u)", DIGITS),
    Rule("log(u + hypot(u, 1))", "asinh(u)", DIGITS),
    Rule("log(u + sqrt(u**2 - 1))", "acosh(u)", OVERFLOW),
    Rule("1 - cos(u)", "2*sin(u/2)**2", DIGITS),
    Rule("1 - cos(u)**2", "sin(u)**2", DIGITS),
    Rule("1 - sin(u)**2", "cos(u)**2", DIGITS),
    Rule("sin(u/2)**2/sin(u)", "tan(u/2)/2", DIGITS),
    Rule("sin(u)/(1 + cos(u))", "tan(u/2)", DIGITS),
    Rule("pi/2 - asin(u)", "acos(u)", DIGITS),
    Rule("pi/2 - acos(u)", "asin(u)", DIGITS),
    Rule("lgamma(1 + u) - lgamma(u)", "log(abs(u))", DIGITS),
    Rule("pi/2 - atan(u)", "atan2(1, u)", DIGITS),
    Rule("pi/2 + atan(u)", "atan2(1, -u)", DIGITS),
    Rule("1/2 - atan(u)/pi", "atan2(1, u)/pi", DIGITS),
    Rule("1/2 + atan(u)/pi", "atan2(1, -u)/pi", DIGITS),
    Rule("u/(u**2 + v**2)", "u/hypot(u, v)/hypot(u, v)", OVERFLOW),
    Rule("1 - u**2/hypot(u, v)**2", "v**2/hypot(u, v)**2", DIGITS),
    Rule("u*sign(u)", "abs(u)", FEWER),
    Rule("sign(u)*tanh(abs(u))", "tanh(u)", "one function for three"),
    Rule("abs(u) + log1pexp(-2*abs(u)) - log(2)", "logcosh(u)", DIGITS),
    # The error function.
    Rule("1 + erf(u)", "erfc(-u)", DIGITS),
    Rule("1 - erf(u)", "erfc(u)", DIGITS),
    Rule("1 - erfc(u)", "erf(u)", DIGITS),
    Rule("1 - ndtr(u)", "ndtr(-u)", DIGITS),
    Rule("exp(u**2)*erfc(u)", "erfcx(u)", OVERFLOW),
    Rule("erfc(u)/exp(-u**2)", "erfcx(u)", OVERFLOW),
    Rule("exp(-u**2)/erfc(u)", "1/erfcx(u)", OVERFLOW),
    Rule("log(erfc(u/sqrt(2))/2)", "log_normal_tail(u)", DIGITS),
    Rule("log(erfc(u)/2)", "log_normal_tail(sqrt(2)*u)", DIGITS),
    Rule("log(ndtr(u))", "log_normal_tail(-u)", DIGITS),
)
"""What a part of a formula is: before it is differentiated, and in its derivatives."""
