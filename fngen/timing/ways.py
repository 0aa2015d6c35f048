"""The ways to compute a formula that are timed against each other."""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, fx

from fngen.problem import Problem
from fngen.verification.plain import Plain
from fngen.verification.reference import evaluate

Function = Callable[..., Any]
PLAIN, LAYER, KERNEL, COMPILED = "plain", "fngen", "kernel", "compile"
_OPERATORS = {"div": operator.truediv, "true_divide": operator.truediv}
"""Methods of tensors that operators have under another name."""


def ways(problem: Problem, module: ModuleType, function: str, *, compiled: bool) -> dict[str, Function]:
    """Return the functions to compare, by their names, plain autograd first.

    Args:
        problem: The formula, its constants numbers.
        module: The emitted file, imported.
        function: The name of its function.
        compiled: Whether the plain formula under ``torch.compile`` is one.
    """
    by_hand, layer = plain(problem), getattr(module, function)
    found = {PLAIN: by_hand, LAYER: layer}
    if run := getattr(module, "_run", None):
        found[KERNEL], found[LAYER] = layer, _without_kernels(module, run, layer)
    if compiled:
        torch._dynamo.reset()
        found[COMPILED] = torch.compile(by_hand, dynamic=False)
    return found


def _without_kernels(module: ModuleType, run: Function, layer: Function) -> Function:
    """Return a layer as it is where no kernel can be built."""

    def function(*args: Tensor) -> Any:
        module._run = lambda *_: None  # type: ignore[attr-defined]
        try:
            return layer(*args)
        finally:
            module._run = run  # type: ignore[attr-defined]

    return function


def plain(problem: Problem) -> Function:
    """Return a formula in torch's operators as it was typed, as a person would write it in Python."""
    if problem.reduces or problem.grads:
        return Plain(problem)
    graph, root = fx.Graph(), torch.nn.Module()
    variables: Any = {x: fx.Proxy(graph.placeholder(f"input_{i}")) for i, x in enumerate(problem.inputs)}
    outputs = [y for _, y in problem.results] or [problem.value]
    values = evaluate(outputs, variables)
    results: list[Any] = [values[y] for y in outputs]
    if problem.reduction:
        results = [getattr(torch, problem.reduction)(*results)]
    nodes = tuple(r.node for r in results)
    graph.output(nodes if problem.results else nodes[0])
    for node in list(graph.nodes):
        _with_numbers(node, root)
    return fx.GraphModule(root, graph).forward


def _with_numbers(node: fx.Node, root: torch.nn.Module) -> None:
    """Give an operator a number for a constant tensor, and a function an attribute."""
    if not any(isinstance(a, Tensor) for a in node.args):
        return
    if node.op == "call_method":
        name = str(node.target)
        node.op, node.target = "call_function", _OPERATORS.get(name) or getattr(operator, name)
    plain = getattr(node.target, "__module__", "") == "_operator" or node.target is torch.where
    node.args = tuple(_constant(a, node, root, plain=plain) for a in node.args)


def _constant(arg: Any, node: fx.Node, root: torch.nn.Module, *, plain: bool) -> Any:
    if not isinstance(arg, Tensor):
        return arg
    if plain:
        return arg.item()
    label = f"constant_{sum(1 for _ in root.buffers())}"
    root.register_buffer(label, arg)
    with node.graph.inserting_before(node):
        return node.graph.get_attr(label)
