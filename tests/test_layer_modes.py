"""Every layer of the list in the modes of torch that ask nothing of shapes: the judge is the plain formula."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from zlib import crc32

import pytest
import torch
from torch import Tensor

import fngen
from fngen import problem
from fngen.naming import class_name
from fngen.verification import plain as operators
from tests.conftest import SCALE
from tests.layer_row import Row
from tests.layer_rows import ROWS
from tests.modes_derivatives import DERIVATIVES
from tests.modes_engine import ENGINE
from tests.modes_runtime import RUNTIME
from tests.modes_table import Applied, Layer, Test, through
from tests.plain import Plain

THINNED = 12
"""Each layer runs in one mode of so many, each mode with one layer of so many, unless FNGEN_EXAMPLES asks for more."""
_EXPANDED = "the gradient of a mean is one number expanded, as torch has it of a sum"
UNJUDGED = {"hardsigmoid": "torch's own has a sixth to seven digits, and no second derivative"}
LIMITS = {("meta", "mean_kept"): _EXPANDED, ("fake", "mean_kept"): _EXPANDED}
MODES = DERIVATIVES | ENGINE | RUNTIME

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning"),
    pytest.mark.filterwarnings("ignore:Converting a tensor to a Python boolean:torch.jit.TracerWarning"),
]


@dataclass(frozen=True)
class Listed(Plain):
    """A row of the list as a judge: its inputs have the row's shape, and its parameters are inputs too."""

    row: Row | None = None

    def inputs(self, *_: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> list[Tensor]:
        assert self.row
        generator = torch.Generator().manual_seed(seed + 1)

        def drawn(shape: tuple[int, ...], low: float, high: float) -> Tensor:
            share = torch.rand(shape, generator=generator, dtype=torch.float64)
            return (low + (high - low) * share).to(dtype)

        shape = self.row.shape
        wide = [drawn(shape, *r) for r in self.row.ranges]
        sizes = [(shape[1 if "[C]" in key else -1],) if "[" in key else () for key in self.row.params]
        return wide + [
            drawn(s, v, 1.1 * v + 0.01) for s, v in zip(sizes, self.row.params.values(), strict=True)
        ]


@cache
def layer(name: str) -> Layer:
    row = ROWS[name]
    module = fngen.compile(row.formula, name=name, **row.options)
    function = getattr(module, name)
    return Layer(name, function, lambda: Applied(function), getattr(module, f"{class_name(name)}Function"))


def plain(row: Row) -> Listed:
    made = fngen.generate(row.formula, name="layer", **row.options)
    parsed = problem.read(made.spec).at_defaults()
    ranges = [(v, 1.1 * v + 0.01) for v in row.params.values()]
    return Listed(operators.Plain(parsed), (*row.ranges, *ranges), row=row)


def cells() -> Iterator[object]:
    for title, mode in MODES.items():
        for name, row in ROWS.items():
            drawn = crc32(f"{title} {name}".encode()) % max(1, THINNED // SCALE) == 0
            apart = (
                "vmap" in title and row.params
            )  # A parameter has no first dimension to share with the inputs.
            if drawn and not (row.grads or apart or name in UNJUDGED):
                reason = LIMITS.get((title, name), "")
                marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
                yield pytest.param(mode.test, name, id=f"{title}-{name}", marks=marks)


@pytest.mark.parametrize(("test", "name"), list(cells()))
def test_mode(test: Test, name: str) -> None:
    made, judge = layer(name), plain(ROWS[name])
    try:
        test(made, judge)
    except Exception:
        if not stands(test, through(made, judge.function), judge):
            pytest.skip("torch cannot do this with the plain formula itself")
        raise


def stands(test: Test, judged: Layer, judge: Listed) -> bool:
    """Say whether the plain formula passes where it is its own judge."""
    try:
        test(judged, judge)
    except Exception:
        return False
    return True
