"""Reductions and what belongs to them, as torch's operators."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from fngen.functions.reductions import REDUCTIONS, SPELLED
from fngen.ir import Over, Value
from fngen.printing.infix import ATOM, PRODUCT, Text, float_text, is_exact_integer


def text(node: Value, args: Sequence[Text]) -> Text:
    """Return the text of a node that says which dimensions it is about."""
    assert isinstance(node.datum, Over)
    x, over = args[0], node.datum
    if node.op == "count":
        return _count(x, over.dims)
    if node.op == "squeeze":
        return Text(f"{x.inside(ATOM)}.squeeze({_tuple(over.dims or ())})")
    if node.op == "softmax_backward":
        return Text(f"torch._softmax_backward_data({x.text}, {args[1].text}, {over.dims[0]}, {x.text}.dtype)")  # type: ignore[index]
    name = "_others" if node.op == "others" else REDUCTIONS[SPELLED.get(node.op, node.op)].torch
    arguments = [x.text, *_options(node.op, over)]
    if over.dims is None and node.op in ("logsumexp", "others"):
        # They want a dimension.
        x = Text(f"{x.inside(ATOM)}.flatten()")
        whole = f"{name}({', '.join([x.text, 'dim=0'])})"
        return _signed(
            whole if node.op == "logsumexp" else f"{name}({x.text}, dim=0).view_as({args[0].text})"
        )
    if over.dims is not None:
        arguments.append(f"dim={_tuple(over.dims)}")
        if over.keepdim and node.op not in ("softmax", "log_softmax", "others"):
            arguments.append("keepdim=True")
    return _signed(f"{name}({', '.join(arguments)})")


def _options(op: str, over: Over) -> list[str]:
    """Return the order of a norm or the correction of a variance, where it is not torch's own default."""
    if over.option is None or over.option == {"norm": 2, "var": 1, "std": 1}[op]:
        return []
    number = _number(over.option)
    return [number] if op == "norm" else [f"correction={number}"]


def _number(x: Fraction | Decimal) -> str:
    return str(x) if is_exact_integer(x) else float_text(x)


def _count(x: Text, dims: tuple[int, ...] | None) -> Text:
    """Return a number of elements; what has no dimensions has one."""
    if dims is None:
        return Text(f"{x.inside(ATOM)}.numel()")
    if dims == tuple(range(-len(dims), 0)):
        return Text(f"{x.inside(ATOM)}.shape[{dims[0]}:].numel()")
    product = " * ".join(f"{x.inside(ATOM)}.shape[{d}]" if d else f"{x.text}.shape[:1].numel()" for d in dims)
    return Text(product, ATOM if len(dims) == 1 else PRODUCT)


def _tuple(dims: Sequence[int]) -> str:
    return str(dims[0]) if len(dims) == 1 else f"({', '.join(map(str, dims))})"


def _signed(call: str) -> Text:
    return Text(call, negative=f"-{call}")
