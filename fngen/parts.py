"""The parts of a backward: one for each joint, which runs if a cotangent is there, and what they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fngen.blocks import Let
from fngen.buffers import is_cheap
from fngen.derivatives import Joint
from fngen.factors import SLOPE
from fngen.ir import Value, fold, name, names, postorder
from fngen.layout import bracketed
from fngen.lower import MARGIN, Body, Target, lower
from fngen.printing.infix import Printer

_LONGEST_CONDITION = 60
_SHORTEST = 24
"""Columns for a term below which the statement is laid out in several lines."""


def condition(mask: int) -> str:
    """Return the condition that a gradient is wanted of some inputs, given as a bit mask."""
    places = [i for i in range(mask.bit_length()) if mask >> i & 1]
    each = " or ".join(f"wanted[{i}]" for i in places)
    if len(each) <= _LONGEST_CONDITION:
        return each
    starts = [i for i in places if i - 1 not in places]
    ends = [i + 1 for i in places if i + 1 not in places]
    return f"any({' + '.join(f'wanted[{i}:{j}]' for i, j in zip(starts, ends, strict=True))})"


def is_short(mask: int) -> bool:
    """Say whether the condition of a mask is short enough to be written."""
    return len(condition(mask)) <= _LONGEST_CONDITION


@dataclass(frozen=True)
class Goal:
    """What a part adds to: the gradient of an input, or the cotangent of a joint.

    Attributes:
        name: Its name.
        wanted: The inputs for whose gradients it is needed, as a bit mask.
        again: Whether there may be something already to which it is added.
    """

    name: str
    wanted: int
    again: bool

    def room(self, indent: int) -> int:
        """Return the columns for what is added, in a statement at a column."""
        if not self.again:
            return MARGIN - indent - len(f"{self.name} = ")
        flat = MARGIN - indent - len(f"{self.name} = _plus({self.name}, , own_a=True)")
        return flat if flat >= _SHORTEST else MARGIN - indent - 4 - len(",")

    def statement(self, added: str, indent: int, owned: str = "") -> list[str]:
        """Return the statement that adds to it.

        Args:
            added: What.
            indent: The column at which it stands.
            owned: The argument of the sum whose buffer nothing else holds: ``own_a``, ``own_b`` or none.
        """
        if not self.again:
            return [f"{self.name} = {added}"]
        items = [self.name, added, *([f"{owned}=True"] if owned else [])]
        return [line[indent:] for line in bracketed(f"{self.name} = _plus(", items, ")", indent)]


@dataclass(frozen=True)
class Part:
    """The part of a backward that takes the cotangent of one joint further.

    Attributes:
        cotangent: Its name.
        given: Whether autograd gives it, whatever gradients are wanted.
        goals: What it adds to.
        wanted: The inputs for whose gradients it is needed, as a bit mask.
        outputs: The outputs from which a cotangent comes here, as a bit mask.
    """

    cotangent: str
    given: bool
    goals: tuple[Goal, ...]
    wanted: int
    outputs: int


@dataclass(frozen=True)
class Common:
    """What several parts are made of.

    Attributes:
        body: Its statements.
        labels: The names of its results.
        groups: Statements, and the outputs whose gradients need them as a bit mask; in an order that runs.
    """

    body: Body
    labels: Mapping[Value, Value]
    groups: tuple[tuple[int, tuple[Let, ...]], ...]


def parts(joints: Sequence[Joint], gradients: Sequence[str]) -> tuple[Part, ...]:
    """Return the parts of a backward.

    Args:
        joints: Where cotangents meet, each before what it is made of.
        gradients: The names of the gradients of the inputs.
    """
    n = len(gradients)
    labels = [*gradients, *(joint.cotangent for joint in joints)]
    below = [1 << i for i in range(n)] + [0] * len(joints)
    for k, joint in reversed(list(enumerate(joints))):
        for target in joint.targets:
            below[n + k] |= below[target]
        if not is_short(below[n + k]):
            below[n + k] = (1 << n) - 1
    above = [0 if joint.output is None else 1 << joint.output for joint in joints]
    filled = {n + k for k, joint in enumerate(joints) if joint.output is not None}
    found = []
    for k, joint in enumerate(joints):
        goals = []
        for target in joint.targets:
            goals.append(Goal(labels[target], below[target], target in filled))
            filled.add(target)
            if target >= n:
                above[target - n] |= above[k]
        given = joint.output is not None
        found.append(Part(joint.cotangent, given, tuple(goals), below[n + k], above[k]))
    return tuple(found)


def common(
    rows: Sequence[Sequence[Value]],
    outputs: Sequence[int],
    printer: Printer,
    taken: set[str],
    named: Mapping[Value, str],
) -> Common:
    """Return what several parts are made of.

    Args:
        rows: What each part computes.
        outputs: The outputs from which a cotangent comes to each, as a bit mask.
        printer: The printer of the language.
        taken: Identifiers that are in use; the names chosen here are added.
        named: Names that the user gave to intermediates.
    """
    found = _shared(rows)
    reach: dict[Value, int] = {}
    for row, mask in zip(rows, outputs, strict=True):
        for node in postorder(row):
            reach[node] = reach.get(node, 0) | mask
    body = lower([Target(n, MARGIN) for n in found], printer, taken, named, 12, kept=found)
    lets = [let for group in (body.shared, *body.local) for let in group]
    # What others are made of is needed wherever they are.
    masks = sorted({reach[let.value] for let in lets}, key=lambda mask: -mask.bit_count())
    groups = tuple((mask, tuple(let for let in lets if reach[let.value] == mask)) for mask in masks)
    return Common(body, {let.value: name(let.name) for let in lets}, groups)


def _shared(rows: Sequence[Sequence[Value]]) -> list[Value]:
    """Return the topmost nodes that several parts are made of, and that are dearer than their memory.

    The slope of an activation is none by itself: each part has the kernel that takes its cotangent.
    """
    inside = [postorder(row) for row in rows]
    known = fold([n for row in rows for n in row], lambda n, args: n.op == SLOPE or any(args))
    counts = Counter(
        n for row in inside for n in row if n.args and names([n]) and not known[n] and not is_cheap(n)
    )
    found = {n for n, count in counts.items() if count > 1}
    roots = {root for row in rows for root in row}
    tops = {a for row in inside for n in row if n not in found for a in n.args} | roots
    return [n for n in dict.fromkeys(n for row in inside for n in row) if n in found & tops]
