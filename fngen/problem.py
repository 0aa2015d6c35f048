"""Statements to a Problem: what is an input, an intermediate, the output."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from fngen.algebra import fold_numbers
from fngen.declared import Const, Param
from fngen.errors import FormulaError, OptionError
from fngen.ir import (
    REDUCTIONS,
    Block,
    Kernel,
    Let,
    Pass,
    Value,
    name,
    names,
    number,
    postorder,
    substitute,
    substitute_all,
)
from fngen.language.parse import Reading, Statement, parse
from fngen.naming import derived_name, free_name
from fngen.printing.formula import FormulaPrinter
from fngen.spec import Spec
from fngen.suggest import closest


@dataclass(frozen=True)
class Problem:
    """A formula as one graph.

    Attributes:
        reading: The text and the place of each node in it.
        inputs: The variables that have a derivative, in order; the parameters come last.
        output: The name of the result.
        value: The graph of the result at one point, in terms of the inputs.
        named: The intermediates that the user named, as graphs in terms of the inputs.
        reduction: ``"sum"`` or ``"mean"`` over all elements, or None.
        complex: Whether the inputs are complex numbers.
        params: The learnable parameters among the inputs.
        consts: The numbers with defaults.
        grads: The declared gradients, by input.
    """

    reading: Reading
    inputs: tuple[str, ...]
    output: str
    value: Value
    named: dict[Value, str]
    reduction: str | None
    complex: bool = False
    params: tuple[Param, ...] = ()
    consts: tuple[Const, ...] = ()
    grads: tuple[tuple[str, Value], ...] = ()

    @property
    def name(self) -> str:
        """A readable name, for a request without one."""
        spell = FormulaPrinter().print
        text = "; ".join(f"{s.name} = {spell(s.value)}" for s in self.reading.statements)
        return derived_name(self.value, self.reduction, text)

    def at_defaults(self) -> Problem:
        """Return the same formula with every constant at its default."""
        defaults = {name(c.name): number(Fraction(Decimal(c.default))) for c in self.consts}
        graphs = [self.value, *self.named, *(slope for _, slope in self.grads)]
        filled = substitute_all(graphs, defaults)
        images = fold_numbers(filled)
        root, *rest = (images[n] for n in filled)
        named = {n: x for n, x in zip(rest, self.named.values(), strict=False) if n.args}
        slopes = zip((x for x, _ in self.grads), rest[len(self.named) :], strict=True)
        return replace(self, value=root, named=named, consts=(), grads=tuple(slopes))

    def kernel(self) -> Kernel:
        """Return the forward computation."""
        lets, seen = [], dict[Value, Value]()
        for node, text in self.named.items():
            lets.append(Let(text, substitute(node, seen)))
            seen[node] = name(text)
        result = Let(self.output, substitute(self.value, seen))
        return Kernel((Pass(Block(self.inputs, tuple(lets), (result,)), self.reduction),))


def read(spec: Spec) -> Problem:
    """Parse the formula of a request and resolve its names.

    Raises:
        FormulaError: If the text is no formula, or its names do not fit together.
    """
    reading = parse(spec.formula, complex=spec.complex)
    *lets, last = _ordered(reading)
    inputs = _inputs(reading, spec)
    reduction, body = _reduction(reading, last)
    images: dict[Value, Value] = {}
    for let in lets:
        images[name(let.name)] = substitute(let.value, images)
    graph = substitute(body, images)
    folded = fold_numbers([graph, *images.values()])
    named = {folded[node]: str(leaf.datum) for leaf, node in images.items() if folded[node].args}
    output = last.name or free_name("y", {*inputs, *named.values()})
    declared = spec.complex, spec.params, spec.consts, _gradients(reading, spec, inputs, images)
    return Problem(reading, inputs, output, folded[graph], named, reduction, *declared)


def _error(reading: Reading, message: str, statement: Statement, hint: str = "") -> FormulaError:
    return FormulaError(message, hint, reading.text, statement.start, statement.end)


def _ordered(reading: Reading) -> list[Statement]:
    """Return the statements, the output last; refuse names that do not fit together."""
    assigned: set[str] = set()
    everything = {s.name for s in reading.statements}
    used: set[str] = set()
    for statement in reading.statements:
        for variable in names([statement.value]):
            if variable in everything - assigned:
                message = f"{variable!r} is used before it is assigned"
                raise reading.error(message, name(variable), "Move its assignment to the front.")
            used.add(variable)
        if statement.name in assigned:
            hint = "A name has one value: use a second name."
            raise _error(reading, f"{statement.name!r} is assigned twice", statement, hint)
        assigned |= {statement.name} - {""}
    outputs = [s for s in reading.statements if s.name not in used]
    if len(outputs) > 1:
        listed = ", ".join(s.name or "an expression" for s in outputs)
        message = f"there are {len(outputs)} results ({listed}); a layer has one"
        raise _error(
            reading,
            message,
            outputs[0],
            "Use each intermediate in a later statement, or leave it out.",
        )
    rest = [s for s in reading.statements if s is not outputs[0]]
    return [*rest, outputs[0]]


def _inputs(reading: Reading, spec: Spec) -> tuple[str, ...]:
    """Return the variables with a derivative: the inputs, then the parameters."""
    assigned = {s.name for s in reading.statements}
    found = dict.fromkeys(v for s in reading.statements for v in names([s.value]) if v not in assigned)
    declared = {p.name: "parameter" for p in spec.params} | {c.name: "constant" for c in spec.consts}
    used = {*found, *(v for _, text in spec.grads for s in parse(text).statements for v in names([s.value]))}
    for label, kind in declared.items():
        if label in assigned:
            statement = next(s for s in reading.statements if s.name == label)
            hint = "Declare it or assign it, not both."
            raise _error(reading, f"the {kind} {label!r} is assigned", statement, hint)
        if label not in used:
            raise _absent(reading, f"the {kind} {label!r} does not appear in the formula", found)
    free = tuple(x for x in found if x not in declared)
    if not free:
        message = "the formula has no input"
        hint = "A layer needs a tensor: write for example 2*x."
        raise FormulaError(message, hint, reading.text, 0, len(reading.text))
    return (*_listed(reading, free, spec), *(p.name for p in spec.params))


def _listed(reading: Reading, found: tuple[str, ...], spec: Spec) -> tuple[str, ...]:
    """Return the inputs in the order that was asked for."""
    if spec.inputs is None:
        return found
    for variable in found:
        if variable not in spec.inputs:
            close = closest(variable, spec.inputs)
            hint = f"Did you mean {close!r}?" if close else f"The inputs are {', '.join(spec.inputs)}."
            raise reading.error(f"{variable!r} is not among the inputs", name(variable), hint)
    for variable in spec.inputs:
        if variable not in found:
            raise _absent(reading, f"the input {variable!r} does not appear in the formula", found)
    return spec.inputs


def _absent(reading: Reading, message: str, found: Iterable[str]) -> FormulaError:
    return FormulaError(message, f"It has {', '.join(found)}.", reading.text, 0, len(reading.text))


def _gradients(
    reading: Reading, spec: Spec, inputs: tuple[str, ...], images: dict[Value, Value]
) -> tuple[tuple[str, Value], ...]:
    """Return the declared gradients in terms of inputs and constants."""
    known = [*inputs, *(c.name for c in spec.consts), *(str(leaf.datum) for leaf in images)]
    found = []
    for label, text in spec.grads:
        if label not in inputs:
            close = closest(label, inputs)
            hint = f"Did you mean {close!r}?" if close else f"The inputs are {', '.join(inputs)}."
            raise OptionError(f"a gradient is declared of {label!r}, which is no input", hint, option="grad")
        declared = parse(text)
        if len(declared.statements) > 1 or declared.statements[0].name:
            hint = "Intermediates of the layer's formula may be used in it."
            raise _error(declared, "a declared gradient is one expression", declared.statements[-1], hint)
        slope = declared.statements[0].value
        for variable in names([slope]):
            if variable not in known:
                close = closest(variable, known)
                hint = f"Did you mean {close!r}?" if close else f"The layer has {', '.join(known)}."
                raise declared.error(f"{variable!r} is unknown to the layer", name(variable), hint)
        for node in postorder([slope]):
            if node.op in REDUCTIONS:
                raise declared.error("a declared gradient is a number at each point", node, "")
        if spec.complex:
            raise OptionError("a complex layer has no declared gradient", option="grad")
        graph = substitute(slope, images)
        found.append((label, fold_numbers([graph])[graph]))
    return tuple(found)


def _reduction(reading: Reading, last: Statement) -> tuple[str | None, Value]:
    """Split a reduction over all elements from what it reduces."""
    root = last.value
    reduced = root.op in REDUCTIONS
    inside = [s.value for s in reading.statements if s is not last]
    inside += root.args if reduced else [root]
    for node in postorder(inside):
        if node.op in REDUCTIONS:
            message = f"{node.op!r} must be the outermost call"
            hint = f"Write {node.op}(...) around the whole formula, or apply torch's to the layer's result."
            raise reading.error(message, node, hint)
    return (root.op, root.args[0]) if reduced else (None, root)
