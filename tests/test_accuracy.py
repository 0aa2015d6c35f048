"""Exact values and derivatives against the oracle, mpmath and autograd; errors against numpy's spacing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
import torch
from flint import arb, ctx
from hypothesis import example, given
from hypothesis import strategies as st
from mpmath import mp

from benchmarks.accuracy_cases import cases
from fngen.accuracy import FORMATS, Exact, Format, Outcome, edges, error, mixed, sample
from fngen.accuracy.evaluation import count
from fngen.accuracy.exact import same
from fngen.errors import FormulaError
from fngen.functions import REAL, Function
from fngen.ir import names, value
from fngen.language.parse import parse_expression
from fngen.numeric import mp_evaluate
from fngen.verification.reference import evaluate
from tests import oracle

DTYPES = {"float16": np.float16, "float32": np.float32, "float64": np.float64}
SIXTEEN = ("float16", "bfloat16")
BEYOND_FLOAT64 = 2.0**-100
"""What a pair of floats leaves out of a number, and a little."""

forms = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)


def exact(formula: str, inputs: str = "x") -> Exact:
    return Exact(parse_expression(formula), inputs.split())


def number(result: object) -> mp.mpf:
    assert isinstance(result, tuple), result
    return mp.mpf(result[0]) + mp.mpf(result[1])


# Exact values and derivatives.


LINE = (-2.7, -0.62, 0.27, 0.73, 1.7, 5.3)
SEVERAL = {
    1: (LINE,),
    2: ((-2.7, 0.27, 0.73, 6.4), (-2.4, 0.35, 1.2)),
    3: ((-2.7, 0.62, 1.7), (-2.4, 0.35), (-1.1, 2.2)),
}
MANY = [r for r in REAL.values() if r.name != "stop_gradient" and r.name in oracle.ORACLES]


@pytest.mark.parametrize("row", MANY, ids=lambda r: r.name)
def test_every_function_is_what_the_oracle_says(row: Function) -> None:
    """The oracle differentiates by differences."""
    count_ = len(row.parameters)
    integers = [p in row.integers for p in row.parameters]
    choices = [(0, 2) if i else c for i, c in zip(integers, SEVERAL[count_], strict=True)]
    judge, seen = oracle.reference(row), 0
    moving = [
        i for i, slope in enumerate(row.derivative or ("",) * count_) if slope is not None and not integers[i]
    ]
    for point in product(*choices):
        leaves = [f"a{i}" for i in moving]
        given_ = [leaves[moving.index(i)] if i in moving else repr(x) for i, x in enumerate(point)]
        subject = Exact(parse_expression(f"{row.name}({', '.join(given_)})", rule=True), leaves)
        found = subject.at([point[i] for i in moving], 2)
        want = judge.derivative(point)
        if math.isnan(want) or not judge.is_smooth(point, moving):
            continue
        wanted = [want, *(judge.derivative(point, (i,)) for i in moving)]
        wanted += [judge.derivative(point, (i, j)) for n, i in enumerate(moving) for j in moving[n:]]
        for got, w in zip(found, wanted, strict=True):
            assert isinstance(got, tuple), (row.name, point, found)
            assert got[0] == pytest.approx(w, rel=1e-14, abs=1e-100), (row.name, point)
        seen += 1
    assert seen >= 2


SMOOTH = (
    *("sin(x*y)/y + tanh(x - y)", "exp(x)/(exp(x) + exp(y))", "log(1 + x*y)**3", "erf(x*y)*gamma(y)"),
    *("x**y", "atan2(x, y)", "hypot(x, y)", "where(x < y, x*y**2, y)", "lgamma(x*y) + digamma(x + y)"),
    *("cbrt(x*y)", "asin(x)*acosh(y) + atanh(x*y/10)", "celu(x - y)", "x**3*y**-2", "log_ndtr(-x*y)"),
    *("erfinv(x)*sigmoid(y)", "max(x*y, x)*abs(y - x)", "remainder(x*y, x)", "sinc(x*y)", "x**(1/3)/y**2.5"),
)


@pytest.mark.parametrize("formula", SMOOTH)
def test_values_and_derivatives_are_mpmath_s(formula: str) -> None:
    root = parse_expression(formula)
    subject = Exact(root, ("x", "y"))

    def function(*point: mp.mpf) -> mp.mpf:
        return mp_evaluate([root], dict(zip("xy", point, strict=True)))[root]

    with mp.workdps(200):
        for point in ((0.31, 1.2), (0.855, 2.44)):
            for got, orders in zip(subject.at(point, 2), _ORDERS, strict=True):
                want = mp.diff(function, tuple(map(mp.mpf, point)), orders, h=mp.mpf(10) ** -60)
                assert abs(number(got) - want) <= BEYOND_FLOAT64 * abs(want) + mp.mpf(10) ** -50, (
                    point,
                    orders,
                )


_ORDERS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
_LEAVES = st.sampled_from(["x", "y", "2", "0.5", "x*y", "(x - y)"])
_TERMS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.tuples(
            st.sampled_from(["sin", "exp", "atan", "softplus", "tanh", "cosh", "erf", "abs"]), inner
        ).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(lambda t: f"({' '.join(t)})"),
        inner.map(lambda t: f"({t})**2"),
    ),
    max_leaves=6,
)


@given(_TERMS, st.floats(0.2, 0.9), st.floats(1.1, 2.5))
@example("(sin(y) - sin(y))**2", 0.5, 2.0)
def test_values_of_random_formulas_are_mpmath_s(formula: str, x: float, y: float) -> None:
    try:
        root = parse_expression(formula)
    except FormulaError:
        return
    (got,) = Exact(root, ("x", "y")).at((x, y))
    with mp.workdps(400):
        want = mp_evaluate([root], {"x": mp.mpf(x), "y": mp.mpf(y)})[root]
        if isinstance(got, Outcome):
            assert mp.isnan(want)
        elif not mp.isnan(want):
            assert abs(number(got) - want) <= BEYOND_FLOAT64 * abs(want) + mp.mpf(2) ** -1074


@given(_TERMS, st.floats(0.2, 0.9), st.floats(1.1, 2.5))
def test_derivatives_of_random_formulas_are_autograd_s(formula: str, x: float, y: float) -> None:
    try:
        root = parse_expression(formula)
    except FormulaError:
        return
    found = Exact(root, ("x", "y")).at((x, y), 2)
    if any(isinstance(f, Outcome) for f in found) or not names([root]):
        return
    leaves = oracle.tensors((x, y))
    plain = evaluate([root], dict(zip("xy", leaves, strict=True)))
    if any(t.dtype == torch.float64 and not bool((t.abs() < 1e3).all()) for t in plain.values()):
        return
    scale = max(1.0, *(float(t.detach().abs()) for t in plain.values()))
    for got, indices in zip(found, ((), (0,), (1,), (0, 0), (0, 1), (1, 1)), strict=True):
        want = oracle.differentiate(plain[root], leaves, indices).item()
        assert isinstance(got, tuple)
        if math.isfinite(want):
            assert got[0] == pytest.approx(want, rel=1e-7, abs=1e-9 * scale**4)


@pytest.mark.parametrize(
    ("formula", "point", "want"),
    [
        ("sin(x)/x", 0, (1, 0, -1 / 3)),
        ("(exp(x) - 1 - x)/x**2", 0, (1 / 2, 1 / 6, 1 / 12)),
        ("coth(x) - 1/x", 0, (0, 1 / 3, 0)),
        ("where(x == 0, 1, sin(x)/x)", 0, (1, 0, -1 / 3)),
        ("log1p(x)/x", 0, (1, -1 / 2, 2 / 3)),
        ("abs(x)*x", 0, (0, 0, Outcome.KINK)),
        ("elu(x)", 0, (0, 1, Outcome.KINK)),
        ("max(x, 0)", 0, (0, Outcome.KINK, Outcome.KINK)),
        ("floor(x)", 1, (1, Outcome.KINK, Outcome.KINK)),
        ("floor(x)", 1.5, (1, 0, 0)),
        ("1/x", 0, (Outcome.UNDEFINED,) * 3),
        ("log(x)", -1, (Outcome.UNDEFINED,) * 3),
        ("x**2.5", -1, (Outcome.UNDEFINED,) * 3),
        ("where(x < 0, sqrt(x), 2*x)", 1, (2, 2, 0)),
        ("sqrt(x)", 0, (0, Outcome.KINK, Outcome.KINK)),
    ],
)
def test_where_the_formula_has_no_value_its_neighbours_have(
    formula: str, point: float, want: tuple[float | Outcome, ...]
) -> None:
    for got, w in zip(exact(formula).at((point,), 2), want, strict=True):
        assert got is w if isinstance(w, Outcome) else number(got) == pytest.approx(w, rel=1e-15, abs=1e-300)


@pytest.mark.parametrize(
    ("formula", "point", "want"),
    [
        ("log(1 - 1/(1 + exp(-x)))", 1e16, (-1e16, -1, 0)),
        ("log(1 - 1/(1 + exp(-x)))", 1e300, (-1e300, -1, 0)),
        ("x*tanh(exp(x))", 1e5, (1e5, 1, 0)),
        ("log((1 + erf(x))/2)", -1e100, (-1e200, 2e100, -2)),
        ("log(1 - exp(-exp(x)))", -1e5, (-1e5, 1, 0)),
        ("exp(-x*exp(-y))", (-1.0, -1e4), (math.inf, -math.inf, -math.inf)),
        ("log(1 + exp(exp(x)))", 1e5, (math.inf, math.inf, math.inf)),
        ("1/(1 + exp(-x))", -1e308, (0, 0, 0)),
    ],
)
def test_what_no_precision_suffices_for(formula: str, point: object, want: tuple[float, ...]) -> None:
    several = point if isinstance(point, tuple) else (point,)
    found = exact(formula, "x y" if len(several) == 2 else "x").at(several, 2)
    assert [r[0] if isinstance(r, tuple) else r for r in found[: len(want)]] == pytest.approx(
        list(want), rel=1e-15
    )


@pytest.mark.parametrize("case", cases("suite")[::3] + cases("heldout")[::9], ids=lambda c: c.name)
def test_numbers_beyond_balls_are_those_of_balls(case: object) -> None:
    problem = case.problem  # type: ignore[attr-defined]
    subject = Exact(problem.value, problem.inputs)
    wanted = count(len(problem.inputs), 2)
    for point in sample(len(problem.inputs), 30, FORMATS["float64"], 7)[::2]:
        results = []
        for evaluation, bits in ((subject._plain, 2560), (subject._extreme, 640)):
            with ctx.workprec(bits):
                results.append(evaluation.results(list(map(arb, point)), 2, [None] * wanted))
        for a, b in zip(*results, strict=True):
            assert a is None or b is None or same(a, b), (point, a, b)


def test_a_point_leaves_the_precision_alone() -> None:
    before = ctx.prec
    exact("sin(x)/x").at((0.0,), 2)
    assert ctx.prec == before


def test_what_cannot_be_evaluated_is_refused() -> None:
    with pytest.raises(LookupError, match="no input"):
        exact("x + y")
    with pytest.raises(NotImplementedError, match="not elementwise"):
        Exact(value("sum", parse_expression("x")), ("x",))


# Formats, points, errors.


@forms
def test_a_format_is_torch_s(form: Format) -> None:
    info = torch.finfo(getattr(torch, form.name))
    assert (form.largest, form.tiny, form.epsilon) == (info.max, info.tiny, info.eps)
    assert math.ldexp(1, form.least) == info.tiny * info.eps
    assert form.bits == info.bits


@given(st.floats(allow_nan=False), st.sampled_from(list(FORMATS.values())))
def test_rounding_is_torch_s(x: float, form: Format) -> None:
    want = torch.tensor(x, dtype=torch.float64).to(getattr(torch, form.name)).double().item()
    if form.name == "bfloat16":  # torch rounds to float32 first: twice is not once.
        near = torch.tensor(x, dtype=torch.float64).float().double().item()
        if near != x:
            return
    assert form.rounded(x) == want


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(list(DTYPES)))
def test_a_spacing_is_numpy_s(x: float, name: str) -> None:
    form, dtype = FORMATS[name], DTYPES[name]
    with np.errstate(over="ignore"):
        near = dtype(x)
    if np.isfinite(near):
        assert form.ulp(float(near)) == float(np.spacing(abs(near)))


@pytest.mark.parametrize("name", SIXTEEN)
def test_every_pattern_is_a_number_of_the_format(name: str) -> None:
    found = list(FORMATS[name].every())
    patterns = torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(getattr(torch, name)).double()
    assert found == patterns[patterns.isfinite()].tolist()


@forms
@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_points_are_numbers_of_the_format_and_always_the_same(form: Format, inputs: int) -> None:
    points = sample(inputs, 100, form, 3)
    assert points == sample(inputs, 100, form, 3) != sample(inputs, 100, form, 4)
    assert all(len(p) == inputs and all(form.rounded(x) == x and math.isfinite(x) for x in p) for p in points)
    if inputs > 1:
        assert any(p[0] == p[1] != 0 for p in points)
    else:
        assert {(x,) for x in edges(form)} <= set(points)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-3, 3), st.sampled_from(list(DTYPES)))
def test_an_error_counts_the_steps_to_the_exact_number(x: float, steps: int, name: str) -> None:
    form, dtype = FORMATS[name], DTYPES[name]
    with np.errstate(over="ignore"):
        near = dtype(x)
    if not np.isfinite(near):
        return
    there = float(near) + steps * form.ulp(float(near))
    if math.isfinite(there) and abs(there) <= form.largest:
        assert error(there, (float(near), 0.0), form).ulp == abs(steps)


def test_the_residual_counts() -> None:
    form = FORMATS["float64"]
    assert error(1.0, (1.0, 2.0**-54), form).ulp == 0.25
    assert error(5e-324, (0.0, 0.0), form).ulp == 1


@pytest.mark.parametrize(
    ("computed", "pair", "name", "nonfinite"),
    [
        (math.nan, (1.0, 0.0), "float64", True),
        (math.inf, (1e308, 0.0), "float64", True),
        (math.inf, (math.inf, 0.0), "float64", False),
        (-math.inf, (math.inf, 0.0), "float64", True),
        (1e308, (math.inf, 0.0), "float64", True),
        (math.inf, (1e39, 0.0), "float32", False),
        (1e38, (1e39, 0.0), "float32", True),
        (math.inf, (65520.0, 0.0), "float16", False),
        (math.inf, (65519.0, 0.0), "float16", True),
        (65504.0, (65520.0, 0.0), "float16", False),
    ],
)
def test_a_wrong_infinity_is_told(
    computed: float, pair: tuple[float, float], name: str, nonfinite: bool
) -> None:
    assert error(computed, pair, FORMATS[name]).nonfinite is nonfinite


def test_one_rounding_of_an_input_is_forgiven() -> None:
    form = FORMATS["float64"]
    # sin near pi: half a spacing of the input is 2**53 of the result.
    x = math.pi
    exact_ = (1.2246467991473532e-16, 0.0)
    assert mixed(1e15, x, -1.0, exact_, form) < 1
    assert mixed(3.0, x, 0.0, exact_, form) == 3.0
    assert mixed(3.0, 1.0, math.inf, exact_, form) < 1e-9


def test_a_sequence_is_a_point() -> None:
    point: Sequence[float] = [1.0]
    assert exact("x").at(point) == [(1.0, 0.0)]
