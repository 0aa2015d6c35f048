"""The view of a layer's kernels, and of what the emitted file hands to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fngen import c_view, triton_view
from fngen.c_view import CView
from fngen.fused_view import FusedView, SlopesView, fused_view, slopes_view
from fngen.kernel import Kernels
from fngen.layout import alike, bracketed
from fngen.lower import MARGIN
from fngen.node import Node
from fngen.saved import tensors_of
from fngen.several import Several
from fngen.triton_view import TritonView

_GLOBALS = (
    *("_GRADIENTS", "_PLAIN", "_SOURCES", "_VALUE"),
    *("_FEW", "_INPUTS", "_OUTPUTS", "_alike", "_autocast", "_filled", "_in_rows", "_laid_out"),
    *("_modes", "_pulled_back", "_reached", "_run", "_traced", "_transforms"),
)


@dataclass(frozen=True, eq=False, repr=False)
class KernelView:
    """The kernels in each language, and the node that they work for."""

    modules: tuple[str, ...]
    c: CView | None
    triton: TritonView | None
    seconds: bool
    sources: list[str]
    few: str
    rows: bool
    totals: int
    total: str
    shape: str
    several: list[str]
    run_head: list[str]
    parts: list[str]
    fused: FusedView
    slopes: SlopesView


def reserved(backends: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that a file with kernels defines beside the rest."""
    own = c_view.GLOBALS * ("c" in backends) + triton_view.GLOBALS * ("triton" in backends)
    return (*_GLOBALS, *own)


def imported(backends: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of what it imports."""
    return c_view.MODULES * ("c" in backends) + triton_view.MODULES * ("triton" in backends)


def kernel_view(kernels: dict[str, Kernels], node: Node | Several, *, accurate: bool) -> KernelView:
    """Return the view of kernels in some languages."""
    some, types = next(iter(kernels.values())), _types(node, accurate=accurate)
    return KernelView(
        modules=c_view.MODULES * ("c" in kernels),
        c=c_view.c_view(kernels["c"], types) if "c" in kernels else None,
        triton=triton_view.triton_view(kernels["triton"], types) if "triton" in kernels else None,
        seconds=some.seconds is not None,
        sources=_sources(some, node),
        few=_few(kernels["c"]) if "c" in kernels else "",
        rows=some.rows,
        totals=len(some.totals),
        total=some.total,
        shape="shape[:-1]" if any(node.insertions) else "(*shape[:-1], 1)" if some.narrow else "shape",
        several=_several(some, node),
        run_head=_run_head(some, node),
        parts=_parts(node),
        fused=fused_view(some, node),
        slopes=slopes_view(some, node),
    )


def _types(node: Node | Several, *, accurate: bool) -> dict[str, str]:
    """Return the types that there are kernels for, and in which each is computed."""
    reals = dict.fromkeys(("float32", "float16", "bfloat16"), "float32")
    narrow = {"float16", "bfloat16", *(["float32"] if accurate else [])}
    if accurate:
        reals["float32"] = "float64"
    # A gradient by a result that was rounded would not do.
    by_output = node.leaves == (node.names.output,)
    return {"float64": "float64"} | {t: real for t, real in reals.items() if not (by_output and t in narrow)}


def _run_head(kernels: Kernels, node: Node | Several) -> list[str]:
    """Return the first lines of what runs a kernel: without a say, that of the values."""
    wanted = alike("True", len(node.outputs))
    if kernels.totals:
        wanted = f"(True, {', '.join(['False'] * len(kernels.totals))})"
    parameters = ["which: int", "tensors: Any", f"wanted: Any = {wanted}", "*numbers: float"]
    return bracketed("def _run(", parameters, ") -> list[Any] | None:", 0)


def _sources(kernels: Kernels, node: Node | Several) -> list[str]:
    """Return for each result of each pass the place of the tensor that it belongs to, -1 for none."""
    outputs, leaves = len(node.outputs), len(kernels.leaves)
    places = {x: i for i, x in enumerate((*kernels.leaves, *kernels.shapes), outputs)}
    rows = [[-1] * (outputs + len(kernels.totals)), [places.get(x, -1) for x in tensors_of(node)]]
    rows += [[*range(outputs + leaves)]] if kernels.seconds else []
    return _table("_SOURCES", [str(tuple(row)) for row in rows])


def _few(kernels: Kernels) -> str:
    """Return for each kernel the places, in what it reads and then writes, of what is one of a row."""
    arrays = [[*kernel.reads, *kernel.results] for kernel in kernels.all]
    pairs = zip(kernels.all, arrays, strict=True)
    found = tuple(tuple(i for i, x in enumerate(names) if x in kernel.narrow) for kernel, names in pairs)
    return str(found) if any(found) or kernels.rows else ""


def _several(kernels: Kernels, node: Node | Several) -> list[str]:
    """Return the table of the outputs whose cotangents each gradient is made of, where there are several."""
    if not isinstance(node, Several):
        return []
    return _table("_OUTPUTS", [f"0b{outputs:0{len(node.outputs)}b}" for outputs in kernels.outputs])


def _parts(node: Node | Several) -> list[str]:
    """Return the table of the inputs of each output that is not made of all of them."""
    tensors = tensors_of(node)
    rows = [tuple(i for i, x in enumerate(tensors) if x in heard) for heard in node.typings]
    some = [row for row in dict.fromkeys(rows) if len(row) < len(tensors)]
    return _table("_INPUTS", [*map(str, some)]) if isinstance(node, Several) and some else []


def _table(name: str, rows: Sequence[str]) -> list[str]:
    """Return the statement of a tuple as Black lays it out."""
    flat = f"{name} = ({', '.join(rows)}{',' * (len(rows) == 1)})"
    return [flat] if len(flat) <= MARGIN else [f"{name} = (", *(x for row in rows for x in _row(row)), ")"]


def _row(row: str) -> list[str]:
    """Return an item of a tuple that does not fit in a line; one that is a tuple may not, either."""
    if len(flat := f"    {row},") <= MARGIN:
        return [flat]
    return ["    (", *(f"        {x}," for x in row[1:-1].split(", ")), "    ),"]
