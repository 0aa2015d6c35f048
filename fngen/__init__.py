"""fngen: a formula in, a tested, standalone PyTorch layer out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fngen.api import bench, compile, generate, measure, verify
    from fngen.errors import FngenError, FormulaError
    from fngen.measurement.errors import Errors
    from fngen.measurement.report import Accuracy
    from fngen.source import Source
    from fngen.timing.report import Bench
    from fngen.verification.report import Check, Report

__all__ = [
    "Accuracy",
    "Bench",
    "Check",
    "Errors",
    "FngenError",
    "FormulaError",
    "Report",
    "Source",
    "bench",
    "compile",
    "generate",
    "measure",
    "verify",
]
__version__ = "0.1.0"

_HOMES = {
    "bench": "fngen.api",
    "compile": "fngen.api",
    "generate": "fngen.api",
    "measure": "fngen.api",
    "verify": "fngen.api",
    "FngenError": "fngen.errors",
    "FormulaError": "fngen.errors",
    "Accuracy": "fngen.measurement.report",
    "Bench": "fngen.timing.report",
    "Errors": "fngen.measurement.errors",
    "Source": "fngen.source",
    "Check": "fngen.verification.report",
    "Report": "fngen.verification.report",
    "load_ipython_extension": "fngen.notebook",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: `import fngen` itself loads neither torch nor SymPy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'fngen' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
