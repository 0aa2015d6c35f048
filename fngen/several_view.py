"""The view of an autograd node of several outputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fngen.layout import bracketed, if_lines, tuple_lines, typed
from fngen.lower import Body
from fngen.node_view import declare, gradient_names, jvp_parameters, returned, tuple_type
from fngen.parts import Common, Part, condition
from fngen.precision import assigned, roundings
from fngen.printing.infix import ATOM
from fngen.saved import jvp_unpack, keep, read, setup, unpack, widened_inputs
from fngen.several import Several

_CLEAR = "ctx.maybe_clear_saved_tensors()"


@dataclass(frozen=True, eq=False, repr=False)
class SeveralView:
    """One autograd node of several outputs and the function that applies it."""

    function: str
    reverse: str
    forward_mode: str
    eager: str
    result: str
    outputs: tuple[str, ...]
    adds: bool
    forward_head: list[str]
    forward: list[str]
    setup_head: list[str]
    setup: list[str]
    backward_head: list[str]
    backward: list[str]
    backward_return: list[str]
    jvp_head: list[str]
    jvp_unpack: list[str]
    jvp: list[str]
    eager_head: list[str]
    eager_forward: list[str]
    eager_keep: list[str]
    eager_result: list[str]
    eager_again: list[str]
    eager_backward: list[str]
    entry: list[str]


def several_view(node: Several, entry: list[str]) -> SeveralView:
    """Return the view of a node; ``entry`` is the body of the function that applies it."""
    parameters = typed(node.names.inputs, node.scalars)
    kinds = tuple_type(["float" if scalar else "Tensor" for scalar in node.scalars])
    results = tuple_type(["Tensor"] * len(node.outputs))
    gradients = tuple_type(["None" if scalar else "Tensor | None" for scalar in node.scalars])
    gradients = "tuple[Tensor | None]" if len(node.scalars) == 1 else gradients
    cotangents = ["ctx: Any", *(f"{x}: Tensor | None" for x in node.cotangents)]
    unowned = [(False,) * len(part.goals) for part in node.parts]
    eager = node.eager
    context = ["ctx: Any", f"inputs: {kinds}", f"output: {results}"]
    return SeveralView(
        function=node.function,
        reverse=node.reverse,
        forward_mode=node.forward_mode,
        eager=node.eager_class,
        result=node.result,
        outputs=node.outputs,
        adds=any(goal.again for part in node.parts for goal in part.goals),
        forward_head=bracketed("def forward(", parameters, f") -> {results}:", 4),
        forward=widened_inputs(node) + _statements(node, node.forward, 8),
        setup_head=bracketed("def setup_context(", context, ") -> None:", 4),
        setup=setup(node),
        backward_head=bracketed("def backward(", cotangents, f") -> {gradients}:", 4),
        backward=unpack(node)
        + _widened_beside(node)
        + _at([line for group in _backward(node, node.common, node.rows, unowned) for line in group]),
        backward_return=tuple_lines(returned(node), 8, "return "),
        jvp_head=bracketed("def jvp(", ["ctx: Any", *jvp_parameters(node)], f") -> {results}:", 4),
        jvp_unpack=jvp_unpack(node),
        jvp=_statements(node, node.jvp, 12),
        eager_head=bracketed("def forward(", ["ctx: Any", *parameters], f") -> {results}:", 4),
        eager_forward=_lines(eager.forward),
        eager_keep=keep(node, eager),
        eager_result=tuple_lines([text.text for text in eager.forward.texts], 8, "return "),
        eager_again=bracketed(f"return {node.reverse}.backward(", ["ctx", *node.cotangents], ")", 12),
        eager_backward=read(node, eager) + _eager_backward(node),
        entry=entry,
    )


def _statements(node: Several, body: Body, indent: int) -> list[str]:
    """Return statements that end with the return of a tuple, each output rounded."""
    pairs = zip(body.texts, roundings(node.typings), strict=True)
    results = [text.inside(ATOM) + rounding for text, rounding in pairs]
    return [f"{' ' * indent}{line}" for line in _lines(body)] + tuple_lines(results, indent, "return ")


def _widened_beside(node: Several) -> list[str]:
    """Return the statements that take cotangents and what was saved to the type to compute in."""
    tensors = [*node.cotangents, *node.leaves]
    return assigned("_", tensors, 8)


def _lines(body: Body) -> list[str]:
    return [line for group in (body.shared, *body.local) for line in body.lines(group)]


def _eager_backward(node: Several) -> list[str]:
    """Return the statements of the gradients of plain tensors: what is read no more is deleted."""
    eager, every = node.eager, (1 << len(node.cotangents)) - 1
    rows, owned = [part.body for part in eager.parts], [part.owned for part in eager.parts]
    head, *blocks = _backward(node, eager.common, rows, owned)
    for part, body, block in zip(node.parts, rows, blocks, strict=True):
        if block and block is not blocks[-1]:
            block += [f"    {line}" for line in _deleted(_temporaries(part, body), 12)]
    always = [let.name for mask, lets in eager.common.groups if mask == every for let in lets]
    bound = [*eager.keeps, *always, *(part.cotangent for part in node.parts)]
    groups = [head, *filter(None, blocks)]
    used = [set(re.findall(r"[A-Za-z_]\w*", " ".join(group))) for group in groups]
    for i, group in enumerate(groups[:-1]):
        later = set[str]().union(*used[i + 1 :])
        group += _deleted([x for x in bound if x in used[i] - later], 8)
    lines = [line for group in groups for line in group]
    if eager.keeps and any(line.startswith("del ") for line in lines):
        lines = ["# What is read no more is deleted: its memory is free, if the graph's is.", _CLEAR, *lines]
    return _at(lines)


def _temporaries(part: Part, body: Body) -> list[str]:
    """Return the names that a part alone has, whatever gradients are wanted."""
    rows = zip(part.goals, body.local, strict=True)
    lets = [*body.shared, *(let for goal, local in rows if goal.wanted == part.wanted for let in local)]
    results = {goal.name for goal in part.goals}
    return [x for x in dict.fromkeys(let.name for let in lets) if x not in results]


def _deleted(labels: list[str], indent: int) -> list[str]:
    """Return the statement that deletes some names."""
    if len(labels) < 2:
        return [f"del {x}" for x in labels]
    return [line[indent:] for line in tuple_lines(labels, indent, "del ")]


def _at(lines: list[str]) -> list[str]:
    return [f"{' ' * 8}{line}" for line in lines]


def _backward(
    node: Several, common: Common, rows: Sequence[Body], owned: Sequence[Sequence[bool]]
) -> list[list[str]]:
    """Return the statements of the gradients: those before the parts, and those of each part.

    Args:
        node: The node.
        common: What several parts share.
        rows: The statements of each part.
        owned: For each of its goals, whether nothing else holds what is added.
    """
    lines = []
    for grad, dims in zip(node.cotangents, node.insertions, strict=True):
        if dims:
            spread = f"{grad} = {grad}{''.join(f'.unsqueeze({d})' for d in dims)}"
            lines += [f"if {grad} is not None:", f"    {spread}"]
    lines += _common(node, common)
    own = [part.cotangent for part in node.parts if not part.given]
    lines += declare((*gradient_names(node), *own))
    held = {part.cotangent: False for part in node.parts if part.given}
    blocks = [
        _part(node, part, body, _sums(part, flags, held))
        for part, body, flags in zip(node.parts, rows, owned, strict=True)
    ]
    conditional = any("wanted[" in line for block in blocks for line in block)
    return [["wanted = ctx.needs_input_grad"] * conditional + lines, *blocks]


def _common(node: Several, common: Common) -> list[str]:
    """Return the statements that several parts share, each where one of these may run."""
    lines = []
    for mask, lets in common.groups:
        statements = common.body.lines(lets)
        if mask == (1 << len(node.cotangents)) - 1:
            lines += statements
        else:
            given = [f"{x} is not None" for i, x in enumerate(node.cotangents) if mask >> i & 1]
            lines += [*if_lines(given, "or", 8), *(f"    {line}" for line in statements)]
    return lines


def _sums(part: Part, owned: Sequence[bool], held: dict[str, bool]) -> list[str]:
    """Return for each goal of a part the argument of its sum that may take it up.

    Args:
        part: The part.
        owned: Whether nothing else holds what is added.
        held: Whether nothing else holds what is there, if anything is: any part may not have run.
    """
    found = []
    for goal, own in zip(part.goals, owned, strict=True):
        found.append("own_a" if goal.again and held.get(goal.name) else "own_b" if own else "")
        held[goal.name] = held.get(goal.name, True) and own
    return found


def _part(node: Several, part: Part, body: Body, owned: Sequence[str]) -> list[str]:
    """Return the statements of one part."""
    lines = body.lines(body.shared)
    conditions = [f"{part.cotangent} is not None"]
    if part.given and part.wanted != node.every_input:
        alone = condition(part.wanted)
        conditions.append(f"({alone})" if " or " in alone else alone)
    for goal, local, text, own in zip(part.goals, body.local, body.texts, owned, strict=True):
        apart = goal.wanted != part.wanted
        statements = [*body.lines(local), *goal.statement(text.text, 16 if apart else 12, own)]
        if apart:
            lines += [*if_lines([condition(goal.wanted)], "or", 12), *(f"    {line}" for line in statements)]
        else:
            lines += statements
    return [*if_lines(conditions, "and", 8), *(f"    {line}" for line in lines)] if lines else []
