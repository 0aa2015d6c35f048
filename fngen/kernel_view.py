"""The view of a layer's kernels: the texts of their source, and what the emitted file hands to them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fngen.backends import c
from fngen.ir import CONDITIONS, Let
from fngen.layout import bracketed, filled, tuple_lines, typed
from fngen.lower import MARGIN, Target, lower
from fngen.node import Node
from fngen.node_view import tuple_type
from fngen.passes import Kernels, Pass
from fngen.printing.c import CPrinter
from fngen.saved import if_wanted, keep_numbers, numbers_of, read_numbers, stored, tensors_of

GLOBALS = (
    *("_ALONG", "_COMMAND", "_GRADIENTS", "_LEVELS", "_ROUNDING", "_SOURCE", "_SOURCES", "_STILL"),
    *("_built", "_cache", "_forked", "_intact", "_kernels", "_laid_out", "_library", "_loaded", "_own"),
    *("_PLAIN", "_autocast", "_modes", "_run", "_seal", "_TYPES", "_VALUE", "_traced", "_transforms"),
)
"""What a file with kernels defines beside the rest."""
MODULES = (
    "ctypes",
    "hashlib",
    "os",
    "shlex",
    "shutil",
    "stat",
    "struct",
    "subprocess",
    "tempfile",
    "warnings",
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
class KernelView:
    """The source, and the node that it works for."""

    cls: str
    modules: tuple[str, ...]
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
    sources: str
    forward_head: list[str]
    keep: list[str]
    backward_head: list[str]
    guard: str
    read: list[str]
    again: list[str]
    returned: str


def kernel_view(kernels: Kernels, node: Node, *, accurate: bool) -> KernelView:
    """Return the view of kernels."""
    grad = node.names.cotangent
    passes = [_pass(p) for p in (kernels.value, kernels.gradients)]
    helpers = [_helper(h) for h in kernels.helpers]
    text = "\n".join(
        [*(line for p in passes for line in p.body), *(line for h in helpers for line in h.body)]
    )
    return KernelView(
        cls=f"_{node.cls}Fused",
        modules=MODULES,
        library=list(kernels.library),
        vector=_declared("VECTOR real", [f for f in kernels.library if f in c.VECTOR]),
        scalar=_declared("CONST real", [f for f in kernels.library if f not in c.VECTOR]),
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
        types=_types(node, accurate=accurate),
        sources=_sources(kernels, node),
        guard=f"return {'*' * (len(node.scalars) > 1)}{node.reverse}.backward(ctx, {grad}), None",
        returned=_returned(node),
        **_python(kernels, node),
    )


def _pass(given: Pass) -> PassView:
    body = given.body
    lines = [f"const real {x} = in[{i}][i];" for i, x in enumerate(given.reads)]
    lines += [_let(let, body.printed[let.value]) for let in body.shared]
    for i, (lets, text) in enumerate(zip(body.local, body.texts, strict=True)):
        lines += [_let(let, body.printed[let.value]) for let in lets]
        lines.append(f"out[{i}][i] = {text.text};")
    numbers = [f"const real {x} = (real)number[{i}];" for i, x in enumerate(given.numbers)]
    return PassView(given.name, len(given.reads), len(given.reads) + len(given.results), numbers, lines)


def _let(let: Let, text: str) -> str:
    kind = "int" if let.value.op in CONDITIONS else "real"
    return f"const {kind} {let.name} = {text};"


def _helper(helper: c.Helper) -> HelperView:
    parameters = ", ".join(f"real {x}" for x in helper.parameters)
    target = Target(helper.value, MARGIN - len("    return ;"))
    taken = {*helper.parameters, *c.reserved()}
    body = lower([target], CPrinter(), taken, {}, 4 + len("const real  = ;"))
    lines = [_let(let, body.printed[let.value]) for let in (*body.shared, *body.local[0])]
    head = f"INLINE real {helper.name}({parameters})"
    return HelperView(head, [*lines, f"return {body.texts[0].text};"])


def _declared(kind: str, functions: list[str]) -> list[str]:
    """Return declarations of functions of numbers."""
    calls = [f"{f}({', '.join(['real'] * c.arity(f))})," for f in functions]
    lines = filled(calls, MARGIN - len(kind) - 2)
    return [f"{kind} {line.removesuffix(',')};" for line in lines]


def _meant(meaning: str) -> str:
    return f" /* {meaning} */" if meaning else ""


def _types(node: Node, *, accurate: bool) -> list[tuple[str, str]]:
    """Return the types that there are kernels for, and the compiler's options for each."""
    narrow = {"float16", "bfloat16", *(["float32"] if accurate else [])}
    wide = {"float64", *(["float32"] if accurate else [])}
    # A gradient by a result that was rounded would not do.
    served = [t for t in _TYPES if t not in narrow or node.leaves != (node.names.output,)]
    return [(t, str([f"-D{_TYPES[t]}", *["-DWIDE"] * (t in wide)]).replace("'", '"')) for t in served]


def _python(kernels: Kernels, node: Node) -> dict[str, list[str]]:
    """Return the statements around the kernels."""
    grad = node.names.cotangent
    parameters = ["ctx: Any", *typed(node.names.inputs, node.scalars), "output: list[Tensor]"]
    kinds = tuple_type([*("None" if s else "Tensor | None" for s in node.scalars), "None"])
    read = [f"{grad} if {x} is None else {x}" if _partly(kernels, node, x) else x for x in kernels.leaves]
    given = ["_GRADIENTS", "kept", "ctx.needs_input_grad", *kernels.gradients.numbers.values()]
    return {
        "forward_head": bracketed("def forward(", parameters, ") -> Tensor:", 4),
        "keep": _keep(kernels, node),
        "backward_head": bracketed("def backward(", ["ctx: Any", f"{grad}: Tensor"], f") -> {kinds}:", 4),
        "read": [
            *_saved(kernels, node),
            *tuple_lines([grad, *read], 8, "kept = "),
            *bracketed("output = _run(", given, ")", 8),
        ],
        "again": _again(node),
    }


def _partly(kernels: Kernels, node: Node, leaf: str) -> bool:
    """Say whether a leaf is kept only where a gradient needs it."""
    return _users(kernels, node)[leaf] != node.every_input


def _users(kernels: Kernels, node: Node) -> dict[str, int]:
    """Return for each leaf the inputs whose gradients need it, in C or in torch, as a bit mask."""
    assert node.eager is not None
    in_torch = dict(zip(node.eager.keeps, node.eager.wanted, strict=True))
    in_c = dict(zip(kernels.leaves, kernels.users, strict=True))
    return {x: in_torch[x] | in_c.get(x, 0) for x in node.leaves}


def _keep(kernels: Kernels, node: Node) -> list[str]:
    """Return the statements that keep what gradients are made of."""
    users, every = _users(kernels, node), node.every_input
    lines = [f"        {line}" for line in keep_numbers(numbers_of(node))]
    if any(mask != every for mask in users.values()):
        lines.append("        wanted = ctx.needs_input_grad")
    own = {node.names.output: "output[0]"}
    kept = [if_wanted(own.get(x) or stored(node, x), mask, every) for x, mask in users.items()]
    return lines + (bracketed("ctx.save_for_backward(", kept, ")", 8) if kept else [])


def _saved(kernels: Kernels, node: Node) -> list[str]:
    """Return the statements that read it: once, as checkpoints want it."""
    names = [x if x in kernels.leaves else "_" for x in node.leaves]
    used = {x for text in kernels.gradients.numbers.values() for x in re.findall(r"[A-Za-z_]\w*", text)}
    lines = ["        saved = ctx.saved_tensors"]
    if set(names) - {"_"}:
        lines += tuple_lines(names, 8, tail=" = saved")
    return lines + read_numbers(node, used, 8)


def _again(node: Node) -> list[str]:
    """Return the statements that leave the gradients to torch."""
    grad, several = node.names.cotangent, len(node.scalars) > 1
    given = ["saved_tensors=saved", "needs_input_grad=ctx.needs_input_grad"]
    given += ["numbers=ctx.numbers"] * bool(numbers_of(node))
    context = bracketed("again = SimpleNamespace(", given, ")", 12)
    return [*context, f"            return {'*' * several}{node.reverse}.backward(again, {grad}), None"]


def _sources(kernels: Kernels, node: Node) -> str:
    """Return for each result of each pass the place of the input that it belongs to, -1 for none."""
    places = {x: i for i, x in enumerate(kernels.leaves, 1)}
    found = [str(places.get(x, -1)) for x in tensors_of(node)]
    return f"((-1,), ({', '.join(found)}{',' * (len(found) == 1)}))"


def _returned(node: Node) -> str:
    """Return the statement that returns what a kernel has worked out, input by input."""
    nothing = ["None"] * (node.scalars.count(True) + 1)
    return f"return *output, {', '.join(nothing)}"
