"""A node before its statements are written: its formula, its derivatives, its names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fngen import wirtinger
from fngen.algebra import ZERO
from fngen.backends.scalars import IF_ELSE
from fngen.backends.torch import legalise
from fngen.derivatives import COTANGENT, Derivatives, cotangent_of
from fngen.dimensions import dropped, inserted, squeezed
from fngen.economy import complements
from fngen.extents import Extents
from fngen.functions import TABLE
from fngen.ir import Value, name, names, postorder, substitute_all, value
from fngen.keep import budget
from fngen.language.rules import derivative
from fngen.lower import Constant, hoist_constants
from fngen.naming import OF_MODULE, OF_TUPLE, class_name, free_name, python_name
from fngen.node import Names
from fngen.printing.formula import FormulaPrinter
from fngen.problem import Problem
from fngen.softmax import with_softmax
from fngen.spans import of_inputs, tracked
from fngen.variance import from_deviations

VIEWS = frozenset({"name", "conj", "re", "im", "stop_gradient", IF_ELSE})
"""Operators whose result may share the memory of their argument."""
_OF_FILE = ("_as_tensors", "_others", "_per_channel", "_plus")
"""Functions that an emitted file may define."""


@dataclass(frozen=True)
class Plan:
    """A node before its statements are written."""

    function: str
    cls: str
    names: Names
    scalars: tuple[bool, ...]
    value: Value
    partials: tuple[Value, ...]
    """The partial derivatives; beside a ``tangent``, the gradients."""
    quick: tuple[Value, ...]
    named: dict[Value, str]
    budget: tuple[int, ...] = ()
    reduction: str | None = None
    complex: bool = False
    declared: bool = False
    results: tuple[Value, ...] = ()
    outputs: tuple[str, ...] = ()
    cotangents: tuple[str, ...] = ()
    real: bool = False
    own_tangents: tuple[Value, ...] = ()
    """The tangents where they are no sums of slopes times tangents."""
    inserted: tuple[int, ...] = ()
    """The dimensions that the cotangent lacks, in the order in which they are put in."""
    insertions: tuple[tuple[int, ...], ...] = ()
    """The same of each of several outputs."""
    wide: Value | None = None
    """The value, its last reductions as the gradients have them."""
    extents: Extents = field(default_factory=lambda: Extents(()))

    @property
    def leaves(self) -> tuple[str, ...]:
        """What the derivatives are made of, when the output serves as itself."""
        found = self.names.inputs if self.reduction else names(self._through_output)
        numbers = {x for x, scalar in zip(self.names.inputs, self.scalars, strict=True) if scalar}
        return tuple(x for x in (*self.names.inputs, self.names.output) if x in found and x not in numbers)

    @property
    def scalar_cotangent(self) -> bool:
        """Whether the cotangent of a reduction may stay a number: the only derivative has the shape."""
        return (
            self.reduction is not None
            and len(self.partials) == 1
            and self.names.inputs[0] in names(self.partials)
        )

    @property
    def slopes(self) -> tuple[Value, ...]:
        """The partial derivatives, in terms of the output if that does without the inputs."""
        return self._through_output[: len(self.partials)]

    @property
    def shapes(self) -> frozenset[str]:
        """The leaves of which the derivatives want the shape alone."""
        order = postorder(self._through_output)
        read = {a for n in order for i, a in enumerate(n.args) if not _asks_for_shape(n, i)}
        return frozenset(
            x for x in self.leaves if name(x) not in read and name(x) not in self._through_output
        )

    @property
    def tangent(self) -> Value | None:
        """The tangent where it is no sum of slopes times tangents, in terms of what the slopes are."""
        return self._through_output[-1] if self.own_tangents and not self.results else None

    @property
    def _through_output(self) -> tuple[Value, ...]:
        graphs = (*self.partials, *self.own_tangents)
        through = substitute_all(graphs, {self.value: name(self.names.output)})
        by_output = not self.reduction and not set(names(through)) & set(self.names.inputs)
        return tuple(through) if by_output else graphs


def _asks_for_shape(node: Value, place: int) -> bool:
    """Say whether an operator wants no more than the shape of an argument."""
    return node.op == "count" or (node.op in ("expand", "expand_as", "sum_to") and place > 0)


def main_plan(problem: Problem, found: Derivatives, function: str, aliases: dict[str, str]) -> Plan:
    """Return the node of the formula, its variables named by ``aliases``."""
    partials, n = found.slopes, len(found.slopes)
    quick = complements(partials, problem.value)
    consts = [c.name for c in problem.consts if c.name in names([problem.value, *partials])]
    numbers = tuple(aliases[x] for x in consts)
    cls, inputs = class_name(function), (*(aliases[x] for x in problem.inputs), *numbers)
    labels = _names(inputs, problem.output, {function, cls, *aliases.values()})
    outputs, used = tuple(aliases[x] for x, _ in problem.results), {*labels.gradients, *labels.tangents}
    cotangents = tuple(free_name(f"grad_{x}", {*used, *aliases.values()}) for x in outputs)
    renamed = _renamed(problem.inputs, aliases, labels, cotangents)
    wanted = [graph for _, graph in problem.results]
    graphs: Sequence[Value] = (problem.value, *partials, *quick, *found.tangents, *problem.named, *wanted)
    graphs = from_deviations(problem.value, graphs, problem.inputs[0])
    values = legalise(substitute_all(graphs, renamed), numbers)
    drops = problem.drops or (problem.dropped,)
    results = tuple(
        dropped(y, d, numbers) for y, d in zip(values[len(values) - len(wanted) :], drops, strict=False)
    )
    root, slopes, quick, rest = values[0], values[1:][:n], values[1 + n :][:n], values[1 + 2 * n :]
    tangents = tuple(dropped(rest.pop(0), d, numbers) for _, d in zip(found.tangents, drops, strict=False))
    named = dict(zip(rest, map(aliases.__getitem__, problem.named.values()), strict=False))
    wide = squeezed(root, problem.dropped)
    root = dropped(root, problem.dropped, numbers)
    root = value("clone", root) if root.op in VIEWS else root
    scalars = (False,) * len(problem.inputs) + (True,) * len(numbers)
    saved = () if problem.complex else budget(with_softmax(problem.value), _extents(problem, problem.inputs))
    plan = Plan(function, cls, labels, scalars, root, tuple(slopes), tuple(quick), named)
    return replace(
        plan,
        results=tuple(results),
        outputs=outputs,
        cotangents=cotangents,
        declared=bool(problem.grads),
        budget=saved,
        reduction=problem.reduction,
        complex=problem.complex,
        real=wirtinger.is_real(root),
        own_tangents=tangents,
        inserted=inserted(problem.dropped),
        insertions=tuple(map(inserted, problem.drops)),
        wide=wide,
        extents=_extents(problem, inputs[: len(problem.inputs)]),
    )


def _renamed(
    inputs: tuple[str, ...], aliases: dict[str, str], labels: Names, cotangents: tuple[str, ...]
) -> dict[Value, Value]:
    """Return what stands for each variable, tangent and cotangent."""
    pairs = [*aliases.items(), *((f"{x}!", t) for x, t in zip(inputs, labels.tangents, strict=False))]
    pairs += [(COTANGENT, labels.cotangent), *((cotangent_of(j), x) for j, x in enumerate(cotangents))]
    return {name(old): name(new) for old, new in pairs}


def _extents(problem: Problem, labels: tuple[str, ...]) -> Extents:
    """Return the extents of a formula's inputs, under other names."""
    every = tracked([problem.value], problem.params)
    spans = of_inputs(problem.inputs, problem.params, every)
    return Extents(labels, {y: spans[x] for x, y in zip(problem.inputs, labels, strict=True)}, every)


def _names(inputs: tuple[str, ...], output: str, taken: set[str]) -> Names:
    taken = set(taken)

    def fresh(stem: str) -> str:
        label = free_name(stem, taken)
        taken.add(label)
        return label

    result = fresh(python_name(output, taken))
    tangents = tuple(fresh(f"{x}_t") for x in inputs)
    gradients = tuple(fresh(f"grad_{x}") for x in inputs)
    return Names(inputs, result, tangents, gradients, fresh(f"grad_{result}"))


def helper_plan(op: str) -> Plan:
    """Return the node of a function that torch itself does not differentiate."""
    row = TABLE[op]
    scalars = tuple(p in row.scalars and derivative(op, i) is None for i, p in enumerate(row.parameters))
    rules = [derivative(op, i) or ZERO for i in range(len(row.parameters))]
    slopes = tuple(legalise(rules))
    root = value(op, *map(name, row.parameters))
    labels = _names(row.parameters, "y", set(row.parameters))
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


def identifiers(plan: Plan) -> list[str]:
    """Return the names that a node uses."""
    labels = plan.names
    return [
        *(plan.function, plan.cls, labels.output, labels.cotangent),
        *(*plan.cotangents, *labels.inputs, *labels.tangents, *labels.gradients, *plan.named.values()),
    ]


def hoist(plans: Sequence[Plan], taken: set[str]) -> tuple[list[Plan], list[Constant]]:
    """Return plans with the irrational constants of all by name."""
    roots = [
        v
        for p in plans
        for v in (
            p.value,
            *p.partials,
            *p.quick,
            *p.named,
            *p.results,
            *p.own_tangents,
            *filter(None, [p.wide]),
        )
    ]
    spell = FormulaPrinter().print
    images, constants = hoist_constants(roots, taken, spell)
    stream = iter(images)
    out = []
    for plan in plans:
        root = next(stream)
        partials = tuple(next(stream) for _ in plan.partials)
        quick = tuple(next(stream) for _ in plan.quick)
        named = {next(stream): n for n in plan.named.values()}
        results = tuple(next(stream) for _ in plan.results)
        tangents = tuple(next(stream) for _ in plan.own_tangents)
        wide = next(stream) if plan.wide else None
        changes = {"value": root, "partials": partials, "quick": quick, "named": named, "results": results}
        out.append(replace(plan, **changes, own_tangents=tangents, wide=wide))  # type: ignore[arg-type]
    return out, constants
