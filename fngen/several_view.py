"""The view of an autograd node of several outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fngen.layout import bracketed, if_lines, tuple_lines, typed
from fngen.lower import Body
from fngen.node_view import declare, gradient_names, jvp_parameters, returned, tuple_type
from fngen.parts import Common, Part, condition
from fngen.saved import jvp_unpack, keep, read, setup, unpack
from fngen.several import Several


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
        forward=_statements(node.forward, 8),
        setup_head=bracketed("def setup_context(", context, ") -> None:", 4),
        setup=setup(node),
        backward_head=bracketed("def backward(", cotangents, f") -> {gradients}:", 4),
        backward=unpack(node) + _backward(node, node.common, node.rows, unowned),
        backward_return=tuple_lines(returned(node), 8, "return "),
        jvp_head=bracketed("def jvp(", ["ctx: Any", *jvp_parameters(node)], f") -> {results}:", 4),
        jvp_unpack=jvp_unpack(node),
        jvp=_statements(node.jvp, 12),
        eager_head=bracketed("def forward(", ["ctx: Any", *parameters], f") -> {results}:", 4),
        eager_forward=_lines(eager.forward),
        eager_keep=keep(node, eager),
        eager_result=_result(eager.forward, 8),
        eager_again=bracketed(f"return {node.reverse}.backward(", ["ctx", *node.cotangents], ")", 12),
        eager_backward=read(node, eager)
        + _backward(
            node,
            eager.common,
            [part.body for part in eager.parts],
            [part.owned for part in eager.parts],
        ),
        entry=entry,
    )


def _statements(body: Body, indent: int) -> list[str]:
    """Return statements that end with the return of a tuple."""
    return [f"{' ' * indent}{line}" for line in _lines(body)] + _result(body, indent)


def _result(body: Body, indent: int) -> list[str]:
    return tuple_lines([text.text for text in body.texts], indent, "return ")


def _lines(body: Body) -> list[str]:
    return [line for group in (body.shared, *body.local) for line in body.lines(group)]


def _backward(
    node: Several, common: Common, rows: Sequence[Body], owned: Sequence[Sequence[bool]]
) -> list[str]:
    """Return the statements of the gradients.

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
    for part, body, flags in zip(node.parts, rows, owned, strict=True):
        lines += _part(node, part, body, _sums(part, flags, held))
    if any("wanted[" in line for line in lines):
        lines = ["wanted = ctx.needs_input_grad", *lines]
    return [f"{' ' * 8}{line}" for line in lines]


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
        statements = [*body.lines(local), goal.statement(text.text, own)]
        if goal.wanted != part.wanted:
            lines += [*if_lines([condition(goal.wanted)], "or", 12), *(f"    {line}" for line in statements)]
        else:
            lines += statements
    return [*if_lines(conditions, "and", 8), *(f"    {line}" for line in lines)] if lines else []
