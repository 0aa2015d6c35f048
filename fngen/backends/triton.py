"""The Triton backend: how its passes are written."""

from __future__ import annotations

from fngen.kernel import Language
from fngen.lower import MARGIN
from fngen.printing.triton import TritonPrinter

LANGUAGE = Language(
    printer=TritonPrinter,
    let=8,
    result=lambda i, x: MARGIN - 8 - len(f"{x} = "),
    helper=MARGIN - 8 - len("return "),
    tiles=True,
)
