"""The view of one autograd node."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fngen.eager import Eager
from fngen.layout import bracketed, tuple_lines, typed
from fngen.lower import MARGIN, Body
from fngen.node import Node
from fngen.precision import roundings
from fngen.printing.infix import ATOM
from fngen.saved import (
    expand,
    jvp_unpack,
    keep,
    read,
    setup,
    unpack,
    widened_cotangents,
    widened_inputs,
)
from fngen.several import Several

_FINAL = re.compile(r"\._?\w+_\(|\.aten\.|\bown=True\b")
"""What of a statement torch does not differentiate: operators in place and those without a derivative."""


@dataclass(frozen=True, eq=False, repr=False)
class EagerView:
    """The node for plain tensors."""

    cls: str
    forward_head: list[str]
    forward: list[str]
    save: list[str]
    result: str
    guard: bool
    unpack: list[str]
    shared: list[str]
    gradients: list[tuple[int, list[str], str]]


@dataclass(frozen=True, eq=False, repr=False)
class NodeView:
    """One autograd node and the function that applies it."""

    function: str
    reverse: str
    forward_mode: str
    reverse_doc: str
    several: bool
    cotangent: str
    forward_head: list[str]
    forward: list[str]
    setup_head: list[str]
    setup: list[str]
    backward_head: list[str]
    unpack: list[str]
    expand: list[str]
    shared: list[str]
    declare: list[str]
    gradients: list[tuple[int, list[str], str]]
    backward_return: list[str]
    jvp_head: list[str]
    jvp_unpack: list[str]
    jvp: list[str]
    function_head: list[str]
    entry: list[str]
    eager: EagerView | None


def node_view(node: Node, reverse_doc: str, entry: list[str]) -> NodeView:
    """Return the view of a node.

    Args:
        node: The node.
        reverse_doc: What a helper is; empty for the main node.
        entry: The body of the function that applies it.
    """
    tensors = _tensors(node)
    several = len(tensors) > 1
    return NodeView(
        function=node.function,
        reverse=node.reverse,
        forward_mode=node.forward_mode,
        reverse_doc=reverse_doc or "Value and reverse-mode rule: the part that torch.compile can trace.",
        several=several,
        cotangent=node.names.cotangent,
        **_heads(node, several),
        forward=_forward(node),
        setup=setup(node),
        unpack=widened_cotangents(node) + unpack(node),
        expand=expand(node),
        shared=node.backward.lines(node.backward.shared),
        declare=declare(gradient_names(node)) if several else [],
        gradients=_gradients(node, node.backward, several),
        backward_return=tuple_lines(returned(node), 8, "return ") if several else [],
        jvp_unpack=jvp_unpack(node),
        jvp=_jvp(node),
        entry=entry,
        eager=_eager(node, node.eager, several) if node.eager else None,
    )


def _tensors(node: Node) -> tuple[str, ...]:
    return tuple(x for x, scalar in zip(node.names.inputs, node.scalars, strict=True) if not scalar)


def gradient_names(node: Node | Several) -> tuple[str, ...]:
    """Return the names of the gradients of tensors."""
    return tuple(g for g, scalar in zip(node.names.gradients, node.scalars, strict=True) if not scalar)


def returned(node: Node | Several) -> list[str]:
    """Return what a backward returns, input by input."""
    return ["None" if s else g for g, s in zip(node.names.gradients, node.scalars, strict=True)]


def _eager(node: Node, eager: Eager, several: bool) -> EagerView:
    parameters = ["ctx: Any", *typed(node.names.inputs, node.scalars)]
    *forward, result = _statements(node, eager.forward)
    final = any(_FINAL.search(text) for text in eager.backward.printed.values())
    return EagerView(
        cls=node.eager_class,
        forward_head=bracketed("def forward(", parameters, ") -> Tensor:", 4),
        forward=forward,
        save=keep(node, eager),
        result=_explained(result, node, 0, 8),
        guard=final or node.again or eager.bare or eager.keeps != node.leaves,
        unpack=read(node, eager, node.leaves if node.reduction else ()),
        shared=eager.backward.lines(eager.backward.shared),
        gradients=_gradients(node, eager.backward, several),
    )


def _heads(node: Node, several: bool) -> dict[str, list[str]]:
    """Return the first lines of the functions, up to their colon."""
    parameters = typed(node.names.inputs, node.scalars)
    kinds = tuple_type(["float" if scalar else "Tensor" for scalar in node.scalars])
    gradients = tuple_type(["None" if s else "Tensor | None" if several else "Tensor" for s in node.scalars])
    result = "Tensor" if len(parameters) == 1 else gradients
    context = ["ctx: Any", f"inputs: {kinds}", "output: Tensor"]
    cotangent = ["ctx: Any", f"{node.names.cotangent}: Tensor"]
    return {
        "forward_head": bracketed("def forward(", parameters, ") -> Tensor:", 4),
        "setup_head": bracketed("def setup_context(", context, ") -> None:", 4),
        "backward_head": bracketed("def backward(", cotangent, f") -> {result}:", 4),
        "jvp_head": bracketed("def jvp(", ["ctx: Any", *jvp_parameters(node)], ") -> Tensor:", 4),
        "function_head": bracketed(f"def {node.function}(", parameters, ") -> Tensor:", 0),
    }


def _forward(node: Node) -> list[str]:
    *lines, last = _statements(node, node.forward, rounded=node.eager is not None)
    return [*(line[8:] for line in widened_inputs(node)), *lines, _explained(last, node, 0, 8)]


def _statements(node: Node, body: Body, *, rounded: bool = False) -> list[str]:
    """Return the statements of a value or tangent, the return among them."""
    text = body.texts[0]
    applied = f".{node.reduction}()" * bool(node.reduction) + roundings(node.typings)[0] * rounded
    result = text.inside(ATOM) + applied if applied else text.text
    return [*body.lines(body.shared), *body.lines(body.local[0]), f"return {result}"]


def _explained(statement: str, node: Node, place: int, column: int) -> str:
    """Return the statement of a result with the reason for its form, as far as that fits."""
    reasons = dict.fromkeys(node.reasons[place]) if place < len(node.reasons) else {}
    for count in range(len(reasons), 0, -1):
        line = f"{statement}  # {', '.join(list(reasons)[:count])}"
        if column + len(line) <= MARGIN:
            return line
    return statement


def _jvp(node: Node) -> list[str]:
    *lines, last = _statements(node, node.jvp, rounded=node.eager is not None)
    if not node.narrow_tangent:
        return [*lines, last]
    tangent = f"{node.names.output}_t"
    assignment = last.replace("return", f"{tangent} =", 1)
    return [*lines, assignment, f"return {tangent}.real if ctx.real[-1] else {tangent}"]


def tuple_type(kinds: list[str]) -> str:
    """Return the type of a tuple."""
    if len(kinds) > 3:
        several = set(kinds) - {"None"}
        return f"tuple[{several.pop() if len(several) == 1 else 'Any'}, ...]"
    return f"tuple[{', '.join(kinds)}]"


def jvp_parameters(node: Node | Several) -> list[str]:
    """Return the parameters of a forward-mode rule."""
    return [
        f"{t}: {'None' if s else 'Tensor'}" for t, s in zip(node.names.tangents, node.scalars, strict=True)
    ]


def declare(gradients: tuple[str, ...]) -> list[str]:
    """Return the statement that says that no gradient is there yet."""
    chain = f"{' = '.join(gradients)} = None"
    return [chain] if len(chain) + 8 <= MARGIN else [f"{g} = None" for g in gradients]


def _gradients(node: Node, body: Body, several: bool) -> list[tuple[int, list[str], str]]:
    """Return for each tensor input its index, its own statements, and the assignment."""
    rows = []
    indices = [i for i, scalar in enumerate(node.scalars) if not scalar]
    for i, local, text in zip(indices, body.local, body.texts, strict=True):
        gradient, lines, result = node.names.gradients[i], body.lines(local), text.text
        if node.narrow_gradients:
            lines.append(f"{gradient} = {result}")
            result = f"{gradient}.real if ctx.real[{i}] else {gradient}"
        statement = f"{gradient} = {result}"
        if not several:
            statement = f"return {', '.join('None' if s else result for s in node.scalars)}"
        if not (node.again and body is node.backward):
            statement = _explained(statement, node, 1 + i, 12 if several else 8)
        rows.append((i, lines, statement))
    return rows
