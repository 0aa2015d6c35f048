"""The languages that there are kernels in, by the name of the backend."""

from __future__ import annotations

from fngen.backends import c, triton

LANGUAGES = {"c": c.LANGUAGE, "triton": triton.LANGUAGE}
TITLES = {"c": "C", "triton": "Triton"}
