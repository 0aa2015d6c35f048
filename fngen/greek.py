"""The Greek letters that a formula may have: those that TeX has a command for."""

from __future__ import annotations

_ALPHABET = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho final sigma tau"  # noqa: SIM905
    " upsilon phi chi psi omega".split()
)
_CAPITALS = frozenset(["Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi"])
_FIRST, _FIRST_CAPITAL = 0x3B1, 0x391

GREEK = frozenset(_ALPHABET) - {"omicron", "final"} | _CAPITALS | {"Omega"}
"""Their names; the others look like Latin letters."""

LETTERS = {chr(_FIRST + i): name for i, name in enumerate(_ALPHABET) if name in GREEK}
LETTERS |= {
    chr(_FIRST_CAPITAL + i): name.title() for i, name in enumerate(_ALPHABET) if name.title() in GREEK
}
LETTERS |= {
    "\N{GREEK LUNATE EPSILON SYMBOL}": "epsilon",
    "\N{GREEK THETA SYMBOL}": "theta",
    "\N{GREEK PHI SYMBOL}": "phi",
    "\N{GREEK RHO SYMBOL}": "rho",
    "\N{GREEK KAPPA SYMBOL}": "kappa",
    "\N{MICRO SIGN}": "mu",
    "\N{OHM SIGN}": "Omega",
    "\N{LATIN SMALL LETTER H WITH STROKE}": "hbar",
    "\N{PLANCK CONSTANT OVER TWO PI}": "hbar",
}
"""What is typed, and the name that it stands for."""
