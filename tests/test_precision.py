"""Halves are computed in float32 and rounded once, and with ``--accurate`` float32 in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path

import mpmath
import pytest
import torch
from mpmath import mp
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

import fngen
from fngen.measurement.errors import FNGEN
from tests.gallery import GALLERY
from tests.modes_compile import COMPILING_WARNINGS
from tests.test_cli import invoke, ok

pytestmark = COMPILING_WARNINGS
HALVES = (torch.float16, torch.bfloat16)
ONCE = 0.51
"""Units in the last place: half of one for the rounding, and what the wider type may have lost."""
SAFE = 2.0**-100
"""The size from which no intermediate result of these formulas is too small for float32."""


def every(dtype: torch.dtype) -> Tensor:
    """Return all finite numbers of a type of 16 bits."""
    bits = torch.arange(2**16).to(torch.uint16).view(torch.int16).view(dtype)
    return bits[bits.isfinite()]


def ulps(got: Tensor, exact: Tensor) -> Tensor:
    """Return errors in units in the last place of the type; a number that rounds to infinity has none."""
    info, dtype = torch.finfo(got.dtype), got.dtype
    _, exponent = torch.frexp(exact.abs().clamp(min=info.tiny))
    unit = info.eps * torch.exp2(exponent.double() - 1)
    overflows = exact.to(dtype).isinf() & (got == exact.to(dtype))
    return torch.where(overflows, 0.0, (got.double() - exact).abs() / unit)


def once(got: Tensor, exact: Tensor) -> None:
    """Check that numbers are the exact ones, rounded once."""
    kept = (exact.abs() > SAFE) | (exact == 0)
    assert kept.double().mean() > 0.4
    assert ulps(got.detach(), exact.detach())[kept].nan_to_num(math.inf).max() <= ONCE


def slope(value: Tensor, x: Tensor, weight: Tensor | None = None, **options: bool) -> Tensor:
    return torch.autograd.grad(value, x, torch.ones_like(value) if weight is None else weight, **options)[0]


# Every number.

Exact = Callable[[Tensor], Tensor]


def _mish(x: Tensor) -> Tensor:
    return x * torch.tanh(nn.functional.softplus(x, threshold=800))


def _mish_slope(x: Tensor) -> Tensor:
    t = torch.tanh(nn.functional.softplus(x, threshold=800))
    return t + x / torch.cosh(nn.functional.softplus(x, threshold=800)) ** 2 * torch.sigmoid(x)


def _silu_slope(x: Tensor) -> Tensor:
    return torch.sigmoid(x) * (1 + x * torch.sigmoid(-x))


FORMULAS: dict[str, tuple[Exact, Exact]] = {
    "tanh(x)": (torch.tanh, lambda x: 1 / torch.cosh(x) ** 2),
    "x*sigmoid(x)": (lambda x: x * torch.sigmoid(x), _silu_slope),
    "x*tanh(softplus(x))": (_mish, _mish_slope),
    "exp(x)": (torch.exp, torch.exp),
    "sqrt(x)": (torch.sqrt, lambda x: 0.5 / torch.sqrt(x)),
    "sin(x)": (torch.sin, torch.cos),
    "x**3 - 2*x": (lambda x: x**3 - 2 * x, lambda x: 3 * x**2 - 2),
    "log1p(x**2)": (lambda x: torch.log1p(x**2), lambda x: 2 / (x + 1 / x)),
}
NEAR_A_ROOT = {("x*tanh(softplus(x))", torch.float16): 2}
"""How many slopes may be further off: next to a root of the slope float32 cancels."""


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("formula", FORMULAS)
def test_every_half(formula: str, dtype: torch.dtype) -> None:
    layer, (value, derivative) = fngen.compile(formula, name="f").f, FORMULAS[formula]
    x = every(dtype)
    x = x[x > 0] if formula == "sqrt(x)" else x
    x = x[x.abs() < 1e12].requires_grad_()  # Beyond, squares and cubes leave float32 as they would bfloat16.
    exact = x.detach().double()
    with torch.no_grad():
        once(layer(x), value(exact))
    y = layer(x)
    once(y, value(exact))
    want = derivative(exact).nan_to_num(0)
    errors = ulps(slope(y, x), want)[(want.abs() > SAFE) | (want == 0)]
    assert (errors > ONCE).sum() <= NEAR_A_ROOT.get((formula, dtype), 0)
    assert errors.max() < 1


BY_BALLS = ("x*sigmoid(x)", "x*tanh(softplus(x))", "exp(x)", "elu(x)", "atan(x)", "log(x)")


@pytest.mark.slow
@pytest.mark.parametrize("formula", BY_BALLS)
def test_every_half_in_ball_arithmetic(formula: str) -> None:
    """The references above are float64: here every digit is certain."""
    report = fngen.measure(fngen.generate(formula, name="f"), dtypes="float16", points=2**16)
    measured = [e for e in report.errors if e.way == FNGEN and len(e.by) < 2]
    assert len(measured) == 2
    for errors in measured:
        assert not errors.nonfinite
        assert sum(e > ONCE for e, _ in errors.finite) <= NEAR_A_ROOT.get((formula, torch.float16), 0)


def test_an_intermediate_result_has_the_range_of_float32() -> None:
    x = torch.tensor([300.0, 6e4, 6e-8], dtype=torch.float16)
    layer = fngen.compile("x**2/(1 + x**2)", name="f").f
    assert layer(x)[:2].tolist() == [1, 1]
    once(layer(x), x.double() ** 2 / (1 + x.double() ** 2))
    assert fngen.compile("exp(x)", name="f").f(torch.tensor(12.0, dtype=torch.float16)) == math.inf


# Types.

MIXED: dict[str, Callable[..., Tensor | tuple[Tensor, ...]]] = {
    "x*sigmoid(y*x)": lambda x, y: x * torch.sigmoid(y * x),
    "where(y > 0, sin(x), cos(x))": lambda x, y: torch.where(y > 0, torch.sin(x), torch.cos(x)),
    "mean(x*x, dim=-1)*y": lambda x, y: torch.mean(x * x, dim=-1, keepdim=True) * y,
    "u = sin(x); v = x*y": lambda x, y: (torch.sin(x), x * y),
    "exp(x - y)": lambda x, y: torch.exp(x - y),
}
KINDS = (*HALVES, torch.float32, torch.float64, torch.int64)


@pytest.mark.parametrize("accurate", [False, True])
@pytest.mark.parametrize("formula", MIXED)
def test_mixed_types(formula: str, accurate: bool) -> None:
    """The type of the plain formula, in each mode; and no digit lost before the result is rounded."""
    outputs = {"outputs": ["u", "v"]} if ";" in formula else {}
    layer = fngen.compile(formula, name="f", inputs=["x", "y"], accurate=accurate, **outputs).f
    for one, other, sizes in product(KINDS, KINDS, product(((), (5,)), repeat=2)):
        x, y = (
            (torch.linspace(0.3, 1.7, 5)[: math.prod(s)] * 2).reshape(s).to(k)
            for k, s in zip((one, other), sizes, strict=True)
        )
        try:
            plain, exact = MIXED[formula](x, y), MIXED[formula](x.double(), y.double())
        except RuntimeError:
            continue  # torch has no mean of integers.
        wanted, true = (t if outputs else (t,) for t in (plain, exact))
        got = layer(x, y)
        for g, w, e in zip(got if outputs else (got,), wanted, true, strict=True):
            assert g.dtype == w.dtype, (one, other, sizes)
            if g.dtype in HALVES:
                once(g, e)
        for x_grad, y_grad in ((True, False), (False, True)):
            leaves = [
                t.detach().clone().requires_grad_(w and t.is_floating_point())
                for t, w in ((x, x_grad), (y, y_grad))
            ]
            result = layer(*leaves)
            result = result[1] if outputs else result
            for leaf in leaves:
                if leaf.requires_grad:
                    assert slope(result, leaf).dtype == leaf.dtype
        if {one, other} & set(HALVES) and torch.int64 not in (one, other):
            tangents = torch.func.jvp(layer, (x, y), (x, y))[1]
            for t, w in zip(tangents if outputs else (tangents,), wanted, strict=True):
                assert t.dtype == w.dtype


def test_a_number_is_not_rounded_to_a_half() -> None:
    layer = fngen.compile("x*sigmoid(beta*x)", name="f").f
    x = every(torch.float16)
    x = x[(x > -8) & (x < 100)]  # At -12.8 the slope has a root.
    once(layer(x, 0.1), x.double() * torch.sigmoid(x.double() * 0.1))
    moving = x.clone().requires_grad_()
    u = x.double() * 0.1
    y = layer(moving, 0.1)
    assert y.dtype == torch.float16
    once(slope(y, moving), torch.sigmoid(u) * (1 + u * torch.sigmoid(-u)))
    assert layer(x[0], 0.1).dtype == torch.float16


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_autocast_has_its_own_types(dtype: torch.dtype) -> None:
    x = torch.linspace(-2, 2, 9).to(dtype).requires_grad_()
    layer = fngen.compile("x*tanh(softplus(x))", name="f").f
    with torch.autocast("cpu", dtype=dtype):
        y, plain = layer(x), x * torch.tanh(nn.functional.softplus(x))
    assert y.dtype == plain.dtype
    torch.testing.assert_close(y, plain, rtol=0.02, atol=0.01)
    once(slope(y, x), _mish_slope(x.detach().double()))


# Modes.


@pytest.fixture(params=HALVES, ids=str)
def points(request: pytest.FixtureRequest) -> Tensor:
    x = every(request.param)
    return x[(x.abs() < 10) & (x.abs() > 1e-3)][::97]


@pytest.mark.parametrize("formula", ["x*sigmoid(x)", "exp(x)", "tanh(x)"])
def test_other_modes_give_the_same_numbers(formula: str, points: Tensor, fresh_compiler: None) -> None:
    layer, derivative = fngen.compile(formula, name="f").f, FORMULAS[formula][1]
    value, exact = layer(points), derivative(points.double())
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert torch.equal(layer(points.clone()), value)
    got, tangent = torch.func.jvp(layer, (points,), (torch.ones_like(points),))
    assert torch.equal(got, value)
    once(tangent, exact)
    assert torch.equal(torch.vmap(layer)(points), value)
    once(torch.vmap(torch.func.grad(layer))(points), exact)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    leaf = points.clone().requires_grad_()
    y = compiled(leaf)
    assert torch.equal(y, value)
    once(slope(y, leaf), exact)


def _silu_second(x: Tensor) -> Tensor:
    p = torch.sigmoid(x) * torch.sigmoid(-x)
    return p * (2 + x * (torch.sigmoid(-x) - torch.sigmoid(x)))


SECOND: dict[str, Exact] = {
    "x*sigmoid(x)": _silu_second,
    "exp(x)": torch.exp,
    "x**3 - 2*x": lambda x: 6 * x,
}


@pytest.mark.parametrize("formula", SECOND)
def test_second_derivatives(formula: str, points: Tensor) -> None:
    """Of the slope in full: it is not differentiated after it was rounded."""
    layer, exact = fngen.compile(formula, name="f").f, SECOND[formula](points.double())
    x = points.clone().requires_grad_()
    first = slope(layer(x), x, create_graph=True)
    second = slope(first, x).detach()
    forward = torch.func.jvp(
        torch.func.grad(lambda t: layer(t).sum()), (points,), (torch.ones_like(points),)
    )[1]
    twice = torch.vmap(torch.func.jacfwd(torch.func.jacfwd(layer)))(points)
    for got in (second, forward, twice):
        assert got.dtype == points.dtype
        off = (got.double() - exact).abs() - ONCE * torch.finfo(points.dtype).eps * exact.abs()
        assert off.max() <= torch.finfo(points.dtype).smallest_normal * torch.finfo(points.dtype).eps + 3e-7


def test_several_outputs(points: Tensor) -> None:
    layer = fngen.compile(
        "s = sigmoid(x); u = s*y; v = s*s*x", name="f", outputs=["u", "v"], inputs=["x", "y"]
    ).f
    x, y = points.clone().requires_grad_(), points.flip(0).requires_grad_()
    a, b = (t.detach().double().requires_grad_() for t in (x, y))
    found, s = layer(x, y), torch.sigmoid(a)
    exact = (s * b, s * s * a)
    for got, want in zip(found, exact, strict=True):
        once(got, want)
    for wanted in ((0,), (1,), (0, 1)):
        weights = [torch.ones_like(points) for _ in wanted]
        got = torch.autograd.grad([found[i] for i in wanted], (x, y), weights, True, allow_unused=True)
        doubled = [w.double() for w in weights]
        want = torch.autograd.grad([exact[i] for i in wanted], (a, b), doubled, True, allow_unused=True)
        for g, w in zip(got, want, strict=True):
            assert (g is None or not g.any()) if w is None else True
            if w is not None:
                size = torch.finfo(points.dtype).eps * w.abs() * ONCE
                assert ((g.double() - w).abs() <= size + 1e-6).all()


def test_reductions() -> None:
    """A sum has the digits of float32 until its end, and so has a gradient that is summed to a parameter."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(4096, 8, generator=generator).to(torch.bfloat16)
    w = torch.rand(8, generator=generator).to(torch.bfloat16).requires_grad_()
    once(fngen.compile("sum(x, dim=0)", name="f").f(x), x.double().sum(0))
    layer = fngen.compile(
        "x/sqrt(mean(x**2, dim=-1) + eps)*w", name="f", params={"w[-1]": 1.0}, consts={"eps": 1e-6}
    ).f
    scaled = x.double() / (x.double() ** 2).mean(-1, keepdim=True).add(1e-6).sqrt()
    y = layer(x, w)
    once(y, scaled * w.detach().double())
    once(slope(y, w), scaled.sum(0))
    p = x.clone().requires_grad_()
    weight = torch.rand(x.shape, generator=generator).to(torch.bfloat16)
    got = slope(fngen.compile("softmax(x, dim=-1)", name="f").f(p), p, weight)
    s = torch.softmax(x.double(), -1)
    want = s * (weight.double() - (weight.double() * s).sum(-1, keepdim=True))
    close = ONCE * torch.finfo(torch.bfloat16).eps * want.abs() + 1e-7
    assert ((got.double() - want).abs() <= close).all()


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_a_module_of_halves(dtype: torch.dtype) -> None:
    module = fngen.compile("x*sigmoid(beta*x)", name="swish", params={"beta[C]": 1.0}).Swish(3).to(dtype)
    x = torch.linspace(-4, 4, 300).to(dtype).reshape(100, 3).requires_grad_()
    y = module(x)
    assert y.dtype == dtype
    y.backward(torch.ones_like(y))
    z = x.detach().double()
    once(y, z * torch.sigmoid(z))
    once(x.grad, _silu_slope(z))
    once(module.beta.grad, (z * z * torch.sigmoid(z) * torch.sigmoid(-z)).sum(0))


@pytest.mark.parametrize("formula", ["x*tanh(softplus(x))", "exp(x)", "tanh(x)"])
def test_an_input_is_kept_as_it_came(formula: str, points: Tensor) -> None:
    """Half the size of float32: nothing that was widened is kept, and no intermediate result."""
    kept: list[Tensor] = []
    x = points.clone().requires_grad_()
    with saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        fngen.compile(formula, name="f").f(x)
    assert [t.data_ptr() for t in kept] == [x.data_ptr()]


PARTS: dict[str, tuple[int, ...]] = {
    "(x - y)**3": (6, 4),
    "sum(softmax(x, dim=-1)*y, dim=-1)": (6, 4),
    "mean(-sum(log_softmax(x, dim=-1)*y, dim=-1))": (),
    "sum(x*y, dim=-1)/(norm(x, dim=-1)*norm(y, dim=-1))": (1,),
    "x/sqrt(mean(x**2, dim=-1) + eps)*y": (4,),
}
"""Formulas of what is made of inputs before the node, and of inputs that differ in size: the size of ``y``."""


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("formula", PARTS)
def test_inputs_that_the_node_does_not_see_are_kept_as_they_came(formula: str, dtype: torch.dtype) -> None:
    consts = {"eps": 1e-6} if "eps" in formula else {}
    layer = fngen.compile(formula, name="f", inputs=["x", "y"], consts=consts).f
    generator = torch.Generator().manual_seed(0)
    shapes = ((6, 4), PARTS[formula])
    given = [(torch.rand(s, generator=generator) + 0.5).to(dtype).requires_grad_() for s in shapes]
    exact = [t.detach().double().requires_grad_() for t in given]
    kept: list[Tensor] = []
    with saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        value = layer(*given)
    assert [t.data_ptr() for t in kept] == [t.data_ptr() for t in given]
    want = layer(*exact)
    once(value, want)
    weight = torch.rand(want.shape, generator=generator).to(dtype)
    slopes, wanted = (
        torch.autograd.grad(y, xs, weight.to(y.dtype), create_graph=True)
        for y, xs in ((value, given), (want, exact))
    )
    plain = torch.autograd.grad(value, given, weight, retain_graph=True)
    batch = torch.stack([weight, 2 * weight])
    batched = torch.autograd.grad(value, given, batch, is_grads_batched=True, retain_graph=True)
    for i, exactly in enumerate(wanted):
        for got in (slopes[i], plain[i], batched[i][0], slope(value, given[i], weight, retain_graph=True)):
            near(got, exactly)
    again, true = (
        torch.autograd.grad(sum(s.sum() for s in ss), xs, create_graph=True)
        for ss, xs in ((slopes, given), (wanted, exact))
    )
    third, truly = (
        torch.autograd.grad(sum((s * s).sum() for s in ss), xs) for ss, xs in ((again, given), (true, exact))
    )
    for got, exactly in zip((*again, *third), (*true, *truly), strict=True):
        near(got, exactly, 4)


def near(got: Tensor, exact: Tensor, times: float = 1) -> None:
    """Check numbers to a part of the largest: sums cancel."""
    size = torch.finfo(got.dtype).eps * exact.abs().max()
    assert ((got.double() - exact).abs() <= times * ONCE * size + 1e-6).all()


def test_one_tensor_in_two_places() -> None:
    """Of float32 beside a half: it is not copied where it is widened."""
    layer = fngen.compile("exp(a - 2*b)*c", name="f").f
    w = torch.linspace(0, 1, 8).requires_grad_()
    c = torch.ones(8, dtype=torch.bfloat16)
    once(slope(layer(w, w, c), w), -torch.exp(-w.detach().double()).float().double())


# --accurate.

ACCURATE: dict[str, Callable[[mpmath.mpf], mpmath.mpf]] = {
    "x*sigmoid(x)": lambda x: x / (1 + mp.exp(-x)),
    "x*tanh(softplus(x))": lambda x: x * mp.tanh(mp.log1p(mp.exp(x))),
    "exp(x)": mp.exp,
    "sin(x)/x": lambda x: mp.sin(x) / x,
}


@pytest.mark.parametrize("formula", ACCURATE)
def test_float32_in_float64(formula: str) -> None:
    exactly, layer = ACCURATE[formula], fngen.compile(formula, name="f", accurate=True).f
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(400, generator=generator) * 40 - 20).requires_grad_()
    y = layer(x)
    with mp.workdps(60):
        numbers = [mp.mpf(t) for t in x.detach().double().tolist()]
        exact = [float(exactly(t)) for t in numbers]
        slopes = [float(mp.diff(exactly, t)) for t in numbers]
    once(y, torch.tensor(exact, dtype=torch.float64))
    once(slope(y, x), torch.tensor(slopes, dtype=torch.float64))
    plain = fngen.compile(formula, name="f").f
    a = x.detach().double().requires_grad_()
    assert torch.equal(plain(a), layer(a))
    assert torch.equal(slope(plain(a), a), slope(layer(a), a))
    with torch.no_grad():
        assert torch.equal(layer(x), y)


def test_the_choice_is_in_the_file() -> None:
    text, accurate = (fngen.generate("sin(x)", name="f", accurate=flag).text for flag in (False, True))
    assert "_WIDE = {torch.float16: torch.float32, torch.bfloat16: torch.float32}\n" in text
    assert "    torch.float32: torch.float64,\n}\n" in accurate
    assert accurate != text


def test_complex_layers_are_as_they_were() -> None:
    for name, entry in GALLERY.items():
        source = fngen.generate(entry.formula, name=name, accurate=True, **entry.options)
        assert ("_WIDE" in source.text) != bool(entry.complex)
        assert ("_widened(" in source.text) != bool(entry.complex)


@pytest.mark.parametrize("flags", [(), ("--accurate",)])
def test_the_command_line_and_the_header(folder: Path, flags: tuple[str, ...]) -> None:
    ok("x*sin(y)", "--name", "layer", "-o", "layer.py", *flags)
    text = Path("layer.py").read_text()
    assert text == fngen.generate("x*sin(y)", name="layer", accurate=bool(flags)).text
    assert ("--accurate" in text) == bool(flags)
    assert "up to date" in ok("check", "layer.py")


def test_the_key_of_a_project(folder: Path) -> None:
    ok("init")
    ok("add", "better", "x*sin(y)", "--accurate")
    assert "accurate = true\n" in Path("fngen.toml").read_text()
    assert invoke("build", "--no-verify", "-j", "1").exit_code == 0
    want = fngen.generate("x*sin(y)", name="better", accurate=True).text
    assert Path("generated", "better.py").read_text() == want
