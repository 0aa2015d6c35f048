"""A softmax written out, as the operator that torch has for it: one that does not overflow."""

from __future__ import annotations

from fngen.ir import Over, Value, rewrite, value
from fngen.spans import over


def as_softmax(node: Value) -> Value | None:
    """Return ``softmax(x)`` for ``exp(x - logsumexp(x))``, and its logarithm likewise.

    torch has them over one dimension, and a run of dimensions or all of them are one when they are flat.
    Over others they are what it does there, step by step.

    Args:
        node: A graph whose arguments are in torch's terms already.
    """
    word = _in_words(node)
    if word is not None:
        return word if word.op == "softmax" else _log_softmax(word.args[0], over(word).dims)
    if node.op != "exp":
        return None
    (inner,) = node.args
    if inner.op == "sub" and inner.args[1].op == "log" and inner.args[1].args[0].op == "sum":
        shares, total = value("exp", inner.args[0]), inner.args[1].args[0]
        return value("div", shares, total) if total.args[0] is shares else None
    return None


def with_softmax(root: Value) -> Value:
    """Return a graph with every softmax as one node, for a reader."""
    return rewrite([root], lambda node: _in_words(node) or node)[root]


def is_log_softmax(node: Value) -> bool:
    """Say whether a node is the logarithm of a softmax, written out."""
    return node.op == "sub" and node.args[1].op == "logsumexp" and node.args[1].args[0] is node.args[0]


def _in_words(node: Value) -> Value | None:
    if is_log_softmax(node):
        return value("log_softmax", node.args[0], datum=Over(over(node.args[1]).dims))
    return value("softmax", *node.args[0].args, datum=node.args[0].datum) if _is_log(node) else None


def _is_log(node: Value) -> bool:
    """Say whether a node is the exponential of a softmax's logarithm."""
    return node.op == "exp" and node.args[0].op == "log_softmax"


def _log_softmax(x: Value, dims: tuple[int, ...] | None) -> Value:
    if is_run(dims):
        shaped = (
            [] if dims is not None and len(dims) == 1 else [x]
        )  # When they are one, it is asked for its shape.
        return value("log_softmax", x, *shaped, datum=Over(dims))
    # Rounded as the largest element would be: what is taken off is in the sum again. Of nothing it is -inf.
    shifted = value("sub", x, value("logsumexp", x, datum=Over(dims)))
    total = value("sum", value("exp", shifted), datum=Over(dims))
    return value("sub", shifted, value("log", total))


def is_run(dims: tuple[int, ...] | None) -> bool:
    """Say whether dimensions follow one another, so that they can be made one."""
    return dims is None or (dims == tuple(range(dims[0], dims[-1] + 1)) and (dims[0] >= 0 or dims[-1] < 0))
