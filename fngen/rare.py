"""What a body works out for the rare side of a choice alone, and how it asks whether to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from fngen.blocks import Let
from fngen.choices import BELOW, RARELY
from fngen.ir import LEAVES, Value, is_number
from fngen.printing.infix import ATOM, Text


class RareSides:
    """The rare sides of the choices in a body.

    Args:
        order: The nodes, arguments first.
        needed: Those that are needed whatever is chosen.

    Attributes:
        choices: The choices.
        usual: Their usual sides whose names they take over.
        named: What has a name for their sake.
        only: The nodes that serve rare sides alone, and their choices: each works them out for itself.
        inline: The conditions that only rare sides read: each works them out for itself.
    """

    def __init__(self, order: Sequence[Value], needed: Collection[Value]) -> None:
        self.order = order
        self.choices = [n for n in order if n.op in RARELY]
        self.usual = {n.args[0] for n in self.choices if n.op == "rarely_"}
        asked, sides = {_asked(n) for n in self.choices}, {n.args[0] for n in self.choices}
        self.named = {*self.choices, *(n for n in asked | sides if n.args)}
        self.only = self._only({*needed, *asked}) if self.choices else {}
        usual = {a for n in order if n.op not in RARELY and n not in self.only for a in n.args}
        self.inline = {n.args[1] for n in self.choices} - usual - {*needed}

    def _only(self, needed: Collection[Value]) -> dict[Value, set[Value]]:
        users: dict[Value, list[Value]] = {node: [] for node in self.order}
        for node in self.order:
            for arg in node.args:
                users[arg].append(node)
        found: dict[Value, set[Value]] = {}
        for node in reversed(self.order):
            owners = [_owners(node, user, found) for user in users[node]]
            if all(owners) and owners and node.op not in LEAVES and node not in needed:
                found[node] = set[Value]().union(*owners)
        return found

    def usual_first(self) -> Sequence[tuple[Value, Value]]:
        """Return the nodes as they are computed, each with what it is for.

        Those for a rare side come right before its choice; the others are for themselves.
        """
        groups: dict[Value, list[Value]] = {}
        for node in self.order:
            for choice in self.only.get(node, ()):
                groups.setdefault(choice, []).append(node)
        needed = (node for node in self.order if node not in self.only)
        return [(n, node) for node in needed for n in (*groups.get(node, ()), node)]

    def depth(self, node: Value) -> int:
        """Return under how many conditions a node is computed."""
        return int(node.op in RARELY or node in self.only)

    def openings(self, names: Mapping[Value, str], texts: Mapping[Value, Text]) -> dict[Value, list[str]]:
        """Return the lines before the statements for the rare side of each choice."""
        return {node: _opening(node, names, texts) for node in self.choices}


def nested(
    lets: Sequence[Let],
    printed: Mapping[Value, str],
    only: Collection[Value],
    openings: Mapping[Value, list[str]],
) -> list[str]:
    """Return one assignment a line; what only a rare side needs stands with it under an ``if``."""
    lines: list[str] = []
    waiting: list[str] = []
    for let in lets:
        statement = f"{let.name} = {printed[let.value]}"
        if let.value in only:
            waiting.append(f"    {statement}")
        elif let.value in openings:
            lines += [*openings[let.value], *waiting, f"    {statement}"]
            waiting = []
        else:
            lines.append(statement)
    assert not waiting, "a rare side stands apart from its choice"
    return lines


def _owners(node: Value, user: Value, found: Mapping[Value, set[Value]]) -> set[Value]:
    """Return the choices whose rare sides alone a node serves where another reads it."""
    rare = user.op in RARELY and node is not user.args[0]
    return {user} if rare else found.get(user, set())


def _asked(choice: Value) -> Value:
    """Return what is compared."""
    return choice.args[1].args[0]


def _opening(choice: Value, names: Mapping[Value, str], texts: Mapping[Value, Text]) -> list[str]:
    usual, condition = choice.args[:2]
    x, bound = (texts[a] for a in condition.args)
    if choice.datum == "nan":
        question = f"if _any_nan({texts[usual].text}):"
    elif condition.op == "eq":
        distance = x.text if is_number(condition.args[1], 0) else f"{x.text} - {bound.inside(ATOM)}"
        question = f"if _any_below(torch.abs({distance}), 0):"
    else:
        below = (condition.op in BELOW) == (choice.datum != "false")
        meaning = "" if choice.datum in ("true", "false") else f"  # {choice.datum}"
        question = f"if _any_{'below' if below else 'above'}({x.text}, {bound.text}):{meaning}"
    start = [] if choice.op == "rarely_" else [f"{names[choice]} = {texts[usual].text}"]
    return [*start, question]
