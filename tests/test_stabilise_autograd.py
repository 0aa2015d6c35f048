"""What fngen believes of torch's autograd is what torch does, to the last bits."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor

import fngen
from fngen.ir import name, number, value
from fngen.stabilise.autograd import RULES, autograd
from fngen.stabilise.simulate import Simulation

_NAMES: dict[str, Callable[..., Tensor]] = {
    "div": operator.truediv,
    "erfcx": torch.special.erfcx,
    "log_ndtr": torch.special.log_ndtr,
    "logistic": torch.sigmoid,
    "log1pexp": partial(torch.nn.functional.softplus, threshold=40),
    "softplus": torch.nn.functional.softplus,
}
_POINTS = (
    *(0.0, 0.3, -0.3, 0.9, -0.9, 1.0, -1.0, 1.7, 2.5, 5.0, -5.0, 20.5, 41.0, -41.0),
    1e-9,
    300.0,
    800.0,
)
_CLOSE = 4 * 2.0**-52
_CANCELS = frozenset({"tanh", "sigmoid", "erfcx"})
"""Of a difference of numbers about 1 the digits are left that torch's function has."""
_LOOSE = {"log_ndtr": 1e-12}
"""torch's own function has fewer digits."""


@pytest.mark.parametrize("op", sorted(RULES))
def test_a_derivative_is_torch_s_own(op: str) -> None:
    function = _NAMES.get(op) or getattr(torch, op)
    arity = len(RULES[op])
    points = list(product(_POINTS, repeat=arity))
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in zip(*points, strict=True)]
    found = torch.autograd.grad(function(*tensors).sum(), tensors)
    letters = ("a", "b")[:arity]
    simulated = Simulation(letters, points)
    for ours, theirs in zip(autograd(value(op, *map(name, letters)), letters), found, strict=True):
        expected = torch.tensor(simulated(ours), dtype=torch.float64).expand_as(theirs)
        rtol, atol = _LOOSE.get(op, _CLOSE), _CLOSE if op in _CANCELS else 1e-300
        torch.testing.assert_close(theirs, expected, rtol=rtol, atol=atol, equal_nan=True)


def test_a_choice_multiplies_what_it_hides_by_zero() -> None:
    x = name("x")
    root = value("where", value("lt", x, number(0)), value("sqrt", x), x)
    (slope,) = autograd(root, ("x",))
    tensor = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(torch.where(tensor < 0, tensor.sqrt(), tensor), tensor)
    assert torch.isnan(found)
    assert Simulation(("x",), [(0.0,)])(slope)[0] != Simulation(("x",), [(0.0,)])(slope)[0]


def test_powers_are_multiplied_out() -> None:
    x = torch.tensor([0.0, 1.5, -2.0], dtype=torch.float64, requires_grad=True)
    for n in (-2, 2, 3, 5):
        (slope,) = autograd(value("pow", name("x"), number(n)), ("x",))
        (found,) = torch.autograd.grad((x**n).sum(), x)
        expected = Simulation(("x",), [(p,) for p in x.tolist()])(slope)
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=_CLOSE, atol=0)


def test_what_is_no_tensor_has_no_derivative() -> None:
    """The reciprocal of a number is one of the constants of a file."""
    file = fngen.compile("x - (-(x + reciprocal(1)))", name="f")
    assert file.f(torch.tensor(2.0)).item() == 5
