"""The node for plain tensors: keeps what it has computed, works in its own buffers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fngen import economy
from fngen.buffers import CHEAP, reuse
from fngen.extents import Extents
from fngen.factors import BOUNDED_FUNCTIONS, shared_factors
from fngen.fuse import fuse
from fngen.ir import Value, name, names, postorder, rewrite, substitute_all
from fngen.keep import kept
from fngen.lower import Body, Target, lower
from fngen.printing.infix import Printer


@dataclass(frozen=True)
class Eager:
    """Its statements and what it keeps.

    Attributes:
        forward: The statements of the value.
        backward: The statements of the gradients.
        keeps: The names of what it keeps, the leaves first.
        wanted: For each of them the inputs whose gradients need it, as a bit mask.
        cut: Whether the formula stops gradients, which the statements do not.
    """

    forward: Body
    backward: Body
    keeps: tuple[str, ...]
    wanted: tuple[int, ...]
    cut: bool = False


@dataclass(frozen=True)
class Formula:
    """A node's formula and what its bodies must respect.

    Attributes:
        root: The formula.
        slopes: Its partial derivatives, as a second derivative starts from them.
        quick: The same in the cheapest form.
        extents: Of its inputs.
        budget: What autograd of the plain formula would save.
        cotangent: The name of the output's gradient.
        scalar_cotangent: Whether that is a number, whatever the shape of the inputs.
        output: The name of the output.
        leaves: What a second derivative starts from: some inputs, or the output.
        named: The user's names.
        always: The leaves that are read whatever gradient is wanted.
        taken: Identifiers in use.
        lean: Whether to keep the leaves only.
    """

    root: Value
    slopes: tuple[Value, ...]
    quick: tuple[Value, ...]
    extents: Extents
    budget: tuple[int, ...]
    cotangent: str
    scalar_cotangent: bool
    output: str
    leaves: tuple[str, ...]
    named: Mapping[Value, str]
    always: frozenset[str]
    taken: frozenset[str]
    lean: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of its inputs."""
        return self.extents.inputs


def build(
    formula: Formula, room: int, targets: Callable[[Sequence[Value]], list[Target]], printer: Printer
) -> Eager:
    """Return the statements of the eager node.

    Args:
        formula: What it computes.
        room: The columns that the return statement of the forward leaves for the value.
        targets: Makes of the partial derivatives their products with the cotangent.
        printer: The printer of the backend, for bodies that nobody differentiates.
    """
    formula, cut = _without_cuts(formula)
    quick = formula.slopes if formula.lean else formula.quick
    keep, taken = _kept(formula, quick), set(formula.taken)
    forward, saved = _forward(formula, keep, room, printer, taken)
    quick = tuple(substitute_all(quick, saved))
    backward = _backward(formula, saved, targets(economy.products(quick)), printer, taken)
    keeps = dict.fromkeys([*formula.leaves, *(str(v.datum) for v in saved.values())])
    always = formula.always | set(names(let.value for let in backward.shared))
    users = {x: (1 << len(formula.inputs)) - 1 if x in always else 0 for x in keeps}
    for i, pair in enumerate(zip(formula.slopes, quick, strict=True)):
        users |= {x: users[x] | 1 << i for x in names(pair) if x in users}
    return Eager(forward, backward, tuple(keeps), tuple(users.values()), cut)


def _without_cuts(formula: Formula) -> tuple[Formula, bool]:
    """Return a formula without ``stop_gradient``, which says nothing to who differentiates nothing."""
    graphs = [formula.root, *formula.slopes, *formula.quick, *formula.named]
    images = rewrite(graphs, lambda n: n.args[0] if n.op == "stop_gradient" else n)
    found = [images[g] for g in graphs]
    if found == graphs:
        return formula, False
    n = 1 + len(formula.slopes)
    slopes, quick = tuple(found[1:n]), tuple(found[n : n + len(formula.quick)])
    named = dict(zip(found[n + len(quick) :], formula.named.values(), strict=True))
    return replace(formula, root=found[0], slopes=slopes, quick=quick, named=named), True


def _kept(formula: Formula, quick: Sequence[Value]) -> list[Value]:
    """Return the nodes whose results are saved."""
    leaves = [x for x in formula.leaves if x in formula.inputs]
    by_output = [formula.root] if formula.output in formula.leaves else []
    if formula.lean:
        return [*map(name, leaves), *by_output]
    found = kept(formula.root, quick, formula.extents, leaves, formula.budget)
    return list(dict.fromkeys([*found, *by_output]))


def _forward(
    formula: Formula, keep: Sequence[Value], room: int, printer: Printer, taken: set[str]
) -> tuple[Body, dict[Value, Value]]:
    """Return the statements of the value, and the name under which each node is saved."""
    named = dict(formula.named)
    if formula.output in formula.leaves:
        named[formula.root] = formula.output
    images = reuse([formula.root], formula.extents.depends([formula.root]), keep)
    wanted = {images[n]: text for n, text in named.items() if n in images}
    stored = {images[n] for n in keep if n.args}
    body = lower([Target(images[formula.root], room)], printer, taken, wanted, 8, stored, recycle=True)
    labels = {let.value: name(let.name) for lets in (body.shared, *body.local) for let in lets}
    return body, {n: labels[images[n]] if n.args else n for n in keep}


def _backward(
    formula: Formula, saved: Mapping[Value, Value], made: list[Target], printer: Printer, taken: set[str]
) -> Body:
    """Return the statements of the gradients."""
    extents = formula.extents
    masks = extents.depends([formula.root])
    bits = {str(v.datum): masks[n] for n, v in saved.items()}
    result = 0 if formula.scalar_cotangent else masks[formula.root]
    bits[formula.cotangent] = extents.cotangent(result)
    small = {str(v.datum) for n, v in saved.items() if n.op in BOUNDED_FUNCTIONS} | {formula.cotangent}
    values = shared_factors([t.value for t in made], formula.cotangent, formula.inputs, small)
    values = fuse(values, extents.depends(values, bits), small, extents.batched)
    images = reuse(values, extents.depends(values, bits))
    named = zip(substitute_all(formula.named, saved), formula.named.values(), strict=True)
    # What is read once lives longer with a name than without.
    uses = Counter(a for n in postorder(images[v] for v in values) for a in n.args)
    wanted = {images[n]: text for n, text in named if n in images and n.args and uses[images[n]] > 1}
    final = [replace(t, value=images[v]) for v, t in zip(values, made, strict=True)]
    return lower(final, printer, taken, wanted, 12, cheap=CHEAP, recycle=True)
