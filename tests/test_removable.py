"""Singularities that are removable in something else than a variable, and what is short near them."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import product

import pytest
import torch
from flint import arb, arb_series, ctx
from hypothesis import given
from hypothesis import strategies as st

import fngen
import fngen.ir
import fngen.problem
import fngen.spec
from fngen.accuracy import FORMATS, Exact, Outcome, error
from fngen.language.parse import parse_expression
from fngen.stabilise.chebyshev import economised
from fngen.stabilise.powers import differences
from fngen.stabilise.removable import grouped, singular

FORMAT = FORMATS["float64"]
DISTANCES = (0.0, 2.0**-52, 1e-12, -1e-8, 1e-5, -3e-3, 0.02, -0.3)

OF_PRODUCTS = (
    "(1 - exp(-x*y))/x",
    "y*(1 - exp(-x*y))/x",
    "(exp(y*x) - 1)/y + y",
    "sin(x*y)/x",
    "log(1 + x*y)/x",
    "(exp(x/y) - 1)/x",
)
"""Functions of ``x*y`` or ``x/y`` over a variable."""
OF_DIFFERENCES = (
    "(exp(x) - exp(y))/(x - y)",
    "(x - y)/(log(x) - log(y))",
)
"""Quotients of differences."""


def worst(text: str, points: list[tuple[float, ...]]) -> list[float]:
    """Return the largest error in ULP of value and partials, infinite for a wrong nan, at given points."""
    inputs = ("x", "y")
    exact = Exact(parse_expression(text), inputs)
    layer = fngen.compile(text, name="removable", inputs=inputs).removable
    columns = [torch.tensor(c, dtype=torch.float64, requires_grad=True) for c in zip(*points, strict=True)]
    y = layer(*columns)
    found = [y.tolist(), *(g.tolist() for g in torch.autograd.grad(y.sum(), columns))]
    errors = [0.0] * 3
    for i, point in enumerate(points):
        for k, want in enumerate(exact.at(point, 1)[:3]):
            if not isinstance(want, Outcome):
                off = error(found[k][i], want, FORMAT)
                errors[k] = max(errors[k], math.inf if off.nonfinite else off.ulp)
    return errors


@pytest.mark.parametrize("text", OF_PRODUCTS)
def test_a_function_of_a_product_over_a_factor(text: str) -> None:
    """The plain formula has no digit at x = 1e-8 in its slope, and is nan at 0."""
    points = [(x, y) for x, y in product(DISTANCES, (0.7, -1.3, 2.5))]
    assert max(worst(text, points)) < 100


@pytest.mark.parametrize("text", OF_DIFFERENCES)
def test_a_quotient_of_differences(text: str) -> None:
    points = [(y * (1 + d), y) for d, y in product(DISTANCES, (0.4, 1.0, 3.0))]
    assert max(worst(text, points)) < 100


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("expm1(x*y)/x", "expm1(u)/u"),
        ("exp(y)*expm1(x - y)/(x - y)", "expm1(u)/u"),
        ("x/expm1(x*y)", "u/expm1(u)"),
        ("expm1(y*z - x*z)/(y - x)", "expm1(u)/u"),
    ],
)
def test_what_stands_apart(text: str, part: str) -> None:
    found = [s.part for s in singular(parse_expression(text))]
    wanted = parse_expression(part.replace("u", "v"))
    assert wanted in [fngen.ir.substitute(p, {fngen.ir.name("u!"): fngen.ir.name("v")}) for p in found]


@pytest.mark.parametrize("text", ["exp(x*y)/x", "x/expm1(x)", "1/x", "y/x**2", "log(x*y)/x"])
def test_a_pole_stays(text: str) -> None:
    """What is infinite there is no removable singularity; one in a variable alone needs nothing to be apart."""
    assert not [*grouped(parse_expression(text))]


FUNCTIONS: dict[str, Callable[[arb_series], arb_series]] = {
    "exp": lambda s: s.exp(),
    "sin": lambda s: s.sin(),
    "atan": lambda s: s.atan(),
    "1/(3 + s)": lambda s: 1 / (3 + s),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("radius", [Fraction(1, 32), Fraction(1, 4), Fraction(1, 2)])
def test_a_polynomial_is_near_its_series(name: str, radius: Fraction) -> None:
    """At every point, by ball arithmetic; it is no longer than the series that is as near."""
    ctx.prec, ctx.cap = 400, 60
    series = FUNCTIONS[name](arb_series([0, 1], 60))
    coefficients = [series[k] for k in range(60)]
    found = economised(coefficients, -radius, radius, 2.0**-56)
    for i in range(-20, 21):
        x = arb(i) / 20 * arb(float(radius))
        short = sum((c * x**k for k, c in enumerate(found)), arb(0))
        exact = FUNCTIONS[name](arb_series([x], 1))[0]
        assert abs(short - exact) < 2.0**-55
    rest = [k for k, c in enumerate(coefficients) if abs(c) * arb(float(radius)) ** k > 2.0**-56]
    assert len(found) <= rest[-1] + 1


@given(x=st.floats(1e-6, 1e6), n=st.sampled_from(["1/3", "-1/2", "5/2", "4", "-3"]))
def test_a_difference_of_powers_keeps_its_value(x: float, n: str) -> None:
    """Each form is the formula, by ball arithmetic."""
    typed = fngen.problem.read(fngen.spec.Spec.create(f"(x + 1)**({n}) - x**({n})")).value
    forms = [*differences(typed)]
    assert forms
    (want, *_) = Exact(typed, ("x",)).at((x,), 1)
    for form in forms:
        (got, *_) = Exact(form, ("x",)).at((x,), 1)
        assert not isinstance(got, Outcome)
        assert got[0] == want[0]


@pytest.mark.parametrize("n", range(4, 9))
def test_a_power_of_squares_and_cubes(n: int) -> None:
    """Within its roundings, of half an epsilon each, the plain power being torch's slowest operator."""
    function = fngen.compile(f"x**{n}*y", name="power", inputs=("x", "y")).power
    xs = torch.linspace(-3, 3, 1001, dtype=torch.float64)
    found = function(xs, torch.ones_like(xs)).tolist()
    for x, y in zip(xs.tolist(), found, strict=True):
        want = Fraction(x) ** n
        assert abs(Fraction(y) - want) <= abs(want) * n / 2**53


def test_the_slope_of_a_power() -> None:
    """From the power itself; where that is 0 or infinite, and for exponents that 1 takes nothing off, too."""
    x = torch.tensor([2.0, 0.0, -2.0, 1e-200, -1.5], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0.1 + 1e-17, 1.0, 3.0, 1.7, -(2.0**60)], dtype=torch.float64)
    fngen.compile("x**y", name="power").power(x, y).sum().backward()
    exact = [0.1 * 2.0 ** (0.1 - 1), 1.0, 12.0, 1.7 * 1e-140, 0.0]
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.tensor(exact, dtype=torch.float64), rtol=1e-12, atol=0)
