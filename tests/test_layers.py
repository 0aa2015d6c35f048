"""Layers that people use, against torch's own modules and functions: ``layers.md`` is the list.

Value, all gradients, those of parameters too, and second derivatives.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import fngen
from fngen.load import load
from fngen.naming import class_name
from tests.layer_row import Row
from tests.layer_rows import ROWS, source

pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")

TABLE = Path(__file__).with_name("layers.md")
CHANNELS = 5
HEAD = """\
# Layers against their twins

Written by `pytest tests/test_layers.py --update`. Each layer's value, gradients by inputs and parameters, and second
derivatives equal those of torch's module or function, or of the formula by hand in torch operators.

| layer | formula | declared | equals |
| --- | --- | --- | --- |
"""


def drawn(row: Row) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    uniform = (torch.rand(row.shape, generator=generator, dtype=torch.float64) for _ in row.ranges)
    return [
        (low + (high - low) * u).requires_grad_() for u, (low, high) in zip(uniform, row.ranges, strict=True)
    ]


def module_of(name: str, row: Row) -> torch.nn.Module:
    made = getattr(load(source(name)), class_name(name))
    sized = {key.partition("[")[2] for key in row.params} - {""}
    layer = made(*[CHANNELS] * len(sized), **({"dtype": torch.float64} if row.params else {}))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for p in layer.parameters():
            p.mul_(1 + 0.2 * torch.rand(p.shape, generator=generator, dtype=torch.float64)).add_(0.01)
    return layer


def derivatives(value: Tensor, leaves: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Return the gradients of a weighted sum, and of the sum of their squares."""
    weights = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
    first = torch.autograd.grad(
        value, leaves, weights, create_graph=True, allow_unused=True, materialize_grads=True
    )
    total = sum(g.square().sum() for g in first)
    if not total.requires_grad:
        return list(first), [torch.zeros_like(x) for x in leaves]
    second = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)
    return list(first), list(second)


@pytest.mark.parametrize("name", ROWS)
def test_twin(name: str) -> None:
    row = ROWS[name]
    layer, inputs = module_of(name, row), drawn(row)
    params = list(layer.parameters())
    got = layer(*inputs)
    copies = [x.detach().clone().requires_grad_() for x in (*inputs, *params)]
    want = row.twin(*copies)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-10)
    ours, theirs = derivatives(got, [*inputs, *params]), derivatives(want, copies)
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ROWS)
def test_verified(name: str) -> None:
    report = fngen.verify(source(name))
    assert report.ok, report


def test_table(update: bool) -> None:
    text = HEAD + "".join(_line(name, row) for name, row in ROWS.items())
    if update:
        TABLE.write_text(text)
    assert TABLE.read_text() == text
    assert len(ROWS) >= 60


def _line(name: str, row: Row) -> str:
    declared = [f"`param {k} = {v}`" for k, v in row.params.items()]
    declared += [f"`const {k} = {v:.4g}`" for k, v in row.consts.items()]
    declared += [f"`grad {k} = {v}`" for k, v in row.grads.items()]
    return f"| {name} | `{row.formula}` | {', '.join(declared)} | {row.equals} |\n"
