"""The vector-Jacobian product: what arrives at each input, of the cotangents of all outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fngen.algebra import ZERO, add
from fngen.derivatives import COTANGENT, Joint, cotangent_of
from fngen.ir import Value, name, value
from fngen.problem import Problem
from fngen.products import product


@dataclass(frozen=True)
class Arriving:
    """What arrives at the inputs.

    Attributes:
        cotangents: The names of the outputs' cotangents.
        gradients: That by each input, in terms of the cotangents.
        outputs: For each the outputs whose cotangents it is made of, as a bit mask.
        conditions: The names in them that say whether a cotangent of some outputs is there, and these outputs
            as a bit mask.
    """

    cotangents: tuple[str, ...]
    gradients: tuple[Value, ...]
    outputs: tuple[int, ...]
    conditions: dict[str, int]


def arriving(problem: Problem, joints: Sequence[Joint], slopes: Sequence[Value]) -> Arriving:
    """Return what arrives at the inputs of a formula, whichever cotangents are there.

    Args:
        problem: The formula.
        joints: Where the cotangents of several outputs meet, each before what it is made of.
        slopes: The derivatives of one output, which is where all begins.
    """
    every, conditions = len(problem.inputs), dict[str, int]()
    cotangents = tuple(cotangent_of(j) for j in range(len(problem.results))) or (COTANGENT,)
    if problem.reduces:  # What arrives is what was derived.
        return Arriving(cotangents, tuple(slopes), (1,) * every, conditions)
    joints = joints or [Joint(problem.value, 0, tuple(range(every)), tuple(slopes))]
    sums = [_Sum() for _ in range(every + len(joints))]
    for own, joint in zip(sums[every:], joints, strict=True):
        if joint.output is not None:
            own.terms.insert(0, (1 << joint.output, name(cotangents[joint.output])))
        cotangent = own.total(conditions)
        for target, slope in zip(joint.targets, joint.slopes, strict=True):
            sums[target].terms.append((own.outputs, product(cotangent, slope)))
    gradients = tuple(each.total(conditions) for each in sums[:every])
    return Arriving(cotangents, gradients, tuple(each.outputs for each in sums[:every]), conditions)


class _Sum:
    """What arrives somewhere: the outputs that each term comes from, as a bit mask, and the term."""

    def __init__(self) -> None:
        self.terms: list[tuple[int, Value]] = []

    @property
    def outputs(self) -> int:
        """The outputs that anything comes from."""
        found = 0
        for outputs, _ in self.terms:
            found |= outputs
        return found

    def total(self, conditions: dict[str, int]) -> Value:
        """Return the sum of the terms that are there, if any is."""
        found, every = ZERO, self.outputs
        for outputs, term in self.terms:
            found = add(found, term if outputs == every else given(term, outputs, conditions))
        return found


def given(term: Value, outputs: int, conditions: dict[str, int]) -> Value:
    """Return a term if a cotangent of some outputs is there, a bit mask; the condition is added to others.

    A cotangent that is missing is not 0: times an infinite slope that would be no number.
    """
    condition = f"{outputs:b} is there!"
    conditions[condition] = outputs
    return value("where", name(condition), term, ZERO)
