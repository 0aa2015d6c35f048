"""A power with an exponent that varies is an exponential too, and has the digits of one near 1."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

import fngen
from fngen.accuracy import Exact, Outcome
from fngen.algebra import fold_numbers
from fngen.ir import Value, names, postorder
from fngen.language.parse import parse_expression
from fngen.stabilise.exponents import exponentials, settled
from tests.digits import check_digits

FORMULAS = (
    "(x**y - 1)/y",
    "1/(1 + 10**(x - y))",
    "x**(2*y - 3) - x**(-3)",
    "(1 + x)**y - (1 + y)**x",
    "(x**y*log(x) - (x**y - 1)/y)/y",
    "(1/x)**y + where(x == 0, 0, x**y*log(x))",
    "(1 + x**y)**(1/y)",
    "where(y == 0, 0, y*x**(y - 1)) + 2**x",
)
POINTS = ((0.7, 1.3), (2.5, -0.4), (0.9, 0.01), (-0.4, 2.0), (-0.3, 0.7), (3.0, 3.0))


def read(text: str) -> Value:
    """Return the graph of a formula, its numbers worked out."""
    root = parse_expression(text)
    return fold_numbers([root])[root]


@pytest.mark.parametrize("text", FORMULAS)
def test_it_is_the_same_function(text: str) -> None:
    """Also where a base is negative, and the power is a number only if its exponent is an integer."""
    root = read(text)
    made = list(exponentials(root))
    assert made
    wanted = Exact(root, ("x", "y"))
    for form in made:
        assert set(names([form])) == {"x", "y"}
        found = Exact(form, ("x", "y"))
        for point in POINTS:
            a, b = (exact.at(point, 1)[0] for exact in (wanted, found))
            assert isinstance(a, Outcome) == isinstance(b, Outcome), (text, point)
            if isinstance(a, tuple) and isinstance(b, tuple):
                gap = Fraction(a[0]) + Fraction(a[1]) - Fraction(b[0]) - Fraction(b[1])
                assert abs(gap) <= (abs(Fraction(a[0])) + 1) / 10**25, (text, point)


@pytest.mark.parametrize(
    ("text", "point", "wanted"),
    [
        ("where(x == 0 or y > 3, 5, (x**y - 1)/y)", (1.01, 4.0), 5.0),
        ("where(y == 0, 7, (x**y - 1)/y)", (2.0, 0.0), 7.0),
        ("where(y == 1 or x == 0, 7, x**(y - 1)) - 1", (2.0, 1.0), 6.0),
        ("where(x == 0 and y > 0, 5, (x**y - 1)/y)", (0.0, 2.0), 5.0),
        ("where(x**y > 1000, 5, 1/(1 + x**y))", (10.0, 4.0), 5.0),
        ("where(x == 0 and y > 0, 5, (x**y - 1)/y)", (1.0, 2.0), 0.0),
    ],
)
def test_the_choice_of_a_user_is_kept(text: str, point: tuple[float, float], wanted: float) -> None:
    x, y = (torch.tensor(t, dtype=torch.float64) for t in point)
    assert fngen.compile(text, name="chosen", inputs=("x", "y")).chosen(x, y).item() == wanted


@pytest.mark.parametrize("text", ["x**3 - x**2", "x*y + sqrt(x)", "(-2)**x + y", "pi**x - y"])
def test_others_stay(text: str) -> None:
    assert not list(exponentials(read(text)))


def test_what_was_typed_is_left_alone_where_it_stays() -> None:
    root = read("(x**y - 1)/y")
    for form in exponentials(root):
        assert settled(form) == [root]
        assert root in postorder([form])
    assert not settled(root)


@pytest.mark.parametrize(
    "text",
    [
        "(x**y - 1)/y",
        "(x**(2*y) - 1)/(2*y) - log(x)",
        "y*(x**(1/y) - 1)",
        "x*(1 + x)**y/((1 + x)**y - 1)",
    ],
)
def test_values_keep_their_digits(text: str) -> None:
    check_digits(text, ("x", "y"), results=1)


@pytest.mark.parametrize("text", ["1/(1 + 10**(x - y))", "(x**y - 1)/y"])
def test_gradients_keep_their_digits(text: str) -> None:
    check_digits(text, ("x", "y"), results=3)
