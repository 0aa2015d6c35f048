"""Derivatives to plans: the formula of a node and its derivatives in torch's terms, everything named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from fngen import wirtinger
from fngen.algebra import ZERO
from fngen.backends.torch import legalise
from fngen.buffers import VIEWS
from fngen.contraction import Learned
from fngen.declared import CHANNELS
from fngen.derivatives import COTANGENT, Derivatives, Joint, cotangent_at, cotangent_of
from fngen.dimensions import dropped, inserted, squeezed
from fngen.economy import complements
from fngen.extents import Extents
from fngen.functions import TABLE
from fngen.ir import REDUCTIONS, Value, name, names, postorder, substitute_all, value
from fngen.keep import budget
from fngen.kernels import slopes_as_one
from fngen.language.rules import derivative
from fngen.naming import OF_MODULE, OF_TUPLE, class_name, free_name, python_name
from fngen.node import Names
from fngen.plan import Plan, identifiers
from fngen.problem import Problem
from fngen.softmax import with_softmax
from fngen.spans import Span
from fngen.variance import from_deviations

_LONGEST = 20
"""Characters of a name in that of its gradient."""

_OF_FILE = (
    "_any_above",
    "_any_below",
    "_any_nan",
    "_as_tensors",
    "_can_look",
    "_number",
    "_others",
    "_per_channel",
    "_plus",
    "_spread",
    "_sum_in_slices",
    "_sum_of_products",
    "_sum_to",
    "_widened",
    "_WIDE",
)
"""Functions that an emitted file may define."""


def main_plan(problem: Problem, found: Derivatives, function: str, aliases: dict[str, str]) -> Plan:
    """Return the node of the formula, its variables named by ``aliases``."""
    partials, n = found.slopes, len(found.slopes)
    consts = [c.name for c in problem.consts if c.name in names([problem.value, *partials])]
    numbers = tuple(aliases[x] for x in consts)
    cls, inputs = class_name(function), (*(aliases[x] for x in problem.inputs), *numbers)
    labels = labels_of(inputs, problem.output, {function, cls, *aliases.values()})
    outputs, used = tuple(aliases[x] for x, _ in problem.results), {*labels.gradients, *labels.tangents}
    cotangents = _gradients(outputs, {*used, *aliases.values()})
    joints = _with_names(problem, found.joints, aliases, cotangents, used)
    renamed = _renamed(problem.inputs, aliases, labels, cotangents, joints)
    graphs: Sequence[Value] = (problem.value, *partials, *_quick(problem, partials, found.quick))
    graphs = (*graphs, *found.tangents, *problem.named, *(g for j in joints for g in j.graphs))
    graphs = from_deviations(
        problem.value, (*graphs, *(y for _, y in problem.results)), problem.inputs[0], complex=problem.complex
    )
    values = iter(legalise(substitute_all(graphs, renamed), numbers, complex=problem.complex))
    drops = problem.drops or (problem.dropped,)
    root, slopes, quick = next(values), tuple(islice(values, n)), tuple(islice(values, n))
    tangents = tuple(dropped(next(values), d, numbers) for _, d in zip(found.tangents, drops, strict=False))
    named = {next(values): aliases[x] for x in problem.named.values()}
    joints = tuple(joint.mapped(values) for joint in joints)
    wide = squeezed(root, problem.dropped)
    root = dropped(root, problem.dropped, numbers)
    root, wide = _owned(root), wide and _owned(wide)
    scalars = (False,) * len(problem.inputs) + (True,) * len(numbers)
    plan = Plan(function, cls, labels, scalars, root, slopes, quick, named)
    return replace(
        plan,
        results=_results(list(values), joints, drops, numbers),
        outputs=outputs,
        cotangents=cotangents,
        declared=bool(problem.grads),
        budget=_budget(problem),
        reduction=problem.reduction,
        complex=problem.complex,
        real=wirtinger.is_real(problem.value),
        own_tangents=tangents,
        inserted=inserted(problem.dropped),
        insertions=tuple(map(inserted, problem.drops)),
        joints=joints,
        wide=wide,
        extents=_extents(problem, inputs[: len(problem.inputs)]),
        learned=_learned(problem, aliases, {*identifiers(plan), *cotangents, *(j.cotangent for j in joints)}),
    )


def _budget(problem: Problem) -> tuple[int, ...]:
    """Return what autograd of the plain formula would save."""
    if problem.complex:
        return ()
    return budget(with_softmax(problem.written or problem.value), _extents(problem, problem.inputs))


def _learned(problem: Problem, aliases: dict[str, str], taken: set[str]) -> dict[str, Learned]:
    """Return the parameters, with a name for the shape of each."""
    found, taken = dict[str, Learned](), {*taken, *aliases.values()}
    for param in problem.params:
        if param.name in problem.inputs and not problem.complex:
            x = aliases[param.name]
            label = free_name(f"{x[:_LONGEST]}_shape", taken)
            taken.add(label)
            found[x] = Learned(label, param.dim == CHANNELS)
    return found


def _with_names(
    problem: Problem,
    joints: Sequence[Joint],
    aliases: dict[str, str],
    cotangents: Sequence[str],
    used: set[str],
) -> tuple[Joint, ...]:
    """Return joints with their derivatives in the cheapest form, and the names of their cotangents."""
    taken, found = {*used, *aliases.values(), *cotangents}, []
    for joint in joints:
        label = problem.named.get(joint.graph)
        stem = _gradient(aliases[label] if label else "shared")
        label = free_name(stem, taken) if joint.output is None else cotangents[joint.output]
        taken.add(label)
        quick = _quick(problem, joint.slopes)
        found.append(replace(joint, quick=quick, cotangent=label))
    return tuple(found)


def _owned(root: Value) -> Value:
    """Return a result that is no view: nobody may change one in place, as anybody may an operator's."""
    return value("clone", root) if root.op in VIEWS or root.op == "squeeze" else root


def _quick(problem: Problem, slopes: Sequence[Value], settled: tuple[Value, ...] = ()) -> tuple[Value, ...]:
    """Return derivatives in the cheapest form; ``settled`` are those of which it is known what they share."""
    found: Sequence[Value] = settled or slopes
    if not problem.complex:
        found = slopes_as_one(found, problem.value, [c.name for c in problem.consts])
    return tuple(found if settled else complements(found, problem.value))


def _results(
    graphs: Sequence[Value], joints: Sequence[Joint], drops: Sequence[Span], numbers: tuple[str, ...]
) -> tuple[Value, ...]:
    """Return several outputs without the dimensions that they do not have.

    What others need with them is not worked out again without.
    """
    found = []
    for i, (graph, dims) in enumerate(zip(graphs, drops, strict=False)):
        others = [*graphs[:i], *graphs[i + 1 :], *(s for j in joints for s in j.quick)]
        shared = set(postorder(others)) & {n for n in postorder([graph]) if n.op in REDUCTIONS}
        found.append(squeezed(graph, dims) if shared else dropped(graph, dims, numbers))
    return tuple(found)


def _renamed(
    inputs: tuple[str, ...],
    aliases: dict[str, str],
    labels: Names,
    cotangents: Sequence[str],
    joints: Sequence[Joint],
) -> dict[Value, Value]:
    """Return what stands for each variable, tangent and cotangent."""
    pairs = [*aliases.items(), *((f"{x}!", t) for x, t in zip(inputs, labels.tangents, strict=False))]
    pairs += [(COTANGENT, labels.cotangent), *((cotangent_of(j), x) for j, x in enumerate(cotangents))]
    pairs += [(cotangent_at(k), joint.cotangent) for k, joint in enumerate(joints)]
    return {name(old): name(new) for old, new in pairs}


def _extents(problem: Problem, labels: tuple[str, ...]) -> Extents:
    """Return the extents of a formula's inputs, under other names."""
    spans = problem.spans
    return Extents(labels, {y: spans[x] for x, y in zip(problem.inputs, labels, strict=True)}, problem.every)


def _gradients(labels: Iterable[str], taken: set[str]) -> tuple[str, ...]:
    """Return a name for the gradient of each of several outputs."""
    found: list[str] = []
    for label in labels:
        found.append(free_name(_gradient(label), {*taken, *found}))
    return tuple(found)


def _gradient(x: str) -> str:
    """Return the name of a gradient: statements hold two of them."""
    return f"grad_{x[:_LONGEST]}"


def labels_of(inputs: tuple[str, ...], output: str, taken: set[str]) -> Names:
    """Return the names of a node."""
    taken = set(taken)

    def fresh(stem: str) -> str:
        label = free_name(stem, taken)
        taken.add(label)
        return label

    result = fresh(python_name(output, taken))
    tangents = tuple(fresh(f"{x}_t") for x in inputs)
    gradients = tuple(fresh(_gradient(x)) for x in inputs)
    return Names(inputs, result, tangents, gradients, fresh(f"grad_{result}"))


def helper_plan(op: str) -> Plan:
    """Return the node of a function that torch itself does not differentiate."""
    row = TABLE[op]
    scalars = tuple(p in row.scalars and derivative(op, i) is None for i, p in enumerate(row.parameters))
    rules = [derivative(op, i) or ZERO for i in range(len(row.parameters))]
    slopes = tuple(legalise(rules))
    root = value(op, *map(name, row.parameters))
    labels = labels_of(row.parameters, "y", set(row.parameters))
    extents = Extents(row.parameters)
    return Plan(f"_{op}", "_" + class_name(op), labels, scalars, root, slopes, slopes, {}, extents=extents)


def aliases_of(
    problem: Problem, parameters: tuple[str, ...], function: str, helpers: set[str]
) -> dict[str, str]:
    """Return an identifier of Python for each variable."""
    cls = class_name(function)
    taken = {function, cls, f"{cls}Function", f"_{cls}Reverse", f"_{cls}Eager", *_OF_FILE, *helpers}
    aliases: dict[str, str] = {}
    consts = [c.name for c in problem.consts]
    attributes = {*consts, *(p.name for p in problem.params)}
    outputs = [label for label, _ in problem.results]
    everything = (*parameters, *problem.inputs, *problem.named.values(), *outputs, *consts)
    for variable in dict.fromkeys(everything):
        hidden = OF_MODULE if variable in attributes else OF_TUPLE if variable in outputs else frozenset()
        aliases[variable] = python_name(variable, {*taken, *aliases.values(), *hidden})
    return aliases
