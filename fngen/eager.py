"""The node for plain tensors: keeps what it has computed, works in its own buffers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fngen import economy
from fngen.buffers import reuse
from fngen.ir import Value, name, names, substitute_all
from fngen.keep import depends, kept
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
    """

    forward: Body
    backward: Body
    keeps: tuple[str, ...]
    wanted: tuple[int, ...]


@dataclass(frozen=True)
class Formula:
    """A node's formula and what its bodies must respect.

    Attributes:
        root: The formula.
        slopes: Its partial derivatives, as a second derivative starts from them.
        quick: The same in the cheapest form.
        inputs: The names of its inputs.
        budget: What autograd of the plain formula would save.
        cotangent: The name of the output's gradient.
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
    inputs: tuple[str, ...]
    budget: tuple[int, ...]
    cotangent: str
    output: str
    leaves: tuple[str, ...]
    named: Mapping[Value, str]
    always: frozenset[str]
    taken: frozenset[str]
    lean: bool


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
    root, bits = formula.root, {x: 1 << i for i, x in enumerate(formula.inputs)}
    quick = formula.slopes if formula.lean else formula.quick
    leaves = [x for x in formula.leaves if x in bits]
    keep = kept(root, quick, formula.inputs, leaves, formula.budget)
    if formula.lean:
        keep = [n for n in keep if n.op == "name" and str(n.datum) in formula.leaves]
    named = dict(formula.named)
    if formula.output in formula.leaves:
        keep, named[root] = list(dict.fromkeys([*keep, root])), formula.output
    taken = set(formula.taken)

    masks = depends([root], bits)
    images = reuse([root], masks, keep)
    wanted = {images[n]: text for n, text in named.items() if n in images}
    stored = {images[n] for n in keep if n.args}
    forward = lower([Target(images[root], room)], printer, taken, wanted, 8, stored)

    labels = {let.value: name(let.name) for lets in (forward.shared, *forward.local) for let in lets}
    saved = {n: labels[images[n]] if n.args else n for n in keep}
    quick = tuple(substitute_all(quick, saved))
    made = targets(economy.products(quick))
    values = economy.shared_factors([t.value for t in made])
    bits |= {str(v.datum): masks[n] for n, v in saved.items()}
    bits[formula.cotangent] = (2 << len(formula.inputs)) - 1  # Under vmap it may be batched alone.
    images = reuse(values, depends(values, bits))
    wanted = dict(zip(substitute_all(named, saved), named.values(), strict=True))
    wanted = {images[n]: text for n, text in wanted.items() if n in images and n.args}
    final = [Target(images[v], t.room) for v, t in zip(values, made, strict=True)]
    backward = lower(final, printer, taken, wanted, 12)
    keeps = dict.fromkeys([*formula.leaves, *(str(v.datum) for v in saved.values())])
    always = formula.always | set(names(let.value for let in backward.shared))
    users = {x: (1 << len(formula.inputs)) - 1 if x in always else 0 for x in keeps}
    for i, pair in enumerate(zip(formula.slopes, quick, strict=True)):
        users |= {x: users[x] | 1 << i for x in names(pair) if x in users}
    return Eager(forward, backward, tuple(keeps), tuple(users.values()))
