"""Derivatives that are nodes themselves: a second derivative is theirs, not that of their operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fngen.backends.torch import legalise
from fngen.derivatives import Derivatives
from fngen.extents import Extents
from fngen.ir import Value, name, names, substitute_all, value
from fngen.naming import class_name, free_name
from fngen.plan import Plan, identifiers
from fngen.planning import labels_of

_LONGEST = 20
"""Characters of an input in the name of the derivative by it: the head of a class holds two of them."""


def with_own_derivatives(
    plan: Plan, found: Derivatives, inputs: Sequence[str], aliases: Mapping[str, str]
) -> tuple[Plan, list[Plan]]:
    """Return the node of a formula that calls its derivatives, and the nodes that these are.

    Args:
        plan: The node of the formula.
        found: Its derivatives.
        inputs: The variables by which they are.
        aliases: The identifiers of all variables.
    """
    own, plans, taken = dict[int, Value](), list[Plan](), {*identifiers(plan), *aliases.values()}
    renamed = {name(old): name(new) for old, new in aliases.items()}
    for i, row in enumerate(found.seconds):
        if row is None:
            continue
        by = f"_{plan.names.inputs[i][:_LONGEST]}" if len(inputs) > 1 else ""
        function = free_name(f"_derivative{by}", taken)
        taken.add(function)
        seconds = substitute_all(row, renamed)
        plans.append(_derivative(plan, i, seconds, function, found.reasons[1 + i : 2 + i]))
        own[i] = value("own", *map(name, plans[-1].names.inputs), datum=function)
    return replace(plan, own=own, reasons=found.reasons), plans


def _derivative(
    plan: Plan, i: int, seconds: Sequence[Value], function: str, reasons: tuple[tuple[str, ...], ...]
) -> Plan:
    """Return the node of the derivative by one input."""
    labels, slope = plan.names.inputs, plan.partials[i]
    used = set(names([slope]))
    kept = [k for k, x in enumerate(labels) if x in used]
    inputs, scalars = tuple(labels[k] for k in kept), tuple(plan.scalars[k] for k in kept)
    numbers = [x for x, scalar in zip(inputs, scalars, strict=True) if scalar]
    legal = tuple(legalise([seconds[k] for k in kept if not plan.scalars[k]], numbers))
    return Plan(
        function,
        "_" + class_name(function[1:]),
        labels_of(inputs, "y", {function, *inputs}),
        scalars,
        slope,
        legal,
        legal,
        {},
        extents=Extents(inputs),
        reasons=reasons,
        doc=f"The derivative by ``{labels[i]}``, with its own.",
    )
