"""Formulas of many reductions: what their files cost, and that they are right."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import pytest
import torch
from torch import Tensor

import fngen

STEPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "#/sqrt(mean(#**2, dim=-1) + 1)": lambda a, y: a / torch.sqrt((a**2).mean(-1, True) + 1),
    "(# - mean(#, dim=-1))/sqrt(var(#, dim=-1) + 1)": lambda a, y: (
        (a - a.mean(-1, True)) / torch.sqrt(a.var(-1, keepdim=True) + 1)
    ),
    "# + tanh(y*#/norm(#, dim=-1))": lambda a, y: a + torch.tanh(y * a / a.norm(dim=-1, keepdim=True)),
    "# - logsumexp(#, dim=-2)": lambda a, y: torch.log_softmax(a, -2),
    "softmax(# + y, dim=-1)": lambda a, y: torch.softmax(a + y, -1),
    "y*logsumexp(#*y, dim=-1)": lambda a, y: y * torch.logsumexp(a * y, -1, keepdim=True),
    "y*mean(tanh(#), dim=-1)": lambda a, y: y * torch.tanh(a).mean(-1, True),
}
"""What follows itself, ``#`` what it is applied to."""

TERMS: dict[str, Callable[[int, Tensor, Tensor], Tensor]] = {
    "mean(sin(#*x), dim=-1)*y": lambda i, x, y: torch.sin(i * x).mean(-1, True) * y,
    "sum(sin(#*x), dim=-1)": lambda i, x, y: torch.sin(i * x).sum(-1),
    "softmax(#*x, dim=-1)": lambda i, x, y: torch.softmax(i * x, -1),
    "std(x**#, dim=-1)*prod(y + #, dim=-2)": lambda i, x, y: (
        (x**i).std(-1, keepdim=True) * (y + i).prod(-2, keepdim=True)
    ),
}
"""What is added up or multiplied, ``#`` its number."""


def chain(step: str, k: int) -> str:
    return "; ".join(["a0 = x*y"] + [f"a{i + 1} = {step.replace('#', f'a{i}')}" for i in range(k)])


def combined(term: str, sign: str, k: int) -> str:
    return sign.join(f"({term.replace('#', str(i + 1))})" for i in range(k))


COMBINED = [(term, sign) for term in TERMS for sign in (" + ", "*")]


def assert_grows_as_it_should(write: Callable[[int], str]) -> None:
    """Of twice as many reductions the file is about twice as long, and takes seconds to write."""
    start = process_time()
    small, large = (len(fngen.generate(write(k), name="layer").text) for k in (40, 80))
    assert process_time() - start < 15
    assert large < 2.3 * small


@pytest.mark.parametrize("step", STEPS)
def test_a_chain_costs_its_length(step: str) -> None:
    assert_grows_as_it_should(lambda k: chain(step, k))


@pytest.mark.parametrize(("term", "sign"), COMBINED)
def test_many_reductions_cost_their_number(term: str, sign: str) -> None:
    assert_grows_as_it_should(lambda k: combined(term, sign, k))


def test_a_nest_of_softmaxes_without_a_name_costs_its_depth() -> None:
    """As text it is short, although a softmax has what it is of twice."""
    text = "x"
    for _ in range(40):
        text = f"softmax({text} + x, dim=-1)"
    assert len(fngen.generate(text).text) < 40_000


def test_many_inputs() -> None:
    text = "*".join(f"x{i}/norm(x{i}, dim=-1)" for i in range(60))
    assert len(fngen.generate(text, name="layer").text) < 150_000


@pytest.mark.parametrize("k", [3, 24])
@pytest.mark.parametrize("step", STEPS)
def test_a_chain_is_right(step: str, k: int) -> None:
    def plain(x: Tensor, y: Tensor) -> Tensor:
        a = x * y
        for _ in range(k):
            a = STEPS[step](a, y)
        return a

    assert_right(chain(step, k), plain)


@pytest.mark.parametrize("k", [3, 24])
@pytest.mark.parametrize(("term", "sign"), COMBINED)
def test_many_reductions_are_right(term: str, sign: str, k: int) -> None:
    def plain(x: Tensor, y: Tensor) -> Tensor:
        a = TERMS[term](1, x, y)
        for i in range(1, k):
            b = TERMS[term](i + 1, x, y)
            a = a * b if sign == "*" else a + b
        return a

    assert_right(combined(term, sign, k), plain)


def assert_right(formula: str, plain: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Compare value, first and second derivatives and the tangent with torch's of the plain formula."""
    apply = fngen.compile(formula, name="layer").layer
    layer = apply if "y" in formula else lambda x, y: apply(x)
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.rand(2, 3, generator=generator, dtype=torch.float64) + 0.5 for _ in range(2)]
    tangents = [torch.rand(2, 3, generator=generator, dtype=torch.float64) for _ in range(2)]
    results = []
    for function in (layer, plain):
        leaves = [x.clone().requires_grad_() for x in inputs]
        value = function(*leaves)
        weights = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
        plainly = torch.autograd.grad(value, leaves, weights, retain_graph=True, materialize_grads=True)
        first = torch.autograd.grad(value, leaves, weights, create_graph=True, materialize_grads=True)
        total = sum(g.square().sum() for g in first)
        second = torch.autograd.grad(total, leaves, materialize_grads=True)
        _, tangent = torch.func.jvp(function, tuple(inputs), tuple(tangents))
        results.append([value, *plainly, *first, *second, tangent])
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-9 * (1 + float(want.detach().abs().max())))
