"""The statements that see to the sizes along what is reduced, before a node is chosen."""

from __future__ import annotations

from collections.abc import Sequence

from fngen.layout import bracketed, if_lines, tuple_lines
from fngen.lower import MARGIN
from fngen.node import Layer
from fngen.precision import rounded
from fngen.several import Several

_TORCH = "# Of inputs that differ where it reduces, torch derives the formula itself."
"""So of a parameter of another shape than its own."""
_UNEQUAL = 'raise ValueError("along what is reduced the inputs must have one size")'
_TWICE = 'raise ValueError("a dimension is counted from both ends: give it one number")'


def of_one(layer: Layer, x: str) -> list[str]:
    """Return the statements for a function of one tensor."""
    lines = _enough(layer, x)
    if _ambiguous(layer):
        lines += [f"if {_ambiguous(layer)}:", *_by_torch(layer, [x, *layer.numbers], _TWICE)]
    return lines


def of_several(layer: Layer) -> list[str]:
    """Return the statements for several tensors, which ``args`` holds."""
    if not layer.alignment.inputs:
        return []
    node, wide, numbers = layer.main, list(layer.alignment.inputs), layer.numbers
    tensors = [x for x, s in zip(node.names.inputs, node.scalars, strict=True) if not s]
    together = layer.alignment.together
    lines = _at(tuple_lines(tensors, 4, tail=" = args")) + _without_dimensions(layer, tensors)
    larger = [_larger(x, dim) for x, dim in layer.alignment.elsewhere.items() if x in tensors]
    unequal: list[str] = []
    if together and len(wide) > 1:
        lines += [f"if {_differ(wide, '.shape', 4)}:"]
        torch = _by_torch(layer, [*tensors, *numbers])
        if node.complex and not node.raw:
            lines += torch
        elif not node.raw:
            apart = f"not plain or {_differ(wide, '.dtype', 8 + len('not plain or '))}"
            lines += [f"    if {apart}:", *(f"    {line}" for line in torch)]
        if node.raw or not node.complex:
            lines += _together(wide, tensors)
    else:
        groups = layer.alignment.groups
        unequal = [_differ(along, shape, 4) for dims, along in groups for shape in _shapes(dims)]
    unequal += larger
    twice = [_ambiguous(layer)] if _ambiguous(layer) else []
    lines += _enough(layer, wide[0]) if twice else []  # Before torch, which would not say what is missing.
    cases = [(unequal, _UNEQUAL), (twice, _TWICE)] if node.raw else [(unequal + twice, "")]
    for conditions, refusal in cases:
        if conditions:
            lines += [*if_lines(conditions, "or", 4), *_by_torch(layer, [*tensors, *numbers], refusal)]
    lines += [] if twice else _enough(layer, wide[0])
    return lines if len(lines) > 1 else []


def _without_dimensions(layer: Layer, tensors: list[str]) -> list[str]:
    """Return the statements for parameters that are one number: the sum over everything has no dimension."""
    if None not in layer.alignment.every:
        return []
    lines: list[str] = []
    for x in (x for x, dim in layer.alignment.params.items() if dim is None and x in tensors):
        lines += [f"if {x}.dim() and {x}.numel() == 1:", f"    {x} = {x}.view(())"]
    return [*lines, *_at(bracketed("args = (", tensors, ")", 4))] if lines else []


def _enough(layer: Layer, x: str) -> list[str]:
    """Return the statements that refuse a tensor without the dimensions that are reduced."""
    rank, dims = layer.alignment.rank, layer.alignment.dims
    if rank < 2:
        return []  # To torch, what has no dimensions has one of one element.
    over = f"dim={dims[0]}" if len(dims) == 1 else f"dim={dims}"
    message = f"{layer.main.function}() reduces {over}: {x} has {{{x}.dim()}} dimensions"
    if len(message) > MARGIN - 12 - len('f""'):
        message = f"there are {{{x}.dim()}} dimensions, not {rank}"
    return [f"if {x}.dim() < {rank}:", *_at(bracketed("raise ValueError(", [f'f"{message}"'], ")", 8))]


def _ambiguous(layer: Layer) -> str:
    """Return the condition that a dimension counted from the front is one counted from the back."""
    rank, wide = layer.alignment.distinct, list(layer.alignment.inputs or {})
    return f"{wide[0]}.dim() < {rank}" if rank else ""


def _larger(param: str, dim: int | None) -> str:
    """Return the condition that a parameter runs along other dimensions than its own."""
    if dim is None:
        return f"{param}.numel() != 1"
    return f"{param}.numel() != {param}.shape[{'-1:' if dim < 0 else ':1'}].numel()"


def _by_torch(layer: Layer, args: list[str], refusal: str = _UNEQUAL) -> list[str]:
    """Return the statements that leave the derivatives to torch, where it has them; else a refusal."""
    if layer.main.raw:
        return [f"    {refusal}"]
    node, value = layer.main, f"{layer.main.reverse}.forward"
    if isinstance(node, Several):
        return [
            f"    {_TORCH}",
            *_at(bracketed(f"return {node.result}(", [f"*{value}({', '.join(args)})"], ")", 8)),
        ]
    if node.complex:
        return [f"    {_TORCH}", *_at(bracketed(f"return {value}(", args, ")", 8))]
    tensors, numbers = [x for x in args if x not in layer.numbers], list(layer.numbers)
    given = "args" if len(layer.parameters) > 1 else f"({tensors[0]},)"
    widened = f"    dtype, *wide = _widened({'*args' if given == 'args' else tensors[0]})"
    return [f"    {_TORCH}", widened, *_at(rounded(value, given, numbers, 8))]


def _together(wide: list[str], tensors: list[str]) -> list[str]:
    """Return the statements that broadcast some of the arguments."""
    target = f"{', '.join(wide)} = torch.broadcast_tensors({', '.join(wide)})"
    if len(target) + 8 <= MARGIN:
        return [f"    {target}", *_at(bracketed("args = (", tensors, ")", 8))]
    if wide == tensors:
        lines = ["    args = tuple(torch.broadcast_tensors(*args))"]
        return lines + _at(tuple_lines(wide, 8, tail=" = args"))
    lines = _at(bracketed("wide = torch.broadcast_tensors(", wide, ")", 8))
    return [*lines, *_at(tuple_lines(wide, 8, tail=" = wide")), *_at(bracketed("args = (", tensors, ")", 8))]


def _differ(inputs: Sequence[str], shape: str, column: int) -> str:
    """Return the condition that not all have one shape."""
    shapes = [f"{x}{shape}" for x in inputs]
    flat = " != ".join(shapes) if len(shapes) == 2 else f"not {' == '.join(shapes)}"
    if column + len(f"if {flat}:") <= MARGIN:
        return flat
    return f"len({{t{shape} for t in args}}) > 1"  # Those that are no part of it differ seldom.


def _shapes(dims: Sequence[int | None]) -> list[str]:
    """Return what must be equal for sizes to be, along some dimensions."""
    if None in dims:
        return [".shape"]
    numbers = sorted(d for d in dims if d is not None)
    if numbers == list(range(-len(numbers), 0)):
        return [f".shape[{numbers[0]}:]"]
    slices = [f".shape[{d}:{d + 1}]" if d != -1 else ".shape[-1:]" for d in numbers]
    return [".dim()", *slices] if numbers[-1] >= 0 else slices


def _at(lines: list[str]) -> list[str]:
    """Return lines for a column, without the four of the function's body."""
    return [line[4:] for line in lines]
