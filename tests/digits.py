"""The digits that an emitted layer keeps at numbers of usual size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

import fngen
from fngen.accuracy import FORMATS, Exact, Outcome, error, forgiven, usual
from fngen.language.parse import parse_expression

FORMAT = FORMATS["float64"]
FAIR, LARGEST = 8.0, 300.0


def check_digits(text: str, inputs: Sequence[str], results: int) -> None:
    """Check value and gradients, the first ``results`` of them, in float64.

    The largest error is to be ``FAIR`` in ulp, what the rounding of an input costs forgiven.
    """
    exact = Exact(parse_expression(text), inputs)
    points = [p for p in usual(len(inputs), 120, FORMAT, 7) if max(map(abs, p)) < LARGEST]
    columns = [torch.tensor(c, dtype=torch.float64, requires_grad=True) for c in zip(*points, strict=True)]
    y = fngen.compile(text, name="checked", inputs=inputs).checked(*columns)
    found = [y.tolist(), *(g.tolist() for g in torch.autograd.grad(y.sum(), columns))]
    for i, point in enumerate(points):
        row = exact.at(point, 2)
        for k in range(results):
            want = row[k]
            if isinstance(want, Outcome) or abs(want[0]) < FORMAT.tiny or abs(want[0]) > FORMAT.largest / 2:
                continue
            off = error(found[k][i], want, FORMAT)
            assert not off.nonfinite, (text, k, point)
            assert math.isfinite(off.ulp)
            assert forgiven(off.ulp, row, k, point, FORMAT) <= FAIR, (text, k, point, off.ulp)
