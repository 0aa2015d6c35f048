"""The node for plain tensors: keeps what it has computed, works in its own buffers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from fngen import economy
from fngen.buffers import ALIASES, CHEAP, distinct, reuse
from fngen.choices import into_choice, of_usual, without_guards
from fngen.contraction import Contraction
from fngen.factors import BOUNDED_FUNCTIONS, shared_factors
from fngen.functions import TABLE
from fngen.fuse import fuse
from fngen.hazards import safely
from fngen.ir import Value, name, names, postorder, rewrite, substitute_all
from fngen.keep import kept
from fngen.kernels import silus, written_out
from fngen.looks import by_results, with_holes
from fngen.lower import Body, Target, lower
from fngen.parts import Common
from fngen.parts import common as shared
from fngen.printing.infix import Printer
from fngen.pull import Formula, Pull


@dataclass(frozen=True)
class Rows:
    """The statements of some gradients, and what they compute."""

    body: Body
    values: tuple[Value, ...]

    @property
    def owned(self) -> tuple[bool, ...]:
        """Say of each gradient whether nothing else holds its buffer: no name, and no other gradient."""
        uses = Counter(n for v in self.values for n in postorder([v]))
        return tuple(bool(v.args) and v.op not in ALIASES and uses[v] == 1 for v in self.values)


@dataclass(frozen=True)
class Eager:
    """Its statements and what it keeps.

    Attributes:
        forward: The statements of the values.
        common: The statements that the gradients of several outputs share.
        parts: The statements of the gradients, or those of each joint's part.
        keeps: The names of what it keeps, the leaves first.
        wanted: For each of them the inputs whose gradients need it, as a bit mask.
        shapes: The parameters of which it keeps the shape, and the name of each.
        bare: Whether torch differentiates the statements otherwise than the layer: they stop no
            gradient, and call functions as torch has them, with a derivative or without.
    """

    forward: Body
    common: Common
    parts: tuple[Rows, ...]
    keeps: tuple[str, ...]
    wanted: tuple[int, ...]
    shapes: Mapping[str, str]
    bare: bool = False

    @property
    def backward(self) -> Body:
        """The statements of the gradients of one output."""
        (part,) = self.parts
        return part.body

    @property
    def gradients(self) -> list[Body]:
        """The statements of all gradients."""
        return [self.common.body, *(part.body for part in self.parts)]

    @property
    def bodies(self) -> list[Body]:
        """The statements of every function."""
        return [self.forward, *self.gradients]


def build(formula: Formula, printer: Printer) -> Eager:
    """Return the statements of the eager node.

    Args:
        formula: What it computes.
        printer: The printer of the backend, for bodies that nobody differentiates.
    """
    formula, cut = _without_cuts(formula)
    formula = replace(formula, roots=tuple(distinct(formula.roots))) if formula.roots[1:] else formula
    pulls = (replace(p, quick=tuple(by_results(p.quick, formula.roots))) for p in formula.pulls)
    formula = replace(formula, pulls=tuple(pulls))
    keep, taken = _kept(formula), set(formula.taken)
    forward, saved = _forward(formula, keep, printer, taken)
    quick = iter(substitute_all(formula.quick, saved))
    rows = [tuple(islice(quick, len(p.slopes))) for p in formula.pulls]
    made = [
        p.targets(economy.products(economy.polynomials(economy.bounds(row))))
        for p, row in zip(formula.pulls, rows, strict=True)
    ]
    common = shared([[t.value for t in ts] for ts in made], formula.reach, printer, taken, formula.named)
    backward = _Backward(formula, saved, common, printer, taken)
    parts = tuple(backward.part(p, targets) for p, targets in zip(formula.pulls, made, strict=True))
    keeps = tuple(dict.fromkeys([*formula.leaves, *(str(v.datum) for v in saved.values())]))
    users = _users(formula, keeps, rows, common, parts)
    graphs = postorder(slope for row in rows for slope in row)
    bare = cut or any(n.op in TABLE and not TABLE[n.op].native for n in graphs)
    read = names(v for part in parts for v in part.values)
    shapes = {x: param.shape for x, param in formula.learned.items() if param.shape in read}
    return Eager(forward, common, parts, keeps, tuple(users.values()), shapes, bare)


def _users(
    formula: Formula,
    keeps: tuple[str, ...],
    rows: Sequence[Sequence[Value]],
    common: Common,
    parts: Sequence[Rows],
) -> dict[str, int]:
    """Return for each kept tensor the inputs whose gradients need it, as a bit mask."""
    users = {x: formula.always.get(x, 0) for x in keeps}

    def add(graphs: Iterable[Value], mask: int) -> None:
        users.update({x: users[x] | mask for x in names(graphs) if x in users})

    add(common.labels, (1 << len(formula.inputs)) - 1)
    for pull, row, part in zip(formula.pulls, rows, parts, strict=True):
        add((let.value for let in part.body.shared), pull.wanted)
        for mask, *pair in zip(pull.masks, pull.slopes, row, strict=True):
            add(pair, mask)
    return users


def _without_cuts(formula: Formula) -> tuple[Formula, bool]:
    """Return a formula without cuts and guards, which say nothing to who differentiates nothing."""
    graphs = formula.graphs
    images = rewrite(graphs, lambda n: n.args[0] if n.op == "stop_gradient" else n)
    found = without_guards([images[g] for g in graphs])
    cut = found != list(graphs)
    found = with_holes(found)
    return (formula, cut) if found == list(graphs) else (formula.mapped(iter(found)), cut)


def _kept(formula: Formula) -> list[Value]:
    """Return the nodes whose results are saved."""
    leaves = [x for x in formula.leaves if x in formula.inputs]
    by_output = list(formula.roots) if formula.output in formula.leaves else []
    if formula.lean:
        return [*map(name, leaves), *by_output]
    found = kept(formula.roots, formula.quick, formula.extents, leaves, formula.budget)
    return list(dict.fromkeys([*found, *by_output]))


def _forward(
    formula: Formula, keep: Sequence[Value], printer: Printer, taken: set[str]
) -> tuple[Body, dict[Value, Value]]:
    """Return the statements of the values, and the name under which each node is saved."""
    named, roots = dict(formula.named), formula.roots
    if formula.output in formula.leaves:
        named |= dict.fromkeys(roots, formula.output)
    masks = formula.extents.depends(roots)

    def make(spared: Collection[Value]) -> tuple[Body, dict[Value, Value], set[str]]:
        images, used = reuse(roots, masks, keep, spared, rare=len(roots) == 1), set(taken)
        wanted = {images[n]: text for n, text in named.items() if n in images}
        # A name for each of several: what one reads may then be left in the buffer of another.
        stored = {images[n] for n in keep if n.args} | {images[root] for root in roots[1:] and roots}
        targets = [Target(images[root], room) for root, room in zip(roots, formula.rooms, strict=True)]
        return lower(targets, printer, used, wanted, 8, stored, recycle=True), images, used

    body, images, used = safely(make, roots, [n for n in keep if n.args])
    taken |= used
    labels = {let.value: name(let.name) for lets in (body.shared, *body.local) for let in lets}
    return body, {n: labels[images[n]] if n.args else n for n in keep}


class _Backward:
    """How the gradients are written.

    Args:
        formula: The formula.
        saved: The nodes of the forward that are saved, and their names.
        common: What several parts are made of.
        printer: The printer of the backend.
        taken: Identifiers in use.
    """

    def __init__(
        self,
        formula: Formula,
        saved: Mapping[Value, Value],
        common: Common,
        printer: Printer,
        taken: set[str],
    ) -> None:
        self.formula, self.printer, self.taken = formula, printer, taken
        self.masks = formula.extents.depends([*formula.roots, *(p.root for p in formula.pulls)])
        self.bits = {str(v.datum): self.masks[n] for n, v in saved.items()}
        inner = formula.extents.depends(common.labels, self.bits)
        self.bits |= {str(v.datum): inner[n] for n, v in common.labels.items()}
        held = [*saved.items(), *common.labels.items()]
        self.small = {str(v.datum) for n, v in held if n.op in BOUNDED_FUNCTIONS}
        self.labels, self.rare = common.labels, len(formula.roots) == 1
        graphs = substitute_all(substitute_all(formula.named, saved), common.labels)
        self.named = dict(zip(graphs, formula.named.values(), strict=True))

    def part(self, pull: Pull, made: Sequence[Target]) -> Rows:
        """Return the statements that take a cotangent further."""
        extents, small = self.formula.extents, self.small | {pull.cotangent}
        result = 0 if pull.scalar else self.masks[pull.root]
        bits = self.bits | {pull.cotangent: extents.cotangent(result)}
        values = substitute_all([t.value for t in made], self.labels)
        values = economy.gates(values, extents.depends(values, bits))
        values = [v if t.param else into_choice(v) for v, t in zip(values, made, strict=True)]
        names = self.formula.inputs
        values = of_usual(values, lambda some: shared_factors(silus(some), pull.cotangent, names, small))
        batch = extents.batch if pull.exact else None
        values = fuse(values, extents.depends(values, bits), small, pull.cotangent, batch)
        values = written_out(values, extents.depends(values, bits))
        learned, params = self.formula.learned, [t.param for t in made]
        sums = Contraction(values, learned, extents, bits, self.named, self.printer, self.formula.indent)
        values = [sums.summed(v, x) if x else v for v, x in zip(values, params, strict=True)]
        masks = extents.depends(values, bits)

        def make(spared: Collection[Value]) -> tuple[Body, dict[Value, Value], set[str]]:
            images, used = reuse(values, masks, spared=spared, rare=self.rare), set(self.taken)
            if whole := sums.spared(images):
                images = reuse(values, masks, spared={*spared, *whole}, rare=self.rare)
            found = [images[v] for v in values]
            # What is read once lives longer with a name than without.
            uses = Counter(a for n in postorder(found) for a in n.args)
            places = [(images[n], text) for n, text in self.named.items() if n in images and n.args]
            wanted = {n: text for n, text in places if uses[n] > 1}
            final = [replace(t, value=v) for v, t in zip(found, made, strict=True)]
            body = lower(final, self.printer, used, wanted, self.formula.indent, cheap=CHEAP, recycle=True)
            return body, images, used

        body, images, used = safely(make, values)
        self.taken |= used
        return Rows(body, tuple(images[v] for v in values))
