"""Operators in place where nothing reads the operand afterwards: its buffer serves again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import reduce
from operator import or_

from fngen.backends.scalars import IF_ELSE
from fngen.backends.torch import IN_PLACE
from fngen.choices import as_rare, in_slices, rarely, usual, usually
from fngen.ir import CONDITIONS, CONTRACT, LEAVES, Value, fold, postorder, rebuild, value
from fngen.lifetimes import Lifetimes

_COMMUTATIVE = frozenset({"add", "mul"})
_ARITHMETIC = frozenset({"add", "sub", "mul", "div", "neg", "pow", "addcmul", CONTRACT})
CHEAP = frozenset({"add", "sub", "mul", "div", "neg"})
"""Operators that cost less than the memory of their result, if that lives long."""
VIEWS = frozenset({"name", "conj", "re", "im", "stop_gradient", IF_ELSE})
"""Operators whose result may share the memory of their argument."""
ALIASES = VIEWS | {"rarely", "expand", "squeeze", "sum_to", "total"}
"""And those of reductions."""
_WIDENED = 4096
_MANY = 2_000
"""Nodes beyond which only a value that is read once counts as free: the rest would take long to see."""


def is_cheap(node: Value) -> bool:
    """Say whether several targets may each compute a node anew."""
    return node.op in CHEAP and not any(a.args for a in node.args)


def distinct(values: Sequence[Value]) -> list[Value]:
    """Return results that share no memory with an input or with each other."""
    seen: set[Value] = set()
    found = []
    for graph in values:
        while graph in seen or graph.op in ALIASES:
            graph = value("clone", graph)
        found.append(graph)
        seen.add(graph)
    return found


class Buffers:
    """Which node may overwrite which operand, when a body runs in the order that ``lower`` gives it.

    That is: first what several roots need, then what each root alone needs, in their order. A
    buffer must have the shape and type of the result, whatever is broadcast or batched: it has
    if it depends on the same inputs.

    Args:
        roots: What is computed.
        masks: For each node the inputs that it depends on, as a bit mask.
        kept: Nodes whose results are needed afterwards.
    """

    def __init__(
        self, roots: Sequence[Value], masks: Mapping[Value, int], kept: Collection[Value] = ()
    ) -> None:
        self.roots, self.masks, self.kept = roots, masks, kept
        self.order, self.shared = postorder(roots), set[Value]()
        self.kinds = _kinds(self.order, masks)
        self.users: dict[Value, dict[Value, None]] = {node: {} for node in self.order}
        self.reach = dict.fromkeys(self.order, 0)
        for i, root in enumerate(roots):
            self.reach[root] |= 1 << i
        for node in reversed(self.order):
            for arg in node.args:
                self.users[arg][node] = None
                self.reach[arg] |= self.reach[node]
        named = {node for node in self.order if len(self.users[node]) > 1}
        self.times = Lifetimes(self.order, roots, self.reach, named, kept, is_cheap)

    def owned(self, node: Value, arg: Value) -> bool:
        """Say whether ``node`` may leave its result in the buffer of ``arg``."""
        if arg.op in LEAVES or arg.op in CONDITIONS or arg in (*self.kept, *self.roots) or arg in self.shared:
            return False
        if arg.op in ALIASES or any(user.op in ALIASES for user in self.users[arg]):
            return False  # It is another's, or another's is it.
        return self.masks[node] != 0 and self.is_alike(node, arg) and self.is_last(node, arg)

    def is_alike(self, node: Value, arg: Value) -> bool:
        """Say whether an operand has the shape and the type of the result."""
        return self.masks[arg] == self.masks[node] and self.kinds[arg] == self.kinds[node]

    def asked(self) -> set[Value]:
        """Return the choices that look whether an element asks for their rare side."""
        return {n for n in usually(self.roots) if rarely(n)} - in_slices(self.order)

    def rare(self, node: Value, args: Sequence[Value]) -> Value:
        """Return the image of a choice with a rare side."""
        side = usual(node)
        if len(self.users[side]) == 1 and self.owned(node, side):
            return as_rare(node, args, "rarely_")
        if not self.masks[side] or not self.is_alike(node, side):
            return rebuild(node, args)
        if node in self.roots:  # A result is nobody else's buffer, and a copy is sooner made than a choice.
            place = node.args.index(side, 1)
            copy = value("clone", args[place])
            return as_rare(node, [copy if i == place else a for i, a in enumerate(args)], "rarely_")
        self.shared.add(node)
        return as_rare(node, args, "rarely")

    def swaps(self, node: Value) -> bool:
        """Say whether the second operand may hold the result of a sum or product."""
        if node.op not in _COMMUTATIVE or not self.owned(node, node.args[1]):
            return False
        # The first operand has the say in the memory format of the result.
        return self.masks[node].bit_count() == 1 or not self.masks[node.args[0]]

    def is_last(self, node: Value, arg: Value) -> bool:
        """Say whether every other node that reads ``arg`` has run when ``node`` does."""
        others = [user for user in self.users[arg] if user is not node]
        if not others or self.is_repeated(arg):
            return True
        if len(self.order) > _MANY:
            return False
        start = self.times.starts[node]
        after = {user for user in others if self.times.done[user] >= start}
        return not after or after <= set(postorder([node]))

    def is_repeated(self, node: Value) -> bool:
        """Say whether each of several targets has a node to itself: ``lower`` works it out for each."""
        users = self.users[node]
        once = len(users) == self.reach[node].bit_count() and all(u.args.count(node) == 1 for u in users)
        return once and is_cheap(node)


def _kinds(order: Sequence[Value], masks: Mapping[Value, int]) -> dict[Value, int]:
    """Return for each node the inputs that have a say in its type, as a bit mask.

    The condition of a choice has none. Where it has more dimensions than the branches, a type
    that came from numbers counts from then on as that of a tensor: a second bit says so.
    """

    def visit(node: Value, args: list[int]) -> int:
        if node.op in CONDITIONS or node.op in ("isnan", "full_mask"):
            return 0
        if node.op != "where":
            return reduce(or_, args, 0 if node.args else masks[node])
        kinds, branches = args[1] | args[2], masks[node.args[1]] | masks[node.args[2]]
        return kinds if branches == masks[node] else kinds | kinds << _WIDENED

    return fold(order, visit)


def reuse(
    roots: Sequence[Value],
    masks: Mapping[Value, int],
    kept: Collection[Value] = (),
    spared: Collection[Value] = (),
    *,
    rare: bool = False,
) -> dict[Value, Value]:
    """Return every node's image, ``mul(u, x)`` as ``mul_(u, x)`` where nothing reads ``u`` afterwards.

    For the first arguments see :class:`Buffers`; ``spared`` nodes take a buffer of their own. If ``rare``,
    a choice looks whether an element asks for its rare side.
    """
    buffers = Buffers(roots, masks, kept)
    owned = buffers.owned
    asked = buffers.asked() if rare else set()

    need = buffers_alive(buffers.order)
    images: dict[Value, Value] = {}
    for node in buffers.order:
        args = [images[a] for a in node.args]
        images[node] = rebuild(node, args) if args else node
        if node in spared:
            continue
        if node in asked:
            images[node] = buffers.rare(node, args)
        if node.op not in _ARITHMETIC and node.op not in IN_PLACE:
            continue
        if buffers.swaps(node) and (need[node.args[1]] > need[node.args[0]] or not owned(node, node.args[0])):
            images[node] = value(f"{node.op}_", args[1], args[0])
        elif owned(node, node.args[0]):
            images[node] = value(f"{node.op}_", *args, datum=node.datum)
        elif node.op == "div" and not masks[node.args[0]] and owned(node, node.args[1]):
            # As torch itself computes c/x.
            inverse = value("reciprocal_", args[1])
            one = node.args[0].op == "number" and node.args[0].datum == 1
            images[node] = inverse if one else value("mul_", inverse, args[0])
    return images


def asking(root: Value, masks: Mapping[Value, int]) -> dict[Value, Value]:
    """Return the image of every node of a graph that overwrites nothing, its choices as in :func:`reuse`."""
    buffers = Buffers([root], masks)
    asked = buffers.asked()

    def rule(node: Value, args: list[Value]) -> Value:
        return buffers.rare(node, args) if node in asked else rebuild(node, args) if args else node

    return fold([root], rule)


def buffers_alive(order: Sequence[Value]) -> dict[Value, int]:
    """Return how many buffers a node needs while it is computed: the operand that needs more goes first.

    R. Sethi and J. D. Ullman, The generation of optimal code for arithmetic expressions, 1970.
    """
    need: dict[Value, int] = {}
    for node in order:
        most = sorted((need[a] for a in node.args), reverse=True)
        need[node] = max((n + i for i, n in enumerate(most)), default=0) or int(bool(node.args))
    return need
