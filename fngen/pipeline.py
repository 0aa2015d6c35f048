"""The stages in a row; alone in importing them."""

from __future__ import annotations

from fngen import differentiate, layer, prefix, problem, wirtinger
from fngen.ir import Value
from fngen.problem import Problem
from fngen.render import render
from fngen.source import Source
from fngen.spec import Spec
from fngen.view import view


def generate(spec: Spec) -> Source:
    """Return the source of a differentiable torch layer."""
    parsed = problem.read(spec)
    partials = derive(parsed)
    name = spec.name or parsed.name
    core = prefix.split(parsed)
    slopes = partials if core.problem is parsed else derive(core.problem)
    built = layer.build(core, parsed.inputs, slopes, name, lean=spec.lean)
    return Source(name, render(view(spec, parsed, partials, built)), spec)


def derive(parsed: Problem) -> tuple[Value, ...]:
    """Return the partial derivative by each input; of a complex layer, what wirtinger says.

    Raises:
        FormulaError: If a function has no known derivative where one is needed.
    """
    try:
        partials = wirtinger.partials if parsed.complex else differentiate.partials
        return partials(parsed.value, parsed.inputs, parsed.named)
    except differentiate.NoDerivative as error:
        node = next((n for n in parsed.reading.places if n.op == error.op), parsed.value)
        message = f"no derivative of {error.op} by its argument {error.parameter!r} is known"
        raise parsed.reading.error(message, node, "That argument must be a constant.") from None
