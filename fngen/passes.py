"""Derivatives to kernels: the value, all gradients and the gradients of these, in a language."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from fngen import rows, twice
from fngen.backends import libm, scalars
from fngen.backends.libm import Helper, NoKernel
from fngen.backends.words import WORDS
from fngen.constants import Constant, hoist_constants
from fngen.derivatives import Derivatives
from fngen.ir import Value, fold, name, names, number, postorder, rewrite, substitute_all
from fngen.kernel import Kernel, Kernels, Language, Loop
from fngen.loops import Wanted, loops
from fngen.lower import Body, Target, lower
from fngen.naming import free_name
from fngen.node import Node
from fngen.printing.formula import FormulaPrinter
from fngen.printing.infix import Printer
from fngen.printing.torch import TorchPrinter
from fngen.problem import Problem
from fngen.several import Several
from fngen.vjp import Arriving, arriving

_LONGEST = 3000
"""The most operations of second derivatives: to compile more takes longer than many calls by torch."""
_CALLED = {"sum": "total", "amax": "largest", "amin": "least"}
"""What the result of a reduction is called in Python."""


def build(
    problem: Problem, found: Derivatives, node: Node | Several, language: Language, *, alone: bool
) -> Kernels:
    """Return the kernels of a formula.

    Args:
        problem: The formula.
        found: Its derivatives.
        node: Its node.
        language: How they are written down.
        alone: Whether there is no other language.

    Raises:
        NoKernel: If it has none.
    """
    if problem.complex:
        raise NoKernel("kernels are of formulas of real numbers")
    if problem.results and problem.reduces:
        raise NoKernel("kernels of several outputs are of formulas without reductions")
    labels = node.names
    by_output = node.leaves == (labels.output,)
    slopes: Sequence[Value] = found.slopes
    if by_output:
        slopes = substitute_all(slopes, {problem.value: name(f"{labels.output}!")})
    arrived = arriving(problem, found.joints, slopes)
    read = set(names(arrived.gradients))
    if rows.ending(problem)[0] or problem.results:  # What is kept is read, if only for its shape.
        read |= {x for x, y in zip(problem.inputs, labels.inputs, strict=False) if y in node.leaves}
    leaves = [f"{labels.output}!"] if by_output else [x for x in problem.inputs if x in read]
    total, value = rows.ending(problem)
    values = [graph for _, graph in problem.results] or [value]
    graphs = [*values, *arrived.gradients, *problem.named]
    count = len(graphs) - len(problem.named)
    narrow = rows.narrow(problem, graphs[:count], labels.output)
    if problem.reduces:
        graphs = rows.of_rows(graphs, problem, tiles=language.tiles)
    roots = libm.expand(graphs[:count])
    seconds = [] if problem.reduces else _seconds(found, slopes, problem.inputs, leaves, arrived)
    if problem.reduction:
        roots, seconds = rows.reduced(problem, roots, seconds, tiles=language.tiles)
    roots += [*seconds, *libm.expand(graphs[count:])]
    builder = _Builder(problem, node, roots, language, leaves, arrived, alone)
    return builder.kernels(len(seconds), narrow, total)


def _seconds(
    found: Derivatives,
    slopes: Sequence[Value],
    inputs: Sequence[str],
    leaves: Sequence[str],
    arrived: Arriving,
) -> list[Value]:
    """Return the gradients of the gradients, or nothing if there is no kernel for them."""
    try:
        graphs = libm.expand(twice.gradients(found, slopes, inputs, leaves, arrived))
    except NoKernel:
        return []
    return graphs if len(postorder(graphs)) <= _LONGEST else []


def _called(node: Node | Several, outputs: int) -> str:
    """Return the name of whether a cotangent of some outputs is there."""
    first, *others = (x for i, x in enumerate(node.cotangents) if outputs >> i & 1)
    return "has_some" if others else f"has_{first}"


def _there(node: Node | Several, outputs: int) -> str:
    """Return the text in Python of whether a cotangent of some outputs is there."""
    return " or ".join(f"{x} is not None" for i, x in enumerate(node.cotangents) if outputs >> i & 1)


class _Builder:
    def __init__(
        self,
        problem: Problem,
        node: Node | Several,
        roots: Sequence[Value],
        language: Language,
        leaves: Sequence[str],
        arrived: Arriving,
        alone: bool,
    ) -> None:
        self.problem, self.node, self.language, self.arrived = problem, node, language, arrived
        # A tile has them at hand; and what one language leaves, the other does not know.
        self.rows = -1 in problem.every
        self.keeps = alone and not language.tiles and self.rows
        labels, consts = node.names, [x.name for x in problem.consts]
        self.python = dict(zip([*problem.inputs, *consts], labels.inputs, strict=False))
        self.leaves = {x: self.python.get(x, labels.output) for x in leaves}
        self.python |= self.leaves | dict(zip(arrived.cotangents, node.cotangents, strict=True))
        conditions = arrived.conditions.items()
        self.python |= {x: _called(node, outputs) for x, outputs in conditions}
        if problem.reduces or problem.reduction:
            self.python |= {rows.COUNT: "count", rows.ALL: "count"}
        gradients = labels.gradients[: len(problem.inputs)]
        self.python |= {f"{x}!": f"grad_{y}" for x, y in zip(problem.inputs, gradients, strict=True)}
        self.taken = {*WORDS, *libm.reserved(), *(f"sum_{i}" for i in range(len(roots)))}
        self.numbers: dict[str, str] = {}
        roots = self.without_numbers(list(roots), consts)
        self.aliases = {x: self.fresh(self.python[x]) for x in self.python if x not in consts}
        self.numbers |= {self.aliases[x]: _there(node, outputs) for x, outputs in conditions}
        self.results = [self.fresh(x) for x in gradients]
        self.outputs = [self.aliases.get(f"{x}!") or self.fresh(x) for x in node.outputs]
        roots = substitute_all(roots, {name(x): name(y) for x, y in self.aliases.items()})
        roots, constants = hoist_constants(roots, self.taken, FormulaPrinter().print)
        renamed = {name(k.name): name(self.fresh(f"C{k.name}")) for k in constants}
        self.constants = [Constant(str(renamed[name(k.name)].datum), k.literal, k.meaning) for k in constants]
        self.roots = libm.legalise(substitute_all(roots, renamed))

    def fresh(self, stem: str) -> str:
        label = free_name(stem, self.taken)
        self.taken.add(label)
        return label

    def without_numbers(self, roots: list[Value], consts: list[str]) -> list[Value]:
        """Return graphs with a name for all that is made of constants alone: Python works it out."""
        kinds = fold(
            roots, lambda n, args: {str(n.datum) in consts} if n.op == "name" else set().union(*args)
        )
        largest = {a for n in kinds for a in n.args if kinds[a] == {True} != kinds[n]}
        images = {}
        for node in (n for n in kinds if n in largest):
            label = self.fresh(self.python[str(node.datum)] if node.op == "name" else "k")
            images[node] = name(label)
            self.numbers[label] = self.in_python(node)
        return substitute_all(roots, images)

    def in_python(self, node: Value) -> str:
        """Return the text of a number that is made of constants."""
        renamed = {name(x): name(y) for x, y in self.python.items()}
        (root,) = substitute_all([node], renamed)
        legal = rewrite([root], lambda n: scalars.scalar(n) if names([n]) else n)[root]
        (spelled,), constants = hoist_constants([legal], set(self.python.values()), FormulaPrinter().print)
        literals = {name(k.name): number(Decimal(k.literal)) for k in constants}
        return TorchPrinter().print(substitute_all([spelled], literals)[0])

    def kernels(self, more: int, narrow: Sequence[bool], total: str) -> Kernels:
        """Return all that the source is made of; so many roots are second derivatives."""
        count = len(self.problem.inputs)
        values, products = self.roots[: len(self.outputs)], self.roots[len(self.outputs) :][:count]
        rest = self.roots[len(values) + count :]
        if not {*self.leaves.values()} <= set(self.node.leaves):
            raise NoKernel("its gradients read more than its node keeps")
        labels = dict(zip(rest[more:], self.problem.named.values(), strict=True))
        inputs = [self.aliases[x] for x in self.problem.inputs]
        cotangents = [self.aliases[x] for x in self.arrived.cotangents]
        read = [self.aliases[x] for x in self.leaves]
        params = [p.name for p in self.problem.params if p.name not in self.leaves]
        shapes = [self.aliases[x] for x in params]  # Their gradients are sums to these.
        users = tuple(sum((x in names([p])) << i for i, p in enumerate(products)) for x in read)
        few = [self.aliases[x] for x in self.small()] + cotangents * (narrow[0] or bool(total))
        few += [x for x, one in zip([*self.outputs, *self.results], narrow, strict=True) if one]
        common = rows.shared(values[0], products) if self.keeps else []
        self.taken |= {*self.python.values()}
        totals = [self.fresh(_CALLED[n.op]) for n in common]
        products = substitute_all(products, dict(zip(common, map(name, totals), strict=True)))
        few += totals
        results = [*self.outputs, *totals]
        forward = self.made("value", inputs, results, [*values, *common], labels, few)
        reads = [*cotangents, *read, *shapes, *totals]
        backward = self.made("gradients", reads, self.results, products, labels, few)
        seconds = None
        # Without those of gradients, these are differentiated by torch.
        if more and 2 * (len(cotangents) + len(read)) + count <= self.language.most:
            weights = [self.aliases[f"{x}!"] for x in self.problem.inputs]
            results = [self.fresh(f"grad_{x}") for x in (*cotangents, *read)]
            reads = [*cotangents, *read, *weights]
            seconds = self.made("seconds", reads, results, rest[:more], labels, few)
        library, helpers = libm.functions(self.roots)
        made = tuple((h.name, h.parameters, self.helper(h)) for h in helpers)
        leaves, constants = tuple(self.leaves.values()), tuple(self.constants)
        return Kernels(
            *(forward, backward, seconds, leaves, tuple(self.python[x] for x in params), tuple(totals)),
            *(users, self.arrived.outputs, constants, tuple(library), made),
            rows=self.rows,
            narrow=narrow[0],
            total=total,
        )

    def small(self) -> list[str]:
        """Return the parameters that are one number a row, where rows are reduced."""
        known, along = self.problem.spans, -1 if self.rows else None
        return [p.name for p in self.problem.params if self.problem.reduces and along not in known[p.name]]

    def made(
        self,
        label: str,
        reads: Sequence[str],
        results: Sequence[str],
        roots: Sequence[Value],
        named: dict[Value, str],
        narrow: Sequence[str],
    ) -> Kernel:
        """Return a kernel."""
        taken = set(self.taken)
        own = {x: y for (x, _), y in zip(self.problem.results, self.outputs, strict=False)}
        wanted = {n: own.get(text) or free_name(text, taken) for n, text in named.items() if n.args}
        printer = self.language.printer(reads[0], {k.name for k in self.constants})
        graphs = dict(zip(results, roots, strict=True))
        if len(reads) + len(results) > self.language.most:
            raise NoKernel(f"a kernel has {self.language.most} arrays at most")
        made, kept = self.loops(Wanted(tuple(reads), graphs, narrow, wanted), printer)
        used = names(roots)
        numbers = {x: text for x, text in self.numbers.items() if x in used}
        counts = {self.aliases.get(x, ""): x == rows.ALL for x in (rows.COUNT, rows.ALL)}
        few = tuple(x for x in (*reads, *results) if x in narrow)
        counted = {x: of_all for x, of_all in counts.items() if x in used}
        return Kernel(label, tuple(reads), tuple(results), numbers, counted, few, kept, made)

    def loops(self, wanted: Wanted, printer: Printer) -> tuple[tuple[Loop, ...], tuple[str, ...]]:
        """Return the loops of a kernel; of whole rows at once, one."""
        taken, graphs = set(self.taken), wanted.results
        if not self.language.tiles:
            return loops(wanted, libm.is_costly, self.language, printer, taken, keeps=self.rows)
        targets = [Target(root, self.language.result(i, x), x) for i, (x, root) in enumerate(graphs.items())]
        body = lower(targets, printer, taken | {*wanted.named.values()}, wanted.named, self.language.let)
        return (Loop(None, (), body, tuple(graphs), {}),), ()

    def helper(self, helper: Helper) -> Body:
        """Return the statements of a function that the source defines."""
        printer = self.language.printer(helper.parameters[0], ())
        taken = {*helper.parameters, *WORDS, *libm.reserved()}
        return lower([Target(helper.value, self.language.helper)], printer, taken, {}, self.language.let - 4)
