"""Results that are small or large only in the end: where ``exp(u)`` is next to nothing, one power is all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from fractions import Fraction
from functools import cache, reduce
from math import gcd, lcm

from fngen.algebra import add, fold_numbers, mul, neg, power, where
from fngen.ir import Value, fold, is_number, name, names, number, postorder, rebuild, substitute, value
from fngen.language.parse import parse_expression
from fngen.stabilise import views
from fngen.stabilise.guards import rational
from fngen.stabilise.laurent import NoSeries, at_zero, has_no_root

_FAR = 40
"""From here on the second power is less than half a rounding of the first."""
_NOTHING, _STEP = 1600, 8
"""Where even its root is 0, and the length of the pieces on the way there."""
_MOST = 4
_T = name("t!")
_BY_EXPONENTIAL = {
    "exp": "T",
    "expm1": "T - 1",
    **dict.fromkeys(("logistic", "sigmoid", "full_logistic"), "T/(1 + T)"),
    **dict.fromkeys(("logistic_pdf", "full_logistic_pdf"), "T/(1 + T)**2"),
    "bose": "1/(T - 1)",
    **dict.fromkeys(("log1pexp", "softplus"), "log1p(T)"),
    "log1mexp": "log1p(-T)",
    "tanh": "(T**2 - 1)/(T**2 + 1)",
    **dict.fromkeys(("sech", "full_sech"), "2*T/(T**2 + 1)"),
}
"""Functions of ``u`` in terms of ``T = exp(u)``."""


def faint(form: Value) -> Iterator[Value]:
    """Yield a form that is its lowest power where ``exp(u)`` is small, the rest between two halves of it."""
    for u in _exponents(form):
        try:
            order, lead = _leading(_in_powers(form, u), u)
        except NoSeries:
            continue
        if 1 <= abs(order) <= _MOST:
            there, far = _beyond(u)
            half = value("exp", views.scaled(Fraction(order, 2), far))
            for small in dict.fromkeys((_times(half, lead), _each_times(half, lead))):
                yield where(there, mul(small, half), _plain(form))


def settled(form: Value, asked: Collection[Value]) -> list[Value]:
    """Return what choices of one variable that nobody asked for are far out: it keeps its digits as it is."""
    choices = (n for n in postorder([form]) if n.op == "where" and n.args[0] not in asked)
    sides = (n.args[1] for n in choices if _is_beyond(n.args[0]))
    return [side for side in sides if len(names([side])) == 1]


def _is_beyond(condition: Value) -> bool:
    bounds = {"lt": -_FAR, "gt": _FAR}
    return condition.op in bounds and is_number(condition.args[1], bounds[condition.op])


def _beyond(u: Value) -> tuple[Value, Value]:
    """Return where ``exp(u)`` is small, and ``u`` there, as of what ``u`` is the negative of."""
    if u.op != "neg":
        return value("lt", u, number(-_FAR)), value("minimum", u, number(-_FAR))
    (w,) = u.args
    return value("gt", w, number(_FAR)), neg(value("maximum", w, number(_FAR)))


def _times(half: Value, lead: Value) -> Value:
    """Return a product in which a number is beside what is small."""
    c, rest = views.coefficient(lead)
    return mul(mul(number(c), half), rest)


def _each_times(half: Value, lead: Value) -> Value:
    """Return the same with each term of a sum multiplied before they are added."""
    return reduce(add, (_times(half, views.scaled(c, t)) for t, c in views.terms(lead).items()))


def _plain(form: Value) -> Value:
    """Return a form without what its functions do for small results."""

    def rule(node: Value, args: list[Value]) -> Value:
        plain = node.op.removeprefix("full_")
        return value(plain, *args) if plain in _BY_EXPONENTIAL else rebuild(node, args) if args else node

    return fold([form], rule)[form]


def _exponents(form: Value) -> list[Value]:
    """Return what functions of exponentials are of, up to whole factors, with either sign."""
    return exponents(n for n in postorder([form]) if _is_of_exponential(n))


def exponents(functions: Iterable[Value]) -> list[Value]:
    """Return what functions are of, up to whole factors, with either sign."""
    found: dict[Value, list[Fraction]] = {}
    for node in functions:
        c, rest = views.coefficient(node.args[0])
        if names([rest]):
            found.setdefault(rest, []).append(c)
    common = {rest: _common_divisor(cs) for rest, cs in found.items()}
    return [views.scaled(sign * c, rest) for rest, c in common.items() for sign in (1, -1)]


def _is_of_exponential(node: Value) -> bool:
    return node.op in _BY_EXPONENTIAL and len(node.args) == 1


def _common_divisor(found: list[Fraction]) -> Fraction:
    under = lcm(*(c.denominator for c in found))
    return Fraction(gcd(*(int(c * under) for c in found)), under)


def _in_powers(form: Value, u: Value) -> Value:
    """Return a form in terms of ``T``."""
    c, rest = views.coefficient(u)

    def rule(node: Value, args: list[Value]) -> Value:
        if _is_of_exponential(node):
            d, other = views.coefficient(node.args[0])
            if other is rest and (d / c).denominator == 1:
                t = power(_T, number(d / c))
                return substitute(_image(node.op), {name("T"): t})
        return rebuild(node, args) if args else node

    return fold([form], rule)[form]


@cache
def _image(op: str) -> Value:
    return parse_expression(_BY_EXPONENTIAL[op], rule=True)


def _leading(form: Value, u: Value) -> tuple[int, Value]:
    """Return the lowest power of ``T`` in a form, and what stands before it.

    Raises:
        NoSeries: If the form is no sum of products of functions of ``T`` and of what is free of it, or
            another power may matter: beside a root of what stands before the lowest, or beside another
            exponential.
    """
    found: dict[int, views.Terms] = {}
    terms = views.terms(form)
    for term, c in terms.items():
        order, lead = _of_product(term, u)
        d, rest = views.coefficient(lead)
        alike = found.setdefault(order, {})
        alike[rest] = alike.get(rest, Fraction(0)) + c * d
    if not found:
        raise NoSeries
    lowest, parts = min(found), [part for alike in found.values() for part in alike]
    if len(found) > 1 and _has_exponential(parts, names([u])):
        raise NoSeries
    total = views.sum_of({t: c for t, c in found[lowest].items() if c})
    if len(terms) > 1 and not _keeps_its_sign(total, u):
        raise NoSeries
    return lowest, fold_numbers([total])[total]


def _keeps_its_sign(lead: Value, u: Value) -> bool:
    """Say whether something has no root where ``exp(u)`` is small, as far as that can be told."""
    c, x = views.coefficient(u)
    if x.op != "name" or not {*names([lead])} <= {x.datum}:
        return False
    ends = [Fraction(-end) / c for end in range(_FAR, _NOTHING + _STEP, _STEP)]
    return has_no_root(lead, str(x.datum), ends)


def _of_product(term: Value, u: Value) -> tuple[int, Value]:
    c, found = views.factors(term)
    alone = {f: n for f, n in found.items() if names([f]) == (_T.datum,)}
    others = {f: n for f, n in found.items() if f not in alone}
    order, coefficient = _first(views.product(Fraction(1), alone)) if alone else (0, Fraction(1))
    mixed = [f for f in others if _T.datum in names([f])]
    for f in mixed:
        if not views.is_sum(f) or others[f] != 1:
            raise NoSeries
        more, lead = _leading(f, u)
        order += more
        del others[f]
        others[lead] = others.get(lead, Fraction(0)) + 1
    return order, views.product(c * coefficient, others)


def _has_exponential(parts: list[Value], of: tuple[str, ...]) -> bool:
    """Say whether something free of ``T`` has an exponential of some variables all the same."""
    return any(_is_of_exponential(n) and not {*names([n])}.isdisjoint(of) for n in postorder(parts))


@cache
def _first(of_t: Value) -> tuple[int, Fraction]:
    """Return the lowest power in a function of ``T``, and its coefficient."""
    lifted = mul(of_t, power(_T, number(_MOST)))  # At 0 it may have a pole.
    for k, c in enumerate(at_zero(lifted, str(_T.datum))):
        if not c.is_zero():
            return k - _MOST, rational(c)
    raise NoSeries
