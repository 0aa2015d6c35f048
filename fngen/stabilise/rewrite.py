"""Rules applied to graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from math import isqrt

from fngen.algebra import ZERO, add, div, exact, fold_numbers, mul, neg, power, sub
from fngen.functions import TABLE
from fngen.ir import LEAVES, REDUCTIONS, Value, fold, is_number, names, number, postorder, rebuild, value
from fngen.language.parse import parse_expression
from fngen.stabilise import along, views
from fngen.stabilise.frontier import Step
from fngen.stabilise.match import Match, Matcher
from fngen.stabilise.rows import Rule

BUILD: dict[str, Callable[..., Value]] = {
    "add": add,
    "sub": sub,
    "mul": mul,
    "div": div,
    "neg": neg,
    "pow": power,
}
_ARITHMETIC = frozenset({*BUILD, *LEAVES})
_DEEPEST = 200
"""Nodes on a path, a long sum or product as one, down to which a formula is looked at."""
_ROUNDS = 12
"""Rules that one node may go through."""


@dataclass(frozen=True)
class Identity:
    """A rule, read.

    Attributes:
        rule: The rule.
        pattern: Its pattern as a graph.
        form: Its form.
        given: 1 where its numbers are such as it needs, or None.
        needs: The functions without which the pattern cannot match.
    """

    rule: Rule
    pattern: Value
    form: Value
    given: Value | None
    needs: frozenset[str]

    @cached_property
    def kind(self) -> str:
        """What a graph must be for the pattern to match it."""
        constant = self.pattern.op == "pow" and all(x.isupper() for x in names([self.pattern.args[1]]))
        return "product" if constant else views.kind(self.pattern)


@cache
def read(rules: tuple[Rule, ...]) -> tuple[Identity, ...]:
    """Return rules with their formulas as graphs."""
    return tuple(_identity(rule) for rule in rules)


def _identity(rule: Rule) -> Identity:
    pattern, form = (parse_expression(text, rule=True) for text in (rule.pattern, rule.form))
    given = parse_expression(f"where({rule.given}, 1, 0)", rule=True) if rule.given else None
    return Identity(rule, pattern, form, given, frozenset(n.op for n in postorder([pattern])) - _ARITHMETIC)


class Rewriter:
    """Applies rules until none holds any more: to a node as it stands, then to what its parts have become.

    Attributes:
        reasons: Why those that were applied are better.
    """

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.reasons: dict[str, None] = {}
        self.rules = read(rules)
        self.matcher = Matcher()
        self.known: dict[frozenset[str], Active] = {}

    def __call__(self, roots: Sequence[Value]) -> list[Value]:
        """Return graphs with every rule applied that matches; one that would lose a variable stays."""
        pairs = zip(self.active(roots).rewritten(roots), roots, strict=True)
        # Its shape is that of all of them, and it is no number where one of them is none.
        return [made if made is root or along.alike(made, root) else root for made, root in pairs]

    def active(self, roots: Sequence[Value]) -> Active:
        """Return the rules that may match in graphs."""
        present = frozenset("sqrt" if half_powers(n) else n.op for n in postorder(roots))
        if max(depths(roots), default=0) > _DEEPEST:
            present = frozenset()
        if present not in self.known:
            # What a rule makes may be what another needs.
            made = {n.op for i in self.rules if i.needs <= present for n in postorder([i.form])}
            rules = [i for i in self.rules if i.needs <= present | made] if present else []
            self.known[present] = Active(rules, self.matcher, self.reasons)
        return self.known[present]


class Active:
    """Rules that may match in a graph, and what they have made of nodes.

    Args:
        rules: The rules.
        matcher: Finds their patterns.
        reasons: Takes note why those that are applied are better.
    """

    def __init__(self, rules: Sequence[Identity], matcher: Matcher, reasons: dict[str, None]) -> None:
        self.by_kind = dict[str, list[Identity]]()
        for rule in rules:
            self.by_kind.setdefault(rule.kind, []).append(rule)
        self.matcher, self.reasons = matcher, reasons
        self.applied: dict[Value, Value] = {}
        self.done: dict[tuple[Value, bool], Value] = {}
        self.known: dict[Value, tuple[Step, ...]] = {}

    def rewritten(self, roots: Sequence[Value]) -> list[Value]:
        """Return graphs with every rule applied that matches."""
        if not self.by_kind:
            return list(roots)
        early: dict[tuple[Value, bool], Value] = {}
        done, stack = self.done, [(root, False) for root in reversed(roots)]
        while stack:
            node, inner = key = stack[-1]
            if key in done:
                stack.pop()
                continue
            if key not in early:
                early[key] = node if inner else self.applied_to(node)
            now = early[key]
            parts = [(a, _is_inner(now, a)) for a in now.args]
            missing = [part for part in reversed(parts) if part not in done]
            if missing:
                stack += missing
                continue
            stack.pop()
            args = [done[part] for part in parts]
            if now.op in REDUCTIONS and args[0] is not now.args[0] and not along.alike(args[0], now.args[0]):
                args = [*now.args]  # What it runs over is counted.
            changed = any(a is not b for a, b in zip(args, now.args, strict=True))
            after = _tidy(now, args) if changed else now
            done[key] = after if inner or not changed else self.applied_to(after)
        return [done[root, False] for root in roots]

    def applied_to(self, node: Value) -> Value:
        """Return a node after all rules that match it."""
        if node not in self.applied:
            after = node
            for _ in range(_ROUNDS):
                made, reason = next(self._steps(after), (None, ""))
                if made is None:
                    break
                after = made
                self.reasons[reason] = None
            self.applied[node] = after
        return self.applied[node]

    def steps(self, node: Value) -> tuple[Step, ...]:
        """Return what each rule makes of a node, or of the root of which it is a power."""
        if node not in self.known:
            self.known[node] = tuple(self._steps(node))
        return self.known[node]

    def _steps(self, node: Value) -> Iterator[Step]:
        if n := half_powers(node):
            root = value("sqrt", node.args[0])
            yield from ((power(made, number(n)), reason) for made, reason in self._steps(root))
        for identity in self.by_kind.get(views.kind(node), ()):
            for match in self.matcher.whole(identity.pattern, node):
                if identity.given is not None and not is_number(substituted(identity.given, match), 1):
                    continue
                made = instantiated(identity, match)
                if made is not node:
                    yield made, identity.rule.reason


def depths(roots: Sequence[Value]) -> list[int]:
    """Return how deep graphs are, a sum or product of many parts being one node."""

    def visit(node: Value, args: list[int]) -> int:
        return max((d + (not _is_inner(node, a)) for a, d in zip(node.args, args, strict=True)), default=0)

    found = fold(roots, visit)
    return [found[root] for root in roots]


def half_powers(node: Value) -> int:
    """Return the number of square roots that a node is the product of, or 0."""
    if node.op == "rsqrt":
        return -1
    if node.op != "pow" or node.args[1].op != "number":
        return 0
    twice = 2 * exact(node.args[1])
    return int(twice) if twice.denominator == 1 and twice % 2 else 0


def _is_inner(node: Value, arg: Value) -> bool:
    """Say whether an argument is a part of the same sum or product."""
    kind = views.kind(node)
    return kind in ("sum", "product") and views.kind(arg) == kind and arg.op not in ("pow", "rsqrt")


def _tidy(node: Value, args: list[Value]) -> Value:
    """Return a node with other arguments, numbers before products taken together."""
    if node.op not in BUILD:
        return rebuild(node, args)
    made = BUILD[node.op](*args)
    return views.product(*views.factors(made)) if made.op in ("mul", "div") else made


def instantiated(identity: Identity, match: Match) -> Value:
    """Return what a match becomes, with what the pattern does not have of the graph beside it."""
    made = substituted(identity.form, match)
    if identity.kind == "sum":
        total = {made: match.scale}
        for node, c in match.rest.items():
            total[node] = total.get(node, Fraction(0)) + c
        return views.sum_of(total)
    if not match.rest and match.scale == match.power == 1:
        return made
    c, found = (Fraction(1), {made: match.power}) if match.power != 1 else views.factors(made)
    for node, n in match.rest.items():
        found[node] = found.get(node, Fraction(0)) + n
    return views.product(match.scale * c, found)


def substituted(form: Value, match: Match) -> Value:
    """Return a form with what its variables stand for; sums in which terms cancel are shorter."""

    def visit(node: Value, args: list[Value]) -> Value:
        if node.op == "name":
            return along.named(str(node.datum), match.bound)
        if node.op in REDUCTIONS:
            return along.reduced(node, args, match.bound)
        if node.op not in BUILD:
            return _known(rebuild(node, args)) if args else node
        made = BUILD[node.op](*args)
        if node.op in ("add", "sub"):
            found = views.terms(made)
            parts = sum(len(views.terms(a)) for a in args)
            return views.sum_of(found) if len(found) < parts else made
        return made

    made = fold([form], visit)[form]
    return fold_numbers([made])[made]


def _known(node: Value) -> Value:
    """Return rational roots of numbers, and the logarithm of 1, as numbers; even functions without a sign."""
    if node.op == "hypot" or (node.op in TABLE and TABLE[node.op].parity == 1):
        return rebuild(node, [a.args[0] if a.op == "neg" else a for a in node.args])
    if node.op == "log" and is_number(node.args[0], 1):
        return ZERO
    if node.op != "sqrt" or node.args[0].op != "number" or exact(node.args[0]) < 0:
        return node
    x = exact(node.args[0])
    over, under = isqrt(x.numerator), isqrt(x.denominator)
    return number(Fraction(over, under)) if Fraction(over, under) ** 2 == x else node
