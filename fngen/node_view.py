"""The view of one autograd node."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fngen.layer import Node
from fngen.layout import bracketed, tuple_lines, typed
from fngen.lower import MARGIN, Body
from fngen.printing.infix import ATOM


@dataclass(frozen=True, eq=False, repr=False)
class NodeView:
    """One autograd node and the function that applies it."""

    function: str
    reverse: str
    forward_mode: str
    reverse_doc: str
    several: bool
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
    compiling_return: list[str]
    eager_return: list[str]


def node_view(node: Node, reverse_doc: str) -> NodeView:
    """Return the view of a node; ``reverse_doc`` describes a helper."""
    inputs = node.names.inputs
    tensors = tuple(x for x, scalar in zip(inputs, node.scalars, strict=True) if not scalar)
    numbers = [x for x in inputs if x not in tensors]
    several = len(tensors) > 1
    private = "" if node.cls.startswith("_") else "_"
    reverse, forward_mode = f"{private}{node.cls}Reverse", f"{node.cls}Function"
    used = bool(_used(node) or several or node.reduction)
    return NodeView(
        function=node.function,
        reverse=reverse,
        forward_mode=forward_mode,
        reverse_doc=reverse_doc or "Value and reverse-mode rule: the part that torch.compile can trace.",
        several=several,
        **_heads(node, several),
        forward=_statements(node, node.forward),
        setup=_setup(inputs, tensors, numbers, used),
        unpack=_unpack(tensors, numbers, 8) if used else [],
        expand=_expand(node, tensors),
        shared=node.backward.lines(node.backward.shared),
        declare=_declare(node.names.gradients) if several else [],
        gradients=_gradients(node, several),
        backward_return=tuple_lines(list(node.names.gradients), 8, "return ") if several else [],
        jvp_unpack=_jvp_unpack(tensors, numbers, _body_names(node.jvp)),
        jvp=_statements(node, node.jvp),
        compiling_return=bracketed(f"return {reverse}.apply(", list(inputs), ")", 8),
        eager_return=bracketed(f"return {forward_mode}.apply(", list(inputs), ")", 4),
    )


def _heads(node: Node, several: bool) -> dict[str, list[str]]:
    """Return the first lines of the functions, up to their colon."""
    parameters = typed(node.names.inputs, node.scalars)
    kinds = _tuple_type(["float" if scalar else "Tensor" for scalar in node.scalars])
    gradients = _tuple_type(["None" if s else "Tensor | None" if several else "Tensor" for s in node.scalars])
    result = "Tensor" if len(parameters) == 1 else gradients
    context = ["ctx: Any", f"inputs: {kinds}", "output: Tensor"]
    cotangent = ["ctx: Any", f"{node.names.cotangent}: Tensor"]
    return {
        "forward_head": bracketed("def forward(", parameters, ") -> Tensor:", 4),
        "setup_head": bracketed("def setup_context(", context, ") -> None:", 4),
        "backward_head": bracketed("def backward(", cotangent, f") -> {result}:", 4),
        "jvp_head": bracketed("def jvp(", ["ctx: Any", *_jvp_parameters(node)], ") -> Tensor:", 4),
        "function_head": bracketed(f"def {node.function}(", parameters, ") -> Tensor:", 0),
    }


def _statements(node: Node, body: Body) -> list[str]:
    """Return the statements of a value or tangent, the return among them."""
    text = body.texts[0]
    result = f"{text.inside(ATOM)}.{node.reduction}()" if node.reduction else text.text
    return [*body.lines(body.shared), *body.lines(body.local[0]), f"return {result}"]


def _tuple_type(kinds: list[str]) -> str:
    if len(kinds) > 3 and len(set(kinds)) == 1:
        return f"tuple[{kinds[0]}, ...]"
    return f"tuple[{', '.join(kinds)}]"


def _body_names(body: Body) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", " ".join(body.printed.values())))


def _used(node: Node) -> set[str]:
    """Return the inputs that the derivatives look at."""
    return (_body_names(node.backward) | _body_names(node.jvp)) & set(node.names.inputs)


def _setup(inputs: tuple[str, ...], tensors: tuple[str, ...], numbers: list[str], used: bool) -> list[str]:
    if not used:
        return ["pass  # The derivative is constant: nothing is kept."]
    if not numbers:
        return ["ctx.save_for_backward(*inputs)", "ctx.save_for_forward(*inputs)"]
    kept = ", ".join(tensors)
    unpack = f"{', '.join(inputs)} = inputs"
    numbers_kept = [f"ctx.{x} = {x}" for x in numbers]
    return [
        unpack,
        *numbers_kept,
        f"ctx.save_for_backward({kept})",
        f"ctx.save_for_forward({kept})",
    ]


def _unpack(tensors: tuple[str, ...], numbers: list[str], indent: int) -> list[str]:
    if len(tensors) == 1:
        lines = [f"{' ' * indent}({tensors[0]},) = ctx.saved_tensors"]
    else:
        lines = tuple_lines(list(tensors), indent, tail=" = ctx.saved_tensors")
    return lines + [f"{' ' * indent}{x} = ctx.{x}" for x in numbers]


def _jvp_unpack(tensors: tuple[str, ...], numbers: list[str], used: set[str]) -> list[str]:
    if not used & set(tensors):
        return []
    indent, primal = " " * 12, "forward_ad.unpack_dual({}).primal"
    lines = [f"{indent}{tensors[0]} = {primal.format('ctx.saved_tensors[0]')}"]
    if len(tensors) > 1:
        wanted = [x if x in used else "_" for x in tensors]
        primals = f"({primal.format('t')} for t in ctx.saved_tensors)"
        lines = [f"{indent}{', '.join(wanted)} = {primals}"]
        if len(lines[0]) > MARGIN:
            lines = [f"{indent}primals = {primals}", *tuple_lines(wanted, 12, tail=" = primals")]
    return lines + [f"{indent}{x} = ctx.{x}" for x in numbers]


def _jvp_parameters(node: Node) -> list[str]:
    return [
        f"{t}: {'None' if s else 'Tensor'}" for t, s in zip(node.names.tangents, node.scalars, strict=True)
    ]


def _expand(node: Node, tensors: tuple[str, ...]) -> list[str]:
    """Return the lines that spread the cotangent of a reduction over what was reduced."""
    grad = node.names.cotangent
    if node.reduction is None:
        return []
    shape = f"{tensors[0]}.shape"
    lines = []
    if len(tensors) > 1:
        shapes = ", ".join(f"{x}.shape" for x in tensors)
        if len(shapes) > 40:
            shapes = "*(t.shape for t in ctx.saved_tensors)"
        lines = [f"shape = torch.broadcast_shapes({shapes})"]
        shape = "shape"
    if node.reduction == "sum":
        return [*lines, f"{grad} = {grad}.expand({shape})"]
    return [*lines, f"{grad} = {grad}.expand({shape}) / {shape}.numel()"]


def _declare(gradients: tuple[str, ...]) -> list[str]:
    chain = f"{' = '.join(gradients)} = None"
    return [chain] if len(chain) + 8 <= MARGIN else [f"{g} = None" for g in gradients]


def _gradients(node: Node, several: bool) -> list[tuple[int, list[str], str]]:
    """Return for each tensor input its index, its own statements, and the assignment."""
    body, rows = node.backward, []
    indices = [i for i, scalar in enumerate(node.scalars) if not scalar]
    for i, local, text in zip(indices, body.local, body.texts, strict=True):
        x, gradient = node.names.inputs[i], node.names.gradients[i]
        statement = f"{gradient} = {text.inside(ATOM)}.sum_to_size({x}.shape)"
        if text.text == f"torch.zeros_like({x})":
            statement = f"{gradient} = {text.text}"
        if not several:
            statement = f"return {'None, ' * (len(node.scalars) - 1)}{text.text}"
        rows.append((i, body.lines(local), statement))
    return rows
