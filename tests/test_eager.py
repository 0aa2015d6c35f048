"""The node of plain tensors: what it overwrites nobody reads afterwards, whichever gradients are wanted."""

from __future__ import annotations

from itertools import cycle, product

import pytest
import torch
from hypothesis import given, reject, settings
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import fngen
from fngen.errors import FormulaError
from fngen.functions import TABLE
from fngen.functions.row import Function
from tests.conftest import SCALE
from tests.gallery import GALLERY
from tests.strategies import SMOOTH, STABLE, formulas

SHAPES = ((4, 3), (3,), (4, 1), ())


def agree(got: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for g, w in zip(got, expected, strict=True):
        size = w.abs().nan_to_num(0, 0, 0).max().item() if w.numel() else 0.0
        torch.testing.assert_close(g, w, rtol=1e-9, atol=1e-12 * max(size, 1), equal_nan=True)


def check(formula: str, *, stabilise: bool = True) -> None:
    """Compare with the node that keeps its inputs alone, which serves where a graph is made."""
    layer = fngen.compile(formula, name="f", stabilise=stabilise).f
    count = layer.__code__.co_argcount
    generator = torch.Generator().manual_seed(count)
    points = [
        torch.rand(shape, generator=generator, dtype=torch.float64) + 0.3
        for shape, _ in zip(cycle(SHAPES), range(count), strict=False)
    ]
    for wanted in product((True, False), repeat=min(count, 4)):
        if not any(wanted):
            continue
        inputs = [x.clone().requires_grad_(w) for x, w in zip(points, cycle(wanted), strict=False)]
        moving = [x for x in inputs if x.requires_grad]
        y = layer(*inputs)
        if not y.requires_grad:
            return
        grad_y = torch.rand(y.shape, generator=generator, dtype=torch.float64) - 0.5
        expected = torch.autograd.grad(y, moving, grad_y, create_graph=True)
        before = [x.detach().clone() for x in inputs]
        for _ in range(2):  # What the first run overwrote would show in the second.
            agree(torch.autograd.grad(y, moving, grad_y, retain_graph=True), expected)
        assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))
        several = torch.stack([grad_y, 2 * grad_y])
        batched = torch.autograd.grad(y, moving, several, is_grads_batched=True)
        agree(tuple(g[1] for g in batched), tuple(2 * w for w in expected))


@given(formulas(SMOOTH, (), leaves=10), STABLE)
@settings(max_examples=60 * SCALE)
def test_random_formulas(formula: str, stabilise: bool) -> None:
    try:
        fngen.generate(formula, name="f", stabilise=stabilise)
    except FormulaError:
        reject()  # It divides by zero, or compares constants.
    check(formula, stabilise=stabilise)


PRODUCTS = [
    "x*sigmoid(beta*x)",
    "s = sigmoid(a*b); s*(1 - s)*a + s*b",
    "t = tanh(a*b); a*t*c - b*t**2*c",
    "u = a*b; u*sin(u)*c + cos(u)*c**2",
    "exp(-a*x**2)*cos(b*x)*c",
    "a*tanh(b)*sigmoid(c)*x",
    "(a*b + c)*(a*b - c)*tanh(a*c)",
    "s = sigmoid(a + b*c); x*s + (1 - s)*x**2",
    "u = x*0; v = y + y; u*v + u",
    "0*a + b*c",
    "x + x**2/2 - x**3/6 + x**4/24 - x**5/120",
    "y*(x**8 - 3*x**6 + x**4/3 - 1)*x",
    "u = sin(x*y); (u**7 - u**5/7 + 3*u**3 - u)*y",
    "y*sqrt(1 + (mish(y)*sigmoid(mish(y))/(1.5 + abs(hardswish(w/(1 + y**2)))))**2)",
    "-(x**6 - 2*x**5 - x**4)*(3*x**5 - 7*x**3/2 + x**2)",
    "softplus(a*b)*tanh(softplus(a*b))*c",
    "a*b*tanh(softplus(a*b))",
    "softplus(x)**2*x**2",
]


ONE = [e.formula for e in GALLERY.values() if not e.complex and not e.outputs]


@pytest.mark.parametrize("formula", [*PRODUCTS, *ONE])
def test_formulas_with_much_in_common(formula: str) -> None:
    check(formula)


def test_kernels_of_torch() -> None:
    """Arithmetic that torch has as one kernel is one call."""
    swish, mish = (
        fngen.generate(GALLERY[n].formula, name=n, stabilise=False).text for n in ("swish", "mish")
    )
    assert "torch.ops.aten.sigmoid_backward(grad_y, u).mul_(x)" in swish
    assert "(grad_y * u).addcmul_(v, beta)" in swish
    assert "torch.ops.aten.tanh_backward(nn.functional.silu(x), u)" in mish


GATES = [
    "where(x < a, a, x)",
    "where(x > y, x, 1)*b",
    "where(x > 0, 1, 0)*y",
    "where(x > y, x, b) + where(b < 1/2, a, 1)",
    "sum(where(x > y, x, 0), dim=-1)",
]


@pytest.mark.parametrize("formula", GATES)
def test_a_gate_takes_the_cotangent_itself(formula: str) -> None:
    text = fngen.generate(formula, name="f").text
    for backward in text.split("def backward(")[1:]:
        assert "ones_like" not in backward.partition("return ")[0]
    check(formula)


ACTIVATIONS = [
    "0.3*relu(x - 1/2) - 0.2*relu(1/2 - x)",
    "relu(2*x - 1) + 0.7*x",
    "relu6(3*x)/7 + x + y*hardtanh(2*x)",
    "1e-50*relu(x) + 1e-50*x**2 + 1e39*relu(x)",
    "x*sigmoid(x)*y",
    "silu(a*x + b)*x",
    "relu(x - 1/2)**2*y",
    "log(1 + relu(x - y)*y)",
    "hardtanh(x - y)*hardswish(4*y - 4)",
    "relu(x - y)*relu(y - x + 1/4)",
    "sqrt(relu(x - 1/2) + y)",
    "elu(x - 1, 3/2)*leaky_relu(y - x)",
    "elu(x - y) + elu(y - x)*x",
    "relu6(9*x - y)/(1 + silu(x))",
    "s = sigmoid(x); x*s + s*(1 - s)",
    "sum(silu(x)*y, dim=-1)",
    "silu(x)*mean(elu(x - 1), dim=-1)",
    "mean(relu(x - 1/2)*y, dim=-1)",
]


@pytest.mark.parametrize("formula", ACTIVATIONS)
def test_activations_among_other_things(formula: str) -> None:
    text = fngen.generate(formula, name="f").text
    assert "_backward(" in text
    check(formula)


VJPS = [row for row in TABLE.values() if row.vjp]
SPECIAL = [torch.inf, -torch.inf, 0.0, -0.0, 1, -1, 3, -3, 6, 1e-30, -1e-30, 300, -300, 0.7, -0.7]

SLACK = {torch.float64: (1e-14, 1e-16), torch.float32: (2e-6, 1e-7), torch.float16: (1e-2, 1e-3)}
"""The table's rounds at each step; but torch's own may be less precise: that of hardsigmoid has 1/6 in float32."""


@pytest.mark.parametrize("dtype", list(SLACK))
@pytest.mark.parametrize("row", VJPS, ids=lambda row: row.name)
def test_the_kernel_of_a_derivative(row: Function, dtype: torch.dtype) -> None:
    """It says what the table says, at kinks and infinities too."""
    text = fngen.generate(f"{row.name}(x)", name="f", stabilise=False).text
    assert f"torch.ops.aten.{row.vjp.partition('(')[0]}(grad_y," in "".join(text.split())
    layer = fngen.compile(f"{row.name}(x)", name="f", stabilise=False).f
    x = torch.tensor([*SPECIAL, *torch.linspace(-8, 8, 101)], dtype=dtype, requires_grad=True)
    cotangent = torch.rand(x.shape).to(dtype)
    (got,) = torch.autograd.grad(layer(x), x, cotangent)
    (expected,) = torch.autograd.grad(layer(x), x, cotangent, create_graph=True)
    rtol, atol = SLACK[dtype]
    torch.testing.assert_close(got, expected.detach(), equal_nan=True, rtol=rtol, atol=atol)


@pytest.mark.parametrize("formula", ["relu(x)*y", "hardtanh(x)*y", "relu6(x)**2*y"])
def test_a_gate_shuts_out_an_infinite_factor(formula: str) -> None:
    x = torch.tensor([-4.0, -4.0], requires_grad=True)
    y = torch.tensor([torch.inf, 1.0])
    assert torch.equal(torch.autograd.grad(fngen.compile(formula, name="f").f(x, y).sum(), x)[0], 0 * x)


def test_infinite_inputs_are_no_worse_for_the_fused_form() -> None:
    """``p - p*m`` has no value at infinite ``p``, where ``p*(1 - m)`` has one: there it is not taken."""
    for formula in ("atanh(x)", "x*(1 - x)", "x**2/2 - x**3/3"):
        x = torch.tensor([torch.inf, -torch.inf, 2.0], dtype=torch.float64, requires_grad=True)
        layer = fngen.compile(formula, name="f").f
        got = torch.autograd.grad(layer(x).sum(), x)
        agree(got, torch.autograd.grad(layer(x).sum(), x, create_graph=True))


@pytest.mark.parametrize(
    "formula", ["where(d > 0, sin(a), cos(a)) + a*d", "a*d + where(d > 0, sin(a), cos(a))"]
)
@pytest.mark.parametrize("shapes", [((3,), (3,)), ((), (3,)), ((3,), ())])
@pytest.mark.parametrize("types", [(torch.float32, torch.float64), (torch.float64, torch.float32)])
def test_a_condition_has_no_say_in_the_type(
    formula: str, shapes: tuple[tuple[int, ...], ...], types: tuple[torch.dtype, ...]
) -> None:
    layer = fngen.compile(formula, name="f", inputs=["a", "d"]).f
    a, d = (torch.rand(s, dtype=t, requires_grad=True) for s, t in zip(shapes, types, strict=True))
    plain = torch.where(d > 0, torch.sin(a), torch.cos(a))
    plain = plain + a * d if formula.startswith("where") else a * d + plain
    assert layer(a, d).dtype == plain.dtype
    torch.testing.assert_close(layer(a, d), plain)


def test_what_is_expanded_is_not_overwritten() -> None:
    """A gradient that is a number of each row, expanded, and another that is its negative."""
    layer = fngen.compile("sum(y, dim=-1)*x - sum(z, dim=-1)*x", name="f").f
    y, x, z = (torch.rand(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    plain = (y.sum(-1, keepdim=True) - z.sum(-1, keepdim=True)) * x
    got, want = (torch.autograd.grad(v.sum(), (y, x, z)) for v in (layer(y, x, z), plain))
    agree(got, want)


def test_a_saved_tensor_is_read_once() -> None:
    """Also in a reduction of many inputs: a checkpoint refuses a second time."""
    layer = fngen.compile("mean(alpha_one*beta_two*gamma_three*delta_four*e)", name="f").f
    inputs = [torch.rand(3, dtype=torch.float64, requires_grad=True) for _ in range(5)]
    got = torch.autograd.grad(checkpoint(layer, *inputs, use_reentrant=False), inputs)
    agree(got, torch.autograd.grad(torch.stack(inputs).prod(0).mean(), inputs))


@pytest.mark.parametrize("formula", ["z*exp(x)*(1 - y)", "z*exp(x)*(1 + y*x)"])
def test_an_overflow_is_infinite(formula: str) -> None:
    layer = fngen.compile(formula, name="f", inputs=["x", "y", "z"]).f
    x, y, z = (torch.tensor(v, requires_grad=True) for v in (100.0, 0.0, 1.0))
    (grad_z,) = torch.autograd.grad(layer(x, y, z), z)
    assert grad_z == torch.inf


@pytest.mark.parametrize("formula", ["tanh(x)", "x*tanh(x)", "mish(x)", "x*tanh(softplus(x))", "tanh(x)**2"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_the_second_derivative_of_a_saturated_tanh(formula: str, dtype: torch.dtype) -> None:
    x = torch.tensor([900.0, -900.0, 20.0, 0.5], dtype=dtype, requires_grad=True)
    (slope,) = torch.autograd.grad(fngen.compile(formula, name="f").f(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), x)
    assert second[:2].tolist() == [0, 0]
    assert second.isfinite().all()
