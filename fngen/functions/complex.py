"""Rows of complex layers, and which other rows hold for complex numbers too."""

from fngen.functions.row import Function as F

ROWS = (
    F("conj", torch="torch.conj", mpmath="conj", aliases=("conjugate",), note="with --complex"),
    F(
        "re",
        torch="torch.real",
        mpmath="re",
        aliases=("real",),
        latex=r"\operatorname{Re}",
        note="with --complex",
    ),
    F(
        "im",
        torch="torch.imag",
        mpmath="im",
        aliases=("imag",),
        latex=r"\operatorname{Im}",
        note="with --complex; as torch's, of a complex tensor only",
    ),
    F("arg", torch="torch.angle", mpmath="arg", aliases=("angle",), latex=r"\arg", note="with --complex"),
    F(
        "sgn",
        torch="torch.sgn",
        mpmath="sign",
        latex=r"\operatorname{sgn}",
        note="with --complex: x/abs(x), 0 at 0",
    ),
)
"""What a formula may call. They have no derivative: the rows below stand for them there."""

HALVES = (
    F("_re", "z, w", ("1/2", "1/2"), torch="torch.real"),
    F("_im", "z, w, i", ("-i/2", "i/2", "0"), torch="torch.imag"),
    F("_abs", "z, w", ("_sgn(w, z)/2", "_sgn(z, w)/2"), torch="torch.abs"),
    # Not by z/w, which overflows in w*_abs(z, w).
    F(
        "_sgn",
        "z, w",
        ("where(z == 0, 0, 1/(2*_abs(z, w)))", "where(z == 0, 0, -_sgn(z, w)**2/(2*_abs(z, w)))"),
        torch="torch.sgn",
    ),
    F(
        "_arg",
        "z, w, i",
        ("where(z == 0, 0, -i/(2*z))", "where(z == 0, 0, i/(2*w))", "0"),
        torch="torch.angle",
    ),
    # Not by sech, csch, csc and sigmoid(-x), which overflow where these do not.
    F("_tanh", "z", ("1 - _tanh(z)**2",), torch="torch.tanh"),
    F("_coth", "z", ("1 - _coth(z)**2",), definition="1/tanh(z)"),
    F("_cot", "z", ("-1 - _cot(z)**2",), definition="1/tan(z)"),
    F("_sigmoid", "z", ("_sigmoid(z)*(1 - _sigmoid(z))",), torch="torch.sigmoid"),
    # The logarithm of a negative number, if the exponent is complex.
    F("_promoted", "x, y", ("1", "0"), torch="torch.promoted"),
    # An order among exponents, which the row of pow asks for, is one of real numbers.
    F(
        "_pow",
        "x, y",
        ("where(y == 0, 0, y*_pow(x, y - 1))", "where(x == 0, 0, _pow(x, y)*log(_promoted(x, y)))"),
        torch="torch.pow",
    ),
)
"""The same as functions of a number ``z`` and its conjugate ``w``, taken as independent;
``i`` is the imaginary unit, a parameter because formulas have no such number."""

ANALYTIC = frozenset(
    "neg add sub mul div pow square reciprocal sqrt rsqrt exp exp2 expm1 log log_base log2 log10 log1p"  # noqa: SIM905
    " sin cos tan sec csc cot asin acos atan acot asec acsc sinh cosh tanh sech csch coth asinh acosh atanh"
    " acoth asech acsch sigmoid".split()
)
"""Operators that are real on the real axis and have one derivative: f(conj(z)) is conj(f(z))."""

REAL_VALUED = frozenset({"abs", "re", "im", "arg", "norm", "var", "std"})
HOLOMORPHIC = frozenset({"sum", "mean", "prod", "logsumexp"})
"""Reductions with one derivative, as an analytic function has."""
ALLOWED = ANALYTIC | REAL_VALUED | HOLOMORPHIC | {"conj", "sgn", "name", "number", "pi"}
"""The operators of a complex layer."""
