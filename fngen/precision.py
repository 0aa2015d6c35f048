"""Types that are too narrow to compute in: a wider one does it, and the result is rounded once."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fngen.backends.scalars import IF_ELSE
from fngen.ir import CONDITIONS, Value, fold
from fngen.layout import bracketed, tuple_lines
from fngen.lower import MARGIN

_NARROW = {"float16": "float32", "bfloat16": "float32"}
_REASON = "# Narrow types are computed in a wider one, and the result is rounded once."
_DEAF = CONDITIONS | {"count", "full_mask", "isnan"}


def table(*, accurate: bool) -> list[str]:
    """Return the statement that says in which type another one is computed."""
    pairs = _NARROW | ({"float32": "float64"} if accurate else {})
    items = [f"torch.{narrow}: torch.{wide}" for narrow, wide in pairs.items()]
    return [_REASON, *bracketed("_WIDE = {", items, "}", 0)]


def typings(roots: Sequence[Value], inputs: Collection[str]) -> tuple[frozenset[str], ...]:
    """Return for each output the inputs that have a say in its type: those of conditions have none."""

    def visit(node: Value, args: list[frozenset[str]]) -> frozenset[str]:
        if node.op == "name":
            return frozenset({str(node.datum)} & set(inputs))
        if node.op in _DEAF:
            return frozenset()
        heard = args[1:] if node.op in ("where", IF_ELSE) else args[:1] if node.op == "full_like" else args
        return frozenset().union(*heard)

    found = fold(roots, visit)
    return tuple(found[root] or frozenset(inputs) for root in roots)


def roundings(heard: Sequence[Collection[str]]) -> list[str]:
    """Return what rounds each output at the end of its expression."""
    if _one(heard):
        return [".to(dtype)"] * len(heard)
    return [f".to(dtypes[{i}])" for i in range(len(heard))]


def _one(heard: Sequence[Collection[str]]) -> bool:
    return len(set(map(frozenset, heard))) == 1


def widened(heard: Sequence[Collection[str]], tensors: Sequence[str], indent: int) -> list[str]:
    """Return the statements that take tensors to the type to compute in, and note what to round to."""
    if _one(heard):
        first = [x for x in tensors if x in heard[0]]
        others = [x for x in tensors if x not in heard[0]]
        return assigned("dtype", first, indent) + (assigned("_", others, indent) if others else [])
    types = f"{' ' * indent}dtypes = [_widened(*ts)[0] for ts in typed]"
    return [*_typed(heard, tensors, indent), types, *assigned("_", tensors, indent)]


def _typed(heard: Sequence[Collection[str]], tensors: Sequence[str], indent: int) -> list[str]:
    """Return the statement that says which tensors have a say in the type of each output."""
    rows, pad = [[x for x in tensors if x in names] for names in heard], " " * indent
    flat = [f"({', '.join(row)}{',' * (len(row) == 1)})" for row in rows]
    line = f"{pad}typed = {', '.join(flat)}"
    if len(line) <= MARGIN:
        return [line]
    lines = [f"{pad}typed = ("]
    for row, text in zip(rows, flat, strict=True):
        item, inner = f"{pad}    {text},", [f"{pad}        {x}," for x in row]
        lines += [item] if len(item) <= MARGIN else [f"{pad}    (", *inner, f"{pad}    ),"]
    return [*lines, f"{pad})"]


def assigned(label: str, tensors: Sequence[str], indent: int) -> list[str]:
    """Return the statement that takes tensors there; ``label`` is for the type to round to."""
    listed, pad = ", ".join(tensors), " " * indent
    flat = f"{pad}{label}, {listed} = _widened({listed})"
    if len(flat) <= MARGIN:
        return [flat]
    call = bracketed("args = _widened(", tensors, ")", indent)
    return [*call, *tuple_lines([label, *tensors], indent, tail=" = args")]


def rounded(function: str, tensors: str, numbers: Sequence[str], indent: int) -> list[str]:
    """Return the statement that has torch derive a function of what narrow tensors are widened to."""
    return bracketed("return _rounded(", [function, "dtype", "wide", tensors, *numbers], ")", indent)
