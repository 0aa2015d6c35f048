"""Reductions inside formulas: what is derived, how it reads, which shapes it takes, what is refused."""

from __future__ import annotations

from typing import Any

import black
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

import fngen
from fngen.errors import FngenError, VerificationError
from tests.conftest import SCALE
from tests.reduction_rows import REDUCING

MODE = black.Mode(line_length=88)
FORMULAS = """
softmax(x/t, dim=-1)
y*logsumexp(x/y, dim=-1)
softmax(x)
log_softmax(x, dim=(0, -1))
softmax(x, dim=-1)*log_softmax(y, dim=-2)
x/sum(x)
mean(sum(x*y, dim=-1))
sum(x, dim=0)*sum(x, dim=-1)
sum(exp(mean(x, dim=-2)), dim=-1)
x - mean(y, dim=-1)
mean(x + floor(y), dim=-1)
x + floor(mean(y, dim=-1))
mean(abs(x - y)**2)/mean(y**2)
sum(x)*x + prod(y, dim=-1)
prod(x, dim=(-2, -1))
norm(x, 0.5, -1) + norm(x, p=1.5, dim=-1)
norm(x, p=-inf, dim=-1)
norm(x, p=-2, dim=-1)
norm(x, p=0, dim=-1)*x
std(x, correction=0)*y
var(x, dim=-1)/mean(x, dim=-1)**2
mean(((x - mean(x, dim=-1))/std(x, dim=-1))**3, dim=-1)
x*erfcx(mean(x, dim=-1))
max(x, dim=-1) - min(x, dim=(-2, -1), keepdim=True)
atanh(clamp(norm(x, dim=-1)*0.1, max=0.9))*x/norm(x, dim=-1)
where(mean(x, dim=-1) > 0, x, 0.1*x)
tanh(sum(x*y, dim=-1) + b)
exp(x - max(x, dim=-1))/sum(exp(x - max(x, dim=-1)), dim=-1)
x*stop_gradient(mean(x, dim=-1)) + x**2
sum(where(x > y, x, y), dim=-1, keepdim=True)
sin(logsumexp(x + y, dim=-2))
y*(x + x)*max((1.5*x)*norm(y, dim=-1) + x, dim=-1)
sum(x, dim=-1)*sum(y, dim=0)
max(mean(abs(x), dim=-2), dim=-1)
var(where(x < 0.5, y, 0)*2*y, dim=-1, correction=0)
sum(where(y > 0, x, 0)*y, dim=-1)/sum(where(y > 0, 1, 0) + 1, dim=-1)
mean(where(x < 1, sum(x, dim=0), y)*where(x < 1, 0, abs(x)), dim=-1)
sum(max(x, y, 1), dim=0) + min(x*y, dim=0)
where(x > 0.5, x - mean(where(x > 0.5, x, 0), dim=-1), 0)
where(x < 0.5, x*sum(clamp(x, max=0.5), dim=-1), 1)
""".strip().split("\n")


WITH_PARAMETERS = (
    "w/(1 + sum(w*x))",
    "softmax(w*x)",
    "w*mean(x) + x",
    "norm(x)*sum(w*x, dim=-1)",
    "w*x/norm(x, dim=1)",
)


@pytest.mark.parametrize("formula", WITH_PARAMETERS)
@pytest.mark.parametrize("key", ["w[-1]", "w[C]", "w"])
def test_verified_with_parameters(formula: str, key: str) -> None:
    report = fngen.verify(fngen.generate(formula, name="layer", params={key: 1.5}))
    assert report.ok, report


@pytest.mark.parametrize("formula", FORMULAS)
def test_verified(formula: str) -> None:
    report = fngen.verify(fngen.generate(formula, name="layer"))
    assert report.ok, report


# How it reads: the backward of a textbook.

TEXTBOOK = [
    ("softmax", "return y * (grad_y - torch.sum(grad_y * y, dim=-1, keepdim=True))"),
    ("softmax_by_hand", "return y * (grad_y - torch.sum(grad_y * y, dim=-1, keepdim=True))"),
    ("rms_norm", "torch.mean(u * s, dim=-1, keepdim=True)) / v"),
    ("rms_norm_by_rsqrt", "torch.mean("),
    ("layer_norm", "torch.mean(u, dim=-1, keepdim=True)"),
    ("cosine_similarity", "grad_x = y * (u / norm_y) - x * (v / norm_x * u)"),
    ("log_softmax", "torch.sum(grad_y, dim=-1, keepdim=True)"),
]


def backward(name: str) -> str:
    row = REDUCING[name]
    text = fngen.generate(row.formula, name=name, **row.options).text
    return text.partition("def backward(")[2].partition("\nclass ")[0]


@pytest.mark.parametrize(("name", "line"), TEXTBOOK)
def test_textbook(name: str, line: str) -> None:
    assert line in backward(name)


@pytest.mark.parametrize("name", ["layer_norm", "layer_norm_in_steps"])
def test_two_means_beside_those_of_the_forward(name: str) -> None:
    """Mean and variance are worked out again; beyond them there are the two of the textbook, and no sum."""
    text = backward(name)
    assert text.count("torch.mean(") == 4
    assert "torch.sum(" not in text


def test_deviations_add_up_to_nothing() -> None:
    text = fngen.generate("x*mean(y - mean(y, dim=-1), dim=-1)", name="layer").text
    assert "grad_y_1 * x" not in text.partition("def backward(")[2].partition("class ")[0]


# Shapes.

SHAPES = [
    ((4, 5), (4, 5)),
    ((4, 5), (5,)),
    ((4, 5), (1,)),
    ((4, 1), (4, 5)),
    ((4, 5), ()),
    ((3, 4, 5), (4, 1)),
    ((), ()),
]
BROADCAST = {
    "softmax(x/y, dim=-1)": lambda x, y: torch.softmax(x / y, -1),
    "y*logsumexp(x/y, dim=-1)": lambda x, y: y * torch.logsumexp(x / y, -1, keepdim=True),
    "sum(x*y, dim=-1)": lambda x, y: (x * y).sum(-1),
    "sum(x*y, dim=-1)/(norm(x, dim=-1)*norm(y, dim=-1))": lambda x, y: (
        (x * y).sum(-1) / (torch.linalg.vector_norm(x, dim=-1) * torch.linalg.vector_norm(y, dim=-1))
    ),
    "x/sqrt(mean(x**2, dim=-1) + 1)*y": lambda x, y: x / torch.sqrt((x**2).mean(-1, keepdim=True) + 1) * y,
    "mean(x*y)": lambda x, y: (x * y).mean(),
    "x/norm(y)": lambda x, y: x / y.norm(),
    "sum(y*(log(y) - x), dim=-1)": lambda x, y: (y * (torch.log(y) - x)).sum(-1),
    "x*mean(y, dim=-1)": lambda x, y: x * y.mean(-1, keepdim=True),
    "var(x, dim=-1, correction=0)*y": lambda x, y: x.var(-1, correction=0, keepdim=True) * y,
}


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("formula", BROADCAST)
def test_broadcasting_also_along_what_is_reduced(formula: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    module, plain = fngen.compile(formula, name="layer", inputs=["x", "y"]), BROADCAST[formula]
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.rand(s, generator=generator, dtype=torch.float64) + 0.5 for s in shapes]
    one, two = ([x.clone().requires_grad_() for x in drawn] for _ in range(2))
    got, want = module.layer(*one), plain(*two)
    torch.testing.assert_close(got, want)
    for a, b in zip(derived(got, one), derived(want, two), strict=True):
        torch.testing.assert_close(a, b)


def derived(value: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """Return first derivatives, and those of the sum of their squares."""
    weights = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
    first = torch.autograd.grad(value, inputs, weights, create_graph=True)
    total = sum(g.square().sum() for g in first)
    return [*first, *torch.autograd.grad(total, inputs, materialize_grads=True)]


@pytest.mark.parametrize("dims", ["-2", "1", "(-2, -1)", "(0, 1)"])
def test_a_missing_dimension_is_named(dims: str) -> None:
    layer = fngen.compile(f"softmax(x, dim={dims})", name="layer").layer
    with pytest.raises(ValueError, match=r"layer\(\) reduces dim=.*: x has 1 dimensions"):
        layer(torch.ones(3))


def test_a_missing_dimension_is_named_where_others_are_counted_from_the_other_end() -> None:
    layer = fngen.compile("u = max(x, dim=2); v = sum(x*y, dim=-3)", name="layer").layer
    with pytest.raises(ValueError, match=r"layer\(\) reduces dim=\(-3, 2\): x has 2 dimensions"):
        layer(torch.ones(3, 3), torch.ones(3, 3))


def test_what_is_counted_from_both_ends() -> None:
    """On a matrix dimensions 1 and -1 are one."""
    layer = fngen.compile("sum(x, dim=1)*sum(x**2, dim=-1)", name="layer").layer
    for shape in ((3, 4), (3, 4, 5)):
        x = torch.rand(shape, dtype=torch.float64, requires_grad=True)
        want = x.sum(1, keepdim=True) * (x**2).sum(-1, keepdim=True)
        torch.testing.assert_close(layer(x), want)
        got, other = (torch.autograd.grad(y.sum(), x)[0] for y in (layer(x), want))
        torch.testing.assert_close(got, other)


def test_channels_of_a_matrix_are_its_last_dimension() -> None:
    layer = fngen.compile("x/norm(x, dim=-1)*w", name="layer", params={"w[C]": 1.0}).layer
    x, w = (
        torch.rand(3, 4, dtype=torch.float64, requires_grad=True),
        torch.rand(4, dtype=torch.float64, requires_grad=True),
    )
    value, want = layer(x, w), x / x.norm(dim=-1, keepdim=True) * w
    torch.testing.assert_close(value, want)
    for a, b in zip(derived(value, [x, w]), derived(want, [x, w]), strict=True):
        torch.testing.assert_close(a, b)


OF_PARAMETERS = {
    "w/(1 + sum(w*x))": lambda x, w: w / (1 + (w * x).sum()),
    "norm(x)*sum(w*x, dim=-1)": lambda x, w: x.norm() * (w * x).sum(-1),
    "(w - sum(x, dim=-1))/(1 + softmax(w*x))": lambda x, w: (
        (w - x.sum(-1, keepdim=True)) / (1 + (w * x).flatten().softmax(0).view_as(w * x))
    ),
    "softmax(w*x)": lambda x, w: (w * x).flatten().softmax(0).view_as(w * x),
    "w + x*mean(x)": lambda x, w: w + x * x.mean(),
    "sum(x)*sum(w*x, dim=0)": lambda x, w: x.sum() * (w * x).sum(0),
    "x*w/norm(x)": lambda x, w: x * w / x.norm(),
    "w*sum(x, dim=1)": lambda x, w: (w * x.sum(1, keepdim=True)).squeeze(1),
    "w*x/norm(x, dim=1)": lambda x, w: w * x / x.norm(dim=1, keepdim=True),
    "softmax(w*x, dim=1)": lambda x, w: (w * x).softmax(1),
    "w*sum(x, dim=0)": lambda x, w: (w * x.sum(0, keepdim=True)).squeeze(0),
    "mean(w*x)": lambda x, w: (w * x).mean(),
    "w*logsumexp(x/w, dim=-1)": lambda x, w: w * (x / w).logsumexp(-1, keepdim=True),
}


@pytest.mark.parametrize("shape", [(4, 4), (3, 4), (1, 4), (2, 3, 4), (4, 4, 4)], ids=str)
@pytest.mark.parametrize("formula", OF_PARAMETERS)
def test_a_parameter_along_the_last_dimension(formula: str, shape: tuple[int, ...]) -> None:
    layer = fngen.compile(formula, name="layer", inputs=["x"], params={"w[-1]": 1.0}).layer
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.rand(s, generator=generator, dtype=torch.float64) + 0.5 for s in (shape, shape[-1:])]
    one, two = ([x.clone().requires_grad_() for x in drawn] for _ in range(2))
    got, want = layer(*one), OF_PARAMETERS[formula](*two)
    torch.testing.assert_close(got, want)
    for a, b in zip(derived(got, one), derived(want, two), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (2, 3, 4, 2)], ids=str)
def test_a_parameter_along_channels_beside_a_mean_of_all(shape: tuple[int, ...]) -> None:
    layer = fngen.compile("w*mean(x) + x", name="layer", params={"w[C]": 1.0}).layer
    x = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    w = torch.rand(shape[1], dtype=torch.float64, requires_grad=True)
    got, want = layer(x, w), w.reshape(-1, *[1] * (len(shape) - 2)) * x.mean() + x
    torch.testing.assert_close(got, want)
    for a, b in zip(derived(got, [x, w]), derived(want, [x, w]), strict=True):
        torch.testing.assert_close(a, b)


BOTH_ENDS = {
    "mean(mean(x*y, dim=0, keepdim=True)**2, dim=-3)": lambda x, y: (
        (x * y).mean(0, keepdim=True).square().mean(-3)
    ),
    "sum(x*y, dim=(1, -3))": lambda x, y: (x * y).sum((1, -3)),
    "mean(norm(x*y, dim=1), dim=-3)": lambda x, y: (x * y).norm(dim=1, keepdim=True).mean((-3,)).squeeze(0),
}


@pytest.mark.parametrize("formula", BOTH_ENDS)
def test_both_ends_of_inputs_that_go_together(formula: str) -> None:
    layer, plain = fngen.compile(formula, name="layer").layer, BOTH_ENDS[formula]
    x, y = (torch.rand(3, 4, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    got, want = layer(x, y), plain(x, y)
    assert got.shape == want.shape
    for a, b in zip(derived(got, [x, y]), derived(want, [x, y]), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    "formula", ["x - log_softmax(x, dim=-1)", "x - (x - mean(x, dim=-1))", "log(softmax(x, dim=-1)) - x"]
)
def test_a_tangent_has_the_shape_of_the_result(formula: str) -> None:
    layer = fngen.compile(formula, name="layer").layer
    x, t = torch.rand(3, 4, dtype=torch.float64), torch.rand(3, 4, dtype=torch.float64)
    value, tangent = torch.func.jvp(layer, (x,), (t,))
    assert tangent.shape == value.shape
    (cotangent,) = torch.func.vjp(layer, x)[1](torch.ones_like(value))
    torch.testing.assert_close(tangent.sum(), (cotangent * t).sum())


@pytest.mark.parametrize(
    "formula",
    [
        "mean(x, dim=-1)",
        "sum(2*x, dim=0)",
        "0.5 - mean(x, dim=-1)",
        "prod(x, dim=-1)",
        "softmax(x, dim=0)",
    ],
)
def test_without_dimensions(formula: str) -> None:
    x = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    value = fngen.compile(formula, name="layer").layer(x)
    assert value.shape == torch.autograd.grad(value, x)[0].shape == ()


@pytest.mark.parametrize(
    "formula", ["prod(x, dim=-1)", "sum(x, dim=-1)", "softmax(x, dim=-1)", "mean(x**2, dim=0)"]
)
def test_empty(formula: str) -> None:
    x = torch.zeros(4, 0, requires_grad=True)
    value = fngen.compile(formula, name="layer").layer(x)
    assert torch.autograd.grad(value.sum(), x)[0].shape == (4, 0)


# Several outputs.

SEVERAL = {
    "m = mean(x, dim=-1); v = var(x, dim=-1)": ("m", "v"),
    "m = mean(x, dim=-1); d = (x - m)/std(x, dim=-1)": ("m", "d"),
    "p = softmax(x, dim=-1); h = -sum(p*log(p), dim=-1)": ("p", "h"),
    "u = x*y; s = sum(u, dim=-1); v = sin(x)": ("u", "s", "v"),
    "a = mean(x); b = x*w; c = sum(y, dim=0)": ("a", "b", "c"),
    "u = x; w = y; v = sum(x*y, dim=-1)": ("u", "w", "v"),
    "n = norm(x, dim=-1); u = x/max(n, 1e-6)": ("n", "u"),
    "a = relu(x); b = softmax(x, dim=2)": ("a", "b"),
    "a = cos(mean(softmax(x, dim=2), dim=(1, 2))); b = x*a; c = a": ("a", "b", "c"),
    "a = tanh(sum(x + y, dim=(1, 2))); v = var(w - y, dim=0)": ("a", "v"),
}


@pytest.mark.parametrize("formula", SEVERAL)
def test_several_outputs(formula: str) -> None:
    params = {"w[-1]": 1.0} if "*w" in formula or "var(w" in formula else {}
    report = fngen.verify(
        fngen.generate(formula, name="layer", outputs=list(SEVERAL[formula]), params=params)
    )
    assert report.ok, report


@pytest.mark.parametrize("key", ["w", "w[-1]", "w[C]"])
@pytest.mark.parametrize(
    "formula",
    [
        "y = mean(x*w, dim=1); r = k*w**2",
        "y = mean(x*w, dim=-2); r = exp(w)",
        "y = mean(x*w, dim=(0, 1)); z = sum(x); r = w",
        "y = mean(x*w, dim=1); r = norm(w, dim={})",
    ],
)
def test_an_output_of_parameters_has_their_dimensions(formula: str, key: str) -> None:
    if "{}" in formula and key == "w":
        return  # One number has nothing to reduce.
    formula = formula.format(1 if key == "w[C]" else -1)
    options = {"consts": {"k": 2}} if "k*" in formula else {}
    report = fngen.verify(fngen.generate(formula, name="layer", params={key: 1.5}, **options))
    assert report.ok, report


def test_any_of_several_outputs_may_have_a_gradient() -> None:
    layer = fngen.compile(
        "p = softmax(x, dim=-1); h = -sum(p*log(p), dim=-1)", name="layer", outputs=["p", "h"]
    ).layer
    x = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    entropy = -(x.softmax(-1) * x.log_softmax(-1)).sum(-1)
    for got, want in ((layer(x).p, x.softmax(-1)), (layer(x).h, entropy)):
        torch.testing.assert_close(got, want)
        for a, b in zip(derived(got, [x]), derived(want, [x]), strict=True):
            torch.testing.assert_close(a, b)


def test_several_outputs_of_inputs_that_differ_where_it_reduces() -> None:
    layer = fngen.compile("s = sum(x*y, dim=-1); n = norm(y, dim=-1)", name="layer").layer
    x = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    y = torch.rand(3, 1, dtype=torch.float64, requires_grad=True)
    got = layer(x, y)
    torch.testing.assert_close(tuple(got), ((x * y).sum(-1), y.norm(dim=-1)))
    torch.testing.assert_close(got.n, y.norm(dim=-1))
    grads = torch.autograd.grad(got.s.sum() + got.n.sum(), (x, y))
    want = torch.autograd.grad((x * y).sum() + y.norm(dim=-1).sum(), (x, y))
    for a, b in zip(grads, want, strict=True):
        torch.testing.assert_close(a, b)


# Values at the edge.


@pytest.mark.parametrize(
    "formula", ["norm(x, dim=-1)", "norm(x, p=3, dim=-1)", "norm(x, p=1.5, dim=-1)", "std(x, dim=-1)"]
)
def test_gradient_zero_at_zero(formula: str) -> None:
    x = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(fngen.compile(formula, name="layer").layer(x).sum(), x, create_graph=True)
    assert not slope.any()
    assert torch.autograd.grad(slope.sum(), x)[0].isfinite().all()


def test_product_of_zeros() -> None:
    layer = fngen.compile("prod(x, dim=-1)", name="layer").layer
    x = torch.tensor([[0.0, 2, 3], [0, 0, 3], [1, 2, 3]], dtype=torch.float64, requires_grad=True)
    got, want = layer(x), x.prod(-1)
    for a, b in zip(derived(got, [x]), derived(want, [x]), strict=True):
        torch.testing.assert_close(a, b)


def test_ties_share_the_gradient() -> None:
    x = torch.tensor([1.0, 3, 3], requires_grad=True)
    assert torch.autograd.grad(fngen.compile("max(x, dim=-1)", name="layer").layer(x), x)[0].tolist() == [
        0,
        0.5,
        0.5,
    ]


def test_softmax_of_large_and_masked_numbers() -> None:
    x = torch.tensor([[1e4, 1e4 - 1, -torch.inf], [0.0, -1e4, 3]], requires_grad=True)
    for formula, dims in (("softmax(x, dim=-1)", -1), ("softmax(x, dim=(-2, -1))", None)):
        got = fngen.compile(formula, name="layer").layer(x)
        want = x.softmax(-1) if dims else x.flatten().softmax(0).view_as(x)
        torch.testing.assert_close(got, want)
        assert torch.autograd.grad(got.sum(), x)[0].isfinite().all()


# Memory.


def kept(function: Any, inputs: list[Tensor]) -> int:
    sizes: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return x

    with saved_tensors_hooks(pack, lambda x: x):
        output = function(*inputs)
    return sum(sizes.values()) + 0 * output.numel()


@pytest.mark.parametrize("name", REDUCING)
def test_no_more_is_kept_than_autograd_keeps(name: str) -> None:
    row = REDUCING[name]
    module = fngen.compile(row.formula, name=name, **row.options)
    shape = tuple(16 * n for n in row.shape)
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.rand(shape, generator=generator).add_(0.1).requires_grad_() for _ in row.ranges]
    sized = [shape[1 if key.endswith("[C]") else -1] for key in row.params if "[" in key]
    learned = [torch.ones(n).requires_grad_() for n in sized]
    learned += [torch.ones(()).requires_grad_() for key in row.params if "[" not in key]
    if len(sized) not in (0, len(row.params)):
        return
    small, few = 1.05, 64  # Statistics of few elements do not count.
    got, most = (kept(f, [*inputs, *learned]) for f in (getattr(module, name), row.twin))
    plain = (
        kept(lambda *xs: eager(row.formula, row, xs), [*inputs, *learned])
        if got > small * most + few
        else most
    )
    assert got <= small * max(most, plain) + few, (got, most, plain)


def eager(formula: str, row: Any, inputs: tuple[Tensor, ...]) -> Tensor:
    """Return the plain formula's value, operator by operator."""
    from fngen import problem
    from fngen.spec import Spec
    from fngen.verification.plain import Plain

    made = fngen.generate(formula, name="layer", **row.options)
    assert isinstance(made.spec, Spec)
    return Plain(problem.read(made.spec).at_defaults())(*inputs)


# Hundreds of formulas.

dims = st.sampled_from(["dim=-1", "dim=-2", "dim=(-2, -1)", "dim=0", ""])
reductions = st.sampled_from(
    ["sum", "mean", "max", "min", "prod", "var", "std", "norm", "logsumexp", "softmax", "log_softmax"]
)
leaf = st.sampled_from(["x", "y", "x", "w", "2", "0.5"])


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} + {})".format, inner, inner),
        st.builds("{}*{}".format, inner, inner),
        st.builds("({} - {})".format, inner, inner),
        st.builds("{}/(1 + ({})**2)".format, inner, inner),
        st.builds("sin({})".format, inner),
        st.builds("exp(-({})**2)".format, inner),
        st.builds("max({}, {})".format, inner, inner),
        st.builds("{}({}, {})".format, reductions, inner, dims).map(lambda t: t.replace(", )", ")")),
    )


formulas = st.recursive(leaf, grown, max_leaves=7).filter(lambda t: "x" in t and "dim" in t)


def emitted(formula: str, key: str) -> fngen.Source:
    try:
        return fngen.generate(formula, name="layer", params={key: 1.5} if "w" in formula else {})
    except FngenError:
        assume(False)
        raise


keys = st.sampled_from(["w[-1]", "w[C]", "w"])


@settings(max_examples=25 * SCALE, deadline=None, suppress_health_check=list(HealthCheck))
@given(formulas, keys)
def test_any_formula(formula: str, key: str) -> None:
    source = emitted(formula, key)
    try:
        report = fngen.verify(source)
    except VerificationError:
        assume(False)
    faults = [c for c in report.checks if not c.ok and not c.name.startswith("grad")]
    assert not faults, report


@settings(max_examples=50 * SCALE, deadline=None, suppress_health_check=list(HealthCheck))
@given(formulas, keys)
def test_black_has_nothing_to_say(formula: str, key: str) -> None:
    text = emitted(formula, key).text
    assert black.format_str(text, mode=MODE) == text
    assert max(map(len, text.replace(formula, "").splitlines())) <= 88


LONG = (
    "logsumexp(a_very_long_name*another_very_long_name + yet_another_very_long_name, dim=(-2, -1))",
    "x/sqrt(mean(x**2, dim=-1))*a_very_long_name_of_a_weight + a_very_long_name_of_a_bias_that_is_added",
    "softmax(x*a_very_long_name_of_a_weight + a_very_long_name_of_a_bias_that_is_added, dim=1)*beta",
)


@pytest.mark.parametrize("formula", LONG)
def test_long_names(formula: str) -> None:
    source = fngen.generate(formula, name="a_layer_with_a_name_of_its_own")
    assert black.format_str(source.text, mode=MODE) == source.text
    assert fngen.verify(source).ok


# What is refused.

REFUSED = [
    ("sum(beta, dim=-1)*x", {"params": {"beta": 1.0}}, "no dimension -1 to reduce"),
    ("sum(eps, dim=-1)*x", {"consts": {"eps": 1.0}}, "no input is in what is reduced"),
]


@pytest.mark.parametrize(("formula", "options", "message"), REFUSED)
def test_refused(formula: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FngenError) as caught:
        fngen.generate(formula, **options)
    assert message in str(caught.value)


def test_a_chain_that_shares_its_parts_costs_its_size() -> None:
    """Written out, each step would be three times the one before."""
    sizes = []
    for n in (6, 12):
        steps = (f"a{i + 1} = a{i}*sigmoid(mean(a{i}*x, dim=-1)) + sin(a{i})" for i in range(n))
        sizes.append(len(fngen.generate("; ".join(["a0 = x", *steps]), name="layer").text))
    assert sizes[1] < 8 * sizes[0], sizes


OF_ONE_NUMBER = {
    "w*(x - mean(x))/std(x) + b": lambda x, w, b: (w * (x - x.mean()) / x.std() + b,),
    "softmax(w*x)*b": lambda x, w, b: ((w * x).flatten().softmax(0).view_as(x) * b,),
    "w*norm(x) + b": lambda x, w, b: (w * x.norm() + b,),
    "u = b*w*x; v = sum(u); z = mean(u, dim=-1)": lambda x, w, b: ((b * w * x).sum(), (b * w * x).mean(-1)),
}


@pytest.mark.parametrize("shape", [(1,), (1, 1)], ids=str)
@pytest.mark.parametrize("formula", OF_ONE_NUMBER)
def test_the_parameters_of_the_module_go_to_the_function(formula: str, shape: tuple[int, ...]) -> None:
    """They have a dimension of one element, which what is reduced over everything has not."""
    module = fngen.compile(formula, name="f", params={"w": 1.5, "b": 0.5})
    x, t = torch.rand(2, 3, 4, dtype=torch.float64).unbind()
    learned = [torch.full(shape, v, dtype=torch.float64, requires_grad=True) for v in (1.5, 0.5)]
    numbers = [p.detach().clone().view(()).requires_grad_() for p in learned]
    found = module.f(x, *learned)
    got, want = found if isinstance(found, tuple) else (found,), OF_ONE_NUMBER[formula](x, *numbers)
    torch.testing.assert_close(tuple(got), want)
    ours, theirs = (
        torch.autograd.grad([y.sin().sum() for y in ys], xs) for ys, xs in ((got, learned), (want, numbers))
    )
    torch.testing.assert_close(ours, tuple(g.view(shape) for g in theirs))
    torch.func.jvp(module.f, (x, *learned), (t, *learned))


@pytest.mark.parametrize("shape", [(), (1,), (6, 1), (5,), (6, 5)])
def test_a_parameter_of_another_shape(shape: tuple[int, ...]) -> None:
    """Whatever the function is called with, its gradient is torch's."""
    layer = fngen.compile(
        "softmax(x/t, dim=-1)*w*norm(x, dim=0)", name="f", params={"t": 2.0, "w[-1]": 1.0}
    ).f
    x, t, w = (torch.rand(s, dtype=torch.float64).add(0.5).requires_grad_() for s in ((6, 5), shape, (6, 5)))
    got, want = layer(x, t, w), torch.softmax(x / t, -1) * w * torch.linalg.vector_norm(x, dim=0)
    torch.testing.assert_close(got, want)
    for g, e in zip(*(torch.autograd.grad(y.sin().sum(), (x, t, w)) for y in (got, want)), strict=True):
        torch.testing.assert_close(g, e)
