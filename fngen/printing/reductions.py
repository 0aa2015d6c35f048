"""Reductions and what belongs to them, as torch's operators."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from fngen.functions.reductions import REDUCTIONS, SPELLED
from fngen.ir import Over, Value
from fngen.printing.infix import ATOM, PRODUCT, Text, float_text, is_exact_integer

_SOFTMAX = frozenset({"softmax", "log_softmax"})
_WANT_DIMENSION = frozenset({"logsumexp", "others", *_SOFTMAX})


def text(node: Value, args: Sequence[Text]) -> Text:
    """Return the text of a node that says which dimensions it is about."""
    assert isinstance(node.datum, Over)
    x, over = args[0], node.datum
    if node.op == "count":
        return _count(x, over.dims)
    if node.op == "squeeze":
        return Text(f"{x.inside(ATOM)}.squeeze({_tuple(over.dims or ())})")
    if node.op == "softmax_backward":
        dtype = f"{args[2].inside(ATOM)}.dtype"
        return Text(f"torch._softmax_backward_data({x.text}, {args[1].text}, {over.dims[0]}, {dtype})")  # type: ignore[index]
    name = "_others" if node.op == "others" else REDUCTIONS[SPELLED.get(node.op, node.op)].torch
    arguments = [x.text, *_options(node.op, over)]
    several = node.op in _SOFTMAX and len(over.dims or ()) > 1
    if several or (over.dims is None and node.op in _WANT_DIMENSION):
        return _signed(_flat(name, x, node))
    if over.dims is not None:
        arguments.append(f"dim={_tuple(over.dims)}")
        if over.keepdim and node.op not in (*_SOFTMAX, "others"):
            arguments.append("keepdim=True")
    return _signed(f"{name}({', '.join(arguments)})")


def _flat(name: str, x: Text, node: Value) -> str:
    """Return the call of an operator that takes one dimension only, of several made one."""
    dims = node.datum.dims  # type: ignore[union-attr]
    ends = [] if dims is None else [dims[0]] if dims[-1] == -1 else [dims[0], dims[-1]]
    dim = 0 if dims is None else dims[0] if dims[0] >= 0 else dims[-1]
    call = f"{name}({x.inside(ATOM)}.flatten({', '.join(map(str, ends))}), dim={dim})"
    return call if node.op == "logsumexp" else f"{call}.view_as({x.text})"


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
