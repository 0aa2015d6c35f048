"""A layer as a tutorial writes it: save the inputs, and write the symbolic gradient out in the backward.

The partial derivatives are fngen's, read from its public ``show --stage derivatives``; a subexpression that
occurs twice gets a name, as a careful author would do, but nothing works in place and nothing else is saved.
"""

from __future__ import annotations

import ast
import math
from collections import Counter
from collections.abc import Callable

import torch
from click.testing import CliRunner
from torch import Tensor

from fngen.cli import main as fngen_command

_SPECIAL = {
    "abs": abs,
    "sech": lambda x: 1 / torch.cosh(x),
    "softplus": torch.nn.functional.softplus,
    "ndtr": torch.special.ndtr,
    "j0": torch.special.bessel_j0,
    "j1": torch.special.bessel_j1,
    "j1_over_x": lambda x: torch.special.bessel_j1(x) / x,
}
_CONSTANTS = {"pi": math.pi, "sqrt": math.sqrt, "log": math.log, "exp": math.exp, "abs": abs}


def tutorial(formula: str, plain: Callable[..., Tensor], mean: bool = False) -> Callable[..., Tensor]:
    """Return the ``apply`` of a tutorial's Function.

    Args:
        formula: The formula as fngen reads it, for the derivatives.
        plain: The formula in torch operators, for the value.
        mean: Whether the value is the mean over all elements.
    """
    gradients = _gradients(formula)

    class Tutorial(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            ctx.save_for_backward(*inputs)
            return plain(*inputs)

        @staticmethod
        def backward(ctx, grad):
            inputs = ctx.saved_tensors
            return gradients(grad / inputs[0].numel() if mean else grad, *inputs)

    return Tutorial.apply


def _gradients(formula: str) -> Callable[..., tuple[Tensor, ...]]:
    """Return the function from cotangent and inputs to the gradients."""
    done = CliRunner().invoke(fngen_command, ["show", formula, "--stage", "derivatives"])
    if done.exit_code:
        raise ValueError(done.output)
    lines = [line.split(" = ", 1) for line in done.output.strip().splitlines()]
    partials = {left.split("/d")[1]: right for left, right in lines if "/d" in left}
    named = [f"{left} = {right}" for left, right in lines if "/d" not in left][:-1]
    result = "(" + "".join(f"_grad * ({p})," for p in partials.values()) + ")"
    statements = _shared(ast.parse("\n".join([*named, result])).body)
    source = f"def gradients(_grad, {', '.join(partials)}):\n" + "".join(f"    {s}\n" for s in statements)
    scope = _scope(source)
    exec(compile(source, "<tutorial>", "exec"), scope)
    return scope["gradients"]


def _scope(source: str) -> dict:
    """Return the torch functions that a source calls."""
    called = {n.func.id for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)}
    return {name: _SPECIAL.get(name) or getattr(torch, name) for name in called}


def _shared(statements: list[ast.stmt]) -> list[str]:
    """Return the statements with numbers worked out, and with a name for what occurs more than once."""
    folded = [_Fold().visit(s) for s in statements]
    counts = Counter(key for s in folded for key in _parts(s))
    share = _Share({key for key, count in counts.items() if count > 1})
    for statement in folded:
        image = share.visit(statement)
        last = f"return {ast.unparse(image)}" if isinstance(image, ast.Expr) else ast.unparse(image)
        share.lines.append(last)
    return share.lines


def _parts(statement: ast.stmt) -> list[str]:
    """Return the text of each compound subexpression, the whole statement aside."""
    return [ast.unparse(n) for n in ast.walk(statement) if isinstance(n, ast.BinOp | ast.Call | ast.Compare)]


class _Fold(ast.NodeTransformer):
    """Replaces what holds no variable by its number."""

    def visit(self, node: ast.AST) -> ast.AST:
        node = self.generic_visit(node)
        if not isinstance(node, ast.BinOp | ast.Call | ast.UnaryOp):
            return node
        if any(isinstance(n, ast.Name) and n.id not in _CONSTANTS for n in ast.walk(node)):
            return node
        return ast.Constant(eval(ast.unparse(node), {"__builtins__": {}}, _CONSTANTS))


class _Share(ast.NodeTransformer):
    """Assigns each repeated subexpression to a name where it first occurs."""

    def __init__(self, repeated: set[str]):
        self.repeated = repeated
        self.names: dict[str, str] = {}
        self.lines: list[str] = []

    def visit(self, node: ast.AST) -> ast.AST:
        if not isinstance(node, ast.BinOp | ast.Call | ast.Compare):
            return self.generic_visit(node)
        key = ast.unparse(node)
        if key not in self.repeated:
            return self.generic_visit(node)
        if key not in self.names:
            text = ast.unparse(self.generic_visit(node))
            self.names[key] = f"_t{len(self.names)}"
            self.lines.append(f"{self.names[key]} = {text}")
        return ast.Name(self.names[key])
