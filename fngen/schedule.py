"""Graphs to a Kernel: all that can be reduced at once is, and then the elements are gone through again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fngen.blocks import TOTALS, Block, Kernel, Let, Pass
from fngen.functions import TABLE
from fngen.ir import Value, fold, name, names, rebuild, substitute, substitute_all
from fngen.naming import free_name

_CHEAP = frozenset(
    {"abs", "ceil", "clamp", "floor", "heaviside", "maximum", "minimum", "relu", "round", "sign", "sqrt"}
)
"""Functions that are as soon worked out again as read from memory."""


def schedule(
    inputs: Sequence[str],
    results: Sequence[Let],
    named: Mapping[Value, str],
    wide: Callable[[Value], bool],
    keeps: Callable[[Value], bool] | None = None,
) -> Kernel:
    """Return the kernel of some results.

    A pass has the totals that need none but those of earlier passes, and the results that need no others.
    What costs more than memory, and a later pass needs too, is a result of the first that does.

    Args:
        inputs: The names in the graphs, in order.
        results: The results.
        named: The intermediates that the user named.
        wide: Says of a node whether it is one of each element.
        keeps: Says of a node whether it costs more than memory; without, :func:`is_costly` does.
    """
    scheduler = _Scheduler(inputs, results, named, wide, keeps or is_costly)
    return Kernel(tuple(map(scheduler.passed, range(scheduler.count))))


def is_costly(node: Value) -> bool:
    """Say whether a node is a function that is worked out in many steps."""
    return node.op in TABLE and node.op not in _CHEAP


class _Scheduler:
    def __init__(
        self,
        inputs: Sequence[str],
        results: Sequence[Let],
        named: Mapping[Value, str],
        wide: Callable[[Value], bool],
        keeps: Callable[[Value], bool],
    ) -> None:
        self.inputs, self.named, self.wide, self.keeps = inputs, named, wide, keeps
        self.taken = {*inputs, *named.values(), *(r.name for r in results)}
        self.known: dict[Value, Value] = {}
        levels = fold([r.value for r in results], lambda n, args: max(args, default=0) + (n.op in TOTALS))
        labels = {r.value: r.name for r in reversed(results)}
        found = [n for n in levels if n.op in TOTALS]
        self.totals = {n: labels.get(n) or named.get(n) or self.fresh(n.op) for n in found}
        ends = [r for r in results if self.totals.get(r.value) != r.name]
        self.count = 1 + max([levels[n] - 1 for n in found] + [levels[r.value] for r in ends])
        self.groups = [[n for n in found if levels[n] == i + 1] for i in range(self.count)]
        self.ends = [[r for r in ends if levels[r.value] == i] for i in range(self.count)]

    def fresh(self, stem: str) -> str:
        """Return a name that is free."""
        label = free_name(stem, self.taken)
        self.taken.add(label)
        return label

    def passed(self, i: int) -> Pass:
        """Return a pass; from here on its totals, and what it keeps, are known."""
        kept = self.kept(i)
        wanted = {**self.named, **{let.value: let.name for let in kept}}
        images, lets = dict(self.known), list[Let]()
        for node in (n for n in self.below(self.roots(i)) if n in wanted):
            lets.append(Let(wanted[node], substitute(node, images)))
            images[node] = name(wanted[node])
        results = [Let(let.name, substitute(let.value, images)) for let in (*kept, *self.ends[i])]
        totals = [Let(self.totals[n], rebuild(n, substitute_all(n.args, images))) for n in self.groups[i]]
        used = set(names(let.value for let in (*lets, *results, *totals))) - {let.name for let in lets}
        order = dict.fromkeys([*self.inputs, *(str(n.datum) for n in self.known.values())])
        self.known |= {let.value: name(let.name) for let in kept}
        self.known |= {n: name(self.totals[n]) for n in self.groups[i]}
        return Pass(Block(tuple(x for x in order if x in used), tuple(lets), tuple(results)), tuple(totals))

    def roots(self, i: int) -> list[Value]:
        """Return what a pass works out."""
        return [a for n in self.groups[i] for a in n.args] + [r.value for r in self.ends[i]]

    def below(self, roots: Sequence[Value]) -> list[Value]:
        """Return what has to be worked out for some graphs: what is known is not, nor is a total."""
        found = list[Value]()
        fold(roots, lambda n, _: found.append(n), dict.fromkeys([*self.known, *self.totals]))
        return found

    def kept(self, i: int) -> list[Let]:
        """Return the results of a pass that later ones take as they are."""
        own = dict.fromkeys(self.below(self.roots(i)))
        later = [root for j in range(i + 1, self.count) for root in self.roots(j)]
        read = {*later, *(a for n in self.below(later) if n not in own for a in n.args)}
        crossing = [n for n in own if n in read and n.args and self.wide(n)]
        worth = [n for n in crossing if any(map(self.keeps, self.below([n])))]
        return [Let(self.named.get(n) or self.fresh(n.op if n.op in TABLE else "u"), n) for n in worth]
