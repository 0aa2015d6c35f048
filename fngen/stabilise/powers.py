"""Differences of powers of two things that are nearly the same: ``(x + 1)**p - x**p``."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations

from fngen.algebra import ONE, add, div, mul, where
from fngen.ir import Value, number, postorder, substitute, value
from fngen.stabilise import views
from fngen.stabilise.views import Factors, Terms

_MOST = 6
"""Terms of a sum in which pairs are looked for."""


def differences(form: Value) -> Iterator[Value]:
    """Yield a form in which ``u**n - v**n`` is ``v**n*expm1(n*log1p((u - v)/v))`` for ``u`` near ``v``."""
    order = dict.fromkeys(postorder([form]))
    for node in filter(views.is_sum, order):
        found = views.terms(node)
        for pair in combinations(found, 2) if len(found) <= _MOST else ():
            rest = views.sum_of({t: c for t, c in found.items() if t not in pair})
            for first, second in (pair, pair[::-1]):
                if (made := _difference(first, second, found)) and made not in order:
                    yield substitute(form, {node: add(made, rest)})


def _difference(first: Value, second: Value, found: Terms) -> Value | None:
    """Return the sum of two terms, if they are the same but for powers of two things, and the sign."""
    (k, over), (m, under) = (views.factors(term) for term in (first, second))
    c = found[first] * k
    if c != -found[second] * m:
        return None
    powers = [*_without_roots(views.times(over, {f: -n for f, n in under.items()})).items()]
    if len(powers) == 1:
        powers.append((ONE, -powers[0][1]))
    if len(powers) != 2 or powers[0][1] != -powers[1][1] or abs(powers[0][1]) == 1:
        return None
    (u, n), (v, _) = powers
    if (gap := _gap(u, v)) is None:
        return None
    return _near(gap, v, n, views.product(c, under), views.product(c, over))


def _without_roots(found: Factors) -> Factors:
    """Return powers with those of square roots as half of those of what is under them."""
    total = Factors()
    for f, n in found.items():
        base, k = (f.args[0], n / 2) if f.op == "sqrt" else (f, n)
        total[base] = total.get(base, Fraction(0)) + k
    return {f: n for f, n in total.items() if n}


def _gap(u: Value, v: Value) -> Value | None:
    """Return the difference of two things, if something cancels in it: of inputs it has no digits more."""
    over, under = views.terms(u), views.terms(v)
    gap = Terms(over)
    for term, c in under.items():
        gap[term] = gap.get(term, Fraction(0)) - c
    left = {term: c for term, c in gap.items() if c}
    return views.sum_of(left) if 0 < len(left) < len(over) + len(under) else None


def _near(gap: Value, v: Value, n: Fraction, small: Value, large: Value) -> Value:
    """Return ``large - small``, their quotient being a power of ``1 + gap/v``."""
    size = _HALF if v is ONE else views.scaled(Fraction(1, 2), value("abs", v))
    near = value("lt", value("abs", gap), size)
    share = where(near, div(gap, v), number(0)) if v is ONE else div(gap, where(near, v, ONE))
    grown = value("expm1", mul(number(n), value("log1p", share)))
    return where(near, mul(small, grown), add(large, views.scaled(Fraction(-1), small)))


_HALF = number(Fraction(1, 2))
