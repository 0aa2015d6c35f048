"""The rules of how a part of a formula is best written: what helps is told by trying.

Their patterns are read as those of ``rows.py`` are.
"""

from __future__ import annotations

from fngen.stabilise.rows import DIGITS, EARLY, OVERFLOW, Rule

UNROUNDED = "its exponent is not rounded"
NOWHERE = "its argument is rounded nowhere"

_ROOTS = "(sqrt(u) + sqrt(v))"
_ROOT = "sqrt((u + v)**2 + a)"
_BOTH = "u == 0 and v == 0"
_LENGTH = f"where({_BOTH}, 1, hypot(u, v))"
_NEAR = "abs(u - v) < abs(v)/2"
_SHARE = f"(where({_NEAR}, u - v, 1)/where({_NEAR}, v, 1))"
_LOG_MEAN = f"where({_NEAR}, v*({_SHARE}/log1p({_SHARE})), (u - v)/log(where({_NEAR}, 2, u/v)))"
_LOG_SECANT = "(u*log(u) - v*log(v))/(u - v)"
_FAR_SECANT = f"(u*log(u) - v*log(v))/where({_NEAR}, 1, u - v)"
_LOG_SLOPE = f"log(u) + log1p({_SHARE})/{_SHARE}"
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
_GROWN_RATIO = "-expm1(-Max(u, 0))/(1 + a*exp(-Max(u, 0)))"
_SMALL_RATIO = "expm1(Min(u, 0))/(a + exp(Min(u, 0)))"
_GAP = "(v - w)*log(where(u > 0, u, 1))"
_SMALL_GAP = f"u > 0 and abs({_GAP}) < 1"
_POSITIVE = "v >= 0 and w >= 0"
_BOTH_POSITIVE = "u > 0 and v > 0"
_SATURATION = "1/(1 + (v/where(u > 0, u, 1))**a)"
FORMS = (
    # Differences.
    Rule("sqrt(1 + u) - 1", "u/(1 + sqrt(1 + u))", DIGITS),
    Rule("sqrt(u + C) - sqrt(u)", "C/(sqrt(u + C) + sqrt(u))", DIGITS, "C != 0"),
    Rule("sqrt(u + C) - sqrt(u + V)", "(C - V)/(sqrt(u + C) + sqrt(u + V))", DIGITS, "C != V"),
    Rule("sqrt(u) - C", "(u - C**2)/(sqrt(u) + C)", DIGITS, "C > 0"),
    Rule("sqrt(u) - sqrt(v)", f"(u - v)/where({_ROOTS} == 0, 1, {_ROOTS})", DIGITS),
    Rule(f"{_ROOT} - u - v", f"where(u + v > 0, a/({_ROOT} + abs(u + v)), {_ROOT} - (u + v))", DIGITS),
    Rule(f"{_ROOT} + u + v", f"where(u + v < 0, a/({_ROOT} + abs(u + v)), {_ROOT} + (u + v))", DIGITS),
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
    Rule(_LOG_SECANT, f"where({_NEAR}, {_LOG_SLOPE}, {_FAR_SECANT})", DIGITS),
    *_where_near("cos(u) - cos(v)", "2*sin((u + v)/2)*sin((v - u)/2)"),
    *_where_near("sin(u) - sin(v)", "2*cos((u + v)/2)*sin((u - v)/2)"),
    *_where_near("tan(u) - tan(v)", "sin(u - v)/(cos(u)*cos(v))"),
    # Second differences.
    Rule("exp(u + v) - 2*exp(u) + exp(u - v)", "4*exp(u)*sinh(v/2)**2", DIGITS),
    Rule("sin(u + v) - 2*sin(u) + sin(u - v)", "-4*sin(u)*sin(v/2)**2", DIGITS),
    Rule("cos(u + v) - 2*cos(u) + cos(u - v)", "-4*cos(u)*sin(v/2)**2", DIGITS),
    Rule("exp(u)*cos(v) - 1", "expm1(u)*cos(v) - 2*sin(v/2)**2", DIGITS),
    # Trigonometry: differences as products, arguments less what they repeat after.
    Rule("cos(u)**2 - cos(v)**2", "sin(u + v)*sin(v - u)", DIGITS),
    Rule("sin(u)**2 - sin(v)**2", "sin(u + v)*sin(u - v)", DIGITS),
    Rule("sin(u + v) + sin(u - v)", "2*sin(u)*cos(v)", DIGITS),
    Rule("cos(u)/sin(u) - cos(v)/sin(v)", "sin(v - u)/(sin(u)*sin(v))", DIGITS),
    Rule("acos(u)", "2*atan2(sqrt(1 - u), sqrt(1 + u))", DIGITS),
    Rule("sin(pi*u)", "sinpi(u)", NOWHERE),
    Rule("cos(pi*u)", "cospi(u)", NOWHERE),
    Rule("log1p(u) + log(v) - 2*log(w)", f"where({_POSITIVE}, log1p(((1 + u)*v - w**2)/w**2), nan)", DIGITS),
    Rule("log(u) + log(v) - 2*log(w)", f"where({_POSITIVE}, log1p((u*v - w**2)/w**2), nan)", DIGITS),
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
    Rule("u**v - u**w", f"where({_SMALL_GAP}, u**w*expm1({_GAP}), u**v - u**w)", DIGITS),
    Rule("u**v - 1", f"where({_SMALL_POWER}, expm1({_POWER}), u**v - 1)", DIGITS),
    Rule(
        "(1 - v)*log1pexp(u) + v*log1pexp(-u)",
        "log1pexp(-abs(u)) + u*where(u > 0, 1 - v, -v)",
        DIGITS,
    ),
    Rule("log1pexp(u) - u*logistic(u)", "log1pexp(-abs(u)) + abs(u)*logistic(-abs(u))", DIGITS),
    Rule("log1pexp(-u) + u*logistic(-u)", "log1pexp(-abs(u)) + abs(u)*logistic(-abs(u))", DIGITS),
    Rule("softplus(u) - u*sigmoid(u)", "log1pexp(-abs(u)) + abs(u)*logistic(-abs(u))", DIGITS),
    Rule("exp(u) - expm1(u)/a", "exp(u)*(1 - 1/a) + 1/a", OVERFLOW),
    Rule("atanh(sqrt(a))", "log1p(sqrt(a)) - log1p(-a)/2", DIGITS),
    Rule("log(u/v)", f"where({_NEAR}, log1p({_SHARE}), log(u/v))", DIGITS),
    Rule("log(u/v)", f"where({_FAR}, log(abs(u)) - log(abs(v)), log(u/v))", OVERFLOW),
    Rule(
        "u**a/(u**a + v**a)",
        f"where({_BOTH_POSITIVE}, 1/(1 + (v/where(u > 0, u, 1))**a), u**a/(u**a + v**a))",
        OVERFLOW,
    ),
    Rule(
        "(1 - u**v)/(1 + u**v)",
        f"where(u > 0, -tanh({_POWER}/2), (1 - u**v)/(1 + u**v))",
        OVERFLOW,
    ),
    Rule("expm1(u)/(a + exp(u))", f"where(u > 0, {_GROWN_RATIO}, {_SMALL_RATIO})", OVERFLOW),
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
    Rule("exp(u)/(a*exp(u) + b)", "1/(a + b*exp(-u))", OVERFLOW),
    Rule("expm1(u)/(a*expm1(u) + b)", "1/(a + b/expm1(u))", OVERFLOW),
    Rule("1/(u + v)", "1/(u/2 + v/2)/2", OVERFLOW),
)
"""How it is best written, once nobody differentiates it any more."""
