"""The view of a layer's kernels in Triton: the texts of their functions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fngen.kernel import Kernel, Kernels
from fngen.layout import bracketed, commented, tuple_lines
from fngen.lower import MARGIN, Body
from fngen.printing.triton import HELPER, QUOTIENT

MODULES = ("libdevice", "tl", "triton")
"""The names of what it imports."""
GLOBALS = (
    *(
        "_DEVICE",
        "_KERNELS",
        "_OPTIONS",
        "_REALS",
        "_end",
        "_gradients_kernel",
        "_PLANS",
        "_Plan",
        "_TILE",
        "_launched",
        "_load",
    ),
    *MODULES,
    *("_mask", "_over", "_in_rows", "_in_tiles", "_place", "_put", "_store", "_value_kernel"),
)
"""What a file with kernels in Triton defines beside the rest."""


@dataclass(frozen=True, eq=False, repr=False)
class FunctionView:
    """A function of tiles."""

    head: list[str]
    body: list[str]


@dataclass(frozen=True, eq=False, repr=False)
class PassView:
    """A kernel: what it reads, the call of the function that works on a tile of it, and what it writes."""

    name: str
    reads: list[tuple[int, str]]
    numbers: list[str]
    counts: list[tuple[str, bool]]
    narrow: list[str]
    sums: list[str]
    call: list[str]
    stores: list[str]
    ends: list[str]


@dataclass(frozen=True, eq=False, repr=False)
class TritonView:
    """The source."""

    types: list[tuple[str, str]]
    constants: list[str]
    functions: list[FunctionView]
    passes: list[PassView]
    functions_of_rows: list[str]
    rows: bool
    total: str
    divides: bool
    library: bool
    sums: bool


def triton_view(kernels: Kernels, types: dict[str, str]) -> TritonView:
    """Return the view of kernels for types, each computed in one."""
    passes, one = kernels.all, len(kernels.gradients.results) == 1
    # Of a single input nothing is broadcast, and no gradient is a sum.
    total = bool(kernels.total)
    views = [_pass(p, sums=total or (p is not kernels.value and not one), rows=kernels.rows) for p in passes]
    functions = [*(_helper(*helper) for helper in kernels.helpers), *map(_function, passes)]
    text = "\n".join(line for f in functions for line in f.body)
    return TritonView(
        types=list(types.items()),
        constants=[
            commented(f"{k.name} = tl.constexpr({k.literal})", f"  # {k.meaning}" * bool(k.meaning), 4)
            for k in kernels.constants
        ],
        functions=functions,
        passes=views,
        functions_of_rows=[f for f in ("sum", "amax", "amin", "capped") if f"{HELPER}{f}(" in text],
        rows=kernels.rows,
        total=kernels.total,
        divides=QUOTIENT in text,
        library="libdevice." in text,
        sums=any(p.sums for p in views),
    )


def _helper(name: str, parameters: tuple[str, ...], body: Body) -> FunctionView:
    lines = [f"{let.name} = {body.printed[let.value]}" for let in (*body.shared, *body.local[0])]
    return FunctionView(_head(HELPER + name, parameters), [*lines, f"return {body.texts[0].text}"])


def _function(given: Kernel) -> FunctionView:
    (body,) = given.bodies
    lines = [f"{let.name} = {body.printed[let.value]}" for let in body.shared]
    for x, lets, text in zip(given.results, body.local, body.texts, strict=True):
        lines += [f"{let.name} = {body.printed[let.value]}" for let in lets]
        lines += [f"{x} = {text.text}"] if text.text != x else []
    if len(given.results) > 1:
        lines += [line[8:] for line in tuple_lines(list(given.results), 8, "return ")]
    elif lines and lines[-1].startswith(f"{given.results[0]} = "):
        lines[-1] = lines[-1].replace(f"{given.results[0]} = ", "return ", 1)
    else:
        lines.append(f"return {given.results[0]}")
    used = [x for _, x in _used(given)]
    return FunctionView(_head(f"_tile_{given.name}", (*used, *_further(given))), lines)


def _used(given: Kernel) -> list[tuple[int, str]]:
    """Return what is read for more than its shape, and its places."""
    words = {x for text in _texts(given) for x in re.findall(r"[A-Za-z_]\w*", text)}
    return [(i, x) for i, x in enumerate(given.reads) if x in words]


def _texts(given: Kernel) -> list[str]:
    return [text for body in given.bodies for text in (*body.printed.values(), *(t.text for t in body.texts))]


def _further(given: Kernel) -> list[str]:
    """Return what a function takes beside what is read."""
    inside = ["inside"] * any(", inside)" in text for text in _texts(given))
    return [*given.numbers, *given.counts, *inside]


def _head(name: str, parameters: tuple[str, ...]) -> list[str]:
    return bracketed(f"def {name}(", parameters, "):", 4)


def _pass(given: Kernel, *, sums: bool, rows: bool) -> PassView:
    column = 12 if sums else 8
    results, head = list(given.results), f"{', '.join(given.results)} = _tile_{given.name}("
    further = [x if x != "inside" else "inside[0] & inside[1]" for x in _further(given)]
    long = column + len(head) > MARGIN
    used = [x for _, x in _used(given)]
    made = bracketed(f"made = _tile_{given.name}(" if long else head, [*used, *further], ")", column)
    made += [f"{' ' * column}{x} = made[{i}]" for i, x in enumerate(results)] if long else []
    totals = [f"sum_{i}" for i in range(len(given.results))] if sums else []
    stores, ends = list[str](), list[str]()
    for i, x in enumerate(results):
        place = [f"results[{i}]", "steps[-1]", "at", "inside", x]
        if sums:
            over = f"OVER[{i}]"
            stores += bracketed(f"{totals[i]} = _put(", [*place, totals[i], over], ")", column)
            ends += bracketed("_end(", [f"results[{i}]", totals[i], over], ")", 8)
        else:
            stores += bracketed("_store(", place, ")", column)
    unindented = [line[column - 8 :] for line in made], [line[column - 8 :] for line in stores]
    return PassView(
        *(given.name, _used(given), list(given.numbers), list(given.counts.items())),
        narrow=[x for x in results if x in given.narrow] if sums and rows else [],
        sums=totals,
        call=unindented[0],
        stores=unindented[1],
        ends=ends,
    )
