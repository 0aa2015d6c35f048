"""Parts of a formula that torch has as one kernel: an activation, and its derivative times a cotangent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from fngen.algebra import ONE, div, mul, product_of
from fngen.backends.torch import legalise
from fngen.differentiate import partials
from fngen.factors import SLOPE, factors, inner_products
from fngen.functions import TABLE
from fngen.ir import Value, fold, is_number, name, names, postorder, rebuild, substitute, tree_size, value

VJP = "vjp"
"""A cotangent, and what a function is called with: its product with the derivative by the first argument."""


def slopes_as_one(slopes: Sequence[Value], root: Value, consts: Collection[str]) -> list[Value]:
    """Return derivatives with that of each activation in ``root`` as one node, where torch has its kernel.

    Args:
        slopes: The derivatives.
        root: The formula.
        consts: The names that stand for Python numbers.
    """
    found = {
        _slope(node): value(SLOPE, *node.args, datum=node.op)
        for node in _activations(root)
        if set(names(node.args[1:])) <= set(consts)
    }
    return _replaced(slopes, found) if found else list(slopes)


def _activations(root: Value) -> list[Value]:
    """Return the functions in a formula whose derivatives torch has as kernels, ``x*sigmoid(x)`` as one."""
    order = postorder([root])
    inner = inner_products([root])
    found = [n for n in order if n.op in TABLE and TABLE[n.op].vjp]
    for chain in (factors(n, inner) for n in order if n.op == "mul" and n not in inner):
        found += [value("silu", *f.args) for f in chain if f.op == "sigmoid" and f.args[0] in chain]
    return list(dict.fromkeys(found))


def _slope(node: Value) -> Value:
    """Return the derivative of a function by its first argument, in the form in which formulas have it."""
    hole = name("x!")
    (pattern,) = partials(value(node.op, hole, *node.args[1:]), ["x!"])
    return substitute(pattern, {hole: node.args[0]})


def _replaced(roots: Sequence[Value], found: Mapping[Value, Value]) -> list[Value]:
    """Return graphs with the images of patterns, also where other factors stand beside one or in it."""
    gates: dict[Value, list[Value]] = {}
    products = {}
    for pattern in found:
        if pattern.op == "where":
            gates.setdefault(pattern.args[0], []).append(pattern)
        elif pattern.op == "mul":
            parts = factors(pattern, inner_products([pattern]))
            products[max(parts, key=tree_size)] = pattern, Counter(parts)
    inner = inner_products(roots)
    images: dict[Value, Value] = {}

    def rule(node: Value, args: list[Value]) -> Value:
        for gate in gates.get(node.args[0], []) if node.op == "where" else []:
            if rest := _beside(node, gate):
                return mul(images.get(rest) or substitute(rest, images), found[gate])
        chain = Counter(factors(node, inner) if node.op == "mul" and node not in inner else [])
        known = [products[f] for f in chain if f in products and products[f][1] <= chain]
        if not known:
            return rebuild(node, args) if args else node
        left = (chain - sum((parts for _, parts in known), Counter())).elements()
        return product_of([*map(images.__getitem__, left), *(found[pattern] for pattern, _ in known)])

    fold(roots, rule, images)
    return [images[root] for root in roots]


def _beside(node: Value, gate: Value) -> Value | None:
    """Return ``p`` of ``p*gate``, the factor in the branches of the gate that are not zero."""
    if node.op != "where" or node.args[0] is not gate.args[0]:
        return None
    pairs = [*zip(node.args[1:], gate.args[1:], strict=True)]
    if any(is_number(b, 0) and not is_number(a, 0) for a, b in pairs):
        return None
    rests = {_over(a, b) for a, b in pairs if not is_number(b, 0)}
    return rests.pop() if len(rests) == 1 else None


def _over(product: Value, factor: Value) -> Value | None:
    """Return what stands beside a factor in a product."""
    if product is factor or is_number(factor, 1):
        return ONE if product is factor else product
    if factor.op == "number" and product.op == "div" and div(ONE, product.args[1]) is factor:
        return product.args[0]
    chain = factors(product, inner_products([product])) if product.op == "mul" else []
    if factor not in chain:
        return None
    chain.remove(factor)
    return product_of(chain)


def silus(roots: Sequence[Value]) -> list[Value]:
    """Return graphs with ``silu(u)`` for ``u*sigmoid(u)``, where nothing else reads the sigmoid."""
    uses = Counter([*roots, *(a for n in postorder(roots) for a in n.args)])
    inner = inner_products(roots)
    images: dict[Value, Value] = {}

    def rule(node: Value, args: list[Value]) -> Value:
        chain = factors(node, inner) if node.op == "mul" and node not in inner else []
        gates = [f for f in chain if f.op == "sigmoid" and uses[f] == 1 and f.args[0] in chain]
        if not gates:
            return rebuild(node, args) if args else node
        found = [images[f] for f in chain]
        for gate in gates:
            found[found.index(images[gate])] = value("silu", *images[gate].args)
            found.remove(images[gate.args[0]])
        return product_of(found)

    fold(roots, rule, images)
    return [images[root] for root in roots]


def written_out(roots: Sequence[Value], masks: Mapping[Value, int]) -> list[Value]:
    """Return graphs in which each derivative that no kernel took up is what the table says.

    Its factor moves into the branches of a gate, as it does in every derivative; a number does not, for of
    two numbers a choice has torch's default type.

    Args:
        roots: The graphs.
        masks: For each node the tensors that it depends on, as a bit mask.
    """
    hole = name("p!")
    numbers = [str(n.datum) for n in postorder(roots) if n.op == "name" and not masks[n]]

    def rule(node: Value, args: list[Value]) -> Value:
        slopes = [a for a in node.args if a.op == SLOPE]
        factors = [a for a in node.args if a.op != SLOPE]
        if node.op == "mul" and len(slopes) == 1 and masks[factors[0]]:
            return substitute(legal(slopes[0], hole), {hole: images[factors[0]]})
        return legal(node, ONE) if node.op == SLOPE else rebuild(node, args) if args else node

    def legal(node: Value, factor: Value) -> Value:
        args = [images[a] for a in node.args]
        slope = mul(factor, _slope(value(str(node.datum), *args)))
        return legalise([slope], numbers)[0]

    images: dict[Value, Value] = {}
    fold(roots, rule, images)
    return [images[root] for root in roots]
