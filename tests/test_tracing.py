"""Python functions read as formulas: the same as torch computes when it calls them with tensors."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from click.testing import CliRunner
from torch import Tensor

import fngen
from fngen import fn, recipe
from fngen.cli import main
from fngen.errors import FngenError
from fngen.fn import clamp, sin, where
from fngen.functions import TABLE

SLOPE = 0.25


def layer(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    module: ModuleType = fngen.compile(function, **{"name": "layer", **options})
    return module.layer  # type: ignore[no-any-return]


def points(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64) * 4 - 2


def taylor(x: Any) -> Any:
    return sum(x**k / math.factorial(k) for k in range(5))


def steps(x: Any) -> Any:
    for i in range(60):
        x = x * 0.9 + torch.sin(x * x) / (i + 2)
    return x


def chain(x: Any) -> Any:
    for _ in range(2000):
        x = 0.5 * torch.sin(x) + 0.25
    return x


TORCH: dict[str, Callable[..., Any]] = {
    "operators": lambda x, y: (x + 1) * (2 - y) / (x * x + 3) - (-x) ** 3 + 2.0**y - (1 / (3 + y)),
    "remainder": lambda x, y: (x % 0.7) * y + torch.fmod(y, 0.3),
    "abs": lambda x, y: abs(x) * +y,
    "functions": lambda x, y: torch.exp(-(x**2)) * torch.atan2(x, y) + torch.hypot(x, y),
    "activations": lambda x, y: F.silu(x) + F.gelu(y) + F.relu(x) * F.elu(y, 0.5) + F.leaky_relu(x, 0.2),
    "gelu": lambda x, y: F.gelu(x, approximate="tanh") * y,
    "more activations": lambda x, y: F.softplus(x) + F.hardtanh(y, -0.5, 0.7) + F.celu(x, 1.5) + F.softsign(y),
    "methods": lambda x, y: x.sin().add(1).mul(y).tanh() + y.sigmoid().sqrt() + x.clamp(min=0.5) + x.pow(2),
    "functions of operators": lambda x, y: torch.add(torch.mul(x, y), torch.div(x, 3)) - torch.sub(torch.neg(x), 2),
    "choices": lambda x, y: torch.where((x > 0) & ~(y < 0.5) | (x == y), x, torch.where(x <= -1, y, 0.5)),
    "logic": lambda x, y: torch.where(torch.logical_or(x > y, torch.lt(x, 0)), x, y * 2),
    "extrema": lambda x, y: torch.maximum(x, y) + torch.max(x, 2 * y) + torch.clamp(x, -0.5, 0.5) + y.clamp_min(0),
    "closure": lambda x, y: SLOPE * x + np.float64(0.1) * y + np.float32(0.5) + np.int64(3) * x,
    "negative numbers": lambda x, y: x * -2 + (-0.5 - y) ** 3 - -1.5,
    "special": lambda x, y: torch.erf(x) + torch.lgamma(y + 3) + torch.special.ndtr(x) + torch.special.i0e(y),
    "softmax": lambda x, y: torch.softmax(x, dim=-1) * F.log_softmax(y, dim=-1),
    "mean": lambda x, y: x / torch.sqrt(torch.mean(x**2, dim=-1, keepdim=True) + 1e-6) * y,
    "variance": lambda x, y: (x - x.mean(-1, True)) / torch.sqrt(x.var(dim=-1, keepdim=True, correction=0) + 1) + y,
    "norm": lambda x, y: x / torch.norm(x, dim=-1, keepdim=True) + torch.linalg.vector_norm(y, 3, -1, True),
    "extremum": lambda x, y: torch.exp(x - torch.amax(x, dim=-1, keepdim=True)) * y,
    "all elements": lambda x, y: torch.sum(x * y) * x + torch.logsumexp(y, (0, 1), True),
    "taylor": lambda x, y: taylor(x) * y,
    "shared": lambda x, y: steps(x) * y,
    "deep": lambda x, y: chain(x) * y,
    "module": lambda x, y: torch.nn.SiLU()(x) * torch.nn.Hardswish()(y),
}  # fmt: skip


@pytest.mark.parametrize("function", TORCH.values(), ids=TORCH)
def test_as_torch_computes_it(function: Callable[..., Any]) -> None:
    x, y = points(4, 3).requires_grad_(), points(4, 3, seed=1).requires_grad_()
    mine, wanted = layer(function)(x, y), function(x, y)
    torch.testing.assert_close(mine, wanted, rtol=1e-9, atol=1e-10)
    weights = points(4, 3, seed=2)
    mine, wanted = (torch.autograd.grad(v, [x, y], weights) for v in (mine, wanted))
    torch.testing.assert_close(mine, wanted, rtol=1e-8, atol=1e-9)


def _torch(spelled: str) -> Callable[..., Any]:
    owner = torch.nn if spelled.startswith("nn.") else torch
    return functools.reduce(getattr, spelled.split(".")[1:], owner)  # type: ignore[return-value]


REAL = {row.name: row for row in TABLE.values() if row.torch and not row.name.startswith("_")}
REAL = {name: row for name, row in REAL.items() if name not in ("conj", "re", "im", "sgn", "arg")}
NEEDS_TENSOR = {"heaviside", "polygamma", "zeta", "stop_gradient"}


@pytest.mark.parametrize("name", sorted(set(REAL) - NEEDS_TENSOR))
def test_every_function_that_torch_has(name: str) -> None:
    row, count = REAL[name], REAL[name].arities[0]
    function = _torch(row.torch.partition("(")[0])
    if name in ("clamp_min", "clamp_max"):
        function = getattr(torch, name)
    given = [points(50, seed=i) for i in range(count)]
    wanted = function(*given)
    if count == 1:
        mine = layer(lambda x: function(x))(*given)
    elif count == 2:
        mine = layer(lambda x, y: function(x, y))(*given)
    else:
        mine = layer(lambda x, y, z: function(x, y, z))(*given)
    torch.testing.assert_close(mine, wanted, rtol=1e-10, atol=1e-12, equal_nan=True)


NUMPY: dict[str, Callable[..., Any]] = {
    "ufuncs": lambda x, y: (
        np.sin(x) * np.exp(-np.square(y)) + np.arctan2(x, y) - np.power(2.0, x) + np.abs(y)
    ),
    "operators": lambda x, y: (
        2 // (x * x + 1)
        + x // 0.7
        - 5 % (y * y + 1)
        + np.add(x, 1) * np.true_divide(y, 3)
        - np.negative(x)
        + np.float64(2) * y
    ),
    "choices": lambda x, y: np.where(np.logical_and(x > 0, np.less(y, 1)), x, np.clip(y, -1, 0.5)),
    "comparisons": lambda x, y: np.where(np.equal(x, y) | np.invert(np.greater_equal(x, 0)), x, y),
    "extrema": lambda x, y: np.maximum(x, 0) + np.minimum(x, y) + np.logaddexp(x, y),
    "rounding": lambda x, y: np.floor(x) + np.ceil(y) + np.round(3 * x) + np.trunc(y) + np.mod(x, 0.7),
    "special": lambda x, y: np.sinc(x) + np.i0(y) + np.cbrt(x) + np.log1p(np.fabs(y)),
}


@pytest.mark.parametrize("function", NUMPY.values(), ids=NUMPY)
def test_as_numpy_computes_it(function: Callable[..., Any]) -> None:
    x, y = points(50), points(50, seed=1)
    wanted = torch.from_numpy(function(x.numpy(), y.numpy()))
    torch.testing.assert_close(layer(function)(x, y), wanted, rtol=1e-10, atol=1e-12)


READ: dict[str, tuple[Callable[..., Any], str]] = {
    "names of fn": (lambda x, y: x**2 + sin(y), "x**2 + sin(y)"),
    "where": (lambda x: where(x > 0, x, clamp(x, min=-1)), "where(x > 0, x, clamp(x, min=-1))"),
    "rounding": (lambda x: math.floor(x) + math.ceil(x) + round(x), "floor(x) + ceil(x) + round(x)"),
    "pi": (lambda x: fn.cos(2 * fn.pi * x), "cos(2*pi*x)"),
    "numbers alone": (lambda x: fn.sqrt(2) * x, "sqrt(2)*x"),
    "reduction": (
        lambda x, y: fn.sum(x * y, dim=-1) / fn.norm(x, dim=(-2, -1), keepdim=True),
        "sum(x*y, dim=-1)/norm(x, dim=(-2, -1), keepdim=True)",
    ),
    "piecewise": (lambda x: fn.Piecewise((x, x > 0), (0, True)), "where(x > 0, x, 0)"),
    "greek": (lambda λ, x: λ * x, "lambda*x"),
    "maximum": (lambda x: fn.max(x, 0, 1), "maximum(maximum(x, 0), 1)"),
    "partial": (functools.partial(lambda k, x: k * x, 3), "3*x"),
    "local": (lambda x: (lambda u: u * u)(x + 1), "(x + 1)*(x + 1)"),
}


@pytest.mark.parametrize(("function", "formula"), READ.values(), ids=READ)
def test_what_is_read(function: Callable[..., Any], formula: str) -> None:
    spec = fngen.generate(function, name="layer").spec
    assert spec.formula == formula


def test_a_dimension_is_kept_where_it_was_asked_for() -> None:
    x = points(4, 3)
    kept = layer(lambda x: torch.sum(x * x, dim=-1, keepdim=True))(x)
    torch.testing.assert_close(kept, (x * x).sum(-1, keepdim=True))
    names = {fngen.generate(f"sum(x*y, dim=-1{word})").name for word in ("", ", keepdim=True")}
    assert len(names) == 2  # Two formulas never share a name.


# What the arguments are.


def soft_gate(x, y, eps=1e-6, *, beta=1.5):  # type: ignore[no-untyped-def]
    u = beta * x
    return torch.where(y > 0, y, 0) * torch.sigmoid(u) / (abs(u) + eps)


def test_the_signature_says_what_arguments_are(tmp_path: Path) -> None:
    source = fngen.generate(soft_gate)
    assert (source.name, source.spec.inputs) == ("soft_gate", ("x", "y"))
    assert [(p.key, p.init) for p in source.spec.params] == [("beta", "1.5")]
    assert [(c.name, c.default) for c in source.spec.consts] == [("eps", "1e-06")]
    module = fngen.compile(soft_gate)
    x, y = points(5), points(5, seed=1)
    torch.testing.assert_close(module.soft_gate(x, y, torch.tensor(1.5)), soft_gate(x, y))
    torch.testing.assert_close(module.SoftGate(eps=0.5)(x.float(), y.float()), soft_gate(x, y, 0.5).float())
    path = source.write(tmp_path)
    assert recipe.read(path) == source.spec
    assert fngen.verify(source).ok
    assert CliRunner().invoke(main, ["check", str(path)]).output.endswith(": up to date\n")


def test_keywords_override_the_signature() -> None:
    source = fngen.generate(soft_gate, name="other", params={"beta[C]": 2.0, "eps": 1}, inputs=["y", "x"])
    assert (source.name, source.spec.inputs, source.spec.consts) == ("other", ("y", "x"), ())
    assert [(p.key, p.init) for p in source.spec.params] == [("beta[C]", "2.0"), ("eps", "1")]
    spec = fngen.generate(lambda x, w: x * w, params={"w[-1]": 1.0}).spec
    assert (spec.inputs, spec.params[0].key) == (("x",), "w[-1]")


class Pair(NamedTuple):
    u: Any
    v: Any


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda x, y: (x * y, x.sin()), ("y1", "y2")),
        (lambda x, y1: (x * y1, x.sin()), ("y2", "y3")),
        (lambda x, y: {"u": x * y, "v": x.sin()}, ("u", "v")),
        (lambda x, y: Pair(x * y, x.sin()), ("u", "v")),
    ],
)
def test_several_results(function: Callable[..., Any], names: tuple[str, ...]) -> None:
    module = fngen.compile(function, name="several")
    x, y = points(5), points(5, seed=1)
    found = module.several(x, y)
    assert found._fields == names
    torch.testing.assert_close(tuple(found), (x * y, x.sin()))


def test_complex() -> None:
    z = torch.complex(points(5), points(5, seed=1))
    mine = layer(lambda z: torch.conj(z) * torch.exp(z) / torch.abs(z) * fn.sqrt(2), complex=True)(z)
    torch.testing.assert_close(mine, z.conj() * z.exp() / z.abs() * math.sqrt(2))


def test_a_function_without_a_name_that_a_layer_can_have() -> None:
    def _private(x: Any) -> Any:
        return x + 1

    assert fngen.generate(_private).name == fngen.generate(lambda x: x + 1).name == "x_plus_1"


def test_a_long_function_is_written_in_parts() -> None:
    formula = fngen.generate(steps, name="steps").spec.formula
    assert len(formula) < 60 * 60
    assert "; t2 = " in formula


# What is no formula.

REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "if": (lambda x: x if x > 0 else 0, "fn.where"),
    "chain": (lambda x: where(0 < x < 1, x, 0), "(0 < x) & (x < 1)"),
    "and": (lambda x: where(x > 0 and x < 1, x, 0), "&"),
    "max": (lambda x: max(x, 0), "fn.max"),
    "math": (lambda x: math.sin(x), "torch.sin"),
    "float": (lambda x: float(x), "a number is wanted"),
    "range": (lambda x: list(range(x)), "a number is wanted"),
    "index": (lambda x: x[0], "parts of a tensor"),
    "loop": (lambda x: list(x), "parts of a tensor"),
    "shape": (lambda x: x.shape[0], "no attribute 'shape'"),
    "power": (lambda x: x ^ 2, "'**'"),
    "matrix product": (lambda x: x @ x, "'@'"),
    "tensor": (lambda x: x + torch.ones(2), ".item()"),
    "tensor first": (lambda x: torch.ones(2) + x, ".item()"),
    "array": (lambda x: np.ones(2) * x, ".item()"),
    "imaginary": (lambda x: 1j * x, "complex numbers"),
    "infinite": (lambda x: x * math.inf, "no number"),
    "not a number": (lambda x: x + math.nan, "no number"),
    "text": (lambda x: x + "1", "a str is no part"),
    "condition": (lambda x: x > 0, "a number is needed"),
    "number for condition": (lambda x: where(x, 1, 0), "a condition is needed"),
    "truth value": (lambda x: x * True, "a number is needed"),
    "constant": (lambda x: 3, "no input"),
    "division by zero": (lambda x: x / 0, "divides by zero"),
    "nothing": (lambda x: None, "returns nothing"),
    "nested": (lambda x: ((x, x), x), "a list in a list"),
    "unknown": (lambda x: fn.sigmod(x), "Did you mean 'sigmoid'?"),
    "unknown of torch": (lambda x: F.dropout(x), "torch's dropout"),
    "unknown of numpy": (lambda x: np.float_power(x, 2), "numpy's float_power"),
    "arguments": (lambda x: fn.sin(x, x), "sin takes 1 argument"),
    "in place": (lambda x: F.relu(x, inplace=True), "relu takes 1 argument"),
    "alpha": (lambda x: torch.add(x, x, alpha=2), "add with alpha"),
    "unbiased": (lambda x: torch.var(x, dim=-1, unbiased=False, keepdim=True), "'unbiased'"),
    "type": (lambda x: F.softmax(x, -1, dtype=torch.float64), "dtype"),
    "rounding": (lambda x: torch.div(x, 2, rounding_mode="floor"), "rounding_mode"),
    "decimals": (lambda x: round(x, 2), "round takes 1 argument"),
    "sum of torch": (lambda x: x / torch.sum(x, dim=-1), "keepdim=True"),
    "mean by position": (lambda x: x - torch.mean(x, -1), "keepdim=True"),
    "method that reduces": (lambda x: x - x.mean(-1), "keepdim=True"),
    "maximum of torch": (lambda x: torch.max(x, dim=-1).values, "torch.amax"),
    "maximum by position": (lambda x: torch.max(x, 0), "torch.amax"),
    "sum of numpy": (lambda x: np.sum(x, axis=-1), "fn.sum"),
    "maximum of numpy": (lambda x: np.max(x, 0), "fn."),
    "reduce": (lambda x: np.add.reduce(x), "numpy's reduce"),
    "unused": (lambda x, y: x, "'y' does not appear"),
    "any number": (lambda *x: x[0], "'*x'"),
    "any keywords": (lambda x, **k: x, "'**k'"),
    "no default": (lambda x, *, k: k * x, "has no default"),
    "default": (lambda x, k=None: x, "no number"),
    "flag": (lambda x, k=True: x * k, "no number"),
    "built in": (torch.sin, "Wrap it"),
    "class": (torch.nn.SiLU, "no function"),
    "module": (torch.nn.SiLU(), "forward"),
    "reserved": (lambda __x: __x, "'__x' is not a name"),
}


@pytest.mark.parametrize(("function", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(FngenError) as caught:
        fngen.generate(function)
    assert message in str(caught.value)


def test_an_error_of_the_function_is_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        fngen.generate(lambda x: x + 1 / 0)


def test_values_can_be_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    def shown(x: Any) -> Any:
        print(x**2 + 1)
        assert not hasattr(x, "shape")
        return x

    fngen.generate(shown)
    assert capsys.readouterr().out == "<x**2 + 1>\n"
