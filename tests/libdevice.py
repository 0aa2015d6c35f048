"""CUDA's mathematics library for Triton's interpreter, which has none: the same functions of numpy and scipy."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import triton.language as tl
from scipy import special
from triton.language.extra import libdevice
from triton.runtime.interpreter import TensorHandle

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f: getattr(np, f) for f in ("cbrt", "ceil", "cos", "cosh", "exp", "exp2", "expm1", "floor", "fmod")},
    **{f: getattr(np, f) for f in ("hypot", "log", "log10", "log1p", "log2", "rint", "sin", "sinh", "tan")},
    **{f: getattr(np, f) for f in ("tanh", "trunc")},
    **{f: getattr(special, f) for f in ("erf", "erfc")},
    **{f"a{f}": getattr(np, f"arc{f}") for f in ("cos", "cosh", "sin", "sinh", "tan", "tanh")},
    "atan2": np.arctan2,
    "lgamma": np.vectorize(lambda x: math.lgamma(x) if math.isfinite(x) else math.inf * 0 + abs(x)),
    "isnan": np.isnan,
    "pow": np.power,
    "rcp_rn": np.reciprocal,
    "sqrt_rn": np.sqrt,
}


def interpreted(file: ModuleType) -> None:
    """Have a file's kernels work on a CPU, interpreted."""
    for name, function in _FUNCTIONS.items():
        setattr(libdevice, name, _of_tensors(function))
    file._DEVICE = "cpu"
    for name, constant in [*vars(file).items()]:
        if isinstance(constant, tl.constexpr):
            setattr(file, name, constant.value)  # What it makes with a tensor would be no tensor.


def _of_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        tensors = [a for a in args if isinstance(a, tl.tensor)]
        real = next(a.dtype for a in tensors if a.dtype.is_floating())
        data = [a.handle.data if isinstance(a, tl.tensor) else a for a in args]
        with np.errstate(all="ignore"):
            found = np.asarray(function(*data)).astype(np.float64 if real.is_fp64() else np.float32)
        blocks = any(a.type.is_block() for a in tensors)
        return tl.tensor(TensorHandle(found, real), tl.block_type(real, [*found.shape]) if blocks else real)

    return call
