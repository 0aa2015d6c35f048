"""What a value and its derivatives have in common: a dear part of one, made of what another has.

Autograd saves what its backward asks for; a derivative in its best form may ask for something else, as
``expm1(-x)`` beside ``expm1(x)``. Which parts can be made of which is found in numbers, at a few points;
where no digit is lost is for the judge to say.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from operator import itemgetter

from fngen.accuracy.points import Point
from fngen.backends.torch import legalise
from fngen.choices import usually, without_guards
from fngen.economy import complements
from fngen.ir import CONDITIONS, Value, name, names, number, postorder, substitute, value
from fngen.stabilise.judge import Judge
from fngen.stabilise.score import Score
from fngen.stabilise.simulate import Simulation
from fngen.stabilise.work import in_cache, is_timed, ordinary

_DEAR, _LEAST = 2, 4
"""The time, in additions, that a part takes that is worth a look, and that is gained at least."""
_MOST, _MOST_PARTS = 24, 12
"""Changes that are judged, and dear parts that are looked at, each with all others."""
_PROBED = 12
"""Points at which numbers are compared."""
_ALIKE = 1e-9
_USUAL = 2.0**-2, 2.0**4
_FAR = 40
"""Where most exponentials, and their squares in float32, are still numbers."""
_MODERATE, _LARGE = 10**30, 10**23
"""The size of powers of which quotients are as good, and how many times as much an exponent counts."""
_NO_DIGIT_LOST, _FEW = 4.0, 2.0
"""ULP up to which a form is as good as any, and bits that it may lose, all points together."""
_NEXT_TO_NOTHING, _ULP = 4.0, 2.0
"""Bits, all points together, and ULP of the worst, that a complement may cost."""
_EDGES = {
    1: (-math.inf, -3.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 3.0, math.inf, math.nan),
    2: (-math.inf, -3.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 3.0, math.inf, math.nan),
    3: (-0.5, 0.0, 3.0, math.inf, math.nan),
}
"""Numbers of which some are outside of most domains, by the number of variables."""
_MOST_EDGES = 150
_NO_SOURCE = CONDITIONS | {"add", "sub", "neg"}
"""What is no dear thing itself, and made of others in one operation."""
_GUARDS = frozenset({"where", "clamp", "clamp_min", "clamp_max", "maximum", "minimum"})
_G, _A = name("g!"), name("a!")


def _templates() -> list[Value]:
    """Return what can be made of a part ``g!`` and an argument ``a!``."""
    one, two = number(1), number(2)

    def plus(a: Value, b: Value) -> Value:
        return value("add", a, b)

    def minus(a: Value, b: Value) -> Value:
        return value("sub", a, b)

    def over(a: Value, b: Value) -> Value:
        return value("div", a, b)

    squared, grown = value("pow", _G, two), value("mul", _G, plus(_G, two))
    sums = [plus(_G, one), minus(_G, one), minus(one, _G), minus(one, squared), plus(_G, _A), minus(_G, _A)]
    ratios = [over(one, _G), over(one, plus(_G, one)), over(_G, plus(_G, one)), over(_G, minus(one, _G))]
    ratios += [over(minus(_G, one), plus(_G, one)), over(grown, plus(grown, two)), over(_G, _A), over(_A, _G)]
    found = [_G, squared, *sums, *ratios, value("mul", _G, _A), plus(_G, value("clamp_min", _A, number(0)))]
    found += [over(_G, minus(number(-1), _G)), value("mul", value("sign", _A), over(grown, plus(grown, two)))]
    return [*found, *(value("neg", template) for template in found)]


_TEMPLATES = _templates()


def _edges(inputs: int) -> list[Point]:
    """Return points of such numbers: all of few variables, some of many."""
    if inputs in _EDGES:
        return [*product(_EDGES[inputs], repeat=inputs)]
    rng = random.Random(f"edges {inputs}")  # noqa: S311
    return [tuple(rng.choices(_EDGES[max(_EDGES)], k=inputs)) for _ in range(_MOST_EDGES)]


class Sharing:
    """Looks for parts that can be shared.

    Args:
        judge: Says how good a form is.
        forms: The best form of each result, by its place, as :class:`Judge` counts them.
        scores: What each of them is worth.
    """

    def __init__(self, judge: Judge, forms: Mapping[int, Value], scores: Mapping[int, Score]) -> None:
        self.judge, self.given, self.scores = judge, dict(forms), dict(scores)
        near = map(self._near, forms, complements([*forms.values()], forms[0]))
        self.starts = [dict(forms), dict(zip(forms, near, strict=True))]
        self.forms = self.starts[0]
        self.left, self.failed = _MOST, set[tuple[int, Value]]()
        self.columns: dict[tuple[Value, Value], dict[Value, Sequence[float]]] = {}
        self.made: dict[tuple[Value, Value], list[Value]] = {}
        self.edges = Simulation(judge.inputs, _edges(len(judge.inputs)))
        usual = (i for i, p in enumerate(judge.points) if all(_USUAL[0] <= abs(x) <= _USUAL[1] for x in p))
        self.probes = [*usual][:_PROBED]

    def _near(self, output: int, form: Value) -> Value:
        """Return a derivative with ``1 - sigmoid(u)`` for ``sigmoid(-u)``, where that costs few digits."""
        given, old = self.given[output], self.scores[output]
        if form is given or output in self.judge.summed:  # A sum has other terms than its tails.
            return form
        new = self.judge(form, output)
        close = new.bits <= old.bits + _NEXT_TO_NOTHING and new.worst <= old.worst + _ULP
        return form if close and new.wrong <= old.wrong else given

    def settle(self) -> dict[int, Value]:
        """Return the forms, changed as long as that saves time and costs no digit.

        In the value every choice stays safe: who lets torch differentiate it gets no nan. In derivatives
        there is nothing to guard, for a node that nobody differentiates.
        """
        starts = self.starts[: 1 + (self.starts[0] != self.starts[1])]
        return min((self._settled(s, first) for s in starts for first in (False, True)), key=self._time)

    def _settled(self, start: dict[int, Value], value_first: bool) -> dict[int, Value]:
        """Return forms of which no part can be made of another's any more."""
        graphs = legalise(start.values())
        bare = dict(zip(start, [graphs[0], *without_guards(graphs[1:])], strict=True))
        self.forms, self.left = bare, _MOST
        while self.left > 0 and (found := self._better(value_first)):
            self.forms = found
        return {i: start[i] if form is bare[i] else form for i, form in self.forms.items()}

    def _better(self, value_first: bool) -> dict[int, Value] | None:
        before = self._time(self.forms)
        for touched in self._replaced(value_first):
            touched = {i: form for i, form in touched.items() if form is not self.forms[i]}
            new = (0 in touched) or not touched.items() & self.failed
            if not new or self.left <= 0 or before - self._time(self.forms | touched) < _LEAST:
                continue
            if all(self._as_good(form, i) for i, form in touched.items()):
                return self.forms | touched
        return None

    def _as_good(self, form: Value, output: int) -> bool:
        """Say whether a form has the digits that the best one has."""
        self.left -= 1
        new, old = self.judge(form, output), self.scores[output]
        worse = new.wrong > old.wrong or new.overflows > old.overflows or new.bits > old.bits + _FEW
        good = not worse and new.worst <= max(old.worst, _NO_DIGIT_LOST) and self._same_domain(form, output)
        if not good:
            self.failed.add((output, form))
        return good

    def _same_domain(self, form: Value, output: int) -> bool:
        """Say whether a form has the variables of the best one, and is nan where that is, at edges too."""
        if set(names([form])) != set(names([self.given[output]])):
            return False
        new, old = (self.edges(self.judge.legalised(f)) for f in (form, self.given[output]))
        return all(math.isnan(a) == math.isnan(b) for a, b in zip(new, old, strict=True))

    def _time(self, forms: Mapping[int, Value]) -> int:
        """Return the time that all forms take together: in the cache, and where every operator counts."""
        legal = [self.judge.legalised(form) for form in forms.values()]
        everywhere = sum(bool(node.args) for node in postorder(legal))
        return everywhere + sum(map(in_cache, postorder(map(ordinary, legal))))

    def _replaced(self, value_first: bool) -> Iterator[Mapping[int, Value]]:
        """Yield forms with a dear part replaced by what is made of another part; the dearest part first."""
        slopes = [i for i in self.forms if i]
        bare = usually([*without_guards([self.forms[0]]), *(self.forms[i] for i in slopes)])
        safe = usually([self.forms[0], *legalise(self.given[i] for i in slopes)])
        turns = [([0], safe), (slopes, bare)]
        for outputs, sources in turns if value_first else turns[::-1]:
            for part in self._parts(outputs):
                for source in (s for s in sources if s.args and s.op not in _NO_SOURCE):
                    for made in self._made_of(source, part) if part not in postorder([source]) else ():
                        if outputs == slopes or _as_safe(made, part):
                            ways = _ways(made, part) if outputs == slopes else [made]
                            yield from (
                                {i: substitute(self.forms[i], {part: w}) for i in outputs} for w in ways
                            )

    def _parts(self, outputs: Sequence[int]) -> list[Value]:
        """Return the dear functions in some results that are usually worked out, the dearest first."""
        there = usually(self.forms[i] for i in outputs)
        parts = (n for n in there if (len(n.args) == 1 or n.op == "pow") and is_timed(n))
        parts = (n for n in parts if n.op not in CONDITIONS and in_cache(n) >= _DEAR)
        return sorted(parts, key=_whole_time, reverse=True)[:_MOST_PARTS]

    def _made_of(self, source: Value, part: Value) -> list[Value]:
        """Return what of a source and an argument has the part's numbers, the cheapest first."""
        if (source, part) not in self.made:
            self.made[source, part] = self._look_for(source, part)
        return self.made[source, part]

    def _look_for(self, source: Value, part: Value) -> list[Value]:
        wanted, found = self._numbers(part), list[tuple[int, Value]]()
        inside = part.args[0]
        for argument in dict.fromkeys((inside, *(a for a in inside.args if a.op != "number"))):
            for template, column in self._columns(source, argument).items():
                if _alike(wanted, column):
                    made = substitute(template, {_G: source, _A: argument})
                    found.append((_whole_time(template), made))
        return [made for _, made in sorted(found, key=itemgetter(0))]

    def _columns(self, source: Value, argument: Value) -> dict[Value, Sequence[float]]:
        """Return the numbers of each template."""
        if (source, argument) not in self.columns:
            points = [*zip(self._numbers(source), self._numbers(argument), strict=True)]
            simulated = Simulation((str(_G.datum), str(_A.datum)), points)
            self.columns[source, argument] = {t: simulated(t) for t in _TEMPLATES}
        return self.columns[source, argument]

    def _numbers(self, node: Value) -> list[float]:
        column = self.judge.simulation(self.judge.legalised(node))
        return [float(column[i]) for i in self.probes]


def _ways(made: Value, part: Value) -> Iterator[Value]:
    """Yield what is made in place of a part, also with the part itself where its argument is large.

    Of ``x**y/x`` the part stays where the power is very large or small, or its exponent is.
    """
    argument, bound = part.args[0], number(_FAR)
    powers = [n for n in postorder([made]) if n.op == "pow"]
    if part.op == "pow":
        for power in powers[:1]:
            size = value("maximum", value("abs", power), value("abs", value("div", number(1), power)))
            size = value("maximum", size, value("mul", number(_LARGE), value("abs", power.args[1])))
            yield value("where", value("le", size, number(_MODERATE)), made, part)
        return
    if argument.op == "neg":
        (argument,) = argument.args
    yield made
    yield value("where", value("lt", argument, bound), made, part)
    yield value("where", value("gt", argument, number(-_FAR)), made, part)
    yield value("where", value("lt", value("abs", argument), bound), made, part)


def _as_safe(made: Value, part: Value) -> bool:
    """Say whether what guards a part guards what is made in its place."""
    guards = {n for n in postorder([part]) if n.op in _GUARDS}
    return guards <= set(postorder([made]))


def _whole_time(node: Value) -> int:
    return sum(map(in_cache, postorder([node])))


def _alike(wanted: Sequence[float], got: Sequence[float]) -> bool:
    """Say whether numbers are the same at most points: at some the one may be out of range."""
    left = len(wanted) // 3
    for a, b in zip(wanted, got, strict=True):
        left -= not math.isclose(a, b, rel_tol=_ALIKE)
        if left < 0:
            return False
    return bool(wanted)
