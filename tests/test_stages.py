"""The stages, each as text in and text out."""

from __future__ import annotations

import pytest
from mpmath import mp

import fngen
from fngen import ir
from fngen.algebra import add, div, mul, neg
from fngen.blocks import Block, Let, dump_block, verify
from fngen.declared import one_line
from fngen.differentiate import partials
from fngen.ir import name, number
from fngen.language.parse import parse_expression
from fngen.layout import bracketed, folded
from fngen.numeric import mp_evaluate
from fngen.printing.formula import FormulaPrinter
from fngen.printing.latex import LatexPrinter
from fngen.problem import read
from fngen.spec import Spec

DERIVATIVES = {
    "x1**3 + x2**2": ("3*x1**2", "2*x2"),
    "x*sigmoid(beta*x)": (
        "sigmoid(beta*x)*(1 + x*beta*sigmoid(-(beta*x)))",
        "x**2*sigmoid(beta*x)*sigmoid(-(beta*x))",
    ),
    "x*exp(x)": ("exp(x)*(x + 1)",),
    "x**3 + x**2 + x - 4": ("3*x**2 + 2*x + 1",),
    "x**2/2": ("x",),
    "x**3/6": ("x**2/2",),
    "0.1*x**2": ("0.2*x",),
    "sqrt(x)": ("1/(2*sqrt(x))",),
    "1/x": ("-(1/x**2)",),
    "max(x, 0)*y": ("where(x < 0, 0, y*where(x == 0, 1/2, 1))", "maximum(x, 0)"),
    "x**y": ("where(y == 0, 0, x**(y - 1)*y)", "where(x == 0 and y >= 0, 0, x**y*log(x))"),
    "where(x > 0, x**2, -x)": ("where(x > 0, 2*x, -1)",),
    "floor(x) + y": ("0", "1"),
    "j0(x)": ("-j1(x)",),
}


@pytest.mark.parametrize("formula", DERIVATIVES)
def test_derivatives_read_as_a_person_writes_them(formula: str) -> None:
    root = parse_expression(formula)
    found = partials(root, ir.names([root]))
    assert tuple(map(FormulaPrinter().print, found)) == DERIVATIVES[formula]


def test_a_big_formula_costs_a_small_multiple_of_its_size() -> None:
    sizes = []
    for terms in (50, 400):
        text = " + ".join(f"x{i % 40}*sin(x{(7 * i) % 40}*x{i % 13})" for i in range(terms))
        root = parse_expression(text)
        found = partials(root, ir.names([root]))
        sizes.append(len(ir.postorder(found)) / len(ir.postorder([root])))
    assert sizes[1] < 1.5 * sizes[0] < 8


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (add(name("x"), number(-1)), "sub(x, 1)"),
        (mul(number(-1), name("x")), "neg(x)"),
        (mul(name("x"), number(2)), "mul(2, x)"),
        (neg(neg(name("x"))), "x"),
        (div(name("x"), number(1)), "x"),
        (mul(name("a"), parse_expression("where(x > 0, b, 0)")), "where(gt(x, 0), mul(a, b), 0)"),
    ],
)
def test_algebra(value: ir.Value, text: str) -> None:
    assert ir.dump(value) == text


def test_equal_nodes_are_one() -> None:
    assert parse_expression("sin(x + 1)*2") is parse_expression("sin(x+1) * 2")
    assert parse_expression("x + 1") is not parse_expression("x + 1.0")


def test_the_text_form_of_a_block() -> None:
    problem = read(Spec.create("s = sigmoid(x); y = s*x + s"))
    block = problem.block()
    verify(block)
    assert dump_block(block).splitlines() == [
        "block(x):",
        "    s = sigmoid(x)",
        "    -> y = add(mul(s, x), s)",
    ]


@pytest.mark.parametrize(
    "block",
    [
        Block(("x",), (), (Let("y", name("z")),)),
        Block(("x", "x"), (), (Let("y", name("x")),)),
        Block(("x",), (Let("x", name("x")),), (Let("y", name("x")),)),
        Block(("x",), (), ()),
        Block(("x",), (), (Let("y", ir.value("add", name("x"))),)),
        Block(("x",), (), (Let("y", ir.value("where", number(1), name("x"), name("x"))),)),
    ],
)
def test_verify_refuses(block: Block) -> None:
    with pytest.raises(AssertionError):
        verify(block)


@pytest.mark.parametrize(
    ("formula", "latex"),
    [
        ("x1**3 + beta", r"x_1^3 + \beta"),
        ("x/2*y", r"\frac{x}{2} y"),
        ("exp(-x**2)", r"e^{-x^2}"),
        ("-(x + y)*2", r"-(x + y) \cdot 2"),
        ("sqrt(x)*sigmoid(x)", r"\sqrt{x} \sigma(x)"),
        ("abs(r_e)", r"\left| r_e \right|"),
    ],
)
def test_latex(formula: str, latex: str) -> None:
    assert LatexPrinter().print(parse_expression(formula)) == latex


def test_a_formula_on_one_line() -> None:
    assert one_line("s = sigmoid(x)\n\ny = s*(\n  x + 1)\n") == "s = sigmoid(x); y = s*(   x + 1)"


def test_layout() -> None:
    assert bracketed("f(", ["a", "b"], ")", 4) == ["    f(a, b)"]
    assert (
        bracketed("f(", ["a" * 40, "b" * 40], ")", 4)[1]
        == f"        {'a' * 40},"[:-1] + f", {'b' * 40}"[:0] + ","
    )
    assert "".join(folded("a + bb*ccc", 5)) == "a + bb*ccc"


def test_names_of_formulas_are_readable_and_differ() -> None:
    formulas = {
        "x1**3 + x2**2": "x1_cubed_plus_x2_squared",
        "sum(x1**3 + x2**2)": "sum_of_x1_cubed_plus_x2_squared",
        "x*sigmoid(beta*x)": "x_times_sigmoid_of_beta_times_x",
        "exp(x) + 1": "exp_x_plus_1",
        "exp(x + 1)": "exp_of_x_plus_1",
        "-x": "minus_x",
        "any": "any_layer",
    }
    assert {f: fngen.generate(f).name for f in formulas} == formulas
    pairs = [("(x+y)*z", "x+y*z"), ("X*y", "x*y"), ("max(x,y)+z", "max(x,y+z)")]
    for one, other in pairs:
        assert fngen.generate(one).name != fngen.generate(other).name


FAMILIES = {
    "intermediates": lambda n: "a0 = x; " + "; ".join(f"a{i + 1} = sin(a{i}) + x" for i in range(6 * n)),
    "choices": lambda n: "".join(f"where(x > {i}, " for i in range(n)) + "x" + ", y)" * n,
    "extrema": lambda n: f"max({', '.join(f'x*{i}' for i in range(1, n))})",
    "product": lambda n: "x*" + "*".join(f"(x{i % 40} + {i})" for i in range(n)),
    "squares of squares": lambda n: "u0 = x; " + "; ".join(f"u{i + 1} = u{i}*u{i} + x" for i in range(n)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_deep_formulas_neither_recurse_nor_explode(family: str) -> None:
    small, big = (len(fngen.generate(FAMILIES[family](n)).text) for n in (100, 200))
    assert big < 3 * small


def test_many_inputs_are_verified() -> None:
    report = fngen.verify(fngen.generate("+".join(f"a{i}*sin(a{i})" for i in range(60))))
    assert report.ok, report


@pytest.mark.parametrize("complex_inputs", [False, True])
@pytest.mark.parametrize("pattern", [("x*exp(", ")"), ("exp(", ")"), ("sinh(2*", ")"), ("cosh(x + ", ")")])
def test_values_beyond_all_bounds_do_not_hang(pattern: tuple[str, str], complex_inputs: bool) -> None:
    """The example in the docstring is worked out at some points: exp(exp(exp(exp(3)))) has no end there."""
    before, after = pattern
    source = fngen.generate(before * 30 + "x" + after * 30, name="tower", complex=complex_inputs)
    assert "class Tower(nn.Module)" in source.text


@pytest.mark.parametrize(
    ("x", "y", "power"),
    [
        (2, 2**1200, "nan"),
        (0.5, 2**1200, "0.0"),
        (0.5, -(2**1200), "nan"),
        (-1, 2**1200, "1.0"),
        (3, 4, "81.0"),
    ],
)
def test_powers_beyond_all_bounds_are_not_worked_out(x: float, y: int, power: str) -> None:
    root = parse_expression("x**y")
    assert str(mp_evaluate([root], {"x": mp.mpf(x), "y": mp.mpf(y)})[root]) == power


def test_a_tower_of_exponentials_does_not_hang() -> None:
    assert fngen.verify(fngen.generate("exp(a)**exp(b)**exp(c)**exp(d)", stabilise=False)).ok
