"""How long forms take, in the time of an addition: of large tensors, on a CPU."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache

from fngen.algebra import exact
from fngen.choices import rarely, usual, without_guards
from fngen.ir import LEAVES, Value, is_number, postorder, rewrite, value
from fngen.stabilise.autograd import autograd

_PASSES = {
    **dict.fromkeys(("add", "sub", "mul", "div", "neg", "abs", "sign", "round", "floor", "ceil", "trunc"), 1),
    **dict.fromkeys(("maximum", "minimum", "clamp", "clamp_min", "clamp_max", "exp2"), 1),
    **dict.fromkeys(("stop_gradient", "full_like", "and", "or", "not"), 1),
    **dict.fromkeys(
        ("sigmoid", "logistic", "silu", "gelu", "sqrt", "rsqrt", "lt", "le", "gt", "ge", "asked"), 2
    ),
    **dict.fromkeys(("eq", "ne", "log1p"), 3),
    **dict.fromkeys(("exp", "log", "log2", "log10", "expm1", "hypot", "where"), 5),
    **dict.fromkeys(("sinh", "cosh", "atanh", "logit"), 6),
    **dict.fromkeys(("sin", "cos", "erf", "atan2", "softplus", "log1pexp", "logsigmoid", "logaddexp"), 7),
    **dict.fromkeys(("tan", "erfc", "asin", "acos", "erfinv", "pow"), 10),
    **dict.fromkeys(("tanh", "atan", "xlogy"), 15),
    "lgamma": 30,
}
"""Measured once, in and out of the cache; ``where`` takes three times as long if nobody can tell."""
_IN_CACHE = {
    "asked": 1,
    **dict.fromkeys(("sigmoid", "logistic"), 4),
    "log1p": 7,
    **dict.fromkeys(("expm1", "erfc"), 10),
    **dict.fromkeys(("sinh", "cosh"), 11),
    **dict.fromkeys(("softplus", "log1pexp", "logaddexp"), 15),
    "pow": 25,
}
"""Of what fits in the cache, where a function shows most: what is not the same there."""
_SPECIAL = 80
_MULTIPLIED_OUT = (2, 3, 0.5, -0.5, -1, -2)


class Budget:
    """The time that value and gradient may take together: that of plain autograd.

    Args:
        typed: The formula as it was typed, legalised.
        inputs: Its variables.
    """

    def __init__(self, typed: Value, inputs: tuple[str, ...]) -> None:
        root = ordinary(typed)
        backward = map(ordinary, autograd(typed, inputs))
        self.whole = max(_work([root]) + _work(backward, set(postorder([root]))), 1)
        self.forms: dict[int, Value] = {0: root}
        self.known: dict[int, tuple[set[Value], int]] = {}

    def choose(self, form: Value, output: int) -> None:
        """Note that this is the form of the value, 0, or of the derivative by an input, unless another is."""
        self.forms[output] = ordinary(form)
        self.known.clear()

    def of(self, form: Value, output: int) -> tuple[float, float]:
        """Return the time that a form takes, and by how much all take too long, in that of plain autograd.

        What the others are made of too is worked out once.
        """
        usual = ordinary(form)
        time = _work([usual], set(postorder([self.forms[0]]))) if output else _work([usual])
        if output not in self.forms:
            return time / self.whole, 0.0
        if output not in self.known:
            others = postorder(f for i, f in self.forms.items() if i != output)
            self.known[output] = set(others), sum(map(of_node, others))
        done, work = self.known[output]
        return time / self.whole, max(work + _work([usual], done) - self.whole, 0) / self.whole


@lru_cache(maxsize=1024)
def ordinary(root: Value) -> Value:
    """Return what is worked out where no number is a rare one: of a choice for those a question remains."""
    if all(node.op != "where" for node in postorder([root])):
        return root
    (bare,) = without_guards([root])

    def rule(node: Value) -> Value:
        return value("asked", usual(node), node.args[0].args[0]) if rarely(node) else node

    return rewrite([bare], rule)[bare]


def _work(roots: Iterable[Value], done: Collection[Value] = ()) -> int:
    """Return the time that each node of some graphs takes once, but for those that are done."""
    return sum(of_node(node) for node in postorder(roots) if node not in done)


def is_timed(node: Value) -> bool:
    """Say whether it was measured how long a node takes."""
    return node.op in _PASSES


def in_cache(node: Value) -> int:
    """Return the time that a node takes where its arguments are in the cache."""
    time = of_node(node)
    return _IN_CACHE.get(node.op, time) if time > 1 else time


def of_node(node: Value) -> int:
    """Return the time that a node takes once its arguments are there."""
    if node.op in LEAVES:
        return 0
    if node.op == "pow" and is_number(node.args[1]) and exact(node.args[1]) in _MULTIPLIED_OUT:
        return 1
    return _PASSES.get(node.op, _SPECIAL)
