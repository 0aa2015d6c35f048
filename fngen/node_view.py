"""The view of one autograd node."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fngen.eager import Eager
from fngen.layout import bracketed, tuple_lines, typed
from fngen.lower import MARGIN, Body
from fngen.node import Node
from fngen.printing.infix import ATOM


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
        forward=_statements(node, node.forward),
        setup=_setup(node, tensors),
        unpack=_unpack(node),
        expand=_expand(node),
        shared=node.backward.lines(node.backward.shared),
        declare=_declare(node.names.gradients) if several else [],
        gradients=_gradients(node, node.backward, several),
        backward_return=tuple_lines(list(node.names.gradients), 8, "return ") if several else [],
        jvp_unpack=_jvp_unpack(node),
        jvp=_statements(node, node.jvp),
        entry=entry,
        eager=_eager(node, node.eager, several) if node.eager else None,
    )


def _tensors(node: Node) -> tuple[str, ...]:
    return tuple(x for x, scalar in zip(node.names.inputs, node.scalars, strict=True) if not scalar)


def _numbers(node: Node) -> list[str]:
    return [x for x, scalar in zip(node.names.inputs, node.scalars, strict=True) if scalar]


def _eager(node: Node, eager: Eager, several: bool) -> EagerView:
    parameters = ["ctx: Any", *typed(node.names.inputs)]
    *forward, result = _statements(node, eager.forward)
    always = (1 << len(node.names.inputs)) - 1
    if any(mask != always for mask in eager.wanted):
        forward.append("wanted = ctx.needs_input_grad")
    saved = [x if m == always else _if_wanted(x, m) for x, m in zip(eager.keeps, eager.wanted, strict=True)]
    save = bracketed("ctx.save_for_backward(", saved, ")", 8) if eager.keeps else []
    used = _body_names(eager.backward) | (set(node.leaves) if node.reduction else set())
    wanted = [x if x in used else "_" for x in eager.keeps]
    unpack = tuple_lines(wanted, 8, tail=" = ctx.saved_tensors") if set(wanted) - {"_"} else []
    in_place = any(re.search(r"\._?\w+_\(", text) for text in eager.backward.printed.values())
    return EagerView(
        cls=node.eager_class,
        forward_head=bracketed("def forward(", parameters, ") -> Tensor:", 4),
        forward=forward,
        save=save,
        result=result,
        guard=in_place or eager.keeps != node.leaves,
        unpack=unpack,
        shared=eager.backward.lines(eager.backward.shared),
        gradients=_gradients(node, eager.backward, several),
    )


def _if_wanted(x: str, mask: int) -> str:
    """Return ``x``, or None where none of the gradients that need it is wanted."""
    return (
        f"{x} if {' or '.join(f'wanted[{i}]' for i in range(mask.bit_length()) if mask >> i & 1)} else None"
    )


def _partly(node: Node) -> bool:
    """Say whether a leaf may be missing among what an eager node has saved."""
    always = (1 << len(node.names.inputs)) - 1
    return node.eager is not None and any(m != always for m in node.eager.wanted[: len(node.leaves)])


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


def _setup(node: Node, tensors: tuple[str, ...]) -> list[str]:
    """Return the body of ``setup_context``."""
    inputs, leaves, numbers = node.names.inputs, node.leaves, _numbers(node)
    lines = []
    if not leaves and not numbers:
        return ["pass  # The derivative is constant: nothing is kept."]
    kept = "output" if leaves == (node.names.output,) else ", ".join(leaves)
    if leaves == inputs:
        kept = "*inputs"
    elif kept != "output":
        lines += tuple_lines([x if x in (*leaves, *numbers) else "_" for x in inputs], 0, tail=" = inputs")
    lines += [f"ctx.{x} = {x}" for x in numbers]
    return [*lines, f"ctx.save_for_backward({kept})", f"ctx.save_for_forward({kept})"]


def _unpack(node: Node) -> list[str]:
    """Return the lines that read what was saved, in at least the type of the cotangent."""
    leaves, indent = node.leaves, " " * 8
    numbers = [f"{indent}{x} = ctx.{x}" for x in _numbers(node)]
    if not leaves:
        return numbers
    if node.eager is None:
        return [*tuple_lines(list(leaves), 8, tail=" = ctx.saved_tensors"), *numbers]
    cast = f".to({node.names.cotangent}.dtype)"
    if len(leaves) == 1:
        return [f"{indent}{leaves[0]} = ctx.saved_tensors[0]{cast}"]
    saved = "ctx.saved_tensors" + (f"[:{len(leaves)}]" if node.eager.keeps != leaves else "")
    if _partly(node):
        cast = f" if t is None else t{cast}"
        assignment = bracketed("saved: Any = [", [f"t{cast} for t in {saved}"], "]", 8)
        return [*assignment, *tuple_lines(list(leaves), 8, tail=" = saved")]
    flat = f"{indent}{', '.join(leaves)} = (t{cast} for t in {saved})"
    if len(flat) <= MARGIN:
        return [flat]
    return [f"{indent}leaves = (t{cast} for t in {saved})", *tuple_lines(list(leaves), 8, tail=" = leaves")]


def _jvp_unpack(node: Node) -> list[str]:
    leaves, numbers, used = node.leaves, _numbers(node), _body_names(node.jvp)
    if not used & set(leaves):
        return []
    indent, primal = " " * 12, "forward_ad.unpack_dual({}).primal"
    lines = [f"{indent}{leaves[0]} = {primal.format('ctx.saved_tensors[0]')}"]
    if len(leaves) > 1:
        wanted = [x if x in used else "_" for x in leaves]
        primals = f"({primal.format('t')} for t in ctx.saved_tensors)"
        lines = [f"{indent}{', '.join(wanted)} = {primals}"]
        if len(lines[0]) > MARGIN:
            lines = [f"{indent}primals = {primals}", *tuple_lines(wanted, 12, tail=" = primals")]
    return lines + [f"{indent}{x} = ctx.{x}" for x in numbers]


def _jvp_parameters(node: Node) -> list[str]:
    return [
        f"{t}: {'None' if s else 'Tensor'}" for t, s in zip(node.names.tangents, node.scalars, strict=True)
    ]


def _expand(node: Node) -> list[str]:
    """Return the lines that spread the cotangent of a reduction over what was reduced."""
    if node.reduction is None:
        return []
    grad, leaves = node.names.cotangent, node.leaves
    shape, lines = f"{leaves[0]}.shape", []
    if len(leaves) > 1:
        shapes = ", ".join(f"{x}.shape" for x in leaves)
        if len(shapes) > 40:
            shapes = f"*(t.shape for t in ctx.saved_tensors[:{len(leaves)}])"
        lines, shape = [f"shape = torch.broadcast_shapes({shapes})"], "shape"
    share = grad if node.reduction == "sum" else f"({grad} / {shape}.numel())"
    return [*lines, f"{grad} = {share}.expand({shape})"]


def _declare(gradients: tuple[str, ...]) -> list[str]:
    chain = f"{' = '.join(gradients)} = None"
    return [chain] if len(chain) + 8 <= MARGIN else [f"{g} = None" for g in gradients]


def _gradients(node: Node, body: Body, several: bool) -> list[tuple[int, list[str], str]]:
    """Return for each tensor input its index, its own statements, and the assignment."""
    rows = []
    indices = [i for i, scalar in enumerate(node.scalars) if not scalar]
    for i, local, text in zip(indices, body.local, body.texts, strict=True):
        statement = f"{node.names.gradients[i]} = {text.text}"
        if not several:
            statement = f"return {'None, ' * (len(node.scalars) - 1)}{text.text}"
        rows.append((i, body.lines(local), statement))
    return rows
