"""Where a form has become constant: far out, what overflows in it is of no account."""

from __future__ import annotations

from collections.abc import Collection, Iterator

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
_EXACT = frozenset({*ARITHMETIC, *_BOUNDS, *LOGIC, "where", "abs", "sign"})
_FAR = (40, 710, 800)
"""Where ``1 + exp(-x)`` is 1, ``exp(x)`` overflows, and ``exp(-x)`` is nothing."""


def saturated(form: Value, inputs: Collection[str]) -> Iterator[Value]:
    """Yield a form one of whose inputs goes no farther than where its exponentials are nothing, or 1.

    That is an input of which functions depend alone: ``1**y`` is 1 however large ``y`` is.
    """
    order = postorder([form])
    functions = [set(names([n])) for n in order if _is_function(n)]
    together = {x for found in functions if len(found) > 1 for x in found}
    free = {a for n in order if n.op not in _BOUNDS for a in n.args}
    for x in (name(text) for text in names([form]) if text in inputs and text not in together):
        if x in free and any(x.datum in found for found in functions):
            for far in _FAR:
                for inside in _bounds(x, far):
                    yield substitute(form, {x: inside})


def _is_function(node: Value) -> bool:
    """Say whether a node is no sum, product or choice, but one that may be anything of its arguments."""
    power = node.op == "pow" and node.args[1].op != "number"
    return power or not (node.op in _EXACT or node.op in LEAVES)


def _bounds(x: Value, far: int) -> Iterator[Value]:
    yield value("clamp", x, number(-far), number(far))
    yield value("minimum", x, number(far))
    yield value("maximum", x, number(-far))
