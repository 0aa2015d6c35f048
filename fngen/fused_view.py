"""The views of the two nodes that kernels work for: that of values, and that of their gradients."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fngen.kernel import Kernel, Kernels
from fngen.layout import bracketed, tuple_lines, typed
from fngen.lower import MARGIN
from fngen.node import Node
from fngen.node_view import tuple_type
from fngen.saved import if_wanted, keep_numbers, numbers_of, read_numbers, stored
from fngen.several import Several


@dataclass(frozen=True, eq=False, repr=False)
class FusedView:
    """The node of values from a kernel."""

    cls: str
    several: bool
    forward_head: list[str]
    keep: list[str]
    backward_head: list[str]
    read: list[str]
    again: list[str]
    returned: str


@dataclass(frozen=True, eq=False, repr=False)
class SlopesView:
    """The node of the gradients from a kernel."""

    cls: str
    apply: list[str]
    forward_head: list[str]
    keep: list[str]
    run: list[str]
    again: list[str]
    returned: str


def fused_view(kernels: Kernels, node: Node | Several) -> FusedView:
    """Return the view of the node of values."""
    several = isinstance(node, Several)
    parameters = ["ctx: Any", *typed(node.names.inputs, node.scalars), "output: list[Tensor]"]
    kinds = tuple_type([*("None" if s else "Tensor | None" for s in node.scalars), "None"])
    result = "tuple[Tensor, ...]" if several else "Tensor"
    kind = "Tensor | None" if several else "Tensor"
    cotangents = ["ctx: Any", *(f"{grad}: {kind}" for grad in node.cotangents)]
    nothing = ["None"] * (node.scalars.count(True) + 1)
    return FusedView(
        cls=f"_{node.cls}Fused",
        several=several,
        forward_head=bracketed("def forward(", parameters, f") -> {result}:", 4),
        keep=_keep(kernels, node),
        backward_head=bracketed("def backward(", cotangents, f") -> {kinds}:", 4),
        read=_read_several(kernels, node) if several else _read(kernels, node),
        again=_again(kernels, node),
        returned=f"return *output, {', '.join(nothing)}",
    )


def _read(kernels: Kernels, node: Node | Several) -> list[str]:
    """Return the statements that run the kernel of the gradients of one output."""
    (grad,), (dims,) = node.cotangents, node.insertions
    spread = grad + "".join(f".unsqueeze({d})" for d in dims)
    read = [f"{spread} if {x} is None else {x}" if _partly(kernels, node, x) else x for x in kernels.leaves]
    names = [*node.leaves, *kernels.shapes, *kernels.totals]
    return [
        "        saved = ctx.saved_tensors",
        *(tuple_lines(names, 8, tail=" = saved") if names else []),
        *read_numbers(node, _words(kernels.gradients), 8),
        *tuple_lines([spread, *read, *kernels.shapes, *kernels.totals], 8, "kept = "),
        *_run(kernels, "ctx.needs_input_grad"),
    ]


def _read_several(kernels: Kernels, node: Node | Several) -> list[str]:
    """Return the statements that run that of several outputs, of which some have no cotangent."""
    return [
        "        saved = ctx.saved_tensors",
        *read_numbers(node, _words(kernels.gradients), 8),
        *tuple_lines(list(node.cotangents), 8, "given = "),
        "        kept = _filled(given, saved)",
        "        wanted = _reached(given, ctx.needs_input_grad)",
        *_run(kernels, "wanted"),
    ]


def _run(kernels: Kernels, wanted: str) -> list[str]:
    given = ["_GRADIENTS", "kept", wanted, *kernels.gradients.numbers.values()]
    return bracketed("output = _run(", given, ")", 8)


def _partly(kernels: Kernels, node: Node | Several, leaf: str) -> bool:
    """Say whether a leaf is kept only where a gradient needs it."""
    return _users(kernels, node)[leaf] != node.every_input


def _users(kernels: Kernels, node: Node | Several) -> dict[str, int]:
    """Return for each leaf the inputs whose gradients need it, in C or in torch, as a bit mask."""
    assert node.eager is not None
    in_torch = dict(zip(node.eager.keeps, node.eager.wanted, strict=True))
    in_c = dict(zip(kernels.leaves, kernels.users, strict=True))
    return {x: in_torch[x] | in_c.get(x, 0) for x in node.leaves}


def _keep(kernels: Kernels, node: Node | Several) -> list[str]:
    """Return the statements that keep what gradients are made of."""
    users, every = _users(kernels, node), node.every_input
    lines = [f"        {line}" for line in keep_numbers(numbers_of(node))]
    if any(mask != every for mask in users.values()):
        lines.append("        wanted = ctx.needs_input_grad")
    own = {node.names.output: "output[0]"}
    kept = [if_wanted(own.get(x) or stored(node, x), mask, every) for x, mask in users.items()]
    kept += [*kernels.shapes, *(["*output[1:]"] if kernels.totals else [])]
    return lines + (bracketed("ctx.save_for_backward(", kept, ")", 8) if kept else [])


def _words(given: Kernel) -> set[str]:
    """Return the names in the numbers of a pass."""
    return {x for text in given.numbers.values() for x in re.findall(r"[A-Za-z_]\w*", text)}


def _leaves(kernels: Kernels, node: Node | Several) -> str:
    """Return what is saved of the leaves."""
    return f"saved[:{len(node.leaves)}]" if kernels.shapes or kernels.totals else "saved"


def _again(kernels: Kernels, node: Node | Several) -> list[str]:
    """Return the statements that leave the gradients to torch."""
    given = [f"saved_tensors={_leaves(kernels, node)}", "needs_input_grad=ctx.needs_input_grad"]
    given += ["numbers=ctx.numbers"] * bool(numbers_of(node))
    context = bracketed("again = SimpleNamespace(", given, ")", 12)
    rule = bracketed(f"found = {node.reverse}.backward(", ["again", *node.cotangents], ")", 12)
    star = "*" * _is_tuple(node)
    flat = f"{rule[0].replace('found = ', f'return {star}', 1)}, None"
    if len(rule) == 1 and len(flat) <= MARGIN:
        return [*context, flat]
    return [*context, *rule, f"            return {star}found, None"]


def _is_tuple(node: Node | Several) -> bool:
    """Say whether the gradients in torch come back as a tuple."""
    return isinstance(node, Several) or len(node.scalars) > 1


def slopes_view(kernels: Kernels, node: Node | Several) -> SlopesView:
    """Return the view of the node of the gradients."""
    grads, leaves, count = list(node.cotangents), list(node.leaves), len(node.cotangents)
    numbers = ["numbers"] * bool(numbers_of(node))
    extra = [*numbers, "wanted", "output"]
    cls, wanted = f"_{node.cls}Slopes", "wanted" if isinstance(node, Several) else "ctx.needs_input_grad"
    given = [*grads, f"*{_leaves(kernels, node)}", *(f"ctx.{x}" for x in numbers), wanted, "output"]
    missing = [isinstance(node, Several)] * count + [_partly(kernels, node, x) for x in leaves]
    tensors = zip([*grads, *leaves], missing, strict=True)
    typed_tensors = [f"{x}: Tensor{' | None' * partly}" for x, partly in tensors]
    parameters = ["ctx: Any", *typed_tensors, *(f"{x}: Any" for x in extra)]
    return SlopesView(
        cls=cls,
        apply=bracketed(f"output = {cls}.apply(", given, ")", 12),
        forward_head=bracketed("def forward(", parameters, ") -> tuple[Tensor | None, ...]:", 4),
        keep=[
            *bracketed("ctx.save_for_backward(", [*grads, *leaves], ")", 8),
            f"        {', '.join(f'ctx.{x}' for x in extra[:-1])} = {', '.join(extra[:-1])}",
        ],
        run=_run_seconds(kernels, node),
        again=_differentiated(node, numbers),
        returned=f"return *output, {', '.join(['None'] * len(extra))}",
    )


def _run_seconds(kernels: Kernels, node: Node | Several) -> list[str]:
    """Return the statements that run the kernel of second derivatives, if there is one."""
    if kernels.seconds is None:
        return []
    given = ["_SECONDS", "(*kept, *weights)", "ctx.needs_input_grad", *kernels.seconds.numbers.values()]
    read = read_numbers(node, _words(kernels.seconds), 12)
    return [
        *(_fill_several(node, read) if isinstance(node, Several) else _fill(kernels, node, read)),
        "            weights = [kept[0].new_zeros(()) if t is None else t for t in cotangents]",
        *bracketed("output = _run(", given, ")", 12),
    ]


def _fill(kernels: Kernels, node: Node | Several, read: list[str]) -> list[str]:
    """Return the statements that have the cotangent in the place of each tensor that is missing."""
    (grad,), leaves = node.cotangents, list(node.leaves)
    kept = [f"{grad} if {x} is None else {x}" if _partly(kernels, node, x) else x for x in leaves]
    if kept == leaves:
        return [*read, "            kept = saved"]
    return [
        *tuple_lines([grad, *leaves], 12, tail=" = saved"),
        *read,
        *tuple_lines([grad, *kept], 12, "kept = "),
    ]


def _fill_several(node: Node | Several, read: list[str]) -> list[str]:
    """Return the same where a cotangent may be missing, too."""
    return [
        *tuple_lines([*node.cotangents, "*leaves"], 12, tail=" = saved"),
        *read,
        f"            kept = _filled(saved[:{len(node.cotangents)}], leaves)",
    ]


def _differentiated(node: Node | Several, numbers: list[str]) -> list[str]:
    """Return the statements that have torch work out the gradients again, to differentiate them."""
    count = len(node.cotangents)
    grads = f"*primals[:{count}]" if isinstance(node, Several) else "primals[0]"
    context = [f"saved_tensors=primals[{count}:]", "needs_input_grad=ctx.wanted"]
    rule = f"{node.reverse}.backward(again, {grads})"
    return [
        *bracketed("again = SimpleNamespace(", [*context, *(f"{x}=ctx.{x}" for x in numbers)], ")", 12),
        f"            found = {rule if _is_tuple(node) else f'({rule},)'}",
    ]
