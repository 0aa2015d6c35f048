"""The view: all that a template may see, strings and lists of strings."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from fngen import docs, precision, recipe
from fngen.backends.torch import TEMPLATE
from fngen.claims import claimed
from fngen.constants import Constant
from fngen.constructor import Constructor, const_argument, constructor, numbers, repr_body, sizes
from fngen.declared import CHANNELS
from fngen.entry import entry, helper_entry
from fngen.example import example
from fngen.functions import TABLE
from fngen.ir import Value
from fngen.layout import bracketed, commented, typed
from fngen.node import Layer, Node
from fngen.node_view import NodeView, node_view
from fngen.problem import Problem
from fngen.several import Several
from fngen.several_view import SeveralView, several_view
from fngen.spec import Spec
from fngen.stabilise.stage import Claim

if TYPE_CHECKING:
    from fngen.kernel_view import KernelView

_DEFINED = (
    "_any_above",
    "_any_below",
    "_any_nan",
    "_others",
    "_rounded",
    "_spread",
    "_sum_in_slices",
    "_sum_of_products",
    "_sum_to",
)
"""Functions that a file defines if its statements call them."""


@dataclass(frozen=True, eq=False, repr=False)
class ModuleView:
    """A whole emitted file."""

    template: str
    first_line: str
    command: list[str]
    summary: str
    equations: list[str]
    accuracy: list[str]
    modules: list[str]
    abstract: list[str]
    wide: list[str]
    exports: list[str]
    constants: list[str]
    function: str
    main: NodeView | None
    several: SeveralView | None
    helpers: list[NodeView]
    main_doc: list[str]
    function_head: list[str]
    channels: bool
    consts: bool
    calls: frozenset[str]
    takes_numbers: str
    cls: str
    module_summary: str
    shapes: list[str]
    constructor: Constructor | None
    module_head: list[str]
    module_return: list[str]
    example: list[str]
    extra_repr: list[str]
    kernel: KernelView | None
    missing: str

    @property
    def math(self) -> list[str]:
        """The equations as lines of a docstring."""
        return docs.display(self.equations)


def view(
    spec: Spec, problem: Problem, partials: tuple[Value, ...], layer: Layer, claim: Claim | None
) -> ModuleView:
    """Return the view of a layer."""
    main, parameters, formula = layer.main, layer.parameters, spec.formula
    entered = entry(layer)
    texts, kernel = " ".join([_texts(layer), *entered]), _kernel(layer, accurate=spec.accurate)
    equation = "" if problem.results else docs.equation(problem)
    shown_example = None if problem.results else example(problem)
    result = main.result if isinstance(main, Several) else "Tensor"
    equations, accuracy = docs.equations(problem, partials), claimed(claim) if claim else []
    alone = not (accuracy or docs.display(equations))
    return ModuleView(
        template=TEMPLATE,
        first_line=recipe.FIRST_LINE,
        command=recipe.command(spec),
        summary=docs.summary(problem, main.function, formula, alone=alone),
        equations=equations,
        accuracy=accuracy,
        modules=_modules(layer, texts, kernel, wide=not problem.complex),
        abstract=_abstract(texts, kernel),
        wide=[] if problem.complex else precision.table(accurate=spec.accurate),
        exports=_exports(main),
        constants=[_constant(c) for c in layer.constants],
        function=main.function,
        main=node_view(main, "", entered) if isinstance(main, Node) else None,
        several=several_view(main, entered) if isinstance(main, Several) else None,
        helpers=[node_view(h, _helper_doc(h), helper_entry(h)) for h in layer.helpers],
        main_doc=docs.function_doc(problem, layer, formula),
        function_head=_head(layer, result),
        consts=bool(layer.consts),
        calls=frozenset(x for x in _DEFINED if f"{x}(" in texts),
        channels=any(p.dim == CHANNELS for p in layer.params),
        takes_numbers=("complex" if problem.complex else "float") if len(parameters) > 1 else "",
        cls=main.cls,
        module_summary=docs.module_summary(problem, main.function, equation),
        shapes=docs.shapes(problem, layer),
        constructor=constructor(layer, spec),
        module_head=bracketed("def forward(", ["self", *typed(layer.inputs)], f") -> {result}:", 4),
        module_return=bracketed(f"return {main.function}(", _given(layer), ")", 8),
        example=docs.example_lines(main.cls, len(sizes(layer)), shown_example),
        extra_repr=repr_body(layer, formula),
        kernel=kernel,
        missing=layer.missing,
    )


def _exports(main: Node | Several) -> list[str]:
    """Return the statement that says what a file exports."""
    results = [main.result] if isinstance(main, Several) else []
    names = [main.cls, f"{main.cls}Function", *results, main.function]
    return bracketed("__all__ = [", [f'"{x}"' for x in names], "]", 0)


def _texts(layer: Layer) -> str:
    """Return all expressions of a file in Python."""
    bodies = [b for n in (layer.main, *layer.helpers) for b in n.bodies]
    texts = [text for body in bodies for text in (*body.printed.values(), *chain(*body.openings.values()))]
    return " ".join([*texts, *chain(*(k.python for k in (layer.kernels or {}).values()))])


def _kernel(layer: Layer, *, accurate: bool) -> KernelView | None:
    """Return the view of a layer's kernels, if it has some."""
    if layer.kernels is None:
        return None
    from fngen.kernel_view import kernel_view  # Of no use to most files.

    return kernel_view(layer.kernels, layer.main, accurate=accurate)


def _modules(layer: Layer, texts: str, kernel: KernelView | None, *, wide: bool) -> list[str]:
    """Return the modules of the standard library that a file imports."""
    promotes = wide and (len(layer.parameters) > 1 or isinstance(layer.main, Several))
    found = ["functools"] * promotes + ["math"] * ("math." in texts or bool(numbers(layer)))
    return sorted([*found, *(kernel.modules if kernel else ())])


def _abstract(texts: str, kernel: KernelView | None) -> list[str]:
    """Return what a file imports of the abstract types of collections."""
    calls = bool(kernel and kernel.c) or "_sum_in_slices" in texts
    lays_out = kernel is not None and not kernel.rows
    return ["Callable"] * calls + ["Sequence"] * lays_out


def _head(layer: Layer, result: str) -> list[str]:
    """Return the first lines of the function."""
    arguments = [*typed(layer.parameters), *map(const_argument, layer.consts)]
    return bracketed(f"def {layer.main.function}(", arguments, f") -> {result}:", 0)


def _given(layer: Layer) -> list[str]:
    """Return what the module hands to the function."""
    # Without dimensions a parameter of one number leaves the shape of the inputs alone.
    params = [f"self.{p.name}{'.view(())' if p.dim is None else ''}" for p in layer.params]
    return [*layer.inputs, *params, *(f"self.{c.name}" for c in layer.consts)]


def _constant(constant: Constant) -> str:
    meaning = f"  # {constant.meaning}" * bool(constant.meaning)
    return commented(f"{constant.name} = {constant.literal}", meaning)


def _helper_doc(node: Node) -> str:
    if node.doc:
        return node.doc
    row = TABLE[node.function.removeprefix("_")]
    return f"``{row.torch}``, differentiable to any order."
