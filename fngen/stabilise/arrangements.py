"""The same sum or product in another order, or as one fraction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import chain

from fngen.algebra import ONE, add, div, mul, neg, power
from fngen.ir import (
    CONDITIONS,
    Value,
    is_number,
    number,
    postorder,
    substitute,
    tree_size,
    value,
)
from fngen.stabilise import views
from fngen.stabilise.one_fraction import ARITHMETIC, LONGEST, one_fraction

_MOST_FACTORS = 16
_HIGH = 3
"""The exponent of a power that is not divided factor by factor."""
_LONGEST_NUMBER = 10**9
"""Of a number as Taylor polynomials do not have: one of these is no fraction."""
_COMPARISONS = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})
SIGNED = frozenset({"expm1", "tanh", "sinh", "asinh", "asin", "atanh", "atan", "log1p", "erf"})
"""Functions that have the sign of their argument."""
_Product = tuple[Fraction, views.Factors]
"""A number times powers."""


def arrangements(form: Value) -> Iterator[Value]:
    """Yield a form with one of its sums or products arranged in another way."""
    for node in postorder([form]):
        if node.op in _COMPARISONS:
            yield from (substitute(form, {node: made}) for made in _of_comparison(node))
        elif node.op not in CONDITIONS and node.args:
            yield from (substitute(form, {node: made}) for made in _arranged(node) if made is not node)


def _of_comparison(node: Value) -> Iterator[Value]:
    """Yield a comparison of a function with 0 as one of its argument, which is not rounded."""
    for side, other in ((0, 1), (1, 0)):
        if is_number(node.args[other], 0):
            c, inside = views.coefficient(node.args[side])
            while inside.op in SIGNED and c > 0:
                d, inside = views.coefficient(inside.args[0])
                c *= d
            if c > 0 and inside is not node.args[side]:
                yield value(node.op, *((inside, node.args[1]) if side == 0 else (node.args[0], inside)))


@lru_cache(maxsize=4096)
def _arranged(node: Value) -> tuple[Value, ...]:
    return (*of_product(node), *_of_sum(node))


def of_product(node: Value) -> Iterator[Value]:
    """Yield a product factor by factor: a power that overflows does so after what is small has its say."""
    if node.op not in ("mul", "div", "pow"):
        return
    c, found = views.factors(node)
    if any(n.denominator != 1 or abs(n) > _MOST_FACTORS for n in found.values()):
        return
    powers = sorted(found.values())
    of_quotient = len(powers) == 2 and 1 < powers[1] == -powers[0]
    if not of_quotient and (len(found) > 1 or abs(c) != 1 or any(n < -1 for n in powers)):
        yield _stepwise(c, found)
    yield from _of_quotient(c, found)
    if len(found) == 1 and (n := next(iter(found.values()))) < -1:
        (base,) = found
        yield views.scaled(c, power(div(ONE, base), number(-n)))
    for f in (f for f, n in found.items() if f.op == "exp" and n == 1 and len(found) > 1):
        half = value("exp", div(f.args[0], number(2)))
        rest = _stepwise(c, {g: n for g, n in found.items() if g is not f})
        yield value("mul", value("mul", half, rest), half)
    if c != 1 and list(found.values()) == [1]:
        yield from _distributed(c, next(iter(found)))
    sums = [f for f, n in found.items() if n == 1 and views.is_sum(f)]
    if len(sums) == 1 and len(found) > 1:
        others = {f: n for f, n in found.items() if f is not sums[0]}
        yield _sum(
            (c * d * e, _stepwise(Fraction(1), views.times(others, found))) for d, e, found in _terms(sums[0])
        )


def _of_quotient(c: Fraction, found: views.Factors) -> Iterator[Value]:
    """Yield a product with two powers of which one divides the other as one with the power of a quotient."""
    left = _with_ratio(found, 2)
    for ratio in [f for f in left if f not in found]:
        rest = {f: n for f, n in left.items() if f is not ratio}
        yield mul(power(ratio, number(left[ratio])), _stepwise(c, rest))


def _distributed(c: Fraction, node: Value) -> Iterator[Value]:
    """Yield a number times a sum or choice, as one of numbers times what is in it."""
    if node.op == "where":
        condition, *sides = node.args
        yield value("where", condition, *(_times_number(c, side) for side in sides))
    elif views.is_sum(node):
        yield _times_number(c, node)


def _times_number(c: Fraction, node: Value) -> Value:
    """Return a number times each term of a sum, or times another graph."""
    if views.is_sum(node):
        return views.sum_of({t: c * d for t, d in views.terms(node).items()})
    d, found = views.factors(node)
    return views.product(c * d, found)


def _terms(node: Value) -> Iterator[tuple[Fraction, Fraction, views.Factors]]:
    """Yield the terms of a sum, as numbers times products."""
    for term, d in views.terms(node).items():
        yield (d, *views.factors(term))


def _sum(terms: Iterable[tuple[Fraction, Value]]) -> Value:
    total = views.Terms()
    for c, term in terms:
        total[term] = total.get(term, Fraction(0)) + c
    return views.sum_of({term: c for term, c in total.items() if c})


def _stepwise(c: Fraction, found: views.Factors) -> Value:
    """Return a product that begins with functions, and multiplies and divides by turns."""
    ordered = sorted(_with_ratio(found, _HIGH).items(), key=_plain)
    over, under = ([f for pair in ordered for f in _one_by_one(*pair, sign)] for sign in (1, -1))
    total = views.scaled(c, over.pop(0)) if over else number(c)
    while over or under:
        if under:
            total = value("div", total, under.pop(0))
        if over:
            total = value("mul", total, over.pop(0))
    return total


def _with_ratio(found: views.Factors, least: int) -> views.Factors:
    """Return a product with the power of a quotient for high ones of its sides: ``(a/b)**5/b``."""
    over, under = ([f for f, n in found.items() if n * sign >= least] for sign in (1, -1))
    if len(over) != 1 or len(under) != 1:
        return found
    (a,), (b,) = over, under
    n = min(found[a], -found[b])
    return {div(a, b): n, **views.times(found, {a: -n, b: n})}


def _one_by_one(node: Value, n: Fraction, sign: int) -> list[Value]:
    """Return the factors that a power is made of, if it has this sign: itself, if they are many or none."""
    if n * sign <= 0:
        return []
    # Of the square of sech, torch knows the derivative wherever cosh is infinite.
    whole = n.denominator == 1 and abs(n) <= _MOST_FACTORS and node.op not in ("sech", "div")
    return [node] * int(abs(n)) if whole else [power(node, number(abs(n)))]


def _plain(pair: tuple[Value, Fraction]) -> bool:
    return pair[0].op == "name" or pair[0].op in ARITHMETIC


def _of_sum(node: Value) -> Iterator[Value]:
    """Yield a sum of powers of one thing with the least power in front, a sum as one fraction."""
    if views.is_sum(node):
        yield from _least_power_first(node)
        yield from _collected(node)
    parts = postorder([node])
    if tree_size(node) <= LONGEST and _is_no_polynomial(node, parts) and not any(map(_is_long, parts)):
        for made in one_fraction(node):  # The square of its divisor may overflow.
            sign, positive = (neg, made.args[0]) if made.op == "neg" else (_same, made)
            yield from (made, *map(sign, of_product(positive)))


def _is_no_polynomial(node: Value, parts: Iterable[Value]) -> bool:
    """Say whether there is a quotient, or a sum that is no sum of products."""
    return any(n.op == "div" for n in parts) or (
        views.is_sum(node) and any(map(views.is_sum, chain.from_iterable(map(_factors, views.terms(node)))))
    )


def _factors(node: Value) -> Iterable[Value]:
    return views.factors(node)[1]


def _same(node: Value) -> Value:
    return node


def _is_long(node: Value) -> bool:
    """Say whether a node is a number as Taylor polynomials have."""
    if not isinstance(node.datum, Fraction):
        return False
    return max(abs(node.datum.numerator), node.datum.denominator) > _LONGEST_NUMBER


def _least_power_first(node: Value) -> Iterator[Value]:
    """Yield a sum with what all its terms have in common in front: ``a**6*(a**6 - 1)``."""
    products = [(d * c, found) for d, c, found in _terms(node)]
    front = views.Factors()
    for base in products[0][1] if products else ():
        powers = [found.get(base, Fraction(0)) for _, found in products]
        if all(n < 0 for n in powers) or all(n > 0 for n in powers):
            front[base] = min(powers, key=abs)
    if not front:
        return
    rest = (
        (c, {f: n - front.get(f, 0) for f, n in found.items() if n != front.get(f, 0)})
        for c, found in products
    )
    inside = _sum((c, views.product(Fraction(1), left)) for c, left in rest)
    yield mul(views.product(Fraction(1), front), inside)


def _collected(node: Value) -> Iterator[Value]:
    """Yield a sum with an exponential in front of all that it multiplies: ``exp(x)*(1 - 1/x) + 1/x``."""
    products = list(_multiplied_out([(d * c, found) for d, c, found in _terms(node)]))
    for u in dict.fromkeys(f.args[0] for _, found in products for f, n in found.items() if f.op == "exp"):
        both = {value("exp", u): Fraction(0), value("expm1", u): Fraction(-1)}
        inside, rest = list[tuple[Fraction, Value]](), list[tuple[Fraction, Value]]()
        for c, found in products:
            f = next((f for f in found if f in both and found[f] == 1), None)
            left = views.product(Fraction(1), {g: n for g, n in found.items() if g is not f})
            (rest if f is None else inside).append((c, left))
            if f is not None and both[f]:
                rest.append((-c, left))
        if len(inside) > 1:
            yield add(mul(value("exp", u), _sum(inside)), _sum(rest))


def _multiplied_out(products: Iterable[tuple[Fraction, views.Factors]]) -> Iterator[_Product]:
    """Yield products with one more for each term of a sum with an exponential that is a factor."""
    stack = list(products)[::-1]
    while stack:
        c, found = stack.pop()
        inner = next((f for f, n in found.items() if n == 1 and views.is_sum(f) and _grows(f)), None)
        if inner is None or len(stack) > _MOST_FACTORS:
            yield c, found
            continue
        rest = {f: n for f, n in found.items() if f is not inner}
        stack += [(c * d * e, views.times(rest, more)) for d, e, more in _terms(inner)][::-1]


def _grows(node: Value) -> bool:
    """Say whether there is an exponential in a sum."""
    return any(n.op in ("exp", "expm1") for n in postorder([node]))
