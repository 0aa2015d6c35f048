"""Parts that reduce and are recognised: the rules, how they may be spelled, what comes of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  As everybody calls it.

import fngen
from fngen import problem
from fngen.algebra import exact, fold_numbers
from fngen.grids import Grid, evaluate
from fngen.ir import Over, Value, dump, is_number, name, names, number, value
from fngen.language.parse import parse_expression
from fngen.load import load
from fngen.reducing import with_dimensions
from fngen.spec import Spec
from fngen.stabilise.keys import Keys
from fngen.stabilise.match import Match
from fngen.stabilise.reducing_rows import OF_REDUCTIONS
from fngen.stabilise.rewrite import Identity, Rewriter, read, substituted
from fngen.stabilise.rows import NAMES, Rule
from fngen.stabilise.stage import recognised
from tests.conftest import SCALE
from tests.kernels import BACKENDS, is_from_kernel, made
from tests.plain import DEVICE

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter")
IDENTITIES = read(OF_REDUCTIONS)
SHAPE = (2, 4)
DIMS = ((-1,), (0,), (-2, -1), None)
NUMBERS = tuple(map(number, (2, 3, 4, 5, -1, 0)))
POWERS = [(number(p), value("div", number(1), number(p))) for p in (2, 3, 4, 5)]
DIGITS = 80

# The rules.


def filled(identity: Identity, dims: tuple[int, ...] | None, numbers: dict[str, Value]) -> list[Value]:
    """Return the sides of a rule that reduces over some dimensions, and what must hold."""
    bound = {x: name(x) for x in names([identity.pattern])} | numbers
    match = Match(bound | {"dims": value("dims", datum=Over(dims))})
    return [
        fold_numbers([g := substituted(s, match)])[g]
        for s in (identity.pattern, identity.form, identity.given)
        if s
    ]


def grids(rng: random.Random, count: int) -> Iterator[dict[str, Grid]]:
    """Yield inputs of all sizes, with zeros, equal ones, and those whose exponentials no format holds."""
    for _ in range(count):
        scale = rng.choice((1e-6, 1.0, 30.0, 900.0))
        offset = rng.choice((0.0, 0.0, 1e4, -1e4))
        draw = lambda scale=scale, offset=offset: rng.choice(  # noqa: E731
            (0.0, offset, offset + rng.gauss(0, scale), rng.uniform(-3, 3))
        )
        yield {x: Grid(SHAPE, tuple(mp.mpf(draw()) for _ in range(8))) for x in "aeuvw"}


def same(a: Any, b: Any) -> bool:
    """Say whether two results are one, or both none."""
    return a == b or (mp.isnan(a) and mp.isnan(b)) or mp.almosteq(a, b, 1e-25, 1e-25)


def mistakes(identity: Identity) -> list[str]:
    """Return where the sides of a rule have other values, or only one has any."""
    capitals = [x for x in names([identity.pattern]) if x.isupper()]
    rng, wrong, seen = random.Random(1), list[str](), 0
    choices = [{}] if not capitals else [{"C": c} for c in NUMBERS]
    choices = [{"P": p, "Q": q} for p, q in POWERS] if "P" in capitals else choices
    for numbers in choices:
        for dims in DIMS:
            pattern, form, *given = filled(identity, dims, numbers)
            if given and not is_number(given[0], 1):
                continue
            for variables in grids(rng, 40 // len(choices) + 5):
                want, got = (evaluate(side, variables) for side in (pattern, form))
                seen += sum(map(mp.isfinite, want.items))
                wrong += [
                    f"{a} became {b} over {dims} of {variables}"
                    for a, b in zip(want.items, got.items, strict=True)
                    if not same(a, b)
                ]
    assert seen > 50
    return wrong


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda i: f"{i.rule.pattern} -> {i.rule.form}")
def test_a_rule_is_an_identity(identity: Identity) -> None:
    """Of values at neighbouring points, and so of derivatives; nan where the pattern has no value."""
    with mp.workdps(DIGITS):
        wrong = mistakes(identity)
    assert not wrong, "\n".join(wrong[:4])


@pytest.mark.parametrize(
    ("pattern", "form"),
    [
        ("log(sum(exp(u)))", "max(u)"),
        ("log(mean(exp(u)))", "logsumexp(u)"),
        ("mean(u**2) - mean(u)**2", "var(u)"),
        ("sqrt(sum(u**2))", "sqrt(sum(abs(u)))"),
        ("log(a/sum(exp(u)))", "log(abs(a)) - logsumexp(u)"),
        ("sum(u**P)**Q", "norm(u, P)"),
    ],
)
def test_a_wrong_rule_is_found(pattern: str, form: str) -> None:
    (identity,) = read((Rule(pattern, form, "wrong"),))
    with mp.workdps(DIGITS):
        assert mistakes(identity)


def test_rules_are_well_made() -> None:
    assert len({i.rule.pattern for i in IDENTITIES}) == len(IDENTITIES)
    for identity in IDENTITIES:
        assert {*names([identity.form])} <= {*names([identity.pattern]), "n"}
        assert identity.rule.reason


# How they may be spelled.

SPELLINGS = (
    """
exp(x)/sum(exp(x), dim=-1) => softmax(x, dim=-1)
exp(x)/sum(exp(x)) => softmax(x)
exp(x)/sum(exp(x), dim=(0, -1), keepdim=True) => softmax(x, dim=(0, -1))
exp(x/t)/sum(exp(x/t), dim=-1) => softmax(x/t, dim=-1)
exp(t*x)/sum(exp(x*t), dim=2) => softmax(t*x, dim=2)
w*exp(x)/sum(exp(x), dim=-1) => w*softmax(x, dim=-1)
exp(x)*w/(2*sum(exp(x), dim=-1)) => w*softmax(x, dim=-1)/2
exp(x)*sum(exp(x), dim=-1)**-1 => softmax(x, dim=-1)
1/sum(exp(x), dim=-1)*exp(x) => softmax(x, dim=-1)
-exp(x)/sum(exp(x), dim=-1) => -softmax(x, dim=-1)
e = exp(x); e/sum(e, dim=-1) => softmax(x, dim=-1)
e = exp(x - max(x, dim=-1)); e/sum(e, dim=-1) => softmax(x, dim=-1)
m = max(x, dim=-1); exp(x - m)/sum(exp(x - m), dim=-1) => softmax(x, dim=-1)
m = stop_gradient(max(x, dim=-1)); exp(x - m)/sum(exp(x - m), dim=-1) => softmax(x, dim=-1)
m = max(x/t, dim=-1); exp(x/t - m)/sum(exp(x/t - m), dim=-1) => softmax(x/t, dim=-1)
exp(x - b)/sum(exp(x - b), dim=-1) => softmax(x - b, dim=-1)
exp(-x)/sum(exp(-x), dim=-1) => softmax(-x, dim=-1)
exp(x + b)/sum(exp(b + x), dim=-1) => softmax(x + b, dim=-1)
(exp(x)/sum(exp(x), dim=-1))**2 => softmax(x, dim=-1)**2
exp(x - log(sum(exp(x), dim=-1))) => softmax(x, dim=-1)
softmax(x - max(x, dim=-1), dim=-1) => softmax(x, dim=-1)
exp(x)/sum(exp(x), dim=-1) + y => softmax(x, dim=-1) + y
sin(exp(x)/sum(exp(x), dim=-1))*y => sin(softmax(x, dim=-1))*y
exp(y)/sum(exp(x), dim=-1) => exp(y - logsumexp(x, dim=-1))
sum(exp(y), dim=-1)/sum(exp(x), dim=-1) => exp(logsumexp(y, dim=-1) - logsumexp(x, dim=-1))
exp(y)/(exp(y) + sum(exp(x), dim=-1)) => logistic(y - logsumexp(x, dim=-1))
-log(exp(y)/(exp(y) + sum(exp(x), dim=-1))) => log1pexp(logsumexp(x, dim=-1) - y)
exp(x)/(1 + sum(exp(x), dim=-1)) => exp(x - TOP)/(exp(-TOP) + sum(exp(x - TOP), dim=-1))
exp(x)/(sum(exp(x), dim=-1) + eps) => exp(x - TOP)/(eps*exp(-TOP) + sum(exp(x - TOP), dim=-1))
1/(sum(exp(x), dim=-1) + 1) => logistic(-logsumexp(x, dim=-1))
sum(exp(x)*v, dim=-1)/sum(exp(x), dim=-1) => sum(softmax(x, dim=-1)*v, dim=-1)
log(sum(exp(x), dim=-1)) => logsumexp(x, dim=-1)
log(sum(exp(k*x), dim=-1))/k => logsumexp(k*x, dim=-1)/k
-log(sum(exp(-x))) => -logsumexp(-x)
max(x, dim=-1) + log(sum(exp(x - max(x, dim=-1)), dim=-1)) => logsumexp(x, dim=-1)
m = max(x, dim=-1); log(sum(exp(x - m), dim=-1)) + m + y => logsumexp(x, dim=-1) + y
m = stop_gradient(max(x)); log(sum(exp(x - m))) + m => logsumexp(x)
x - log(sum(exp(x), dim=-1)) => log_softmax(x, dim=-1)
log(sum(exp(x), dim=-1)) - x => -log_softmax(x, dim=-1)
m = max(x, dim=-1); x - m - log(sum(exp(x - m), dim=-1)) => log_softmax(x, dim=-1)
log(softmax(x, dim=-1)) => log_softmax(x, dim=-1)
log(exp(x)/sum(exp(x), dim=-1)) => log_softmax(x, dim=-1)
log(exp(x)) - log(sum(exp(x))) => log_softmax(x)
log(sum(exp(x))/exp(x)) => -log_softmax(x)
log(1/sum(exp(x))) => -logsumexp(x)
m = max(x, dim=-1); log(exp(x - m)/sum(exp(x - m), dim=-1)) => log_softmax(x, dim=-1)
p = exp(x)/sum(exp(x), dim=-1); -sum(t*log(p), dim=-1) => -sum(t*log_softmax(x, dim=-1), dim=-1)
-sum(t*log(exp(x)/sum(exp(x), dim=-1)), dim=-1) => -sum(t*log_softmax(x, dim=-1), dim=-1)
p = exp(x)/sum(exp(x)); -sum(p*log(p)) => -sum(softmax(x)*log_softmax(x))
log(w*exp(x)/sum(exp(x))) => log(w) + log_softmax(x)
log(2*sum(exp(x))) => log(2) + logsumexp(x)
log(sum(exp(x))/w) => log(1/w) + logsumexp(x)
log(sum(3*exp(x))) => log(3) + logsumexp(x)
log(1 + sum(exp(x))) => log1pexp(logsumexp(x))
log(sum(exp(x), dim=-1) + 2) => TOP + log(2*exp(-TOP) + sum(exp(x - TOP), dim=-1))
log(y*z + sum(exp(x), dim=-1)) => TOP + log(y*z*exp(-TOP) + sum(exp(x - TOP), dim=-1))
log(eps + sum(exp(x), dim=-1)) => TOP + log(eps*exp(-TOP) + sum(exp(x - TOP), dim=-1))
log1p(sum(exp(x), dim=-1)) => log1pexp(logsumexp(x, dim=-1))
log(1 + sum(exp(x))*sum(exp(y))) => log1pexp(logsumexp(x) + logsumexp(y))
log(exp(y) + sum(exp(x), dim=-1)) => logaddexp(y, logsumexp(x, dim=-1))
log(sum(exp(y)) + sum(exp(x))) => logaddexp(logsumexp(y), logsumexp(x))
mean(x**2, dim=-1) - mean(x, dim=-1)**2 => var(x, correction=0, dim=-1)
mean(x*x) - mean(x)*mean(x) => var(x, correction=0)
mean((x - y)**2, dim=-1) - mean(x - y, dim=-1)**2 => var(x - y, correction=0, dim=-1)
3*mean(x)**2 - 3*mean(x**2) => -3*var(x, correction=0)
s = mean(x**2, dim=0); m = mean(x, dim=0); x/sqrt(s - m**2 + c) => x/sqrt(var(x, correction=0, dim=0) + c)
x*rsqrt(mean(x**2) - mean(x)**2) => x/std(x, correction=0)
sqrt(mean(x**2) - mean(x)**2) => std(x, correction=0)
mean(x*y, dim=0) - mean(x, dim=0)*mean(y, dim=0) => mean((x - mean(x, dim=0))*(y - mean(y, dim=0)), dim=0)
sqrt(var(x, dim=-1)) => std(x, dim=-1)
var(x, dim=-1, correction=0)**0.5 => std(x, dim=-1, correction=0)
sqrt(mean((x - mean(x))**2)) => std(x, correction=0)
d = mean(x) - x; sqrt(mean(d*d)) => std(x, correction=0)
sqrt(sum(x**2, dim=-1)) => norm(x, dim=-1)
sum(x*x, dim=-1)**0.5 => norm(x, dim=-1)
x*rsqrt(sum(x**2, dim=-1)) => x/norm(x, dim=-1)
x/sqrt(sum(x**2, dim=-1)) => x/norm(x, dim=-1)
sqrt(sum((x - y)**2)) => norm(x - y)
sqrt(sum(abs(x)**2, dim=(0, 1))) => norm(x, dim=(0, 1))
sqrt(sum((w*x)**2)) => norm(w*x)
sqrt(sum(4*x**2)) => norm(2*x)
sum(x**2)**1.5 => norm(x)**3
sum(abs(x)**3, dim=-1)**(1/3) => norm(x, 3, dim=-1)
sum(abs(x)**1.5)**(2/3) => norm(x, 1.5)
sum(x**4)**0.25 => norm(x, 4)
sum(abs(x)**0.5)**2 => norm(x, 0.5)
""".strip()
    .replace("TOP", "stop_gradient(clamp(logsumexp(x, dim=-1), 0, 1e30))")
    .split("\n")
)


def stable(formula: str) -> Value:
    """Return the graph of a formula with what is recognised in it."""
    return recognised(problem.read(Spec.create(formula))).value


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_is_recognised(spelling: str) -> None:
    """Up to the order of what it is made of."""
    formula, form = spelling.split(" => ")
    (want,), keys, found = with_dimensions([parse_expression(form, rule=True)]), Keys(), stable(formula)
    want = fold_numbers([want])[want]
    assert keys(found) == keys(want), dump(found)


COUNTED = {
    "log(mean(exp(x), dim=-1))": "sub(logsumexp(x, dim=-1), log(count(x, dim=-1)))",
    "log(mean(exp(x))/2)": "add(log(1/2), sub(logsumexp(x, all), log(count(x, all))))",
    "log(exp(x)/mean(exp(x)))": "add(sub(x, logsumexp(x, all)), log(count(x, all)))",
    "exp(x)/mean(exp(x))": "mul(count(x, all), exp(sub(x, logsumexp(x, all))))",
    "sqrt(mean(x**2, dim=0))": "div(norm(x, dim=0 option=2), sqrt(count(x, dim=0)))",
    "sqrt(mean((x - y)**2))": "div(norm(sub(x, y), option=2), sqrt(count(sub(x, y), all)))",
}


@pytest.mark.parametrize("formula", COUNTED)
def test_what_is_counted(formula: str) -> None:
    assert dump(stable(formula)).replace(", all option", ", option") == COUNTED[formula]


@pytest.mark.parametrize(
    "formula",
    [
        *("exp(x)/sum(exp(y*x), dim=-1)*0 + x", "x/sum(exp(x), dim=-1)", "sum(exp(x), dim=-1)/exp(x)"),
        *(
            "log(sum(w*exp(x), dim=-1))",
            "log(sum(exp(x) + y))",
            "log(sum(exp(x - stop_gradient(max(x)))) + y*z)",
            "exp(x - max(x))/(sum(exp(x - max(x))) + c)",
        ),
        *("log(sum(-2*exp(x)))", "log(sum(exp(x), dim=-1)*y + x)", "log(prod(exp(x), dim=-1) + 1)"),
        *("sqrt(sum(x**2, dim=-1) + c)", "sqrt(sum(x**3))", "sqrt(sum(x*y))", "sqrt(sum(x)**2 + y)"),
        *("mean(x**2, dim=-1) - mean(x)**2", "mean(x**2) - mean(y)**2", "mean(x**2) - 2*mean(x)**2"),
        *("mean(x**2) + mean(x)**2", "mean(x**3) - mean(x)**3", "sum(x**2) - sum(x)**2"),
        *("mean(x*y, dim=0) - mean(x, dim=0)*mean(y, dim=1)", "mean(x, dim=0)**2 - mean(x**2, dim=1)"),
        *("sum(abs(x)**3)**(1/2) + y", "sum(x**3)**(1/3)", "sum(abs(x)**3)**3", "sqrt(var(x, correction=2))"),
        *("max(x, dim=0) + logsumexp(x - max(x, dim=0), dim=1)", "sqrt(mean((x - mean(y))**2) + x)"),
        *(
            "max(x) + logsumexp(y - max(y))",
            "max(y) + logsumexp(x - max(y))",
            "min(x) + logsumexp(x - min(x))",
        ),
    ],
)
def test_what_is_none_of_them_stays(formula: str) -> None:
    """As the very same graph: other dimensions or arguments, a part of the sum, weights, signs."""
    parsed = problem.read(Spec.create(formula))
    assert Rewriter(OF_REDUCTIONS)([parsed.value]) == [parsed.value]


def test_other_dimensions_are_another_thing() -> None:
    """Shares of shares are a softmax of logarithms of one, over the other dimension."""
    (want,) = with_dimensions([parse_expression("softmax(log_softmax(x, dim=0), dim=-1)")])
    assert stable("p = exp(x)/sum(exp(x), dim=0); p/sum(p, dim=-1)") is want


PARTS = (
    *("exp({0})/sum(exp({0}), dim={1})", "log(sum(exp({0}), dim={1}))", "exp(y)/sum(exp({0}), dim={1})"),
    *("sum(x*exp({0}), dim={1})", "sum(exp({0}), dim={1})", "log(mean(exp({0}), dim={1}))", "exp({0})"),
    *(
        "max({0}, dim={1})",
        "log1p(sum(exp({0}), dim={1}))",
        "mean(({0})**2, dim={1})",
        "mean({0}, dim={1})**2",
    ),
    *("sqrt(sum(({0})**2, dim={1}))", "sum(abs({0})**3, dim={1})**(1/3)", "sqrt(mean({0}*{0}, dim={1}))"),
    *("log({0}/sum(exp({0}), dim={1}))", "sqrt(var({0}, dim={1}))", "mean(y*({0}), dim={1})"),
    *("exp({0})/(y**2 + sum(exp({0}), dim={1}))", "log(2 + sum(exp({0}), dim={1}))", "mean({0}, dim={1})"),
)
inner = st.sampled_from(["x", "-x", "x/2", "x*y", "x - y", "x - max(x, dim=-1)", "2*y"])
parts = st.builds(str.format, st.sampled_from(PARTS), inner, st.sampled_from(["-1", "0", "(-2, -1)"]))
FORMULAS = st.recursive(
    parts,
    lambda t: (
        st.builds(str.format, st.sampled_from(["({} + {})", "({} - {})", "{}*{}", "{}/({})"]), t, t)
        | st.builds("log({})".format, t)
        | st.builds("sqrt({})".format, t)
    ),
    max_leaves=4,
)


@settings(max_examples=150 * SCALE, deadline=None)
@given(FORMULAS)
def test_recognising_changes_no_value(formula: str) -> None:
    parsed = problem.read(Spec.create(formula + " + 0*x*y"))
    found = recognised(parsed).value
    assert Rewriter((*OF_REDUCTIONS, *NAMES))([found]) == [found]
    drawn = next(grids(random.Random(5), 1))
    variables = {x: Grid(SHAPE, tuple(map(mp.sin, drawn[y].items))) for x, y in zip("xy", "uv", strict=True)}
    with mp.workdps(DIGITS):
        want, got = (evaluate(graph, variables) for graph in (parsed.value, found))
        pairs = zip(want.items, got.items, strict=True)
        # A logarithm of the number 0, as in log(log(x/x)), is none to the language.
        assert all(not mp.isfinite(a) or same(a, b) for a, b in pairs), dump(found)


# What comes of them.


def softmax1(x: Tensor) -> Tensor:
    return torch.exp(x - F.softplus(torch.logsumexp(x, -1, keepdim=True)))


EPS = torch.tensor(1e-9, dtype=torch.float64).log().to(DEVICE)
LAYERS: dict[str, Callable[..., Tensor]] = {
    "exp(x)/sum(exp(x), dim=-1)": lambda x: torch.softmax(x, -1),
    "exp(x)/sum(exp(x), dim=0)": lambda x: torch.softmax(x, 0),
    "exp(x)/sum(exp(x))": lambda x: torch.softmax(x.flatten(), 0).view_as(x),
    "exp(x/2)/sum(exp(x/2), dim=-1)": lambda x: torch.softmax(x / 2, -1),
    "e = exp(x - max(x, dim=-1)); e/sum(e, dim=-1)": lambda x: torch.softmax(x, -1),
    "log(sum(exp(x), dim=-1))": lambda x: torch.logsumexp(x, -1),
    "log(mean(exp(x), dim=-1))": lambda x: torch.logsumexp(x, -1) - torch.tensor(5.0).double().log(),
    "max(x) + log(sum(exp(x - max(x))))": lambda x: torch.logsumexp(x.flatten(), 0),
    "log(exp(x)/sum(exp(x), dim=-1))": lambda x: torch.log_softmax(x, -1),
    "-sum(t*log(exp(x)/sum(exp(x), dim=-1)), dim=-1)": lambda t, x: -(t * torch.log_softmax(x, -1)).sum(-1),
    "sum(exp(x)*v, dim=-1)/sum(exp(x), dim=-1)": lambda x, v: (torch.softmax(x, -1) * v).sum(-1),
    "exp(x)/(1 + sum(exp(x), dim=-1))": softmax1,
    "log(1e-9 + sum(exp(x), dim=-1))": lambda x: EPS + F.softplus(x.logsumexp(-1) - EPS),
    "log(1 + sum(exp(x), dim=-1))": lambda x: F.softplus(torch.logsumexp(x, -1)),
    "-log(exp(p)/(exp(p) + sum(exp(n), dim=-1)))": lambda p, n: F.softplus(n.logsumexp(-1, True) - p),
    "exp(x)/(1e-9 + sum(exp(x), dim=-1))": lambda x: torch.exp(
        x - EPS - F.softplus(x.logsumexp(-1, True) - EPS)
    ),
    "mean(x**2, dim=-1) - mean(x, dim=-1)**2": lambda x: x.var(-1, correction=0),
    "mean(x*y) - mean(x)*mean(y)": lambda x, y: ((x - x.mean()) * (y - y.mean())).mean(),
    "sqrt(mean(x**2, dim=-1) - mean(x, dim=-1)**2)": lambda x: x.std(-1, correction=0),
    "sqrt(sum(x**2, dim=-1))": lambda x: torch.linalg.vector_norm(x, dim=-1),
    "sum(abs(x)**3, dim=-1)**(1/3)": lambda x: torch.linalg.vector_norm(x, 3, dim=-1),
    "sqrt(mean((x - y)**2))": lambda x, y: torch.linalg.vector_norm(x - y) / x.numel() ** 0.5,
}
"""Formulas as they are typed, and what torch has that neither overflows nor cancels."""


def derivatives(function: Callable[..., Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """Return a value, its gradients, and the gradients of these."""
    weights = lambda t: torch.cos(torch.arange(t.numel(), device=t.device, dtype=t.dtype)).view_as(t)  # noqa: E731
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    y = function(*leaves)
    first = torch.autograd.grad((y * weights(y)).sum(), leaves, create_graph=True)
    second = torch.autograd.grad(sum((g * weights(g)).sum() for g in first), leaves, allow_unused=True)
    zeros = [torch.zeros_like(x) if g is None else g for g, x in zip(second, leaves, strict=True)]
    return [y.detach(), *(g.detach() for g in first), *zeros]


def large(count: int, scale: float, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Return inputs from far out, all on one side of 0."""
    generator = torch.Generator().manual_seed(3)
    drawn = [torch.randn(4, 5, generator=generator, dtype=torch.float64) for _ in range(count)]
    return [(x + scale).to(dtype) for x in drawn]


def inputs_of(formula: str) -> int:
    return len(problem.read(Spec.create(formula)).inputs)


@pytest.mark.parametrize("scale", [0.0, 1000.0, -1000.0])
@pytest.mark.parametrize("formula", LAYERS)
def test_value_and_derivatives_are_those_of_the_operator(formula: str, scale: float) -> None:
    layer = fngen.compile(formula, name="layer").layer
    inputs = large(inputs_of(formula), scale)
    for got, want in zip(derivatives(layer, inputs), derivatives(LAYERS[formula], inputs), strict=True):
        assert want.isfinite().all()
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


PLAIN = (
    "exp(x)/sum(exp(x), dim=-1)",
    "log(sum(exp(x), dim=-1))",
    "log(mean(exp(x), dim=-1))",
    "log(exp(x)/sum(exp(x), dim=-1))",
    "mean(x**2, dim=-1) - mean(x, dim=-1)**2",
)


@pytest.mark.parametrize("formula", PLAIN)
def test_the_plain_form_on_request(formula: str) -> None:
    """It overflows or cancels."""
    (x,) = large(1, 1e9 if "**2" in formula else 1000.0)
    source = fngen.generate(formula, name="layer", stabilise=False)
    assert "torch.softmax(" not in source.text
    got, want = load(source).layer(x), LAYERS[formula](x)
    assert not torch.allclose(got, want, rtol=1e-3)
    torch.testing.assert_close(fngen.compile(formula, name="layer").layer(x), want)


@pytest.mark.parametrize(
    "formula",
    [
        *("sqrt(sum(x**2, dim=-1))", "sum(abs(x)**3, dim=-1)**(1/3)", "sum(x**4)**(1/4)"),
        *("sqrt(var(x, dim=-1))", "sqrt(mean((x - mean(x))**2))", "sqrt(mean(x**2, dim=-1))"),
    ],
)
def test_gradient_zero_at_zero(formula: str) -> None:
    x = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    y = fngen.compile(formula, name="layer").layer(x)
    (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    assert not y.any()
    assert not gradient.any()


@pytest.mark.parametrize(
    "formula",
    [
        *("log(sum(exp(x), dim=-1))", "log(mean(exp(x), dim=-1))", "log(2 + sum(exp(x), dim=-1))"),
        *("exp(x)/(1 + sum(exp(x), dim=-1))", "exp(x)/(1e-9 + sum(exp(x), dim=-1))"),
    ],
)
def test_an_infinite_element_is_what_it_was(formula: str) -> None:
    x = torch.tensor([[float("inf"), 0.0], [-float("inf"), 0.0], [-float("inf")] * 2], dtype=torch.float64)
    plain = fngen.compile(formula, name="layer", stabilise=False).layer(x)
    torch.testing.assert_close(fngen.compile(formula, name="layer").layer(x), plain, equal_nan=True)


@pytest.mark.parametrize(
    "formula",
    [
        "log(sum(exp(x))) - log1p(sum(exp(x))) + 0*x",
        "log1p(exp(mean(x))) - mean(x) + x - x",
        "sum(log1p(exp(mean(x, dim=-1))) - mean(x, dim=-1) + 0*x, dim=-1)",
    ],
)
def test_what_adds_nothing_has_a_shape(formula: str) -> None:
    (x,) = large(1, 0.0)
    plain = fngen.compile(formula, name="layer", stabilise=False).layer(x)
    torch.testing.assert_close(fngen.compile(formula, name="layer").layer(x), plain)


def test_it_reads_as_in_a_textbook() -> None:
    text = fngen.generate("exp(x)/sum(exp(x), dim=-1)", name="layer").text
    assert "return torch.softmax(x, dim=-1).to(dtype)  # no overflow" in text
    assert "return y * (grad_y - torch.sum(grad_y * y, dim=-1, keepdim=True))" in text
    assert '"""``exp(x)/sum(exp(x), dim=-1)`` with analytic derivatives.' in text


def test_an_intermediate_may_be_an_output() -> None:
    file = fngen.compile(
        "e = exp(x); s = sum(e, dim=-1); p = e/s; l = log(s)", outputs=["e", "p", "l"], name="f"
    )
    (x,) = large(1, 0.0)
    results = (torch.exp(x), torch.softmax(x, -1), torch.logsumexp(x, -1))
    for i, want in enumerate(results):
        torch.testing.assert_close(file.f(x)[i], want)
    (x,) = large(1, 1000.0)
    leaf = x.requires_grad_()
    e, p, log = file.f(leaf)
    assert e.isinf().all()
    torch.testing.assert_close((p, log), (torch.softmax(x, -1), torch.logsumexp(x, -1)))
    assert torch.autograd.grad(log.sum() + (p * p).sum(), leaf)[0].isfinite().all()


def test_parameters_and_broadcasting() -> None:
    """The elements that are counted are those of the sum, not of one input."""
    layer = fngen.compile("log(mean(exp(beta*x + y), dim=-1))", params={"beta": 1.5}, name="layer").layer
    x, y, beta = torch.randn(3, 1).double(), torch.randn(3, 4).double(), torch.tensor(1.5).double()
    for first, second in ((x, y), (y, x), (y, y)):
        want = (beta * first + second).exp().mean(-1).log()
        torch.testing.assert_close(layer(first, second, beta), want)


@pytest.mark.usefixtures("kernel_cache")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("formula", [f for f in LAYERS if "dim=0" not in f])
def test_in_kernels(formula: str, backend: str) -> None:
    if backend == "triton" and "dim=" not in formula:
        pytest.skip("a tile is a row")
    file = made(formula, backend)
    inputs = [x.to(DEVICE) for x in large(inputs_of(formula), 400.0, torch.float32)]
    leaves = [x.requires_grad_() for x in inputs]
    y = file.f(*leaves)
    assert is_from_kernel(y)
    tolerance = {"rtol": 2e-3, "atol": 2e-3}
    want = derivatives(LAYERS[formula], [x.double() for x in inputs])
    got = derivatives(file.f, inputs)
    for a, b in zip(got[: 1 + len(inputs)], want, strict=False):
        torch.testing.assert_close(a.double(), b, **tolerance)


def test_numbers_of_rules_are_exact() -> None:
    (found,) = Rewriter((*OF_REDUCTIONS, *NAMES))([problem.read(Spec.create("sum(x**6)**(1/6)")).value])
    assert isinstance(found.datum, Over)
    assert exact(number(found.datum.option or 0)) == 6
