"""The view of a layer's kernels: what the emitted file hands to them, and the node of a value from one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fngen import c_view, triton_view
from fngen.c_view import CView
from fngen.kernel import Kernel, Kernels
from fngen.layout import bracketed, tuple_lines, typed
from fngen.node import Node
from fngen.node_view import tuple_type
from fngen.saved import if_wanted, keep_numbers, numbers_of, read_numbers, stored, tensors_of
from fngen.triton_view import TritonView

_GLOBALS = (
    *("_GRADIENTS", "_PLAIN", "_SOURCES", "_VALUE"),
    *("_FEW", "_autocast", "_in_rows", "_laid_out", "_modes", "_run", "_traced", "_transforms"),
)


@dataclass(frozen=True, eq=False, repr=False)
class KernelView:
    """The kernels in each language, and the node that they work for."""

    cls: str
    modules: tuple[str, ...]
    c: CView | None
    triton: TritonView | None
    seconds: bool
    sources: str
    few: str
    rows: bool
    totals: int
    total: str
    shape: str
    forward_head: list[str]
    keep: list[str]
    backward_head: list[str]
    read: list[str]
    again: list[str]
    slopes: SlopesView
    returned: str


@dataclass(frozen=True, eq=False, repr=False)
class SlopesView:
    """The node of the gradients from a kernel."""

    cls: str
    apply: list[str]
    forward_head: list[str]
    keep: list[str]
    kept: list[str]
    run: list[str]
    again: list[str]
    returned: str


def reserved(backends: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that a file with kernels defines beside the rest."""
    own = c_view.GLOBALS * ("c" in backends) + triton_view.GLOBALS * ("triton" in backends)
    return (*_GLOBALS, *own)


def imported(backends: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of what it imports."""
    return c_view.MODULES * ("c" in backends) + triton_view.MODULES * ("triton" in backends)


def kernel_view(kernels: dict[str, Kernels], node: Node, *, accurate: bool) -> KernelView:
    """Return the view of kernels in some languages."""
    some, types = next(iter(kernels.values())), _types(node, accurate=accurate)
    return KernelView(
        cls=f"_{node.cls}Fused",
        modules=c_view.MODULES * ("c" in kernels),
        c=c_view.c_view(kernels["c"], types) if "c" in kernels else None,
        triton=triton_view.triton_view(kernels["triton"], types) if "triton" in kernels else None,
        seconds=some.seconds is not None,
        sources=_sources(some, node),
        few=_few(kernels["c"]) if "c" in kernels else "",
        rows=some.rows,
        totals=len(some.totals),
        total=some.total,
        shape="shape[:-1]" if node.inserted else "(*shape[:-1], 1)" if some.narrow else "shape",
        returned=_returned(node),
        slopes=_slopes(some, node),
        **_python(some, node),
    )


def _types(node: Node, *, accurate: bool) -> dict[str, str]:
    """Return the types that there are kernels for, and in which each is computed."""
    reals = dict.fromkeys(("float32", "float16", "bfloat16"), "float32")
    narrow = {"float16", "bfloat16", *(["float32"] if accurate else [])}
    if accurate:
        reals["float32"] = "float64"
    # A gradient by a result that was rounded would not do.
    by_output = node.leaves == (node.names.output,)
    return {"float64": "float64"} | {t: real for t, real in reals.items() if not (by_output and t in narrow)}


def _python(kernels: Kernels, node: Node) -> dict[str, list[str]]:
    """Return the statements around the kernels."""
    grad = node.names.cotangent
    parameters = ["ctx: Any", *typed(node.names.inputs, node.scalars), "output: list[Tensor]"]
    kinds = tuple_type([*("None" if s else "Tensor | None" for s in node.scalars), "None"])
    read = [
        f"{_spread(node, grad)} if {x} is None else {x}" if _partly(kernels, node, x) else x
        for x in kernels.leaves
    ]
    given = ["_GRADIENTS", "kept", "ctx.needs_input_grad", *kernels.gradients.numbers.values()]
    return {
        "forward_head": bracketed("def forward(", parameters, ") -> Tensor:", 4),
        "keep": _keep(kernels, node),
        "backward_head": bracketed("def backward(", ["ctx: Any", f"{grad}: Tensor"], f") -> {kinds}:", 4),
        "read": [
            *_saved(kernels, node),
            *tuple_lines([_spread(node, grad), *read, *kernels.shapes, *kernels.totals], 8, "kept = "),
            *bracketed("output = _run(", given, ")", 8),
        ],
        "again": _again(kernels, node),
    }


def _spread(node: Node, cotangent: str) -> str:
    """Return a cotangent with the dimensions that it lacks."""
    return cotangent + "".join(f".unsqueeze({d})" for d in node.inserted)


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
    kept += [*kernels.shapes, *(["*output[1:]"] if kernels.totals else [])]
    return lines + (bracketed("ctx.save_for_backward(", kept, ")", 8) if kept else [])


def _saved(kernels: Kernels, node: Node) -> list[str]:
    """Return the statements that read it: once, as checkpoints want it."""
    lines = ["        saved = ctx.saved_tensors"]
    names = [*node.leaves, *kernels.shapes, *kernels.totals]
    lines += tuple_lines(names, 8, tail=" = saved") if names else []
    return lines + read_numbers(node, _words(kernels.gradients), 8)


def _words(given: Kernel) -> set[str]:
    """Return the names in the numbers of a pass."""
    return {x for text in given.numbers.values() for x in re.findall(r"[A-Za-z_]\w*", text)}


def _leaves(kernels: Kernels, node: Node) -> str:
    """Return what is saved of the leaves."""
    return f"saved[:{len(node.leaves)}]" if kernels.shapes or kernels.totals else "saved"


def _again(kernels: Kernels, node: Node) -> list[str]:
    """Return the statements that leave the gradients to torch."""
    grad, several = node.names.cotangent, len(node.scalars) > 1
    given = [f"saved_tensors={_leaves(kernels, node)}", "needs_input_grad=ctx.needs_input_grad"]
    given += ["numbers=ctx.numbers"] * bool(numbers_of(node))
    context = bracketed("again = SimpleNamespace(", given, ")", 12)
    return [*context, f"            return {'*' * several}{node.reverse}.backward(again, {grad}), None"]


def _sources(kernels: Kernels, node: Node) -> str:
    """Return for each result of each pass the place of the tensor that it belongs to, -1 for none."""
    places = {x: i for i, x in enumerate((*kernels.leaves, *kernels.shapes), 1)}
    rows = [[-1] * (1 + len(kernels.totals)), [places.get(x, -1) for x in tensors_of(node)]]
    rows += [[*range(len(kernels.leaves) + 1)]] if kernels.seconds else []
    return str(tuple(map(tuple, rows)))


def _few(kernels: Kernels) -> str:
    """Return for each kernel the places, in what it reads and then writes, of what is one of a row."""
    arrays = [[*kernel.reads, *kernel.results] for kernel in kernels.all]
    pairs = zip(kernels.all, arrays, strict=True)
    found = tuple(tuple(i for i, x in enumerate(names) if x in kernel.narrow) for kernel, names in pairs)
    return str(found) if any(found) or kernels.rows else ""


def _slopes(kernels: Kernels, node: Node) -> SlopesView:
    """Return the view of the node of the gradients."""
    cls, grad, leaves = f"_{node.cls}Slopes", node.names.cotangent, list(node.leaves)
    numbers = ["numbers"] * bool(numbers_of(node))
    extra = [*numbers, "wanted", "output"]
    given = ["_SECONDS", "(*kept, *weights)", "ctx.needs_input_grad"]
    given += [*kernels.seconds.numbers.values()] if kernels.seconds else []
    typed_leaves = [f"{x}: Tensor{' | None' if _partly(kernels, node, x) else ''}" for x in leaves]
    parameters = ["ctx: Any", f"{grad}: Tensor", *typed_leaves, *(f"{x}: Any" for x in extra)]
    again = ["saved_tensors=primals[1:]", "needs_input_grad=ctx.wanted", *(f"{x}=ctx.{x}" for x in numbers)]
    read = read_numbers(node, _words(kernels.seconds), 12) if kernels.seconds else []
    kept = [f"{grad} if {x} is None else {x}" if _partly(kernels, node, x) else x for x in leaves]
    rule = f"{node.reverse}.backward(again, primals[0])"
    return SlopesView(
        cls=cls,
        apply=bracketed(
            f"output = {cls}.apply(",
            [
                grad,
                f"*{_leaves(kernels, node)}",
                *(f"ctx.{x}" for x in numbers),
                "ctx.needs_input_grad",
                "output",
            ],
            ")",
            12,
        ),
        forward_head=bracketed("def forward(", parameters, ") -> tuple[Tensor | None, ...]:", 4),
        keep=[
            *bracketed("ctx.save_for_backward(", [grad, *leaves], ")", 8),
            f"        {', '.join(f'ctx.{x}' for x in extra[:-1])} = {', '.join(extra[:-1])}",
        ],
        kept=[
            *(tuple_lines([grad, *leaves], 12, tail=" = saved") if kept != leaves else []),
            *read,
            *(tuple_lines([grad, *kept], 12, "kept = ") if kept != leaves else ["            kept = saved"]),
        ],
        run=bracketed("output = _run(", given, ")", 12),
        again=[
            *bracketed("again = SimpleNamespace(", again, ")", 12),
            f"            found = {rule if len(node.scalars) > 1 else f'({rule},)'}",
        ],
        returned=f"return *output, {', '.join(['None'] * len(extra))}",
    )


def _returned(node: Node) -> str:
    """Return the statement that returns what a kernel has worked out, input by input."""
    nothing = ["None"] * (node.scalars.count(True) + 1)
    return f"return *output, {', '.join(nothing)}"
