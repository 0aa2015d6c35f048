"""The products of a backward that nobody differentiates: what several share, and in which order.

Mathematics lets the factors stand in any order. In this one the cotangent leads, for it has the
shape and type of the result: the others are multiplied into its buffer. A factor ``1 - m`` comes
before the inputs, so that ``p*(1 - m)`` may become ``p - p*m``, one kernel, while ``p`` is finite.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

from fngen.algebra import is_gate, is_negative, neg, product_of
from fngen.ir import Value, fold, is_number, names, postorder, rebuild, substitute, value
from fngen.language.rules import derivative

Factor = Value | tuple["Factor", "Factor"]
"""A factor of a product, or two that stand together in several."""
_MANY = 20_000
"""Pairs of factors beyond which a formula is too long for a person to look for common ones."""
BOUNDED_FUNCTIONS = frozenset(
    {
        *("sigmoid", "tanh", "erf", "erfc", "sin", "cos", "atan", "acot", "sign", "sech", "ndtr"),
        *("softsign", "softmax"),
    }
)
"""Functions whose values lie between -4 and 4."""
SLOPE = "slope"
"""The derivative of an activation by its first argument, before a kernel takes it up."""
NUMBER, COTANGENT, BOUNDED, COMPLEMENT, RESULT, OTHER, GATE = range(7)
"""The order of the factors of a product."""


class Products:
    """The products in some gradients.

    Args:
        roots: The gradients.
        cotangent: The name of the output's gradient.
        small: Names that stand for numbers of moderate size.
    """

    def __init__(self, roots: Sequence[Value], cotangent: str, small: Collection[str]) -> None:
        self.roots, self.small = roots, small
        order = postorder(roots)
        self.leads = depending(order, cotangent)
        inner = inner_products(roots)
        tops = [n for n in order if n.op == "mul" and n not in inner]
        self.bounded = bounded(order, small)
        chains = {n: _logistic_as_one(factors(n, inner)) for n in tops}
        # A product with zero stays: it has the shape of the result.
        nonzero = {n: c for n, c in chains.items() if not any(is_number(f, 0) for f in c)}
        self.chains = {n: sorted(c, key=self.rank) for n, c in nonzero.items()}

    def rank(self, factor: Factor) -> int:
        """Return the place of a factor in a product."""
        if not isinstance(factor, Value):
            ranks = [self.rank(f) for f in factor]
            return COTANGENT if COTANGENT in ranks else max(ranks)
        if factor.op == "number" or str(factor.datum).startswith("_"):
            return NUMBER
        if self.leads.get(factor):
            return COTANGENT
        m = unit_sum(factor)
        if factor.op == SLOPE:
            # Zero times an infinite factor is none where the factor comes before the gate.
            rule = derivative(str(factor.datum), 0)
            return GATE if rule and is_gate(rule) else COMPLEMENT
        if logistic(factor) or (m is not None and self.bounded[m]):
            return COMPLEMENT
        if not self.bounded[factor]:
            return OTHER
        return RESULT if factor.args else BOUNDED

    def ordered(self, found: Sequence[Factor]) -> list[Factor]:
        """Return factors in order; ``1 - m`` does not begin, for it is multiplied into another's kernel."""
        ordered = sorted(found, key=self.rank)
        ranks = [self.rank(f) for f in ordered]
        later = [i for i, rank in enumerate(ranks) if rank > COMPLEMENT]
        if later and not {COTANGENT, BOUNDED} & set(ranks):
            ordered.insert(ranks.count(NUMBER), ordered.pop(later[0]))
        return ordered

    def is_open(self, top: Value) -> bool:
        """Say whether another order of a product changes how it rounds, not where it overflows."""
        ranks = [self.rank(f) for f in self.chains[top]]
        plain = all(f.op in ("name", "number") for f in self.chains[top])
        return bool({COMPLEMENT, GATE} & set(ranks)) or (COTANGENT in ranks and plain)

    def shared(self) -> list[Value]:
        """Return the roots, pairs of factors that recur as one value, all factors in order."""
        grouped = dict(zip(self.chains, _grouped([list(c) for c in self.chains.values()]), strict=True))
        images: dict[Value, Value] = {}

        def build(factor: Factor) -> Value:
            return images.get(factor, factor) if isinstance(factor, Value) else product(factor)

        def product(found: Sequence[Factor]) -> Value:
            return product_of([build(f) for f in self.ordered(found)])

        def rule(node: Value, args: list[Value]) -> Value:
            if node in grouped and (grouped[node] != self.chains[node] or self.is_open(node)):
                return product(grouped[node])
            return rebuild(node, args) if args else node

        fold(self.roots, rule, images)
        return [images[root] for root in self.roots]


def shared_factors(
    roots: Sequence[Value], cotangent: str, inputs: Collection[str], small: Collection[str]
) -> list[Value]:
    """Return gradients with a pair of factors that several products have as one value.

    Args:
        roots: The gradients.
        cotangent: The name of the output's gradient.
        inputs: The names of the inputs.
        small: Names that stand for numbers of moderate size.
    """
    roots = _signed(roots)
    finite = bounded(roots, {*small, *inputs})
    spread = [distributed(root, finite, [r for r in roots if r is not root]) for root in roots]
    return Products(spread, cotangent, small).shared()


def _signed(roots: Sequence[Value]) -> list[Value]:
    """Return gradients with ``-2*p`` for ``-(2*p)``, where that is the sign of all that have a number."""
    tops = [_top_product(root) for root in roots]
    negative = [root.op == "neg" and root.args[0] is top for root, (top, _) in zip(roots, tops, strict=True)]
    numbers = [next((f for f in found if f.op == "number"), None) for _, found in tops]
    if not all(sign for sign, n in zip(negative, numbers, strict=True) if n):
        return list(roots)
    for (_, found), n in zip(tops, numbers, strict=True):
        if n:
            found[found.index(n)] = neg(n)
    pairs = zip(roots, tops, numbers, strict=True)
    return [product_of(found) if n else root for root, (_, found), n in pairs]


def distributed(root: Value, finite: Mapping[Value, bool], others: Sequence[Value]) -> Value:
    """Return ``g*p*(c + a*b)`` as ``g*p*c + g*p*a*b``, which may have factors in common with others.

    Not if ``p`` or ``c`` might overflow: of an infinite number the sum has no value. Unless ``c`` is 1,
    others have to have a part of ``a*b``.
    """
    top, found = _top_product(root)
    for factor in found if others else ():
        if factor.op not in ("add", "sub") or factor.args[1].op != "mul":
            continue
        first, term = factor.args
        rest, parts = [f for f in found if f is not factor], factors(term, _products_in(term))
        one = unit_sum(factor) is term
        if not all(finite[f] for f in (*rest, first)) or not (one or _has_part(others, parts)):
            continue
        # In this order the second product shares no node with the first: all its factors are seen.
        both = value(
            factor.op, product_of([*rest, *([] if one else [first])]), product_of([*parts[::-1], *rest])
        )
        return substitute(root, {top: both})
    return root


def _top_product(root: Value) -> tuple[Value, list[Value]]:
    """Return the product that a graph is, up to its sign and what it is divided by, and its factors."""
    top = root
    while top.op in ("neg", "div"):
        top = top.args[0]
    return top, factors(top, _products_in(top)) if top.op == "mul" else []


def _has_part(roots: Sequence[Value], parts: Sequence[Value]) -> bool:
    """Say whether other products have a factor that takes work, of some."""
    known = {f for root in roots for f in _top_product(root)[1] if f.args}
    return any(part in known for part in parts)


def inner_products(roots: Sequence[Value]) -> set[Value]:
    """Return the products that are factors of one product alone."""
    order = postorder(roots)
    uses = Counter([*roots, *(a for n in order for a in n.args)])
    return {a for n in order if n.op == "mul" for a in n.args if a.op == "mul" and uses[a] == 1}


def _products_in(root: Value) -> set[Value]:
    return {n for n in postorder([root]) if n.op == "mul"}


def depending(order: Sequence[Value], cotangent: str) -> dict[Value, bool]:
    """Say of each node whether it is made of the cotangent."""
    return fold(order, lambda n, args: n.datum == cotangent if n.op == "name" else any(args))


def unit_sum(node: Value) -> Value | None:
    """Return ``m`` of ``1 + m`` or ``1 - m``."""
    if node.op not in ("add", "sub") or not names([node]):
        return None
    a, b = node.args
    return b if is_number(a, 1) else a if node.op == "add" and is_number(b, 1) else None


def logistic(node: Value) -> Value | None:
    """Return ``s`` of ``s*(1 - s)``, the derivative of the sigmoid by its result."""
    if node.op == "mul" and node.args[1].op == "sub" and unit_sum(node.args[1]) is node.args[0]:
        return node.args[0]
    return None


def _logistic_as_one(found: list[Value]) -> list[Value]:
    for factor in found:
        s = unit_sum(factor) if factor.op == "sub" else None
        if s in found and s.op == "name":
            found.remove(s)
            found[found.index(factor)] = value("mul", s, factor)
            break
    return found


def bounded(roots: Sequence[Value], small: Collection[str]) -> dict[Value, bool]:
    """Say of each node whether it is of moderate size: made of bounded functions and such names."""

    def visit(node: Value, args: list[bool]) -> bool:
        if node.op in ("mul", "neg", "addcmul") or (node.op == "pow" and node.args[1].op == "number"):
            return all(args) and not is_negative(node.args[-1])
        if node.op == "name":
            return node.datum in small or str(node.datum).startswith("_")
        return node.op in BOUNDED_FUNCTIONS or node.op == "number"

    return fold(roots, visit)


def factors(top: Value, inner: Collection[Value]) -> list[Value]:
    """Return the factors of a product and of those ``inner`` in it, the square of a name written out."""
    found: list[Value] = []
    stack = [top]
    while stack:
        node = stack.pop()
        if node is top or node in inner:
            stack.extend(reversed(node.args))
        elif node.op == "pow" and is_number(node.args[1], 2) and node.args[0].op == "name":
            found += [node.args[0]] * 2
        else:
            found.append(node)
    return found


def _grouped(chains: list[list[Factor]]) -> list[list[Factor]]:
    """Return the factors of each product, the pairs that recur made one factor."""
    while sum(len(chain) ** 2 for chain in chains) < _MANY:
        pairs: Counter[tuple[Factor, Factor]] = Counter()
        place = {f: i for i, f in enumerate(dict.fromkeys(f for chain in chains for f in chain))}
        for chain in chains:
            distinct = sorted(set(chain), key=place.__getitem__)
            pairs.update(combinations(distinct, 2))
        if not pairs or max(pairs.values()) < 2:
            break
        a, b = max(pairs, key=pairs.__getitem__)
        for chain in chains:
            if a in chain and b in chain:
                chain[chain.index(a)] = (a, b)
                chain.remove(b)
    return chains
