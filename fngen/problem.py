"""Statements to a Problem: what is an input, an intermediate, the output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from fngen.algebra import fold_numbers, sum_of
from fngen.blocks import Block, Let
from fngen.chosen import Chosen, check_fit, chosen
from fngen.declared import Const, Param
from fngen.errors import FormulaError, OptionError
from fngen.ir import Over, Value, name, names, number, substitute, substitute_all
from fngen.language.parse import Reading, Statement, parse
from fngen.naming import derived_name, free_name
from fngen.printing.formula import FormulaPrinter
from fngen.reducing import check_dimensions, check_reductions, with_dimensions, without
from fngen.roles import inputs_of, ordered
from fngen.softmax import with_softmax
from fngen.spans import NOTHING, Span, of_inputs, over, reduced, tracked
from fngen.spec import Spec


@dataclass(frozen=True)
class Problem:
    """A formula as one graph.

    Attributes:
        reading: The text and the place of each node in it.
        inputs: The variables that have a derivative, in order; the parameters come last.
        output: The name of the result.
        value: The graph of the result at one point, in terms of the inputs.
        named: The intermediates that the user named, as graphs in terms of the inputs.
        reduction: ``"sum"`` or ``"mean"`` over all elements of an elementwise formula, or None.
        dropped: The dimensions that the result does not have: all in it was reduced over them.
        drops: The same of each of several outputs.
        complex: Whether the inputs are complex numbers.
        params: The learnable parameters among the inputs.
        consts: The numbers with defaults.
        grads: The declared gradients, by input.
        results: The outputs by name, if there are several; ``value`` is then their sum.
        written: The graph as it was typed, if ``value`` is that of another form.
        reasons: Why what it has been rewritten to is better.
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
    results: tuple[tuple[str, Value], ...] = ()
    dropped: Span = NOTHING
    drops: tuple[Span, ...] = ()
    written: Value | None = None
    reasons: tuple[str, ...] = ()

    @cached_property
    def reduces(self) -> bool:
        """Whether there are reductions inside the formula, or in a declared gradient."""
        return bool(reduced(self.graphs))

    @property
    def graphs(self) -> list[Value]:
        """The formula and the declared gradients."""
        return [self.value, *(slope for _, slope in self.grads)]

    @cached_property
    def every(self) -> Span:
        """All dimensions to tell apart: those that are reduced, and what comes with them."""
        return tracked(self.graphs, self.params)

    @property
    def spans(self) -> dict[str, Span]:
        """The dimensions among them that each input has."""
        return of_inputs(self.inputs, self.params, self.every)

    @property
    def is_number(self) -> bool:
        """Whether the result has no dimensions, whatever the inputs have."""
        everything = None in self.dropped and self.dropped == self.every
        return self.reduction is not None or (everything and not self.results)

    @property
    def name(self) -> str:
        """A readable name, for a request without one."""
        spell = FormulaPrinter(as_read=True).print
        text = "; ".join(f"{s.name} = {spell(with_softmax(s.value))}" for s in self.reading.statements)
        return derived_name(with_softmax(self.value), self.reduction, text)

    def rewritten(self, rule: Callable[[list[Value]], list[Value]]) -> Problem:
        """Return the same problem of other graphs, what a rule makes of all of them together."""
        images = iter(
            rule([self.value, *self.named, *(g for _, g in self.grads), *(y for _, y in self.results)])
        )
        root = next(images)
        named = {next(images): text for text in self.named.values()}
        grads = tuple((x, next(images)) for x, _ in self.grads)
        results = tuple((label, next(images)) for label, _ in self.results)
        named = {n: text for n, text in named.items() if n.args}
        return replace(self, value=root, named=named, grads=grads, results=results)

    def at_defaults(self) -> Problem:
        """Return the same formula with every constant at its default."""
        defaults = {name(c.name): number(Fraction(Decimal(c.default))) for c in self.consts}

        def filled(graphs: list[Value]) -> list[Value]:
            after = substitute_all(graphs, defaults)
            images = fold_numbers(after)
            return [images[graph] for graph in after]

        return replace(self.rewritten(filled), consts=())

    def block(self) -> Block:
        """Return the formula as it was typed, without its reduction over all elements."""
        lets, seen = [], dict[Value, Value]()
        for node, text in self.named.items():
            lets.append(Let(text, substitute(node, seen)))
            seen[node] = name(text)
        wanted = self.results or ((self.output, self.value),)
        results = tuple(Let(label, substitute(graph, seen)) for label, graph in wanted)
        inputs = (*self.inputs, *(c.name for c in self.consts))
        return Block(inputs, tuple(lets), results)


def read(spec: Spec) -> Problem:
    """Parse the formula of a request and resolve its names.

    Raises:
        FormulaError: If the text is no formula, or its names do not fit together.
    """
    reading = parse(spec.formula, complex=spec.complex)
    statements, outputs = ordered(reading, spec)
    inputs = inputs_of(reading, spec)
    several = len(outputs) > 1
    reduction, body = _reduction(reading, statements, outputs, spec)
    images: dict[Value, Value] = {}
    for let in statements:
        if let.name and (several or let is not outputs[0]):
            images[name(let.name)] = substitute(let.value, images)
    results = [images[name(s.name)] for s in outputs] if several else [substitute(body, images)]
    declared = chosen(spec, inputs, images)
    drops = _dropped(reading, results, inputs, declared, spec)
    together = with_dimensions([*results, *(g.graph for g in declared), *images.values()])
    folded = fold_numbers(together)
    wide = iter(together)
    results, slopes = [next(wide) for _ in results], [next(wide) for _ in declared]
    images = dict(zip(images, wide, strict=True))
    named = {folded[node]: str(leaf.datum) for leaf, node in images.items() if folded[node].args}
    output = outputs[0].name or free_name("y", {*inputs, *named.values()})
    found = tuple((s.name, folded[r]) for s, r in zip(outputs, results, strict=True)) if several else ()
    _check_several(reading, spec, found, outputs)
    total = sum_of([folded[r] for r in results])
    return Problem(
        reading=reading,
        inputs=inputs,
        output=output,
        value=total,
        named=named,
        reduction=reduction,
        complex=spec.complex,
        params=spec.params,
        consts=spec.consts,
        grads=tuple((g.input, folded[slope]) for g, slope in zip(declared, slopes, strict=True)),
        results=found,
        dropped=NOTHING if several else drops[0],
        drops=drops if several else (),
    )


def _check_several(
    reading: Reading, spec: Spec, found: tuple[tuple[str, Value], ...], outputs: list[Statement]
) -> None:
    """Refuse what several outputs do not go together with."""
    if spec.complex and spec.consts:
        hint = "Make it an input: it may be a number there too."
        raise OptionError("a complex layer has no constants", hint, option="consts")
    if found and (spec.complex or spec.grads):
        what = "a complex layer" if spec.complex else "a layer with a declared gradient"
        raise OptionError(f"{what} has one output", "Make a layer of each.", option="outputs")
    for (label, graph), statement in zip(found, outputs, strict=False):
        if label.startswith("_"):
            message = f"the output {label!r} cannot be the name of a field"
            raise reading.error(message, name(label), "Let its name begin with a letter.")
        if not set(names([graph])) - {c.name for c in spec.consts}:
            hint = "Use a number where it is needed."
            message = f"the output {label!r} depends on no input"
            raise FormulaError(message, hint, reading.text, statement.start, statement.end)


def _reduction(
    reading: Reading, statements: Sequence[Statement], outputs: list[Statement], spec: Spec
) -> tuple[str | None, Value]:
    """Split a reduction of an elementwise formula over all elements from what it reduces."""
    root = outputs[0].value
    whole = root.op in ("sum", "mean") and over(root) == Over(None, keepdim=False) and len(outputs) == 1
    inside = [s.value for s in statements if s is not outputs[0]]
    inside += root.args if whole else [root]
    check_reductions(reading, inside, spec.consts)
    found = reduced(inside)
    return (root.op, root.args[0]) if whole and not found else (None, root)


def _dropped(
    reading: Reading,
    roots: Sequence[Value],
    inputs: tuple[str, ...],
    declared: list[Chosen],
    spec: Spec,
) -> tuple[Span, ...]:
    """Return the dimensions that each result does not have; refuse what has none to reduce."""
    every = tracked([*roots, *(g.graph for g in declared)], spec.params)
    known = of_inputs(inputs, spec.params, every)
    check_dimensions(reading, roots, known)
    check_fit(declared, roots[0], known)
    return without(roots, known, every, spec.params)
