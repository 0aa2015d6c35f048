"""Every row of the function table against mathematics, and against torch at its kinks."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations_with_replacement, product

import pytest
import torch
from mpmath import mp, mpf
from torch import Tensor

from fngen.backends.torch import IN_PLACE
from fngen.errors import FormulaError
from fngen.functions import REAL as TABLE
from fngen.functions import Function
from fngen.ir import dump
from fngen.language.parse import parse_expression
from fngen.load import load
from fngen.numeric import mp_evaluate, mp_function
from fngen.pipeline import generate
from fngen.spec import Spec
from tests import oracle
from tests.oracle import Point, Reference, differentiate, tensors, torch_operator

VARIABLES = ("x", "y", "z")
_NEGATIVE = (-17.3, -6.4, -2.7, -1.3, -0.62, -0.3, -0.011)
_POSITIVE = (0.013, 0.27, 0.44, 0.73, 0.96, 1.04, 1.7, 2.6, 5.3, 9.1, 19.6)
LINE = _NEGATIVE + _POSITIVE
CANDIDATES: dict[int, tuple[tuple[float, ...], ...]] = {
    1: (LINE,),
    # No two of them are equal, or sum up to an integer.
    2: ((-3.7, -0.62, 0.27, 0.73, 1.7, 6.4), (-2.4, -0.41, 0.35, 1.2, 3.9)),
    3: ((-3.7, -0.62, 0.27, 0.73, 1.7, 6.4), (-2.4, -0.41, 0.35, 1.2, 3.9), (-1.1, 0.58, 2.2)),
}
CONSTANTS = (-2.4, 0.35, 2.0)
INTEGERS = (0, 1, 2, 3)
ENOUGH = 4

ORDERS = {"value": 0, "first": 1, "second": 2}
TOLERANCE = (1e-13, 1e-11, 1e-9, 1e-7)
NOISE = 1e-100
"""The differences at 800 bits make 1e-145 out of a zero."""


@dataclass(frozen=True)
class Slack:
    """Where an operator of torch is less accurate than ``TOLERANCE``, and why."""

    reason: str
    orders: tuple[int, ...]
    tolerance: float
    floor: float = NOISE
    beyond: float = -1
    """The magnitude of an argument from which it applies."""


_BESSEL = Slack("torch's J and Y are wrong by up to 9e-7 between 5 and 20", (0, 1, 2, 3), 2e-6, 1, 2)
_SIGMOID = Slack("torch differentiates sigmoid as y*(1 - y), which cancels as y nears 1", (2,), 1e-13, 1)
_TANH = Slack("torch differentiates tanh as 1 - y**2, which cancels as y nears 1", (2,), 1e-13, 1)
_TRIGAMMA = "torch's polygamma(1, x) has nine digits"
SLACK: dict[str, tuple[Slack, ...]] = {
    **dict.fromkeys(("j0", "j1", "j1_over_x", "y0", "y1"), (_BESSEL,)),
    **dict.fromkeys(("sigmoid", "logsigmoid", "softplus", "silu", "mish", "logaddexp"), (_SIGMOID,)),
    "tanhshrink": (_TANH, Slack("torch computes x - tanh(x), which cancels near 0", (0,), 1e-15, 1)),
    **dict.fromkeys(("gelu_tanh", "log1pexp"), (_SIGMOID,)),
    "logcosh": (_TANH,),
    "celu": (Slack("torch differentiates expm1 as expm1 + 1, which is 0 in the left tail", (2,), 1e-60, 1),),
    "digamma": (Slack(_TRIGAMMA, (1,), 2e-9),),
    "polygamma": (Slack(_TRIGAMMA, (0, 1), 2e-9),),
    **dict.fromkeys(("lgamma", "gamma"), (Slack(_TRIGAMMA, (2,), 2e-9),)),
    "beta": (Slack(_TRIGAMMA, (2,), 1e-8),),
}
FOLDED_DIGITS = {
    # A Taylor polynomial of float64's accuracy stands near 0.
    "sinc_slope": 17,
    "j1_over_x": 17,
    "i1_over_x": 17,
    "i1e_over_x": 17,
}
DEPARTURES = {
    "hardsigmoid": (1e-7, "torch's slope is 1/6 rounded to float32, in float64 too"),
}
"""Where a row may differ from torch's gradient by more than rounding, and why."""

SMOOTH = {name: row for name, row in TABLE.items() if name != "stop_gradient"}
"""All but the function whose derivative is a decision: tests/test_chosen_gradients.py has that."""

rows = pytest.mark.parametrize("row", SMOOTH.values(), ids=SMOOTH)
composite_rows = pytest.mark.parametrize(
    "row", [r for r in TABLE.values() if len(r.parameters) > 1], ids=lambda r: r.name
)


def differentiable(row: Function) -> tuple[int, ...]:
    """Return the positions that may hold a variable."""
    known = row.derivative or ("",) * len(row.parameters)
    return tuple(i for i, p in enumerate(row.parameters) if p not in row.integers and known[i] is not None)


def formula(name: str, point: Point, moving: Sequence[int]) -> str:
    """Return a call with variables at the ``moving`` positions, and numbers elsewhere."""
    args = (VARIABLES[i] if i in moving else repr(x) for i, x in enumerate(point))
    return f"{name}({', '.join(args)})"


@cache
def layer(text: str) -> Callable[..., Tensor]:
    return load(generate(Spec.create(text, name="layer"))).layer  # type: ignore[no-any-return]


def candidates(row: Function, choices: Sequence[Sequence[float]]) -> Iterable[Point]:
    """Return the combinations of ``choices``, one a parameter."""
    return product(
        *(INTEGERS if p in row.integers else c for p, c in zip(row.parameters, choices, strict=True))
    )


def defined(reference: Reference, points: Iterable[Point], moving: Sequence[int]) -> list[Point]:
    """Return the points where the function is real and twice differentiable."""
    return [p for p in points if math.isfinite(reference.derivative(p)) and reference.is_smooth(p, moving)]


@cache
def generic_points(row: Function) -> list[Point]:
    points = candidates(row, CANDIDATES[len(row.parameters)])
    found = defined(oracle.reference(row), points, differentiable(row))
    assert len(found) >= ENOUGH, (
        f"{row.name} is defined at {len(found)} of the candidates: give it more of them"
    )
    return found


def orders(moving: Sequence[int], order: int) -> list[tuple[int, ...]]:
    return list(product(moving, repeat=order))


def emitted(
    row: Function, points: list[Point], moving: Sequence[int], indices: tuple[int, ...]
) -> list[float]:
    """Return a derivative of the emitted layer at points that agree in what does not move."""
    columns = tensors(list(zip(*points, strict=True)))
    text = formula(row.name, points[0], moving)
    y = layer(text)(*(columns[i] for i in moving))
    assert isinstance(y, Tensor), f"{text} is {y!r} and no tensor"
    return differentiate(y, columns, indices).tolist()


def allowed(row: Function, point: Point, order: int, want: float) -> float:
    """Return the error that a derivative may have."""
    slack = [s for s in SLACK.get(row.name, ()) if order in s.orders and max(map(abs, point)) > s.beyond]
    limits = [
        TOLERANCE[order] * max(abs(want), NOISE),
        *(s.tolerance * max(abs(want), s.floor) for s in slack),
    ]
    return max(limits)


def check(row: Function, points: Iterable[Point], moving: Sequence[int], order: int) -> None:
    """Fail unless the emitted layer has the reference's derivatives of one order at each point."""
    reference, groups = oracle.reference(row), defaultdict(list)
    for point in points:
        groups[formula(row.name, point, moving)].append(point)
    wrong = []
    for text, group in groups.items():
        for indices in orders(moving, order):
            for point, got in zip(group, emitted(row, group, moving, indices), strict=True):
                want = reference.derivative(point, indices)
                if not abs(got - want) <= allowed(row, point, order, want):
                    wrong.append(f"{text} by {indices} at {point} is {got!r}, not {want!r}")
    assert not wrong, "\n".join(wrong)


@rows
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_derivatives(row: Function, order: int) -> None:
    check(row, generic_points(row), differentiable(row), order)


@composite_rows
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_derivatives_beside_constants(row: Function, order: int) -> None:
    count = 0
    for i in differentiable(row):
        choices = [LINE if j == i else CONSTANTS for j in range(len(row.parameters))]
        points = defined(oracle.reference(row), candidates(row, choices), (i,))
        check(row, points, (i,), order)
        count += len(points)
    assert count >= ENOUGH


@pytest.mark.parametrize("row", [r for r in TABLE.values() if not r.native], ids=lambda r: r.name)
def test_third_derivatives(row: Function) -> None:
    near = [p for p in generic_points(row) if max(map(abs, p)) < 2]
    check(row, near[-2:], differentiable(row), 3)


@pytest.mark.parametrize("row", [r for r in SMOOTH.values() if len(r.parameters) == 1], ids=lambda r: r.name)
def test_derivatives_at_zero(row: Function) -> None:
    """Removable singularities are at 0: all derivatives must hold there that exist."""
    reference = oracle.reference(row)
    if not math.isfinite(reference.derivative((0.0,))):
        return
    smooth = max(n for n in range(4) if reference.is_smooth((0.0,), (0,), n))
    for order in range(smooth + 1):
        indices = (0,) * order
        (got,) = emitted(row, [(0.0,)], (0,), indices)
        assert got == pytest.approx(reference.derivative((0.0,), indices), rel=TOLERANCE[order], abs=1e-14), (
            order
        )


@pytest.mark.parametrize(
    ("name", "order", "value"),
    [
        ("sinc", 2, -(math.pi**2) / 3),
        ("sinc", 3, 0.0),
        ("j0", 2, -1 / 2),
        ("j1", 1, 1 / 2),
        ("j1", 3, -3 / 8),
        ("i0", 2, 1 / 2),
        ("i1", 3, 3 / 8),
        ("i1e", 1, 1 / 2),
    ],
)
def test_textbook_values_at_zero(name: str, order: int, value: float) -> None:
    (got,) = emitted(TABLE[name], [(0.0,)], (0,), (0,) * order)
    assert got == pytest.approx(value, rel=1e-14, abs=1e-15)


def test_heaviside_at_zero_is_its_second_argument() -> None:
    # torch does not differentiate heaviside, so that no operator of its own stands for this.
    point = [(0.0, 0.35)]
    assert emitted(TABLE["heaviside"], point, (0, 1), ()) == [0.35]
    assert emitted(TABLE["heaviside"], point, (0, 1), (1,)) == [1.0]


@rows
def test_constants_fold_to_the_reference(row: Function) -> None:
    reference = oracle.reference(row)
    digits = min(reference.digits, FOLDED_DIGITS.get(row.name, reference.digits))
    with mp.workdps(60):
        for point in generic_points(row):
            got, want = mp_function(row.name)(*map(mpf, point)), reference.exact(point)
            assert abs(got - want) <= mpf(10) ** -digits * abs(want), (point, got, want)


@pytest.mark.parametrize("row", [r for r in TABLE.values() if r.defaults], ids=lambda r: r.name)
def test_defaults(row: Function) -> None:
    reference, required = oracle.reference(row), len(row.parameters) - len(row.defaults)
    node = parse_expression(formula(row.name, generic_points(row)[0][:required], range(required)))
    defaults = tuple(float(mp_evaluate([arg], {})[arg]) for arg in node.args[required:])
    for point in generic_points(row):
        given = point[:required]
        assert reference.derivative((*given, *defaults)) == reference.derivative(given)


@pytest.mark.parametrize(
    ("row", "i"),
    [(r, i) for r in TABLE.values() for i in range(len(r.parameters)) if i not in differentiable(r)],
    ids=lambda x: x.name if isinstance(x, Function) else str(x),
)
def test_no_derivative_is_an_error(row: Function, i: int) -> None:
    text = formula(row.name, (2.0,) * len(row.parameters), (i,))
    with pytest.raises(FormulaError) as caught:
        generate(Spec.create(text, name="layer"))
    assert caught.value.text[caught.value.start : caught.value.end] in (text, VARIABLES[i])


@pytest.mark.parametrize(
    ("row", "alias"),
    [(r, alias) for r in TABLE.values() for alias in r.aliases],
    ids=lambda x: x.name if isinstance(x, Function) else x,
)
def test_aliases(row: Function, alias: str) -> None:
    for count in row.arities:
        point = (2.0,) * count
        args = [i for i in range(count) if row.parameters[i] not in row.integers]
        node = parse_expression(formula(alias, point, args))
        assert node.op == row.name
        assert node is parse_expression(formula(row.name, point, args)), dump(node)


@pytest.mark.parametrize("row", [r for r in TABLE.values() if r.parity], ids=lambda r: r.name)
def test_parity(row: Function) -> None:
    reference = oracle.reference(row)
    for (x,) in generic_points(row):
        there, here = reference.derivative((-x,)), reference.derivative((x,))
        assert there == pytest.approx(row.parity * here, rel=1e-15), x


def kink_points(row: Function) -> Iterable[Point]:
    """Return points where the functions of the table tie, step or bend, or leave their domain."""
    lines = {
        1: (-6.0, -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 6.0),
        2: (-1.0, 0.0, 1.0, 2.0),
        3: (-1.0, 0.0, 1.0),
    }
    return candidates(row, [lines[len(row.parameters)]] * len(row.parameters))


def torch_gradient(row: Function, point: Point) -> dict[tuple[int, ...], float] | None:
    """Return the value of torch's operator and its gradient; None where torch refuses the point."""
    operator, inputs = torch_operator(row), tensors(point)
    assert operator is not None
    try:
        y = operator(*inputs)
    except (ValueError, RuntimeError):
        return None
    slopes: Sequence[Tensor | None] = ()
    if y.requires_grad and not math.isnan(y.item()):
        with suppress(RuntimeError):
            slopes = torch.autograd.grad(y, inputs, allow_unused=True)
    return {(): y.item(), **{(i,): g.item() for i, g in enumerate(slopes) if g is not None}}


def is_refused(text: str) -> bool:
    try:
        generate(Spec.create(text))
    except FormulaError:
        return True
    return False


def check_kinks(row: Function, variants: Iterable[Sequence[int]], *, poles: bool) -> None:
    """Fail unless value and gradient are torch's, with variables at each of these positions."""
    tolerance, _ = DEPARTURES.get(row.name, (1e-12, ""))
    wrong = []
    for point, moving in product(kink_points(row), variants):
        expected = torch_gradient(row, point)
        if expected is None or not (poles or all(map(math.isfinite, expected.values()))):
            continue
        if not poles and is_refused(formula(row.name, point, moving)):
            continue
        for indices in [(), *((i,) for i in moving if (i,) in expected)]:
            (got,), want = emitted(row, [point], moving, indices), expected[indices]
            if got != pytest.approx(want, rel=tolerance, abs=tolerance, nan_ok=True):
                text = formula(row.name, point, moving)
                wrong.append(f"{text} by {indices} at {point} is {got!r}, torch says {want!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("row", [r for r in TABLE.values() if torch_operator(r)], ids=lambda r: r.name)
def test_kinks_are_those_of_torch(row: Function) -> None:
    check_kinks(row, [differentiable(row)], poles=True)


@pytest.mark.parametrize(
    "row", [r for r in TABLE.values() if torch_operator(r) and len(r.parameters) > 1], ids=lambda r: r.name
)
def test_kinks_beside_constants(row: Function) -> None:
    # A constant at a pole is refused, or folded with what it multiplies.
    check_kinks(row, [(i,) for i in differentiable(row)], poles=False)


def test_no_oracle_is_left_over() -> None:
    assert set(oracle.ORACLES) <= set(TABLE)
    assert {*SLACK, *FOLDED_DIGITS, *DEPARTURES, *oracle.OPERATORS} <= set(TABLE)


def test_a_row_without_oracle_fails() -> None:
    for row in (replace(TABLE["sec"], name="new"), replace(TABLE["j0"], name="new")):
        with pytest.raises(LookupError, match="an oracle is missing for 'new'"):
            oracle.reference(row)


@pytest.mark.parametrize("name", ["sin", "softplus", "hypot", "maximum", "logit"])
def test_torch_stands_in_for_an_oracle(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = TABLE[name]
    ball, points = oracle.reference(row), generic_points(row)
    monkeypatch.delitem(oracle.ORACLES, name)
    stand_in = oracle.reference(row)
    assert isinstance(stand_in, oracle.TorchReference)
    assert defined(stand_in, points, differentiable(row)) == points
    for point in points:
        for order in range(3):
            for indices in combinations_with_replacement(differentiable(row), order):
                want = ball.derivative(point, indices)
                assert stand_in.derivative(point, indices) == pytest.approx(want, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("name", sorted(IN_PLACE))
def test_in_place_is_the_same_operator(name: str) -> None:
    row = TABLE[name]
    bounds = (0.5,) * (len(row.parameters) - 1)
    x = torch.rand(64, dtype=torch.float64) + 1.0 * (name == "acosh")
    operator = getattr(torch, row.torch.removeprefix("torch."))
    assert torch.equal(getattr(x.clone(), f"{name}_")(*bounds), operator(x, *bounds))
