"""A layer of several outputs: their derivatives to the statements of one node.

Each output has its own part of the backward, which runs only if its cotangent is there.
What several outputs need is worked out once, before them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fngen.algebra import ZERO, sum_of
from fngen.ir import Value, is_number, name, names, postorder, substitute_all, value
from fngen.lower import MARGIN, Body, Target, lower
from fngen.node import Names
from fngen.plan import VIEWS, Plan
from fngen.printing.torch import TorchPrinter
from fngen.products import product

_INDENT = 16


@dataclass(frozen=True)
class Part:
    """The gradients by one output.

    Attributes:
        cotangent: The name of the output's gradient.
        inputs: The places of the inputs that it depends on.
        body: A target for each of them.
        inserted: The dimensions that the output's gradient lacks.
    """

    cotangent: str
    inputs: tuple[int, ...]
    body: Body
    inserted: tuple[int, ...] = ()


@dataclass(frozen=True)
class Several:
    """One autograd node of several outputs.

    Attributes:
        function: The name of the function that applies it.
        cls: The stem of its class names.
        names: The identifiers of inputs, tangents and gradients.
        outputs: The names of the results.
        scalars: Which inputs are Python numbers and have no gradient.
        leaves: The inputs that its derivatives are made of.
        forward: The statements of the values.
        common: The statements that several outputs' gradients share.
        parts: The gradients, output by output.
        jvp: The statements of the tangents.
        raw: Whether torch does not differentiate its forward, or not as the layer does.
    """

    function: str
    cls: str
    names: Names
    outputs: tuple[str, ...]
    scalars: tuple[bool, ...]
    leaves: tuple[str, ...]
    forward: Body
    common: Body
    parts: tuple[Part, ...]
    jvp: Body
    raw: bool
    eager: None = None
    complex: bool = False
    narrow_gradients: bool = False
    narrow_tangent: bool = False

    @property
    def backward(self) -> Body:
        """The statements of all gradients."""
        bodies = [self.common, *(part.body for part in self.parts)]
        return Body((), (), (), {node: text for body in bodies for node, text in body.printed.items()})

    @property
    def bodies(self) -> list[Body]:
        """The statements of every function."""
        return [self.forward, self.common, *(p.body for p in self.parts), self.jvp]

    @property
    def reverse(self) -> str:
        """The class that holds the values and the reverse-mode rule."""
        return f"_{self.cls}Reverse"

    @property
    def forward_mode(self) -> str:
        """The class that adds the forward-mode rule."""
        return f"{self.cls}Function"

    @property
    def result(self) -> str:
        """The class of what the function returns."""
        return f"{self.cls}Output"


def node(plan: Plan, printer: TorchPrinter, taken: set[str]) -> Several:
    """Return the node of a plan with several results."""
    m = len(plan.partials) // len(plan.results)
    rows = [plan.partials[j * m : (j + 1) * m] for j in range(len(plan.results))]
    rooms = MARGIN - 8 - len("return ")
    forward = _together(_distinct(plan.results), rooms, TorchPrinter(integers=True), taken, plan.named, 8)
    slopes = [{i: s for i, s in enumerate(row) if not is_number(s, 0)} for row in rows]
    shared = _shared([list(row.values()) for row in slopes])
    own = set(taken)
    common = lower([Target(n, MARGIN) for n in shared], printer, own, plan.named, 8, kept=shared)
    lets = [let for group in (common.shared, *common.local) for let in group]
    labels = {let.value: name(let.name) for let in lets}
    parts = list[Part]()
    insertions = plan.insertions or ((),) * len(slopes)
    for cotangent, row, dims in zip(plan.cotangents, slopes, insertions, strict=True):
        part = _part(plan, cotangent, row, labels, parts)
        parts.append(Part(cotangent, tuple(row), lower(part, printer, set(own), plan.named, _INDENT), dims))
    tangents = list(plan.own_tangents) or [
        _tangent(plan, result, row) for result, row in zip(plan.results, slopes, strict=True)
    ]
    jvp = _together(_distinct(tangents), rooms - 4, printer, taken, plan.named, 12)
    tensors = [x for x, scalar in zip(plan.names.inputs, plan.scalars, strict=True) if not scalar]
    read = names([*(s for row in slopes for s in row.values()), *plan.own_tangents])
    leaves = tuple(x for x in tensors if x in read)
    return Several(
        function=plan.function,
        cls=plan.cls,
        names=plan.names,
        outputs=plan.outputs,
        scalars=plan.scalars,
        leaves=leaves,
        forward=forward,
        common=common,
        parts=tuple(parts),
        jvp=jvp,
        raw=bool(printer.wrapped),
    )


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


def _distinct(values: Sequence[Value]) -> list[Value]:
    """Return results that share no memory with an input or with each other."""
    seen: set[Value] = set()
    found = []
    for graph in values:
        while graph in seen or graph.op in VIEWS:
            graph = value("clone", graph)
        found.append(graph)
        seen.add(graph)
    return found


def _shared(rows: Sequence[Sequence[Value]]) -> list[Value]:
    """Return the topmost nodes that the derivatives of several outputs are made of."""
    inside = [postorder(row) for row in rows]
    counts = Counter(n for row in inside for n in row if n.args and names([n]))
    common = {n for n, count in counts.items() if count > 1}
    roots = {root for row in rows for root in row}
    tops = {a for row in inside for n in row if n not in common for a in n.args} | roots
    return [n for n in dict.fromkeys(n for row in inside for n in row) if n in common & tops]


def _part(
    plan: Plan, cotangent: str, row: dict[int, Value], labels: dict[Value, Value], before: Sequence[Part]
) -> list[Target]:
    """Return the products of an output's cotangent with its derivatives."""
    targets = []
    for i, slope in zip(row, substitute_all(row.values(), labels), strict=True):
        statement = assignment(plan.names.gradients[i], i, before).format("")
        graph = slope if plan.own_tangents else product(name(cotangent), slope)
        targets.append(Target(graph, MARGIN - _INDENT - len(statement)))
    return targets


def assignment(gradient: str, place: int, before: Sequence[Part]) -> str:
    """Return the statement that adds to a gradient, with a hole for what it adds."""
    again = any(place in part.inputs for part in before)
    return f"{gradient} = _plus({gradient}, {{}}, ctx.shapes[{place}])" if again else f"{gradient} = {{}}"


def _tangent(plan: Plan, result: Value, row: dict[int, Value]) -> Value:
    """Return the tangent of a result; where a derivative is 0 the tangent still has a shape."""
    terms = []
    for i, (x, tangent) in enumerate(zip(plan.names.inputs, plan.names.tangents, strict=True)):
        if i in row:
            terms.append(product(row[i], name(tangent)))
        elif x in names([result]) and not plan.scalars[i]:
            terms.append(value("full_like", name(tangent), ZERO))
    return sum_of(terms)
