"""Layers with kernels, for tests: made and loaded anew, beside the torch way of the same file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import fngen
from fngen.load import load
from fngen.source import Source
from tests import libdevice
from tests.gallery import GALLERY
from tests.modes_table import Layer

POINTWISE = (
    *("square", "swish", "swiglu", "gelu", "gelu_tanh", "mish", "softplus", "snake", "huber", "log_cosh"),
    *("lennard_jones", "morse", "planck", "black_scholes", "smooth_max"),
)
"""The layers of the gallery that have kernels."""


OF_ROWS = ("rms_norm", "layer_norm", "softmax", "cross_entropy", "cosine_similarity")
"""Those with kernels of rows."""
BACKENDS = ("c", "triton")


@cache
def source(name: str, backend: str = "c") -> Source:
    """Return a layer of the gallery with kernels."""
    return fngen.generate(GALLERY[name].formula, name=name, backend=backend, **GALLERY[name].options)


@cache
def module(name: str, backend: str = "c") -> ModuleType:
    """Return it imported, its kernels in the cache of this run of the tests."""
    return ready(load(source(name, backend)))


def made(formula: str, backend: str, **options: Any) -> ModuleType:
    """Return a layer of a formula."""
    return ready(fngen.compile(formula, name="f", backend=backend, **options))


def ready(file: ModuleType) -> ModuleType:
    """Return a file, its kernels in Triton interpreted where there is no card."""
    if hasattr(file, "_DEVICE") and os.environ.get("TRITON_INTERPRET"):
        libdevice.interpreted(file)
    return file


def layer(name: str, backend: str = "c") -> Layer:
    """Return it as the table of modes takes it."""
    file, title = module(name, backend), name.title().replace("_", "")
    function = getattr(file, name)
    return Layer(name, function, getattr(file, title), getattr(file, f"{title}Function"), function)


@contextmanager
def without_kernels(file: ModuleType) -> Iterator[None]:
    """Let the torch way of a file do the work."""
    run = file._run
    file._run = lambda *args: None
    try:
        yield
    finally:
        file._run = run


def is_from_kernel(result: object) -> bool:
    """Say whether the node of a result is that of a kernel."""
    return type(result.grad_fn).__name__.endswith("FusedBackward")
