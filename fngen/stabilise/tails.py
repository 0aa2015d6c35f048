"""Where a form has become constant: far out, what overflows in it is of no account."""

from __future__ import annotations

from collections.abc import Iterator

from fngen.ir import ARITHMETIC, COMPARISONS, LEAVES, Value, name, names, number, postorder, substitute, value

_BOUNDS = frozenset({"clamp", "minimum", "maximum", *COMPARISONS})
_FAR = (40, 710, 800)
"""Where ``1 + exp(-x)`` is 1, ``exp(x)`` overflows, and ``exp(-x)`` is nothing."""


def saturated(form: Value) -> Iterator[Value]:
    """Yield a form whose input goes no farther than where its exponentials are nothing, or 1."""
    order = postorder([form])
    if all(n.op in ARITHMETIC or n.op in LEAVES for n in order):
        return
    free = {a for n in order if n.op not in _BOUNDS for a in n.args}
    for x in (name(text) for text in names([form])):
        if x in free:
            for far in _FAR:
                for inside in _bounds(x, far):
                    yield substitute(form, {x: inside})


def _bounds(x: Value, far: int) -> Iterator[Value]:
    yield value("clamp", x, number(-far), number(far))
    yield value("minimum", x, number(far))
    yield value("maximum", x, number(-far))
