"""Simulated arithmetic is that of the machine; Taylor polynomials and what is chosen by them are right."""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Callable, Sequence
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from fngen.accuracy import FORMATS, Exact, error
from fngen.backends.torch import legalise
from fngen.functions import REAL, Function
from fngen.ir import Value, fold, name, postorder, value
from fngen.language.parse import parse_expression
from fngen.numeric import mp_function
from fngen.stabilise.guards import guarded
from fngen.stabilise.laurent import NoSeries, at_zero
from fngen.stabilise.simulate import Simulation
from fngen.verification.reference import evaluate
from tests.conftest import SCALE
from tests.oracle import torch_operator

FORMAT = FORMATS["float64"]
INF, NAN = math.inf, math.nan
floats = st.floats(allow_nan=True, allow_infinity=True, width=64)
SPECIALS = (0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 5e-324, -5e-324, 1e308, -1e308, 0.5, -2.0, 3.0, 1e-200)


def simulated(formula: str | Value, points: Sequence[Sequence[float]]) -> list[float]:
    graph = parse_expression(formula, rule=True) if isinstance(formula, str) else formula
    columns = Simulation("xyz"[: len(points[0])], points)
    return [float(x) for x in columns(graph)]


def same(a: float, b: float) -> bool:
    """Say whether two floats are one; zeros are, and all that is no number."""
    return a == b or (math.isnan(a) and math.isnan(b))


# Simulated arithmetic.


def divided(a: float, b: float) -> float:
    return (torch.tensor(a, dtype=torch.float64) / torch.tensor(b, dtype=torch.float64)).item()


@settings(max_examples=200 * SCALE)
@given(st.lists(st.tuples(floats, floats), min_size=8, max_size=8))
def test_arithmetic_is_the_machine_s(points: list[tuple[float, float]]) -> None:
    plain: dict[str, Callable[[float, float], float]] = {
        "x + y": operator.add,
        "x - y": operator.sub,
        "x*y": operator.mul,
        "x/y": divided,
    }
    for formula, function in plain.items():
        for point, got in zip(points, simulated(formula, points), strict=True):
            assert same(got, function(*point)), (formula, point)
    for (x, _), got in zip(points, simulated("sqrt(x)", points), strict=True):
        assert same(got, math.sqrt(x) if x >= 0 else NAN)


CHOICES = (
    *("where(x < y, x, y)", "where(x <= y, 1, x)", "where(x == y, x, 2)", "where(x != y, x, 2)"),
    *("where(x > y and x >= 0, x, y)", "where(not (x > 0) or y > 0, x, y)", "Max(x, y)", "Min(x, y)"),
    *("clamp(x, -1, 1)", "Max(x, 1)", "Min(x, -1)", "clamp(x, -1, y)", "sign(x)", "abs(x)", "-x"),
    *("x**2", "x**3", "x**-1", "x**-2", "x**y", "x**0.5", "x**-0.5", "hypot(x, y)", "atan2(y, x)"),
    *("floor(x)", "ceil(x)", "round(x)", "trunc(x)", "relu(x)", "where(x > nan, 1, y)"),
)


@pytest.mark.parametrize("formula", CHOICES)
def test_choices_steps_and_powers_are_torch_s(formula: str) -> None:
    """Of infinities, zeros and what is no number too."""
    points = list(product(SPECIALS, SPECIALS))
    (graph,) = legalise([parse_expression(formula, rule=True)])
    x, y = torch.tensor(points, dtype=torch.float64).T
    want = torch.as_tensor(evaluate([graph], {"x": x, "y": y})[graph], dtype=torch.float64).expand(
        len(points)
    )
    for point, got, w in zip(points, simulated(graph, points), want.tolist(), strict=True):
        near = math.isfinite(w) and abs(got - w) <= 4e-16 * abs(w)
        assert same(got, w) or near, (point, got, w)


CALLED = [row for row in REAL.values() if row.torch and row.name != "stop_gradient"]
LETTERS = "xyz"
FIRST = {"polygamma": (0.0, 1.0, 3.0), "zeta": (1.5, 3.0, 10.25)}
LINE = (-30.5, -2.7, -1.0, -0.62, -1e-9, 0.0, 1e-200, 1e-5, 0.27, 0.5, 0.73, 1.7, 5.3, 18.4, 700.25)


@pytest.mark.parametrize("row", CALLED, ids=lambda r: r.name)
def test_functions_are_rounded_once(row: Function) -> None:
    """As mpmath says, which knows the functions by other means."""
    count = len(row.parameters)
    first = FIRST.get(row.name, LINE)
    points = [*product(*([first] + [LINE[1::2]] * (count - 1)))]
    graph, seen = value(row.name, *map(name, LETTERS[:count])), 0
    with mp.workdps(120):
        for point, got in zip(points, simulated(graph, points), strict=True):
            want = literature(row, point)
            if want is None:
                continue
            if mp.isnan(want):
                assert math.isnan(got), point
            elif FORMAT.tiny < abs(want) < FORMAT.largest:
                assert abs(got - float(want)) <= COMPOSED.get(row.name, 0) * FORMAT.ulp(float(want)), point
                seen += 1
    assert seen >= 3


COMPOSED = {"rsqrt": 1, "logistic": 2}
"""Functions that libraries compute in several steps: how many ulp those may be off."""


def literature(row: Function, point: Sequence[float]) -> mpf | None:
    """Return a function's value by mpmath, NaN where it is complex; None at a pole, or so near to 0 that it is one."""
    if row.name == "zeta" and point[1] <= 0:
        return None  # Outside of the domain that torch gives it.
    try:
        found = mp_function(row.name)(*map(mpf, point))
    except (ValueError, ZeroDivisionError):
        return None
    if isinstance(found, mp.mpc):
        return mp.nan if found.imag else found.real
    return found if abs(found) > mpf(10) ** -100 or found == 0 else None


OTHERWISE = {
    "sinc": "torch's is not 0 at integers",
    "entr": "torch's is minus infinity where it is no number",
    **dict.fromkeys(
        ("j0", "j1", "y0", "y1", "k0", "k1", "k0e", "k1e"), "torch's are off, or too early infinite"
    ),
    **dict.fromkeys(("lgamma", "digamma", "polygamma", "zeta", "gamma"), "poles of two sides"),
    **dict.fromkeys(("floor_divide", "remainder", "fmod"), "of infinities nobody takes remainders"),
    "ndtri": "it is symmetric about 1/2, where nothing is subnormal",
    "logaddexp": "of 1e308 and minus infinity",
    **dict.fromkeys(("elu", "celu", "leaky_relu", "hardtanh", "heaviside"), "their parameters are numbers"),
}
"""Functions that differ from torch's at infinities, poles or huge numbers, and why that does not matter."""


@pytest.mark.parametrize("row", [r for r in CALLED if r.name not in OTHERWISE], ids=lambda r: r.name)
def test_functions_of_infinities_and_at_poles_are_torch_s(row: Function) -> None:
    count, operator_ = len(row.parameters), torch_operator(row)
    assert operator_ is not None
    points = list(product(SPECIALS, repeat=count))[:800]
    graph = value(row.name, *map(name, LETTERS[:count]))
    for point, got in zip(points, simulated(graph, points), strict=True):
        want = operator_(*(torch.tensor(x, dtype=torch.float64) for x in point)).item()
        assert same(got, want) or abs(got - want) <= 1e-12 * abs(want) + 1e-300, (point, got, want)


def test_what_differs_is_a_function() -> None:
    assert set(OTHERWISE) <= set(REAL)


# Taylor polynomials.


SERIES = (
    *("sin(x)/x", "(exp(x) - 1)/x", "x/(exp(x) - 1)", "(1 - cos(x))/x**2", "coth(x) - 1/x", "log1p(x)/x"),
    *(
        "tan(x)",
        "tanh(x)",
        "exp(-x**2)*erf(x)",
        "logistic(x)",
        "log1pexp(x)",
        "asinh(x)/x",
        "x**2/(cosh(x) - 1)",
    ),
    *(
        "sqrt(1 + x)",
        "1/(1 + x)**3",
        "(sin(x) - x)/x**3",
        "1/x - 1/sin(x)",
        "atan(x)*erfc(x)",
        "digamma(1 + x)",
    ),
)


@pytest.mark.parametrize("formula", SERIES)
def test_coefficients_are_mpmath_s(formula: str) -> None:
    root = parse_expression(formula, rule=True)
    found = at_zero(root, "x")
    with mp.workdps(200):
        # Cauchy's integral: mpmath's own differences do not pass removable singularities.
        count, radius = 64, mpf("0.25")
        turns = [mp.expjpi(mpf(2) * k / count) for k in range(count)]
        at = [_complex(root, radius * t) for t in turns]
        for n in range(10):
            want = sum(y * t ** (-n) for y, t in zip(at, turns, strict=True)).real / (count * radius**n)
            assert abs(mpf(found[n].mid().str(60, radius=False)) - want) < mpf(10) ** -25, n


def _complex(root: Value, z: mp.mpc) -> mp.mpc:
    functions = {
        "logistic": lambda x: 1 / (1 + mp.exp(-x)),
        "log1pexp": lambda x: mp.log(1 + mp.exp(x)),
        "pow": lambda x, n: x ** int(n),
        "neg": operator.neg,
        "add": operator.add,
        "sub": operator.sub,
        "mul": operator.mul,
        "div": operator.truediv,
        "log1p": lambda x: mp.log(1 + x),
    }

    def visit(node: Value, args: list[mp.mpc]) -> mp.mpc:
        if node.op == "number":
            return mpf(float(node.datum))  # type: ignore[arg-type]
        return z if node.op == "name" else (functions.get(node.op) or getattr(mp, node.op))(*args)

    return fold([root], visit)[root]


@pytest.mark.parametrize(
    "formula",
    ["1/x", "log(x)", "abs(x)", "sqrt(x)", "x**0.5", "1/sin(x)", "where(x > 0, x, 2*x)", "gamma(x)", "x*y"],
)
def test_what_has_no_series_is_told(formula: str) -> None:
    with pytest.raises(NoSeries):
        at_zero(parse_expression(formula), "x")


@pytest.mark.parametrize("formula", SERIES)
def test_a_guarded_form_is_right_on_both_sides_of_its_threshold(formula: str) -> None:
    """Below it the polynomial is right to the last bits; what is beyond is the formula itself."""
    root = parse_expression(formula, rule=True)
    forms = [f for f, _ in guarded(root) if any(n.op == "lt" for n in postorder([f]))]
    exact = Exact(root, ("x",))
    for form in forms:
        bounds = {float(n.args[1].datum) for n in postorder([form]) if n.op == "lt"}  # type: ignore[arg-type]
        (radius,) = bounds
        inside = [
            s * r * radius for r in (1 - 2**-53, 0.9, 0.5, 0.1, 1e-3, 1e-9, 1e-200, 0.0) for s in (1, -1)
        ]
        beyond = [s * radius * (1 + e) for e in (0.0, 2**-52, 0.1) for s in (1, -1)]
        points = [(x,) for x in (*inside, *beyond)]
        (legal,) = legalise([form])
        (plain,) = legalise([root])
        results = zip(points, simulated(legal, points), simulated(plain, points), strict=True)
        for (x,), got, without in results:
            (want,) = exact.at((x,))
            assert isinstance(want, tuple)
            if abs(x) < radius:
                assert error(got, want, FORMAT).ulp <= 4, (x, got, want)
            else:
                assert same(got, without), (x, got, without)


def test_where_nothing_is_singular_a_guard_is_the_same_function() -> None:
    rng = random.Random(3)
    root = parse_expression("sin(x)/x + y")
    ((at_zero_only, _), *_) = guarded(root)
    points = [(rng.gauss(0, 3), rng.gauss(0, 3)) for _ in range(20)] + [(0.0, 1.5)]
    for (x, y), got in zip(points, simulated(at_zero_only, points), strict=True):
        assert got == pytest.approx(math.sin(x) / x + y if x else 1 + y, rel=1e-13)
