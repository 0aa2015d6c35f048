"""What is a function of one group of its variables is found to be that, and has its digits where that is small."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fngen.accuracy import Exact, Outcome
from fngen.algebra import fold_numbers
from fngen.ir import Value, names, substitute
from fngen.language.parse import parse_expression
from fngen.printing.formula import FormulaPrinter
from fngen.stabilise.groups import beside_one, groups
from fngen.stabilise.guards import HOLE
from fngen.stabilise.homogeneous import Group
from tests.digits import check_digits

spell = FormulaPrinter().print
HOMOGENEOUS = {
    "2*y*log(cosh(x/y)) - x*tanh(x/y)": "x/y",
    "(x*sigmoid(x*y) - softplus(x*y)/y)/y": "x*y",
    "log(y/x) + x**2/(2*y**2) - 1/2": "y/x",
    "x*log(2*x/(x + y))/2 + y*log(2*y/(x + y))/2": "x/y",
    "y**2*(1/sqrt(1 - (x/y)**2) - 1)": "x/y",
    "z*y*(1 - exp(-x/y))/x": "x/y",
    "y*exp(x*y**2) - y": "x*y**2",
}
"""Formulas, and the one group that each depends on beside a product of powers."""
SHIFTED = {
    "exp(x) - exp(y) - exp(y)*(x - y)": "x - y",
    "log(exp(x) + exp(y)) - (x*exp(x) + y*exp(y))/(exp(x) + exp(y))": "x - y",
    "exp(x + y) - 1 - x - y": "x + y",
    "exp(2*y)*(1 + tanh(x - y)) - exp(x + y)": "x - y",
}
OF_SEVERAL = (
    "exp(x) + y",  # Neither has a degree.
    "x*log(y) - y*log(x)",
    "exp(x/y) + exp(x*y)",  # Two groups.
    "sqrt(x**2 + y**2) - y*exp(x/y)",  # Of a negative y it would be another one.
    "x**2 - x*y",  # Without a function.
    "exp(x - y**2) - exp(x)",
)


def read(text: str) -> Value:
    """Return the graph of a formula, its numbers worked out."""
    root = parse_expression(text)
    return fold_numbers([root])[root]


def largest(text: str) -> Group:
    """Return the group of all of a formula."""
    root = read(text)
    (found,) = (group for node, group in groups(root) if node is root)
    return found


@pytest.mark.parametrize(("text", "t"), [*HOMOGENEOUS.items(), *SHIFTED.items()])
def test_a_formula_is_a_product_and_a_function_of_its_group(text: str, t: str) -> None:
    found = largest(text)
    group, way_round = parse_expression(t), parse_expression(spell(found.t))
    assert set(names([group])) == set(names([way_round]))
    assert "u!" not in names([found.rest])
    assert set(names([found.part])) == {"u!"}
    whole = substitute(found.part, {HOLE: found.t})
    inputs = tuple(sorted(names([parse_expression(text)])))
    known = [Exact(graph, inputs) for graph in (parse_expression(text), found.rest, whole)]
    compared = 0
    for point in ((0.7, 1.3, 0.4), (-0.4, 0.9, 2.0), (0.31, -1.7, -0.6), (0.2, 1.1, 3.0)):
        values = [exact.at(point[: len(inputs)], 1)[0] for exact in known]
        pairs = [v for v in values if not isinstance(v, Outcome)]
        if len(pairs) == len(values):
            compared += 1
            a, b, c = (Fraction(high) + Fraction(low) for high, low in pairs)
            assert abs(a - b * c) <= (abs(a) + abs(b * c)) / 10**25
    assert compared


@pytest.mark.parametrize("text", OF_SEVERAL)
def test_what_is_of_several_groups_stays(text: str) -> None:
    root = read(text)
    assert not [node for node, _ in groups(root) if node is root]


@given(
    st.integers(-3, 3),
    st.integers(-3, 3),
    st.integers(1, 3),
    st.sampled_from(["exp", "tanh", "cos", "log1p"]),
)
def test_powers_do_not_matter(a: int, b: int, n: int, function: str) -> None:
    """``x**a*y**b*(f(t) - t)`` is homogeneous, whatever the powers are: ``t`` is the group."""
    root = read(f"x**({a})*y**({b})*({function}(x**{n}/y) - x**{n}/y)")
    found = [group for node, group in groups(root) if node is root]
    assert len(found) == 1
    assert set(names([found[0].part])) == {"u!"}


def test_variables_that_are_equal_are_a_place_to_guard() -> None:
    root = read("log(y/x) + x**2/(2*y**2) - 1/2")
    (first, *_) = beside_one(root)
    assert "where" in spell(first)
    assert "x - y" in spell(first) or "y - x" in spell(first)


@pytest.mark.parametrize(
    "text",
    [
        "y**2*log(cosh(x/y))",
        "softplus(x*y)/y",
        "y**2*(1/sqrt(1 - (x/y)**2) - 1)",
        "log(y/x) + x**2/(2*y**2) - 1/2",
        "exp(x) - exp(y) - exp(y)*(x - y)",
        "x - log(exp(x) + exp(y))",
        "y*tanh(x/y)",
        "-y*log(1 + exp(-x/y))",
    ],
)
def test_value_and_gradients_keep_their_digits(text: str) -> None:
    """At numbers of usual size, what the rounding of an input costs forgiven."""
    check_digits(text, ("x", "y"), results=3)
