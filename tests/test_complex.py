"""``--complex``: torch's gradient convention, holomorphic and not, with real inputs among the complex ones."""

from __future__ import annotations

import doctest
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import sympy
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import fngen
from fngen.cli import main
from fngen.errors import FngenError, FormulaError
from fngen.functions import TABLE
from fngen.functions.complex import ALLOWED
from fngen.ir import ARITHMETIC, LEAVES, REDUCTIONS
from tests.conftest import SCALE
from tests.strategies import complex_formulas

PLAIN: dict[str, Callable[..., Tensor]] = {
    "z**2": lambda z: z**2,
    "z": lambda z: z.clone(),
    "3*z + 2": lambda z: 3 * z + 2,
    "conj(z)": lambda z: z.conj().clone(),
    "re(z)": lambda z: z.real.clone() if z.is_complex() else z.clone(),
    "abs(z)": torch.abs,
    "arg(z)": torch.angle,
    "sgn(z)": torch.sgn,
    "tanh(z)": torch.tanh,
    "sigmoid(z)": torch.sigmoid,
    "1/(1 + exp(-z))": lambda z: 1 / (1 + torch.exp(-z)),
    "u = z*w; u/(1 + abs(u))": lambda z, w: z * w / (1 + (z * w).abs()),
    "z*conj(z)": lambda z: z * z.conj(),
    "conj(exp(z))*sin(z)": lambda z: torch.exp(z).conj() * torch.sin(z),
    "arg(z)*z": lambda z: torch.angle(z) * z,
    "z*conj(w) + conj(z)*w": lambda z, w: z * w.conj() + z.conj() * w,
    "log(z)*x": lambda z, x: torch.log(z) * x,
    "abs(z)**2*exp(-x*abs(w))": lambda z, x, w: z.abs() ** 2 * torch.exp(-x * w.abs()),
    "sqrt(z*conj(w) + 1)": lambda z, w: torch.sqrt(z * w.conj() + 1),
    "x + conj(z)": lambda x, z: x + z.conj(),
    "abs(sqrt(z + 1.5))*w": lambda z, w: torch.sqrt(z + 1.5).abs() * w,
    "relu(abs(z) + re(w))*sgn(z)": lambda z, w: torch.relu(z.abs() + w.real) * z.sgn(),
    "where(abs(z) > 1, 1, 0)*abs(z)": lambda z: torch.where(z.abs() > 1, z.abs(), 0.0),
    "where(abs(z) > 1, z/abs(z), z)": lambda z: torch.where(z.abs() > 1, z / z.abs(), z),
    "abs(z)**4 - abs(z)**2": lambda z: z.abs() ** 4 - z.abs() ** 2,
    "0*z + w": lambda z, w: 0 * z + w,
    "z**0": lambda z: z**0,
    "mean(abs(z - w)**2)": lambda z, w: ((z - w).abs() ** 2).mean(),
    "sum(z*conj(w))": lambda z, w: (z * w.conj()).sum(),
}


pytestmark = [
    # gradcheck stores complex slopes by real inputs as their real parts.
    pytest.mark.filterwarnings("ignore:Casting complex values to real"),
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]


def layer(formula: str) -> Callable[..., Tensor]:
    function: Callable[..., Tensor] = module(formula).f
    return function


def module(formula: str) -> ModuleType:
    return fngen.compile(formula, name="f", complex=True)


def leaf(kind: str, *shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, dtype=torch.float64, generator=generator) + 0.2
    if kind == "complex":
        x = torch.complex(x, torch.randn(shape, dtype=torch.float64, generator=generator))
    return x.requires_grad_()


def mixtures() -> Iterator[tuple[str, tuple[str, ...]]]:
    for formula, plain in PLAIN.items():
        count = plain.__code__.co_argcount if hasattr(plain, "__code__") else 1
        for kinds in itertools.product(("complex", "real"), repeat=count):
            yield formula, kinds


@pytest.mark.parametrize(("formula", "kinds"), list(mixtures()))
def test_values_and_gradients_are_those_of_autograd(formula: str, kinds: tuple[str, ...]) -> None:
    inputs = [leaf(kind, 4, 3, seed=i) for i, kind in enumerate(kinds)]
    inputs[-1] = leaf(kinds[-1], 3, seed=9)  # Gradients are summed where shapes are broadcast.
    got, expected = layer(formula)(*inputs), PLAIN[formula](*inputs)
    torch.testing.assert_close(got, expected)
    if not expected.requires_grad:
        return
    grad_y = torch.randn(expected.shape, dtype=expected.dtype, generator=torch.Generator().manual_seed(1))
    grads = [torch.autograd.grad(y, inputs, grad_y, allow_unused=True) for y in (got, expected)]
    for g, w, x in zip(*grads, inputs, strict=True):
        assert g.dtype == x.dtype
        assert g.shape == x.shape
        torch.testing.assert_close(g, torch.zeros_like(x) if w is None else w)


@pytest.mark.parametrize(("formula", "kinds"), list(mixtures()))
def test_judges_of_torch(formula: str, kinds: tuple[str, ...]) -> None:
    inputs = [leaf(kind, 3, seed=i) for i, kind in enumerate(kinds)]
    assert gradcheck(
        layer(formula),
        inputs,
        check_forward_ad=True,
        check_undefined_grad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
    )
    assert gradgradcheck(layer(formula), inputs, check_fwd_over_rev=True, check_rev_over_rev=True)


UNARY = sorted(
    name
    for name in ALLOWED - {*ARITHMETIC, *LEAVES, *REDUCTIONS}
    if len(TABLE[name].parameters) == 1 and not name.startswith("_")
)


@pytest.mark.parametrize("name", UNARY)
def test_a_function_and_its_conjugate(name: str) -> None:
    """The mirror rule f(conj(z)) = conj(f(z)) is what conjugates of derivatives rest on."""
    function = layer(f"{name}(z)")
    z = leaf("complex", 40, seed=2).detach()
    z = torch.cat([z, -z, z.conj()]) * torch.logspace(-1, 0.5, 120, dtype=torch.float64)
    y, mirrored = function(z), function(z.conj())
    if name in ("im", "arg"):
        mirrored = -mirrored
    torch.testing.assert_close(mirrored, y.conj() if y.is_complex() else y)
    few = z[::30].clone().requires_grad_()
    assert gradcheck(function, [few], check_forward_ad=True)
    assert gradgradcheck(function, [few])


@pytest.mark.parametrize(
    "formula", ["abs(sqrt(z - 1))", "abs(log(z - 1))", "conj(acos(z + 2))*z", "sqrt(conj(z) - 1)*z"]
)
def test_the_real_axis_where_a_function_has_its_cut(formula: str) -> None:
    """torch forgets the sign of the zero in conj(z) - 1: conjugates are taken of results, not of inputs."""
    found = fngen.compile(formula, name="f", complex=True)
    z = torch.complex(torch.linspace(-4, 0.5, 20, dtype=torch.float64), torch.zeros(20, dtype=torch.float64))
    z.requires_grad_()
    got, expected = found.f(z), found._FReverse.forward(z)
    grad_y = torch.full_like(got, 1)
    for g, w in zip(*(torch.autograd.grad(y, z, grad_y) for y in (got, expected)), strict=True):
        torch.testing.assert_close(g, w)
    tangent = torch.func.jvp(found.f, (z.detach(),), (torch.ones_like(z),))[1]
    torch.testing.assert_close(
        tangent, torch.func.jvp(found._FReverse.forward, (z.detach(),), (torch.ones_like(z),))[1]
    )


@pytest.mark.parametrize("formula", ["abs(x**z)", "x**z"])
def test_a_negative_real_base(formula: str) -> None:
    x = torch.tensor([-2.0, -0.5], dtype=torch.float64, requires_grad=True)
    z = torch.tensor([1 + 2j, 0.5 - 1j], dtype=torch.complex128, requires_grad=True)
    plain = x**z
    plain = plain.abs() if "abs" in formula else plain
    grad_y = torch.ones_like(plain)
    got = torch.autograd.grad(layer(formula)(x, z), (x, z), grad_y)
    for g, w in zip(got, torch.autograd.grad(plain, (x, z), grad_y), strict=True):
        torch.testing.assert_close(g, w)
    base = torch.tensor(-2 + 0j, dtype=torch.complex128)
    (got_z,) = torch.autograd.grad(layer("abs((-2)**z)")(z).sum(), z)
    torch.testing.assert_close(got_z, torch.autograd.grad((base**z).abs().sum(), z)[0])


def test_a_real_result_has_a_real_tangent() -> None:
    """Also where it is real because an input is."""
    x, z = torch.rand(3, dtype=torch.float64), torch.randn(3, dtype=torch.complex128)
    for formula in ("abs(z)**2*exp(-x*abs(z))", "x*arg(z)", "x*im(z)", "mean(abs(z)*x)"):
        function = fngen.compile(formula, name="f", inputs=["x", "z"], complex=True).f
        y, tangent = torch.func.jvp(function, (x, z), (torch.ones_like(x), torch.ones_like(z)))
        assert y.dtype == tangent.dtype == torch.float64


def test_a_zero_derivative_has_the_shape_of_the_result() -> None:
    z, w = torch.randn(4, 1, dtype=torch.complex128), torch.randn(3, dtype=torch.complex128)
    for formula in ("0*z + w", "(z - z)*w", "w + abs(z)**0"):
        y, tangent = torch.func.jvp(layer(formula), (z, w), (torch.ones_like(z), torch.ones_like(w)))
        assert y.shape == tangent.shape == (4, 3)


def test_sympy_expressions() -> None:
    z, w = sympy.symbols("z w")
    source = fngen.generate(sympy.conjugate(z) * w + sympy.re(z) * sympy.sign(w), complex=True)
    assert "conj(z)" in source.spec.formula
    assert "sgn(w)" in source.spec.formula
    with pytest.raises(FngenError) as caught:
        fngen.generate(sympy.I * z, complex=True)
    assert "1j" in caught.value.hint


@given(complex_formulas())
@settings(max_examples=40 * SCALE)
def test_random_formulas_agree_with_autograd(formula: str) -> None:
    """The layer against the same file's own forward, differentiated by torch."""
    found = fngen.compile(formula, name="f", inputs=["z", "w"], complex=True)
    inputs = [leaf("complex", 5, seed=i) for i in range(2)]
    got, expected = found.f(*inputs), found._FReverse.forward(*inputs)
    grad_y = torch.full_like(got, complex(0.3, -0.7))
    for g, w in zip(*(torch.autograd.grad(y, inputs, grad_y) for y in (got, expected)), strict=True):
        torch.testing.assert_close(g, w, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "point"),
    [("tanh", 800 + 1j), ("tanh", -800 + 1j), ("sigmoid", 800 + 1j), ("coth", 800 + 1j), ("cot", 1 - 800j)],
)
def test_no_overflow_far_out(name: str, point: complex) -> None:
    """The derivative is finite where 1/cosh(z)**2 would be nan."""
    z = torch.tensor(point, dtype=torch.complex128, requires_grad=True)
    (grad,) = torch.autograd.grad(layer(f"{name}(z)")(z).abs(), z)
    assert grad.isfinite().all()


@pytest.mark.parametrize("formula", ["1/z", "3/z", "sgn(z)"])
def test_no_overflow_in_the_square_of_a_large_number(formula: str) -> None:
    """A complex number over one that has overflowed is nan, where a real one would be 0."""
    slopes = []
    for dtype in (torch.complex64, torch.complex128):
        z = torch.tensor(2e20 - 1e20j, dtype=dtype, requires_grad=True)
        slopes += torch.autograd.grad(layer(formula)(z), z, torch.tensor(1 - 2j, dtype=dtype))
    torch.testing.assert_close(slopes[0], slopes[1].to(torch.complex64), rtol=1e-5, atol=1e-45)


def test_modes() -> None:
    found = module("u = z*w; u/(1 + abs(u))")
    z, w = leaf("complex", 6), leaf("complex", 6, seed=1)
    expected = found.f(z, w)
    assert found.f(z.detach(), w.detach()).grad_fn is None
    with torch.no_grad():
        assert found.f(z, w).grad_fn is None
    torch.testing.assert_close(torch.func.vmap(found.f)(z, w), expected)
    torch.testing.assert_close(found.F()(z, w), expected)
    assert repr(found.F()) == "F(u = z*w; u/(1 + abs(u)))"

    def loss(z: Tensor) -> Tensor:
        result: Tensor = found.f(z, w).abs().sum()
        return result

    def plain(z: Tensor) -> Tensor:
        return (z * w / (1 + (z * w).abs())).abs().sum()

    for transform in (
        torch.func.grad,
        lambda f: torch.func.grad(lambda z: torch.func.grad(f)(z).abs().sum()),
    ):
        torch.testing.assert_close(transform(loss)(z.detach()), transform(plain)(z.detach()))
    compiled = torch.compile(found.f, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z, w), expected)
    got = torch.autograd.grad(compiled(z, w).abs().sum(), z)
    torch.testing.assert_close(got, torch.autograd.grad(loss(z), z))


def test_numbers_of_python_among_the_arguments() -> None:
    wave = layer("amplitude*exp(i*k*x)")
    x = torch.linspace(0, 1, 5, requires_grad=True)
    y = wave(2.0, 1j, 3, x)
    torch.testing.assert_close(y, 2 * torch.exp(3j * x))
    assert y.dtype == torch.complex64
    (grad,) = torch.autograd.grad(y.real.sum(), x)
    torch.testing.assert_close(grad, -6 * torch.sin(3 * x))


@pytest.mark.parametrize("number", [2, 2.0])
def test_a_real_number_stays_real(number: float) -> None:
    z = torch.randn(5, dtype=torch.complex64, requires_grad=True)
    y = layer("x*abs(z)**2")(number, z)
    assert y.dtype == torch.float32
    torch.testing.assert_close(torch.autograd.grad(y.sum(), z)[0], 4 * z)


def test_integers_and_single_precision() -> None:
    z = torch.randn(5, dtype=torch.complex64, requires_grad=True)
    n = torch.arange(5)
    y = layer("z*conj(z) + n")(z, n)
    assert y.dtype == torch.complex64
    torch.testing.assert_close(torch.autograd.grad(y.real.sum(), z)[0], 2 * z)


def test_imaginary_part_of_real_numbers_is_an_error_as_in_torch() -> None:
    with pytest.raises(RuntimeError, match="imag is not implemented for tensors with non-complex dtypes"):
        layer("im(z)")(torch.ones(3))


@pytest.mark.parametrize("formula", ["abs(z)", "u = z*w; u/(1 + abs(u))", "mean(abs(z - w)**2)"])
def test_a_written_file_remembers(formula: str, folder: Path) -> None:
    result = CliRunner().invoke(main, [formula, "--name", "f", "--complex"])
    assert result.exit_code == 0, result.output
    (path,) = folder.rglob("f.py")
    assert "--complex" in path.read_text()
    report = fngen.verify(path)
    assert report.ok, report
    assert CliRunner().invoke(main, ["verify", str(path)]).exit_code == 0


@pytest.mark.parametrize(
    ("right", "wrong", "formula"),
    [
        ("(1 - y**2).conj()", "(1 - y**2)", "tanh(z)"),
        ("grad_y.conj()", "grad_y", "conj(exp(z))"),
        ("torch.sgn(z).conj()", "torch.sgn(z)", "abs(z)"),
        ("grad_x = grad_x.real if ctx.real[1] else grad_x", "pass", "log(z)*x"),
        ("ctx.real[1]", "ctx.real[0]", "log(z)*x"),
        ("y_t.real if ctx.real[-1] else y_t", "y_t", "abs(z)*x"),
        ("needs_input_grad[1]", "needs_input_grad[0]", "log(z)*x"),
        ("(2 * u).conj()", "(2 * torch.sqrt(z.conj() - 1))", "abs(sqrt(z - 1))"),
        ("z_t.conj()", "z_t", "z*conj(z)"),
    ],
)
def test_verification_finds_a_lost_conjugate(right: str, wrong: str, formula: str, tmp_path: Path) -> None:
    text = fngen.generate(formula, name="f", complex=True).text
    assert right in text
    path = tmp_path / "f.py"
    path.write_text(text.replace(right, wrong))
    assert not fngen.verify(path).ok


@pytest.mark.parametrize(
    ("formula", "marked"),
    [("erf(z)", "erf(z)"), ("where(z > 0, z, w)", "z > 0"), ("z + relu(w)", "relu(w)"), ("z % w", "z % w")],
)
def test_what_has_no_complex_meaning_is_refused(formula: str, marked: str) -> None:
    with pytest.raises(FormulaError) as caught:
        fngen.generate(formula, complex=True)
    assert "of complex numbers has no meaning" in caught.value.message
    assert formula[caught.value.start : caught.value.end] == marked


@pytest.mark.parametrize("name", ["conj", "re", "im", "arg"])
def test_functions_of_complex_numbers_name_the_option(name: str) -> None:
    with pytest.raises(FormulaError) as caught:
        fngen.generate(f"{name}(x)")
    assert "--complex" in caught.value.hint


def test_without_the_option_complex_tensors_are_refused() -> None:
    real = fngen.compile("x**2", name="f").f
    with pytest.raises(TypeError, match="--complex"):
        real(torch.ones(2, dtype=torch.complex64))


@pytest.mark.parametrize("formula", PLAIN)
def test_the_example_in_the_docstring_holds(formula: str) -> None:
    found = module(formula)
    tests = doctest.DocTestFinder(exclude_empty=True).find(found.F, "F", globs=vars(found) | {"torch": torch})
    runner = doctest.DocTestRunner(verbose=False)
    assert [runner.run(test).failed for test in tests if test.examples] == [0]


def test_the_derivation_is_shown() -> None:
    shown = CliRunner().invoke(main, ["show", "z*conj(z)", "--complex", "--stage", "derivatives"]).output
    assert "dy/dz = conj(z)\ndy/dconj(z) = z" in shown
    shown = CliRunner().invoke(main, ["show", "abs(z)", "--complex", "--stage", "derivatives"]).output
    assert "2*dy/dconj(z) = sgn(z)" in shown
