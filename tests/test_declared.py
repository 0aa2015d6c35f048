"""Parameters and constants: from the command, the library and a text; trained, overridden, refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import fngen
from fngen.cli import main
from fngen.errors import FngenError

# torch's own: Dynamo makes a Function to look at it.
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")

SWISH = "x*sigmoid(beta*x)"
LEAK = "where(x > 0, x, w*x)"
GATE = "x*sigmoid(beta*x + w)/(sqrt(eps) + abs(x))"
FILE = """
# A gate with a slope of its own
param beta = 1.0
param w[C] = 0.25   # one a channel
const eps = 1e-6
name gate
inputs x
u = beta*x + w
x*sigmoid(u)/(
    sqrt(eps) + abs(x))  # the end
"""


def made(formula: str, **options: Any) -> ModuleType:
    module = fngen.compile(formula, name="made", **options)
    assert fngen.verify(fngen.generate(formula, name="made", **options)).ok
    return module


# One request, asked for in three ways.


def test_the_three_ways_agree(tmp_path: Path) -> None:
    (tmp_path / "gate.fn").write_text(FILE)
    formula = "u = beta*x + w; x*sigmoid(u)/(     sqrt(eps) + abs(x))"
    params, consts = {"beta": "1.0", "w[C]": 0.25}, {"eps": "1e-6"}
    library = fngen.generate(formula, name="gate", inputs=["x"], params=params, consts=consts)
    options = ["--name", "gate", "--inputs", "x", "--param", "beta=1.0", "--param", "w[C]=0.25"]
    runs = [
        [formula, *options, "--const", "eps=1e-6"],
        [str(tmp_path / "gate.fn")],
        [FILE],
    ]
    for words in runs:
        result = CliRunner().invoke(main, [*words, "-o", "-"])
        assert result.output == library.text
    assert CliRunner().invoke(main, ["-", "-o", "-"], input=FILE).output == library.text


def test_a_formula_file_names_its_layer(tmp_path: Path) -> None:
    (tmp_path / "soft_gate.fn").write_text("param beta = 2\n" + SWISH)
    text = CliRunner().invoke(main, [str(tmp_path / "soft_gate.fn"), "-o", "-"]).output
    assert "class SoftGate(nn.Module)" in text
    assert '"x*sigmoid(beta*x)" --name soft_gate --param beta=2\n' in text


def test_an_option_overrides_the_text() -> None:
    text = fngen.generate(f"param beta = 1; {SWISH}", name="s", params={"beta": 3.0}).text
    assert "constant_(self.beta, 3.0)" in text


# Parameters.


def test_one_for_all_is_at_least_one_dimensional_and_leaves_shapes_alone() -> None:
    layer = made(SWISH, params={"beta": 1.5}).Made()
    assert layer.beta.shape == (1,)
    for shape in ((), (3,), (2, 0), (2, 3)):
        x = torch.ones(shape)
        assert torch.equal(layer(x), x * torch.sigmoid(torch.tensor(1.5) * x))


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 4), (2, 5, 3, 3)])
def test_per_channel_as_prelu(shape: tuple[int, ...]) -> None:
    layer, judge = made(LEAK, params={"w[C]": 0.25}).Made(5), nn.PReLU(5)
    ours = torch.randn(shape, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    weight = torch.randn(shape)
    got, want = layer(ours), judge(theirs)
    got.backward(weight)
    want.backward(weight)
    assert torch.equal(got, want)
    assert torch.equal(ours.grad, theirs.grad)
    torch.testing.assert_close(layer.w.grad, judge.weight.grad)


def test_along_the_last_dimension() -> None:
    layer = made("x*w", params={"w[-1]": 2}).Made(4)
    x = torch.randn(3, 2, 4)
    assert torch.equal(layer(x), 2 * x)
    layer(x).sum().backward()
    torch.testing.assert_close(layer.w.grad, x.sum((0, 1)))


def test_device_dtype_and_reset() -> None:
    layer = made(GATE, params={"beta": 1, "w[C]": 0.25}, consts={"eps": 1e-6}).Made(3, dtype=torch.float64)
    assert {p.dtype for p in layer.parameters()} == {torch.float64}
    assert [n for n, _ in layer.named_parameters()] == ["beta", "w"]
    with torch.no_grad():
        layer.w.zero_()
    layer.reset_parameters()
    assert torch.equal(layer.w, torch.full((3,), 0.25, dtype=torch.float64))
    meta = made(LEAK, params={"w[C]": 0.25}).Made(3, device="meta")
    assert meta.w.is_meta


def test_parameters_train() -> None:
    torch.manual_seed(0)
    layer = made(GATE, params={"beta": 1.0, "w[C]": 0.25}, consts={"eps": 0.25}).Made(3, dtype=torch.float64)
    truth = made(GATE, params={"beta": 1.0, "w[C]": 0.25}, consts={"eps": 0.25}).Made(3, dtype=torch.float64)
    with torch.no_grad():
        truth.beta.fill_(1.7)
        truth.w.copy_(torch.tensor([-0.5, 0.1, 0.8]))
    x = torch.randn(400, 3, dtype=torch.float64)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")
    wanted = truth(x).detach()

    def loss() -> Tensor:
        optimizer.zero_grad()
        error = (layer(x) - wanted).square().sum()
        error.backward()
        return error

    optimizer.step(loss)
    torch.testing.assert_close(list(layer.parameters()), list(truth.parameters()), rtol=1e-5, atol=1e-5)


def test_a_gradient_summed_over_many_is_accurate() -> None:
    torch.manual_seed(0)
    layer = made(SWISH, params={"beta": 1.0}).Made()
    x = torch.rand(10_000_000)
    layer(x).sum().backward()
    s = torch.sigmoid(x.double())
    exact = (x.double() ** 2 * s * (1 - s)).sum()
    assert abs(layer.beta.grad.double().item() / exact.item() - 1) < 4 * torch.finfo(torch.float32).eps


# Constants.


def test_constants_in_module_and_function() -> None:
    module = made("x**k/(eps + abs(x))", consts={"k": 2, "eps": 1e-3})
    x = torch.rand(4, dtype=torch.float64) + 0.5
    for k in (0, 1, 2, 2.5, -1):
        leaf = x.clone().requires_grad_()
        got, want = module.made(leaf, k=k, eps=0.5), x**k / (0.5 + abs(x))
        torch.testing.assert_close(got, want)
        torch.testing.assert_close(module.Made(k, 0.5)(x), want)
        (slope,) = torch.autograd.grad(got.sum(), leaf)
        judge = x.clone().requires_grad_()
        (judged,) = torch.autograd.grad((judge**k / (0.5 + abs(judge))).sum(), judge)
        torch.testing.assert_close(slope, judged)
    assert torch.equal(module.made(x), module.Made()(x))
    assert repr(module.Made(eps=0)).endswith("k=2, eps=0)")
    with pytest.raises((TypeError, ValueError)):
        module.Made(k="two")


@pytest.mark.parametrize(
    ("formula", "plain"),
    [
        ("sqrt(k)*x", lambda x, k: k**0.5 * x),
        ("where(k > 1, x, 2*x)", lambda x, k: x if k > 1 else 2 * x),
        ("where(k > 1, x, k)", lambda x, k: x if k > 1 else k + 0 * x),
        ("max(x, k)", lambda x, k: torch.clamp(x, min=k)),
        ("sigmoid(k)*x + max(k, 3)", lambda x, k: torch.sigmoid(torch.tensor(k).double()) * x + max(k, 3)),
        ("atan2(x, k)", lambda x, k: torch.atan2(x, torch.full_like(x, k))),
        ("k**x", lambda x, k: k**x),
        ("where(x > k and k > 1, x, k*x)", lambda x, k: torch.where(x > k, x, k * x) if k > 1 else k * x),
        ("hypot(x, k)/(1 + k)", lambda x, k: torch.hypot(x, torch.full_like(x, k)) / (1 + k)),
        ("mean((x - k)**2)", lambda x, k: torch.mean((x - k) ** 2)),
        ("elu(x, k)", lambda x, k: nn.functional.elu(x, k)),
    ],
)
@pytest.mark.parametrize("k", [0.5, 1, 2])
def test_what_is_made_of_constants(formula: str, plain: Any, k: float) -> None:
    module = made(formula, consts={"k": 2})
    ours = torch.linspace(0.1, 3, 7, dtype=torch.float64, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    got, want = module.made(ours, k), plain(theirs, k)
    torch.testing.assert_close(got, want)
    pair = [torch.autograd.grad(y.sum(), x)[0] for y, x in ((got, ours), (want, theirs))]
    torch.testing.assert_close(*pair)


def test_modes_with_constants() -> None:
    module = made(GATE, params={"beta": 1.0, "w[C]": 0.25}, consts={"eps": 0.5})
    layer, x = module.Made(3, eps=0.25), torch.randn(4, 3)
    plain = layer(x)
    torch.testing.assert_close(torch.compile(layer, fullgraph=True, backend="aot_eager")(x), plain)
    torch.testing.assert_close(torch.func.vmap(lambda row: layer(row[None])[0])(x), plain)
    tangent = torch.func.jvp(layer, (x,), (torch.ones_like(x),))[1]
    (slope,) = torch.autograd.grad(layer(leaf := x.clone().requires_grad_()).sum(), leaf)
    torch.testing.assert_close(tangent, slope)
    exported = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(exported(x), plain)


# Back to symbols.


@given(st.floats(-5, 5, width=32), st.floats(0.125, 5, width=32))
def test_formula_is_a_formula(beta: float, k: float) -> None:
    module = _powered()
    layer = module.Powered(k)
    with torch.no_grad():
        layer.beta.fill_(beta)
    again = fngen.compile(layer.formula(), name="again", stabilise=False).Again()
    x = torch.tensor([0.25, 1.0, 2.0])
    torch.testing.assert_close(again(x), layer(x), rtol=0, atol=0)
    assert again.formula() == layer.formula()


def _powered() -> ModuleType:
    how = {"params": {"beta": 1.0}, "consts": {"k": 2}, "stabilise": False}
    return fngen.compile("x - beta**2*x**k", name="powered", **how)  # type: ignore[arg-type]


COME_BACK: list[tuple[str, dict[str, Any], str]] = [
    (
        "gamma(x + 3)*gamma + elu(x, alpha=alpha)",
        {"consts": {"gamma": 2, "alpha": 1}},
        "const gamma = 2; const alpha = 1; gamma(x + 3)*gamma + elu(x, alpha=alpha)",
    ),
    ("where(k > 1, x, y)", {"consts": {"k": 2}}, "const k = 2; where(k > 1, x, y)"),
    (
        "v = x*y; u = k*v",
        {"consts": {"k": 0.5}, "outputs": ["u", "v"], "inputs": ["y", "x"]},
        "inputs y, x; outputs u, v; const k = 0.5; v = x*y; u = k*v",
    ),
    (
        "heaviside(k*x)",
        {"consts": {"k": 1e-6}, "grads": {"x": "k*exp(-k*abs(x))"}},
        "const k = 1e-06; grad x = k*exp(-k*abs(x)); heaviside(k*x)",
    ),
    ("w*x/norm(x, dim=-1)", {"params": {"w[-1]": 1.5}}, "param w[-1] = 1.5; w*x/norm(x, dim=-1)"),
    ("lambda*x", {"params": {"lambda": 0.25}}, "param lambda = 0.25; lambda*x"),
]


@pytest.mark.parametrize(("formula", "options", "text"), COME_BACK)
def test_the_formula_that_comes_back(formula: str, options: dict[str, Any], text: str) -> None:
    module = fngen.compile(formula, name="made", **options)
    layer = module.Made(*([3] if "[-1]" in text else []))
    assert layer.formula() == text
    source, again = (fngen.generate(f, name="made", **o) for f, o in ((formula, options), (text, {})))
    assert source.text.partition('r"""')[2] == again.text.partition('r"""')[2]


def test_a_formula_that_does_not_come_back_is_found() -> None:
    source = fngen.generate("v = x*y; u = k*v", name="made", consts={"k": 2}, outputs=["u", "v"])
    for wrong in ("outputs v, u", "k = 3", "u = v*k*x"):
        right = {"outputs v, u": "outputs u, v", "k = 3": "k = {self.k}", "u = v*k*x": "u = k*v"}[wrong]
        head, mark, tail = source.text.partition("def formula(")
        broken = replace(source, text=head + mark + tail.replace(right, wrong, 1))
        assert [c.name for c in fngen.verify(broken).checks if not c.ok] == ["formula"]


# What is refused.

WRONG: list[tuple[str, dict[str, Any], str]] = [
    (SWISH, {"params": {"gama": 1}}, "the parameter 'gama' does not appear"),
    (SWISH, {"consts": {"gama": 1}}, "the constant 'gama' does not appear"),
    (
        SWISH,
        {"params": {"beta": 1}, "consts": {"beta": 1}},
        "'beta' is a parameter and also listed as constant",
    ),
    (
        SWISH,
        {"params": {"beta": 1}, "inputs": ["x", "beta"]},
        "'beta' is a parameter and also listed as input",
    ),
    (SWISH, {"params": {"beta": "one"}}, "the value of 'beta' is not a number"),
    (SWISH, {"params": {"beta": float("nan")}}, "the value of 'beta' is not a number"),
    (SWISH, {"params": {"beta": True}}, "the value of 'beta' is not a number"),
    (SWISH, {"params": {"beta[2]": 1}}, "beta[2] is no parameter"),
    (SWISH, {"params": {"2": 1}}, "is not a name"),
    (SWISH, {"params": ["beta"]}, "'beta' has no value"),
    (SWISH, {"params": ["beta=1", "beta=2"]}, "is given twice"),
    (SWISH, {"params": {"x": 1, "beta": 1}}, "the formula has no input"),
    ("beta = 2*x; y = beta*x", {"params": {"beta": 1}}, "the parameter 'beta' is assigned"),
    ("param beta; x*beta", {}, "'beta' has no value"),
    ("const k = 1; const k = 2; x*k", {}, "'k' is declared twice"),
    ("inputs x, y; inputs y, x; x*y", {}, "'inputs' is declared twice"),
    ("x*j0(k)", {"consts": {"k": 1}}, "j0 of constants alone"),
    ("x*k", {"consts": {"k": 1}, "complex": True}, "a complex layer has no constants"),
    ("x*k", {"consts": "k"}, "'k' has no value"),
    ("x*k", {"consts": 5}, "are names with their values"),
    ("x*k", {"consts": {1: 1}}, "are names with their values"),
]


@pytest.mark.parametrize(("formula", "options", "message"), WRONG)
def test_wrong_declarations(formula: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FngenError) as caught:
        fngen.generate(formula, **options)
    assert message in str(caught.value)


def test_a_missing_formula_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path / "none.fn")])
    assert result.exit_code == 2
    assert "cannot read" in result.output


# What verification finds in a file that somebody has changed.

PLANTED = [
    ('self.k = _number(k, "k")', "self.k = 2", "constants"),
    (".k, self.p)", ".p, self.k)", "constants"),
    ("    args: tuple", "    p = 0.5\n    args: tuple", "constants"),
    ("constant_(self.w, 1.5)", "constant_(self.w, 2.0)", "parameters"),
    ("min(1, rank - 1)", "0", "parameters"),
    ("    w = _per_channel(w, x, y)\n", "", "parameters"),
    ("torch.empty(num_channels", "torch.empty(1", "parameters"),
]


@pytest.mark.parametrize(("old", "new", "check"), PLANTED)
def test_planted_errors_are_found(tmp_path: Path, old: str, new: str, check: str) -> None:
    source = fngen.generate("x*y*k*w + p", name="planted", params={"w[C]": 1.5}, consts={"k": 2, "p": 0.5})
    assert source.text.count(old) == 1
    path = tmp_path / "planted.py"
    path.write_text(source.text.replace(old, new))
    assert check in [c.name for c in fngen.verify(path).checks if not c.ok]


def test_swapped_fields_are_found(tmp_path: Path) -> None:
    text = fngen.generate("u = x*y; v = x + y", name="planted").text
    path = tmp_path / "planted.py"
    path.write_text(text.replace("    u: Tensor\n    v: Tensor\n", "    v: Tensor\n    u: Tensor\n"))
    assert [c.name for c in fngen.verify(path).checks if not c.ok] == ["outputs"]


@pytest.mark.parametrize("k", [1, 0, -1])
def test_a_choice_by_a_constant_has_the_shape_and_type_of_both(k: int) -> None:
    module = made("x if k > 0 else y*x", consts={"k": 1})
    x = torch.ones(3, requires_grad=True)
    y = torch.ones(2, 1, dtype=torch.float64, requires_grad=True)
    got = module.made(x, y, k)
    assert (got.shape, got.dtype) == ((2, 3), torch.float64)
    got.sum().backward()
    assert (x.grad.shape, y.grad.shape) == ((3,), (2, 1))


@pytest.mark.parametrize(
    "name", ["int", "requires_grad", "saved_tensors", "shapes", "needs_input_grad", "half", "args", "x_t"]
)
def test_constants_of_any_name(name: str) -> None:
    assert made(f"u = x*y*{name}; v = x + {name}", consts={name: 2}, outputs=["u", "v"])
    assert made(f"x*y*{name}", consts={name: 2})


@pytest.mark.parametrize(
    ("text", "literal"), [("00012", "12"), ("1.", "1.0"), (".5", "0.5"), ("+3", "3"), ("-1E-06", "-1e-6")]
)
def test_numbers_as_black_writes_them(text: str, literal: str) -> None:
    source = fngen.generate("x*k*w", name="f", consts={"k": text}, params={"w": text}).text
    assert f"k: float = {literal})" in source
    assert f"constant_(self.w, {literal})" in source


def test_a_stem_that_is_no_name(tmp_path: Path) -> None:
    path = tmp_path / "2d.fn"
    path.write_bytes(b"\xef\xbb\xbfx*y  # one line, and a byte order mark")
    assert "def x_times_y(" in CliRunner().invoke(main, [str(path), "-o", "-"]).output


def test_a_product_of_constants_is_no_derivative_of_a_sigmoid() -> None:
    assert made("(z + y - y*z)**y", consts={"y": 0.75})
    assert made("x*k*(1 - k) + tanh(x)*(1 - k**2)", consts={"k": 0.75})


@pytest.mark.parametrize("wrong", [1j, "2", True, None, torch.tensor(2.0, requires_grad=True)])
@pytest.mark.parametrize("formula", ["x*k*k", "x*y*k"])
def test_what_is_no_number_is_no_constant(formula: str, wrong: Any) -> None:
    """A tensor would lose its gradient, a complex number would make the result complex."""
    module = fngen.compile(formula, name="f", consts={"k": 2})
    with pytest.raises(TypeError, match="k takes a number"):
        module.f(*[torch.ones(3)] * len({"x", "y"} & set(formula)), k=wrong)
    with pytest.raises(TypeError, match=r"k takes a number|complex|NoneType"):
        module.F(wrong)


@pytest.mark.parametrize("large", [10**400, -(10**400), 10**5000], ids=["positive", "negative", "long"])
def test_an_int_beyond_floats_is_no_constant(large: int) -> None:
    module = fngen.compile("k*x", name="made", consts={"k": 2})
    with pytest.raises(OverflowError):
        module.Made(large)
    with pytest.raises(FngenError, match="larger than any float"):
        fngen.generate("k*x", consts={"k": large})


def test_an_int_stays_one() -> None:
    module = fngen.compile("k*x", name="made", consts={"k": 2})
    assert module.Made(3)(torch.ones(2, dtype=torch.int64)).dtype == torch.int64
    assert [repr(module.Made(k).k) for k in (3, 3.0, torch.ones(1).numpy()[0])] == ["3", "3.0", "1.0"]


@pytest.mark.parametrize("number", [torch.inf, -torch.inf, torch.nan])
def test_no_formula_says_inf_or_nan(number: float) -> None:
    """A bound may be infinite; only the text of the formula cannot say so."""
    module = fngen.compile("a*clamp(x, -1, k)", name="made", consts={"k": 2}, params={"a": 1})
    layer, x = module.Made(number), torch.tensor([-2.0, 0.5, 3.0])
    torch.testing.assert_close(layer(x).detach(), torch.clamp(x, -1, number), equal_nan=True)
    with pytest.raises(ValueError, match="inf or nan"):
        layer.formula()
    learned = module.Made()
    with torch.no_grad():
        learned.a.fill_(number)
    with pytest.raises(ValueError, match="inf or nan"):
        learned.formula()


# Constants at which Python's math has no value.


@pytest.mark.parametrize(
    ("formula", "value", "error"),
    [
        ("x*sqrt(c)", -1.0, ValueError),
        ("x*log(c)", 0, ValueError),
        ("x*(1/c + 1)", 0, ZeroDivisionError),
        ("x*exp(c)", 1e3, OverflowError),
        ("x*abs(c)**c", 1e200, OverflowError),
    ],
)
def test_a_constant_without_a_value_raises_as_documented(
    formula: str, value: float, error: type[Exception]
) -> None:
    layer = fngen.compile(formula, name="layer", consts={"c": 0.5}).layer
    with pytest.raises(error):
        layer(torch.ones(3), c=value)
    assert "Python's math has no value for a constant" in layer.__doc__


@pytest.mark.parametrize(
    ("formula", "plain"),
    [
        ("x/c", lambda x, c: x / c),
        ("exp(-x/c)", lambda x, c: torch.exp(-x / c)),
        ("x*c**2", lambda x, c: x * c**2),
    ],
)
@pytest.mark.parametrize("value", [0, 0.0, -1.0, 1e-300, torch.inf, torch.nan])
def test_a_constant_beside_tensors_is_torchs(
    formula: str, plain: Callable[[Tensor, float], Tensor], value: float
) -> None:
    layer = fngen.compile(formula, name="layer", consts={"c": 0.5}).layer
    assert "Python's math" not in layer.__doc__
    results = []
    for function in (layer, plain):
        x = torch.tensor([0.5, 1, 2], dtype=torch.float64, requires_grad=True)
        results.append([y := function(x, value), *torch.autograd.grad(y.sum(), x)])
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, equal_nan=True)


@pytest.mark.parametrize("name", ["sigmoid", "logsigmoid", "softplus", "silu", "mish"])
@pytest.mark.parametrize("value", [-800.0, -30.0, 0, 2.5, 800.0])
def test_a_function_of_a_constant_overflows_no_sooner_than_torchs(name: str, value: float) -> None:
    layer = fngen.compile(f"x*{name}(c)", name="layer", consts={"c": 0.5}).layer
    want = getattr(torch.nn.functional, name)(torch.tensor(value, dtype=torch.float64))
    torch.testing.assert_close(layer(torch.ones((), dtype=torch.float64), c=value), want, rtol=1e-13, atol=0)
