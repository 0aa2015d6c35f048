"""Reductions in complex layers: values, gradients and both judges of torch, with real inputs among complex ones."""

from __future__ import annotations

import doctest
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import black
import pytest
import torch
from click.testing import CliRunner
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import fngen
from fngen import problem
from fngen.cli import main
from fngen.errors import FormulaError
from fngen.verification.plain import Plain
from tests.conftest import SCALE
from tests.test_complex import layer, leaf, module

pytestmark = [
    # gradcheck stores complex slopes by real inputs as their real parts.
    pytest.mark.filterwarnings("ignore:Casting complex values to real"),
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
]


def _norm(z: Tensor, p: float = 2) -> Tensor:
    return torch.linalg.vector_norm(z, p, -1, keepdim=True)


def _mean(z: Tensor) -> Tensor:
    return z.mean(-1, keepdim=True)


PLAIN: dict[str, Callable[..., Tensor]] = {
    "z/sqrt(mean(abs(z)**2, dim=-1) + 0.01)": lambda z: z / (_mean(z.abs() ** 2) + 0.01).sqrt(),
    "(z - mean(z, dim=-1))/norm(z, dim=-1)": lambda z: (z - _mean(z)) / _norm(z),
    "abs(sum(z*conj(w), dim=-1))**2": lambda z, w: (z * w.conj()).sum(-1).abs() ** 2,
    "z/norm(z, dim=-1)": lambda z: z / _norm(z),
    "sum(re(z)*x, dim=-1)": lambda z, x: ((z.real if z.is_complex() else z) * x).sum(-1),
    "sum(z, dim=-1)*sum(w, dim=0)": lambda z, w: z.sum(-1, keepdim=True) * w.sum(0, keepdim=True),
    "mean(z*w)*3": lambda z, w: (z * w).mean() * 3,
    "prod(z, dim=-1)*w": lambda z, w: z.prod(-1, keepdim=True) * w,
    "var(z, dim=-1)": lambda z: z.var(-1),
    "std(z, dim=-1, correction=0)*w": lambda z, w: z.std(-1, correction=0, keepdim=True) * w,
    "(z - mean(z, dim=-1))/sqrt(var(z, dim=-1) + 0.01)":
        lambda z: (z - _mean(z)) / (z.var(-1, keepdim=True) + 0.01).sqrt(),
    "norm(z, p=3, dim=-1)": lambda z: _norm(z, 3).squeeze(-1),
    "norm(z, p=1.5, dim=-1)*z": lambda z: _norm(z, 1.5) * z,
    "norm(z, p=1, dim=-1)*w": lambda z, w: _norm(z, 1) * w,
    "norm(z, p=inf, dim=-1)": lambda z: _norm(z, torch.inf).squeeze(-1),
    "norm(z, p=-2)*w": lambda z, w: torch.linalg.vector_norm(z, -2) * w,
    "amax(abs(z), dim=-1)*w": lambda z, w: z.abs().amax(-1, keepdim=True) * w,
    "z*softmax(abs(z), dim=-1)": lambda z: z * torch.softmax(z.abs(), -1),
    "logsumexp(z, dim=-1)": lambda z: torch.logsumexp(z, -1),
    "exp(z - logsumexp(z, dim=-1))": lambda z: (z - torch.logsumexp(z, -1, keepdim=True)).exp(),
    "arg(sum(z, dim=-1))*w": lambda z, w: z.sum(-1, keepdim=True).angle() * w,
    "tanh(sum(z*w, dim=-1))": lambda z, w: (z * w).sum(-1).tanh(),
    "conj(mean(z, dim=-1))*z": lambda z: _mean(z).conj() * z,
    "where(abs(mean(z, dim=-1)) > 0.8, z, z**2)": lambda z: torch.where(_mean(z).abs() > 0.8, z, z**2),
    "sum(where(abs(z) > 1, 1, 0)*abs(z), dim=-1)": lambda z: torch.where(z.abs() > 1, z.abs(), 0.0).sum(-1),
    "m = mean(abs(z)**2, dim=-1); sum(z**2, dim=-1)/m": lambda z: (z**2).sum(-1) / (z.abs() ** 2).mean(-1),
}  # fmt: skip


def mixtures() -> Iterator[tuple[str, tuple[str, ...]]]:
    for formula, plain in PLAIN.items():
        for kinds in itertools.product(("complex", "real"), repeat=plain.__code__.co_argcount):
            yield formula, kinds


@pytest.mark.parametrize(("formula", "kinds"), list(mixtures()))
def test_values_gradients_and_second_derivatives(formula: str, kinds: tuple[str, ...]) -> None:
    ours, theirs = ([leaf(kind, 3, 4, seed=i) for i, kind in enumerate(kinds)] for _ in range(2))
    found = []
    for function, xs in ((layer(formula), ours), (PLAIN[formula], theirs)):
        y = function(*xs)
        weight = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(1))
        first = torch.autograd.grad(
            y, xs, weight, create_graph=True, allow_unused=True, materialize_grads=True
        )
        assert [(g.dtype, g.shape) for g in first] == [(x.dtype, x.shape) for x in xs]
        total = sum(
            (g * torch.linspace(1, 2, g.numel()).reshape(g.shape)).abs().square().sum() for g in first
        )
        second = [torch.zeros_like(x) for x in xs]
        if total.requires_grad:
            second = torch.autograd.grad(total, xs, allow_unused=True, materialize_grads=True)
        found.append((y, *first, *second))
    for got, want in zip(*found, strict=True):
        assert got.dtype == want.dtype
        torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("formula", "kinds"), list(mixtures()))
def test_judges_of_torch(formula: str, kinds: tuple[str, ...]) -> None:
    inputs = [leaf(kind, 2, 3, seed=i) for i, kind in enumerate(kinds)]
    assert gradcheck(
        layer(formula),
        inputs,
        check_forward_ad=True,
        check_undefined_grad=True,
        # The older vmap has no rule for torch.broadcast_tensors.
        check_batched_grad="broadcast_tensors" not in fngen.generate(formula, name="f", complex=True).text,
        check_batched_forward_grad=True,
    )
    assert gradgradcheck(layer(formula), inputs, check_fwd_over_rev=True, check_rev_over_rev=True)


@pytest.mark.parametrize("formula", PLAIN)
def test_verified_and_well_written(formula: str) -> None:
    source = fngen.generate(formula, name="f", complex=True)
    report = fngen.verify(source)
    assert report.ok, report
    assert {c.name for c in report.checks} >= {"forward mode", "real inputs", "gradcheck"}
    assert black.format_str(source.text, mode=black.Mode(line_length=88)) == source.text


@pytest.mark.parametrize("formula", PLAIN)
def test_the_example_in_the_docstring_holds(formula: str) -> None:
    found = module(formula)
    tests = doctest.DocTestFinder(exclude_empty=True).find(found.F, "F", globs=vars(found) | {"torch": torch})
    runner = doctest.DocTestRunner(verbose=False)
    assert [runner.run(test).failed for test in tests if test.examples] in ([0], [])


@st.composite
def formulas(draw: st.DrawFn) -> str:
    """Return sums and products of two inputs, and what is reduced, real or not."""
    dims = st.sampled_from([", dim=-1", ", dim=-2", ", dim=(-2, -1)", ""])

    def real(depth: int) -> str:
        inside, dim = number(depth - 1), draw(dims)
        texts = [
            f"abs({inside})",
            f"re({inside})",
            f"norm({inside} + z{dim})",
            f"norm({inside} + w, p=3{dim})",
        ]
        texts += [
            f"mean(abs({inside} + w)**2{dim})",
            f"max(abs({inside} + z){dim})",
            f"var({inside} + z*w{dim})",
        ]
        return draw(st.sampled_from(texts))

    def number(depth: int) -> str:
        if depth <= 0:
            return draw(st.sampled_from(["z", "w", "conj(w)", "1.5*z"]))
        a, b, dim = number(depth - 1), number(depth - 1), draw(dims)
        texts = [
            f"({a} + {b})",
            f"({a} - {b})",
            f"{a}*{b}",
            f"conj({a})",
            f"sin(0.3*{a})",
            f"sum({a}*z{dim})",
        ]
        texts += [f"mean({a} + w{dim})", f"prod({a} + z, dim=-1)", f"logsumexp({a} + w{dim})"]
        texts += [f"({a})*{real(depth - 1)}", f"({a})/(2 + {real(depth - 1)}**2)"]
        texts += [f"where({real(depth - 1)} > 0.7, {a}, 2*({a}))"]
        return draw(st.sampled_from(texts))

    return f"z + w*{number(3)}" if draw(st.booleans()) else f"{real(3)} + abs(z*w)"


@given(formulas(), st.sampled_from(list(itertools.product(("complex", "real"), repeat=2))))
@settings(max_examples=25 * SCALE, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_formula(formula: str, kinds: tuple[str, str]) -> None:
    source = fngen.generate(formula, name="f", inputs=["z", "w"], complex=True)
    function = fngen.compile(formula, name="f", inputs=["z", "w"], complex=True).f
    judge = Plain(problem.read(source.spec).at_defaults())
    inputs = [leaf(kind, 3, 4, seed=i) for i, kind in enumerate(kinds)]
    got, want = function(*inputs), judge(*inputs)
    assert got.dtype == want.dtype
    weight = torch.randn(want.shape, dtype=want.dtype, generator=torch.Generator().manual_seed(1))
    grads = [
        torch.autograd.grad(y, inputs, weight, allow_unused=True, materialize_grads=True) for y in (got, want)
    ]
    assume(all(g.isfinite().all() and g.abs().max() < 1e6 for g in grads[1]))
    for g, w in zip(*grads, strict=True):
        torch.testing.assert_close(g, w, rtol=1e-7, atol=1e-9 * max(1.0, float(want.detach().abs().max())))
    tangents = tuple(torch.cos(3 * x.detach()) for x in inputs)
    y, pushed = torch.func.jvp(function, tuple(x.detach() for x in inputs), tangents)
    assert pushed.dtype == y.dtype
    pairs = zip(grads[1], tangents, strict=True)
    back = torch.stack([(g.conj() * t).real.sum() for g, t in pairs]).sum()
    torch.testing.assert_close(
        (weight.conj() * pushed).real.sum(), back, rtol=1e-7, atol=1e-7 * max(1.0, float(pushed.abs().max()))
    )


@pytest.mark.parametrize(
    "formula",
    [
        "im(z + mean(conj(w) + w, dim=-1))",
        "z + prod(conj(w) + w, dim=-1)",
        "3*sum(mean(conj(w) + w, dim=-1) + z)",
        "re(logsumexp(z + w, dim=-2))",
        "abs(z)*j0(norm(w, dim=-1))",
        # The largest element is found again among numbers that are made as they were.
        "z + w*(conj(z + z))*max(abs((1.5*z)*norm(z + w, p=3, dim=-1) + z), dim=-1)",
    ],
)
def test_verified(formula: str) -> None:
    report = fngen.verify(fngen.generate(formula, name="f", complex=True))
    assert report.ok, report


def test_a_number_of_elements_keeps_its_digits() -> None:
    """torch.where of two Python numbers has single precision."""
    w, z = leaf("complex", 3, 4), leaf("complex", 3, 4, seed=1)
    got = layer("mean(where(var(w + w) > 0.7, conj(w), z) + w, dim=-2) - sin(0.3*(conj(w) - z))")(w, z)
    mixed = torch.where((w + w).var() > 0.7, w.conj(), z) + w
    want = mixed.mean(-2, keepdim=True) - torch.sin(0.3 * (w.conj() - z))
    pairs = [torch.autograd.grad(y, (z, w), torch.full_like(y, 1 + 2j)) for y in (got, want)]
    torch.testing.assert_close(*pairs, rtol=1e-13, atol=1e-13)


def test_what_is_zero_has_torchs_gradient() -> None:
    z = torch.zeros(2, 3, dtype=torch.complex128, requires_grad=True)
    for formula, plain in (("norm(z, dim=-1)", lambda z: _norm(z)), ("std(z, dim=-1)", lambda z: z.std(-1))):
        (got,) = torch.autograd.grad(layer(formula)(z).sum(), z)
        torch.testing.assert_close(got, torch.autograd.grad(plain(z).sum(), z)[0])
    w = torch.tensor([0, 2 + 1j, 0, 1j], dtype=torch.complex128, requires_grad=True)
    for i in (1, 2):
        v = w[i:]
        got, want = (
            torch.autograd.grad(y.real.sum(), w)[0] for y in (layer("prod(z, dim=-1)")(v), v.prod(-1))
        )
        torch.testing.assert_close(got, want)


def test_inputs_that_differ_where_it_reduces() -> None:
    z, x = leaf("complex", 4, 1), leaf("real", 5, seed=1)
    for formula, plain in (
        ("sum(z*x, dim=-1)", lambda z, x: (z * x).sum(-1)),
        ("sum(z, dim=-1)*x", lambda z, x: z.sum(-1, keepdim=True) * x),
        ("z*mean(abs(x), dim=-1)", lambda z, x: z * x.abs().mean(-1, keepdim=True)),
    ):
        got, want = layer(formula)(z, x), plain(z, x)
        torch.testing.assert_close(got, want)
        pairs = [torch.autograd.grad(y.abs().sum(), (z, x)) for y in (got, want)]
        torch.testing.assert_close(*pairs)
    torch.testing.assert_close(layer("sum(z*x, dim=-1)")(z.detach(), 2.0), 2 * z.detach().sum(-1))


def test_a_dimension_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="reduces dim=-2"):
        layer("sum(z, dim=-2)")(torch.zeros(3, dtype=torch.complex64))


def test_modes() -> None:
    found = module("z/norm(z, dim=-1)*sum(conj(w)*z, dim=-1)")
    z, w = leaf("complex", 4, 6), leaf("complex", 4, 6, seed=1)

    def plain(z: Tensor, w: Tensor) -> Tensor:
        return z / _norm(z) * (w.conj() * z).sum(-1, keepdim=True)

    expected = plain(z, w)
    torch.testing.assert_close(torch.func.vmap(found.f)(z, w), expected)
    with torch.no_grad():
        assert found.f(z, w).grad_fn is None
    compiled = torch.compile(found.f, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(z, w), expected)
    for one, other in zip(
        torch.autograd.grad(compiled(z, w).abs().sum(), (z, w)),
        torch.autograd.grad(expected.abs().sum(), (z, w)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
    tangents = (torch.ones_like(z), 1j * torch.ones_like(z))
    got, want = (torch.func.jvp(f, (z.detach(), w.detach()), tangents)[1] for f in (found.f, plain))
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize(
    ("formula", "marked", "hint"),
    [
        ("z*max(z, dim=-1)", "max(z, dim=-1)", "no order"),
        ("amin(z)", "amin(z)", "no order"),
        ("softmax(z*w, dim=-1)", "softmax(z*w, dim=-1)", "softmax(abs(z), dim=-1)"),
        ("log_softmax(z)", "log_softmax(z)", "torch has none"),
    ],
)
def test_what_complex_numbers_do_not_have(formula: str, marked: str, hint: str) -> None:
    with pytest.raises(FormulaError) as caught:
        fngen.generate(formula, complex=True)
    assert "of complex numbers has no meaning" in caught.value.message
    assert formula[caught.value.start : caught.value.end] == marked
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("right", "wrong", "formula"),
    [
        ("z.conj()", "z", "z/norm(z, dim=-1)"),
        ("torch.real(grad_y", "torch.abs(grad_y", "z/norm(z, dim=-1)"),
        ("torch.real(z_t", "(z_t", "norm(z, dim=-1)"),
        ("grad_y.unsqueeze(-1)", "grad_y.unsqueeze(-1).conj()", "sum(z*w, dim=-1)"),
        ("w.conj()", "w", "sum(z*w, dim=-1)"),
        (".real if ctx.real[1]", " if ctx.real[1]", "sum(z*w, dim=-1)"),
        ("y_t.real if ctx.real[-1] else y_t", "y_t.imag", "sum(z*conj(w), dim=-1)"),
        ("torch.abs(u) ** 2", "u**2",
            "(z - mean(z, dim=-1))/sqrt(var(z, dim=-1, correction=0) + 1)"),
    ],
)  # fmt: skip
def test_verification_finds_what_is_wrong(right: str, wrong: str, formula: str, tmp_path: Path) -> None:
    text = fngen.generate(formula, name="f", complex=True).text
    assert right in text
    path = tmp_path / "f.py"
    path.write_text(text.replace(right, wrong))
    assert not fngen.verify(path).ok


def test_the_derivation_is_shown() -> None:
    shown = CliRunner().invoke(
        main, ["show", "abs(sum(z*conj(w), dim=-1))**2", "--complex", "--stage", "derivatives"]
    )
    assert "grad_z = w*(2*grad_y*sum(z*conj(w), dim=-1))" in shown.output
