"""Graph to statements: shared parts named, each statement within the line.

The generator hardly ever wraps a line, so it needs no formatter: a subterm gets a name before a
statement passes the margin, which also reads better.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

from fngen.blocks import Let
from fngen.ir import CONDITIONS, SLICED, Value, inside, postorder
from fngen.lifetimes import Lifetimes
from fngen.naming import free_name
from fngen.printing.infix import Printer, Text
from fngen.rare import RareSides, nested

MARGIN = 88
STEMS = ("u", "v", "w", "s", "p", "q", "h", "z")
_LONGEST_NAME = 20
_POWERS: dict[object, str] = {2: "squared", 3: "cubed"}


@dataclass(frozen=True)
class Target:
    """A value that a statement needs, its room there, what that assigns to; of a gradient the parameter."""

    value: Value
    room: int
    name: str = ""
    param: str = ""


@dataclass(frozen=True)
class Body:
    """Statements for all targets, statements for one target each, and the targets' texts.

    Attributes:
        shared: The statements for all targets.
        local: Those for one target each.
        texts: The targets.
        printed: The text of each node.
        rare: The nodes that serve rare sides of choices alone.
        openings: The lines before what stands under its condition.
    """

    shared: tuple[Let, ...]
    local: tuple[tuple[Let, ...], ...]
    texts: tuple[Text, ...]
    printed: Mapping[Value, str]
    rare: Collection[Value] = ()
    openings: Mapping[Value, list[str]] = field(default_factory=dict)

    def lines(self, lets: Sequence[Let]) -> list[str]:
        """Return one assignment a line."""
        return nested(lets, self.printed, self.rare, self.openings)


def lower(
    targets: Sequence[Target],
    printer: Printer,
    taken: set[str],
    named: Mapping[Value, str],
    indent: int,
    kept: Collection[Value] = (),
    cheap: Collection[str] = (),
    recycle: bool = False,
) -> Body:
    """Return the statements that compute ``targets``.

    Args:
        targets: What to compute, with the room that each has in its own statement.
        printer: The printer of the language.
        taken: Identifiers that are in use; the names chosen here are added.
        named: Names that the user gave to intermediates.
        indent: The column at which statements start.
        kept: Nodes that need a name although they are used once.
        cheap: Operators that are worked out again for each target, if their arguments are at hand:
            what targets share holds its memory until the last of them is done.
        recycle: Whether a short name serves again when its value is no longer read: that frees its memory.
    """
    lowering = _Lowering(targets, printer, set(taken) if recycle else taken, named, indent, kept, cheap)
    body = lowering.body()
    if not recycle:
        return body
    again = _Lowering(targets, printer, set(taken), named, indent, kept, cheap)
    recycled = again.recycled(lowering.names)
    # The name of a result may be longer than that of a term.
    chosen, body = (again, recycled) if again.fits(recycled) else (lowering, body)
    taken |= chosen.taken
    return body


class _Lowering:
    def __init__(
        self,
        targets: Sequence[Target],
        printer: Printer,
        taken: set[str],
        named: Mapping[Value, str],
        indent: int,
        kept: Collection[Value],
        cheap: Collection[str],
    ) -> None:
        self.cheap = cheap
        self.targets, self.printer, self.taken, self.wanted = targets, printer, taken, named
        self.margin = MARGIN - indent
        self.room = self.margin - len("term_1000 = ")
        self.order = postorder([t.value for t in targets])
        sums = [n for n in self.order if n.op == SLICED]
        self.inside = {n for s in sums for n in inside(s)}
        self.sliced = {n for s in sums for n in s.args[2:] if n.args}
        self.rare = RareSides(self.order, {*kept, *(t.value for t in targets)})
        self.kept = {*kept, *self.sliced, *self.rare.named}
        self.texts: dict[Value, Text] = {}
        self.printed: dict[Value, str] = {}
        self.names: dict[Value, str] = {}
        self.terms = (f"term_{i}" for i in count(1))
        self.uses, self.reached = self.count(), self.reach()
        self.twice = {a for n in self.order for a in n.args if n.args.count(a) > 1}
        self.lifetimes: Lifetimes | None = None

    def recycled(self, named: Collection[Value]) -> Body:
        """Return the body, a name used for several values one after the other.

        Args:
            named: What has a name if none serves twice.
        """
        roots = [t.value for t in self.targets]
        self.lifetimes = Lifetimes(self.order, roots, self.reached, named, self.kept, self.is_repeated)
        self.kept = set(named)
        both = [(node, choice) for node, owners in self.rare.only.items() for choice in owners]
        for node, choice in [*both, *((c, c) for c in self.rare.choices)]:
            # A rare side is worked out last, after the choice has its name.
            kind, place = self.lifetimes.starts[choice]
            for arg in (a for n in node.args for a in (n, *n.args) if n not in self.rare.usual):
                self.lifetimes.reads[arg] = max(self.lifetimes.reads[arg], (kind, place + 1))
        for choice in self.rare.choices:
            if choice.op == "rarely_":  # It has the name of its usual side.
                self.lifetimes.reads[choice.args[0]] = self.lifetimes.reads[choice]
        return self.body()

    def fits(self, body: Body) -> bool:
        """Say whether every statement is within the line."""
        lets = [let for group in (body.shared, *body.local) for let in group if let.value.op != SLICED]
        results = zip(body.texts, self.targets, strict=True)
        sizes = [len(f"{x.name} = {body.printed[x.value]}") + 4 * self.rare.depth(x.value) for x in lets]
        return all(size <= self.margin for size in sizes) and all(
            self.is_within(target, text) and text.text != target.name for text, target in results
        )

    def is_within(self, target: Target, text: Text) -> bool:
        """Say whether the text of a target has room in its statement; a sum in slices takes several lines."""
        return len(text.text) <= target.room or (target.value.op == SLICED and bool(target.name))

    def body(self) -> Body:
        for node in self.order:
            named = self.margin - len(f"{self.wanted[node]} = ") if node in self.wanted else self.room
            self.print(node, min(named, self.room) - 4 * self.rare.depth(node))
            several = self.uses[node] > 1 and not self.is_repeated(node)
            wanted = node in self.wanted or node in self.kept or (several and node not in self.rare.inline)
            if node.args and wanted and node not in self.inside:
                self.name(node)
        texts = []
        for target in self.targets:
            if target.value not in self.names:
                self.print(target.value, target.room)
                if not self.is_within(target, self.texts[target.value]):
                    self.name(target.value)
            texts.append(self.texts[target.value])
        order = [pair for pair in self.rare.usual_first() if pair[0] in self.names]
        lets = [(self.reached[place], Let(self.names[n], n)) for n, place in order]
        local = tuple(tuple(let for mask, let in lets if mask == 1 << i) for i in range(len(self.targets)))
        shared = tuple(let for mask, let in lets if mask & (mask - 1))
        openings = self.rare.openings(self.names, self.texts)
        return Body(shared, local, tuple(texts), self.printed, self.rare.only, openings)

    def is_repeated(self, node: Value) -> bool:
        """Say whether each of several targets works a node out for itself."""
        at_hand = node.op in self.cheap and not any(a.args for a in node.args)
        return at_hand and self.uses[node] == self.reached[node].bit_count() and node not in self.twice

    def count(self) -> dict[Value, int]:
        counts = dict.fromkeys(self.order, 0)
        for node in [t.value for t in self.targets] + [a for n in self.order for a in n.args]:
            counts[node] += 1
        return counts

    def reach(self) -> dict[Value, int]:
        """Return for each node a bit mask of the targets that it is computed for."""
        masks = dict.fromkeys(self.order, 0)
        for i, target in enumerate(self.targets):
            masks[target.value] |= 1 << i
        for node in reversed(self.order):
            for arg in node.args:
                masks[arg] |= masks[node]
        return masks

    def print(self, node: Value, room: int) -> None:
        """Print a node into ``room`` columns, naming its longest argument until it fits.

        What is summed in slices fits, and a name for a part of it would be that of all slices.
        """
        one_piece = node.op == SLICED or node in self.inside
        while True:
            text = self.printer.visit(node, [self.texts[a] for a in node.args])
            longest = max(
                (a for a in node.args if a.args and a not in self.names),
                key=lambda a: len(self.texts[a].text),
                default=None,
            )
            if len(text.text) <= room or longest is None or one_piece:
                break
            self.name(longest)
        self.texts[node], self.printed[node] = text, text.text

    def name(self, node: Value) -> None:
        """Give a node a name: from here on it prints as that."""
        label = self.wanted.get(node) or self.free(node)
        if node.op == "rarely_":
            label = self.names[node.args[0]]
        self.taken.add(label)
        self.names[node] = label
        self.texts[node] = Text(label, negative=f"-{label}")

    def free(self, node: Value) -> str:
        described = "" if node in self.rare.usual else self.describe(node)
        label = free_name(described, self.taken)
        if described and len(label) <= min(_LONGEST_NAME, self.margin - len(" = ") - len(self.printed[node])):
            return label
        results = {target.name for target in self.targets}
        again = self.lifetimes.free(node, self.result(node), results) if self.lifetimes else None
        label = again or next(t for t in chain(STEMS, self.terms) if t not in self.taken)
        if self.lifetimes:
            self.lifetimes.add(label, node)
        return label

    def result(self, node: Value) -> str:
        """Return the name of the one target that a node is computed for, if there is room for it.

        What slices are taken of has a short name, for it is said twice. What is the target but for a rare
        side has another one: the target is assigned to once more.
        """
        mask = self.reached[node]
        target = self.targets[mask.bit_length() - 1]
        if target.value.op == "rarely_" and node in (target.value, target.value.args[0]):
            return ""
        fits = self.margin - len(" = ") - len(self.printed[node]) >= len(target.name)
        return target.name if fits and not mask & (mask - 1) and node not in self.sliced else ""

    def describe(self, node: Value) -> str:
        """Return ``exp_x`` for ``exp(x)``, ``x_squared`` for ``x**2``, or nothing."""
        if node.op in CONDITIONS:
            return "mask"
        first = node.args[0]
        if first.op == "neg":
            first = first.args[0]
        plain = self.texts[first].text if first.op == "name" else self.names.get(first, "")
        if not plain or plain.startswith("_") or node.op in ("clone", "squeeze"):
            return ""
        if node.op == "pow" and node.args[1].datum in _POWERS:
            return f"{plain}_{_POWERS[node.args[1].datum]}"
        if len(node.args) > 1:
            return ""
        sign = "neg_" if first is not node.args[0] else ""
        return f"{node.op.removesuffix('_').rpartition('.')[2]}_{sign}{plain}"
