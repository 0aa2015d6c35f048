"""The stages in a row; alone in importing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from fngen import differentiate, joints, layer, prefix, problem, wirtinger
from fngen.derivatives import Derivatives
from fngen.ir import Value
from fngen.node import Layer
from fngen.prefix import Core
from fngen.problem import Problem
from fngen.render import render
from fngen.source import Source
from fngen.spec import Spec
from fngen.stabilise import stage
from fngen.view import view

if TYPE_CHECKING:
    from fngen.kernel import Kernels


@lru_cache(maxsize=64)
def generate(spec: Spec) -> Source:
    """Return the source of a differentiable torch layer; the last ones are remembered."""
    with spec.as_typed():
        return _generate(spec)


def _generate(spec: Spec, *, whole: bool = True) -> Source:
    """Return the source; a kernel is one of the ``whole`` formula, for it reads each input once."""
    parsed = problem.read(spec)
    name = spec.name or parsed.name
    stable = stage.recognised(parsed) if spec.stabilise else parsed
    whole = whole and spec.backends != ("torch",)
    core = prefix.whole(stable) if whole else prefix.split(stable)
    given = core.problem.value
    found = derivatives(core.problem, spec)
    partials = found.slopes if core.problem is stable else derivatives(stable, spec).slopes
    claim = None
    if spec.stabilise:
        slopes = partial(_slopes, core.problem, spec)
        best, found, claim = stage.finished(core.problem, found, slopes, spec.effort)
        claim = claim and claim.of(dict(zip(best.inputs, core.arguments, strict=True)))
        core = replace(core, problem=best)
    built = _built(core, parsed.inputs, found, name, spec)
    if whole and not built.kernels:
        return _generate(spec, whole=False)
    # Of a whole formula, a softmax is inside the node, which is of no integer.
    if stable.value is not parsed.value or core.problem.value is not given or (whole and parsed.reduces):
        built = replace(built, floating=True)
    shown = view(spec, parsed, partials, built, claim)
    return Source(name, render(shown), spec, tuple(shown.equations), built.missing)


def _built(core: Core, inputs: tuple[str, ...], found: Derivatives, name: str, spec: Spec) -> Layer:
    """Return the layer, with its kernels if these are asked for."""
    wanted = tuple(b for b in spec.backends if b != "torch")
    if not wanted:
        return layer.build(core, inputs, found, name, lean=spec.lean)
    from fngen import kernel_view, passes  # Of no use to most files, and a part of the time of a run.
    from fngen.backends.kernels import LANGUAGES, TITLES
    from fngen.backends.libm import NoKernel

    reserved = kernel_view.reserved(wanted)
    built = layer.build(core, inputs, found, name, lean=spec.lean, reserved=reserved)
    kernels: dict[str, Kernels] = {}
    missing: dict[str, list[str]] = {}
    for backend in wanted:
        try:
            if name in kernel_view.imported(wanted):
                raise NoKernel(f"a file with kernels imports another {name!r}")
            kernels[backend] = passes.build(
                core.problem, found, built.main, LANGUAGES[backend], alone=len(wanted) == 1
            )
        except NoKernel as error:
            missing.setdefault(error.message, []).append(TITLES[backend])
    why = "; ".join(f"no kernels in {' and '.join(titles)}: {message}" for message, titles in missing.items())
    return replace(built, kernels=kernels or None, missing=why)


def derivatives(parsed: Problem, spec: Spec) -> Derivatives:
    """Return the derivatives of a formula as they are computed."""
    found = derive(parsed)
    return stage.recognised_again(found) if spec.stabilise and not parsed.complex else found


def _slopes(parsed: Problem, spec: Spec, graph: Value, inputs: Sequence[str]) -> Sequence[Value]:
    """Return the derivatives of a graph by some variables."""
    alone = replace(parsed, value=graph, inputs=tuple(inputs), grads=(), written=None)
    return derivatives(alone, spec).slopes


def derive(parsed: Problem) -> Derivatives:
    """Return the partial derivative by each input, of each output; of a complex layer, what wirtinger says.

    Raises:
        FormulaError: If a function has no known derivative where one is needed.
    """
    try:
        if parsed.reduces:
            return _across_reductions(parsed)
        if parsed.complex:
            return Derivatives(wirtinger.partials(parsed.value, parsed.inputs, parsed.named))
        if parsed.results:
            outputs, inputs = [y for _, y in parsed.results], parsed.inputs
            rows = (differentiate.partials(y, inputs, parsed.named) for y in outputs)
            found = joints.pointwise(outputs, inputs, tuple(parsed.named))
            return Derivatives(tuple(slope for row in rows for slope in row), joints=found)
        declared = dict(parsed.grads)
        wanted = [x for x in parsed.inputs if x not in declared]
        slopes = iter(differentiate.partials(parsed.value, wanted, parsed.named))
        return Derivatives(tuple(declared[x] if x in declared else next(slopes) for x in parsed.inputs))
    except differentiate.NoDerivative as error:
        node = next((n for n in parsed.reading.places if n.op == error.op), parsed.value)
        message = f"no derivative of {error.op} by its argument {error.parameter!r} is known"
        raise parsed.reading.error(message, node, "That argument must be a constant.") from None


def _across_reductions(parsed: Problem) -> Derivatives:
    """Return the gradients and tangents of a formula with reductions inside."""
    from fngen import adjoints  # Of no use to most formulas, and a part of the time of a run.

    if parsed.results:
        outputs = [y for _, y in parsed.results]
        return adjoints.of_several(outputs, parsed.inputs, parsed.params, tuple(parsed.named))
    if parsed.complex:
        from fngen import complex_adjoints

        return complex_adjoints.derivatives(parsed.value, parsed.inputs, parsed.params, parsed.named)
    declared = dict(parsed.grads)
    return adjoints.derivatives(parsed.value, parsed.inputs, parsed.params, parsed.named, declared)
