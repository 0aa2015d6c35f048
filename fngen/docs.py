"""What an emitted file says about itself: docstrings, equations, an example."""

from __future__ import annotations

from fngen.backends.scalars import may_raise
from fngen.declared import CHANNELS, Param
from fngen.derivatives import COTANGENT
from fngen.example import Example
from fngen.ir import Value, fold, name, substitute, substitute_all, tree_size, value
from fngen.layout import filled
from fngen.lower import MARGIN
from fngen.node import Layer
from fngen.printing.latex import LatexPrinter, symbol
from fngen.problem import Problem
from fngen.softmax import with_softmax
from fngen.spans import spans
from fngen.wirtinger import listed

_LONGEST_PARTIAL = 160
"""Characters of LaTeX up to which a partial derivative helps a reader of the docstring."""
_LONGEST_WORD = MARGIN - 12 - len(r", \qquad")
"""Characters of LaTeX without a space that fit in a line of the docstring."""
_LONGEST_VALUE = MARGIN - 4 - len('"""Return .')
"""Characters of what a function returns that fit in the first line of its docstring."""


def summary(problem: Problem, function: str, formula: str, *, alone: bool) -> str:
    """Return the first line of the file's docstring; ``alone`` it is all of it."""
    over = "" if problem.reduction or problem.reduces else "elementwise "
    kind = "declared" if problem.grads else "analytic"
    line = f"{over}``{formula}`` with {kind} derivatives."
    if len(line) > MARGIN - len('""""""' if alone else 'r"""'):
        line = f"{over}layer ``{function}`` with {kind} derivatives."
    return f"{line[:1].upper()}{line[1:]}"


def function_doc(problem: Problem, layer: Layer, formula: str) -> list[str]:
    """Return the docstring of the function."""
    inputs = layer.inputs
    over = "" if problem.reduction or problem.reduces else " elementwise"
    what = f"``{formula}``{over}"
    what = what if len(what) <= _LONGEST_VALUE else "the value of the layer"
    if problem.results:
        what = f"{', '.join(f'``{x}``' for x, _ in problem.results)} of ``{formula}``{over}"
        what = what if len(what) <= _LONGEST_VALUE else "the values of the layer"
    kind = "Complex or real tensor" if problem.complex else "Real floating-point tensor"
    first = f"{inputs[0]}: {kind}."
    others = [f"{x}: {kind}, broadcastable with ``{inputs[0]}``." for x in inputs[1:]]
    others += [f"{p.name}: {_along(p, inputs[0])}." for p in layer.params]
    others += [f"{c.name}: Number." for c in layer.consts]
    result = _result(problem, inputs[0] if len(layer.parameters) == 1 else "")
    no_number = ", or a constant no number" if layer.consts else ""
    raised = [] if problem.complex else [f"TypeError: If a tensor is complex{no_number}."]
    raised += ["ValueError: If a dimension that is reduced is missing."] if layer.alignment.rank > 1 else []
    if _of_numbers(layer):
        raised += ["ArithmeticError, ValueError: If Python's math has no value for a constant."]
    return [
        f'"""Return {what}.',
        *_section("Args", [first, *others]),
        *_section("Returns", [result]),
        *_section("Raises", raised),
        '"""',
    ]


def _of_numbers(layer: Layer) -> bool:
    """Say whether something is made of constants alone that they need not have."""
    computed = [n for node in (layer.main, *layer.helpers) for body in node.bodies for n in body.printed]
    if not layer.numbers:
        return False
    read = fold(computed, lambda n, args: n.op == "name" or any(args))
    wide = fold(computed, lambda n, args: (n.op == "name" and n.datum not in layer.numbers) or any(args))
    return any(read[n] and not wide[n] and may_raise(n) for n in computed)


def _result(problem: Problem, only: str) -> str:
    """Return what the function gives; ``only`` is its only input, if it has one."""
    if problem.is_number:
        return "Tensor without dimensions."
    if problem.results:
        return "The outputs by name, each of the broadcast shape of what it depends on."
    shape = f"the shape of ``{only}``" if only else "the broadcast shape"
    return f"Tensor of {shape}{_without(problem)}."


def _without(problem: Problem) -> str:
    """Return which dimensions the result does not have."""
    dims = [str(d) for d in sorted(d for d in problem.dropped if d is not None)]
    if not dims:
        return _kept(problem)
    *most, last = dims
    return f", without dimensions {', '.join(most)} and {last}" if most else f", without dimension {last}"


def _kept(problem: Problem) -> str:
    """Return which dimensions the result has with one element, for it was asked to keep them."""
    gone = problem.every - problem.dropped - spans([problem.value], problem.spans)[problem.value] - {None}
    dims = " and ".join(str(d) for d in sorted(d for d in gone if d is not None))
    return f", but of size 1 along dimension{'s' * (len(gone) > 1)} {dims}" if gone else ""


def _along(param: Param, first: str) -> str:
    if param.dim is None:
        return f"Tensor of one element, or broadcastable with ``{first}``"
    where = "dimension 1" if param.dim == CHANNELS else "the last dimension"
    return f"Tensor of shape ``(C,)``, along {where}"


def _section(title: str, lines: list[str]) -> list[str]:
    return [] if not lines else ["", f"{title}:", *(f"    {line}" for line in lines)]


def module_summary(problem: Problem, function: str, equation: str) -> str:
    """Return the first line of the module's docstring."""
    where = "" if problem.reduction or problem.reduces else " elementwise"
    line = f"Apply :math:`{equation}`{where}."
    return line if equation and len(line) <= MARGIN - len('    r"""') else f"Apply :func:`{function}`{where}."


def shapes(problem: Problem, layer: Layer) -> list[str]:
    """Return the lines of the module's Shape section."""
    several = len(layer.inputs) > 1
    rank = layer.alignment.rank
    least = f" of {rank} dimensions or more" if rank > 1 else ""
    first = "any mutually broadcastable shapes." if several else "any shape."
    if least:
        first = f"broadcastable shapes{least}." if several else f"any shape{least}."
    last = "the broadcast shape" if several else "the same shape"
    scalar = problem.is_number
    return [
        f"- Input{'s' * several}: :math:`(*)`, {first}",
        "- Output: a scalar." if scalar else f"- Output: :math:`(*)`, {last}{_without(problem)}.",
    ]


def equation(problem: Problem) -> str:
    """Return the layer's equation in LaTeX, in terms of named intermediates; nothing if it is too long."""
    known = {node: name(text) for node, text in problem.named.items()}
    latex = _latex(problem.value, known)
    if not latex:
        return ""
    over = {None: "{}", "sum": r"\sum \left({}\right)", "mean": r"\operatorname{{mean}} \left({}\right)"}
    return f"{symbol(problem.output)} = {over[problem.reduction].format(latex)}"


def equations(problem: Problem, partials: tuple[Value, ...]) -> list[str]:
    """Return the equations of the layer in LaTeX: intermediates, result, partials.

    A partial that is too long to help a reader is left out, and so is a whole display.
    """
    known = {node: name(text) for node, text in problem.named.items()}
    rows = _defined(problem)
    if not all(rows):
        return []
    if problem.reduces:
        shown = not problem.results and problem.reduction != "mean"
        return _within_reason([*rows, *(_gradients(problem, partials, known) if shown else [])])
    printer = LatexPrinter()
    entries = listed(problem, partials)
    declared = {name(x) for x, _ in problem.grads}
    slopes = substitute_all([entry.slope for entry in entries], known)
    for entry, slope in zip(entries, slopes, strict=True):
        if problem.reduction == "mean" or tree_size(slope) > _LONGEST_PARTIAL:
            continue
        text = printer.print(slope)
        if len(text) <= _LONGEST_PARTIAL and _breaks(text):
            output = symbol(entry.output or problem.output)
            by = rf"\frac{{\partial {output}}}{{\partial {printer.print(entry.variable)}}}"
            sign = ":=" if entry.variable in declared else "="
            rows.append(f"{'2 ' * entry.twice}{by} {sign} {text}")
    return _within_reason(rows)


def _defined(problem: Problem) -> list[str]:
    """Return the equations of the intermediates and of the results; nothing for what is too long."""
    known: dict[Value, Value] = {}
    pairs = []
    for node, text in problem.named.items():
        pairs.append((symbol(text), _latex(node, known)))
        known[node] = name(text)
    pairs += [(symbol(label), _latex(graph, known)) for label, graph in problem.results if graph not in known]
    rows = [f"{left} = {right}" if right else "" for left, right in pairs]
    return rows if problem.results else [*rows, equation(problem)]


def _latex(graph: Value, known: dict[Value, Value]) -> str:
    """Return the text of a graph, unless it is so long that no display would hold it."""
    graph = with_softmax(substitute(graph, known))
    return LatexPrinter().print(graph) if tree_size(graph) <= 4 * _LONGEST_PARTIAL else ""


def _gradients(problem: Problem, gradients: tuple[Value, ...], known: dict[Value, Value]) -> list[str]:
    r"""Return ``\bar x = ...`` for each input: the gradient by it, of that by the result."""
    declared = dict(problem.grads)
    known = known | {name(COTANGENT): value("bar", name(problem.output))}
    known |= {} if problem.grads else {problem.value: name(problem.output)}
    rows = []
    for x, graph in zip(problem.inputs, substitute_all(gradients, known), strict=True):
        text = _latex(graph.args[0] if graph.op == "expand" else graph, {})
        if text and len(text) <= _LONGEST_PARTIAL and _breaks(text):
            sign = ":=" if x in declared else "="
            rows.append(f"{LatexPrinter().print(value('bar', name(x)))} {sign} {text}")
    return rows


def _within_reason(rows: list[str]) -> list[str]:
    """Return equations, unless they would be too long to help a reader."""
    short = max(map(len, rows)) <= 4 * _LONGEST_PARTIAL
    return rows if short and all(map(_breaks, rows)) else []


def _breaks(text: str) -> bool:
    """Say whether LaTeX can be broken into lines, at its spaces."""
    return max(map(len, text.split(" "))) <= _LONGEST_WORD


def display(rows: list[str]) -> list[str]:
    """Return equations as the lines of a docstring."""
    lines: list[str] = []
    for i, row in enumerate(rows):
        first, *rest = filled(row.split(" "), MARGIN - 8 - len(r", \qquad"))
        lines += [first, *(f"    {line}" for line in rest)]
        lines[-1] += r", \qquad" if i < len(rows) - 1 else ""
    return lines


def example_lines(cls: str, sizes: int, shown: Example | None) -> list[str]:
    """Return the lines of the module's example, as at a prompt; ``sizes`` is how many its parameters have."""
    if shown is None:
        return []
    made = f"{cls}({', '.join([str(shown.size)] * sizes)})"
    value = ".detach()" if shown.learned else ""
    call = filled([f"{a}," for a in shown.arguments[:-1]] + [f"{shown.arguments[-1]}){value}"], MARGIN - 16)
    lines = [f">>> m({call[0]}", *(f"...   {line}" for line in call[1:])]
    return [f">>> m = {made}", *lines, shown.result]
