"""Source for notebooks: the derivation as mathematics, the code in colour."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def latex(equations: Sequence[str]) -> str:
    """Return equations as one display, aligned at their first sign; nothing if there are none."""
    if not equations:
        return ""
    rows = " \\\\\n".join(_aligned(row) for row in equations)
    return f"$$\\begin{{aligned}}\n{rows}\n\\end{{aligned}}$$"


def _aligned(row: str) -> str:
    left, sign, right = row.partition(" := " if " := " in row else " = ")
    return f"{left} &{sign.lstrip()}{right}"


def html(code: str, equations: Sequence[str]) -> str:
    """Return equations, which a notebook typesets, and highlighted code."""
    mathematics = escape(latex(equations))
    return (f"<div>{mathematics}</div>\n" if mathematics else "") + _highlighted(code)


def _highlighted(code: str) -> str:
    try:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer
    except ImportError:
        return f"<pre>{escape(code)}</pre>"
    return str(highlight(code, PythonLexer(), HtmlFormatter(noclasses=True)))
