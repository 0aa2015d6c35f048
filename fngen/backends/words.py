"""The words that have a meaning in the sources of kernels: nothing of a formula is called so."""

from __future__ import annotations

_KEYWORDS = (
    *("auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum"),
    *("extern", "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return"),
    *("short", "signed", "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void"),
    *("volatile", "while", "asm", "typeof", "unix", "linux"),
)
_OF_SOURCE = (
    *("BFLOAT16", "BLOCK", "CHUNKS", "CONST", "FLOAT16", "FLOAT32", "FLOAT64", "INLINE", "LANES", "SAME"),
    *("CALLED", "VECTOR", "WIDE", "capped", "gather_sum", "lanes", "one", "rare", "there"),
    *("add_up", "call", "choose", "drain", "fill", "gradients", "i", "in", "load", "number", "out", "real"),
    *("rounded", "run", "seconds", "spread", "stored", "work"),
    *("COLUMNS", "EACH", "INDEX", "OVER", "REAL", "ROWS", "across", "apart", "at", "column", "columns"),
    *("first", "inside", "libdevice", "line", "lines", "made", "nth", "range", "reads", "results", "rows"),
    *("steps", "tl"),
)
WORDS = frozenset({*_KEYWORDS, *_OF_SOURCE})
"""Those of C, and those that the sources in either language define."""
