"""Where a form has become constant: far out, what overflows in it is of no account."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from fngen.accuracy.exact import Exact
from fngen.accuracy.points import Point
from fngen.ir import (
    ARITHMETIC,
    COMPARISONS,
    LEAVES,
    LOGIC,
    Value,
    name,
    names,
    number,
    postorder,
    substitute,
    value,
)

_BOUNDS = frozenset({"clamp", "minimum", "maximum", *COMPARISONS})
_SETTLING = frozenset(
    {
        *("exp", "exp2", "expm1", "sinh", "cosh", "tanh", "sech", "csch", "coth", "full_sech", "logcosh"),
        *("sigmoid", "logistic", "logistic_pdf", "full_logistic", "full_logistic_pdf", "silu", "bose"),
        *("log1pexp", "softplus", "log1mexp", "logsigmoid", "logaddexp", "exp_sum", "expm1_sum"),
        *("exp_square", "erf", "erfc", "erfcx", "normal_tail", "log_normal_tail", "ndtr", "log_ndtr"),
        *("log", "log1p", "sqrt", "rsqrt", "hypot", "asinh", "atan"),
    }
)
"""Functions that are nothing, infinite, a constant or smooth far out."""
_EXACT = frozenset({*ARITHMETIC, *_BOUNDS, *LOGIC, "where", "abs", "sign"})
_BEYOND, _ROUNDING, _NOTHING = 8.0, 2.0**-50, 2.0**-1022
_FAR = (40, 710, 800)
"""Where ``1 + exp(-x)`` is 1, ``exp(x)`` overflows, and ``exp(-x)`` is nothing."""


class Bounded(NamedTuple):
    """A form in which an input goes so far and no farther."""

    form: Value
    x: str
    bounds: tuple[int, ...]


def saturated(form: Value, inputs: Collection[str]) -> Iterator[Bounded]:
    """Yield a form one of whose inputs goes no farther than where its exponentials are nothing, or 1.

    That is an input of which functions depend alone, and only such as settle: ``1**y`` is 1 however large
    ``y`` is, and ``tan(x)`` never ends.
    """
    order = postorder([form])
    functions = [set(names([n])) for n in order if _is_function(n)]
    together = {x for found in functions if len(found) > 1 for x in found}
    together |= {x for n in order if n.op not in _SETTLING and _is_function(n) for x in names([n])}
    free = {a for n in order if n.op not in _BOUNDS for a in n.args}
    for x in (name(text) for text in names([form]) if text in inputs and text not in together):
        if x in free and any(x.datum in found for found in functions):
            for far in _FAR:
                for inside, *bounds in _bounds(x, far):
                    yield Bounded(substitute(form, {x: inside}), str(x.datum), tuple(bounds))


def settles(exact: Exact, points: Iterable[Point], x: int, bound: float, output: int) -> bool:
    """Say whether a result has become constant where an input is beyond a bound, and all others stay."""
    order = 1 if output <= len(exact.inputs) else 2
    for point in points:
        here, there = (
            exact.at((*point[:x], far, *point[x + 1 :]), order)[output] for far in (bound, _BEYOND * bound)
        )
        if isinstance(here, tuple) and isinstance(there, tuple) and not _alike(here[0], there[0]):
            return False
    return True


def _alike(a: float, b: float) -> bool:
    return a == b or abs(a - b) <= _NOTHING or math.isclose(a, b, rel_tol=_ROUNDING)


def _is_function(node: Value) -> bool:
    """Say whether a node is no sum, product or choice, but one that may be anything of its arguments."""
    power = node.op == "pow" and node.args[1].op != "number"
    return power or not (node.op in _EXACT or node.op in LEAVES)


def _bounds(x: Value, far: int) -> Iterator[tuple[Any, ...]]:
    yield value("clamp", x, number(-far), number(far)), -far, far
    yield value("minimum", x, number(far)), far
    yield value("maximum", x, number(-far)), -far
