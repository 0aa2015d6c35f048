"""Stabilised layers from formula to numbers: no worse than the plain form, twice differentiable, deterministic."""

from __future__ import annotations

import math
import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from itertools import combinations_with_replacement, product
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from torch import Tensor

import fngen
from fngen import problem
from fngen.accuracy import FORMATS, Exact, Outcome, error, sample
from fngen.cli import main
from fngen.errors import FormulaError
from fngen.ir import names, tree_size
from fngen.language.parse import parse_expression
from fngen.load import load
from fngen.pipeline import generate
from fngen.spec import Spec
from fngen.stabilise import arrangements, search
from fngen.stabilise.drawn import PATIENCE
from fngen.stabilise.judge import Judge
from fngen.stabilise.match import Matcher
from fngen.verification.reference import evaluate
from tests import strategies
from tests.conftest import ROOT, SCALE
from tests.oracle import differentiate, tensors

FORMAT = FORMATS["float64"]
BAD = 64.0
"""Errors in ulp from which on a result is bad."""
FEW, SHARE = 1, 0.25
"""How many results may become bad for those that become good; what share of the points that nobody computes with."""
Point = tuple[float, ...]


class Subject:
    """A formula with its exact results, and its layer in a better form and as it is written."""

    def __init__(self, text: str, inputs: Sequence[str]) -> None:
        self.inputs = tuple(inputs)
        self.exact = Exact(parse_expression(text), self.inputs)
        make = {
            flag: Spec.create(text, name="layer", inputs=self.inputs, stabilise=flag)
            for flag in (True, False)
        }
        self.layers = {flag: load(generate(spec)).layer for flag, spec in make.items()}

    def results(
        self, points: Sequence[Point], *, stabilise: bool = True, order: int = 1
    ) -> list[list[float]]:
        """Return value, first partials, and in order 2 the second ones, of each point."""
        columns = tensors(list(zip(*points, strict=True)))
        y = self.layers[stabilise](*columns)
        if not isinstance(y, Tensor):
            return []
        n = range(len(self.inputs))
        indices = [k for m in range(order + 1) for k in combinations_with_replacement(n, m)]
        found = [differentiate(y, columns, k).expand(len(points)).tolist() for k in indices]
        return [list(row) for row in zip(*found, strict=True)]

    def harm(self, points: Sequence[Point], *, stabilise: bool) -> list[tuple[int, int]]:
        """Return for value and partials at how many points they are wrongly no number, and at how many bad."""
        errors = [
            [
                error(got, want, FORMAT)
                for want, got in zip(self.exact.at(p, 1), row, strict=True)
                if _is_number(want)
            ]
            for p, row in zip(points, self.results(points, stabilise=stabilise), strict=False)
        ]
        complete = [row for row in errors if len(row) == 1 + len(self.inputs)]
        columns = list(zip(*complete, strict=True))
        return [(sum(e.nonfinite for e in c), sum(e.nonfinite or e.ulp > BAD for e in c)) for c in columns]


def _is_number(want: object) -> bool:
    return isinstance(want, tuple)


@cache
def usual(inputs: int) -> tuple[Point, ...]:
    """Return points of the size that people compute with, small integers among them."""
    rng = random.Random(inputs)
    sizes = [
        tuple(rng.choice((-1, 1)) * 2.0 ** rng.uniform(-30, 10) for _ in range(inputs)) for _ in range(30)
    ]
    calm = [tuple(rng.gauss(0, 2) for _ in range(inputs)) for _ in range(20)]
    return (*sizes, *calm, *product((0.0, 1.0, -1.0), repeat=inputs))


def no_worse(subject: Subject, points: Sequence[Point], allowed: tuple[int, int]) -> None:
    """Fail if a better form is one for the worse."""
    before, after = (subject.harm(points, stabilise=flag) for flag in (False, True))
    for k, ((wrong, bad), (still, now)) in enumerate(zip(before, after, strict=True)):
        assert still <= wrong + allowed[0], (k, before, after)
        assert now <= bad + allowed[1], (k, before, after)


def subject(text: str) -> Subject | None:
    """Return a formula that is one, has inputs, and is not long."""
    try:
        graph = parse_expression(text)
        inputs = sorted(names([graph]))
        return Subject(text, inputs) if inputs and tree_size(graph) <= 40 else None
    except FormulaError:
        return None


@settings(max_examples=25 * SCALE)
@given(strategies.recognisable(3))
def test_a_better_form_is_no_worse(text: str) -> None:
    """Of no formula that has in it what is looked for, at no point of usual size."""
    found = subject(text)
    if found is not None:
        no_worse(found, usual(len(found.inputs)), (0, FEW))
        wild = sample(len(found.inputs), 20, FORMAT, seed=5)[:20]
        no_worse(found, wild, (int(SHARE * 20), int(SHARE * 20)))


@settings(max_examples=25 * SCALE)
@given(strategies.formulas(strategies.SMOOTH, (), 5))
def test_other_formulas_are_no_worse(text: str) -> None:
    found = subject(text)
    if found is not None and len(found.inputs) <= 3:
        no_worse(found, usual(len(found.inputs)), (0, FEW))


@pytest.mark.parametrize(
    "text",
    [
        *("1/y - 1/y + x - x", "x*(1/y - 1/y)", "log(1 + exp(x*y/y))", "(exp(x) - 1)/(exp(x) + 1) + y - y"),
        *("sqrt(x + y) - sqrt(x) - sqrt(x + y)", "1/(1 + exp(x)) + 0*y", "1/(1 + exp(x - y + y))"),
    ],
)
def test_every_variable_stays(text: str) -> None:
    """The result has the shape of all inputs, and is no number where one of them is none."""
    x = torch.full((3, 1), 0.5, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[1.5, math.nan]], dtype=torch.float64, requires_grad=True)
    made = generate(Spec.create(text, name="layer", inputs=("x", "y"), stabilise=True))
    found = load(made).layer(x, y)
    found.sum().backward()
    assert found.shape == (3, 2)
    assert found[:, 1].isnan().all()
    assert x.grad is not None
    assert y.grad is not None


# Second derivatives.


KINDS = (
    *("log(1 + exp(x))", "1/(1 + exp(-x))", "x/(1 + exp(-x))", "(exp(x) - exp(-x))/(exp(x) + exp(-x))"),
    *("(exp(x) - 1)/x", "x/(exp(x) - 1)", "(1 - cos(x))/x**2", "sin(x)/x", "coth(x) - 1/x", "log(1 + x)/x"),
    *(
        "log(cosh(x))",
        "log(1 - exp(-x))",
        "1 - erf(x)",
        "log((1 + erf(x))/2)",
        "exp(-x**2/2)",
        "exp(x**2)*erfc(x)",
    ),
    *(
        "sqrt(x**2 + 1) - 1",
        "log(x + sqrt(x**2 + 1))",
        "sqrt(x + 1) - sqrt(x)",
        "1/(x**2 + 1)",
        "x*exp(-x)/(1 + exp(-x))",
    ),
    *(
        "exp(x)/(1 + exp(x))**2",
        "1/(exp(x) - 1)",
        "1 - tanh(x)**2",
        "1/cosh(x)**2",
        "x*(1 + erf(x/sqrt(2)))/2",
    ),
    *(
        "log((1 + x)/(1 - x))",
        "1/sqrt(1 - x) - 1",
        "x - sqrt(x**2 - 1)",
        "x*tanh(log(1 + exp(x)))",
        "cos(x) - cos(2*x)",
    ),
)
THRESHOLDS = (0.0, 1.0, 40.0, 0.125, 0.25, 0.5, 2.0, 0.7, 20.0, 700.0)
"""Where guards and choices change."""
LINE = tuple(
    s * t * (1 + e)
    for t in THRESHOLDS
    for s in (1, -1)
    for e in ((0.0, 2.0**-52, -(2.0**-52), 1e-3) if t else (0.0,))
)


@pytest.mark.parametrize("text", KINDS)
def test_second_derivatives_at_thresholds(text: str) -> None:
    """No branch that is not taken makes a nan: not in the value, the gradient, or the second derivative."""
    found = Subject(text, ("x",))
    points = [(x,) for x in (*LINE, *(x / 7 for x in range(-20, 21) if x))]
    for point, row in zip(points, found.results(points, order=2), strict=True):
        for k, (want, got) in enumerate(zip(found.exact.at(point, 2), row, strict=True)):
            if isinstance(want, Outcome) or not math.isfinite(want[0]):
                continue
            assert math.isfinite(got), (k, point, want, got)
            if abs(point[0]) < 4:
                assert got == pytest.approx(want[0], rel=1e-6, abs=1e-9), (k, point)


@settings(max_examples=20 * SCALE)
@given(strategies.recognisable(3))
def test_second_derivatives_are_numbers(text: str) -> None:
    """Wherever they are for the plain form; so at 0, and where guards and choices change."""
    found = subject(text)
    if found is None or len(found.inputs) > 2:
        return
    points = usual(len(found.inputs)) if len(found.inputs) == 2 else [(x,) for x in LINE]
    plain, better = (found.results(points, stabilise=flag, order=2) for flag in (False, True))
    for point, before, after in zip(points, plain, better, strict=True):
        exact = found.exact.at(point, 2)
        for k, (want, without, got) in enumerate(zip(exact, before, after, strict=True)):
            if isinstance(want, tuple) and math.isfinite(want[0]) and math.isfinite(without):
                assert math.isfinite(got), (k, point, want, without, got)


PLANE = (
    "sqrt(x**2 + y**2)",
    "log(exp(x) + exp(y))",
    "exp(x)/(exp(x) + exp(y))",
    "sqrt(x) - sqrt(y)",
    "x**2 - y**2",
    "x*log(x/y)",
    "1/(x**2 + y**2)",
    "x/(x**2 + y**2)",
    "exp(x) - exp(y)",
    "sqrt(x**2 + y**2) - x",
    "(x - y)/(log(x) - log(y))",
    "(exp(x + y) - 2*exp(x) + exp(x - y))/y**2",
    "(cos(x + y) - 2*cos(x) + cos(x - y))/y**2",
)


@pytest.mark.parametrize("text", PLANE)
def test_second_derivatives_of_two_variables(text: str) -> None:
    found = Subject(text, ("x", "y"))
    points = list(product((0.0, 1.0, -1.0, 0.3, 2.5, -1.7), repeat=2))
    for point, row in zip(points, found.results(points, order=2), strict=True):
        for k, (want, got) in enumerate(zip(found.exact.at(point, 2), row, strict=True)):
            if isinstance(want, tuple) and math.isfinite(want[0]):
                assert got == pytest.approx(want[0], rel=1e-6, abs=1e-9), (k, point)


ROOTS = (
    "(x + y + z - sqrt((x + y + z)**2 - 4*x*y))/(2*x)",
    "sqrt((x + y)**2 + z) - (x + y)",
    "x - y + sqrt((y - x)**2 + z)",
    "2*x/(x + y - 1 + sqrt((x + y - 1)**2 - x*z))",
)


@pytest.mark.parametrize("text", ROOTS)
def test_roots_of_quadratic_equations(text: str) -> None:
    """What is squared in a root is a sum, and what it is taken from a longer one."""
    found = Subject(text, ("x", "y", "z"))
    points = [(2.0**-i, 300.0 + i / 3, 0.7) for i in range(3, 20)]
    for point, (got,) in zip(points, found.results(points, order=0), strict=True):
        want = found.exact.at(point, 0)[0]
        assert isinstance(want, tuple)
        assert error(got, want, FORMAT).ulp <= 6, point


# Deterministic, and as asked.


CHOSEN = (
    "(exp(x) - 1)/x",
    "log(exp(x) + exp(y))",
    "sqrt(x + 1) - sqrt(x)",
    "x/(x**2 + y**2)",
    "coth(x) - 1/x",
    "(exp(-x*z) - exp(-y*z))/(y - x)",
)


def test_hash_seed_does_not_matter(tmp_path: Path) -> None:
    code = f"import fngen\nfor text in {(*CHOSEN[:3], CHOSEN[-1])!r}: print(fngen.generate(text, stabilise=True).text)"
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in "012"
    }
    assert len(texts) == 1


def test_a_second_time_is_the_same() -> None:
    """What is kept from one formula to the next does not change what another one becomes."""
    texts = [fngen.generate(text, stabilise=True).text for text in CHOSEN[:3]]
    assert texts[::-1] == [fngen.generate(text, stabilise=True).text for text in CHOSEN[2::-1]]


@pytest.mark.parametrize("text", CHOSEN)
def test_a_formula_may_stay_as_it_is_written(text: str) -> None:
    """In the value to the last bit."""
    plain, better = fngen.generate(text, stabilise=False), fngen.generate(text)
    assert plain.text.replace(" --no-stabilise", "") != better.text
    graph = parse_expression(text)
    torch.manual_seed(0)
    inputs = {x: 3 * torch.rand(50, dtype=torch.float64) for x in sorted(names([graph]))}
    layer = load(generate(Spec.create(text, name="layer", inputs=tuple(inputs), stabilise=False))).layer
    (want,) = (evaluate([graph], inputs)[n] for n in [graph])
    assert torch.equal(layer(*inputs.values()), want)


def command(*args: str) -> str:
    result = CliRunner().invoke(main, list(args))
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_line_and_the_header(folder: Path) -> None:
    text = CHOSEN[0]
    for flags, keywords in (((), {}), (("--no-stabilise",), {"stabilise": False})):
        path = Path("layer.py")
        command("generate", text, "--name", "layer", "-o", str(path), "--no-verify", *flags)
        assert path.read_text() == fngen.generate(text, name="layer", **keywords).text
        assert ("--no-stabilise" in path.read_text()) == bool(flags)
        assert command("check", str(path)) == f"{path}: up to date\n"


def test_the_key_of_a_project(folder: Path) -> None:
    Path("fngen.toml").write_text(
        '[layers]\nbetter = "log(1 + exp(x))"\n\n[layers.as_typed]\nformula = "log(1 + exp(x))"\nstabilise = false\n'
    )
    command("build", "--no-verify", "-j", "1")
    for name, flag in (("better", True), ("as_typed", False)):
        want = fngen.generate("log(1 + exp(x))", name=name, stabilise=flag).text
        assert Path("generated", f"{name}.py").read_text() == want


def test_formulas_without_better_form_are_the_same_file() -> None:
    for text in ("x1**3 + x2**2", "x*sin(y) + z", "sum(x*w, dim=-1) + b", "where(x > 0, x, y*sin(x))"):
        plain = fngen.generate(text, stabilise=False).text.partition("class _")
        assert plain[1:] == fngen.generate(text).text.partition("class _")[1:]


# Bounded.


def test_exact_values_that_take_too_much_work_are_given_up() -> None:
    """Counted, not timed: the same on every machine."""
    text = "lgamma(x)/lgamma(y)*digamma(z)"
    for formula, complete in ((text, False), ("(exp(x) - 1)/x", True)):
        graph = parse_expression(formula)
        judge = Judge(graph, sorted(names([graph])), {})
        assert judge.complete == complete
        assert (judge.exact.work > PATIENCE) != complete
    plain, better = fngen.generate(text, stabilise=False).text, fngen.generate(text).text
    assert plain.replace(" --no-stabilise", "").partition("class _")[1:] == better.partition("class _")[1:]


@pytest.mark.parametrize(
    ("text", "place", "value", "slope"),
    [
        ("log(x)/(x - 1)", 1.0, 1.0, -0.5),
        ("1/(x - 1) - 1/log(x)", 1.0, -0.5, 1 / 12),
        ("sin(pi*x)/(x - 2)", 2.0, math.pi, 0.0),
        ("(exp(x + 3) - 1)/(x + 3)", -3.0, 1.0, 0.5),
        ("(sqrt(x) - 2)/(x - 4)", 4.0, 0.25, -1 / 64),
        ("sin(2*x - 3)/(4*x - 6)", 1.5, 0.5, 0.0),
    ],
)
def test_a_singularity_is_removed_at_any_number(text: str, place: float, value: float, slope: float) -> None:
    function = fngen.compile(text, name="removed").removed
    x = torch.tensor([place, math.nextafter(place, math.inf)], dtype=torch.float64, requires_grad=True)
    y = function(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(y, torch.full_like(y, value), rtol=1e-14, atol=0)
    torch.testing.assert_close(gradient, torch.full_like(y, slope), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("sqrt(x**2 + y**2)", "return torch.hypot(x, y).to(dtype)  # no overflow"),
        ("log(1 + exp(x))", "return nn.functional.softplus(x, threshold=40)  # no overflow"),
        ("x**3 + y", "return (x**3 + y).to(dtype)\n"),
    ],
)
def test_a_form_says_why(text: str, line: str) -> None:
    assert line in fngen.generate(text, name="layer").text


HOSTILE = {
    "many operations": " + ".join(f"exp({i}*x)/(1 + exp({i}*x))" for i in range(1, 300)),
    "deep": "sin(" * 1000 + "x" + ")" * 1000,
    "deep exponentials": "exp(" * 30 + "x" + ")" * 30,
    "deep recognised": "log(1 + exp(" * 30 + "x" + "))" * 30,
    "a long sum of exponentials": f"log({' + '.join(f'exp(x{i})' for i in range(40))})",
    "a long sum of one variable": f"log({' + '.join(f'exp({i}*x)' for i in range(1, 41))})",
    "a long sum of squares": f"sqrt({' + '.join(f'({i}*x - y)**2' for i in range(1, 20))})",
    "a long product": "*".join(f"(1 - cos({i}*x))" for i in range(1, 41)),
    "many powers": " + ".join(f"x**{i}" for i in range(1, 60)),
    "many fractions": " + ".join(f"1/(x + {i})" for i in range(1, 12)),
    "high powers": "x**500*exp(-x) + (x + 1)**300/(x**200 + 1)",
    "a Taylor polynomial of a quotient": "log(ndtr(1/y))",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_work_is_bounded(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: forms judged, fractions made, comparisons of patterns with graphs."""
    counts = dict.fromkeys(("judged", "fractions", "compared"), 0)

    def counted(owner: object, name: str, label: str) -> None:
        plain = getattr(owner, name)

        def wrapper(*args: object) -> object:
            counts[label] += 1
            return plain(*args)

        monkeypatch.setattr(owner, name, wrapper)

    counted(Judge, "__call__", "judged")
    counted(arrangements, "one_fraction", "fractions")
    counted(Matcher, "_same", "compared")
    graph = problem.read(Spec.create(text, name="layer"))
    outputs = 1 + len(graph.inputs)
    generate.cache_clear()
    generate(Spec.create(text, name="layer", stabilise=True))
    assert counts["judged"] <= search.EFFORT * outputs
    assert counts["fractions"] <= 4 * search.EFFORT
    assert counts["compared"] <= 400_000, counts


@pytest.mark.parametrize(
    "text",
    [
        "4*y*((z/x)**12 - (z/x)**6)",  # A sign goes into a number that was not there.
        "x*(1 + x)**y/((1 + x)**y - 1)",  # A condition holds beside another one.
        "exp(-y/8.314*(1/x - 1/298.15))",  # Where a variable is 0 or 1 a part of it is nothing.
    ],
)
def test_what_rules_leave_behind_is_a_formula(text: str) -> None:
    source = fngen.generate(text, name="f")
    assert not re.search(r"\b(true|false)\b", source.text)
    assert fngen.verify(source).ok
