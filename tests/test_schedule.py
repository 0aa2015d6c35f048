"""Kernels as data: which passes a formula takes, and that they work out what torch does."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from fngen import ir, pipeline, problem
from fngen.blocks import TOTALS, Block, Kernel, Let, Pass, dump_kernel, verify_kernel
from fngen.computation import both
from fngen.errors import OptionError
from fngen.ir import Over, Value, fold, name, number, rebuild, value
from fngen.problem import Problem
from fngen.show import show
from fngen.spec import Spec
from fngen.verification.reference import evaluate
from tests.layer_row import Row
from tests.layer_rows import ROWS
from tests.test_layers import drawn

pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")


def kernels(formula: str, **options: object) -> tuple[Kernel, Kernel]:
    parsed = problem.read(Spec.create(formula, **options))
    return both(parsed, pipeline.derive(parsed).slopes)


@pytest.mark.parametrize(
    ("formula", "options", "forward", "backward"),
    [
        ("x1**3 + x2**2", {}, 1, 1),
        ("alpha*tanh(x)", {"params": {"alpha": 1}}, 1, 1),
        ("sum(log(cosh(x - y)))", {}, 1, 1),
        ("x/sqrt(mean(x**2, dim=-1) + 1e-6)*w", {"params": {"w[-1]": 1}}, 2, 3),
        ("(x - mean(x, dim=-1))/std(x, dim=-1)", {}, 3, 4),
        ("softmax(x, dim=-1)", {}, 3, 4),
        ("mean(x, dim=-1)*mean(y**2, dim=-1)*max(x - y, dim=-1)", {}, 2, 3),
        ("mean(x, dim=0)*mean(x**2, dim=1)", {}, 2, 3),
        ("mean((x/sum(x, dim=-1))**2, dim=-1)", {}, 3, 3),
    ],
)
def test_how_many_passes(formula: str, options: dict[str, object], forward: int, backward: int) -> None:
    found = kernels(formula, **options)
    assert [len(k.passes) for k in found] == [forward, backward], "\n\n".join(map(dump_kernel, found))


def test_the_text_form_of_a_kernel() -> None:
    forward, backward = kernels("softmax(x, dim=-1)")
    shifted = "exp(sub(x, where(eq(sub(amax, amax), 0), amax, 0)))"
    assert dump_kernel(forward).splitlines() == [
        *("pass(x):", "    => amax = amax(x, dim=-1)"),
        *("pass(x, amax):", f"    exp = {shifted}", "    -> exp = exp", "    => sum = sum(exp, dim=-1)"),
        *("pass(exp, sum):", "    -> y = div(exp, sum)"),
    ]
    assert dump_kernel(backward).splitlines()[-2:] == [
        "pass(grad_y, exp, sum, sum_1):",
        "    -> grad_x = mul(div(exp, sum), sub(grad_y, sum_1))",
    ]


def test_sums_over_the_same_elements_are_one_pass() -> None:
    forward, _ = kernels("sum(x, dim=-1)*sum(x*y, dim=-1)/norm(y, dim=-1)")
    (reducing, last) = forward.passes
    assert [str(let.value.datum) for let in reducing.totals] == ["dim=-1"] * 3
    assert not last.totals


@pytest.mark.parametrize(
    "kernel",
    [
        Kernel((Pass(Block(("x",), (), ()), ()),)),
        Kernel((Pass(Block(("x",), (), ()), (Let("s", name("x")),)),)),
        Kernel((Pass(Block(("x",), (), (Let("y", value("sum", name("x"), datum=Over())),))),)),
        Kernel(
            (Pass(Block(("x",), (), (Let("y", name("x")),))), Pass(Block(("y",), (), (Let("y", name("y")),))))
        ),
        Kernel((Pass(Block((), (), ()), (Let("s", value("sum", name("x"), datum=Over())),)),)),
    ],
    ids=["no result", "no reduction", "a reduction inside", "twice", "unknown"],
)
def test_verify_refuses(kernel: Kernel) -> None:
    with pytest.raises(AssertionError):
        verify_kernel(kernel)


@pytest.mark.parametrize("layer", ROWS)
def test_passes_work_out_a_layer(layer: str) -> None:
    row = ROWS[layer]
    parsed = problem.read(Spec.create(row.formula, **row.options)).at_defaults()
    inputs, (forward, backward) = drawn(row), both(parsed, pipeline.derive(parsed).slopes)
    params = [
        torch.full((5,) if p.dim is not None else (1,), float(p.init), dtype=torch.float64)
        for p in parsed.params
    ]
    leaves = [*inputs, *(p.requires_grad_() for p in params)]
    wanted = row.twin(*leaves)
    cotangent = torch.linspace(0.5, 1.5, wanted.numel(), dtype=torch.float64).reshape(wanted.shape)
    gradients = torch.autograd.grad(wanted, leaves, cotangent, allow_unused=True, materialize_grads=True)
    variables = dict(
        zip(parsed.inputs, (x.detach() for x in [*inputs, *aligned(parsed, params, row)]), strict=True)
    )
    (got,) = worked_out(forward, variables, [parsed.output])
    torch.testing.assert_close(got.reshape(wanted.shape), wanted.detach(), rtol=1e-9, atol=1e-9)
    variables[f"grad_{parsed.output}"] = cotangent.reshape(got.shape)
    found = worked_out(backward, variables, [f"grad_{x}" for x in parsed.inputs])
    for x, grad in zip(gradients, found, strict=True):
        grad = grad if grad.numel() == x.numel() else grad.expand(row.shape)
        torch.testing.assert_close(grad.reshape(x.shape), x, rtol=1e-8, atol=1e-9)


def aligned(parsed: Problem, params: list[Tensor], row: Row) -> list[Tensor]:
    """Return parameters as they lie beside inputs."""
    shaped = []
    for given, p in zip(parsed.params, params, strict=True):
        sizes = [1] * len(row.shape)
        if given.dim is not None:
            sizes[given.dim] = -1
        shaped.append(p.reshape(sizes if given.dim is not None else (1,)))
    return shaped


def worked_out(kernel: Kernel, variables: Mapping[str, Tensor], wanted: list[str]) -> list[Tensor]:
    """Return results of a kernel, pass by pass."""
    verify_kernel(kernel)
    known = dict(variables)
    for each in kernel.passes:
        inside = {x: known[x] for x in each.block.inputs}
        for let in each.block.lets:
            inside[let.name] = numeric(let.value, inside)
        ends = {let.name: numeric(let.value, inside) for let in (*each.block.results, *each.totals)}
        known |= ends
    return [known[x] for x in wanted]


def numeric(root: Value, variables: Mapping[str, Tensor]) -> Tensor:
    """Return a graph's value; what only kernels have is worked out here."""
    known = dict(variables)

    def visit(node: Value, args: list[Value]) -> Value:
        plain = rebuild(node, args) if args else node
        if node.op == "expand":
            return args[0]
        if node.op not in ("count", "finite", "others", "sum_to"):
            return plain
        own = evaluate(args, known)
        x = own[args[0]]
        dims = (
            tuple(range(x.dim()))
            if not isinstance(node.datum, Over) or node.datum.dims is None
            else node.datum.dims
        )
        if node.op == "count":
            return number(torch.Size(x.shape[d] for d in dims).numel())
        label = f"known {len(known)}"
        known[label] = {
            "finite": lambda: x.clamp(max=torch.finfo(x.dtype).max),
            "sum_to": lambda: x.expand(torch.broadcast_shapes(x.shape, own[args[-1]].shape)).sum_to_size(
                own[args[-1]].shape
            ),
            "others": lambda: others(x, dims),
        }[node.op]()
        return name(label)

    image = fold([root], visit)[root]
    return evaluate([image], known)[image]


def others(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return the product of the other elements."""
    leaf = x.detach().requires_grad_()
    total = leaf
    for d in dims:
        total = total.prod(d, keepdim=True)
    (found,) = torch.autograd.grad(total.sum(), leaf)
    return found


def test_totals_are_no_others_than_reductions() -> None:
    assert ir.REDUCTIONS < TOTALS


def test_what_is_too_long_to_write_out_is_refused() -> None:
    nest = "x"
    for _ in range(300):
        nest = f"sin({nest})"
    with pytest.raises(OptionError, match="too long to write out"):
        show(Spec.create(nest), "ir")
