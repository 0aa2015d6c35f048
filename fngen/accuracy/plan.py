"""The graph of a formula as a list of steps, with what is defined by other functions written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from flint import arb, fmpq

from fngen.accuracy.choices import NO, YES
from fngen.accuracy.elementary import OPERATORS
from fngen.accuracy.series import at_point_only
from fngen.accuracy.special import EXACTLY, SPECIAL
from fngen.accuracy.undefined import NOWHERE
from fngen.functions import TABLE
from fngen.ir import REDUCTIONS, Value, fold, postorder, rebuild
from fngen.language.parse import parse_expression
from fngen.language.rules import definition, instantiate

KNOWN: Mapping[str, Callable[..., Any]] = OPERATORS | SPECIAL
_LEAVES: dict[str, Callable[[], Any]] = {
    "pi": arb.pi,
    "nan": lambda: NOWHERE,
    "true": lambda: YES,
    "false": lambda: NO,
}


@cache
def _body(function: str) -> Value:
    if function in EXACTLY:
        return parse_expression(EXACTLY[function], rule=True)
    if function not in TABLE or not TABLE[function].definition:
        raise NotImplementedError(f"{function!r} is not known in ball arithmetic")
    return definition(function)


def written_out(roots: Sequence[Value]) -> list[Value]:
    """Return graphs of known operators only.

    Raises:
        NotImplementedError: If an operator is not elementwise, or of complex numbers.
    """

    def visit(node: Value, args: list[Value]) -> Value:
        if node.op in KNOWN or node.op in _LEAVES or node.op in ("number", "name"):
            return rebuild(node, args) if args else node
        if node.op in REDUCTIONS:
            raise NotImplementedError(f"{node.op!r} is not elementwise")
        return instantiate(_body(node.op), node.op, tuple(args))

    while any(n.op not in KNOWN and n.args for n in postorder(roots)):
        done = fold(roots, visit)
        roots = [done[root] for root in roots]
    return list(roots)


@dataclass(frozen=True)
class Plan:
    """Steps in an order in which each needs only those before it.

    Attributes:
        inputs: The position of each input that the formula has; others are not needed.
        leaves: What is the same for every point, by position.
        steps: The operator, where its arguments are, and where its result goes.
        result: Where the result of the formula is.
        size: The number of positions.
    """

    inputs: tuple[tuple[int, int], ...]
    leaves: tuple[tuple[int, Value], ...]
    steps: tuple[tuple[Callable[..., Any], tuple[int, ...], int], ...]
    result: int
    size: int

    @classmethod
    def of(cls, root: Value, inputs: Sequence[str], operators: Mapping[str, Callable[..., Any]]) -> Plan:
        """Return the plan of a graph.

        Raises:
            LookupError: If it has a variable that is no input.
        """
        (root,) = written_out([root])
        order = postorder([root])
        places = {node: i for i, node in enumerate(order)}
        named, leaves, steps = [], [], []
        for node, place in places.items():
            if node.op == "name":
                if node.datum not in inputs:
                    raise LookupError(f"{node.datum!r} is no input")
                named.append((list(inputs).index(str(node.datum)), place))
            elif node.args:
                steps.append((operators[node.op], tuple(places[a] for a in node.args), place))
            else:
                leaves.append((place, node))
        return cls(tuple(named), tuple(leaves), tuple(steps), places[root], len(order))

    def constants(self) -> list[Any]:
        """Return the leaves at the present precision, in their positions."""
        cells: list[Any] = [None] * self.size
        for place, node in self.leaves:
            cells[place] = _leaf(node)
        return cells

    def run(self, cells: list[Any], point: Sequence[Any]) -> Any:
        """Return what the formula makes of balls or series, ``cells`` being a copy of the constants."""
        for i, place in self.inputs:
            cells[place] = point[i]
        for operator, args, place in self.steps:
            try:
                if len(args) == 2:
                    cells[place] = operator(cells[args[0]], cells[args[1]])
                else:
                    cells[place] = operator(*[cells[a] for a in args])
            except ValueError:  # A series is divided by one whose constant may be 0.
                cells[place] = at_point_only(arb.nan(), *[cells[a] for a in args])
        return cells[self.result]


def _leaf(node: Value) -> Any:
    if node.op != "number":
        return _LEAVES[node.op]()
    assert isinstance(node.datum, Fraction | Decimal)
    exact = Fraction(node.datum)
    return arb(fmpq(exact.numerator, exact.denominator))
