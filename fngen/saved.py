"""The statements that save tensors for a node's backward, and read them again."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from fngen.eager import Eager
from fngen.layout import bracketed, tuple_lines
from fngen.lower import MARGIN, Body
from fngen.node import Node
from fngen.parts import condition
from fngen.precision import assigned, widened
from fngen.several import Several


def setup(node: Node | Several) -> list[str]:
    """Return the body of ``setup_context``."""
    inputs, leaves, numbers = node.names.inputs, node.leaves, numbers_of(node)
    lines = []
    if node.narrow_gradients:
        tensors = "(*inputs, output)" if node.narrow_tangent else "inputs"
        lines.append(f"ctx.real = [not t.is_complex() for t in {tensors}]")
    if not leaves and not numbers and not lines:
        return ["pass  # The derivative is constant: nothing is kept."]
    if not leaves and not numbers:
        return lines
    kept = ["output"] if leaves == (node.names.output,) else [stored(node, x) for x in leaves]
    if kept == ["output"] and node.eager:
        return lines + _output_or_inputs(node)
    if leaves == inputs and not (isinstance(node, Node) and node.shapes):
        kept = ["*inputs"]
    elif kept != ["output"] and not (len(inputs) == 1 and kept == [inputs[0]]):
        lines += tuple_lines([x if x in (*leaves, *numbers) else "_" for x in inputs], 0, tail=" = inputs")
    lines += keep_numbers(numbers)
    for method in ("save_for_backward", "save_for_forward"):
        lines += [line[8:] for line in bracketed(f"ctx.{method}(", kept, ")", 8)]
    return lines


def _output_or_inputs(node: Node | Several) -> list[str]:
    """Return the statements that keep the output, or what it is made of if it was rounded."""
    numbers, inputs = numbers_of(node), "inputs"
    lines = []
    if numbers:
        lines += tuple_lines(list(node.names.inputs), 0, tail=" = inputs")
        inputs = f"({', '.join(tensors_of(node))},)"
    return [
        *lines,
        *keep_numbers(numbers),
        "ctx.narrow = output.dtype in _WIDE",
        f"kept = {inputs} if ctx.narrow else (output,)  # What was rounded would not do.",
        "ctx.save_for_backward(*kept)",
        "ctx.save_for_forward(*kept)",
    ]


def stored(node: Node | Several, x: str) -> str:
    """Return what is kept of a tensor: one number in its shape, if that is all that is wanted."""
    return f"{x}.new_empty(()).expand_as({x})" if isinstance(node, Node) and x in node.shapes else x


def unpack(node: Node | Several) -> list[str]:
    """Return the lines that read what was saved, in at least the type of the cotangent."""
    return _unpacked(node) + read_numbers(node, used_names(node.backward), 8)


def _unpacked(node: Node | Several) -> list[str]:
    leaves, indent = node.leaves, " " * 8
    if not leaves:
        return []
    if node.eager and leaves == (node.names.output,):
        return _unpacked_output(node)
    more = node.eager is not None and node.eager.keeps != leaves
    saved = "ctx.saved_tensors" + (f"[:{len(leaves)}]" if more else "")
    if node.eager is None or isinstance(node, Several):
        return tuple_lines(list(leaves), 8, tail=f" = {saved}")
    cast = f".to({node.names.cotangent}.dtype)"
    comment = f"{indent}# Autocast may have changed the output's type."
    if _partly(node):
        cast = f" if t is None else t{cast}"
        assignment = bracketed("saved: Any = [", [f"t{cast} for t in {saved}"], "]", 8)
        comment += " None: no gradient needs it."
        return [comment, *assignment, *tuple_lines(list(leaves), 8, tail=" = saved")]
    if len(leaves) == 1:
        return [comment, f"{indent}{leaves[0]} = ctx.saved_tensors[0]{cast}"]
    flat = f"{indent}{', '.join(leaves)} = (t{cast} for t in {saved})"
    if len(flat) <= MARGIN:
        return [comment, flat]
    leaves_of = f"{indent}leaves = (t{cast} for t in {saved})"
    return [comment, leaves_of, *tuple_lines(list(leaves), 8, tail=" = leaves")]


def _unpacked_output(node: Node | Several) -> list[str]:
    """Return the lines that read the output, or work it out again."""
    grad, indent = node.names.cotangent, " " * 8
    more = node.eager is not None and node.eager.keeps != node.leaves
    kept = "(t for t in ctx.saved_tensors if t is not None)" if more else "ctx.saved_tensors"
    return [
        f"{indent}narrow = {grad}.dtype in _WIDE",
        f"{indent}_, {grad}, *saved = _widened({grad}, *{kept})",
        f"{indent}{node.names.output} = {_again(node)} if narrow else saved[0]",
        f"{indent}# Autocast may have changed the output's type.",
        f"{indent}{node.names.output} = {node.names.output}.to({grad}.dtype)",
    ]


def _again(node: Node | Several) -> str:
    return f"{node.reverse}.forward({', '.join(['*saved', *['*ctx.numbers'] * bool(numbers_of(node))])})"


def _partly(node: Node) -> bool:
    """Say whether a leaf may be missing among what an eager node has saved."""
    return node.eager is not None and any(
        m != node.every_input for m in node.eager.wanted[: len(node.leaves)]
    )


def keep(node: Node | Several, eager: Eager) -> list[str]:
    """Return the statements that keep what the node for plain tensors reads again."""
    always, lines = node.every_input, []
    if any(mask != always for mask in eager.wanted):
        lines.append(f"{' ' * 8}wanted = ctx.needs_input_grad")
    lines += [f"{' ' * 8}{line}" for line in keep_numbers(numbers_of(node))]
    lines += tuple_lines([f"{x}.shape" for x in eager.shapes], 8, "ctx.shapes = ") if eager.shapes else []
    pairs = zip(eager.keeps, eager.wanted, strict=True)
    saved = [if_wanted(stored(node, x), mask, always) for x, mask in pairs]
    return lines + (bracketed("ctx.save_for_backward(", saved, ")", 8) if saved else [])


def if_wanted(x: str, mask: int, always: int) -> str:
    """Return ``x``, or None where none of the gradients that need it is wanted."""
    if not mask:
        return "None"  # The tangents alone need it.
    chosen = f"{x} if {condition(mask)} else None"
    return x if mask == always or len(chosen) > MARGIN - 12 - len(",") else chosen


def read(node: Node | Several, eager: Eager, besides: Collection[str] = ()) -> list[str]:
    """Return the statements that read it; ``besides`` are names that other statements use."""
    used = {*(x for body in eager.gradients for x in used_names(body)), *besides}
    wanted = [x if x in used else "_" for x in eager.keeps]
    unpack = tuple_lines(wanted, 8, tail=" = ctx.saved_tensors") if set(wanted) - {"_"} else []
    shapes = tuple_lines(list(eager.shapes.values()), 8, tail=" = ctx.shapes") if eager.shapes else []
    return unpack + read_numbers(node, used, 8) + shapes


def jvp_unpack(node: Node | Several) -> list[str]:
    """Return the lines that read what the tangent needs, dual numbers of an outer level among it."""
    leaves, used, indent = node.leaves, used_names(node.jvp), " " * 12
    numbers = read_numbers(node, used, 12)
    if not used & set(leaves):
        return numbers + _widened_tangents(node, ())
    if node.eager and leaves == (node.names.output,):
        return numbers + _output_and_tangents(node)
    primal = "forward_ad.unpack_dual({}).primal"
    lines = [f"{indent}{leaves[0]} = {primal.format('ctx.saved_tensors[0]')}"]
    if len(leaves) > 1:
        wanted = [x if x in used else "_" for x in leaves]
        primals = f"({primal.format('t')} for t in ctx.saved_tensors)"
        lines = [f"{indent}{', '.join(wanted)} = {primals}"]
        if len(lines[0]) > MARGIN:
            lines = [f"{indent}primals = {primals}", *tuple_lines(wanted, 12, tail=" = primals")]
    return lines + numbers + _widened_tangents(node, [x for x in leaves if x in used])


def _output_and_tangents(node: Node | Several) -> list[str]:
    """Return the lines that read the output, or work it out again, and take the tangents along."""
    tangents, indent = ", ".join(_tangents_of(node)), " " * 12
    return [
        f"{indent}primals = (forward_ad.unpack_dual(t).primal for t in ctx.saved_tensors)",
        f"{indent}dtype, {tangents}, *saved = _widened({tangents}, *primals)",
        f"{indent}{node.names.output} = {_again(node)} if ctx.narrow else saved[0]",
    ]


def _widened_tangents(node: Node | Several, leaves: Sequence[str]) -> list[str]:
    """Return the statements that take tangents, and what else their result is made of, to a wider type."""
    if not node.eager:
        return []
    owner = dict(zip(node.names.tangents, node.names.inputs, strict=True))
    used = [t for t in _tangents_of(node) if t in used_names(node.jvp)]
    heard = [{x for x in (*leaves, *used) if owner.get(x, x) in inputs} for inputs in node.typings]
    return widened(heard, [*leaves, *used], 12)


def widened_inputs(node: Node | Several) -> list[str]:
    """Return the statements that take what a value is made of to the type to compute in."""
    used = used_names(node.forward)
    return widened(node.typings, [x for x in tensors_of(node) if x in used], 8) if node.eager else []


def widened_cotangents(node: Node) -> list[str]:
    """Return the statement that takes a cotangent there, and so all that it is multiplied by."""
    grad = node.names.cotangent
    return assigned("_", [grad], 8) if node.eager and node.leaves != (node.names.output,) else []


def _tangents_of(node: Node | Several) -> list[str]:
    return [t for t, scalar in zip(node.names.tangents, node.scalars, strict=True) if not scalar]


def tensors_of(node: Node | Several) -> list[str]:
    """Return the inputs that are tensors."""
    return [x for x, scalar in zip(node.names.inputs, node.scalars, strict=True) if not scalar]


def expand(node: Node) -> list[str]:
    """Return the lines that spread the cotangent of a reduction over what was reduced."""
    indent = " " * 8
    grad, leaves = node.names.cotangent, node.leaves
    if node.inserted:
        return [f"{indent}{grad} = {grad}{''.join(f'.unsqueeze({d})' for d in node.inserted)}"]
    if node.reduction is None or (node.scalar_cotangent and node.reduction == "sum"):
        return []
    if node.scalar_cotangent:
        return [f"{indent}{grad} = {grad} / {leaves[0]}.numel()"]
    shape, lines = f"{leaves[0]}.shape", []
    if len(leaves) > 1:
        # Of the tensors at hand: a saved tensor is read once, as checkpoints want it.
        shapes = [f"{x}.shape" for x in leaves]
        lines, shape = bracketed("shape = torch.broadcast_shapes(", shapes, ")", 8), "shape"
    share = grad if node.reduction == "sum" else f"({grad} / {shape}.numel())"
    return [*lines, f"{indent}{grad} = {share}.expand({shape})"]


def keep_numbers(numbers: Sequence[str]) -> list[str]:
    """Return the statement that keeps Python numbers: in one attribute, whatever they are called."""
    return tuple_lines(list(numbers), 0, "ctx.numbers = ") if numbers else []


def read_numbers(node: Node | Several, used: Collection[str], indent: int) -> list[str]:
    """Return the statement that reads the numbers again, those in use by name."""
    numbers = [x if x in used else "_" for x in numbers_of(node)]
    return tuple_lines(numbers, indent, tail=" = ctx.numbers") if set(numbers) - {"_"} else []


def numbers_of(node: Node | Several) -> list[str]:
    """Return the inputs that are Python numbers."""
    return [x for x, scalar in zip(node.names.inputs, node.scalars, strict=True) if scalar]


def used_names(body: Body) -> set[str]:
    """Return the identifiers in some statements."""
    return set(re.findall(r"[A-Za-z_]\w*", " ".join(body.printed.values())))
