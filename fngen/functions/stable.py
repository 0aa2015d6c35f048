"""Rows: functions that keep their digits where the usual way to write them does not.

Their definitions are right to the last bits wherever the result is a number, also where it is subnormal,
and torch differentiates them rightly to any order: no branch that is not taken is infinite.
"""

from fngen.functions.row import Function as F

_NEAR = "round(16*clamp(x, -64, 64))/16"

ROWS = (
    F(
        "logistic",
        derivative=("logistic_pdf(x)",),
        torch="torch.sigmoid",
        definition="1/(1 + exp(-x))",
        note="sigmoid, with a derivative that keeps its digits",
    ),
    F(
        "logistic_pdf",
        derivative=("-logistic_pdf(x)*tanh(x/2)",),
        definition="logistic(x)*logistic(-x)",
        parity=1,
        note="the derivative of sigmoid",
    ),
    F(
        "full_logistic",
        derivative=("full_logistic_pdf(x)",),
        definition="where(x < -40, exp(Min(x, -40)), sigmoid(x))",
        note="sigmoid down to the smallest numbers",
    ),
    F(
        "full_logistic_pdf",
        derivative=("-full_logistic_pdf(x)*tanh(x/2)",),
        parity=1,
        note="its derivative down to the smallest numbers",
        definition="where(abs(x) > 40, exp(-Max(abs(x), 40)), sigmoid(x)*sigmoid(-x))",
    ),
    F(
        "log1pexp",
        derivative=("logistic(x)",),
        torch="nn.functional.softplus",
        definition="log1p(exp(x))",
        note="softplus, which drops log1p(exp(-x)) from x = 20 on",
    ),
    F(
        "log1mexp",
        derivative=("-bose(-x)",),
        domain="x < 0",
        note="log(1 - exp(x))",
        definition="where(x > -7/10, log(-expm1(Max(x, -7/10))), log1p(-exp(Min(x, -7/10))))",
    ),
    F(
        "logcosh",
        derivative=("tanh(x)",),
        parity=1,
        note="log(cosh(x))",
        definition="where(abs(x) < 1, log1p(2*sinh(clamp(x, -1, 1)/2)**2), abs(x) - log(2) + log1p(exp(-2*abs(x))))",
    ),
    F(
        "bose",
        derivative=("-csch(x/2)**2/4",),
        domain="x != 0",
        note="1/(exp(x) - 1), of Bose and Einstein",
        definition="where(x > 40, exp(-Max(x, 40)), 1/expm1(Min(x, 40)))",
    ),
    F(
        "log_half_erfc",
        # Far to the left erfcx is infinite, and so would be its derivative.
        derivative=(
            "where(x > -1, -2/(sqrt(pi)*erfcx(Max(x, -1))), -2*exp(-Min(x, -1)**2)/(sqrt(pi)*erfc(Min(x, -1))))",
        ),
        note="log(erfc(x)/2)",
        definition="where(x > 1, log(erfcx(Max(x, 1))/2) - x**2, log1p(-erfc(-Min(x, 1))/2))",
    ),
    F(
        "full_sech",
        derivative=("-full_sech(x)*tanh(x)",),
        parity=1,
        note="sech down to the smallest numbers",
        definition="where(abs(x) > 40, 2*exp(-Max(abs(x), 40)), sech(clamp(x, -40, 40)))",
    ),
    F(
        "residue",
        "x, y",
        ("0", "0"),
        note="0: what is lost when x + y is rounded",
        definition="(x - ((x + y) - ((x + y) - x))) + (y - ((x + y) - x))",
    ),
    # Of the nearest sixteenth the square is exact, and the rest is small.
    F(
        "exp_square",
        "x, c",
        ("2*c*x*exp_square(x, c)", None),
        note="exp(c*x**2)",
        definition=f"exp(c*({_NEAR})**2)*exp(c*(x - {_NEAR})*(x + {_NEAR}))",
    ),
)
