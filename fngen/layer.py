"""Derivatives to a Layer: the statements of every function body of an emitted file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fngen.algebra import ZERO, mul, sum_of
from fngen.backends.torch import legalise, wrapped
from fngen.functions import TABLE
from fngen.ir import Value, is_number, name, substitute_all, value
from fngen.language.rules import derivative
from fngen.lower import MARGIN, Body, Constant, Target, hoist_constants, lower
from fngen.naming import class_name, free_name, python_name
from fngen.printing.formula import FormulaPrinter
from fngen.printing.torch import TorchPrinter
from fngen.problem import Problem


@dataclass(frozen=True)
class Names:
    """The identifiers of a node's arguments in the emitted file."""

    inputs: tuple[str, ...]
    tangents: tuple[str, ...]
    gradients: tuple[str, ...]
    cotangent: str


@dataclass(frozen=True)
class Node:
    """One autograd node: a function of tensors with its derivatives.

    Attributes:
        function: The name of the function that applies it.
        cls: The stem of its class names.
        names: Its identifiers.
        scalars: Which inputs are Python numbers and have no gradient.
        forward: The statements of the value.
        backward: The statements of the gradients, a target for each tensor input.
        jvp: The statements of the tangent.
        reduction: The method that reduces the value to a scalar, or None.
    """

    function: str
    cls: str
    names: Names
    scalars: tuple[bool, ...]
    forward: Body
    backward: Body
    jvp: Body
    reduction: str | None = None


@dataclass(frozen=True)
class Layer:
    """All that an emitted file computes."""

    main: Node
    helpers: tuple[Node, ...]
    constants: tuple[Constant, ...]


@dataclass(frozen=True)
class _Plan:
    """A node before its statements are written."""

    function: str
    cls: str
    names: Names
    scalars: tuple[bool, ...]
    value: Value
    partials: tuple[Value, ...]
    named: dict[Value, str]
    reduction: str | None = None


def build(problem: Problem, partials: tuple[Value, ...], function: str) -> Layer:
    """Return the layer of a problem and its partial derivatives."""
    own_nodes = wrapped([problem.value, *partials])
    plan = _main_plan(problem, partials, function, {f"_{op}" for op in own_nodes})
    plans = [plan, *(_helper_plan(op) for op in own_nodes)]
    taken = {
        x for p in plans for x in (p.function, p.cls, *p.names.inputs, *p.names.tangents, *p.names.gradients)
    }
    taken |= set(plan.named.values())
    plans, constants = _hoist(plans, taken)
    printer, raw = TorchPrinter(own_nodes), TorchPrinter()
    main, *helpers = (_node(p, printer, taken, raw if i else printer) for i, p in enumerate(plans))
    return Layer(main, tuple(helpers), tuple(constants))


def _main_plan(problem: Problem, partials: tuple[Value, ...], function: str, helpers: set[str]) -> _Plan:
    cls = class_name(function)
    taken = {function, cls, f"{cls}Function", f"_{cls}Reverse", *helpers}
    aliases: dict[str, str] = {}
    for variable in (*problem.inputs, *problem.named.values()):
        aliases[variable] = python_name(variable, taken | set(aliases.values()))
    renamed = {name(old): name(new) for old, new in aliases.items()}
    values = legalise(substitute_all((problem.value, *partials, *problem.named), renamed))
    root, slopes, intermediates = (
        values[0],
        values[1 : 1 + len(partials)],
        values[1 + len(partials) :],
    )
    named = {node: aliases[text] for node, text in zip(intermediates, problem.named.values(), strict=True)}
    if root.op == "name":
        root = value("clone", root)
    inputs = tuple(aliases[x] for x in problem.inputs)
    names_ = _names(inputs, problem.output, taken | set(aliases.values()))
    scalars = (False,) * len(inputs)
    return _Plan(function, cls, names_, scalars, root, tuple(slopes), named, problem.reduction)


def _names(inputs: tuple[str, ...], output: str, taken: set[str]) -> Names:
    taken = set(taken)

    def fresh(stem: str) -> str:
        label = free_name(stem, taken)
        taken.add(label)
        return label

    tangents = tuple(fresh(f"{x}_t") for x in inputs)
    gradients = tuple(fresh(f"grad_{x}") for x in inputs)
    return Names(inputs, tangents, gradients, fresh(f"grad_{output}"))


def _helper_plan(op: str) -> _Plan:
    """Return the node of a function that torch itself does not differentiate."""
    row = TABLE[op]
    scalars = tuple(p in row.scalars and derivative(op, i) is None for i, p in enumerate(row.parameters))
    rules = [derivative(op, i) or ZERO for i in range(len(row.parameters))]
    slopes = tuple(legalise(rules))
    root = value(op, *map(name, row.parameters))
    cls = "_" + class_name(f"{op}")
    return _Plan(f"_{op}", cls, _names(row.parameters, "y", set(row.parameters)), scalars, root, slopes, {})


def _hoist(plans: Sequence[_Plan], taken: set[str]) -> tuple[list[_Plan], list[Constant]]:
    roots = [v for p in plans for v in (p.value, *p.partials, *p.named)]
    spell = FormulaPrinter().print
    images, constants = hoist_constants(roots, taken, spell)
    stream = iter(images)
    out = []
    for plan in plans:
        root = next(stream)
        partials = tuple(next(stream) for _ in plan.partials)
        out.append(
            replace(
                plan,
                value=root,
                partials=partials,
                named={next(stream): n for n in plan.named.values()},
            )
        )
    return out, constants


def _node(plan: _Plan, printer: TorchPrinter, taken: set[str], forward_printer: TorchPrinter) -> Node:
    forward_room = MARGIN - 8 - len("return ") - (len("().mean()") if plan.reduction else 0)
    forward = lower([Target(plan.value, forward_room)], forward_printer, set(taken), plan.named, 8)
    backward = lower(_gradients(plan), printer, set(taken), plan.named, 12)
    jvp = lower([Target(_tangent(plan), forward_room - 4)], printer, set(taken), plan.named, 12)
    return Node(plan.function, plan.cls, plan.names, plan.scalars, forward, backward, jvp, plan.reduction)


def _gradients(plan: _Plan) -> list[Target]:
    cotangent = name(plan.names.cotangent)
    several = len(plan.names.inputs) > 1
    targets = []
    for x, gradient, slope, scalar in zip(
        plan.names.inputs, plan.names.gradients, plan.partials, plan.scalars, strict=True
    ):
        statement = f"{gradient} = ().sum_to_size({x}.shape)" if several else "return "
        product = mul(cotangent, slope) if not is_number(slope, 0) else value("full_like", name(x), ZERO)
        if not scalar:
            targets.append(Target(product, MARGIN - (12 if several else 8) - len(statement)))
    return targets


def _tangent(plan: _Plan) -> Value:
    """Return the sum of partials times tangents; a zero partial still has a shape."""
    terms = [
        mul(slope, name(t)) if not is_number(slope, 0) else value("full_like", name(t), ZERO)
        for slope, t, scalar in zip(plan.partials, plan.names.tangents, plan.scalars, strict=True)
        if not scalar
    ]
    return sum_of(terms)
