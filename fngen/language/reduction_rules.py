"""The slopes of the reductions, read once."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

from fngen.algebra import fold_numbers, sub
from fngen.functions.reductions import NEGATIVE_NORM, REDUCTIONS, SMALL_NORM, SPELLED
from fngen.ir import REDUCTIONS as OPS
from fngen.ir import Over, Value, fold, name, number, rebuild, rewrite, substitute, value
from fngen.language.parse import parse_expression


def slope(node: Value, count: Value) -> Value:
    """Return the derivative of a reduction by an element of what it reduces.

    Args:
        node: The reduction.
        count: The number of elements that it runs over.
    """
    assert isinstance(node.datum, Over)
    own = Over(node.datum.dims)
    option = node.datum.option
    rule = _rule(node.op, None if option is None else Fraction(option))
    (x,) = node.args
    images = {name("x"): x, name("y"): node, name("n"): count, name("others"): value("others", x, datum=own)}

    def visit(n: Value, args: list[Value]) -> Value:
        return value(n.op, *args, datum=own) if n.op in OPS else rebuild(n, args) if args else n

    return fold([rule], visit, images)[rule]


@cache
def _rule(op: str, option: Fraction | None) -> Value:
    row = REDUCTIONS[SPELLED[op]]
    text = row.slope
    if op == "norm" and option is not None and option < 2:
        text = SMALL_NORM if option > 0 else NEGATIVE_NORM
    if op == "norm" and option == 2:
        text = text.partition("*(")[0]
    root = parse_expression(text, rule=True)
    for label, _ in row.options:
        root = substitute(root, {name(label): number(option or Fraction(0))})
    folded = fold_numbers([root])[root]
    return rewrite([folded], lambda n: sub(*n.args) if n.op == "sub" else n)[folded]
