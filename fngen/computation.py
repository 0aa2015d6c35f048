"""A Problem and its derivatives to kernels: the value, and the gradients from the cotangents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fngen.algebra import ZERO, add, div
from fngen.blocks import Kernel, Let
from fngen.derivatives import COTANGENT, cotangent_of
from fngen.ir import Over, Value, name, substitute_all, value
from fngen.printing.formula import FormulaPrinter
from fngen.problem import Problem
from fngen.products import product
from fngen.schedule import schedule
from fngen.spans import NOTHING, Span, spans
from fngen.totals import lowered
from fngen.wirtinger import listed

ALL = Over(None)


def both(problem: Problem, slopes: Sequence[Value]) -> tuple[Kernel, Kernel]:
    """Return the kernels of a layer: its value, and its gradients.

    Args:
        problem: The formula.
        slopes: Its derivatives, output by output.
    """
    outputs = problem.results or ((problem.output, problem.value),)
    forward = [Let(x, _reduced(problem, graph)) for x, graph in outputs]
    cotangents = [f"grad_{x}" for x, _ in outputs]
    gradients = zip(problem.inputs, _gradients(problem, slopes, cotangents), strict=False)
    backward = [Let(f"grad_{x}", _to_parameter(problem, x, graph)) for x, graph in gradients]
    if problem.complex and not problem.reduces:  # What arrives meets derivatives by two variables.
        spell = FormulaPrinter().print
        entries = [(f"{'2*' * e.twice}d_{spell(e.variable)}", e.slope) for e in listed(problem, slopes)]
        backward, cotangents = [Let(*entry) for entry in entries], []
    left = spans([graph for _, graph in outputs], problem.spans)
    arriving = {x: left[graph] for x, (_, graph) in zip(cotangents, outputs, strict=False)}
    return _kernel(problem, forward, {}), _kernel(problem, backward, arriving)


def _reduced(problem: Problem, graph: Value) -> Value:
    """Return the value with the reduction over all elements, if that is all the formula reduces."""
    return value(problem.reduction, graph, datum=ALL) if problem.reduction else graph


def _gradients(problem: Problem, slopes: Sequence[Value], cotangents: Sequence[str]) -> list[Value]:
    """Return the gradient by each input, in terms of the cotangents."""
    found, count = dict.fromkeys(problem.inputs, ZERO), len(problem.inputs)
    for i, cotangent in enumerate(cotangents):
        arriving = name(cotangent)
        if problem.reduction == "mean":
            arriving = div(arriving, value("count", name(problem.inputs[0]), datum=ALL))
        own = {name(COTANGENT): arriving, name(cotangent_of(i)): arriving}
        graphs = substitute_all(slopes[i * count : (i + 1) * count], own)
        if not problem.reduces:
            graphs = [product(arriving, graph) for graph in graphs]
        for x, graph in zip(problem.inputs, graphs, strict=True):
            found[x] = add(found[x], graph)
    return list(found.values())


def _to_parameter(problem: Problem, x: str, graph: Value) -> Value:
    """Return a gradient in the shape of what it is one of."""
    learned = x in {p.name for p in problem.params}
    return value("sum_to", graph, name(x)) if learned and graph is not ZERO else graph


def _kernel(problem: Problem, results: list[Let], known: Mapping[str, Span]) -> Kernel:
    graphs = [let.value for let in results]
    named = list(problem.named)
    simple = lowered([*graphs, *named], problem, known)
    images = dict(zip(simple[len(graphs) :], problem.named.values(), strict=True))
    ends = [Let(let.name, graph) for let, graph in zip(results, simple, strict=False)]
    wide = spans(simple, {**problem.spans, **known})
    inputs = (*known, *problem.inputs, *(c.name for c in problem.consts))
    return schedule(inputs, ends, images, lambda n: wide[n] != NOTHING)
