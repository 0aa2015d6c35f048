"""A layer of several outputs: their derivatives to the statements of one node.

Where cotangents meet there is a part of the backward of its own, which runs only if one of them is
there. What several parts need is worked out once, before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from fngen import eager, economy
from fngen.algebra import ZERO
from fngen.buffers import distinct
from fngen.derivatives import Joint
from fngen.eager import Eager
from fngen.ir import Value, is_number, name, names, substitute_all, value
from fngen.lower import MARGIN, Body, Target, lower
from fngen.node import Names
from fngen.parts import Common, Part, common, parts
from fngen.plan import Plan
from fngen.precision import roundings, typings
from fngen.printing.torch import TorchPrinter
from fngen.products import product
from fngen.pull import Formula, Pull

_INDENT = 16


@dataclass(frozen=True)
class Several:
    """One autograd node of several outputs.

    Attributes:
        function: The name of the function that applies it.
        cls: The stem of its class names.
        names: The identifiers of inputs, tangents and gradients.
        outputs: The names of the results.
        cotangents: The names of their gradients.
        insertions: The dimensions that each of these lacks.
        scalars: Which inputs are Python numbers and have no gradient.
        leaves: The inputs that its derivatives are made of.
        forward: The statements of the values.
        common: The statements that several parts of the backward share.
        parts: The parts of the backward.
        rows: Their statements, a target for each goal.
        jvp: The statements of the tangents.
        raw: Whether torch does not differentiate its forward, or not as the layer does.
        eager: The node for plain tensors.
        typings: For each output the tensors that have a say in its type.
    """

    function: str
    cls: str
    names: Names
    outputs: tuple[str, ...]
    cotangents: tuple[str, ...]
    insertions: tuple[tuple[int, ...], ...]
    scalars: tuple[bool, ...]
    leaves: tuple[str, ...]
    forward: Body
    common: Common
    parts: tuple[Part, ...]
    rows: tuple[Body, ...]
    jvp: Body
    raw: bool
    eager: Eager
    typings: tuple[frozenset[str], ...]
    complex: bool = False
    narrow_gradients: bool = False
    narrow_tangent: bool = False

    @property
    def backward(self) -> Body:
        """The statements of all gradients."""
        return together([self.common.body, *self.rows])

    @property
    def bodies(self) -> list[Body]:
        """The statements of every function."""
        return [self.forward, self.common.body, *self.rows, self.jvp, *self.eager.bodies]

    @property
    def every_input(self) -> int:
        """A mask with a bit for each input."""
        return (1 << self.scalars.count(False)) - 1

    @property
    def reverse(self) -> str:
        """The class that holds the values and the reverse-mode rule."""
        return f"_{self.cls}Reverse"

    @property
    def forward_mode(self) -> str:
        """The class that adds the forward-mode rule."""
        return f"{self.cls}Function"

    @property
    def eager_class(self) -> str:
        """The class for plain tensors."""
        return f"_{self.cls}Eager"

    @property
    def result(self) -> str:
        """The class of what the function returns."""
        return f"{self.cls}Output"


def together(bodies: Sequence[Body]) -> Body:
    """Return bodies as one, for what is asked of all their statements."""
    return Body((), (), (), {node: text for body in bodies for node, text in body.printed.items()})


def node(plan: Plan, printer: TorchPrinter, raw: TorchPrinter, taken: set[str], *, lean: bool) -> Several:
    """Return the node of a plan with several results; what nobody differentiates is printed ``raw``."""
    tensors = [x for x, scalar in zip(plan.names.inputs, plan.scalars, strict=True) if not scalar]
    results, heard = distinct(plan.results), typings(plan.results, tensors)
    room = MARGIN - 8 - len("return ") - sum(len(f"(){text}") for text in roundings(heard))
    forward = _together(results, room, TorchPrinter(integers=True), taken, plan.named, 8)
    found = parts(plan.joints, plan.names.gradients[: len(tensors)])
    made = [_by_itself(plan, part, joint) for part, joint in zip(found, plan.joints, strict=True)]
    own = set(taken)
    shared = common(
        [[t.value for t in row] for row in made], [p.outputs for p in found], printer, own, plan.named
    )
    rows = [lower(_with(row, shared), printer, set(own), plan.named, _INDENT) for row in made]
    jvp = _together(distinct(_tangents(plan)), room - 4, printer, taken, plan.named, 12)
    read = names([*(s for joint in plan.joints for s in joint.slopes), *plan.partials, *plan.own_tangents])
    leaves = tuple(x for x in tensors if x in read)
    formula = _formula(plan, results, found, leaves, _always(found, shared, rows, tensors), taken, lean=lean)
    return Several(
        function=plan.function,
        cls=plan.cls,
        names=plan.names,
        outputs=plan.outputs,
        cotangents=plan.cotangents,
        insertions=plan.insertions or ((),) * len(results),
        scalars=plan.scalars,
        leaves=leaves,
        forward=forward,
        common=shared,
        parts=found,
        rows=tuple(rows),
        jvp=jvp,
        raw=bool(printer.wrapped),
        eager=eager.build(formula, raw),
        typings=heard,
    )


def _with(row: Sequence[Target], shared: Common) -> list[Target]:
    """Return targets in terms of what several parts share."""
    values = substitute_all([t.value for t in row], shared.labels)
    return [replace(t, value=v) for t, v in zip(row, values, strict=True)]


def _targets(plan: Plan, part: Part, slopes: Sequence[Value]) -> list[Target]:
    """Return the products of a joint's cotangent with its derivatives."""
    targets = []
    pairs = zip(plan.names.inputs, plan.names.gradients, strict=True)
    params = {gradient: x for x, gradient in pairs if x in plan.learned}
    for goal, slope in zip(part.goals, slopes, strict=True):
        graph = slope if plan.own_tangents else product(name(part.cotangent), slope)
        result, param = "" if goal.again else goal.name, params.get(goal.name, "")
        targets.append(Target(graph, goal.room(_INDENT), result, param))
    return targets


def _by_itself(plan: Plan, part: Part, joint: Joint) -> list[Target]:
    """Return the same as the node computes them that keeps nothing but its inputs."""
    return economy.gradients(_targets(plan, part, joint.slopes), plan.extents, part.cotangent, joint.graph)


def _always(
    found: Sequence[Part], shared: Common, rows: Sequence[Body], tensors: Sequence[str]
) -> dict[str, int]:
    """Return which inputs are read beside the derivatives, and for whose gradients."""
    every = (1 << len(tensors)) - 1
    masks = {x: every if x in names(shared.labels) else 0 for x in tensors}
    for part, body in zip(found, rows, strict=True):
        for x in set(names(let.value for let in body.shared)) & set(tensors):
            masks[x] |= part.wanted
    return masks


def _formula(
    plan: Plan,
    results: Sequence[Value],
    found: Sequence[Part],
    leaves: tuple[str, ...],
    always: Mapping[str, int],
    taken: set[str],
    *,
    lean: bool,
) -> Formula:
    """Return what the node for plain tensors computes."""
    pulls = [
        Pull(
            root=joint.graph,
            cotangent=joint.cotangent,
            slopes=joint.slopes,
            quick=joint.quick,
            targets=partial(_targets, plan, part),
            masks=tuple(goal.wanted for goal in part.goals),
            wanted=part.wanted,
            outputs=part.outputs,
            exact=exact,
        )
        for joint, part, exact in zip(plan.joints, found, _exact(plan), strict=True)
    ]
    return Formula(
        roots=tuple(results),
        rooms=(MARGIN,) * len(results),
        pulls=tuple(pulls),
        extents=plan.extents,
        budget=plan.budget,
        output="",
        leaves=leaves,
        named=plan.named,
        always=always,
        taken=frozenset(taken),
        learned=plan.learned,
        lean=lean,
        indent=_INDENT,
    )


def _exact(plan: Plan) -> list[bool]:
    """Say of each joint whether its cotangent has its shape and type: what it is in is made of the same."""
    n = len(plan.extents.inputs)
    inputs = [set(names([joint.graph])) & set(plan.extents.inputs) for joint in plan.joints]
    exact = [True] * len(plan.joints)
    for k, joint in enumerate(plan.joints):
        for place in (target - n for target in joint.targets if target >= n):
            exact[place] &= exact[k] and inputs[k] == inputs[place]
    return exact


def _together(
    values: Sequence[Value],
    room: int,
    printer: TorchPrinter,
    taken: set[str],
    named: dict[Value, str],
    indent: int,
) -> Body:
    """Return the statements of values that come back in one tuple, each named if they are long."""
    short = lower([Target(v, room) for v in values], printer, set(taken), named, indent)
    if len(", ".join(text.text for text in short.texts)) <= room:
        return short
    return lower([Target(v, 0) for v in values], printer, set(taken), named, indent)


def _tangents(plan: Plan) -> list[Value]:
    """Return the tangent of each result."""
    m = len(plan.partials) // len(plan.results)
    rows = ((y, plan.partials[j * m : (j + 1) * m]) for j, y in enumerate(plan.results))
    return list(plan.own_tangents) or [_tangent(plan, y, row) for y, row in rows]


def _tangent(plan: Plan, result: Value, row: Sequence[Value]) -> Value:
    """Return the tangent of a result; where a derivative is 0 the tangent still has a shape."""
    terms = []
    for i, (x, tangent) in enumerate(zip(plan.names.inputs, plan.names.tangents, strict=True)):
        if i < len(row) and not is_number(row[i], 0):
            terms.append(product(row[i], name(tangent)))
        elif x in names([result]) and not plan.scalars[i]:
            terms.append(value("full_like", name(tangent), ZERO))
    return economy.tangent(terms, plan.extents, plan.names.tangents)
