"""Rows: functions that keep their digits where the usual way to write them does not.

Their definitions are right to the last bits wherever the result is a number, also where it is subnormal,
and torch differentiates them rightly to any order: no branch that is not taken is infinite.
"""

from fngen.functions.row import Function as F

_NEAR = "round(16*clamp(x, -64, 64))/16"
_RIGHT = "clamp(x, 0, 64)"
_TURN = f"{_RIGHT}/sqrt(2)"

_LOST = "(x - ((x + y) - ((x + y) - x))) + (y - ((x + y) - x))"


def _parts_of_square(x: str) -> tuple[str, str]:
    """Return the exact square of the sixteenth nearest to ``x``, and the rest of the square of ``x``."""
    near = f"round(16*({x}))/16"
    return f"({near})**2", f"(({x}) - {near})*(({x}) + {near})"


_SQUARE, _REST = _parts_of_square(_RIGHT)
_SQUARE_OF_TURN, _REST_OF_TURN = _parts_of_square(_TURN)

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
        definition="where(abs(x) < 40, log1p(2*sinh(clamp(x, -40, 40)/2)**2), abs(x) - log(2))",
    ),
    F(
        "bose",
        derivative=("-csch(x/2)**2/4",),
        domain="x != 0",
        note="1/(exp(x) - 1), of Bose and Einstein",
        definition="where(x > 40, exp(-Max(x, 40)), 1/expm1(Min(x, 40)))",
    ),
    F(
        "log_normal_tail",
        # Far to the left erfcx is infinite, and so would be its derivative.
        derivative=(
            "where(x > 1, -sqrt(2/pi)/erfcx(Max(x, 1)/sqrt(2)),"
            " -sqrt(2/pi)*exp_square(Min(x, 1), -1/2)/normal_tail(Min(x, 1)))",
        ),
        note="log(erfc(x/sqrt(2))/2)",
        definition=(
            "where(x > 1, log(erfcx(Max(x, 1)/sqrt(2))/2) - x**2/2, log1p(-normal_tail(-Min(x, 1))/2))"
        ),
    ),
    F(
        "full_sech",
        derivative=("-full_sech(x)*tanh(x)",),
        parity=1,
        note="sech down to the smallest numbers",
        definition="where(abs(x) > 40, 2*exp(-Max(abs(x), 40)), sech(clamp(x, -40, 40)))",
    ),
    # Functions of a sum, with what is lost when it is rounded.
    F(
        "exp_sum",
        "x, y",
        ("exp_sum(x, y)", "exp_sum(x, y)"),
        note="exp(x + y)",
        definition=f"exp(x + y)*(1 + where(abs(x + y) < 1000, {_LOST}, 0))",
    ),
    F(
        "expm1_sum",
        "x, y",
        ("exp_sum(x, y)", "exp_sum(x, y)"),
        note="exp(x + y) - 1",
        definition=f"expm1(x + y)*(1 + where(x + y > 0 and x + y < 1000, {_LOST}, 0))",
    ),
    F(
        "logistic_sum",
        "x, y",
        ("logistic_pdf_sum(x, y)", "logistic_pdf_sum(x, y)"),
        note="sigmoid(x + y)",
        definition=f"full_logistic(x + y)*(1 + where(x + y < 0 and x + y > -1000, {_LOST}, 0))",
    ),
    F(
        "logistic_pdf_sum",
        "x, y",
        ("-logistic_pdf_sum(x, y)*tanh((x + y)/2)", "-logistic_pdf_sum(x, y)*tanh((x + y)/2)"),
        note="the derivative of sigmoid at x + y",
        definition=f"full_logistic_pdf(x + y)*(1 - where(abs(x + y) < 1000, sign(x + y)*({_LOST}), 0))",
    ),
    F(
        "bose_sum",
        "x, y",
        ("-csch((x + y)/2)**2/4", "-csch((x + y)/2)**2/4"),
        domain="x + y != 0",
        note="1/(exp(x + y) - 1)",
        definition=f"bose(x + y)*(1 - where(x + y > 0 and x + y < 1000, {_LOST}, 0))",
    ),
    F(
        "normal_tail",
        derivative=("-sqrt(2/pi)*exp_square(x, -1/2)",),
        note="erfc(x/sqrt(2))",
        definition=(
            f"erfc(x/sqrt(2))*(1 + (({_SQUARE_OF_TURN} - {_SQUARE}/2) + ({_REST_OF_TURN} - {_REST}/2)))"
        ),
    ),
    F(
        "exp_square",
        "x, c",
        ("2*c*x*exp_square(x, c)", None),
        note="exp(c*x**2)",
        definition=f"exp(c*({_NEAR})**2)*exp(c*(x - {_NEAR})*(x + {_NEAR}))",
    ),
)
