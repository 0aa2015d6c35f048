"""Layers with kernels, for tests: made and loaded anew, beside the torch way of the same file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

from torch import Tensor

import fngen
from fngen.load import load
from fngen.source import Source
from tests import libdevice
from tests.gallery import GALLERY
from tests.modes_table import Layer, of_file

POINTWISE = (
    *("square", "swish", "swiglu", "gelu", "gelu_tanh", "mish", "softplus", "snake", "huber", "log_cosh"),
    *("lennard_jones", "morse", "planck", "black_scholes", "smooth_max", "greeks"),
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
    """Return it as the table of modes takes it: several outputs as one."""
    return of_file(module(name, backend), name)


@contextmanager
def without_kernels(file: ModuleType) -> Iterator[None]:
    """Let the torch way of a file do the work."""
    run = file._run
    file._run = lambda *args: None
    try:
        yield
    finally:
        file._run = run


def is_from_kernel(result: Tensor) -> bool:
    """Say whether a result, or what it was made of, is that of a kernel."""
    found, nodes = False, [result.grad_fn]
    while nodes and not found:
        node = nodes.pop()
        found = type(node).__name__.endswith("FusedBackward")
        nodes += [below for below, _ in node.next_functions if below is not None] if node else []
    return found
