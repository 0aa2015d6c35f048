"""Sums and products as mathematics has them: of any number of parts, in no order."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from fngen.algebra import ONE, ZERO, add, div, exact, mul, neg, power, product_of, sub
from fngen.ir import Value, is_number, number, value

Terms = dict[Value, Fraction]
"""A sum: what stands in it, and its coefficient; the constant stands under 1."""
Factors = dict[Value, Fraction]
"""A product: what stands in it, and its exponent."""
Powers = list[tuple[Value, Fraction]]
HALF = Fraction(1, 2)
_LONGEST_BITS = 1200
_LONGEST_DENOMINATOR = 10**6
_SMALL_PRIMES = (2, 3, 5, 7, 11, 13)


def is_sum(node: Value) -> bool:
    """Say whether a node is a sum of two."""
    return node.op in ("add", "sub")


def kind(node: Value) -> str:
    """Return what a graph is to a pattern: a sum, a product, or the function that it is of something."""
    if is_sum(node):
        return "sum"
    power = node.op == "pow" and node.args[1].op == "number"
    return "product" if power or node.op in ("mul", "div", "neg", "rsqrt") else node.op


def terms(node: Value) -> Terms:
    """Return a graph as a sum, like terms added."""
    found: Terms = {}
    stack = [(node, Fraction(1))]
    while stack:
        part, c = stack.pop()
        if part.op in ("add", "sub"):
            a, b = part.args
            stack += [(b, c if part.op == "add" else -c), (a, c)]
        elif part.op == "neg":
            stack.append((part.args[0], -c))
        elif part.op == "number":
            found[ONE] = found.get(ONE, Fraction(0)) + c * exact(part)
        else:
            factor, rest = coefficient(part)
            if rest.op in ("add", "sub", "neg"):
                stack.append((rest, c * factor))
            else:
                found[rest] = found.get(rest, Fraction(0)) + c * factor
    return {part: c for part, c in found.items() if c}


def coefficient(node: Value) -> tuple[Fraction, Value]:
    """Return the number that stands before a product, and the rest of it."""
    if node.op not in ("mul", "div", "neg", "number"):
        return Fraction(1), node
    c, plain = Fraction(1), True
    sides: tuple[list[Value], list[Value]] = ([], [])
    stack = [(node, 0)]
    while stack:
        part, side = stack.pop()
        plain = plain and part.op not in ("neg", "number")
        if part.op == "neg":
            c = -c
            stack.append((part.args[0], side))
        elif part.op == "number" and exact(part):
            c = c / exact(part) if side else c * exact(part)
        elif part.op in ("mul", "div"):
            a, b = part.args
            stack += [(b, side ^ (part.op == "div")), (a, side)]
        else:
            sides[side].append(part)
    if plain:
        return c, node
    over, under = map(product_of, sides)
    return c, div(over, under)


def factors(node: Value) -> tuple[Fraction, Factors]:
    """Return a graph as a number times a product of powers, like factors taken together."""
    c, found = Fraction(1), Factors()
    stack = [(node, Fraction(1))]
    while stack:
        part, n = stack.pop()
        whole = n.denominator == 1
        if part.op in ("mul", "div") and whole:
            a, b = part.args
            stack += [(b, n if part.op == "mul" else -n), (a, n)]
        elif part.op == "neg" and whole:
            c *= -1 if n % 2 else 1
            stack.append((part.args[0], n))
        elif part.op == "number" and whole and _is_short(exact(part), n):
            c *= exact(part) ** int(n)
        elif part.op == "pow" and _is_power(part, n):
            stack.append((part.args[0], n * exact(part.args[1])))
        elif (root := _root(part)) and whole:
            found[root] = found.get(root, Fraction(0)) + (n if exponent_sign(part) > 0 else -n)
        elif part is not ONE:
            found[part] = found.get(part, Fraction(0)) + n
    return _without_roots(c, {part: n for part, n in found.items() if n})


def _without_roots(c: Fraction, found: Factors) -> tuple[Fraction, Factors]:
    """Return a product in which the square of a number's root is the number."""
    for f, n in [*found.items()]:
        if f.op == "sqrt" and is_number(f.args[0]) and exact(f.args[0]) > 0 and abs(n) >= 2:
            half = int(n / 2)
            c *= exact(f.args[0]) ** half
            found[f] = n - 2 * half
    return c, {f: n for f, n in found.items() if n}


def times(found: Factors, more: Factors) -> Factors:
    """Return the product of two products of powers."""
    total = {f: found.get(f, Fraction(0)) + more.get(f, Fraction(0)) for f in {**found, **more}}
    return {f: n for f, n in total.items() if n}


def radical(found: Factors) -> tuple[Fraction, Fraction, Factors]:
    """Return the square roots of numbers in a product as a number times one root, and the other factors.

    ``1/sqrt(2)``, ``sqrt(1/2)`` and ``sqrt(2)/2`` have the same.
    """
    inside, others = Fraction(1), Factors()
    for f, n in found.items():
        if f.op == "sqrt" and is_number(f.args[0]) and exact(f.args[0]) > 0 and n.denominator == 1:
            inside *= exact(f.args[0]) ** int(n)
        else:
            others[f] = n
    c, rest = Fraction(1, inside.denominator), inside.numerator * inside.denominator
    for k in (isqrt(rest), *_SMALL_PRIMES):
        while k > 1 and rest % (k * k) == 0:
            c, rest = c * k, rest // (k * k)
    return c, Fraction(rest), others


def times_root(c: Fraction, node: Value) -> Value:
    """Return the square root of a number times a graph."""
    over, under = (_root_of_integer(n) for n in (c.numerator, c.denominator))
    return div(mul(over, node), under)


def _root_of_integer(n: int) -> Value:
    return number(isqrt(n)) if isqrt(n) ** 2 == n else value("sqrt", number(n))


def _is_short(x: Fraction, n: Fraction) -> bool:
    """Say whether a power of a number is one that can be worked out."""
    return x != 0 and abs(n) * max(x.numerator.bit_length(), x.denominator.bit_length()) <= _LONGEST_BITS


def _root(node: Value) -> Value | None:
    """Return the square root that a node is, or is one over."""
    if node.op == "rsqrt" or (
        node.op == "pow" and node.args[1].op == "number" and abs(exact(node.args[1])) == HALF
    ):
        return value("sqrt", node.args[0])
    return node if node.op == "sqrt" else None


def exponent_sign(node: Value) -> int:
    """Return -1 for one over a square root."""
    return -1 if node.op == "rsqrt" or (node.op == "pow" and exact(node.args[1]) < 0) else 1


def _is_power(node: Value, n: Fraction) -> bool:
    """Say whether a power has a number for its exponent, and may be raised to another power."""
    if node.args[1].op != "number" or abs(exact(node.args[1])) == HALF:
        return False
    return n == 1 or exact(node.args[1]).denominator == 1 == n.denominator


def scaled(c: Fraction, node: Value) -> Value:
    """Return a number times a graph."""
    if node is ONE:
        return number(c)
    if c == -1:
        return neg(node)
    if c.denominator > _LONGEST_DENOMINATOR:  # A long quotient may overflow where its value does not.
        return mul(number(c), node)
    if c.numerator != 1 and c.denominator == 1:
        return mul(number(c), node)
    over = node if abs(c.numerator) == 1 else mul(number(abs(c.numerator)), node)
    result = div(over, number(c.denominator))
    return neg(result) if c < 0 else result


def sum_of(found: Terms) -> Value:
    """Return the graph of a sum; it does not begin with a minus if it can help it."""
    ordered = sorted(found.items(), key=lambda pair: pair[1] < 0)
    total = ZERO
    for node, c in ordered:
        total = (sub if c < 0 else add)(total, scaled(abs(c), node))
    return total


def product(c: Fraction, found: Factors) -> Value:
    """Return the graph of a number times powers, the divisors under one line."""
    over, under = _paired(
        [p for p in found.items() if p[1] > 0], [(f, -n) for f, n in found.items() if n < 0]
    )
    top = product_of(over)
    if under:
        bottom = product_of(under)
        if top is ONE and abs(c) != 1:
            return scaled(
                Fraction(1, c.denominator) * (1 if c > 0 else -1), div(number(abs(c.numerator)), bottom)
            )
        return scaled(c, div(top, bottom))
    return scaled(c, top)


def _paired(over: Powers, under: Powers) -> tuple[list[Value], list[Value]]:
    """Return the powers on each side, those with the same exponent as the power of a quotient."""
    both = {n for _, n in over if n > 1} & {n for _, n in under}
    quotients = []
    for n in sorted(both):
        top, bottom = (product_of([f for f, m in side if m == n]) for side in (over, under))
        quotients.append(power(div(top, bottom), number(n)))
    rest = ([_power(f, n) for f, n in side if n not in both] for side in (over, under))
    return [*quotients, *next(rest)], next(rest)


def _power(node: Value, n: Fraction) -> Value:
    return power(node, number(n))
