"""Every rule is an identity on the whole domain of its pattern; patterns are found in any order, and only there."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
from flint import arb
from hypothesis import given, settings

from fngen.accuracy import FORMATS, Exact, Outcome, sample
from fngen.accuracy.evaluation import Ball
from fngen.accuracy.exact import same
from fngen.algebra import fold_numbers
from fngen.errors import FormulaError
from fngen.ir import Value, dump, names, tree_size
from fngen.language.parse import parse_expression
from fngen.stabilise.arrangements import arrangements
from fngen.stabilise.faint import faint
from fngen.stabilise.forms import FORMS
from fngen.stabilise.judge import Judge
from fngen.stabilise.keys import Keys
from fngen.stabilise.rewrite import Identity, Rewriter, read
from fngen.stabilise.rows import NAMES, Rule
from fngen.stabilise.search import Search
from tests import strategies
from tests.conftest import SCALE

FORMAT = FORMATS["float64"]
IDENTITIES = [*read(NAMES), *read(FORMS)]
NUMBERS = (0.5, 2.0, -1.0, 1.0, 3.0, -0.25, 1e-3, 1e3, 0.0, 7.25, -1e-150, 1e-290, -40.0, 1e150)
"""What capitals stand for."""
ENOUGH = 12
MOST_UNDECIDED = 0.1
"""Where exp(1e200) is compared with exp(1e300)."""
VANISHING = arb(2) ** -1150
Point = tuple[float, ...]
EDGES: dict[str, tuple[Callable[[Point], bool], str]] = {
    "sqrt(a) - u": (lambda p: p[0] == 0, "beside a = 0 the root has no value, and so no derivative by u"),
    "sqrt(a) + u": (lambda p: p[0] == 0, "beside a = 0 the root has no value, and so no derivative by u"),
    "u**(v - 1)": (lambda p: p[0] == 0, "1/0 has no value there; a float is infinite, and far from 1"),
    "u**(v - 2)": (lambda p: p[0] == 0, "1/0 has no value there; a float is infinite, and far from 1"),
    "u**v - 1": (lambda p: p[0] == 0, "beside u = 0 a power may have no value, and so no derivative"),
    "u**v - u**w": (lambda p: p[0] == 0, "beside u = 0 a power may have no value, and so no derivative"),
    "acos(u)": (lambda p: abs(p[0]) == 1, "beside it a root has no value"),
    "(1 - u**v)/(1 + u**v)": (lambda p: p[0] == 0, "beside u = 0 a power may have no value"),
    "(1 + u)**v - 1": (lambda p: p[0] == -1, "beside u = -1 a power may have no value, and so no derivative"),
    "exp(log(u) - log(v))": (
        lambda p: 0 in p,
        "the reference knows no logarithm of 0; torch's has the limit",
    ),
    "sqrt(u*v)": (lambda p: 0 in p, "beside 0 the root has no value, and so no derivative"),
    "sqrt(u**2 - v**2)": (lambda p: abs(p[0]) == abs(p[1]), "beside it the root has no value"),
    "sqrt(u**2 + a)": (lambda p: p[1] == 0, "at a = 0 two forms meet"),
    "sqrt(u**2 + C*v)": (lambda p: p[1] == 0, "at v = 0 two forms meet"),
    "exp(u) - exp(v)": (lambda p: p[0] == p[1] > 1e5, "balls do not tell that exp(1e200) is exp(1e200)"),
}
"""Where the reference cannot compare a rule's sides, and why."""
NEARLY: dict[str, tuple[float, str]] = {}
"""Rules that hold up to a part of a rounding, and why."""

identities = pytest.mark.parametrize(
    "identity", IDENTITIES, ids=lambda i: f"{i.rule.pattern} -> {i.rule.form}"[:90]
)


def letters(identity: Identity) -> tuple[list[str], list[str]]:
    """Return the variables of a pattern, and its numbers."""
    found = names([identity.pattern])
    return [x for x in found if not x.isupper()], [x for x in found if x.isupper()]


def points(count: int, numbers: int) -> Iterator[Point]:
    """Yield points over all of float64: of random bits and sizes, near and equal ones, edges, and numbers."""
    rng = random.Random(count)
    for i, point in enumerate(sample(count, 100, FORMAT, seed=7)):
        yield (*point, *(NUMBERS[(i + j) % len(NUMBERS)] for j in range(numbers)))
    for _ in range(60 * count):
        moderate = [rng.choice((0.0, rng.uniform(-3, 3), rng.gauss(0, 30))) for _ in range(count)]
        yield (*moderate, *(rng.choice(NUMBERS) for _ in range(numbers)))


def agree(want: Ball | Outcome, got: Ball | Outcome, tolerance: float) -> bool:
    """Say whether two results are one, or cannot be told."""
    if Outcome.UNDECIDED in (want, got) or same(want, got):
        return True
    if isinstance(want, Outcome) or isinstance(got, Outcome):
        return False
    return bool(abs(want - got) < VANISHING) or bool(abs(want - got) <= abs(want) * tolerance)


def mistakes(identity: Identity) -> list[str]:
    """Return where value or first derivative of pattern and form differ, or only one has any."""
    variables, numbers = letters(identity)
    inputs = (*variables, *numbers)
    before, after = Exact(identity.pattern, inputs), Exact(identity.form, inputs)
    holds = None if identity.given is None else Exact(identity.given, inputs)
    at_edge, _ = EDGES.get(identity.rule.pattern, (lambda _: False, ""))
    tolerance, _ = NEARLY.get(identity.rule.pattern, (0.0, ""))
    wrong, seen, undecided = [], 0, 0
    for point in points(len(variables), len(numbers)):
        if at_edge(point) or (holds is not None and holds.at(point) != [(1.0, 0.0)]):
            continue
        results = list(zip(before.balls(point, 1), after.balls(point, 1), strict=True))[: 1 + len(variables)]
        seen += not isinstance(results[0][0], Outcome)
        undecided += any(Outcome.UNDECIDED in pair for pair in results)
        for k, (want, got) in enumerate(results):
            if not agree(want, got, tolerance):
                what = "value" if not k else f"derivative by {inputs[k - 1]}"
                wrong.append(f"{what} at {point}: {want} became {got}")
    assert seen >= ENOUGH
    assert undecided <= MOST_UNDECIDED * seen
    return wrong


@identities
def test_a_rule_is_an_identity(identity: Identity) -> None:
    """On the whole domain of its pattern; where that has no value, the form has none."""
    wrong = mistakes(identity)
    assert not wrong, "\n".join(wrong[:8])


def test_no_exception_is_left_over() -> None:
    assert {*EDGES, *NEARLY} <= {i.rule.pattern for i in IDENTITIES}


@identities
def test_what_a_form_is_made_of_is_in_its_pattern(identity: Identity) -> None:
    assert set(names([identity.form])) <= set(names([identity.pattern]))
    assert identity.rule.reason
    if identity.given is not None:
        assert set(names([identity.given])) <= set(letters(identity)[1])


def test_no_rule_is_there_twice() -> None:
    for table in (NAMES, FORMS):
        pairs = [(rule.pattern, rule.form) for rule in table]
        assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize(
    ("pattern", "form", "given"),
    [
        ("1 - cos(u)", "2*sin(u/2)", ""),
        ("abs(u)", "u", ""),
        ("sqrt(u**2 + C)", "hypot(u, sqrt(abs(C)))", ""),
        ("log(u) - log(v)", "log(u/v)", ""),
        ("hypot(u, V) - V", "u*(u/(hypot(u, V) + V))", "V < 0"),
        ("log1pexp(u)", "where(u > 30, u, log1pexp(u))", ""),
        ("1/u", "u/u**2 + 1e-30", ""),
    ],
)
def test_a_wrong_rule_is_found(pattern: str, form: str, given: str) -> None:
    (identity,) = read((Rule(pattern, form, "wrong", given),))
    assert mistakes(identity)


# Matching.


LENGTHS = (
    Rule("sqrt(u**2 + v**2)", "hypot(u, v)", "no overflow"),
    Rule("sqrt(u**2 + C)", "hypot(u, sqrt(C))", "no overflow", "C > 0"),
)
"""Rules for squares of all kinds, whichever the table has."""


def folded(text: str, *, rule: bool = False) -> Value:
    root = parse_expression(text, rule=rule)
    return fold_numbers([root])[root]


@pytest.mark.parametrize(
    ("formula", "form"),
    [
        # Any order, any scale, any sign.
        ("1/(exp(-x) + 1)", "logistic(x)"),
        ("(1 + exp(-x))**-1", "logistic(x)"),
        ("exp(x)/(exp(x) + 1)", "logistic(x)"),
        ("-1/(1 + exp(-x))", "-logistic(x)"),
        ("5*exp(x*y)/(1 + exp(y*x))", "5*logistic(x*y)"),
        ("exp(y)*exp(x)/(exp(x) + exp(-x))", "exp(y)*logistic(2*x)"),
        ("(exp(-x) - exp(x))/(exp(-x) + exp(x))", "tanh(-x)"),
        ("(1 - exp(x))/(exp(x) + 1)", "-tanh(x/2)"),
        ("1/(1 + exp(-x))**2", "logistic(x)**2"),
        ("1/(1 + exp(-(x + y)))", "logistic(x + y)"),
        ("log(1 - exp(-x))", "log1mexp(-x)"),
        ("exp(x - y) - exp(-(x - y))", "2*sinh(x - y)"),
        ("exp(2*(x - y)) + exp(2*y - 2*x)", "2*cosh(2*(x - y))"),
        ("1/(1 + exp(x - y)) - 1/(1 + exp(y - x))", "tanh((y - x)/2)"),
        # Inside of larger sums and products.
        ("log(1 + exp(x)) + y + sin(x)", "log1pexp(x) + y + sin(x)"),
        ("y*x*log(1 + exp(x))*sin(y)", "y*x*log1pexp(x)*sin(y)"),
        ("y + 3*exp(x) - 3", "y + 3*expm1(x)"),
        ("(1 - cos(x*y))/x + y", "2*sin(x*y/2)**2/x + y"),
        ("3 - cos(x)**2*3 + y", "3*sin(x)**2 + y"),
        ("log(1/(1 + exp(-x)))", "-log1pexp(-x)"),
        ("x*(1 - erf(x/sqrt(2)))/2", "x*erfc(x/sqrt(2))/2"),
        ("(1 - tanh(x)**2)*y", "sech(x)**2*y"),
        ("1 - tanh(x)*tanh(x)", "sech(x)**2"),
        # Squares: of products and quotients, scaled, higher powers.
        ("sqrt(y**2 + x**2)", "hypot(x, y)"),
        ("1/sqrt(y**2 + x**2)", "1/hypot(x, y)"),
        ("(x**2 + y**2)**(1/2)", "hypot(x, y)"),
        ("(x*x + y*y)**-0.5", "1/hypot(x, y)"),
        ("rsqrt(x**2 + y**2)", "1/hypot(x, y)"),
        ("z/(x**2 + y**2)**(3/2)", "z/hypot(x, y)**3"),
        ("(x**2 + y**2)**2.5", "hypot(x, y)**5"),
        ("sqrt((x*z)**2 + y**2)", "hypot(x*z, y)"),
        ("sqrt((x/z)**2 + (x - y)**2)", "hypot(x/z, x - y)"),
        ("sqrt(x**2/4 + 9*y**2)", "hypot(x/2, 3*y)"),
        ("sqrt(2*x**2 + y**2)", "hypot(sqrt(2)*x, y)"),
        ("sqrt(x**2 + y**4)", "hypot(x, y**2)"),
        ("sqrt(x**2 + 9)", "hypot(x, 3)"),
        ("sqrt(2 + x**2)", "hypot(x, sqrt(2))"),
        ("log(x + sqrt(x**2 + 1))", "asinh(x)"),
        ("log(x*y + sqrt(x**2*y**2 + 1))", "asinh(x*y)"),
        ("log(sqrt(x**2 + 1) - x)", "asinh(-x)"),
        ("log(x + sqrt(x*x - 1))", "acosh(x)"),
        ("exp(x**2/2)*erfc(x/sqrt(2))", "erfcx(x/sqrt(2))"),
        ("exp(x**2/2)*erfc(sqrt(2)*x/2)", "erfcx(x/sqrt(2))"),
        ("exp(4*x**2)*erfc(2*x)", "erfcx(2*x)"),
        ("exp((x - y)**2/z**2)*erfc((x - y)/z)", "erfcx((x - y)/z)"),
        ("log(exp(y) + exp(x))", "logaddexp(x, y)"),
        ("log(x + hypot(1, x))", "asinh(x)"),
        # Only a part is what it looks like.
        ("exp(x)/(1 + exp(y))", "exp(x)*logistic(-y)"),
        ("(exp(x) - exp(-y))/(exp(x) + exp(-x))", "sech(x)*(exp(x) - exp(-y))/2"),
        ("sinh(x)/cosh(y)", "sinh(x)*sech(y)"),
    ],
)
def test_what_is_recognised(formula: str, form: str) -> None:
    """Up to the order of what they are made of."""
    (found,), keys = Rewriter((*NAMES, *LENGTHS))([folded(formula)]), Keys()
    assert keys(found) == keys(folded(form, rule=True)), dump(found)


@pytest.mark.parametrize(
    "formula",
    [
        *("1/(1 + exp(x) + y)", "1/(2 + exp(x))", "1 + cos(x)", "2 - cos(x)", "1 - cos(x)**3", "log(2 + x)"),
        *("sqrt(x**2 - y**2)", "sqrt(x**2 - 4)", "sqrt(x**3 + y**2)", "log(exp(x) - 2)", "sqrt(x**2 + y)"),
        *("1 - erf(x)*y", "exp(x**3)*erfc(x)", "exp(2) - 1 + x", "exp(2*x**2)*erfc(x)", "x + y*z - x*y/z"),
        *("sin(x)**2 + cos(y)**2", "log(x + sqrt(y**3 + 1))", "where(x < y, x*y, sin(x))", "x", "2.50*x"),
    ],
)
def test_what_is_none_of_them_stays(formula: str) -> None:
    """As the very same graph."""
    root = parse_expression(formula)
    assert Rewriter((*NAMES, *LENGTHS))([root]) == [root]


# Random formulas.


GENERIC = ((0.713, 1.329), (-1.117, 0.441), (0.307, -2.213), (-50.53, -60.27))
"""Points on no threshold of a guard."""


def read_formula(text: str) -> Value | None:
    """Return a graph, or None for what is no formula: a quotient by 0."""
    try:
        return parse_expression(text, rule=True)
    except FormulaError:
        return None


def differences(before: Value, after: Value, tolerances: tuple[float, float]) -> list[str]:
    """Return where two graphs differ, in value or first derivatives."""
    judges = [Exact(graph, ("x", "y")) for graph in (before, after)]
    wrong = []
    for point in GENERIC:
        for k, (want, got) in enumerate(zip(*(judge.balls(point, 1) for judge in judges), strict=True)):
            if not (agree(want, got, tolerances[k > 0]) or _both_vanish(want, got)):
                wrong.append(f"{k} at {point}: {want} became {got}")
    return wrong


def _both_vanish(want: Ball | Outcome, got: Ball | Outcome) -> bool:
    if isinstance(want, Outcome) or isinstance(got, Outcome):
        return False
    return bool(abs(want) < 1e-10) and bool(abs(got) < 1e-10) and bool(abs(want - got) < 1e-18)


@settings(max_examples=400 * SCALE)
@given(strategies.recognisable())
def test_recognising_changes_no_value(text: str) -> None:
    """It ends, where nothing is left to recognise; the result is not much longer."""
    root = read_formula(text)
    if root is None:
        return
    (found,) = Rewriter(NAMES)([root])
    assert Rewriter(NAMES)([found]) == [found]
    assert tree_size(found) <= 3 * tree_size(root) + 10
    if found is not root:
        assert not differences(root, found, (2.0**-57, 2.0**-57)), dump(found)


@settings(max_examples=100 * SCALE)
@given(strategies.recognisable(3))
def test_no_form_that_is_tried_has_another_value(text: str) -> None:
    """Up to rounding: a Taylor polynomial has as many digits as a number."""
    root = read_formula(text)
    if root is None or tree_size(root) > 60:
        return
    for form, _ in islice(Search(_nobody, {}).neighbours(root), 40):
        assert not differences(root, form, (2.0**-54, 2.0**-40)), dump(form)


def _nobody() -> Judge:
    raise AssertionError("nothing is judged")


@pytest.mark.parametrize(
    ("formula", "form"),
    [
        ("-x*-x + (1 - ndtr(y))", "x*x + ndtr(-y)"),
        ("1/(-1/(1 + exp(x)))", "1/(-logistic(-x))"),
        ("(1 - erf(y))/(-x)**-1", "-x*erfc(y)"),
    ],
)
def test_signs_and_numbers_are_kept(formula: str, form: str) -> None:
    (found,) = Rewriter(NAMES)([folded(formula)])
    assert not differences(folded(form, rule=True), found, (0.0, 0.0)), dump(found)


@pytest.mark.parametrize(
    ("formula", "points"),
    [
        ("x*logistic(x)", (-41.5, -300.25, -700.0)),
        ("logistic(x) + x*logistic_pdf(x)", (-41.5, -300.25)),
        ("x*tanh(log1pexp(x))", (-41.5, -300.25)),
        ("erf(log1pexp(-x))*(2 - x)", (41.5, 300.25)),
        ("expm1(2*x)/expm1(x)", (41.5, 300.25)),
        ("(expm1(x) - x)/x**2", (41.5, 300.25)),
    ],
)
def test_where_an_exponential_is_all_it_has_the_same_value(formula: str, points: tuple[float, ...]) -> None:
    root = parse_expression(formula, rule=True)
    forms = list(faint(root))
    assert forms
    for form in forms:
        judges = Exact(root, ("x",)), Exact(form, ("x",))
        for point in points:
            want, got = (judge.balls((point,), 0)[0] for judge in judges)
            assert agree(want, got, 2.0**-52), dump(form)


@pytest.mark.parametrize(
    "formula",
    ["(y - 3)*exp(x) + exp(2*x)", "(x + 50)*exp(x) + exp(2*x)", "sin(x)*exp(x) + exp(2*x)", "x + exp(x)"],
)
def test_beside_a_root_of_what_stands_before_it_another_power_matters(formula: str) -> None:
    assert not [form for form in faint(parse_expression(formula, rule=True)) if form.args[0].op == "lt"]


@pytest.mark.parametrize(
    "formula",
    [
        "1/((2*x)**2 + (2*x)**2*y)",
        "x*(y + abs(x)**(1/3))",
        "y*(x**40 + 3*x)/y**2",
        "(x - x)*y + sin(x)",
        "1/(3*x)**3",
    ],
)
def test_arrangements_keep_what_is_in_powers(formula: str) -> None:
    root = parse_expression(formula)
    forms = list(arrangements(root))
    for form in forms:
        assert not differences(root, form, (0.0, 0.0)), dump(form)
    assert forms
