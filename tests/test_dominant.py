"""Where an exponential is large it stands in front of all that it multiplies, and nothing overflows in between."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

import fngen
from fngen.accuracy import Exact, Outcome
from fngen.algebra import fold_numbers
from fngen.ir import Value, postorder, value
from fngen.language.parse import parse_expression
from fngen.stabilise import faint
from fngen.stabilise.dominant import dominant
from tests.digits import check_digits

XYZ = ("x", "y", "z")
FORMULAS = (
    "expm1(x)/(y*exp(x) + z)",
    "exp(-x*y)*sinh(x*z)/z",
    "(exp(-x*z) - exp(-y*z))/(y - x)",
    "(exp(x/y) - exp(-x/y))**z",
    "log(y + z*exp(x)) + log1p(exp(2*x))",
    "sqrt(expm1(2*x)/expm1(x)) + 1/sqrt(cosh(x) + y)",
    "where(y > z, exp(x), cosh(x)**3)/exp(3*x) + atan(expm1(x))",
    "exp(x - y)*expm1(y*(z + 1))/sinh(x - y)",
)
POINTS = ((41.5, 0.75, 1.25), (60.0, -2.5, 0.5), (-50.0, 1.5, -2.25), (3.0, 45.0, 2.0), (44.0, 44.5, -1.0))


def read(text: str) -> Value:
    """Return the graph of a formula, its numbers worked out."""
    root = parse_expression(text, rule=True)
    return fold_numbers([root])[root]


@pytest.mark.parametrize("text", FORMULAS)
def test_it_is_the_same_function(text: str) -> None:
    """Each form on its own side of the choice, whatever the other variables are."""
    root = read(text)
    made = list(dominant(root))
    assert made
    wanted = Exact(root, XYZ)
    for form in made:
        asked, other, whole = form.args
        assert whole is root
        side, there = Exact(other, XYZ), Exact(value("where", asked, read("1"), read("0")), XYZ)
        for point in POINTS:
            a, b, taken = (exact.at(point, 1)[0] for exact in (wanted, side, there))
            if taken != (1.0, 0.0) or isinstance(a, Outcome):
                continue
            assert isinstance(b, tuple), (text, point)
            gap = Fraction(a[0]) + Fraction(a[1]) - Fraction(b[0]) - Fraction(b[1])
            assert abs(gap) <= abs(Fraction(a[0])) / 10**25, (text, point)


@pytest.mark.parametrize("text", ["tanh(x)*y", "x**y", "x*y - 1", "logistic(x)*x", "exp(2)*x"])
def test_what_does_not_grow_stays(text: str) -> None:
    assert not [*dominant(read(text))]


@pytest.mark.parametrize(
    ("text", "point", "wanted"),
    [
        ("(exp(x/y) - exp(-x/y))**z", (60.0, 0.0625, 0.5), "exp(480)"),
        ("exp(-x*y)*sinh(x*z)/z", (200.0, 10.0, 10.0), "1/20"),
        ("log(1 - y + y*exp(z*x))/z", (400.0, 0.5, 2.0), "400 - log(2)/2"),
        ("(1 - exp(-x*(1 - y)))/(1 - y*exp(-x*(1 - y)))", (100.0, 9.0, 1.0), "1/9"),
        ("(exp(-x*z) - exp(-y*z))/(y - x)", (90.0, -20.0, 10.0), "exp(200)/110"),
    ],
)
def test_there_is_no_overflow_in_between(text: str, point: tuple[float, ...], wanted: str) -> None:
    inputs = XYZ if "z" in text else XYZ[:2]
    columns = [torch.tensor(t, dtype=torch.float64, requires_grad=True) for t in point[: len(inputs)]]
    y = fngen.compile(text, name="grown", inputs=inputs).grown(*columns)
    exact = Exact(read(wanted), ()).at((), 1)[0]
    assert isinstance(exact, tuple)
    assert y.item() == pytest.approx(exact[0], rel=1e-13)
    assert all(g.isfinite() for g in torch.autograd.grad(y, columns))


@pytest.mark.parametrize(
    ("text", "x", "wanted"),
    [
        ("where(x > 40, 5, (exp(x) - 1)/(exp(x) + 1))", 50.0, 5.0),
        ("where(x > 40, log(1 + exp(x)) - x, x)", 50.0, 1.9287498479639178e-22),
        ("where(x < -40, 7, x*exp(x)) + exp(-x)*0", -50.0, 7.0),
        ("where(x == 0, 5, (exp(x) - 1)/where(x == 0, 1, x))", 0.0, 5.0),
        ("min(x, 800)*exp(-x) + 0*x", 2.0, 0.2706705664732254),
    ],
)
def test_the_choice_of_a_user_is_kept(text: str, x: float, wanted: float) -> None:
    """And what is on its sides has its digits."""
    found = fngen.compile(text, name="chosen").chosen(torch.tensor(x, dtype=torch.float64))
    assert found.item() == pytest.approx(wanted, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "point", "wanted"),
    [
        ("min(log(1 + y**2), 50)*exp(x)/(exp(x) + 1)", (60.0, 1e20), 50.0),
        ("where(log(1 + y**2) > 40, 5, y)*(exp(x) - 1)/(exp(x) + 1)", (60.0, 1e20), 5.0),
        ("where(sinh(y) == 0, 5, exp(x)/(exp(x) + exp(y)))", (60.0, 0.0), 5.0),
        ("max(tanh(y)*3, 1)*sinh(x)/cosh(x)**1", (60.0, -1.0), 1.0),
        ("where(log(1 + y**2) > 40, 5, (1 - exp(-x))/x)", (-60.0, 1e20), 5.0),
    ],
)
def test_a_bound_is_kept_whatever_becomes_of_what_it_bounds(
    text: str, point: tuple[float, float], wanted: float
) -> None:
    x, y = (torch.tensor(t, dtype=torch.float64) for t in point)
    found = fngen.compile(text, name="bounded", inputs=("x", "y")).bounded(x, y)
    assert found.item() == pytest.approx(wanted, rel=1e-15)


@pytest.mark.parametrize("inputs", [("x", "y"), ("y", "x")])
def test_one_exponential_is_not_faint_beside_another(inputs: tuple[str, str]) -> None:
    """With a guard against overflow it may look like something without one."""
    guarded = "where(-x > 700, exp(Max(-x, 700)/2)/x*exp(Max(-x, 700)/2), expm1(Min(-x, 700))/x)"
    root = read(f"(-exp(-x) - {guarded})/x")
    assert not [*faint.faint(root)]
    check_digits("y - (1 - exp(-x))/x", inputs, results=3)


def test_what_is_far_out_is_settled_unless_it_was_typed() -> None:
    root = read("where(x > 40, log1p(exp(x)) - x, x)")
    assert faint.settled(root, ()) == [root.args[1]]
    assert faint.settled(root, postorder([root])) == []


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    "text", ["exp(x - y)*(exp(y)*sinh(z) + exp(y))", "log(exp(x + y) + exp(y)) + z*exp(x)"]
)
def test_a_nan_stays_one(text: str, place: int) -> None:
    """Also of what is nowhere any more once exponents are added."""
    point = [60.0, 50.0, 70.0]
    point[place] = float("nan")
    found = fngen.compile(text, name="carried", inputs=XYZ).carried(*(torch.tensor(t) for t in point))
    assert found.isnan()


def test_a_long_exponent_takes_no_time() -> None:
    factors = "*".join(f"(x + {n})" for n in range(1, 60))
    assert len([*dominant(read(f"y*exp({factors}) + cosh({factors}*z)"))]) <= 4
