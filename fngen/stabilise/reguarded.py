"""Guards that are there already: others in their place, or none."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from fngen.algebra import exact, fold_numbers, where
from fngen.choices import rarely, usual
from fngen.ir import COMPARISONS, Value, is_number, number, postorder, rewrite, substitute, value
from fngen.stabilise.guards import HOLE, at_origin

_CLAMPS = frozenset({"minimum", "maximum", "clamp"})


def polynomials(form: Value) -> list[Value]:
    """Return the Taylor polynomials of the guards in a form."""
    return [n.args[1] for n in postorder([form]) if _is_guard(n) and n.args[1].args]


def lightened(form: Value) -> Iterator[Value]:
    """Yield a form with its limit at 0 in place of a polynomial: enough, if the rest has become better."""
    for node in filter(_is_guard, postorder([form])):
        near, polynomial, rest = node.args
        u, radius = near.args[0].args[0], exact(near.args[1])
        at_zero = substitute(polynomial, {u: number(0)})
        limit = fold_numbers([at_zero])[at_zero]
        if limit.op == "number":
            zero = value("eq", u, number(0))
            (safe,) = _safe(node)
            elsewhere = where(zero, number(exact(safe.args[1]) - radius + 1), safe.args[2])
            yield substitute(form, {node: where(zero, limit, substitute(rest, {safe: elsewhere}))})


def widened(form: Value) -> Iterator[Value]:
    """Yield a form with a polynomial up to another radius: which is best depends on the rest of the form."""
    for node in filter(_is_guard, postorder([form])):
        yield from _with_polynomials(form, node, node.args[0].args[0].args[0])


def deepened(form: Value) -> Iterator[Value]:
    """Yield a form with a polynomial in place of a limit at 0."""
    for node in postorder([form]):
        if node.op == "where" and node.args[0].op == "eq" and is_number(node.args[0].args[1], 0):
            yield from _with_polynomials(form, node, node.args[0].args[0])


def _with_polynomials(form: Value, guard: Value, u: Value) -> Iterator[Value]:
    """Yield a form with a guard against small ``u`` with other polynomials for these."""
    safe = _safe(guard)
    if len(safe) == 1 and safe[0].args[2] is u:
        for made in at_origin(substitute(guard.args[2], {safe[0]: HOLE}), u):
            if _is_guard(made) and made is not guard:
                yield substitute(form, {guard: made})


def stripped(form: Value) -> Iterator[Value]:
    """Yield a form without one of its guards: the rest may have become as good.

    Not of what is a side of another choice: where that is not taken, nobody sees what it is, but torch
    differentiates it.
    """
    order = postorder([form])
    sides = {n for choice in order if choice.op == "where" for n in postorder(choice.args)}
    for node in (n for n in reversed(order) if n not in sides):
        if (whole := _unguarded(node)) is not node:
            yield substitute(form, {node: whole})


def _unguarded(node: Value) -> Value:
    if node.op == "where" and len(found := _safe(node)) == 1:
        return substitute(node.args[2], {found[0]: found[0].args[2]})
    return node


def bare(form: Value, given: Collection[Value]) -> Value:
    """Return a form without what it does where the given nodes fail.

    What these ask for stays: a bound is theirs where one of them has the same, whatever is compared with it
    by now.
    """
    theirs = {sign for n in given if (sign := _bounds(n))}

    def rule(node: Value) -> Value:
        if node in given or (node.op == "where" and node.args[0] in given):
            return node
        if (whole := _unguarded(node)) is not node:
            return whole
        if _bounds(node) in theirs or (node.op == "where" and _bounds(node.args[0]) in theirs):
            return node
        if node.op in _CLAMPS and all(map(is_number, node.args[1:])):
            return node.args[0]
        return usual(node) if rarely(node) else node

    return rewrite([form], rule)[form]


def _bounds(node: Value) -> tuple[str, ...]:
    """Return how something is compared with numbers, and with which; nothing where it is not."""
    if node.op not in COMPARISONS and node.op not in _CLAMPS:
        return ()
    return (node.op, *(str(a.datum) for a in node.args if is_number(a)))


def _is_guard(node: Value) -> bool:
    """Say whether a node is a choice with a polynomial near 0, as ``guards`` makes it."""
    return (
        node.op == "where"
        and node.args[0].op == "lt"
        and node.args[0].args[0].op == "abs"
        and is_number(node.args[0].args[1])
        and len(_safe(node)) == 1
    )


def _safe(guard: Value) -> list[Value]:
    """Return the argument of what stands outside of a radius."""
    near, _, rest = guard.args
    return [n for n in postorder([rest]) if n.op == "where" and n.args[0] is near]
