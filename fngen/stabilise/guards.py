"""Removable singularities: a Taylor polynomial where the formula itself has no digits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

from fngen.algebra import ONE, add, mul, where
from fngen.choices import rarely
from fngen.ir import (
    ARITHMETIC,
    CONDITIONS,
    LEAVES,
    Value,
    fold,
    name,
    names,
    number,
    postorder,
    substitute,
    value,
)
from fngen.stabilise.chebyshev import economised
from fngen.stabilise.laurent import NoSeries, at_zero
from fngen.stabilise.places import distances

_LEAST = 1e-200
"""The size of a coefficient below which, or above the inverse, a polynomial has none."""
_DIGITS = 2.0**-56
_RADII = (Fraction(1, 32), Fraction(1, 8), Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(2))
_MOST_TERMS = 20
_REST, _FAINT = 4, 2.0**-64
"""How many of the last coefficients that are known must be next to nothing: the others are less."""
LIMIT, SERIES = "its limit at 0/0", "a series near 0/0"
HOLE, _DISTANCE = name("u!"), name("distance!")


def guarded(form: Value) -> Iterator[tuple[Value, str]]:
    """Yield a form with a part that depends on one thing guarded where that is 0 or a number, and how."""
    for part, u in _parts_of_one(form):
        made_of_u = at_origin(substitute(part, {u: HOLE}), u)
        yield from ((substitute(form, {part: made}), _how(made)) for made in made_of_u)
    for part, x in _parts_of_one(form):
        for distance, _, place in (d for d in distances(part) if d[1] is x):
            for made in at_place(substitute(part, {x: HOLE}), x, place, distance):
                yield substitute(form, {part: made}), _how(made)


def at_origin(inside: Value, u: Value) -> Iterator[Value]:
    """Yield a function of ``u!`` as one of something, guarded where that is 0."""
    yield from (substitute(made, {HOLE: u}) for made in _guards(inside))


def at_place(inside: Value, u: Value, place: Fraction, distance: Value) -> Iterator[Value]:
    """Yield a function of ``u!`` as one of something, guarded where that is a number."""
    yield from (substitute(made, {HOLE: u, _DISTANCE: distance}) for made in _guards(inside, place))


def _how(guard: Value) -> str:
    return LIMIT if guard.args[0].op == "eq" else SERIES


def has_guard(inside: Value) -> bool:
    """Say whether a function of ``u!`` can be guarded where that is 0."""
    return bool(_series(inside, Fraction(0)))


def order(inside: Value) -> int:
    """Return of what order a function of ``u!`` is 0 where that is 0; 0 where nothing is known of it."""
    found = _series(inside, Fraction(0))
    return next((k for k, c in enumerate(found) if not c.is_zero()), 0)


@lru_cache(maxsize=1024)
def _guards(inside: Value, place: Fraction = Fraction(0)) -> tuple[Value, ...]:
    """Return a function guarded at a number, from which a variable has a distance."""
    found, distance = _series(inside, place), _DISTANCE if place else HOLE
    try:
        near = _near(inside, found, distance, place)
        return (_at(inside, found[0], distance, place), *near) if found else ()
    except NoSeries:
        return ()


@lru_cache(maxsize=1024)
def _series(inside: Value, place: Fraction) -> Sequence[Any]:
    """Return the coefficients of a function's power series at a number, if something cancels there."""
    try:
        found = at_zero(substitute(inside, {HOLE: add(HOLE, number(place))}), str(HOLE.datum))
    except NoSeries:
        return ()
    return found if found[0].is_zero() or any(n.op == "div" for n in postorder([inside])) else ()


def _parts_of_one(form: Value) -> Iterator[tuple[Value, Value]]:
    """Yield the largest parts of a form that are a function of one of its nodes, and that node."""
    order = [n for n in postorder([form]) if n.op not in CONDITIONS]
    chosen = [n for n in order if n.op == "where" and (n.args[0].op == "eq" or not rarely(n))]
    guarded = {n for c in chosen for n in postorder([c.args[0]])}
    guarded |= {n for n in order if n.op == "where" and n.args[1].op == "number"}  # Never 0.
    inner = {a for n in order if n.op not in ("add", "sub", "mul", "neg") for a in n.args}
    for u in (n for n in order if n not in guarded and (n.op == "name" or (n in inner and names([n])))):
        alone = _made_of(order, u)
        used = {a for n in alone for a in n.args}
        yield from ((top, u) for top in alone if top not in used and _may_lose(substitute(top, {u: HOLE})))


def _made_of(order: Sequence[Value], u: Value) -> list[Value]:
    """Return the nodes that depend on one node, and on nothing else."""
    found: dict[Value, tuple[bool, bool]] = {u: (True, False)}

    def visit(node: Value, args: list[tuple[bool, bool]]) -> tuple[bool, bool]:
        return any(a for a, _ in args), node.op == "name" or any(b for _, b in args)

    fold(order, visit, found)
    return [n for n in order if n is not u and found[n] == (True, False)]


def _may_lose(part: Value) -> bool:
    """Say whether a part has a quotient in it, or functions with a sum or each other."""
    order = postorder([part])
    functions = sum(n.op not in ARITHMETIC and n.op not in LEAVES for n in order)
    sums = any(n.op in ("add", "sub") for n in order)
    return functions > 1 - sums or any(n.op == "div" for n in order)


def _at(inside: Value, limit: Any, distance: Value, place: Fraction) -> Value:
    """Return a function with its limit at a number, and nothing else changed."""
    zero = value("eq", distance, number(0))
    elsewhere = where(zero, number(place + 1), HOLE)
    return where(zero, number(rational(limit)), substitute(inside, {HOLE: elsewhere}))


def _near(inside: Value, found: Sequence[Any], distance: Value, place: Fraction) -> Iterator[Value]:
    """Yield a function with its Taylor polynomial up to some radius."""
    for radius in _RADII:
        polynomial = _polynomial(found, radius)
        if polynomial is not None:
            near = value("lt", value("abs", distance), number(radius))
            elsewhere = where(near, number(place + radius), HOLE)
            rest = substitute(inside, {HOLE: elsewhere})
            yield where(near, substitute(polynomial, {HOLE: distance}), rest)


def _polynomial(found: Sequence[Any], radius: Fraction) -> Value | None:
    """Return the polynomial that is right to the last bit up to a radius, in the form of Horner."""
    kept = [k for k, c in enumerate(found) if not c.is_zero()]
    if not kept or any(found[k].rel_accuracy_bits() < 80 for k in kept[:_MOST_TERMS]):
        return None
    first = kept[0]
    step = 2 if all((k - first) % 2 == 0 for k in kept) else 1
    series = found[first::step]
    sizes = [abs(float(c.mid())) * float(radius) ** (step * k) for k, c in enumerate(series)]
    if max(sizes[-_REST:]) > _FAINT * sizes[0]:
        return None
    enough = 1 + max(k for k, size in enumerate(sizes) if size > _DIGITS * sizes[0])
    low, high = (Fraction(0) if step == 2 else -radius), radius**step
    shorter = [series[0], *economised(series[1:], low, high, _DIGITS / 2 * sizes[0] / float(high))]
    chosen = shorter if len(shorter) < enough else series[:enough]
    if len(chosen) > _MOST_TERMS:
        return None
    x = value("pow", HOLE, number(2)) if step == 2 else HOLE
    total = number(0)
    for c in reversed(chosen):
        total = add(mul(x, total), number(rational(c)))
    return mul(total, value("pow", HOLE, number(first)) if first > 1 else HOLE if first else ONE)


def rational(ball: Any) -> Fraction:
    """Return the rational number that a coefficient is, if that is short, else one that is near."""
    if ball.is_zero():
        return Fraction(0)
    if not _LEAST < abs(ball) < 1 / _LEAST:
        raise NoSeries
    man, exp = ball.mid().man_exp()
    exact = Fraction(int(man)) * Fraction(2) ** int(exp)
    short = exact.limit_denominator(10**20)
    return short if abs(short - exact) <= abs(exact) / 2**200 else exact.limit_denominator(10**25)
