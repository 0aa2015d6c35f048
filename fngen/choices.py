"""Choices among plain tensors: what nobody differentiates, and what ordinary numbers do not ask for.

``torch.where`` takes the time of both sides, whoever asks. Where one side is for numbers that are rarely
there, such as ``u < -40``, a body without derivatives looks first whether one of them is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fractions import Fraction

from fngen.algebra import exact, mul
from fngen.ir import (
    ARITHMETIC,
    SLICED,
    Over,
    Value,
    fold,
    inside,
    is_number,
    number,
    postorder,
    rebuild,
    rewrite,
    substitute,
    value,
)

RARELY = frozenset({"rarely", "rarely_"})
"""The usual side, the condition, and the rare side; the datum says for which outcome that is: ``true`` or
``false``, ``nan`` for ``true`` where the usual side shows it by being nan, else for ``true`` too, and says
what the bound stands for. With a ``_`` the buffer of the usual side is free for the result, without it is
another's too."""
_LARGE, _SMALL = Fraction(10), Fraction(1, 1000)
_ROUNDS, _MANY = 3, 64
"""How often what is decided may decide more, and how many choices by one thing are looked through."""
_CLAMPS = frozenset({"clamp", "clamp_min", "clamp_max"})
BELOW, ABOVE = frozenset({"lt", "le"}), frozenset({"gt", "ge"})


def without_guards(graphs: Sequence[Value]) -> list[Value]:
    """Return graphs in which no choice keeps a side finite where that is not taken.

    That is for derivatives: a cotangent of 0 times an infinite slope is no number.
    """
    for _ in range(_ROUNDS):  # What guarded the argument of a condition hides what that decides.
        before, graphs = graphs, _once(graphs)
        if graphs == before:
            break
    return list(graphs)


def _once(graphs: Sequence[Value]) -> list[Value]:
    order = postorder(graphs)
    if all(node.op != "where" for node in order):
        return list(graphs)
    chosen = Counter(node.args[0].args[0] for node in order if node.op == "where" and node.args[0].args)
    clamped = {node for node in order if node.op in _CLAMPS}
    images = rewrite(graphs, lambda node: _unguarded(node, chosen, clamped) if node.op == "where" else node)
    return [images[graph] for graph in graphs]


def _unguarded(node: Value, chosen: Mapping[Value, int], clamped: Collection[Value]) -> Value:
    condition, *sides = node.args
    found = [condition]
    for place, side in enumerate(sides):
        known = {n: x for n, x in _within(condition, taken=place == 0).items() if n in clamped}
        if condition.args and 1 < chosen[condition.args[0]] <= _MANY:
            for inner in (n for n in postorder([side]) if n.op == "where"):
                holds = _implied(inner.args[0], condition, holds=place == 0)
                known |= {} if holds is None else {inner: inner.args[1 if holds else 2]}
        found.append(_decided(side, known | _of_all_elements(side)) if known else side)
    return rebuild(node, found)


def _decided(side: Value, known: Mapping[Value, Value]) -> Value:
    """Return a side with what is known of it; no function is left with numbers alone: no tensor is."""
    made = substitute(side, known)
    if any(n.op == "number" for n in known.values()) and _of_numbers(made) - _of_numbers(side):
        return substitute(side, {inner: n for inner, n in known.items() if n.op != "number"})
    return made


def _of_numbers(root: Value) -> set[Value]:
    """Return the functions of numbers alone below a node."""
    varies = fold([root], lambda node, args: node.op == "name" or any(args))
    return {n for n, varying in varies.items() if n.args and not varying and n.op not in ARITHMETIC}


def _of_all_elements(side: Value) -> dict[Value, Value]:
    """Return what stays as it is: it reads elements of which the condition may say something else."""
    return {n: n for n in postorder([side]) if isinstance(n.datum, Over) or n.op == "sum_to"}


def _implied(asked: Value, known: Value, *, holds: bool) -> bool | None:
    """Say whether one condition holds where it is known whether another does; None where it may or may not.

    Of a nan no comparison holds, so where one does not hold another may only fail too.
    """
    if asked is known:
        return holds
    below = known.op in BELOW and asked.op in BELOW and asked.args[0] is known.args[0]
    if not below or not all(is_number(n.args[1]) for n in (asked, known)):
        return None
    a, b = exact(asked.args[1]), exact(known.args[1])
    if holds:
        return True if a > b else None
    return False if a < b else None


def _within(condition: Value, *, taken: bool) -> dict[Value, Value]:
    """Return the clamped values that are the values themselves where a condition holds, or does not."""
    if condition.op not in BELOW | ABOVE:
        return {}
    x, bound = condition.args
    below = (condition.op in BELOW) == taken
    found = {value("clamp_max" if below else "clamp_min", x, bound): x}
    if x.op == "abs" and below and is_number(bound):
        (y,) = x.args
        found[value("clamp", y, number(-exact(bound)), bound)] = y
    return found


def rarely(node: Value) -> str:
    """Return the outcome of the condition of a choice that is rare; nothing where that is not known."""
    if node.op != "where" or node.args[0].op not in BELOW | ABOVE | {"eq"}:
        return ""
    condition = node.args[0]
    if not is_number(condition.args[1]):
        return ""
    x, bound = condition.args
    if condition.op == "eq" or node.datum:
        return "true"
    limit, below = exact(bound), condition.op in BELOW
    if limit <= -_LARGE or (x.op == "abs" and 0 < limit <= _SMALL):
        return "true" if below else "false"
    if limit >= _LARGE:
        return "false" if below else "true"
    return ""


def usual(node: Value) -> Value:
    """Return the side of a choice that is usual."""
    return node.args[2 if rarely(node) == "true" else 1]


def operands(node: Value) -> tuple[Value, ...]:
    """Return the arguments of a node that are usually worked out."""
    return (usual(node), node.args[0].args[0]) if rarely(node) else node.args


def usually(roots: Iterable[Value]) -> list[Value]:
    """Return the nodes of some graphs that are usually worked out, arguments first."""
    order = postorder(roots := list(roots))
    needed = set(roots)
    for node in reversed(order):
        if node in needed:
            needed.update(operands(node))
    return [node for node in order if node in needed]


def into_choice(root: Value) -> Value:
    """Return a product with a choice as a choice of products: its usual side is one product then.

    Not where the usual side itself shows what is rare: beside a cotangent it may be batched.
    """
    if root.op != "mul" or not rarely(root.args[1]) or root.args[1].datum == "nan":
        return root
    condition, *sides = root.args[1].args
    made = (mul(root.args[0], side) for side in sides)
    return value("where", condition, *made, datum=root.args[1].datum)


def of_usual(roots: Sequence[Value], rule: Callable[[Sequence[Value]], Sequence[Value]]) -> list[Value]:
    """Return graphs after a rule for them, of choices for their usual sides."""
    sides = [usual(root) if rarely(root) else root for root in roots]
    pairs = zip(roots, sides, rule(sides), strict=True)
    return [substitute(root, {side: made}) if rarely(root) else made for root, side, made in pairs]


def as_rare(node: Value, args: Sequence[Value], op: str) -> Value:
    """Return a choice of other arguments as one whose result may be in the buffer of its usual side."""
    condition, yes, no = args
    outcome = rarely(node)
    sides = (no, condition, yes) if outcome == "true" else (yes, condition, no)
    return value(op, *sides, datum=node.datum or outcome)


def in_slices(order: Iterable[Value]) -> set[Value]:
    """Return the nodes that are worked out slice by slice."""
    return {n for s in order if s.op == SLICED for n in inside(s)}
