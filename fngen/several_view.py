"""The view of an autograd node of several outputs."""

from __future__ import annotations

from dataclasses import dataclass

from fngen.layout import bracketed, tuple_lines, typed
from fngen.lower import Body
from fngen.node_view import declare, gradient_names, jvp_parameters, returned, tuple_type
from fngen.saved import jvp_unpack, setup, unpack
from fngen.several import Part, Several, assignment


@dataclass(frozen=True, eq=False, repr=False)
class PartView:
    """The gradients by one output."""

    cotangent: str
    shared: list[str]
    gradients: list[tuple[int, list[str], str]]


@dataclass(frozen=True, eq=False, repr=False)
class SeveralView:
    """One autograd node of several outputs and the function that applies it."""

    function: str
    reverse: str
    forward_mode: str
    result: str
    outputs: tuple[str, ...]
    adds: bool
    shapes: str
    forward_head: list[str]
    forward: list[str]
    setup_head: list[str]
    setup: list[str]
    backward_head: list[str]
    unpack: list[str]
    common: list[str]
    declare: list[str]
    parts: list[PartView]
    backward_return: list[str]
    jvp_head: list[str]
    jvp_unpack: list[str]
    jvp: list[str]
    entry: list[str]


def several_view(node: Several, entry: list[str]) -> SeveralView:
    """Return the view of a node; ``entry`` is the body of the function that applies it."""
    parameters = typed(node.names.inputs, node.scalars)
    kinds = tuple_type(["float" if scalar else "Tensor" for scalar in node.scalars])
    results = tuple_type(["Tensor"] * len(node.outputs))
    gradients = tuple_type(["None" if scalar else "Tensor | None" for scalar in node.scalars])
    gradients = "tuple[Tensor | None]" if len(node.scalars) == 1 else gradients
    cotangents = [f"{part.cotangent}: Tensor | None" for part in node.parts]
    context = ["ctx: Any", f"inputs: {kinds}", f"output: {results}"]
    parts = [_part(node, part, node.parts[:j]) for j, part in enumerate(node.parts)]
    tensors = gradient_names(node)
    again = [i for part in node.parts for i in part.inputs]
    return SeveralView(
        function=node.function,
        reverse=node.reverse,
        forward_mode=node.forward_mode,
        result=node.result,
        outputs=node.outputs,
        adds=len(again) > len(set(again)),
        shapes=f"t.shape for t in inputs{f'[:{len(tensors)}]' if len(tensors) < len(node.scalars) else ''}",
        forward_head=bracketed("def forward(", parameters, f") -> {results}:", 4),
        forward=_statements(node.forward, 8),
        setup_head=bracketed("def setup_context(", context, ") -> None:", 4),
        setup=setup(node),
        backward_head=bracketed("def backward(", ["ctx: Any", *cotangents], f") -> {gradients}:", 4),
        unpack=unpack(node),
        common=[
            line for group in (node.common.shared, *node.common.local) for line in node.common.lines(group)
        ],
        declare=declare(gradient_names(node)),
        parts=parts,
        backward_return=tuple_lines(returned(node), 8, "return "),
        jvp_head=bracketed("def jvp(", ["ctx: Any", *jvp_parameters(node)], f") -> {results}:", 4),
        jvp_unpack=jvp_unpack(node),
        jvp=_statements(node.jvp, 12),
        entry=entry,
    )


def _statements(body: Body, indent: int) -> list[str]:
    """Return statements that end with the return of a tuple."""
    last = tuple_lines([text.text for text in body.texts], indent, "return ")
    return [f"{' ' * indent}{line}" for line in _lines(body)] + last


def _lines(body: Body) -> list[str]:
    return [line for group in (body.shared, *body.local) for line in body.lines(group)]


def _part(node: Several, part: Part, before: tuple[Part, ...]) -> PartView:
    rows = []
    for i, local, text in zip(part.inputs, part.body.local, part.body.texts, strict=True):
        statement = assignment(node.names.gradients[i], i, before).format(text.text)
        rows.append((i, part.body.lines(local), statement))
    grad = part.cotangent
    spread = [f"{grad} = {grad}{''.join(f'.unsqueeze({d})' for d in part.inserted)}"] if part.inserted else []
    return PartView(grad, spread + part.body.lines(part.body.shared), rows)
