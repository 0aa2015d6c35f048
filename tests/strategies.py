"""Random formulas over the whole grammar, as text."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from fngen.functions import REAL as TABLE
from fngen.stabilise.forms import FORMS
from fngen.stabilise.rows import NAMES

STABLE = st.sampled_from([False, False, True])
"""Whether to look for a form that keeps its digits, which takes a second: of one in three."""
VARIABLES = ("x", "y", "z", "beta", "lambda", "x_1")
UNARY = sorted(n for n, row in TABLE.items() if len(row.parameters) == 1 and not row.integers)
BINARY = sorted(n for n, row in TABLE.items() if len(row.parameters) == 2 and not row.integers)
SMOOTH = (
    "sin",
    "cos",
    "tanh",
    "exp",
    "sigmoid",
    "erf",
    "atan",
    "softplus",
    "sqrt",
    "log",
    "cosh",
    "abs",
    "gelu",
    "log1p",
)
CALLS = {"log_base": "log"}

variables = st.sampled_from(VARIABLES)
integers = st.integers(0, 12).map(str)
decimals = st.sampled_from(["0.5", "1.25", ".1", "2.", "1e-3", "3.5E2", "0.044715"])
numbers = st.one_of(integers, decimals)


def conditions(terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    comparison = st.tuples(terms, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), terms).map(" ".join)
    chain = st.tuples(terms, st.just("<"), terms, st.just("<="), terms).map(" ".join)
    simple = st.one_of(comparison, chain)
    return st.one_of(
        simple,
        st.tuples(simple, st.sampled_from(["and", "or"]), simple).map(" ".join),
        simple.map(lambda c: f"not ({c})"),
    )


def larger(
    terms: st.SearchStrategy[str], unary: tuple[str, ...], binary: tuple[str, ...]
) -> st.SearchStrategy[str]:
    infix = st.tuples(terms, st.sampled_from([" + ", " - ", "*", "/"]), terms).map("".join)
    bracketed = infix.map(lambda t: f"({t})")
    power = st.tuples(
        st.one_of(variables, bracketed), st.sampled_from(["2", "3", "-1", "-2", "0.5", "(1/3)", "y"])
    )
    call = st.tuples(st.sampled_from(unary), terms).map(lambda t: f"{t[0]}({t[1]})")
    options = [
        infix,
        bracketed,
        power.map("**".join),
        call,
        terms.map(lambda t: f"-({t})"),
        st.tuples(conditions(terms), terms, terms).map(lambda t: f"where({t[0]}, {t[1]}, {t[2]})"),
        st.tuples(terms, conditions(terms), terms).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        st.tuples(terms, terms).map(lambda t: f"max({t[0]}, {t[1]})"),
    ]
    if binary:
        pair = st.tuples(st.sampled_from(binary), terms, terms)
        options.append(pair.map(lambda t: f"{CALLS.get(t[0], t[0])}({t[1]}, {t[2]})"))
    return st.one_of(options)


def formulas(
    unary: tuple[str, ...] = tuple(UNARY), binary: tuple[str, ...] = tuple(BINARY), leaves: int = 8
) -> st.SearchStrategy[str]:
    """Formulas that contain at least one variable."""
    tree = st.recursive(st.one_of(variables, numbers), lambda t: larger(t, unary, binary), max_leaves=leaves)
    return st.tuples(variables, st.sampled_from([" + ", "*", " - "]), tree).map(
        lambda t: f"{t[0]}{t[1]}({t[2]})"
    )


def _filled(pattern: str, parts: list[str], factor: str) -> str:
    """Return a pattern with parts of formulas for its letters, and a number for its capitals."""
    letters = list(dict.fromkeys(re.findall(r"\b[a-zA-Z]\b", pattern)))
    images = {x: factor if x.isupper() else f"({parts[i]})" for i, x in enumerate(letters)}
    return re.sub(r"\b[a-zA-Z]\b", lambda found: images[found.group()], pattern)


def recognisable(leaves: int = 4) -> st.SearchStrategy[str]:
    """Formulas of x and y that hold what the rules of numerics look for, inside of each other."""
    parts = ("x", "y", "2*x", "x*y", "x - y", "-x", "x/2", "3", "0.5", "y**2", "1/y", "exp(x)", "abs(x)**1.5")
    patterns = st.sampled_from([rule.pattern for rule in (*NAMES, *FORMS)])
    factors = st.sampled_from(["2", "3", "0.5", "7", "1"])

    def around(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        filled = st.builds(_filled, patterns, st.lists(inner, min_size=3, max_size=3), factors)
        infix = st.tuples(inner, st.sampled_from([" + ", " - ", "*", "/"]), inner).map("".join)
        scaled = st.tuples(st.sampled_from(["-", "2*", "3*", "exp", "log", "sqrt", "tanh"]), inner)
        return filled | infix.map(lambda t: f"({t})") | scaled.map(lambda t: f"{t[0]}({t[1]})")

    return st.recursive(st.sampled_from(parts), around, max_leaves=leaves).filter(lambda t: len(t) > 6)


def programs() -> st.SearchStrategy[str]:
    """Formulas with intermediates and an outer reduction."""
    tree = formulas(SMOOTH, (), 5)
    body = st.tuples(tree, tree, st.sampled_from(["u*v + u", "u/(1 + v**2)", "sin(u)*v*v"]))
    wrap = st.sampled_from(["{}", "sum({})", "mean({})"])
    return st.tuples(body, wrap).map(lambda t: f"u = {t[0][0]}; v = {t[0][1]}; {t[1].format(t[0][2])}")


def _larger_complex(terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.tuples(terms, st.sampled_from(["+", "-", "*"]), terms).map(lambda t: f"({''.join(t)})")
    functions = st.sampled_from(["exp", "sin", "tanh", "conj", "re", "abs", "atan", "sgn", "sigmoid"])
    unary = st.tuples(functions, terms).map(lambda t: f"{t[0]}({t[1]})")
    quotient = st.tuples(terms, terms).map(lambda t: f"{t[0]}/(2 + abs({t[1]}))")
    return binary | unary | quotient


def complex_formulas() -> st.SearchStrategy[str]:
    """Formulas of complex z and w."""
    leaves = st.sampled_from(["z", "w", "conj(z)", "re(w)", "im(z)", "abs(w)", "2", "0.5"])
    tree = st.recursive(leaves, _larger_complex, max_leaves=6)
    return tree.map(lambda t: f"({t})*(1 + z*conj(w)/9)")
