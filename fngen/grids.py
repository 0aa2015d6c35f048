"""Formulas with reductions on small grids of numbers, by mpmath: for examples, and to decide who is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

from fngen.ir import Over, Value, fold
from fngen.numeric import mp_apply

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Grid:
    """Numbers in the order of their indices, the last one running fastest."""

    shape: Shape
    items: tuple[Any, ...]

    def at(self, index: Shape) -> Any:
        """Return an element; along a dimension of one element, or a missing one, any index is that."""
        own = index[len(index) - len(self.shape) :]
        place = 0
        for i, n in zip(own, self.shape, strict=True):
            place = place * n + (i if n > 1 else 0)
        return self.items[place]


def number(x: Any) -> Grid:
    """Return a grid without dimensions."""
    return Grid((), (x,))


def evaluate(root: Value, variables: Mapping[str, Grid], *, real: bool = True) -> Grid:
    """Return the value of a formula at mpmath's current precision, NaN where there is none.

    Args:
        root: The formula.
        variables: Its inputs.
        real: Whether a complex value is none.
    """

    def visit(node: Value, args: list[Grid]) -> Grid:
        if node.op == "name":
            return variables[str(node.datum)]
        if isinstance(node.datum, Over):
            return _reduced(node.op, args[0], node.datum)
        items = tuple(mp_apply(node, [a.at(i) for a in args], real=real) for i in indices(args))
        return Grid(_broadcast([a.shape for a in args]), items)

    return fold([root], visit)[root]


def indices(grids: Sequence[Grid]) -> Iterator[Shape]:
    """Return the indices of what grids broadcast to."""
    return product(*map(range, _broadcast([g.shape for g in grids])))


def _broadcast(shapes: Sequence[Shape]) -> Shape:
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(s)) + s for s in shapes]
    return tuple(max(sizes) for sizes in zip(*padded, strict=True))


def _reduced(op: str, grid: Grid, over: Over) -> Grid:
    """Return a reduction that keeps its dimensions."""
    if over.dims is None:
        return number(_FUNCTIONS[op](list(grid.items), over.option))
    rank = len(grid.shape)
    dims = {d % rank for d in over.dims if rank}
    shape = tuple(1 if d in dims else n for d, n in enumerate(grid.shape))
    along = [range(n) if d in dims else range(1) for d, n in enumerate(grid.shape)]
    found = []
    for index in product(*map(range, shape)):
        elements = [grid.at(tuple(map(sum, zip(index, step, strict=True)))) for step in product(*along)]
        found.append(_FUNCTIONS[op](elements, over.option))
    return Grid(shape, tuple(found))


def _variance(x: list[Any], correction: Any) -> Any:
    from mpmath import mp

    mean = mp.fsum(x) / len(x)
    free = len(x) - float(correction)
    return mp.fsum(abs(e - mean) ** 2 for e in x) / free if free > 0 else mp.nan


def _norm(x: list[Any], order: Any) -> Any:
    from mpmath import mp

    p = mp.mpf(Fraction(order).numerator) / Fraction(order).denominator
    if p < 0 and not all(x):
        return mp.zero
    return mp.fsum(abs(e) ** p for e in x) ** (1 / p)


def _logsumexp(x: list[Any], _: Any) -> Any:
    from mpmath import mp

    largest = max(mp.re(e) for e in x)
    return mp.log(mp.fsum(mp.exp(e - largest) for e in x)) + largest


def _deviation(x: list[Any], correction: Any) -> Any:
    from mpmath import mp

    return mp.sqrt(_variance(x, correction))


_FUNCTIONS: dict[str, Callable[[list[Any], Any], Any]] = {
    "count": lambda x, _: len(x),
    "sum": lambda x, _: sum(x),
    "mean": lambda x, _: sum(x) / len(x),
    "prod": lambda x, _: prod(x),
    "amax": lambda x, _: max(x),
    "amin": lambda x, _: min(x),
    "var": _variance,
    "std": _deviation,
    "norm": _norm,
    "logsumexp": _logsumexp,
}
