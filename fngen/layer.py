"""Derivatives to a Layer: the statements of every function body of an emitted file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from fngen import eager, wirtinger
from fngen.algebra import ZERO, div, mul, neg, sum_of
from fngen.backends.torch import legalise, wrapped
from fngen.economy import complements
from fngen.functions import TABLE
from fngen.ir import Value, is_number, name, names, substitute_all, value
from fngen.keep import budget
from fngen.language.rules import derivative
from fngen.lower import MARGIN, Constant, Target, hoist_constants, lower
from fngen.naming import class_name, free_name, python_name
from fngen.node import Layer, Names, Node
from fngen.prefix import Core
from fngen.printing.formula import FormulaPrinter
from fngen.printing.torch import TorchPrinter
from fngen.problem import Problem

_VIEWS = frozenset({"name", "conj", "re", "im"})
"""Operators of torch whose result shares the memory of their argument."""


@dataclass(frozen=True)
class _Plan:
    """A node before its statements are written."""

    function: str
    cls: str
    names: Names
    scalars: tuple[bool, ...]
    value: Value
    partials: tuple[Value, ...]
    quick: tuple[Value, ...]
    named: dict[Value, str]
    budget: tuple[int, ...] = ()
    reduction: str | None = None
    complex: bool = False
    real: bool = False

    @property
    def leaves(self) -> tuple[str, ...]:
        """What the derivatives are made of, when the output serves as itself."""
        found = self.names.inputs if self.reduction else names(self.slopes)
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
        through = substitute_all(self.partials, {self.value: name(self.names.output)})
        by_output = not self.reduction and not set(names(through)) & set(self.names.inputs)
        return tuple(through) if by_output else self.partials


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
    aliases = _aliases(core, parameters, function, {f"_{op}" for op in own_nodes})
    plan = _main_plan(problem, partials, function, aliases)
    plans = [plan, *(_helper_plan(op) for op in own_nodes)]
    taken = {*aliases.values(), *(x for p in plans for x in _identifiers(p))}
    plans, constants = _hoist(plans, taken)
    printer, raw = TorchPrinter(own_nodes), TorchPrinter()
    main, *helpers = (_node(p, printer, raw, taken, main=p is plans[0], lean=lean) for p in plans)
    renamed = {name(old): name(new) for old, new in aliases.items()}
    arguments = tuple(raw.print(a) for a in substitute_all(core.arguments, renamed))
    return Layer(main, tuple(aliases[x] for x in parameters), arguments, tuple(helpers), tuple(constants))


def _aliases(core: Core, parameters: tuple[str, ...], function: str, helpers: set[str]) -> dict[str, str]:
    """Return an identifier of Python for each variable."""
    cls = class_name(function)
    taken = {function, cls, f"{cls}Function", f"_{cls}Reverse", f"_{cls}Eager", "_as_tensors", *helpers}
    aliases: dict[str, str] = {}
    for variable in dict.fromkeys((*parameters, *core.problem.inputs, *core.problem.named.values())):
        aliases[variable] = python_name(variable, taken | set(aliases.values()))
    return aliases


def _identifiers(plan: _Plan) -> list[str]:
    labels = plan.names
    return [
        *(plan.function, plan.cls, labels.output, labels.cotangent),
        *(*labels.inputs, *labels.tangents, *labels.gradients, *plan.named.values()),
    ]


def _main_plan(
    problem: Problem, partials: tuple[Value, ...], function: str, aliases: dict[str, str]
) -> _Plan:
    renamed, n = {name(old): name(new) for old, new in aliases.items()}, len(partials)
    quick = complements(partials, problem.value)
    values = legalise(substitute_all((problem.value, *partials, *quick, *problem.named), renamed))
    root, (slopes, quick) = values[0], (values[1:][:n], values[1 + n :][:n])
    named = dict(zip(values[1 + 2 * n :], map(aliases.__getitem__, problem.named.values()), strict=True))
    if root.op in _VIEWS:
        root = value("clone", root)
    cls, inputs = class_name(function), tuple(aliases[x] for x in problem.inputs)
    labels = _names(inputs, problem.output, {function, cls, *aliases.values()})
    scalars = (False,) * len(inputs)
    saved = () if problem.complex else budget(problem.value, problem.inputs)
    plan = _Plan(function, cls, labels, scalars, root, tuple(slopes), tuple(quick), named)
    return replace(
        plan, budget=saved, reduction=problem.reduction, complex=problem.complex, real=wirtinger.is_real(root)
    )


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


def _helper_plan(op: str) -> _Plan:
    """Return the node of a function that torch itself does not differentiate."""
    row = TABLE[op]
    scalars = tuple(p in row.scalars and derivative(op, i) is None for i, p in enumerate(row.parameters))
    rules = [derivative(op, i) or ZERO for i in range(len(row.parameters))]
    slopes = tuple(legalise(rules))
    root = value(op, *map(name, row.parameters))
    labels = _names(row.parameters, "y", set(row.parameters))
    return _Plan(f"_{op}", "_" + class_name(op), labels, scalars, root, slopes, slopes, {})


def _hoist(plans: Sequence[_Plan], taken: set[str]) -> tuple[list[_Plan], list[Constant]]:
    roots = [v for p in plans for v in (p.value, *p.partials, *p.quick, *p.named)]
    spell = FormulaPrinter().print
    images, constants = hoist_constants(roots, taken, spell)
    stream = iter(images)
    out = []
    for plan in plans:
        root = next(stream)
        partials = tuple(next(stream) for _ in plan.partials)
        quick = tuple(next(stream) for _ in plan.quick)
        named = {next(stream): n for n in plan.named.values()}
        out.append(replace(plan, value=root, partials=partials, quick=quick, named=named))
    return out, constants


def _node(
    plan: _Plan, printer: TorchPrinter, raw: TorchPrinter, taken: set[str], *, main: bool, lean: bool
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
            inputs=labels.inputs,
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
        node, reduction=plan.reduction, eager=quick, raw=bool(printer.wrapped), complex=plan.complex
    )


def _gradients(plan: _Plan, slopes: Sequence[Value]) -> list[Target]:
    """Return the product of each partial with the cotangent, and the room in its statement."""
    cotangent = name(plan.names.cotangent)
    several = len(plan.names.inputs) > 1
    products = [_times(cotangent, slope) for slope in slopes]
    if plan.complex:
        products = wirtinger.gradients(slopes, cotangent, real=plan.real)
    targets = []
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


def _tangent(plan: _Plan, slopes: Sequence[Value]) -> Value:
    """Return the sum of partials times tangents; a zero partial still has a shape."""
    if plan.complex:
        return wirtinger.tangent(slopes, plan.names.tangents, real=plan.real)
    terms = [
        _times(slope, name(t)) if not is_number(slope, 0) else value("full_like", name(t), ZERO)
        for slope, t, scalar in zip(slopes, plan.names.tangents, plan.scalars, strict=True)
        if not scalar
    ]
    return sum_of(terms)
