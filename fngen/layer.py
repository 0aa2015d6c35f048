"""Derivatives to a Layer: the statements of every function body of an emitted file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from fngen import eager, wirtinger
from fngen.algebra import ZERO, div, mul, neg, sum_of
from fngen.backends.torch import wrapped
from fngen.ir import Value, is_number, name, names, substitute_all, value
from fngen.lower import MARGIN, Target, lower
from fngen.node import Layer, Node
from fngen.plan import Plan, aliases_of, helper_plan, hoist, identifiers, main_plan
from fngen.prefix import Core
from fngen.printing.torch import TorchPrinter


def build(
    core: Core, parameters: tuple[str, ...], partials: tuple[Value, ...], function: str, *, lean: bool
) -> Layer:
    """Return the layer of a formula and its partial derivatives.

    Args:
        core: The formula, and what it is applied to.
        parameters: The inputs of the whole layer.
        partials: The derivatives of the core by its own inputs.
        function: The name of the function.
        lean: Whether to keep inputs and outputs only.
    """
    problem = core.problem
    own_nodes = wrapped([problem.value, *partials])
    aliases = aliases_of(problem, parameters, function, {f"_{op}" for op in own_nodes})
    plan = main_plan(problem, partials, function, aliases)
    plans = [plan, *(helper_plan(op) for op in own_nodes)]
    taken = {*aliases.values(), *(x for p in plans for x in identifiers(p))}
    plans, constants = hoist(plans, taken)
    printer, raw = TorchPrinter(own_nodes), TorchPrinter()
    main, *helpers = (_node(p, printer, raw, taken, main=p is plans[0], lean=lean) for p in plans)
    renamed = {name(old): name(new) for old, new in aliases.items()}
    arguments = tuple(raw.print(a) for a in substitute_all(core.arguments, renamed))
    return Layer(
        main,
        tuple(aliases[x] for x in parameters),
        arguments,
        tuple(helpers),
        tuple(constants),
        tuple(x for x, scalar in zip(main.names.inputs, main.scalars, strict=True) if scalar),
        tuple(replace(p, name=aliases[p.name]) for p in problem.params),
        tuple(replace(c, name=aliases[c.name]) for c in problem.consts),
    )


def _node(
    plan: Plan, printer: TorchPrinter, raw: TorchPrinter, taken: set[str], *, main: bool, lean: bool
) -> Node:
    """Return a node; the value of a helper is torch's own operator, printed ``raw``."""
    room = MARGIN - 8 - len("return ") - (len("().mean()") if plan.reduction else 0)
    slopes, named = plan.slopes, plan.named
    forward = lower([Target(plan.value, room)], TorchPrinter(integers=True), set(taken), named, 8)
    backward = lower(_gradients(plan, slopes), printer, set(taken), named, 12)
    jvp = lower([Target(_tangent(plan, slopes), room - 4)], printer, set(taken), named, 12)
    quick = None
    if main and not plan.complex:
        labels = plan.names
        always = plan.leaves if plan.reduction else names(let.value for let in backward.shared)
        formula = eager.Formula(
            root=plan.value,
            slopes=slopes,
            quick=plan.quick,
            inputs=tuple(x for x, s in zip(labels.inputs, plan.scalars, strict=True) if not s),
            budget=plan.budget,
            cotangent=labels.cotangent,
            scalar_cotangent=plan.scalar_cotangent,
            output=labels.output,
            leaves=plan.leaves,
            named=named,
            always=frozenset(always),
            taken=frozenset(taken),
            lean=lean,
        )
        quick = eager.build(formula, room, partial(_gradients, plan), raw)
    node = Node(plan.function, plan.cls, plan.names, plan.scalars, plan.leaves, forward, backward, jvp)
    if plan.complex:
        narrow = wirtinger.has_unit(slopes) or len(plan.names.inputs) > 1
        node = replace(node, narrow_gradients=narrow, narrow_tangent=narrow and not plan.real)
    node = replace(node, scalar_cotangent=plan.scalar_cotangent)
    return replace(
        node,
        reduction=plan.reduction,
        eager=quick,
        raw=bool(printer.wrapped) or plan.declared,
        complex=plan.complex,
    )


def _gradients(plan: Plan, slopes: Sequence[Value]) -> list[Target]:
    """Return the product of each partial with the cotangent, and the room in its statement."""
    cotangent = name(plan.names.cotangent)
    several = plan.scalars.count(False) > 1
    products = [_times(cotangent, slope) for slope in slopes]
    if plan.complex:
        products = wirtinger.gradients(slopes, cotangent, real=plan.real)
    targets = []
    products += [ZERO] * (len(plan.scalars) - len(products))  # The constants come last.
    for gradient, product, scalar in zip(plan.names.gradients, products, plan.scalars, strict=True):
        statement = f"{gradient} = " if several else "return "
        if is_number(product, 0):
            # Of the cotangent, not a tensor by itself: a second derivative is asked of it.
            product = value("mul", ZERO, cotangent)
        if not scalar:
            room = MARGIN - (12 if several else 8) - len(statement)
            targets.append(Target(product, room, gradient if several else ""))
    return targets


def _times(a: Value, b: Value) -> Value:
    """Return ``a*b``; where one is a constant over something, with the quotient last.

    ``c*g/x`` is one kernel less than ``g*(c/x)``, and does not overflow before ``g`` shrinks it.
    Nor does ``g*(y/x)/x``, for ``y/x/x``.
    """
    for slope, x in ((a, b), (b, a)):
        if slope.op == "neg":
            return neg(_times(x, slope.args[0]))
        if slope.op != "div":
            continue
        top, bottom = slope.args
        twice = top.op == "div" and top.args[1] is bottom
        if twice or _is_constant(top):
            return div(mul(x, top) if twice else mul(top, x), bottom)
    return mul(a, b)


def _is_constant(node: Value) -> bool:
    """Say whether a node is a number, or a choice of numbers."""
    if node.op in ("where", "full_like"):
        return all(map(_is_constant, node.args[1:]))
    return all(n.startswith("_") for n in names([node]))


def _tangent(plan: Plan, slopes: Sequence[Value]) -> Value:
    """Return the sum of partials times tangents; a zero partial still has a shape."""
    if plan.complex:
        tangents = [t for t, s in zip(plan.names.tangents, plan.scalars, strict=True) if not s]
        return wirtinger.tangent(slopes, tangents, real=plan.real)
    terms = [
        _times(slope, name(t)) if not is_number(slope, 0) else value("full_like", name(t), ZERO)
        for slope, t, scalar in zip(slopes, plan.names.tangents, plan.scalars, strict=False)
        if not scalar
    ]
    return sum_of(terms)
