"""The view of one autograd node."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fngen.layer import Node
from fngen.layout import bracketed, complex_test, tuple_lines, typed
from fngen.lower import MARGIN
from fngen.printing.infix import ATOM, Text


@dataclass(frozen=True, eq=False, repr=False)
class NodeView:
    """One autograd node and the function that applies it."""

    function: str
    reverse: str
    forward_mode: str
    reverse_doc: str
    inputs: tuple[str, ...]
    several: bool
    parameters: list[str]
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
    complex_test: list[str]
    compiling_return: list[str]
    eager_return: list[str]


def node_view(node: Node, reverse_doc: str) -> NodeView:
    """Return the view of a node; ``reverse_doc`` describes a helper."""
    ids, inputs = node.names, node.names.inputs
    tensors = tuple(x for x, scalar in zip(inputs, node.scalars, strict=True) if not scalar)
    numbers = [x for x in inputs if x not in tensors]
    parameters = typed(inputs, node.scalars)
    several = len(tensors) > 1
    reverse, forward_mode = f"_{node.cls}Reverse", f"{node.cls}Function"
    if node.cls.startswith("_"):
        reverse, forward_mode = f"{node.cls}Reverse", f"{node.cls}Function"
    kinds = ["float" if scalar else "Tensor" for scalar in node.scalars]
    gradient_kinds = ["None" if s else "Tensor | None" for s in node.scalars]
    single = len(inputs) == 1
    used = _used(node) or set(tensors if several or node.reduction else ())
    return NodeView(
        function=node.function,
        reverse=reverse,
        forward_mode=forward_mode,
        reverse_doc=reverse_doc or "Value and reverse-mode rule: the part that torch.compile can trace.",
        inputs=inputs,
        several=several,
        parameters=parameters,
        forward_head=bracketed("def forward(", parameters, ") -> Tensor:", 4),
        forward=[
            *node.forward.lines(node.forward.shared),
            *node.forward.lines(node.forward.local[0]),
            _result(node),
        ],
        setup_head=bracketed(
            "def setup_context(",
            ["ctx: Any", f"inputs: {_tuple_type(kinds)}", "output: Tensor"],
            ") -> None:",
            4,
        ),
        setup=_setup(inputs, tensors, numbers, bool(used)),
        backward_head=bracketed(
            "def backward(",
            ["ctx: Any", f"{ids.cotangent}: Tensor"],
            f") -> {'Tensor' if single else _tuple_type(gradient_kinds if several else ['None', 'Tensor'])}:",
            4,
        ),
        unpack=_unpack(tensors, numbers, 8) if used else [],
        expand=_expand(node, tensors),
        shared=node.backward.lines(node.backward.shared),
        declare=_declare(ids.gradients) if several else [],
        gradients=_gradients(node, several),
        backward_return=tuple_lines(list(ids.gradients), 8, "return ") if several else [],
        jvp_head=bracketed("def jvp(", ["ctx: Any", *_jvp_parameters(node)], ") -> Tensor:", 4),
        jvp_unpack=_jvp_unpack(tensors, numbers, _body_names(node.jvp)),
        jvp=[
            *node.jvp.lines(node.jvp.shared),
            *node.jvp.lines(node.jvp.local[0]),
            _reduce(node, node.jvp.texts[0]),
        ],
        function_head=bracketed(f"def {node.function}(", parameters, ") -> Tensor:", 0),
        complex_test=complex_test(tensors),
        compiling_return=bracketed(f"return {reverse}.apply(", list(inputs), ")", 8),
        eager_return=bracketed(f"return {forward_mode}.apply(", list(inputs), ")", 4),
    )


def _tuple_type(kinds: list[str]) -> str:
    if len(kinds) > 3 and len(set(kinds)) == 1:
        return f"tuple[{kinds[0]}, ...]"
    return f"tuple[{', '.join(kinds)}]"


def _reduce(node: Node, text: Text) -> str:
    return f"return {text.inside(ATOM)}.{node.reduction}()" if node.reduction else f"return {text.text}"


def _result(node: Node) -> str:
    return _reduce(node, node.forward.texts[0])


def _body_names(body: object) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", " ".join(body.printed.values())))  # type: ignore[attr-defined]


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
        primals = f"({primal.format('x')} for x in ctx.saved_tensors)"
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
            shapes = "*(x.shape for x in ctx.saved_tensors)"
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
        if not several:
            statement = f"return {'None, ' * (len(node.scalars) - 1)}{text.text}"
        rows.append((i, body.lines(local), statement))
    return rows
