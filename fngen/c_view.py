"""The view of a layer's kernels in C: the texts of their source."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fngen.backends import libm
from fngen.blocks import Let
from fngen.ir import CONDITIONS
from fngen.kernel import Kernel, Kernels, Loop
from fngen.layout import commented, filled
from fngen.lower import MARGIN, Body

GLOBALS = (
    *("_ALONG", "_COMMAND", "_LEVELS", "_PASSES", "_ROUNDING", "_SOURCE", "_STILL", "_TYPES"),
    *("_built", "_cache", "_forked", "_intact", "_kernels", "_level", "_library", "_loaded", "_own"),
    *("_prebuilt", "_seal"),
)
"""What a file with kernels in C defines beside the rest."""
MODULES = (
    *("ctypes", "hashlib", "os", "shlex", "shutil", "stat", "struct", "subprocess", "tempfile", "warnings"),
)
"""What it imports."""
_TYPES = {"float64": "FLOAT64", "float32": "FLOAT32", "float16": "FLOAT16", "bfloat16": "BFLOAT16"}


@dataclass(frozen=True, eq=False, repr=False)
class LoopView:
    """A pass: what is one of a row before it, a function of a block, and where its arrays are."""

    name: str
    once: list[str]
    given: list[str]
    asks: list[str]
    usual: list[str]
    each: list[str]
    read: str
    written: str
    totals: list[TotalView]


@dataclass(frozen=True, eq=False, repr=False)
class TotalView:
    """What is reduced: where its elements are, where the result is, and how."""

    slot: int
    one: int
    op: str


@dataclass(frozen=True, eq=False, repr=False)
class PlaceView:
    """An array of one number a row, and where that is among the others."""

    array: int
    one: int
    total: bool


@dataclass(frozen=True, eq=False, repr=False)
class KernelView:
    """A kernel: its passes, and what it takes beside arrays of elements."""

    name: str
    reads: int
    all: int
    loops: list[LoopView]
    numbers: int
    counts: list[tuple[int, bool]]
    heads: list[PlaceView]
    ends: list[PlaceView]
    kept: int
    summed: str
    reduces: bool


@dataclass(frozen=True, eq=False, repr=False)
class HelperView:
    """A function of numbers."""

    head: str
    body: list[str]


@dataclass(frozen=True, eq=False, repr=False)
class CView:
    """The source."""

    library: list[str]
    vector: list[str]
    scalar: list[str]
    circular: bool
    nan: bool
    chooses: bool
    caps: bool
    constants: list[str]
    helpers: list[HelperView]
    kernels: list[KernelView]
    rows: bool
    total: str
    narrow: bool
    arrays: int
    slots: int
    numbers: int
    ones: int
    kept: int
    reductions: set[str]
    types: list[tuple[str, str]]


def c_view(kernels: Kernels, types: dict[str, str]) -> CView:
    """Return the view of kernels for types, each computed in one."""
    places = [_Places(kernel) for kernel in kernels.all]
    made = [_kernel(*pair, kernels.totals) for pair in zip(kernels.all, places, strict=True)]
    helpers = [_helper(*helper) for helper in kernels.helpers]
    lines = [x for kernel in made for loop in kernel.loops for x in (*loop.once, *loop.each)]
    text = "\n".join([*lines, *(line for h in helpers for line in h.body)])
    return CView(
        library=list(kernels.library),
        vector=_declared("VECTOR real", [f for f in kernels.library if f in libm.VECTOR]),
        scalar=_declared("CONST real", [f for f in kernels.library if f not in libm.VECTOR]),
        circular={"sin", "cos"} <= {*kernels.library},
        nan="NAN" in text,
        chooses="choose(" in text,
        caps="capped(" in text,
        constants=[
            commented(f"static const real {k.name} = {k.literal};", f" /* {k.meaning} */" * bool(k.meaning))
            for k in kernels.constants
        ],
        helpers=helpers,
        kernels=made,
        rows=kernels.rows,
        total=kernels.total,
        narrow=kernels.narrow,
        arrays=max(kernel.all for kernel in made),
        slots=max(len(place.slots) for place in places),
        numbers=max(1, *(len(kernel.numbers) for kernel in kernels.all)),
        ones=max(1, *(len(place.ones) for place in places)),
        kept=max(len(kernel.kept) for kernel in kernels.all),
        reductions={op for kernel in kernels.all for loop in kernel.loops for op in loop.totals.values()},
        types=[(t, _flags(t, real)) for t, real in types.items()],
    )


class _Places:
    """Where a kernel has its arrays, and what is one of a row."""

    def __init__(self, kernel: Kernel) -> None:
        self.arrays = [*kernel.reads, *kernel.results]
        totals = [x for loop in kernel.loops for x in loop.totals]
        self.slots = [*self.arrays, *kernel.kept, *(f"{x} total" for x in totals)]
        made = [x for loop in kernel.loops for x in loop.ones]
        self.ones = list(dict.fromkeys([*kernel.numbers, *kernel.counts, *kernel.narrow, *totals, *made]))

    def one(self, x: str) -> int:
        """Return the place of what is one of a row."""
        return self.ones.index(x)

    def slot(self, x: str, *, total: bool = False) -> int:
        """Return the place of what is one of each element."""
        return self.slots.index(f"{x} total" if total else x)


def _kernel(given: Kernel, places: _Places, totals: tuple[str, ...]) -> KernelView:
    loops = [
        _loop(loop, f"{given.name}_{i}" if len(given.loops) > 1 else given.name, given, places)
        for i, loop in enumerate(given.loops, 1)
    ]
    made = {x for loop in given.loops for x in (*loop.ones, *loop.totals)}
    narrow = [(x, PlaceView(places.slot(x), places.one(x), x in totals)) for x in given.narrow]
    return KernelView(
        name=given.name,
        reads=len(given.reads),
        all=len(places.arrays),
        loops=loops,
        numbers=len(given.numbers),
        counts=[(places.one(x), whole) for x, whole in given.counts.items()],
        heads=[place for x, place in narrow if x in given.reads],
        ends=[place for x, place in narrow if x in made],
        kept=len(given.kept),
        summed=_mask(places.slot(x) for loop in given.loops for x in loop.ends if x in given.results),
        reduces=any(loop.totals for loop in given.loops),
    )


def _loop(loop: Loop, label: str, given: Kernel, places: _Places) -> LoopView:
    once, asks, usual, each = list[str](), list[str](), list[str](), list[str]()
    read = list[str]()
    if loop.once:
        once = _ones(places, loop.once) + _statements(loop.once, [f"one[{places.one(x)}]" for x in loop.ones])
    if loop.each:
        used = _used(loop.each) - {*given.narrow}
        read = [x for x in (*given.reads, *given.kept) if x in used and x not in loop.ends]
        ends = [f"at[{places.slot(x, total=x in loop.totals)}][i]" for x in loop.ends]
        each = _elements(loop.each, read, places, ends)
    if loop.usual and loop.rare:
        usual = _elements(loop.usual, read, places, ends)
        asks = _elements(loop.rare, read, places, ["rare"])
        asks[-1] = asks[-1].replace("rare = ", "rare |= ", 1)
    return LoopView(
        name=label,
        once=once,
        given=_ones(places, loop.each) if loop.each else [],
        asks=asks,
        usual=usual,
        each=each,
        read=_mask(places.slot(x) for x in read if x in places.arrays),
        written=_mask(places.slot(x) for x in loop.ends if x in places.arrays and x not in loop.totals),
        totals=[TotalView(places.slot(x, total=True), places.one(x), op) for x, op in loop.totals.items()],
    )


def _elements(body: Body, read: list[str], places: _Places, ends: list[str]) -> list[str]:
    """Return the statements of a loop over a block."""
    used = _used(body)
    return [f"const real {x} = at[{places.slot(x)}][i];" for x in read if x in used] + _statements(body, ends)


def _ones(places: _Places, body: Body) -> list[str]:
    """Return the statements that read what is one of a row."""
    used = _used(body)
    return [f"const real {x} = one[{i}];" for i, x in enumerate(places.ones) if x in used]


def _mask(places: Iterable[int]) -> str:
    """Return places as a bit mask."""
    return hex(sum(1 << i for i in places))


def _statements(body: Body, targets: list[str]) -> list[str]:
    lines = [_let(let, body.printed[let.value]) for let in body.shared]
    for target, lets, text in zip(targets, body.local, body.texts, strict=True):
        lines += [_let(let, body.printed[let.value]) for let in lets]
        lines.append(f"{target} = {text.text};")
    return lines


def _used(body: Body) -> set[str]:
    """Return the names in the texts of statements."""
    texts = [*body.printed.values(), *(text.text for text in body.texts)]
    return {x for text in texts for x in re.findall(r"[A-Za-z_]\w*", text)}


def _let(let: Let, text: str) -> str:
    kind = "int" if let.value.op in CONDITIONS else "real"
    return f"const {kind} {let.name} = {text};"


def _helper(name: str, parameters: tuple[str, ...], body: Body) -> HelperView:
    lines = [_let(let, body.printed[let.value]) for let in (*body.shared, *body.local[0])]
    head = f"INLINE real {name}({', '.join(f'real {x}' for x in parameters)})"
    return HelperView(head, [*lines, f"return {body.texts[0].text};"])


def _declared(kind: str, functions: list[str]) -> list[str]:
    """Return declarations of functions of numbers."""
    calls = [f"{f}({', '.join(['real'] * libm.arity(f))})," for f in functions]
    lines = filled(calls, MARGIN - len(kind) - 2)
    return [f"{kind} {line.removesuffix(',')};" for line in lines]


def _flags(dtype: str, real: str) -> str:
    """Return the compiler's options for a type."""
    flags = [f"-D{_TYPES[dtype]}", *["-DWIDE"] * (real == "float64")]
    return str(flags).replace("'", '"')
