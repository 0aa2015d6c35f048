"""Formulas of four to six variables: forms are sought for them too, at numbers of usual size."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

import fngen
from fngen.ir import names
from fngen.language.parse import parse_expression
from fngen.stabilise.drawn import PATIENCE, drawn
from fngen.stabilise.judge import Judge
from fngen.stabilise.stage import MOST_INPUTS
from tests.digits import check_digits

FORMULAS = {
    "Arrhenius": "a*(exp(-e/(r*t1)) - exp(-e/(r*t2)))",
    "Yukawa": "a*exp(-k*r)/r - b*exp(-m*r)/r",
    "Fano": "a*(q + (x - b)/g)**2/(1 + ((x - b)/g)**2)",
    "rocket": "v*log(m/(m - k*t)) - g*t",
    "Gompertz": "a + k*exp(-exp(-b*(t - m)))",
    "Debye-Hueckel": "-a*z**2*sqrt(i)/(1 + b*d*sqrt(i))",
    "mixture": "log(a*exp(x) + b*exp(y))",
    "spring": "k/2*(sqrt((a - c)**2 + (b - d)**2) - l)**2",
    "Clausius-Clapeyron": "p*exp(-h/r*(1/t2 - 1/t1))",
}


def inputs_of(text: str) -> tuple[str, ...]:
    return tuple(sorted(names([parse_expression(text)])))


@pytest.mark.parametrize("text", FORMULAS.values(), ids=FORMULAS)
def test_value_and_gradients_keep_their_digits(text: str) -> None:
    inputs = inputs_of(text)
    assert 3 < len(inputs) <= MOST_INPUTS
    check_digits(text, inputs, results=1 + len(inputs))


def test_second_derivatives_are_numbers() -> None:
    """Where the side of a choice overflows that nobody takes."""
    layer = fngen.compile(FORMULAS["Arrhenius"], name="rate")
    point = torch.tensor([1.5, -700.0, 0.25, 3.0, 3.01], dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(layer.rate, tuple(point))
    found = torch.tensor([[float(x) for x in row] for row in hessian])
    assert found.isnan().logical_not().all()


def test_points_of_usual_size_come_first() -> None:
    found = drawn(5)
    assert all(2.0**-31 < abs(x) < 2.0**12 for point in found.first for x in point)
    assert any(a == b for point in found.first for a, b in pairwise(point))
    judge = Judge(parse_expression("exp(a) + b*c + d*f"), "abcdf", {})
    assert judge.complete
    assert len(judge.of_second) == sum(judge.usual) < len(judge.points)


def test_what_is_seldom_a_number_is_not_judged() -> None:
    judge = Judge(parse_expression("sqrt(a - 100)*sqrt(b - 100)*sqrt(c - 100)*sqrt(d - 100)"), "abcd", {})
    assert not judge.complete
    assert judge.exact.work <= PATIENCE


def test_of_more_variables_nothing_is_judged() -> None:
    few, many = "log(exp(a) + exp(b))", " + ".join(f"v{i}" for i in range(MOST_INPUTS))
    source = fngen.generate(f"{few} + {many}", name="layer")
    assert "float64 points" not in source.text
    assert "float64 points" in fngen.generate("sqrt(a + b) - sqrt(a) + c*d", name="layer").text
