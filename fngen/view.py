"""The view: all that a template may see, strings and lists of strings."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fngen import recipe
from fngen.backends.torch import TEMPLATE
from fngen.example import Example, example
from fngen.functions import TABLE
from fngen.ir import Value, name, substitute
from fngen.layer import Layer, Node
from fngen.layout import bracketed, filled, folded
from fngen.lower import MARGIN, Constant
from fngen.printing.infix import ATOM, Text
from fngen.printing.latex import LatexPrinter, symbol
from fngen.problem import Problem
from fngen.spec import Spec

_LONGEST_PARTIAL = 160
"""Characters of LaTeX up to which a partial derivative helps a reader of the docstring."""
_LONGEST_FORMULA = 400
"""Characters of a formula up to which it is shown where the module is printed."""


@dataclass(frozen=True, eq=False, repr=False)
class NodeView:
    """One autograd node and the function that applies it."""

    function: str
    reverse: str
    forward_mode: str
    reverse_doc: str
    inputs: tuple[str, ...]
    several: bool
    parameters: list[str]
    forward_head: list[str]
    forward: list[str]
    setup_head: list[str]
    setup: list[str]
    backward_head: list[str]
    unpack: list[str]
    expand: list[str]
    shared: list[str]
    declare: list[str]
    gradients: list[tuple[int, list[str], str]]
    backward_return: list[str]
    jvp_head: list[str]
    jvp_unpack: list[str]
    jvp: list[str]
    function_head: list[str]
    complex_test: list[str]
    compiling_return: list[str]
    eager_return: list[str]


@dataclass(frozen=True, eq=False, repr=False)
class ModuleView:
    """A whole emitted file."""

    template: str
    first_line: str
    command: list[str]
    summary: str
    math: list[str]
    uses_math: bool
    exports: list[str]
    constants: list[str]
    main: NodeView
    helpers: list[NodeView]
    main_doc: list[str]
    cls: str
    module_summary: str
    shapes: list[str]
    module_head: list[str]
    module_return: list[str]
    example: list[str]
    extra_repr: list[str]


def view(spec: Spec, problem: Problem, partials: tuple[Value, ...], layer: Layer) -> ModuleView:
    """Return the view of a layer."""
    main, inputs = layer.main, layer.main.names.inputs
    formula = spec.formula
    kind = "{}" if problem.reduction else "Elementwise {}"
    shown = kind.format(f"``{formula}``" if len(formula) <= 44 else f"layer ``{main.function}``")
    shown = shown[:1].upper() + shown[1:]
    bodies = str([main, layer.helpers])
    constants = [_constant(c) for c in layer.constants]
    latex = LatexPrinter().print(_named_value(problem))
    equation = f"{symbol(problem.output)} = {_reduced(latex, problem)}"
    cls = main.cls
    return ModuleView(
        template=TEMPLATE,
        first_line=recipe.FIRST_LINE,
        command=recipe.command(spec),
        summary=f"{shown} with analytic derivatives.",
        math=_math(problem, partials, equation),
        uses_math="math." in bodies,
        exports=[cls, f"{cls}Function", main.function],
        constants=constants,
        main=_node_view(main, ""),
        helpers=[_node_view(h, _helper_doc(h)) for h in layer.helpers],
        main_doc=_function_doc(problem, main, formula),
        cls=cls,
        module_summary=_module_summary(problem, main, equation),
        shapes=_shapes(problem),
        module_head=bracketed("def forward(", ["self", *_typed(inputs)], ") -> Tensor:", 4),
        module_return=bracketed(f"return {main.function}(", list(inputs), ")", 8),
        example=_example(cls, example(problem)),
        extra_repr=_extra_repr(formula),
    )


def _function_doc(problem: Problem, node: Node, formula: str) -> list[str]:
    """Return the docstring of the function, and its refusal of complex tensors."""
    inputs, over = node.names.inputs, {None: " elementwise", "sum": "", "mean": ""}[problem.reduction]
    what = f"``{formula}``{over}" if len(formula) <= 60 else "the value of the layer"
    first = f"{inputs[0]}: Real floating-point tensor."
    others = [f"{x}: Real floating-point tensor, broadcastable with ``{inputs[0]}``." for x in inputs[1:]]
    result = "Tensor without dimensions." if problem.reduction else "Tensor of the broadcast shape."
    if len(inputs) == 1 and not problem.reduction:
        result = f"Tensor of the shape of ``{inputs[0]}``."
    return [
        f'"""Return {what}.',
        *_section("Args", [first, *others]),
        *_section("Returns", [result]),
        *_section("Raises", ["TypeError: If a tensor is complex."]),
        '"""',
        *(line.removeprefix("    ") for line in _complex_test(inputs)),
        f'    raise TypeError("{node.function} is derived for real tensors, not for complex ones")',
    ]


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", f"{title}:", *(f"    {line}" for line in lines)]


def _module_summary(problem: Problem, node: Node, equation: str) -> str:
    what = f":math:`{equation}`" if len(equation) <= 60 else f":func:`{node.function}`"
    return f"Apply {what}{'' if problem.reduction else ' elementwise'}."


def _shapes(problem: Problem) -> list[str]:
    several = len(problem.inputs) > 1
    first = "Inputs: :math:`(*)`, any mutually broadcastable shapes." if several else "Input: :math:`(*)`, any shape."
    last = "the broadcast shape." if several else "the same shape."
    return [f"- {first}", "- Output: a scalar." if problem.reduction else f"- Output: :math:`(*)`, {last}"]


def _reduced(latex: str, problem: Problem) -> str:
    if problem.reduction is None:
        return latex
    return {"sum": r"\sum ", "mean": r"\operatorname{mean} "}[problem.reduction] + rf"\left({latex}\right)"


def _named_value(problem: Problem) -> Value:
    return substitute(problem.value, {node: name(text) for node, text in problem.named.items()})


def _constant(constant: Constant) -> str:
    return f"{constant.name} = {constant.literal}  # {constant.meaning}"


def _helper_doc(node: Node) -> str:
    row = TABLE[node.function.removeprefix("_")]
    return f"``{row.torch}``, differentiable to any order."


def _typed(inputs: tuple[str, ...], scalars: tuple[bool, ...] = ()) -> list[str]:
    flags = scalars or (False,) * len(inputs)
    return [f"{x}: {'float' if scalar else 'Tensor'}" for x, scalar in zip(inputs, flags, strict=True)]


def _tuple_type(kinds: list[str]) -> str:
    if len(kinds) > 3 and len(set(kinds)) == 1:
        return f"tuple[{kinds[0]}, ...]"
    return f"tuple[{', '.join(kinds)}]"


def _tuple(items: list[str], indent: int, head: str = "", tail: str = "") -> list[str]:
    """Return ``head a, b, c tail``, in brackets where it does not fit in a line."""
    flat = f"{' ' * indent}{head}{', '.join(items)}{',' * (len(items) == 1)}{tail}"
    return [flat] if len(flat) <= MARGIN else bracketed(f"{head}(", items, f"){tail}", indent)


def _node_view(node: Node, reverse_doc: str) -> NodeView:
    ids, inputs = node.names, node.names.inputs
    tensors = tuple(x for x, scalar in zip(inputs, node.scalars, strict=True) if not scalar)
    numbers = [x for x in inputs if x not in tensors]
    parameters = _typed(inputs, node.scalars)
    several = len(tensors) > 1
    reverse, forward_mode = f"_{node.cls}Reverse", f"{node.cls}Function"
    if node.cls.startswith("_"):
        reverse, forward_mode = f"{node.cls}Reverse", f"{node.cls}Function"
    kinds = ["float" if scalar else "Tensor" for scalar in node.scalars]
    gradient_kinds = ["None" if s else "Tensor | None" for s in node.scalars]
    single = len(inputs) == 1
    used = _used(node) or set(tensors if several or node.reduction else ())
    return NodeView(
        function=node.function,
        reverse=reverse,
        forward_mode=forward_mode,
        reverse_doc=reverse_doc or "Value and reverse-mode rule: the part that torch.compile can trace.",
        inputs=inputs,
        several=several,
        parameters=parameters,
        forward_head=bracketed("def forward(", parameters, ") -> Tensor:", 4),
        forward=[*node.forward.lines(node.forward.shared), *node.forward.lines(node.forward.local[0]), _result(node)],
        setup_head=bracketed(
            "def setup_context(", ["ctx: Any", f"inputs: {_tuple_type(kinds)}", "output: Tensor"], ") -> None:", 4
        ),
        setup=_setup(inputs, tensors, numbers, bool(used)),
        backward_head=bracketed(
            "def backward(",
            ["ctx: Any", f"{ids.cotangent}: Tensor"],
            f") -> {'Tensor' if single else _tuple_type(gradient_kinds if several else ['None', 'Tensor'])}:",
            4,
        ),
        unpack=_unpack(tensors, numbers, 8) if used else [],
        expand=_expand(node, tensors),
        shared=node.backward.lines(node.backward.shared),
        declare=_declare(ids.gradients) if several else [],
        gradients=_gradients(node, several),
        backward_return=_tuple(list(ids.gradients), 8, "return ") if several else [],
        jvp_head=bracketed("def jvp(", ["ctx: Any", *_jvp_parameters(node)], ") -> Tensor:", 4),
        jvp_unpack=_jvp_unpack(tensors, numbers, _body_names(node.jvp)),
        jvp=[*node.jvp.lines(node.jvp.shared), *node.jvp.lines(node.jvp.local[0]), _reduce(node, node.jvp.texts[0])],
        function_head=bracketed(f"def {node.function}(", parameters, ") -> Tensor:", 0),
        complex_test=_complex_test(tensors),
        compiling_return=bracketed(f"return {reverse}.apply(", list(inputs), ")", 8),
        eager_return=bracketed(f"return {forward_mode}.apply(", list(inputs), ")", 4),
    )


def _reduce(node: Node, text: Text) -> str:
    return f"return {text.inside(ATOM)}.{node.reduction}()" if node.reduction else f"return {text.text}"


def _result(node: Node) -> str:
    return _reduce(node, node.forward.texts[0])


def _body_names(body: object) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", " ".join(body.printed.values())))  # type: ignore[attr-defined]


def _used(node: Node) -> set[str]:
    """Return the inputs that the derivatives look at."""
    return (_body_names(node.backward) | _body_names(node.jvp)) & set(node.names.inputs)


def _setup(inputs: tuple[str, ...], tensors: tuple[str, ...], numbers: list[str], used: bool) -> list[str]:
    if not used:
        return ["pass  # The derivative is constant: nothing is kept."]
    if not numbers:
        return ["ctx.save_for_backward(*inputs)", "ctx.save_for_forward(*inputs)"]
    kept = ", ".join(tensors)
    unpack = f"{', '.join(inputs)} = inputs"
    numbers_kept = [f"ctx.{x} = {x}" for x in numbers]
    return [unpack, *numbers_kept, f"ctx.save_for_backward({kept})", f"ctx.save_for_forward({kept})"]


def _unpack(tensors: tuple[str, ...], numbers: list[str], indent: int) -> list[str]:
    if len(tensors) == 1:
        lines = [f"{' ' * indent}({tensors[0]},) = ctx.saved_tensors"]
    else:
        lines = _tuple(list(tensors), indent, tail=" = ctx.saved_tensors")
    return lines + [f"{' ' * indent}{x} = ctx.{x}" for x in numbers]


def _jvp_unpack(tensors: tuple[str, ...], numbers: list[str], used: set[str]) -> list[str]:
    if not used & set(tensors):
        return []
    indent, primal = " " * 12, "forward_ad.unpack_dual({}).primal"
    lines = [f"{indent}{tensors[0]} = {primal.format('ctx.saved_tensors[0]')}"]
    if len(tensors) > 1:
        wanted = [x if x in used else "_" for x in tensors]
        primals = f"({primal.format('x')} for x in ctx.saved_tensors)"
        lines = [f"{indent}{', '.join(wanted)} = {primals}"]
        if len(lines[0]) > MARGIN:
            lines = [f"{indent}primals = {primals}", *_tuple(wanted, 12, tail=" = primals")]
    return lines + [f"{indent}{x} = ctx.{x}" for x in numbers]


def _jvp_parameters(node: Node) -> list[str]:
    return [f"{t}: {'None' if s else 'Tensor'}" for t, s in zip(node.names.tangents, node.scalars, strict=True)]


def _expand(node: Node, tensors: tuple[str, ...]) -> list[str]:
    """Return the lines that spread the cotangent of a reduction over what was reduced."""
    grad = node.names.cotangent
    if node.reduction is None:
        return []
    shape = f"{tensors[0]}.shape"
    lines = []
    if len(tensors) > 1:
        shapes = ", ".join(f"{x}.shape" for x in tensors)
        if len(shapes) > 40:
            shapes = "*(x.shape for x in ctx.saved_tensors)"
        lines = [f"shape = torch.broadcast_shapes({shapes})"]
        shape = "shape"
    if node.reduction == "sum":
        return [*lines, f"{grad} = {grad}.expand({shape})"]
    return [*lines, f"{grad} = {grad}.expand({shape}) / {shape}.numel()"]


def _declare(gradients: tuple[str, ...]) -> list[str]:
    chain = f"{' = '.join(gradients)} = None"
    return [chain] if len(chain) + 8 <= MARGIN else [f"{g} = None" for g in gradients]


def _gradients(node: Node, several: bool) -> list[tuple[int, list[str], str]]:
    """Return for each tensor input its index, its own statements, and the assignment."""
    body, rows = node.backward, []
    indices = [i for i, scalar in enumerate(node.scalars) if not scalar]
    for i, local, text in zip(indices, body.local, body.texts, strict=True):
        x, gradient = node.names.inputs[i], node.names.gradients[i]
        statement = f"{gradient} = {text.inside(ATOM)}.sum_to_size({x}.shape)"
        if not several:
            statement = f"return {'None, ' * (len(node.scalars) - 1)}{text.text}"
        rows.append((i, body.lines(local), statement))
    return rows


def _complex_test(tensors: tuple[str, ...]) -> list[str]:
    if len(tensors) == 1:
        return [f"    if {tensors[0]}.is_complex():"]
    line = f"    if any(map(torch.is_complex, ({', '.join(tensors)}))):"
    if len(line) <= MARGIN:
        return [line]
    return [*_tuple(list(tensors), 4, head="tensors = "), "    if any(map(torch.is_complex, tensors)):"]


def _math(problem: Problem, partials: tuple[Value, ...], equation: str) -> list[str]:
    printer = LatexPrinter()
    known = {node: name(text) for node, text in problem.named.items()}
    equations = []
    seen: dict[Value, Value] = {}
    for node, text in problem.named.items():
        equations.append(f"{symbol(text)} = {printer.print(substitute(node, seen))}")
        seen[node] = name(text)
    equations.append(equation)
    for x, slope in zip(problem.inputs, partials, strict=True):
        text = printer.print(substitute(slope, known))
        if problem.reduction != "mean" and len(text) <= _LONGEST_PARTIAL:
            equations.append(rf"\frac{{\partial {symbol(problem.output)}}}{{\partial {symbol(x)}}} = {text}")
    if max(map(len, equations)) > 4 * _LONGEST_PARTIAL:
        return []
    lines: list[str] = []
    for i, text in enumerate(equations):
        wrapped = filled(text.split(" "), MARGIN - 8)
        lines += [wrapped[0], *(f"    {line}" for line in wrapped[1:])]
        lines[-1] += r", \qquad" if i < len(equations) - 1 else ""
    return lines


def _example(cls: str, shown: Example | None) -> list[str]:
    if shown is None:
        return []
    call = filled([f"{a}," for a in shown.arguments[:-1]] + [f"{shown.arguments[-1]})"], MARGIN - 16)
    lines = [f">>> m({call[0]}", *(f"...   {line}" for line in call[1:])]
    return [f">>> m = {cls}()", *lines, shown.result]


def _extra_repr(formula: str) -> list[str]:
    if len(formula) + len('        return ""') <= MARGIN:
        return [f'return "{formula}"']
    if len(formula) > _LONGEST_FORMULA:
        return []
    parts = folded(formula, MARGIN - 16)
    return ["return (", *(f'    "{part}"' for part in parts), ")"]

