"""The intermediate representation: values. What blocks and kernels are made of.

A ``Value`` is a node of an expression graph. Equal nodes are one object, so a shared
subexpression is found by identity, and a graph with exponentially many paths stays small.
Graphs may be thousands of nodes deep: every walk in fngen is a loop over ``postorder``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")
Number = Fraction | Decimal
"""An exact number; a ``Decimal`` is one that was written with a point or an exponent."""

ARITHMETIC = {"neg": 1, "add": 2, "sub": 2, "mul": 2, "div": 2, "pow": 2}
COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
LOGIC = {"and": 2, "or": 2, "not": 1}
LEAVES = frozenset({"number", "name", "pi", "nan", "true", "false"})
CONDITIONS = frozenset({*COMPARISONS, *LOGIC, "true", "false"})
CONTRACT = "contract"
"""A product and the shape that it is summed to; with a ``_`` its first factor may hold the result."""
SLICED = "sliced"
"""A graph, the shape that it is summed to, and what slices are taken of, for which it is worked out."""
REDUCTIONS = frozenset({"sum", "mean", "prod", "amax", "amin", "var", "std", "norm", "logsumexp"})


@dataclass(frozen=True, slots=True)
class Over:
    """The datum of a reduction.

    Attributes:
        dims: The dimensions it runs over, as the formula counts them; None for all.
        keepdim: Whether the result has them still, of size 1.
        option: The order of a norm, the correction of a variance.
    """

    dims: tuple[int, ...] | None = None
    keepdim: bool = True
    option: Fraction | Decimal | None = None

    def __str__(self) -> str:
        dims = "" if self.dims is None else f"dim={', '.join(map(str, self.dims))}"
        words = [
            dims,
            "" if self.keepdim else "dropped",
            "" if self.option is None else f"option={self.option}",
        ]
        return " ".join(filter(None, words)) or "all"


Datum = Number | str | Over


class Value:
    """An immutable node: an operator or function, its arguments, and a leaf's datum.

    Nodes are interned: build them with :func:`value`, compare them with ``is``.

    Attributes:
        size: The number of nodes of the written-out expression, at most a billion.
    """

    __slots__ = ("__weakref__", "args", "datum", "op", "size")

    op: str
    args: tuple[Value, ...]
    datum: Datum | None
    size: int

    def __repr__(self) -> str:
        return dump(self)


_interned: WeakValueDictionary[tuple[object, ...], Value] = WeakValueDictionary()


def value(op: str, *args: Value, datum: Datum | None = None) -> Value:
    """Return the one node with this operator, these arguments and this datum."""
    key = (op, *map(id, args)) if datum is None else (op, type(datum), str(datum), *map(id, args))
    node = _interned.get(key)
    if node is None:
        node = Value()
        node.op, node.args, node.datum = op, args, datum
        node.size = min(1 + sum([a.size for a in args]), 10**9)
        _interned[key] = node
    return node


def name(text: str) -> Value:
    """Return the node of a variable."""
    return value("name", datum=text)


def number(x: int | Number) -> Value:
    """Return the node of an exact number."""
    return value("number", datum=Fraction(x) if isinstance(x, int) else x)


def postorder(roots: Iterable[Value]) -> list[Value]:
    """Return every node below ``roots`` once, arguments before their users."""
    done: dict[Value, None] = {}
    stack = list(roots)
    stack.reverse()
    while stack:
        node, before = stack[-1], len(stack)
        if node not in done:
            for a in reversed(node.args):
                if a not in done:
                    stack.append(a)
            if len(stack) > before:
                continue
            done[node] = None
        stack.pop()
    return list(done)


def fold(
    roots: Iterable[Value],
    visit: Callable[[Value, list[T]], T],
    results: dict[Value, T] | None = None,
) -> dict[Value, T]:
    """Return ``visit(node, results of its arguments)`` for every node below ``roots``.

    Nodes that ``results`` holds are taken from there, and nothing below them is visited.
    """
    results = {} if results is None else results
    stack = list(roots)
    while stack:
        node, before = stack[-1], len(stack)
        if node not in results:
            for a in reversed(node.args):
                if a not in results:
                    stack.append(a)
            if len(stack) > before:
                continue
            results[node] = visit(node, [results[a] for a in node.args])
        stack.pop()
    return results


def rebuild(node: Value, args: Iterable[Value]) -> Value:
    """Return ``node`` with other arguments."""
    args = tuple(args)
    # Most are the same ones, and looking the node up is what takes time.
    return node if args == node.args else value(node.op, *args, datum=node.datum)


def rewrite(
    roots: Iterable[Value], rule: Callable[[Value], Value], images: dict[Value, Value] | None = None
) -> dict[Value, Value]:
    """Return the image of every node when ``rule`` is applied bottom-up, once a node; known ones stay."""
    return fold(roots, lambda node, args: rule(rebuild(node, args) if args else node), images)


def substitute(root: Value, images: Mapping[Value, Value]) -> Value:
    """Return ``root`` with the nodes in ``images`` replaced, whatever is below them."""
    if not images:
        return root
    return fold([root], lambda n, args: rebuild(n, args) if args else n, dict(images))[root]


def substitute_all(roots: Iterable[Value], images: Mapping[Value, Value]) -> list[Value]:
    """Return several graphs with nodes replaced, what they share visited once."""
    roots = list(roots)
    done = fold(roots, lambda n, args: rebuild(n, args) if args else n, dict(images))
    return [done[root] for root in roots]


def tree_size(root: Value) -> int:
    """Return the number of nodes of the written-out expression, at most a billion."""
    return root.size


def names(roots: Iterable[Value]) -> tuple[str, ...]:
    """Return the variables below ``roots`` in order of first appearance."""
    return tuple(str(n.datum) for n in postorder(roots) if n.op == "name")


def inside(node: Value) -> list[Value]:
    """Return what is worked out for each slice of a node that is summed in slices."""
    body, _, *slices = node.args
    found: list[Value] = []
    fold([body], lambda n, _: found.append(n), dict.fromkeys(slices))
    return found


def is_number(node: Value, x: int | None = None) -> bool:
    """Say whether ``node`` is a number, and if given which one."""
    return node.op == "number" and (x is None or node.datum == x)


def dump(node: Value) -> str:
    """Return the text form of a value, operators as calls: ``add(pow(x, 2), 1)``."""

    def visit(n: Value, args: list[str]) -> str:
        over = [str(n.datum)] if isinstance(n.datum, Over) else []
        return f"{n.op}({', '.join(args + over)})" if args else n.op if n.datum is None else str(n.datum)

    return fold([node], visit)[node]
