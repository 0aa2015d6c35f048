"""Derivatives to a Layer: the statements of every function body of an emitted file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from fngen import eager, economy, several, wirtinger
from fngen.algebra import ONE, ZERO
from fngen.alignment import Alignment, alignment
from fngen.backends.torch import legalise, wrapped
from fngen.buffers import asking
from fngen.derivatives import Derivatives
from fngen.derived import with_own_derivatives
from fngen.ir import Value, is_number, name, names, postorder, substitute_all, value
from fngen.lower import MARGIN, Body, Target, lower
from fngen.node import Layer, Node
from fngen.plan import Plan, hoist, identifiers
from fngen.planning import aliases_of, helper_plan, main_plan
from fngen.precision import typings
from fngen.prefix import Core
from fngen.printing.torch import TorchPrinter
from fngen.problem import Problem
from fngen.products import product
from fngen.pull import Formula, Pull
from fngen.several import Several


def build(
    core: Core,
    parameters: tuple[str, ...],
    found: Derivatives,
    function: str,
    *,
    lean: bool,
    reserved: Iterable[str] = (),
) -> Layer:
    """Return the layer of a formula and its partial derivatives.

    Args:
        core: The formula, and what it is applied to.
        parameters: The inputs of the whole layer.
        found: The derivatives of the core by its own inputs.
        function: The name of the function.
        lean: Whether to keep inputs and outputs only.
        reserved: Names that the file needs for something else.
    """
    problem = core.problem
    own_nodes = wrapped([problem.value, *_graphs(found)])
    aliases = aliases_of(problem, parameters, function, {*reserved, *(f"_{op}" for op in own_nodes)})
    plan = main_plan(problem, found, function, aliases)
    plan, derivatives = with_own_derivatives(plan, found, problem.inputs, aliases)
    plans = [plan, *derivatives, *(helper_plan(op) for op in own_nodes)]
    taken = {*aliases.values(), *(x for p in plans for x in identifiers(p))}
    plans, constants = hoist(plans, taken)
    printer, raw = TorchPrinter(own_nodes), TorchPrinter()
    helpers = [_node(p, printer, raw, taken, main=False, lean=lean) for p in plans[1:]]
    main: Node | Several = (
        several.node(plans[0], printer, raw, taken, lean=lean)
        if plan.results
        else _node(plans[0], printer, raw, taken, main=True, lean=lean)
    )
    return Layer(
        main,
        tuple(aliases[x] for x in parameters),
        _arguments(core, aliases, raw),
        tuple(helpers),
        tuple(constants),
        tuple(x for x, scalar in zip(main.names.inputs, main.scalars, strict=True) if scalar),
        tuple(replace(p, name=aliases[p.name]) for p in problem.params),
        tuple(replace(c, name=aliases[c.name]) for c in problem.consts),
        _alignment(problem, aliases),
    )


def _graphs(found: Derivatives) -> list[Value]:
    """Return all derivatives that a file may compute."""
    seconds = [graph for row in found.seconds if row for graph in row]
    return [*found.slopes, *found.quick, *found.tangents, *seconds]


def _arguments(core: Core, aliases: dict[str, str], printer: TorchPrinter) -> tuple[str, ...]:
    """Return what the function hands to the node."""
    renamed = {name(old): name(new) for old, new in aliases.items()}
    return tuple(printer.print(a) for a in legalise(substitute_all(core.arguments, renamed)))


def _alignment(problem: Problem, aliases: dict[str, str]) -> Alignment:
    """Return the sizes that the node of a formula with reductions takes for granted."""
    if not problem.reduces:
        return Alignment()
    roots = [graph for _, graph in problem.results] or [problem.value]
    declared = [slope for _, slope in problem.grads]
    return alignment(roots, {x: aliases[x] for x in problem.inputs}, problem.params, declared)


def _node(
    plan: Plan, printer: TorchPrinter, raw: TorchPrinter, taken: set[str], *, main: bool, lean: bool
) -> Node:
    """Return a node; the value of a helper is torch's own operator, printed ``raw``."""
    room = MARGIN - 8 - len("return ") - (len("().mean()") if plan.reduction else 0)
    rounds = main and not plan.complex
    rounded = room - (len("().to(dtype)") if rounds else 0)
    slopes, named = plan.slopes, plan.named
    forward = _value(plan, rounded, set(taken), asks=rounds)
    backward = lower(_by_itself(plan), printer, set(taken), named, 12)
    tangent = plan.tangent or _tangent(plan, plan.differentiable)
    jvp = lower([Target(tangent, rounded - 4)], printer, set(taken), named, 12)
    quick = None
    if rounds:
        root = plan.wide if plan.wide and _shares(plan.wide, slopes) else plan.value
        always = plan.leaves if plan.reduction else names(let.value for let in backward.shared)
        quick = eager.build(_formula(plan, root, room, always, taken, lean=lean), raw)
    node = Node(plan.function, plan.cls, plan.names, plan.scalars, plan.leaves, forward, backward, jvp)
    if plan.complex:
        narrow = wirtinger.has_unit([*slopes, tangent]) or len(plan.names.inputs) > 1
        node = replace(node, narrow_gradients=narrow, narrow_tangent=narrow and not plan.real)
    node = replace(node, scalar_cotangent=plan.scalar_cotangent)
    return replace(
        node,
        reduction=plan.reduction,
        eager=quick,
        raw=bool(printer.wrapped) or plan.declared,
        complex=plan.complex,
        inserted=plan.inserted,
        shapes=frozenset() if plan.reduction else plan.shapes,
        typings=typings([plan.value], plan.names.inputs),
        again=bool(plan.own),
        doc=plan.doc,
        reasons=plan.reasons,
    )


def _value(plan: Plan, room: int, taken: set[str], *, asks: bool) -> Body:
    """Return the statements of the value; if it ``asks``, a rare side only where an element wants it."""
    images = asking(plan.value, plan.extents.depends([plan.value])) if asks else {}
    root = images.get(plan.value, plan.value)
    named = {images.get(node, node): text for node, text in plan.named.items()}
    return lower([Target(root, room)], TorchPrinter(integers=True), taken, named, 8)


def _formula(
    plan: Plan, root: Value, room: int, always: Iterable[str], taken: set[str], *, lean: bool
) -> Formula:
    """Return what the node for plain tensors computes; ``always`` are the leaves that any gradient needs."""
    every = (1 << plan.scalars.count(False)) - 1
    pull = Pull(
        root=root,
        cotangent=plan.names.cotangent,
        slopes=plan.slopes,
        quick=plan.quick,
        targets=partial(_gradients, plan),
        masks=tuple(1 << i for i in range(plan.scalars.count(False))),
        wanted=every,
        scalar=plan.scalar_cotangent,
    )
    return Formula(
        roots=(root,),
        rooms=(room,),
        pulls=(pull,),
        extents=plan.extents,
        budget=plan.budget,
        output=plan.names.output,
        leaves=plan.leaves,
        named=plan.named,
        always=dict.fromkeys(always, every),
        taken=frozenset(taken),
        learned=plan.learned,
        lean=lean,
    )


def _shares(root: Value, slopes: Sequence[Value]) -> bool:
    """Say whether gradients are made of what the value is made of."""
    known = set(postorder([root]))
    return any(n.args and names([n]) and n in known for n in postorder(slopes))


def _gradients(plan: Plan, slopes: Sequence[Value]) -> list[Target]:
    """Return the product of each partial with the cotangent, and the room in its statement."""
    cotangent = name(plan.names.cotangent)
    many = plan.scalars.count(False) > 1
    products = [product(cotangent, slope) for slope in slopes]
    if plan.tangent:
        products = list(slopes)
    elif plan.complex:
        products = wirtinger.gradients(slopes, cotangent, real=plan.real)
    targets = []
    products += [ZERO] * (len(plan.scalars) - len(products))  # The constants come last.
    labels = zip(plan.names.inputs, plan.names.gradients, products, plan.scalars, strict=True)
    for x, gradient, graph, scalar in labels:
        statement = f"{gradient} = " if many else "return "
        if is_number(graph, 0):
            # Of the cotangent, not a tensor by itself: a second derivative is asked of it.
            graph = value("mul", ZERO, cotangent)
        if not scalar:
            room = MARGIN - (12 if many else 8) - len(statement)
            param = x if x in plan.learned else ""
            targets.append(Target(graph, room, gradient if many else "", param))
    return targets


def _by_itself(plan: Plan) -> list[Target]:
    """Return the gradients as the node computes them that keeps nothing but its inputs."""
    targets = _gradients(plan, plan.differentiable)
    result = ONE if plan.scalar_cotangent else plan.value
    return economy.gradients(targets, plan.extents, plan.names.cotangent, result)


def _tangent(plan: Plan, slopes: Sequence[Value]) -> Value:
    """Return the sum of partials times tangents; a zero partial still has a shape."""
    if plan.complex:
        tangents = [t for t, s in zip(plan.names.tangents, plan.scalars, strict=True) if not s]
        return wirtinger.tangent(slopes, tangents, real=plan.real)
    terms = [
        product(slope, name(t)) if not is_number(slope, 0) else value("full_like", name(t), ZERO)
        for slope, t, scalar in zip(slopes, plan.names.tangents, plan.scalars, strict=False)
        if not scalar
    ]
    return economy.tangent(terms, plan.extents, plan.names.tangents)
