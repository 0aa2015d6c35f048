"""Modes of differentiation: every way in which torch can ask for a derivative, and nests of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.functional import hessian as eager_hessian
from torch.autograd.functional import jacobian as eager_jacobian
from torch.func import grad, hessian, jacfwd, jacrev, jvp, linearize, vjp, vmap

from tests.modes_table import Function, Layer, Mode, Table, close, leaves, like, of_complex, summed, total
from tests.plain import Plain

DERIVATIVES = Table()
row = DERIVATIVES.row

Derive = Callable[[Function], Callable[..., object]]


def compare(derive: Derive, layer: Layer, plain: Plain) -> None:
    """Check that a derivative of the layer is that of the formula."""
    close(*(derive(f)(*leaves(plain, 3)) for f in (layer.function, plain.function)), rtol=1e-7)


def repeated(order: int, function: Function) -> Callable[..., list[Tensor]]:
    """Return the gradients of the sum of the gradients, and so on: the last of them without a graph."""

    def derive(*inputs: Tensor) -> list[Tensor]:
        value, found = total(function(*inputs)), []
        for _ in range(order):
            slopes = torch.autograd.grad(value, inputs, create_graph=True)
            value = sum(
                total(g + x - x.detach()) for g, x in zip(slopes, inputs, strict=True)
            )  # also of constants
            found += [value]
        return [*found, *torch.autograd.grad(value, inputs)]

    return derive


def penalty(function: Function) -> Callable[..., tuple[Tensor, ...]]:
    """A gradient in the loss: what a once differentiable node gets wrong without a word."""

    def derive(*inputs: Tensor) -> tuple[Tensor, ...]:
        value = total(function(*inputs))
        slopes = torch.autograd.grad(value, inputs, create_graph=True)
        return torch.autograd.grad(value + sum(total(s**2) for s in slopes), inputs)

    return derive


def duals(inputs: tuple[Tensor, ...]) -> list[Tensor]:
    return [forward_ad.make_dual(x, like(x, i)) for i, x in enumerate(inputs)]


def forward(function: Function) -> Callable[..., Tensor | None]:
    def derive(*inputs: Tensor) -> Tensor | None:
        with forward_ad.dual_level():
            return forward_ad.unpack_dual(function(*duals(inputs))).tangent

    return derive


def reverse_inside_forward(create_graph: bool, function: Function) -> Callable[..., list[Tensor]]:
    """The tangent of a gradient taken inside the level, whether or not that gradient has a graph."""

    def derive(*inputs: Tensor) -> list[Tensor]:
        with forward_ad.dual_level():
            points = duals(inputs)
            slopes = torch.autograd.grad(total(function(*points)), points, create_graph=create_graph)
            return [part for s in slopes for part in forward_ad.unpack_dual(s)]

    return derive


def reverse_outside_forward(function: Function) -> Callable[..., tuple[Tensor, ...]]:
    return lambda *inputs: torch.autograd.grad(
        total(forward(function)(*inputs)), inputs, materialize_grads=True
    )


def every(derivative: Callable[..., object], function: Function) -> Callable[..., object]:
    """Derive for all inputs at once."""
    return lambda *inputs: derivative(function, argnums=tuple(range(len(inputs))))(*inputs)


def paired(x: Tensor) -> Tensor:
    return torch.view_as_real(x) if x.is_complex() else x


def unpaired(x: Tensor, kind: Tensor) -> Tensor:
    return torch.view_as_complex(x) if kind.is_complex() else x


def in_pairs(derive: Derive) -> Derive:
    """Derive by real and imaginary parts: torch has no complex Jacobians (pytorch/pytorch#94397)."""

    def derive_in_pairs(function: Function) -> Callable[..., object]:
        def derived(*inputs: Tensor) -> object:
            def of_pairs(*pairs: Tensor) -> Tensor:
                return paired(function(*map(unpaired, pairs, inputs)))

            return derive(of_pairs)(*map(paired, inputs))

        return derived

    return derive_in_pairs


def batched(*inputs: Tensor) -> list[Tensor]:
    """Return a matrix of points for each vector."""
    return [torch.stack([x, x + 0.03, x + 0.05]) for x in inputs]


def nested(function: Function) -> Callable[..., Tensor]:
    """Two maps: the outer one over the even inputs only, the inner one over the odd ones only."""

    def derive(*inputs: Tensor) -> Tensor:
        outer = tuple(0 if i % 2 == 0 else None for i in range(len(inputs)))
        inner = tuple(0 if i % 2 or len(inputs) == 1 else None for i in range(len(inputs)))
        points = batched(*inputs) if len(inputs) == 1 else inputs
        return vmap(vmap(function, in_dims=inner), in_dims=outer)(*points)

    return derive


def one_batched(function: Function) -> Callable[..., list[object]]:
    """The gradient with each input in turn as the only one that has a batch."""

    def derive(*inputs: Tensor) -> list[object]:
        found = []
        for i, many in enumerate(batched(*inputs)):
            dims = tuple(0 if i == j else None for j in range(len(inputs)))
            found += [
                vmap(partial(every, grad)(summed(function)), in_dims=dims)(
                    *inputs[:i], many, *inputs[i + 1 :]
                )
            ]
        return found

    return derive


def directions(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(like(x, i) for i, x in enumerate(inputs))


def pulled(function: Function) -> Callable[..., object]:
    def derive(*inputs: Tensor) -> object:
        value, pull = vjp(function, *inputs)
        return value, pull(like(value))

    return derive


def linear(function: Function) -> Callable[..., object]:
    def derive(*inputs: Tensor) -> object:
        value, push = linearize(function, *inputs)
        return value, push(*directions(inputs))

    return derive


def grads_batched(function: Function) -> Callable[..., object]:
    def derive(*inputs: Tensor) -> object:
        value = function(*inputs)
        many = torch.stack([like(value, seed) for seed in range(4)])
        return torch.autograd.grad(value, inputs, many, is_grads_batched=True)

    return derive


def functional(
    derivative: Callable[..., object], function: Function, **options: object
) -> Callable[..., object]:
    return lambda *inputs: derivative(function, inputs, **options)


COMPARED: dict[str, Derive] = {
    "second_order": partial(repeated, 1),
    "third_order": partial(repeated, 2),
    "gradient_penalty": penalty,
    "dual": forward,
    "reverse_inside_forward": partial(reverse_inside_forward, False),
    "reverse_inside_forward_with_graph": partial(reverse_inside_forward, True),
    "reverse_outside_forward": reverse_outside_forward,
    "func_grad": lambda f: partial(every, grad)(summed(f)),
    "func_vjp": pulled,
    "func_jvp": lambda f: lambda *x: jvp(f, x, directions(x)),
    "func_jacrev": in_pairs(partial(every, jacrev)),
    "func_jacfwd": in_pairs(partial(every, jacfwd)),
    "func_hessian": in_pairs(lambda f: partial(every, hessian)(summed(f))),
    "func_linearize": linear,
    "func_vmap": vmap,
    "func_vmap_of_grad": lambda f: vmap(partial(every, grad)(summed(f))),
    "func_vmap_of_hessian": in_pairs(lambda f: vmap(partial(every, hessian)(summed(f)))),
    "func_vmap_of_jacfwd": in_pairs(lambda f: vmap(partial(every, jacfwd)(f))),
    "func_vmap_of_vmap_grad": lambda f: lambda *x: vmap(vmap(partial(every, grad)(summed(f))))(*batched(*x)),
    "func_grad_of_vmap": lambda f: partial(every, grad)(summed(vmap(f))),
    "func_grad_of_grad": lambda f: grad(summed(grad(summed(f)))),
    "func_jacrev_of_jacfwd": in_pairs(lambda f: jacrev(partial(every, jacfwd)(summed(f)))),
    "func_jacfwd_of_jacrev": in_pairs(lambda f: jacfwd(partial(every, jacrev)(summed(f)))),
    "func_jacrev_of_jacrev": in_pairs(lambda f: jacrev(partial(every, jacrev)(summed(f)))),
    "func_vmap_one_batched": one_batched,
    "func_vmap_nested": nested,
    "func_vmap_nested_gradient": lambda f: lambda *x: torch.autograd.grad(total(nested(f)(*x)), x),
    "func_vmap_in_dims_1": lambda f: lambda *x: vmap(f, in_dims=1, out_dims=-1)(*batched(*x)),
    "func_vmap_in_dims_mixed": lambda f: lambda x, *y: vmap(f, in_dims=(1, *[0] * len(y)))(*batched(x), *y),
    "jacobian": in_pairs(partial(functional, eager_jacobian)),
    "jacobian_vectorized": in_pairs(partial(functional, eager_jacobian, vectorize=True)),
    "jacobian_forward": in_pairs(
        partial(functional, eager_jacobian, vectorize=True, strategy="forward-mode")
    ),
    "hessian": in_pairs(lambda f: functional(eager_hessian, summed(f))),
    "hessian_vectorized": in_pairs(lambda f: functional(eager_hessian, summed(f), vectorize=True)),
    "hessian_forward": in_pairs(
        lambda f: functional(eager_hessian, summed(f), vectorize=True, outer_jacobian_strategy="forward-mode")
    ),
    "is_grads_batched": grads_batched,
}
LIMITS = {
    "hessian_forward": of_complex("the older vmap loses conjugates in forward mode (pytorch/pytorch#78358)"),
    "reverse_outside_forward": {
        "cross_entropy": "the forward rule of torch.log_softmax overwrites what its backward needs"
    },
}
DERIVATIVES.update(
    {name: Mode(partial(compare, derive), xfail=LIMITS.get(name, {})) for name, derive in COMPARED.items()}
)


FORWARD_TWICE: dict[str, Derive] = {
    "func_jacfwd_of_jacfwd": in_pairs(lambda f: jacfwd(partial(every, jacfwd)(summed(f)))),
    "func_jacfwd_thrice": in_pairs(lambda f: jacfwd(jacfwd(jacfwd(summed(f))))),
    "func_jacfwd_of_vmap_of_jacfwd": in_pairs(lambda f: jacfwd(vmap(jacfwd(f)))),
    "func_jvp_of_jvp": lambda f: lambda *x: jvp(lambda *y: jvp(f, y, directions(x)), x, directions(x)),
}


def right_or_loud(derive: Derive, layer: Layer, plain: Plain) -> None:
    """Forward mode in forward mode, which torch turns off inside a node's jvp (pytorch/pytorch#197867)."""
    inputs = plain.inputs(3)
    try:
        got = derive(layer.function)(*inputs)
    except (RuntimeError, NotImplementedError):
        return
    close(got, derive(plain.function)(*inputs), rtol=1e-7)


DERIVATIVES.update({name: Mode(partial(right_or_loud, derive)) for name, derive in FORWARD_TWICE.items()})
