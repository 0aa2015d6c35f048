"""Blocks and kernels: straight-line code, and passes of it over the elements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fngen.ir import ARITHMETIC, COMPARISONS, CONDITIONS, LEAVES, LOGIC, REDUCTIONS, Value, postorder

TOTALS = REDUCTIONS | {"sum_to"}
"""What ends a pass: a reduction, or a sum to the shape of something smaller."""


@dataclass(frozen=True, slots=True)
class Let:
    """``name = value``."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Block:
    """Straight-line code: inputs, named intermediates, and named results."""

    inputs: tuple[str, ...]
    lets: tuple[Let, ...]
    results: tuple[Let, ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """A Block over the elements, and then reductions of what it has worked out, all at once."""

    block: Block
    totals: tuple[Let, ...] = ()


@dataclass(frozen=True, slots=True)
class Kernel:
    """A sequence of Passes over one space of elements: the results of one are inputs of the next."""

    passes: tuple[Pass, ...]


def dump_block(block: Block) -> str:
    """Return the text form of a block, one line a Let."""
    return "\n".join([f"block({', '.join(block.inputs)}):", *_lines(block)])


def dump_kernel(kernel: Kernel) -> str:
    """Return the text form of a kernel, pass by pass."""
    lines = list[str]()
    for each in kernel.passes:
        lines += [f"pass({', '.join(each.block.inputs)}):", *_lines(each.block)]
        lines += [f"    => {let.name} = {let.value!r}" for let in each.totals]
    return "\n".join(lines)


def _lines(block: Block) -> list[str]:
    lines = [f"    {let.name} = {let.value!r}" for let in block.lets]
    return lines + [f"    -> {let.name} = {let.value!r}" for let in block.results]


def verify(block: Block) -> None:
    """Raise ``AssertionError`` unless every name is defined once, and before its use."""
    assert block.results, "a block without results"
    _verify_block(block)


def verify_kernel(kernel: Kernel) -> None:
    """Raise ``AssertionError`` unless every pass is well formed, and reduces nothing but in the end."""
    made = set[str]()
    for each in kernel.passes:
        known = _verify_block(each.block)
        assert each.block.results or each.totals, "a pass without results"
        for let in each.totals:
            assert let.value.op in TOTALS, f"{let.name} is no reduction"
            _verify_value(let, known)
            _verify_elements(let.value.args)
        _verify_elements(let.value for let in (*each.block.lets, *each.block.results))
        fresh = [let.name for let in (*each.totals, *each.block.results)]
        assert not made & {*fresh}, f"one of {fresh} is defined twice"
        made |= {*fresh}


def _verify_elements(graphs: Iterable[Value]) -> None:
    assert not any(n.op in TOTALS for n in postorder(graphs)), "a reduction inside a pass"


def _verify_block(block: Block) -> set[str]:
    known = set(block.inputs)
    assert len(known) == len(block.inputs), f"an input is declared twice: {block.inputs}"
    for let in block.lets:
        _verify_value(let, known)
        assert let.name not in known, f"{let.name} is defined twice"
        known.add(let.name)
    for let in block.results:
        _verify_value(let, known)
    return known


def _verify_value(let: Let, known: set[str]) -> None:
    arities = {**ARITHMETIC, **dict.fromkeys(COMPARISONS, 2), **LOGIC, "where": 3}
    for node in postorder([let.value]):
        assert node.op != "name" or node.datum in known, f"{node.datum} is not defined"
        arity = 0 if node.op in LEAVES else arities.get(node.op, len(node.args))
        assert len(node.args) == arity, f"{node.op} with {len(node.args)} arguments"
        wanted = [True, False, False] if node.op == "where" else [node.op in LOGIC] * 3
        for arg, condition in zip(node.args, wanted, strict=False):
            assert (arg.op in CONDITIONS) == condition or arg.op == "name", f"{node.op} of {arg.op}"
