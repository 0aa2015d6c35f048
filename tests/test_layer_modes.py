"""Every layer of the list in every mode of torch: the judge is the plain formula."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from zlib import crc32

import pytest
import torch
from torch import Tensor

from fngen import problem
from fngen.api import spec
from fngen.load import load
from fngen.naming import class_name
from fngen.verification import plain as operators
from tests.conftest import SCALE
from tests.layer_row import Row
from tests.layer_rows import ROWS, source
from tests.modes_compile import COMPILING_WARNINGS
from tests.modes_derivatives import DERIVATIVES
from tests.modes_dispatch import DISPATCH
from tests.modes_engine import ENGINE
from tests.modes_export import CELLS
from tests.modes_memory import MEMORY
from tests.modes_runtime import RUNTIME
from tests.modes_shapes import ORDER, REORDERED, SHAPES
from tests.modes_table import Applied, Layer, Mode, Test, through
from tests.modes_types import TYPED, UNSIZED
from tests.plain import Plain

THINNED = 12
"""Each layer runs in one mode of so many, each mode with one layer of so many, unless FNGEN_EXAMPLES asks for more."""
_EXPANDED = "the gradient of a mean is one number expanded, as torch has it of a sum"
_STRAIGHT = "of straight pieces: where nothing is left to differentiate by, torch makes no graph"
_SHAPE = "of what is summed the shape is kept: one number expanded"
_TOGETHER = "inputs that differ along what is reduced are broadcast before that"
_SIZE = "torch.jit.trace writes the size of a dimension down as a number"
_WHOLE = "torch has no softmax of whole numbers"
_DIFFERENCES = "the inputs are kept, exact, where autograd keeps rounded differences, which are fewer"
_DIGITS = "torch derives the form that keeps digits, and of it keeps more than of what was typed"
_COMPARED = "torch has no gradient by a target that is only compared, and keeps no more than the comparisons"
UNJUDGED = {
    "hardsigmoid": "torch's own has a sixth to seven digits, and no second derivative",
    **{f"hinge_embedding_{reduction}": _COMPARED for reduction in ("none", "sum", "mean")},
}
_FULL_SLOPE = "1 - tanh(x)**2 has no digits for a large x; what has some is not made of the result"
_TIES = (
    "where two numbers are equal each has half of the cotangent, as torch.maximum has it: clamp keeps a mask"
)
_SHARED = "what several gradients are made of is kept until the last of them has been made"
LIMITS = {
    ("meta", "mean_kept"): _EXPANDED,
    ("fake", "mean_kept"): _EXPANDED,
    ("reverse_inside_forward", "relu"): _STRAIGHT,
    ("reverse_inside_forward_with_graph", "relu"): _STRAIGHT,
    ("no_cycle", "relu"): _STRAIGHT,
    **{("reverse_outside_forward", name): _STRAIGHT for name in ("relu", "leaky_relu", "rrelu", "quantile")},
    **{(f"memory_{t}", name): _SHAPE for t in ("float32", "bfloat16") for name in ("row_sum", "mean_kept")},
    ("memory_float32_scalars", "multiclass_focal"): _TOGETHER,
    ("memory_float32_scalars", "jensen_shannon_of_logits"): _DIGITS,
    **{
        ("memory_bfloat16", name): _DIFFERENCES
        for name in ("l1_none", "l1_sum", "l1_mean", "pairwise_distance", "triplet_margin")
    },
    **{("peak_memory", name): _FULL_SLOPE for name in ("tanh", "tanhshrink", "dyt")},
    **{("peak_memory", name): _TIES for name in ("relu6", "celu", "quantile", "stillinger_weber")},
    **{("peak_memory", name): _SHARED for name in ("acon", "pau", "focal", "eam_embedding", "prod")},
    ("dtypes_float16_0-dim_float32", "relative_error"): UNSIZED,
    **{(f"view_{name}", "crps"): ORDER for name in REORDERED},
    ("jit_trace", "standardize"): _SIZE,
    ("sparse_tensor", "tanhshrink"): "torch has no sparse kernel of the choice near 0",
    ("all_int64", "entropy"): _WHOLE,
    ("all_int32", "entropy"): _WHOLE,
}
COMPILED = {
    cell.values[0].__name__: Mode(cell.values[0])
    for cell in CELLS
    if cell.values[1] == "square" and not cell.marks
}
MODES = DERIVATIVES | ENGINE | RUNTIME | DISPATCH | SHAPES | TYPED | MEMORY

pytestmark = [
    pytest.mark.slow,
    *COMPILING_WARNINGS,
    pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning"),
    pytest.mark.filterwarnings("ignore:Converting a tensor to a Python boolean:torch.jit.TracerWarning"),
]


@dataclass(frozen=True)
class Listed(Plain):
    """A row of the list as a judge: its parameters are inputs too.

    The inputs of a layer that asks something of their shapes have the row's.
    """

    row: Row | None = None

    @property
    def choosy(self) -> bool:
        """Whether there are dimensions of which the layer says which."""
        assert self.row
        dims = re.findall(r"dim=(\(.*?\)|-?\d+)", self.row.formula)
        return bool(set(dims) - {"-1"}) or any("[" in key for key in self.row.params)

    def inputs(self, *shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> list[Tensor]:
        assert self.row
        if not self.choosy and shape:
            return super().inputs(*shape, dtype=dtype, seed=seed)
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
    module = load(source(name))
    function = getattr(module, name)
    node = getattr(module, f"{class_name(name)}Function")
    return Layer(name, function, lambda: Applied(function), node, function)


@cache
def plain(name: str) -> Listed:
    row = ROWS[name]
    parsed = problem.read(spec(row.formula, **row.options)).at_defaults()
    return replace(judged(row), function=operators.Plain(parsed))


def judged(row: Row) -> Listed:
    """Return the judge of a layer, but for its function."""
    ranges = [(v, 1.1 * v + 0.01) for v in row.params.values()]
    return Listed(
        torch.sum,
        (*row.ranges, *ranges),
        scalar=row.reduces and "dim=" not in row.formula,
        rank=int(row.reduces),
        stateless=False,
        row=row,
    )


def cells(modes: Mapping[str, Mode]) -> Iterator[object]:
    for title, mode in modes.items():
        for name, row in ROWS.items():
            drawn = crc32(f"{title} {name}".encode()) % max(1, THINNED // SCALE) == 0
            judge = judged(row)
            # A parameter of a channel has no first dimension to share with the inputs.
            apart = judge.choosy and (title in SHAPES or ("vmap" in title and row.params))
            # What several gradients are made of is kept, whichever of them is wanted; in double precision
            # there is nothing more exact to compare with.
            apart = apart or title.endswith("one_wanted") or title == "dtype_float64"
            if drawn and mode.where(judge) and not (row.grads or apart or name in UNJUDGED):
                reason = LIMITS.get((title, name), "")
                marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
                yield pytest.param(mode.test, name, id=f"{title}-{name}", marks=marks)


@pytest.mark.parametrize(("test", "name"), list(cells(MODES)))
def test_mode(test: Test, name: str) -> None:
    made, judge = layer(name), plain(name)
    try:
        test(made, judge)
    except Exception:
        for function in (judge.function, ROWS[name].twin):
            if not passes(test, through(made, function), judge):
                pytest.skip("nor does torch's own layer, or the plain formula")
        raise


@pytest.mark.parametrize(("test", "name"), list(cells(COMPILED)))
def test_compiler(test: Test, name: str, fresh_compiler: None) -> None:
    test_mode(test, name)


def passes(test: Test, judged: Layer, judge: Listed) -> bool:
    try:
        test(judged, judge)
    except Exception:
        return False
    return True
