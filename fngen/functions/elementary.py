"""Rows: powers, exponentials, logarithms, circular and hyperbolic functions, steps."""

from fngen.functions.row import Function as F

_PAIR = frozenset({"x", "y"})

ROWS = (
    # Absolute value, sign and rounding: torch takes the derivative at a step as 0.
    F("abs", derivative=("sign(x)",), torch="torch.abs", mpmath="fabs", aliases=("Abs", "fabs"), parity=1),
    F("sign", derivative=("0",), torch="torch.sign", mpmath="sign", aliases=("sgn",), parity=-1),
    F("stop_gradient", derivative=("0",), torch="torch.detach", definition="x", aliases=("detach",), note="x, without a derivative"),
    F("floor", derivative=("0",), torch="torch.floor", mpmath="floor"),
    F("ceil", derivative=("0",), torch="torch.ceil", mpmath="ceil", aliases=("ceiling",)),
    F("round", derivative=("0",), torch="torch.round", mpmath="nint", parity=-1, note="halves go to the even neighbour"),
    F("trunc", derivative=("0",), torch="torch.trunc", definition="where(x < 0, ceil(x), floor(x))", parity=-1),
    F("frac", derivative=("1",), torch="torch.frac", definition="x - trunc(x)", parity=-1, note="has the sign of x"),
    F("heaviside", "x, values=1/2", ("0", "where(x == 0, 1, 0)"),
      definition="where(x == 0, values, where(x > 0, 1, 0))", aliases=("Heaviside",), note="1/2 at 0 unless a second argument says otherwise"),
    # Selection: a tie is shared half and half, a bound of clamp passes the gradient.
    F("maximum", "x, y", ("where(x < y, 0, where(x == y, 1/2, 1))", "where(y < x, 0, where(x == y, 1/2, 1))"),
      torch="torch.maximum", definition="where(x > y, x, y)"),
    F("minimum", "x, y", ("where(x > y, 0, where(x == y, 1/2, 1))", "where(y > x, 0, where(x == y, 1/2, 1))"),
      torch="torch.minimum", definition="where(x < y, x, y)"),
    F("clamp_min", "x, min", ("where(x >= min, 1, 0)", "where(x < min, 1, 0)"),
      torch="torch.clamp_min", definition="where(x < min, min, x)", scalars=frozenset({"min"})),
    F("clamp_max", "x, max", ("where(x <= max, 1, 0)", "where(x > max, 1, 0)"),
      torch="torch.clamp_max", definition="where(x > max, max, x)", scalars=frozenset({"max"})),
    F("clamp", "x, min, max", ("where(min <= x and x <= max, 1, 0)", "where(x < min and min < max, 1, 0)", "where(x > max or min > max, 1, 0)"),
      torch="torch.clamp", definition="where(x > max or min > max, max, where(x < min, min, x))",
      aliases=("clip",), scalars=frozenset({"min", "max"}), note="clamp(x, min=0) and clamp(x, max=1) bound one side"),
    # Remainders: the sign of the divisor (Mod, %) or of the dividend (fmod).
    F("floor_divide", "x, y", ("0", "0"), torch="torch.floor_divide", definition="floor(x/y)", domain="y != 0",
      scalars=frozenset({"y"}), note="x // y; not floor(x/y), whose quotient is rounded first"),
    F("remainder", "x, y", ("1", "-floor_divide(x, y)"), torch="torch.remainder", definition="x - y*floor(x/y)",
      aliases=("Mod", "mod"), domain="y != 0", scalars=frozenset({"y"}), note="has the sign of y, as Python's %"),
    F("fmod", "x, y", ("1", "-trunc(x/y)"), torch="torch.fmod", definition="x - y*trunc(x/y)",
      domain="y != 0", scalars=frozenset({"y"}), note="has the sign of x, as C's fmod"),
    # Powers and roots.
    F("pow", "x, y", ("where(y == 0, 0, y*x**(y - 1))", "where(x == 0 and y >= 0, 0, x**y*log(x))"),
      torch="torch.pow", mpmath="power", aliases=("power",), domain="x > 0, or y an integer", scalars=_PAIR),
    F("sqrt", derivative=("1/(2*sqrt(x))",), torch="torch.sqrt", mpmath="sqrt", domain="x >= 0"),
    F("rsqrt", derivative=("-rsqrt(x)/(2*x)",), torch="torch.rsqrt", definition="1/sqrt(x)", domain="x > 0"),
    F("cbrt", derivative=("1/(3*cbrt(x)**2)",), definition="sign(x)*abs(x)**(1/3)", parity=-1, note="real for negative x"),
    F("square", definition="x**2", parity=1),
    F("reciprocal", definition="1/x", domain="x != 0", parity=-1),
    F("hypot", "x, y", ("x/hypot(x, y)", "y/hypot(x, y)"), torch="torch.hypot", mpmath="hypot"),
    # Exponentials and logarithms.
    F("exp", derivative=("exp(x)",), torch="torch.exp", mpmath="exp", latex=r"\exp"),
    F("exp2", derivative=("log(2)*exp2(x)",), torch="torch.exp2", definition="2**x"),
    F("expm1", derivative=("exp(x)",), torch="torch.expm1", mpmath="expm1"),
    F("log", derivative=("1/x",), torch="torch.log", mpmath="log", aliases=("ln",), domain="x > 0", latex=r"\log"),
    F("log_base", "x, base", definition="log(x)/log(base)", aliases=("log",), domain="x > 0, base > 0"),
    F("log2", derivative=("1/(log(2)*x)",), torch="torch.log2", definition="log(x)/log(2)", domain="x > 0", latex=r"\log_2"),
    F("log10", derivative=("1/(log(10)*x)",), torch="torch.log10", mpmath="log10", domain="x > 0", latex=r"\log_{10}"),
    F("log1p", derivative=("1/(1 + x)",), torch="torch.log1p", mpmath="log1p", domain="x > -1"),
    F("logaddexp", "x, y", ("sigmoid(x - y)", "sigmoid(y - x)"), torch="torch.logaddexp", definition="log(exp(x) + exp(y))"),
    F("xlogy", "x, y", ("where(x == 0 and y <= 0, 0, log(y))", "x/y"), torch="torch.xlogy",
      definition="where(x == 0, 0, x*log(y))", domain="y > 0", scalars=_PAIR),
    F("xlog1py", "x, y", ("where(x == 0 and y <= -1, 0, log1p(y))", "x/(1 + y)"), torch="torch.special.xlog1py",
      definition="where(x == 0, 0, x*log1p(y))", domain="y > -1", scalars=_PAIR),
    # Circular functions.
    F("sin", derivative=("cos(x)",), torch="torch.sin", mpmath="sin", latex=r"\sin", parity=-1),
    F("cos", derivative=("-sin(x)",), torch="torch.cos", mpmath="cos", latex=r"\cos", parity=1),
    F("tan", derivative=("1 + tan(x)**2",), torch="torch.tan", mpmath="tan", latex=r"\tan", parity=-1),
    F("sec", derivative=("sec(x)*tan(x)",), definition="1/cos(x)", latex=r"\sec", parity=1),
    F("csc", derivative=("-csc(x)*cot(x)",), definition="1/sin(x)", domain="sin(x) != 0", latex=r"\csc", parity=-1),
    F("cot", derivative=("-csc(x)**2",), definition="1/tan(x)", domain="sin(x) != 0", latex=r"\cot", parity=-1),
    F("asin", derivative=("1/sqrt(1 - x**2)",), torch="torch.asin", mpmath="asin", aliases=("arcsin",),
      domain="-1 <= x <= 1", latex=r"\arcsin", parity=-1),
    F("acos", derivative=("-1/sqrt(1 - x**2)",), torch="torch.acos", mpmath="acos", aliases=("arccos",),
      domain="-1 <= x <= 1", latex=r"\arccos"),
    F("atan", derivative=("1/(1 + x**2)",), torch="torch.atan", mpmath="atan", aliases=("arctan",), latex=r"\arctan", parity=-1),
    F("atan2", "y, x", ("x/where(x == 0 and y == 0, 1, x**2 + y**2)", "-y/where(x == 0 and y == 0, 1, x**2 + y**2)"), torch="torch.atan2", mpmath="atan2", aliases=("arctan2",)),
    F("acot", definition="atan(1/x)", aliases=("arccot",), domain="x != 0", parity=-1, note="odd, as SymPy's"),
    F("asec", definition="acos(1/x)", aliases=("arcsec",), domain="x <= -1 or x >= 1"),
    F("acsc", definition="asin(1/x)", aliases=("arccsc",), domain="x <= -1 or x >= 1", parity=-1),
    F("sinc", derivative=("sinc_slope(x)",), torch="torch.sinc", definition="where(x == 0, 1, sin(pi*x)/(pi*where(x == 0, 1, x)))",
      parity=1, native=False, note="sin(pi*x)/(pi*x), as NumPy's and torch's; SymPy's has no pi"),
    # What is left of half turns is exact, and the product with pi is small where the result is.
    F("sinpi", derivative=("pi*cospi(x)",), parity=-1, note="sin(pi*x), 0 at every integer",
      definition="sin(pi*(x - round(x)))*(1 - 2*abs(round(x) - 2*round(round(x)/2)))"),
    F("cospi", derivative=("-pi*sinpi(x)",), parity=1, note="cos(pi*x)",
      definition="where(abs(x - round(x)) < 1/4, cos(pi*(x - round(x))), sin(pi*(1/2 - abs(x - round(x)))))"
      "*(1 - 2*abs(round(x) - 2*round(round(x)/2)))"),
    # A Taylor polynomial in u = pi*x below 1/8, so that every derivative holds at 0 too.
    F("sinc_slope", definition="where(abs(x) < 1/8, -pi*((pi*x)/3 - (pi*x)**3/30 + (pi*x)**5/840 - (pi*x)**7/45360"
      " + (pi*x)**9/3991680 - (pi*x)**11/518918400 + (pi*x)**13/93405312000), (cos(pi*x) - sinc(x))/where(abs(x) < 1/8, 1, x))", parity=-1),
    # Hyperbolic functions.
    F("sinh", derivative=("cosh(x)",), torch="torch.sinh", mpmath="sinh", latex=r"\sinh", parity=-1),
    F("cosh", derivative=("sinh(x)",), torch="torch.cosh", mpmath="cosh", latex=r"\cosh", parity=1),
    # Not 1 - tanh(x)**2, which is 0 in float32 from x = 9 on.
    F("tanh", derivative=("sech(x)**2",), torch="torch.tanh", mpmath="tanh", latex=r"\tanh", parity=-1,
      complement=("sech(x)**2", "1 - y**2")),
    F("sech", derivative=("-sech(x)*tanh(x)",), definition="1/cosh(x)", latex=r"\operatorname{sech}", parity=1),
    F("csch", derivative=("-csch(x)*coth(x)",), definition="1/sinh(x)", domain="x != 0", latex=r"\operatorname{csch}", parity=-1),
    F("coth", derivative=("-csch(x)**2",), definition="1/tanh(x)", domain="x != 0", latex=r"\coth", parity=-1),
    F("asinh", derivative=("1/sqrt(1 + x**2)",), torch="torch.asinh", mpmath="asinh", aliases=("arcsinh",), parity=-1),
    F("acosh", derivative=("1/(sqrt(x - 1)*sqrt(x + 1))",), torch="torch.acosh", mpmath="acosh", aliases=("arccosh",), domain="x >= 1"),
    F("atanh", derivative=("1/((1 - x)*(1 + x))",), torch="torch.atanh", mpmath="atanh", aliases=("arctanh",), domain="-1 < x < 1", parity=-1),
    F("acoth", definition="atanh(1/x)", aliases=("arccoth",), domain="x < -1 or x > 1", parity=-1),
    F("asech", definition="acosh(1/x)", aliases=("arcsech",), domain="0 < x <= 1"),
    F("acsch", definition="asinh(1/x)", aliases=("arccsch",), domain="x != 0", parity=-1),
)
