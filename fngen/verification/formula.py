"""The formula that a module gives back: fngen reads it again, and it says the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from fngen.ir import Value
from fngen.problem import Problem, read
from fngen.spec import Spec
from fngen.verification.plain import Plain
from fngen.verification.reference import evaluate
from fngen.verification.report import Check

_CLOSE = 1e-9


def given_back(asked: Problem, cls: Callable[..., torch.nn.Module]) -> list[Check]:
    """Compare what ``formula()`` returns with what was asked for, at random numbers; nothing without one.

    Args:
        asked: The formula, its constants still names.
        cls: The file's module.
    """
    sizes = [1 for _ in {p.dim for p in asked.params} - {None}]
    module = cls(*sizes, **({"dtype": torch.float64} if asked.params else {}))
    formula = getattr(module, "formula", None)
    if not callable(formula):
        return []
    try:
        fault = _difference(asked.at_defaults(), formula())
    except Exception as error:  # Whatever a broken file raises is its failure, not ours.
        fault = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return [Check("formula", not fault, 1, detail=fault)]


def _difference(asked: Problem, text: str) -> str:
    """Return how a text differs from a formula, where all numbers are the first ones."""
    again = read(Spec.create(text, complex=asked.complex)).at_defaults()
    if again.inputs != asked.inputs:
        return f"formula() is of {', '.join(again.inputs)}, not of {', '.join(asked.inputs)}"
    labels = [label for label, _ in _parts(asked)]
    if [label for label, _ in _parts(again)] != labels:
        return f"formula() has other outputs than {', '.join(labels)}"
    if (again.reduction, again.dropped, again.drops) != (asked.reduction, asked.dropped, asked.drops):
        return "formula() reduces something else"
    generator, kind = torch.Generator().manual_seed(2), torch.complex128 if asked.complex else torch.float64
    shape = Plain(asked, tuple(graph for _, graph in asked.results)).shape if asked.reduces else (16,)
    points = {x: torch.rand(shape, generator=generator, dtype=kind) + 0.5 for x in asked.inputs}
    pairs = zip(_values(asked, points), _values(again, points), strict=True)
    same = all(torch.allclose(a, b, _CLOSE, _CLOSE, equal_nan=True) for a, b in pairs)
    return "" if same and _settled(asked) == _settled(again) else "formula() is another formula"


def _settled(problem: Problem) -> list[tuple[str, float]]:
    """Return the parameters and their first values."""
    return [(p.key, float(p.init)) for p in problem.params]


def _parts(problem: Problem) -> list[tuple[str, Value]]:
    """Return the outputs and the declared gradients, those by their inputs."""
    return [*(problem.results or ((problem.output, problem.value),)), *problem.grads]


def _values(problem: Problem, variables: Mapping[str, Tensor]) -> list[Tensor]:
    graphs = [graph for _, graph in _parts(problem)]
    found = evaluate(graphs, dict(variables))
    return [found[graph] for graph in graphs]
