"""``--lean``: a node keeps inputs and outputs only, and is right all the same."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

import fngen
from tests.gallery import GALLERY
from tests.modes_table import total
from tests.plain import PLAIN, joined


@pytest.mark.parametrize("name", GALLERY)
def test_only_inputs_and_outputs_are_kept(name: str) -> None:
    plain, entry = PLAIN[name], GALLERY[name]
    layer = getattr(fngen.compile(entry.formula, name=name, lean=True, **entry.options), name)
    layer = joined(layer) if plain.several else layer
    inputs = [x.requires_grad_() for x in plain.inputs(8)]
    kept = []
    with saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        output = layer(*inputs)
    known = {x.data_ptr() for x in (*inputs, output)}
    own = {x.data_ptr() for x in kept if x.grad_fn is not None}  # x - y, which autograd itself made.
    assert {x.data_ptr() for x in kept} <= known | own
    got = torch.autograd.grad(total(output), inputs)
    expected = torch.autograd.grad(total(plain.function(*inputs)), inputs)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def test_lean_keeps_less() -> None:
    formula = "x*tanh(softplus(x))"
    lean, full = (fngen.generate(formula, name="f", lean=flag).text for flag in (True, False))
    assert "ctx.save_for_backward(x)\n" in lean
    assert "ctx.save_for_backward(x)\n" not in full
