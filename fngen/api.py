"""The library: the command's verbs as functions, its options as keywords."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fngen import pipeline
from fngen.errors import OptionError
from fngen.installed import require_torch
from fngen.source import Source
from fngen.spec import Declarations, Spec
from fngen.timing.request import SECONDS, SIZES, THREADS, Request

if TYPE_CHECKING:
    from sympy import Expr

    from fngen.measurement.report import Accuracy
    from fngen.timing.report import Bench
    from fngen.verification.report import Report


def generate(
    expr: str | Expr | Callable[..., Any],
    *,
    name: str | None = None,
    inputs: Iterable[str] | None = None,
    backend: str | Iterable[str] = "torch",
    lean: bool = False,
    complex: bool = False,
    params: Declarations = (),
    consts: Declarations = (),
    grads: Declarations = (),
    outputs: Iterable[str] | None = None,
    latex: bool = False,
    stabilise: bool = True,
    accurate: bool = False,
    effort: int = 1,
) -> Source:
    """Return the source of a layer.

    Args:
        expr: A formula in fngen's language, a SymPy expression, or a Python function, which is called once.
        name: Name of file, function and (in CamelCase) class. Default: derived from the formula.
        inputs: The inputs in order. Default: order of first appearance.
        backend: What the file contains.
        lean: Keep inputs and outputs only for the backward, and compute the rest again.
        complex: The inputs are complex tensors.
        params: The learnable parameters with their first values: ``{"beta": 1.0}`` for one number,
            ``{"w[C]": 0.25}`` for one each channel, ``{"w[-1]": 1.0}`` for one along the last dimension.
        consts: Numbers with defaults that the module's constructor and the function can override.
        grads: Formulas in place of derivatives, which second ones follow; ``{"x": "1"}`` passes gradients on.
        outputs: The assigned names that come back, in order. Default: those that are not used.
        latex: The formula is written in LaTeX; ``.spec.formula`` of the result is what was read.
        stabilise: Compute the formula in a form that keeps its digits; without, as it is written.
        accurate: Compute float32 in float64 and round once, as float16 and bfloat16 are in float32 always.
        effort: How many times as much time digits are worth, of the generator and of the layer: 1 to 100.

    Returns:
        The source: ``.text``, ``.name``, ``.write(path)``.

    Raises:
        FormulaError: If the formula cannot be read or differentiated.
        OptionError: If a keyword has a value that it cannot have.
    """
    how = (lean, complex, params, consts, grads, outputs, latex, stabilise, accurate, effort)
    return pipeline.generate(spec(expr, name, inputs, backend, *how))


def compile(
    expr: str | Expr | Callable[..., Any],
    *,
    name: str | None = None,
    inputs: Iterable[str] | None = None,
    backend: str | Iterable[str] = "torch",
    lean: bool = False,
    complex: bool = False,
    params: Declarations = (),
    consts: Declarations = (),
    grads: Declarations = (),
    outputs: Iterable[str] | None = None,
    latex: bool = False,
    stabilise: bool = True,
    accurate: bool = False,
    effort: int = 1,
) -> ModuleType:
    """Return the module of a layer, imported from memory.

    Takes the arguments of :func:`generate` and raises what it raises. The module holds the
    function, the ``nn.Module`` and the autograd node, as the written file would.
    """
    from fngen.load import load

    how = (lean, complex, params, consts, grads, outputs, latex, stabilise, accurate, effort)
    return load(pipeline.generate(spec(expr, name, inputs, backend, *how)))


def verify(source: Source | str | Path) -> Report:
    """Test a layer against torch autograd of its plain formula.

    Args:
        source: What :func:`generate` returned, or the path of an emitted file.

    Returns:
        The report: ``.ok``, ``.checks``, and a table as its text.

    Raises:
        FileError: If the file cannot be read or imported, or is not one of fngen's.
        VerificationError: If there is no point at which the formula can be tested, or no torch.
    """
    require_torch()
    from fngen.verification.subject import opened
    from fngen.verification.verify import verify as test

    return test(*opened(source))


def measure(
    source: Source | str | Path, *, dtypes: str | Iterable[str] = ("float32", "float64"), points: int = 1000
) -> Accuracy:
    """Measure the errors of a layer on this machine, in units of the last place against exact values.

    Args:
        source: What :func:`generate` returned, or the path of an emitted file.
        dtypes: The formats: of ``float16``, ``bfloat16``, ``float32``, ``float64``.
        points: How many points to draw in each, edges of the format not counted. Of a format of 16 bits and
            a formula of one input, 65536 are all.

    Returns:
        The report: ``.ok``, ``.errors``, ``.gaps`` for what cannot be measured, a table as its text, and
        ``.plot(path)``, which draws an SVG or PNG.

    Raises:
        FileError: If the file cannot be read or imported, or is not one of fngen's.
        OptionError: If a keyword has a value that it cannot have.
    """
    from fngen.measurement.measure import measure as test
    from fngen.measurement.request import checked_dtypes, checked_points
    from fngen.verification.subject import opened

    require_torch()
    wanted = checked_dtypes(dtypes), checked_points(points)
    return test(*opened(source), *wanted)


def bench(
    source: Source | str | Path,
    *,
    sizes: Iterable[int] = SIZES,
    threads: Iterable[int] = THREADS,
    dtype: str = "float32",
    seconds: float = SECONDS,
    compiled: bool = False,
) -> Bench:
    """Time a layer on this machine beside plain autograd of its formula: both in one process, interleaved.

    Args:
        source: What :func:`generate` returned, or the path of an emitted file.
        sizes: Numbers of elements.
        threads: Numbers of threads.
        dtype: The type of the tensors: ``float32``, ``float64``, ``float16`` or ``bfloat16``.
        seconds: How long each cell is measured; seven rounds at least.
        compiled: Time ``torch.compile`` of the plain formula too.

    Returns:
        The report: ``.cells`` with medians in µs and their ratios to plain autograd's, ``.memory``, a table
        as its text, ``.to_dict()`` and ``.plot(path)``, which draws an SVG or PNG.

    Raises:
        FileError: If the file cannot be read or imported, or is not one of fngen's.
        OptionError: If a keyword has a value that it cannot have.
        VerificationError: If there is no point at which the formula is finite, or no torch.
    """
    request = Request.create(sizes, threads, dtype, seconds, compiled=compiled)
    require_torch()
    from fngen.timing.run import bench as run
    from fngen.verification.subject import opened

    return run(*opened(source), request)


def spec(
    expr: str | Expr | Callable[..., Any],
    name: str | None = None,
    inputs: Iterable[str] | None = None,
    backend: str | Iterable[str] = "torch",
    lean: bool = False,
    complex: bool = False,
    params: Declarations = (),
    consts: Declarations = (),
    grads: Declarations = (),
    outputs: Iterable[str] | None = None,
    latex: bool = False,
    stabilise: bool = True,
    accurate: bool = False,
    effort: int = 1,
) -> Spec:
    """Return the checked request of these arguments."""
    if latex and not isinstance(expr, str):
        raise OptionError("LaTeX is text", "Leave latex out.", option="latex")
    given: dict[str, Any] = {"name": name, "inputs": inputs, "outputs": outputs, "latex": latex}
    given |= {"params": params, "consts": consts, "grads": grads}
    if callable(expr) and not hasattr(expr, "free_symbols"):
        from fngen.tracing import request

        expr, given = request(expr, given, complex=complex)
    elif not isinstance(expr, str):
        from fngen.from_sympy import formula

        expr = formula(expr, complex=complex)
    given |= {
        "lean": lean,
        "complex": complex,
        "stabilise": stabilise,
        "accurate": accurate,
        "effort": effort,
    }
    return Spec.create(expr, backend=backend, **given)
