"""What a node keeps for its backward: never more than autograd of the plain formula would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from fngen.choices import operands, usually
from fngen.cost import weight
from fngen.extents import Extents
from fngen.functions import TABLE
from fngen.ir import CONDITIONS, LEAVES, REDUCTIONS, Value, fold, name, postorder

_NOTHING = frozenset({"neg", "add", "sub", "floor", "ceil", "round", "trunc", "sign"})
_RESULT = frozenset({"exp", "exp2", "expm1", "sigmoid", "tanh", "tan", "sqrt", "rsqrt", "relu", "selu"})


def budget(root: Value, extents: Extents) -> tuple[int, ...]:
    """Return the extent of each tensor that autograd of a formula saves.

    Args:
        root: The formula as the user wrote it.
        extents: Of its inputs.
    """
    masks = extents.depends([root])
    saved = [masks[n] for n in _saved_by_autograd(root, masks)]
    return tuple(sorted(saved, key=lambda mask: (mask.bit_count(), mask)))


def kept(
    roots: Sequence[Value],
    slopes: Sequence[Value],
    extents: Extents,
    leaves: Collection[str],
    allowed: Sequence[int],
) -> list[Value]:
    """Return the nodes of a formula whose results its backward should find saved.

    With all that the backward shares with the forward there is nothing to compute twice.
    Where that is more than autograd would save, the cheapest to compute again go.

    Args:
        roots: The formula, or those of several outputs.
        slopes: Its partial derivatives.
        extents: Of its inputs.
        leaves: The inputs that a second derivative starts from: they stay.
        allowed: The budget.
    """
    masks = extents.depends([*roots, *slopes])
    forward = [n for n in postorder(roots) if masks[n]]
    worth = {n for n in usually(roots) if masks[n]}
    chosen = {*_frontier(slopes, worth), *map(name, leaves)}
    order = {n: i for i, n in enumerate(forward)}
    while True:
        # Inputs cannot go, and the dearest to compute again should not.
        dear = {n: _again(n, chosen) for n in chosen}
        ranked = sorted(chosen, key=lambda n: (bool(n.args), -dear[n], order[n]))
        evicted = [n for n in _homeless(ranked, masks, allowed) if n.args]
        if not evicted:
            break
        chosen -= set(evicted)
        chosen |= {a for n in evicted for a in operands(n) if masks[a]}
    needed = {*_frontier(slopes, chosen), *map(name, leaves)}
    return [n for n in forward if n in chosen & needed]


def _again(node: Value, chosen: Collection[Value]) -> int:
    """Return the work of computing a node again from others that are chosen."""
    total, seen, stack = 0, set[Value](), [node]
    while stack:
        n = stack.pop()
        if n not in seen and (n is node or n not in chosen):
            seen.add(n)
            total += weight(n)
            stack.extend(operands(n))
    return total


def _frontier(slopes: Sequence[Value], forward: Collection[Value]) -> set[Value]:
    """Return the topmost nodes of the forward that the derivatives are made of."""
    found: set[Value] = set()
    seen: set[Value] = set()
    stack = list(slopes)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in forward:
            found.add(node)
        else:
            stack.extend(operands(node))
    return found


def _saved_by_autograd(root: Value, masks: Mapping[Value, int]) -> set[Value]:
    """Return what torch's own nodes would save, operator by operator."""
    recorded = fold([root], lambda node, args: bool(masks[node]) and _is_recorded(node, args))
    saved: set[Value] = set()
    for node in postorder([root]):
        if recorded[node] and node.op not in LEAVES:
            saved.update(n for n in _saved(node, recorded) if masks[n])
    return saved


def _is_recorded(node: Value, args: list[bool]) -> bool:
    """Say whether autograd makes a node for an operator."""
    if node.op in CONDITIONS or node.op in ("full_like", "isnan"):
        return False
    return node.op == "name" or any(args[1:] if node.op == "where" else args)


def _saved(node: Value, recorded: Mapping[Value, bool]) -> list[Value]:
    args = list(node.args)
    if node.op in _NOTHING:
        return []
    if node.op in _RESULT or (node.op == "div" and not recorded[args[0]]):
        return [node]  # c/x is c times the reciprocal of x, which saves its result.
    if node.op == "where":
        return args[:1]
    if node.op == "mul":
        return [b for a, b in (args, reversed(args)) if recorded[a]]
    if node.op == "div":
        return args if recorded[args[1]] else args[1:]
    if node.op == "hypot" or (node.op == "pow" and recorded[args[1]]):
        return [*args, node]
    if node.op in ("softmax", "log_softmax", "sum", "mean", "squeeze"):
        return [node] if node.op.endswith("softmax") else []
    if node.op in REDUCTIONS:
        return args if node.op == "var" else [*args, node]
    row = TABLE.get(node.op)
    return [node] if row is None else args


def _homeless(ranked: Iterable[Value], masks: Mapping[Value, int], allowed: Iterable[int]) -> list[Value]:
    """Return the nodes that find no place of their own in the budget that is no smaller than they."""
    free = Counter(allowed)
    homeless = []
    for node in ranked:
        mask = masks[node]
        place = mask if free[mask] else next((b for b, n in free.items() if n and b | mask == b), None)
        if place is None:
            homeless.append(node)
        else:
            free[place] -= 1
    return homeless
