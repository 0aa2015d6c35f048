"""Rows: error functions, the gamma family, Bessel functions."""

from fngen.functions.row import Function as F

_I1_SERIES = "1/2 + x**2/16 + x**4/384 + x**6/18432 + x**8/1474560 + x**10/176947200 + x**12/29727129600"
"""i1(x)/x near 0."""

ROWS = (
    # Error functions and the normal distribution.
    F("erf", derivative=("2*exp(-x**2)/sqrt(pi)",), torch="torch.erf", mpmath="erf", parity=-1),
    F("erfc", derivative=("-2*exp(-x**2)/sqrt(pi)",), torch="torch.erfc", mpmath="erfc"),
    F("erfinv", derivative=("sqrt(pi)*exp(erfinv(x)**2)/2",), torch="torch.erfinv", mpmath="erfinv",
      domain="-1 < x < 1", latex=r"\operatorname{erf}^{-1}", parity=-1),
    F("erfcx", derivative=("2*x*erfcx(x) - 2/sqrt(pi)",), torch="torch.special.erfcx", definition="exp(x**2)*erfc(x)"),
    # Not torch.special.ndtr, which is 0 at -17 where the value is 1e-66.
    F("ndtr", derivative=("exp(-x**2/2)/sqrt(2*pi)",), definition="erfc(x/(-sqrt(2)))/2", mpmath="ncdf", latex=r"\Phi"),
    F("ndtri", derivative=("sqrt(2*pi)*exp(ndtri(x)**2/2)",), torch="torch.special.ndtri",
      definition="sqrt(2)*erfinv(2*x - 1)", domain="0 < x < 1", latex=r"\Phi^{-1}"),
    F("log_ndtr", derivative=("exp(-x**2/2 - log_ndtr(x))/sqrt(2*pi)",), torch="torch.special.log_ndtr",
      definition="where(x > 0, log1p(-ndtr(-x)), log(ndtr(x)))", latex=r"\log \Phi"),
    # The gamma family.
    F("gamma", derivative=("gamma(x)*digamma(x)",), definition="gammasgn(x)*exp(lgamma(x))", mpmath="gamma",
      domain="x not in 0, -1, -2, ...", latex=r"\Gamma"),
    F("gammasgn", derivative=("0",), definition="where(x > 0, 1, 1 - 2*remainder(floor(x), 2))", note="the sign of gamma(x)"),
    F("lgamma", derivative=("digamma(x)",), torch="torch.lgamma", definition="log(abs(gamma(x)))",
      aliases=("loggamma", "gammaln"), domain="x not in 0, -1, -2, ...", note="log(abs(gamma(x))), real for negative x too"),
    F("digamma", derivative=("polygamma(1, x)",), torch="torch.digamma", mpmath="digamma", aliases=("psi",),
      domain="x not in 0, -1, -2, ...", latex=r"\psi"),
    F("polygamma", "n, x", (None, "polygamma(n + 1, x)"), torch="torch.polygamma", mpmath="polygamma",
      domain="n = 0, 1, 2, ...; x not in 0, -1, -2, ...", integers=frozenset({"n"}), scalars=frozenset({"n"})),
    F("beta", "a, b", ("beta(a, b)*(digamma(a) - digamma(a + b))", "beta(a, b)*(digamma(b) - digamma(a + b))"),
      definition="gammasgn(a)*gammasgn(b)*gammasgn(a + b)*exp(lgamma(a) + lgamma(b) - lgamma(a + b))", mpmath="beta",
      domain="a, b not in 0, -1, -2, ...", latex=r"\mathrm{B}"),
    F("zeta", "s, q=1", (None, "-s*zeta(s + 1, q)"), torch="torch.special.zeta", mpmath="zeta", domain="s > 1, q > 0",
      scalars=frozenset({"s", "q"}), native=False, latex=r"\zeta", note="Hurwitz's; no derivative by s is known in closed form"),
    # Bessel functions: torch has the values, but no derivatives of j, k and y.
    F("j0", derivative=("-j1(x)",), torch="torch.special.bessel_j0", mpmath="besselj 0", aliases=("bessel_j0",),
      native=False, latex="J_0", parity=1),
    F("j1", derivative=("j0(x) - j1_over_x(x)",), torch="torch.special.bessel_j1", mpmath="besselj 1",
      aliases=("bessel_j1",), native=False, latex="J_1", parity=-1),
    # Taylor below 1/2, so that every derivative holds at 0 too.
    F("j1_over_x", definition="where(abs(x) < 1/2, 1/2 - x**2/16 + x**4/384 - x**6/18432 + x**8/1474560 - x**10/176947200"
      " + x**12/29727129600, j1(x)/where(abs(x) < 1/2, 1, x))", parity=1),
    F("y0", derivative=("-y1(x)",), torch="torch.special.bessel_y0", mpmath="bessely 0", aliases=("bessel_y0",),
      domain="x > 0", native=False, latex="Y_0"),
    F("y1", derivative=("y0(x) - y1(x)/x",), torch="torch.special.bessel_y1", mpmath="bessely 1", aliases=("bessel_y1",),
      domain="x > 0", native=False, latex="Y_1"),
    F("i0", derivative=("i1(x)",), torch="torch.special.i0", mpmath="besseli 0", aliases=("modified_bessel_i0",),
      latex="I_0", parity=1),
    F("i1", derivative=("i0(x) - i1_over_x(x)",), torch="torch.special.i1", mpmath="besseli 1",
      aliases=("modified_bessel_i1",), native=False, latex="I_1", parity=-1),
    F("i1_over_x", definition=f"where(abs(x) < 1/2, {_I1_SERIES}, i1(x)/where(abs(x) < 1/2, 1, x))", parity=1),
    # Not exp(-abs(x))*i1_over_x(x), which is 0*inf for a large x.
    F("i1e_over_x", parity=1,
      definition=f"where(abs(x) < 1/2, exp(-abs(x))*({_I1_SERIES}), i1e(x)/where(abs(x) < 1/2, 1, x))"),
    F("i0e", derivative=("i1e(x) - sign(x)*i0e(x)",), torch="torch.special.i0e", definition="exp(-abs(x))*i0(x)", native=False, parity=1),
    F("i1e", derivative=("i0e(x) - i1e_over_x(x) - sign(x)*i1e(x)",), torch="torch.special.i1e",
      definition="exp(-abs(x))*i1(x)", native=False, parity=-1),
    F("k0", derivative=("-k1(x)",), torch="torch.special.modified_bessel_k0", mpmath="besselk 0",
      aliases=("modified_bessel_k0",), domain="x > 0", native=False, latex="K_0"),
    F("k1", derivative=("-k0(x) - k1(x)/x",), torch="torch.special.modified_bessel_k1", mpmath="besselk 1",
      aliases=("modified_bessel_k1",), domain="x > 0", native=False, latex="K_1"),
    F("k0e", derivative=("k0e(x) - k1e(x)",), torch="torch.special.scaled_modified_bessel_k0", definition="exp(x)*k0(x)",
      aliases=("scaled_modified_bessel_k0",), domain="x > 0", native=False),
    F("k1e", derivative=("k1e(x) - k0e(x) - k1e(x)/x",), torch="torch.special.scaled_modified_bessel_k1", definition="exp(x)*k1(x)",
      aliases=("scaled_modified_bessel_k1",), domain="x > 0", native=False),
)
