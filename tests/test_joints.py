"""The node of plain tensors of several outputs: any cotangents, any gradients, nothing twice, nothing in vain."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from types import ModuleType
from typing import Any

import black
import pytest
import torch
from hypothesis import given, reject, settings
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import fngen
from fngen import problem
from fngen.errors import FormulaError
from fngen.load import load
from fngen.verification.plain import Plain
from tests.conftest import SCALE
from tests.strategies import SMOOTH, formulas

Outputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class Row:
    """A layer, and its formula in torch's terms."""

    formula: str
    outputs: tuple[str, ...]
    plain: Callable[..., Outputs]
    shapes: tuple[tuple[int, ...], ...]
    options: dict[str, Any] = field(default_factory=dict)


def _pair(x: Tensor, y: Tensor) -> Outputs:
    u = x * y
    return u, torch.sin(u) + x


def _standardised(x: Tensor) -> Outputs:
    m, s = x.mean(-1, keepdim=True), torch.sqrt(x.var(-1, keepdim=True) + 1e-5)
    return (x - m) / s, m.squeeze(-1), s.squeeze(-1)


def _greeks(S: Tensor, K: Tensor, r: Tensor, sigma: Tensor, T: Tensor) -> Outputs:
    width = sigma * torch.sqrt(T)
    d1 = (torch.log(S / K) + (r + sigma**2 / 2) * T) / width
    normal = torch.distributions.Normal(0.0, 1.0)
    density = torch.exp(normal.log_prob(d1))
    call = S * normal.cdf(d1) - K * torch.exp(-r * T) * normal.cdf(d1 - width)
    return call, normal.cdf(d1), density / (S * width), S * density * torch.sqrt(T)


def _cell(f: Tensor, c: Tensor, i: Tensor, g: Tensor, o: Tensor) -> Outputs:
    new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(new), new


def _chain(x: Tensor, w: Tensor) -> Outputs:
    a = torch.sin(x) * w
    b = a * torch.exp(-(a**2)) + x
    c = torch.tanh(b) * a
    d = torch.sqrt(1 + c**2)
    return a, b, c, d, d * torch.cos(a) + w


def _meeting(x: Tensor, y: Tensor, z: Tensor) -> Outputs:
    j, k = torch.exp(x * y) + z, torch.sin(x * y) * z
    return j * k, j - k, j / k


def _cut(x: Tensor, y: Tensor) -> Outputs:
    t = (x * y).detach()
    u = t * x
    return u, t * torch.sin(u) + y


def _entropy(x: Tensor) -> Outputs:
    p = torch.softmax(x, -1)
    return p, -(p * torch.log_softmax(x, -1)).sum(-1)


def _scaled(x: Tensor, w: Tensor, b: Tensor) -> Outputs:
    u = w * x / (0.5 + abs(x))
    return u, b * u**2


def _attended(x: Tensor, w: Tensor) -> Outputs:
    p = torch.softmax(x, -1)
    return p, p * w, (p * w).sum(-1)


def _still(y: Tensor, x: Tensor) -> Outputs:
    return y.clone(), x.detach().sum(-1), -y.sum(), y.detach().clone()


def _gated(x: Tensor, y: Tensor) -> Outputs:
    p = torch.where(x > 0.9, torch.softmax(y, -1), 0.1)
    return p, y * p


def _nothing(x: Tensor) -> Outputs:
    v = torch.sin(x + x) * (x - x)
    return x + x, v, (x + x) * v + x


def _views(x: Tensor, y: Tensor) -> Outputs:
    s, t = x / (1 + x**2), torch.sin(y)
    return s * y * t, torch.sqrt(1 + t**2) + (y - s).sum(-1, keepdim=True)


ROWS = {
    "pair": Row("u = x*y; v = sin(u) + x", ("u", "v"), _pair, ((3, 4), (4,))),
    "polar": Row(
        "r = hypot(x, y); t = atan2(y, x)",
        ("r", "t"),
        lambda x, y: (torch.hypot(x, y), torch.atan2(y, x)),
        ((4,), (3, 1)),
    ),
    "standardised": Row(
        "m = mean(x, dim=-1); s = sqrt(var(x, dim=-1) + eps); y = (x - m)/s",
        ("y", "m", "s"),
        _standardised,
        ((3, 4),),
        {"consts": {"eps": 1e-5}},
    ),
    "greeks": Row(
        "width = sigma*sqrt(T); d1 = (log(S/K) + (r + sigma**2/2)*T)/width; "
        "density = exp(-d1**2/2)/sqrt(2*pi); "
        "call = S*ndtr(d1) - K*exp(-r*T)*ndtr(d1 - width); delta = ndtr(d1); "
        "curvature = density/(S*width); vega = S*density*sqrt(T)",
        ("call", "delta", "curvature", "vega"),
        _greeks,
        ((3,), (3,), (), (3,), (1,)),
        {"inputs": ["S", "K", "r", "sigma", "T"]},
    ),
    "cell": Row(
        "c2 = sigmoid(f)*c + sigmoid(i)*tanh(g); h = sigmoid(o)*tanh(c2)",
        ("h", "c2"),
        _cell,
        ((2, 3), (3,), (2, 3), (2, 1), (2, 3)),
    ),
    "chain": Row(
        "a = sin(x)*w; b = a*exp(-a**2) + x; c = tanh(b)*a; d = sqrt(1 + c**2); e = d*cos(a) + w",
        ("a", "b", "c", "d", "e"),
        _chain,
        ((3, 4), (3, 1)),
    ),
    "meeting": Row(
        "j = exp(x*y) + z; k = sin(x*y)*z; u = j*k; v = j - k; w = j/k",
        ("u", "v", "w"),
        _meeting,
        ((3,), (3,), (2, 3)),
    ),
    "alike": Row("u = x*y; v = x*y; w = x", ("u", "v", "w"), lambda x, y: (x * y, x * y, x * 1), ((3,), (3,))),
    "cut": Row("t = detach(x*y); u = t*x; v = t*sin(u) + y", ("u", "v"), _cut, ((3,), (2, 3))),
    "entropy": Row(
        "p = softmax(x, dim=-1); h = -sum(p*log(p), dim=-1)", ("p", "h"), _entropy, ((3, 4),)
    ),
    "entropy_as_typed": Row(  # The stable form has a log_softmax besides.
        "p = softmax(x, dim=-1); h = -sum(p*log(p), dim=-1)",
        ("p", "h"),
        _entropy,
        ((3, 4),),
        options={"stabilise": False},
    ),
    "gated": Row(
        "p = where(x > 0.9, softmax(y, dim=-1), 0.1); q = y*p",
        ("p", "q"),
        _gated,
        ((2, 3, 4), (3, 4)),
        {"inputs": ["x", "y"]},
    ),
    "attended": Row(
        "p = softmax(x, dim=-1); q = p*w; t = sum(q, dim=-1)",
        ("p", "q", "t"),
        _attended,
        ((3, 4), (2, 3, 4)),
    ),
    "still": Row(
        "u = y; v = sum(detach(x), dim=-1); w = -sum(y); s = detach(y)",
        ("u", "v", "w", "s"), _still, ((3, 4), (3, 4)),
    ),
    "nothing": Row("u = x + x; v = sin(u)*(x - x); w = u*v + x", ("u", "v", "w"), _nothing, ((3,),)),
    "views": Row(
        "s = x/(1 + x**2); t = sin(y); u = s*y*t; v = sqrt(1 + t**2) + sum(y - s, dim=-1)",
        ("u", "v"),
        _views,
        ((3, 4), (3, 4)),
    ),
    "scaled": Row(
        "u = w*x/(eps + abs(x)); v = b*u**2",
        ("u", "v"),
        _scaled,
        ((2, 3), (3,), ()),
        {"params": {"w[C]": 1.0, "b": 2.0}, "consts": {"eps": 0.5}},
    ),
}  # fmt: skip

rows = pytest.mark.parametrize("name", ROWS)
lean_too = pytest.mark.parametrize("lean", [False, True], ids=["", "lean"])


@cache
def made(name: str, lean: bool = False) -> ModuleType:
    row = ROWS[name]
    return fngen.compile(row.formula, name=name, outputs=row.outputs, lean=lean, **row.options)


def drawn(
    name: str, wanted: Sequence[bool] | None = None, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """Return inputs, those that are wanted asking for a gradient."""
    generator = torch.Generator().manual_seed(0)
    row = ROWS[name]
    xs = [torch.rand(s, generator=generator, dtype=dtype) + 0.4 for s in row.shapes]
    for x, flag in zip(xs, wanted or [True] * len(xs), strict=True):
        x.requires_grad_(flag)
    return xs


def weights(outputs: Sequence[Tensor]) -> list[Tensor]:
    """Return a cotangent for each output."""
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(y.shape, generator=generator, dtype=torch.float64).to(y.dtype) - 0.5 for y in outputs]


def pulled(outputs: Sequence[Tensor], inputs: Sequence[Tensor], **options: bool) -> Outputs:
    """Return the gradients of those outputs that have any; the cotangents are left as they were."""
    pairs = [(y, g) for y, g in zip(outputs, weights(outputs), strict=True) if y.requires_grad]
    ys, gs = zip(*pairs, strict=True)
    moving, before = [x for x in inputs if x.requires_grad], [g.clone() for g in gs]
    found = torch.autograd.grad(ys, moving, gs, allow_unused=True, materialize_grads=True, **options)
    assert all(map(torch.equal, gs, before))
    return found


def subsets(n: int) -> Iterator[tuple[bool, ...]]:
    return (flags for flags in product([True, False], repeat=n) if any(flags))


def some(outputs: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    return [y for y, flag in zip(outputs, flags, strict=True) if flag]


@rows
@lean_too
def test_any_outputs_and_any_inputs(name: str, lean: bool) -> None:
    ours, row = getattr(made(name, lean), name), ROWS[name]
    for flags, wanted in product(subsets(len(row.outputs)), subsets(len(row.shapes))):
        one, two = drawn(name, wanted), drawn(name, wanted)
        got, want = ours(*one), row.plain(*two)
        torch.testing.assert_close(tuple(got), want)
        if not any(y.requires_grad for y in some(want, flags)):
            continue
        before = [t.detach().clone() for t in (*one, *got)]
        for _ in range(2):  # What the first run overwrote would show in the second.
            found = pulled(some(got, flags), one, retain_graph=True)
            torch.testing.assert_close(found, pulled(some(want, flags), two, retain_graph=True))
        assert all(map(torch.equal, (*one, *got), before))


@rows
@lean_too
def test_batched_cotangents(name: str, lean: bool) -> None:
    """Of all outputs, and of one beside others that are not: no batched one goes into a buffer that is not."""
    ours, inputs = getattr(made(name, lean), name), drawn(name)
    outputs = ours(*inputs)
    given = weights(outputs)
    several = [torch.stack([g, -2 * g]) for g in given]
    want = torch.autograd.grad(
        outputs, inputs, given, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
    got = torch.autograd.grad(outputs, inputs, several, is_grads_batched=True, **options)
    moved = [x.requires_grad and bool(w.any()) for x, w in zip(inputs, want, strict=True)]
    torch.testing.assert_close([g[1] for g in some(got, moved)], [-2 * w for w in some(want, moved)])
    for j in range(len(outputs)):

        def pull(g: Tensor, j: int = j) -> Outputs:
            return torch.autograd.grad(outputs, inputs, [*given[:j], g, *given[j + 1 :]], **options)

        got = torch.vmap(pull)(several[j])
        torch.testing.assert_close([g[0] for g in some(got, moved)], some(want, moved))


@rows
def test_judged_by_torch(name: str) -> None:
    ours = getattr(made(name), name)
    if "detach" in ROWS[name].formula:  # Finite differences see what it hides.
        return
    assert gradcheck(
        lambda *xs: tuple(ours(*xs)), drawn(name), check_batched_grad=True, check_forward_ad=True
    )
    assert gradgradcheck(lambda *xs: tuple(ours(*xs)), drawn(name), check_batched_grad=True)


@rows
@lean_too
def test_second_derivatives(name: str, lean: bool) -> None:
    ours, row = getattr(made(name, lean), name), ROWS[name]
    moving = [y.requires_grad for y in row.plain(*drawn(name))]
    for flags in (f for f in subsets(len(row.outputs)) if any(some(moving, f))):
        results = []
        for function in (ours, row.plain):
            xs = drawn(name)
            first = pulled(some(function(*xs), flags), xs, create_graph=True)
            again = [g.square() for g in first if g.requires_grad]
            results.append((first, pulled(again, xs) if again else tuple(map(torch.zeros_like, xs))))
        torch.testing.assert_close(*results)


@rows
def test_checkpoints_hooks_and_types(name: str) -> None:
    ours, row = getattr(made(name), name), ROWS[name]
    two = drawn(name)
    want = pulled(row.plain(*two), two)
    one = drawn(name)
    torch.testing.assert_close(pulled(checkpoint(ours, *one, use_reentrant=False), one), want)
    with saved_tensors_hooks(lambda t: t.numpy(), torch.from_numpy):
        torch.testing.assert_close(pulled(ours(*one), one), want)
    for k in range(len(one)):
        mixed = [
            x.detach().to(torch.float32 if i == k else x.dtype).requires_grad_() for i, x in enumerate(one)
        ]
        found = pulled(ours(*mixed), mixed)
        assert [g.dtype for g in found] == [x.dtype for x in mixed]
        torch.testing.assert_close([g.double() for g in found], list(want), rtol=2e-4, atol=1e-5)


def saved(
    function: Callable[..., Any], inputs: Sequence[Tensor], besides: Sequence[Tensor]
) -> tuple[int, int]:
    """Return how many storages are saved, and their bytes; all are alive, lest an address return."""
    kept: list[Tensor] = []
    with saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        outputs = function(*inputs)
    sizes = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in kept}
    for x in besides:
        sizes.pop(x.untyped_storage().data_ptr(), None)
    del outputs
    return len(sizes), sum(sizes.values())


BOTH = ("meeting", "views")
"""What several gradients are made of is kept, whichever of them is wanted."""


@rows
def test_keeps_no_more_than_autograd(name: str) -> None:
    """Or its inputs, from which a second derivative starts; where not all gradients are wanted they are beside."""
    ours, row = getattr(made(name), name), ROWS[name]
    generator = torch.Generator().manual_seed(0)
    shapes = row.shapes if name == "scaled" else [(8,) * max(map(len, row.shapes))] * len(row.shapes)
    for wanted in [(True,) * len(shapes)] if name in BOTH else subsets(len(shapes)):
        inputs = [torch.rand(s, generator=generator) + 0.4 for s in shapes]
        for x, flag in zip(inputs, wanted, strict=True):
            x.requires_grad_(flag)
        besides = [] if all(wanted) else inputs
        got, want = saved(ours, inputs, besides), saved(row.plain, inputs, besides)
        own = 0 if besides else len(inputs), 0 if besides else sum(x.nbytes for x in inputs)
        assert got[0] <= max(want[0], own[0]), wanted
        assert got[1] <= max(want[1], own[1]), wanted


class Operators(TorchDispatchMode):
    """Takes down the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func._schema.name.removeprefix("aten::"))
        return func(*args, **(kwargs or {}))


VIEWS = {"unsqueeze", "squeeze", "expand", "detach", "view", "alias", "t", "transpose", "clone"}


def operators(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[str]:
    """Return the operators of a backward, views aside."""
    with Operators() as run:
        torch.autograd.grad(outputs, inputs, [torch.ones_like(y) for y in outputs], retain_graph=True)
    return [op for op in run.names if op not in VIEWS | {"ones_like"}]


@lean_too
def test_what_only_a_missing_cotangent_needs_is_not_computed(lean: bool) -> None:
    inputs = drawn("chain")
    a, b, c, d, e = made("chain", lean).chain(*inputs)
    alone = operators([a], inputs)
    assert not {op.rstrip("_") for op in alone} & {"exp", "tanh", "sqrt", "tanh_backward", "add"}
    assert len(alone) <= 6
    ladder = [len(operators([y], inputs)) for y in (a, b, c, d, e)]
    assert ladder == sorted(ladder)


def test_shared_work_is_done_once() -> None:
    """A step more costs what the step costs, whatever number of outputs depends on it."""
    counts = []
    for n in (4, 8, 16):
        steps = [f"s{i} = sin(s{i - 1})*x" for i in range(1, n)]
        text = "; ".join(["s0 = x*y", *steps])
        layer = fngen.compile(text, name="f", outputs=[f"s{i}" for i in range(n)]).f
        xs = [torch.rand(3, requires_grad=True) for _ in range(2)]
        counts.append(len(operators(layer(*xs), xs)))
    assert counts[2] - counts[1] == 2 * (counts[1] - counts[0])


@pytest.mark.parametrize("name", ["pair", "chain", "meeting", "standardised", "entropy_as_typed"])
def test_no_more_kernels_than_autograd(name: str) -> None:
    one, two = drawn(name), drawn(name)
    got = operators(getattr(made(name), name)(*one), one)
    assert len(got) <= len(operators(ROWS[name].plain(*two), two))


def test_an_output_may_be_changed_in_place_if_nothing_needs_it() -> None:
    """And where something does, torch says so, as it does of the plain formula."""
    inputs = drawn("standardised")
    outputs = made("standardised").standardised(*inputs)
    want = pulled(outputs, inputs, retain_graph=True)
    outputs.m.mul_(2)
    torch.testing.assert_close(
        torch.autograd.grad(outputs.y.sum(), inputs, retain_graph=True)[0].sum(),
        want[0].sum() * 0,
        atol=1e-6,
        rtol=0,
    )
    x, y = drawn("pair")
    u, v = made("pair").pair(x, y)
    u.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        v.sum().backward()


@pytest.mark.parametrize("seed", range(6))
def test_a_formatter_has_nothing_to_say(seed: int) -> None:
    """Of many inputs and outputs whose gradients are wanted in any combination."""
    draw = random.Random(seed)
    known = [f"operand_{i}" for i in range(4 + 4 * seed)]
    steps = []
    for j in range(6):
        a, b, c = draw.choices(known, k=3)
        forms = (f"sin({a})*{b} + {c}", f"sigmoid({a}*{b})*tanh({c})", f"{a}*{b}/(1 + {c}**2)")
        steps.append(f"outcome_{j} = {draw.choice(forms)} + {' + '.join(draw.sample(known, 3))}")
        known.append(f"outcome_{j}")
    source = fngen.generate("; ".join(steps), name="layer", outputs=known[-6:], lean=seed % 2 == 1)
    assert black.format_str(source.text, mode=black.Mode()) == source.text


@given(formulas(SMOOTH, (), leaves=6), formulas(SMOOTH, (), leaves=6))
@settings(max_examples=60 * SCALE)
def test_random_formulas(first: str, second: str) -> None:
    text = f"u = {first}; v = sin(u)*({second}); w = u*v + x*({second})"
    try:
        source = fngen.generate(text, name="layer", outputs=["u", "v", "w"])
    except FormulaError:
        reject()
    parsed = problem.read(source.spec)
    layer = load(source).layer
    singles = [replace(parsed, value=graph, results=(), drops=()) for _, graph in parsed.results]
    for flags in subsets(3):
        pairs = []
        for function in (
            lambda xs: layer(*xs.values()),
            lambda xs: [Plain(single)(*xs.values()) for single in singles],
        ):
            generator = torch.Generator().manual_seed(3)
            xs = {
                x: (torch.rand(s, generator=generator, dtype=torch.float64) + 0.3).requires_grad_()
                for x, s in zip(parsed.inputs, ((4, 3), (3,), (4, 1), ()) * 3, strict=False)
            }
            pairs.append(pulled(some(function(xs), flags), list(xs.values())))
        for got, want in zip(*pairs, strict=True):
            size = want.abs().nan_to_num(0, 0, 0).max().item()
            torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-10 * max(size, 1), equal_nan=True)
