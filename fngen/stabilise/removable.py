"""Products in which a singularity of several variables is one of their product or difference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from fngen.algebra import add, mul
from fngen.ir import Value, name, names, postorder, substitute
from fngen.stabilise import views
from fngen.stabilise.arrangements import SIGNED
from fngen.stabilise.groups import beside_one, groups
from fngen.stabilise.guards import HOLE, at_origin, has_guard
from fngen.stabilise.views import Factors

_Product = frozenset[tuple[Value, Fraction]]
_PART = name("part!")
_HIGHEST = 6
"""The order of a pole."""
Differentiate = Callable[[Value, Sequence[str]], Sequence[Value]]
"""Gives the derivatives of a graph by some variables."""


class Singular(NamedTuple):
    """A product with a part that has a singularity where one thing is 0.

    Attributes:
        node: The product.
        rest: What it is beside that part.
        part: The part, as a function of ``u!``.
        t: That thing.
    """

    node: Value
    rest: Value
    part: Value
    t: Value


def singular(form: Value) -> Iterator[Singular]:
    """Yield products whose singularity is one in something else than a variable.

    That is a divisor, ``t = x - y`` in ``exp(y)*expm1(t)/t``, or its multiple: ``expm1(x*y)/x`` is ``y``
    times a function of ``t = x*y``. Or it is what a divisor is of: ``x/expm1(x*y)`` is ``t/expm1(t)/y``.
    Or a sum is a function of it: ``cosh(x/y)*y - y``.
    """
    yield from chain(_of_products(form), _of_groups(form))


def _of_products(form: Value) -> Iterator[Singular]:
    return chain.from_iterable(_singular(n) for n in postorder([form]) if n.op in ("mul", "div"))


def _of_groups(form: Value) -> Iterator[Singular]:
    return (Singular(node, *group) for node, group in groups(form) if has_guard(group.part))


@lru_cache(maxsize=4096)
def _singular(node: Value) -> tuple[Singular, ...]:
    c, found = views.factors(node)
    made = []
    for base, n in found.items():
        if 0 < -n <= _HIGHEST and n.denominator == 1:
            for t, k, written in _things(base, n, found):
                of_t = {substitute(f, {written: t}): m for f, m in found.items()}
                if (sides := _around(t, k, c, of_t)) and has_guard(sides[1]):
                    made.append(Singular(node, *sides, t))
    return tuple(made)


def _things(base: Value, n: Fraction, found: Factors) -> Iterator[tuple[Value, Fraction, Value]]:
    """Yield what may be 0, the power of it that belongs to the part, and how it is written now."""
    yield base, n, base
    yield from ((t, n, written) for t, written in dict.fromkeys(_multiples(base, found)))
    if base.op in SIGNED or base.op in ("sin", "tan"):
        (u,) = base.args
        positive = u.args[0] if u.op == "neg" else u
        yield positive, -n, positive


def grouped(form: Value) -> Iterator[Value]:
    """Yield a form in which a singularity stands beside the rest of its product, and is guarded.

    That of the largest group first: of its parts there are many.
    """
    for node, rest, part, t in chain(_of_groups(form), _of_products(form)):
        for made in (substitute(part, {HOLE: t}), *at_origin(part, t)):
            yield substitute(form, {node: mul(rest, made)})
    yield from beside_one(form)


def derived(form: Value, inputs: Sequence[str], differentiate: Differentiate) -> Iterator[Sequence[Value]]:
    """Yield the derivatives of a form by its inputs, those of a singular part by way of what it depends on.

    The part is guarded, and its derivative in several ways. Without one it is what is of one group.
    """
    of_groups = (Singular(node, *group) for node, group in groups(form))
    found = next(chain(singular(form), of_groups), None)
    if found is None:
        return
    (by_t,) = differentiate(found.part, [str(HOLE.datum)])
    by_part, *others = differentiate(_with_part(form, found), [str(_PART.datum), *inputs])
    moved = differentiate(found.t, inputs)
    *_, part = substitute(found.part, {HOLE: found.t}), *at_origin(found.part, found.t)
    for slope in (substitute(by_t, {HOLE: found.t}), *at_origin(by_t, found.t)):
        chained = (mul(mul(by_part, m), slope) for m in moved)
        total = (add(a, b) for a, b in zip(others, chained, strict=True))
        yield [substitute(graph, {_PART: part}) for graph in total]


def _with_part(form: Value, found: Singular) -> Value:
    """Return a form with a name for a singular part, wherever it is in it."""
    alike = (s for s in singular(form) if (s.t, s.part) == (found.t, found.part))
    while another := next(alike, None):
        form = substitute(form, {another.node: mul(another.rest, _PART)})
        alike = (s for s in singular(form) if (s.t, s.part) == (found.t, found.part))
    return form


def _multiples(base: Value, found: Factors) -> Iterator[tuple[Value, Value]]:
    """Yield what other factors are made of that is a multiple of one thing, as such and as it is written."""
    for factor, n in found.items():
        if n > 0 and factor is not base:
            for node in postorder([factor]):
                if node.op in ("mul", "div") and views.factors(node)[1].get(base) == 1:
                    yield node, node
                elif views.is_sum(node) and (by := _quotient(node, base)):
                    yield mul(by, base), node


def _quotient(node: Value, base: Value) -> Value | None:
    """Return what a sum is another one times: ``z`` for ``y*z - x*z`` and ``y - x``."""
    over, under = _products(node), _products(base)
    if len(over) != len(under) or len(under) < 2:
        return None
    first, d = under[0]
    wanted = _in_no_order(over)
    for found, c in over:
        by = views.times(found, {f: -n for f, n in first.items()})
        times = [(views.times(by, other), c / d * k) for other, k in under]
        if all(n > 0 for n in by.values()) and _in_no_order(times) == wanted:
            return views.product(c / d, by)
    return None


def _products(node: Value) -> list[tuple[Factors, Fraction]]:
    """Return a sum as products, with their numbers."""
    terms = ((c, *views.factors(term)) for term, c in views.terms(node).items())
    return [(found, c * d) for c, d, found in terms]


def _in_no_order(products: Iterable[tuple[Factors, Fraction]]) -> dict[_Product, Fraction]:
    return {frozenset(found.items()): c for found, c in products}


def _around(t: Value, k: Fraction, c: Fraction, found: Factors) -> tuple[Value, Value] | None:
    """Return what a product is beside functions of ``t`` and its power, and the product of these."""
    d, own = views.factors(t)
    inside = {f: m for f, m in found.items() if f not in own and _is_of(t, f)}
    of_hole = {substitute(f, {t: HOLE}): m for f, m in inside.items()}
    outside = {f: m for f, m in found.items() if f not in inside}
    outside = views.times(outside, {f: -k * m for f, m in own.items()})
    if not inside or not outside or t in outside:
        return None
    return views.product(c / d ** int(k), outside), views.product(Fraction(1), {**of_hole, HOLE: k})


def _is_of(t: Value, factor: Value) -> bool:
    """Say whether a factor depends on one thing alone."""
    return names([substitute(factor, {t: HOLE})]) == (HOLE.datum,)
