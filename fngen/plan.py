"""A node before its statements are written: its formula, its derivatives, its names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fngen.constants import Constant, hoist_constants
from fngen.contraction import Learned
from fngen.derivatives import Joint
from fngen.extents import Extents
from fngen.ir import Value, name, names, postorder, substitute_all
from fngen.node import Names
from fngen.printing.formula import FormulaPrinter


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
    joints: tuple[Joint, ...] = ()
    """Where the cotangents of several outputs meet."""
    wide: Value | None = None
    """The value, its last reductions as the gradients have them."""
    extents: Extents = field(default_factory=lambda: Extents(()))
    learned: Mapping[str, Learned] = field(default_factory=dict)
    """Its learnable parameters."""
    own: Mapping[int, Value] = field(default_factory=dict)
    """The calls of derivatives that are nodes themselves, by the place of their input."""
    reasons: tuple[tuple[str, ...], ...] = ()
    """Why the value and each derivative have the form that they have."""
    doc: str = ""
    """What it is, where it is no function of torch."""

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
            and not self.own_tangents
            and len(self.partials) == 1
            and self.names.inputs[0] in names(self.partials)
        )

    @property
    def slopes(self) -> tuple[Value, ...]:
        """The partial derivatives, in terms of the output if that does without the inputs."""
        return self._through_output[: len(self.partials)]

    @property
    def differentiable(self) -> tuple[Value, ...]:
        """The partial derivatives as they are where they may be differentiated again."""
        return tuple(self.own.get(i, slope) for i, slope in enumerate(self.slopes))

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
        # A declared gradient is differentiated as it stands, and the output as was declared.
        by_output = not (self.reduction or self.declared or set(names(through)) & set(self.names.inputs))
        return tuple(through) if by_output else graphs


def _asks_for_shape(node: Value, place: int) -> bool:
    """Say whether an operator wants no more than the shape of an argument."""
    return node.op == "count" or (node.op in ("expand", "sum_to") and place == 1)


def identifiers(plan: Plan) -> list[str]:
    """Return the names that a node uses."""
    labels = plan.names
    return [
        *(plan.function, plan.cls, labels.output, labels.cotangent),
        *(*plan.cotangents, *(joint.cotangent for joint in plan.joints)),
        *(*labels.inputs, *labels.tangents, *labels.gradients, *plan.named.values()),
        *(param.shape for param in plan.learned.values()),
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
            *(graph for joint in p.joints for graph in joint.graphs),
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
        joints = tuple(joint.mapped(stream) for joint in plan.joints)
        wide = next(stream) if plan.wide else None
        changes = {"value": root, "partials": partials, "quick": quick, "named": named, "results": results}
        out.append(replace(plan, **changes, own_tangents=tangents, joints=joints, wide=wide))  # type: ignore[arg-type]
    return out, constants
