"""The C backend: how its passes are written."""

from __future__ import annotations

from fngen.kernel import Language
from fngen.lower import MARGIN
from fngen.printing.c import CPrinter

LANGUAGE = Language(
    printer=lambda like, constants: CPrinter(),
    let=12 + len("const real  = ;"),
    result=lambda i, x: MARGIN - 12 - len("at[10][i] = ;"),
    helper=MARGIN - len("    return ;"),
    most=64,  # A bit mask says which of them are read.
)
