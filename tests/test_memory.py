"""No layer keeps more than autograd of the plain formula, or its inputs: for formulas that nobody has chosen.

The inputs are what a second derivative starts from. Of ``x + sin(x + y)`` autograd keeps one sum, of a choice
the mask, and a second derivative of either has to go back.
"""

from __future__ import annotations

import operator

import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

import fngen
from fngen import problem
from fngen.functions import TABLE
from fngen.ir import Value, fold
from fngen.load import load
from tests.conftest import SCALE
from tests.strategies import SMOOTH, complex_formulas, formulas

N = 64
UNARY = tuple(n for n in SMOOTH if TABLE[n].torch)
ARITHMETIC = ("add", "sub", "mul", "truediv", "neg", "pow")
LOGIC = {"and": operator.and_, "or": operator.or_, "not": operator.invert}
PARTS = {"re": "real", "im": "imag"}
OPERATORS = {name.removeprefix("true"): getattr(operator, name) for name in ARITHMETIC} | LOGIC


def plain(root: Value, inputs: dict[str, Tensor]) -> Tensor:
    """Return the formula as a user would write it in torch: numbers are Python's."""

    def visit(node: Value, args: list[Tensor]) -> Tensor:
        if node.op == "name":
            return inputs[str(node.datum)]
        if node.op == "number":
            return float(node.datum)  # type: ignore[arg-type,return-value]
        name = PARTS.get(node.op, node.op)
        function = OPERATORS.get(name) or getattr(torch, name, None) or getattr(nn.functional, name)
        return function(*args)

    return fold([root], visit)[root]


def full(saved: list[Tensor]) -> int:
    """Return how many tensors of full size were saved."""
    return len({t.untyped_storage().data_ptr() for t in saved if t.numel() == N})


@given(formulas(UNARY, (), 7))
@settings(max_examples=150 * SCALE)
def test_a_layer_keeps_no_more_than_autograd(text: str) -> None:
    compare(text, torch.float32)


@given(complex_formulas())
@settings(max_examples=40 * SCALE)
def test_a_complex_layer_keeps_no_more_than_autograd(text: str) -> None:
    compare(text, torch.complex64)


def compare(text: str, dtype: torch.dtype) -> None:
    try:
        source = fngen.generate(text, name="layer", complex=dtype.is_complex)
    except fngen.FormulaError:
        return
    parsed = problem.read(source.spec)
    inputs = {x: torch.rand(N, dtype=dtype, requires_grad=True) for x in parsed.inputs}
    counts = []
    for function in (lambda: load(source).layer(*inputs.values()), lambda: plain(parsed.value, inputs)):
        saved: list[Tensor] = []
        with saved_tensors_hooks(lambda t, saved=saved: saved.append(t) or t, lambda t: t):
            try:
                value = function()  # Alive, lest an address return.
            except TypeError:  # torch has no such operator for a number alone.
                return
            except RuntimeError as error:  # A constant beyond float32.
                assert "without overflow" in str(error)  # noqa: PT017
                return
        counts.append(full(saved))
        del value
    assert counts[0] <= max(counts[1], len(inputs)), source.text
