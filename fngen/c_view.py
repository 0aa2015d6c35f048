"""The view of a layer's kernels in C: the texts of their source."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fngen.backends import libm
from fngen.ir import CONDITIONS, Let
from fngen.kernel import Kernels, Pass
from fngen.layout import filled
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
class PassView:
    """A function of a block."""

    name: str
    reads: int
    all: int
    numbers: list[str]
    body: list[str]


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
    constants: list[str]
    helpers: list[HelperView]
    passes: list[PassView]
    arrays: int
    numbers: int
    types: list[tuple[str, str]]


def c_view(kernels: Kernels, types: dict[str, str]) -> CView:
    """Return the view of kernels for types, each computed in one."""
    passes = [_pass(p) for p in kernels.passes]
    helpers = [_helper(*helper) for helper in kernels.helpers]
    text = "\n".join(
        [*(line for p in passes for line in p.body), *(line for h in helpers for line in h.body)]
    )
    return CView(
        library=list(kernels.library),
        vector=_declared("VECTOR real", [f for f in kernels.library if f in libm.VECTOR]),
        scalar=_declared("CONST real", [f for f in kernels.library if f not in libm.VECTOR]),
        circular={"sin", "cos"} <= {*kernels.library},
        nan="NAN" in text,
        chooses="choose(" in text,
        constants=[
            f"static const real {k.name} = {k.literal};{_meant(k.meaning)}" for k in kernels.constants
        ],
        helpers=helpers,
        passes=passes,
        arrays=max(p.all for p in passes),
        numbers=max(1, *(len(p.numbers) for p in passes)),
        types=[(t, _flags(t, real)) for t, real in types.items()],
    )


def _pass(given: Pass) -> PassView:
    body = given.body
    used = _used(body)
    lines = [f"const real {x} = in[{i}][i];" for i, x in enumerate(given.reads) if x in used]
    lines += [_let(let, body.printed[let.value]) for let in body.shared]
    for i, (lets, text) in enumerate(zip(body.local, body.texts, strict=True)):
        lines += [_let(let, body.printed[let.value]) for let in lets]
        lines.append(f"out[{i}][i] = {text.text};")
    numbers = [f"const real {x} = (real)number[{i}];" for i, x in enumerate(given.numbers)]
    return PassView(given.name, len(given.reads), len(given.reads) + len(given.results), numbers, lines)


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


def _meant(meaning: str) -> str:
    return f" /* {meaning} */" if meaning else ""


def _flags(dtype: str, real: str) -> str:
    """Return the compiler's options for a type."""
    flags = [f"-D{_TYPES[dtype]}", *["-DWIDE"] * (real == "float64")]
    return str(flags).replace("'", '"')
