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
    Rule("exp(u)/expm1(u)**2", "csch(u/2)**2/4", OVERFLOW),
    Rule("exp(u)/expm1(u)", "-1/expm1(-u)", OVERFLOW),
    Rule("exp(u) - exp(-u)", "2*sinh(u)", SMALL),
    Rule("exp(u) + exp(-u)", "2*cosh(u)", FEWER),
    Rule("cosh(u) - 1", "2*sinh(u/2)**2", DIGITS),
    # Their logarithms.
    Rule("log(exp(u))", "u", OVERFLOW),
    Rule("log(1 + exp(u))", "log1pexp(u)", OVERFLOW),
    Rule("log((1 + exp(u))/(1 + exp(v)))", "log1pexp(u) - log1pexp(v)", OVERFLOW),
    Rule("log(exp(u) + exp(v))", "logaddexp(u, v)", OVERFLOW),
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
    Rule("log(2*cosh(u))", "logaddexp(u, -u)", OVERFLOW),
    # Near 1 and near 0.
    Rule("exp(u) - 1", "expm1(u)", SMALL),
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
    Rule("log(erfc(u/sqrt(2))/2)", "log_normal_tail(u)", DIGITS),
    Rule("log(erfc(u)/2)", "log_normal_tail(sqrt(2)*u)", DIGITS),
    Rule("log(ndtr(u))", "log_normal_tail(-u)", DIGITS),
)
"""What a part of a formula is: before it is differentiated, and in its derivatives."""

_ROOTS = "(sqrt(u) + sqrt(v))"
_BOTH = "u == 0 and v == 0"
_LENGTH = f"where({_BOTH}, 1, hypot(u, v))"
_NEAR = "abs(u - v) < abs(v)/2"
_SHARE = f"((u - v)/where({_NEAR}, v, 1))"
_LOG_MEAN = f"where({_NEAR}, v*({_SHARE}/log1p({_SHARE})), (u - v)/log(u/v))"
_FAR = "sign(u) == sign(v) and (abs(u/v) < 1e-300 or abs(u/v) > 1e300)"
_GROWTH = "exp(Max(u, 700)/2)"


def _where_near(pattern: str, form: str) -> tuple[Rule, Rule]:
    """Return the rules for a difference as a product: everywhere, and where its terms are nearly the same."""
    near = f"where(abs(u - v) < 1/2, {form}, {pattern})"
    return Rule(pattern, form, DIGITS), Rule(pattern, near, DIGITS)


def _beyond_tangent(pattern: str, form: str, far: str) -> Rule:
    """Return the rule for what is of second order in the share ``s = (u - v)/v``."""
    return Rule(pattern, f"where({_NEAR}, {form.format(s=_SHARE)}, {far})", DIGITS)


def _root_of_square_and(a: str, root: str, given: str) -> Rule:
    """Return the rule for the root of a square and something of either sign, whose root is ``root``."""
    less = f"sqrt(where({a} < 0, abs(u) - {root}, 1))*sqrt(abs(u) + {root})"
    form = f"where({a} < 0, {less}, hypot(u, where({a} == 0, 0, {root})))"
    return Rule(f"sqrt(u**2 + {a})", form, OVERFLOW, given)


_CROSSED = "logistic({0}*u)*logistic(-{0}*v) + logistic({0}*v)*logistic(-{0}*u)"
_GROWN = "v*log1p(where(u > -1, u, 0))"
_SMALL_GROWTH = f"u > -1 and abs({_GROWN}) < 1"
_FAR_FROM_ONE = "Max(Max(abs(u**v), abs(1/u**v)), 1e23*abs(v)) > 1e30"
"""Where a power is very large or small, or so is its exponent, of which 1 takes nothing off."""
_POWER = "v*log(where(u > 0, u, 1))"
_SMALL_POWER = f"u > 0 and abs({_POWER}) < 1"
UNROUNDED = "its exponent is not rounded"
NOWHERE = "its argument is rounded nowhere"
FORMS = (
    # Differences.
    Rule("sqrt(1 + u) - 1", "u/(1 + sqrt(1 + u))", DIGITS),
    Rule("sqrt(u + C) - sqrt(u)", "C/(sqrt(u + C) + sqrt(u))", DIGITS, "C != 0"),
    Rule("sqrt(u + C) - sqrt(u + V)", "(C - V)/(sqrt(u + C) + sqrt(u + V))", DIGITS, "C != V"),
    Rule("sqrt(u) - C", "(u - C**2)/(sqrt(u) + C)", DIGITS, "C > 0"),
    Rule("sqrt(u) - sqrt(v)", f"(u - v)/where({_ROOTS} == 0, 1, {_ROOTS})", DIGITS),
    Rule("sqrt(a) - u", "where(u > 0, (a - u**2)/(sqrt(a) + abs(u)), sqrt(a) - u)", DIGITS),
    Rule("sqrt(a) + u", "where(u < 0, (a - u**2)/(sqrt(a) + abs(u)), sqrt(a) + u)", DIGITS),
    Rule("u + hypot(u, a)", "where(u < 0, a*(a/(abs(u) + hypot(u, a))), u + hypot(u, a))", DIGITS),
    Rule("hypot(u, a) - u", "where(u > 0, a*(a/(abs(u) + hypot(u, a))), hypot(u, a) - u)", DIGITS),
    Rule("hypot(u, V) - V", "u*(u/(hypot(u, V) + V))", DIGITS, "V > 0"),
    Rule("1/sqrt(1 - u) - 1", "u/(sqrt(1 - u)*(1 + sqrt(1 - u)))", DIGITS),
    Rule(
        "1 + u/hypot(u, a)",
        "where(u < 0, a*(a/(abs(u) + hypot(u, a)))/hypot(u, a), 1 + u/hypot(u, a))",
        DIGITS,
    ),
    Rule(
        "1 - u/hypot(u, a)",
        "where(u > 0, a*(a/(abs(u) + hypot(u, a)))/hypot(u, a), 1 - u/hypot(u, a))",
        DIGITS,
    ),
    Rule("1 + u/sqrt(a)", "where(u < 0, (a - u**2)/(sqrt(a) + abs(u))/sqrt(a), 1 + u/sqrt(a))", DIGITS),
    Rule("1 - u/sqrt(a)", "where(u > 0, (a - u**2)/(sqrt(a) + abs(u))/sqrt(a), 1 - u/sqrt(a))", DIGITS),
    Rule("u**2 - v**2", "(u - v)*(u + v)", DIGITS),
    Rule("u**2 - C", "(u - sqrt(C))*(u + sqrt(C))", DIGITS, "C > 0"),
    *_where_near("exp(u) - exp(v)", "exp(v)*expm1(u - v)"),
    Rule("(exp(u) - exp(v))/(u - v)", "exp(Max(u, v))*(expm1(-abs(u - v))/(-abs(u - v)))", DIGITS),
    Rule("(u - v)/(log(u) - log(v))", f"where(v >= 0, {_LOG_MEAN}, nan)", DIGITS),
    *_where_near("cos(u) - cos(v)", "2*sin((u + v)/2)*sin((v - u)/2)"),
    *_where_near("sin(u) - sin(v)", "2*cos((u + v)/2)*sin((u - v)/2)"),
    *_where_near("tan(u) - tan(v)", "sin(u - v)/(cos(u)*cos(v))"),
    Rule("exp(u)*cos(v) - 1", "expm1(u)*cos(v) - 2*sin(v/2)**2", DIGITS),
    # What is left of a function beyond its tangent.
    _beyond_tangent("u/v - log(u/v) - 1", "{s} - log1p({s})", "u/v - log(u/v) - 1"),
    _beyond_tangent("u/v + log(v/u) - 1", "{s} - log1p({s})", "u/v - log(u/v) - 1"),
    _beyond_tangent("u*log(u/v) - u + v", "v*((1 + {s})*log1p({s}) - {s})", "u*log(u/v) - u + v"),
    Rule("atan(u) - atan(v)", "atan2(u - v, 1 + u*v)", DIGITS),
    Rule("tanh(u) - tanh(v)", f"2*tanh(u - v)*({_CROSSED.format(2)})", DIGITS),
    Rule("logistic(u) - logistic(v)", f"tanh((u - v)/2)*({_CROSSED.format(1)})", DIGITS),
    # Of two negative numbers the quotient has a logarithm.
    Rule("log(u) - log(v)", "where(v >= 0, log1p((u - v)/v), nan)", DIGITS),
    Rule("log(u) - log(v)", "where(v >= 0, log(u/v), nan)", DIGITS),
    Rule("log1p(u) - log(u)", "where(u > 1, log1p(1/Max(u, 1)), log1p(u) - log(u))", DIGITS),
    Rule("(1 + u)**v - 1", f"where({_SMALL_GROWTH}, expm1({_GROWN}), (1 + u)**v - 1)", DIGITS),
    Rule("u**(v - 1)", f"where({_FAR_FROM_ONE}, u**(v - 1), u**v/u)", UNROUNDED),
    Rule("u**(v - 2)", f"where({_FAR_FROM_ONE}, u**(v - 2), u**v/u/u)", UNROUNDED),
    Rule("u**v - 1", f"where({_SMALL_POWER}, expm1({_POWER}), u**v - 1)", DIGITS),
    Rule(
        "(1 - v)*log1pexp(u) + v*log1pexp(-u)",
        "log1pexp(-abs(u)) + u*where(u > 0, 1 - v, -v)",
        DIGITS,
    ),
    Rule("exp(u) - expm1(u)/a", "exp(u)*(1 - 1/a) + 1/a", OVERFLOW),
    Rule("log(u/v)", f"where({_NEAR}, log1p({_SHARE}), log(u/v))", DIGITS),
    Rule("log(u/v)", f"where({_FAR}, log(abs(u)) - log(abs(v)), log(u/v))", OVERFLOW),
    Rule("1/(u + v)", "1/(u/2 + v/2)/2", OVERFLOW),
    Rule("expm1(u)/v", f"where(u > 700, {_GROWTH}/v*{_GROWTH}, expm1(Min(u, 700))/v)", OVERFLOW),
    Rule("cosh(u)", "1 + 2*sinh(u/2)**2", OVERFLOW),
    Rule("sinh(u)", "2*sinh(u/2)*cosh(u/2)", OVERFLOW),
    # Squares that overflow, or are 0 too early.
    Rule("sqrt(u**2 + v**2)", "hypot(u, v)", OVERFLOW),
    Rule("sqrt(u**2 + v**2 + w**2)", "hypot(hypot(u, v), w)", OVERFLOW),
    Rule("sqrt(u**2 - v**2)", "sqrt(abs(u) - v)*sqrt(abs(u) + v)", OVERFLOW),
    Rule("sqrt(u*v)", "where(sign(u)*sign(v) < 0, nan, sqrt(abs(u))*sqrt(abs(v)))", OVERFLOW),
    Rule("log1p(u**2)", "where(abs(u) < 1, log1p(clamp(u, -1, 1)**2), 2*log(hypot(u, 1)))", OVERFLOW),
    Rule("exp(log(u) - log(v))", "where(u < 0 or v < 0, nan, u/v)", DIGITS),
    Rule("sqrt(u**2 + C)", "hypot(u, sqrt(C))", OVERFLOW, "C > 0"),
    _root_of_square_and("a", "sqrt(where(a == 0, 1, abs(a)))", ""),
    _root_of_square_and("C*v", "sqrt(abs(C))*sqrt(where(v == 0, 1, abs(v)))", "C != 0"),
    Rule("1/(C + u**2)", "1/hypot(u, sqrt(C))/hypot(u, sqrt(C))", OVERFLOW, "C > 0"),
    Rule("1/(u**2 + v**2)", "1/hypot(u, v)/hypot(u, v)", OVERFLOW),
    Rule(f"1/where({_BOTH}, 1, u**2 + v**2)", f"1/{_LENGTH}/{_LENGTH}", OVERFLOW),
    Rule("sech(u)**2", "4*full_logistic_pdf(2*u)", OVERFLOW),
    Rule("1/expm1(u)", "bose(u)", EARLY),
    Rule("u/expm1(u)", "where(u > 60, u*exp(-Max(u, 60)), u/expm1(Min(u, 60)))", EARLY),
    Rule("u/expm1(-u)", "where(u < -60, u*exp(Min(u, -60)), u/expm1(-Max(u, -60)))", EARLY),
    Rule("logistic(u)", "full_logistic(u)", EARLY),
    Rule("sigmoid(u)", "full_logistic(u)", EARLY),
    Rule("logistic_pdf(u)", "full_logistic_pdf(u)", EARLY),
    # Exponentials whose argument is rounded, or that are subnormal before they are multiplied.
    Rule("erfc(u/sqrt(2))", "normal_tail(u)", NOWHERE),
    Rule("exp(C*u**2)", "exp_square(u, C)", NOWHERE),
    Rule("exp(u)*exp(v)", "exp_sum(u, v)", OVERFLOW),
    Rule("exp(u + a)", "exp_sum(u, a)", NOWHERE),
    Rule("expm1(u + a)", "expm1_sum(u, a)", NOWHERE),
    Rule("full_logistic(u + a)", "logistic_sum(u, a)", NOWHERE),
    Rule("full_logistic_pdf(u + a)", "logistic_pdf_sum(u, a)", NOWHERE),
    Rule("bose(u + a)", "bose_sum(u, a)", NOWHERE),
    Rule("sech(u)", "full_sech(u)", EARLY),
    Rule("exp(u)*sech(exp(u))**2", "4*exp(Min(u, 700))*full_logistic_pdf(2*exp(u))", OVERFLOW),
    Rule(
        "exp(u)*full_logistic_pdf(C*exp(u))",
        "exp(Min(u, 700))*full_logistic_pdf(C*exp(u))",
        OVERFLOW,
        "C > 1e-100 or C < -1e-100",
    ),
)
"""How it is best written, once nobody differentiates it any more: what helps is told by trying."""
