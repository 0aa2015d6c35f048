"""Tensors and modes that take a call apart, and the life of a module."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.testing._internal.two_tensor import TwoTensor

from tests.modes_table import (
    CONJUGATE,
    Layer,
    Table,
    agree,
    close,
    draw,
    elementwise,
    gradients,
    leaves,
    of_complex,
    stateless,
    through,
    total,
)
from tests.plain import DEVICE, PLAIN, Plain

DISPATCH = Table()
row = DISPATCH.row


# Tensors and modes that take a call apart.


class Seen(Tensor):
    """Records the functions that it is given to."""

    calls: list[object]

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        cls.calls.append(function)
        return super().__torch_function__(function, types, args, kwargs)


class Watch(TorchFunctionMode):
    def __init__(self) -> None:
        self.calls: list[object] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.calls.append(function)
        return function(*args, **(kwargs or {}))


REBUILT = {"greeks": "torch rebuilds a tuple from an iterable, which no named tuple takes"}


@row(xfail=REBUILT)
def tensor_subclass(layer: Layer, plain: Plain) -> None:
    """A subclass sees the layer as one function, wherever its tensor stands, and the result is of it."""
    for i in range(len(plain.ranges)):
        inputs = draw(plain, 3)
        inputs[i], Seen.calls = inputs[i].as_subclass(Seen), []
        value = layer.function(*inputs)
        assert Seen.calls == [layer.own]
        assert type(value) is Seen
        close(value.as_subclass(Tensor), plain.function(*draw(plain, 3)))


@row(xfail=REBUILT)
def tensor_subclass_gradient(layer: Layer, plain: Plain) -> None:
    Seen.calls, inputs = [], leaves(plain, 3)
    value = layer.function(*(x.as_subclass(Seen) for x in inputs))
    close(gradients(value.as_subclass(Tensor), inputs), gradients(plain.function(*inputs), inputs))


@row()
def torch_function_mode(layer: Layer, plain: Plain) -> None:
    inputs = draw(plain, 3)
    with Watch() as watch:
        value = layer.function(*inputs)
    assert watch.calls[:1] == [layer.own]
    close(value, plain.function(*inputs))


@row(where=stateless)
def fx_symbolic_trace(layer: Layer, plain: Plain) -> None:
    """The layer is one node of the graph, of the function and of the module."""
    inputs = leaves(plain, 3)
    names = ", ".join(f"x{i}" for i in range(len(inputs)))
    call = eval(f"lambda {names}: function({names})", {"function": layer.function})
    for traced in (torch.fx.symbolic_trace(call), torch.fx.symbolic_trace(layer.module())):
        targets = [node.target for node in traced.graph.nodes if node.op.startswith("call")]
        assert targets == [layer.function]
        agree(through(layer, traced), plain, inputs)


@row(xfail=CONJUGATE)
def two_tensor(layer: Layer, plain: Plain) -> None:
    """A subclass that takes every operator apart: two layers in one."""
    first, second = leaves(plain, 3), leaves(plain, 3, seed=1)
    pairs = [TwoTensor(a.detach(), b.detach()).requires_grad_() for a, b in zip(first, second, strict=True)]
    value = layer.function(*pairs)
    wanted = [plain.function(*first), plain.function(*second)]
    close([value.a, value.b], [w.detach() for w in wanted])
    slopes = torch.autograd.grad(total(value), pairs)
    close([s.a for s in slopes], [*torch.autograd.grad(total(wanted[0]), first)])
    close([s.b for s in slopes], [*torch.autograd.grad(total(wanted[1]), second)])


def jagged(inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return each vector as rows of unequal length."""
    offsets = torch.tensor([0, 2, 3, 6], device=DEVICE)
    return [torch.nested.nested_tensor_from_jagged(x, offsets) for x in inputs]


@row(elementwise, xfail=of_complex("torch has no gradient of a complex jagged tensor"))
def jagged_tensor(layer: Layer, plain: Plain) -> None:
    one, two = leaves(plain, 6), leaves(plain, 6)
    got, want = (f(*jagged(x)).values() for f, x in ((layer.function, one), (plain.function, two)))
    close(got, want)
    close(gradients(got, one), gradients(want, two))


SPARSE = dict.fromkeys(
    PLAIN.keys() - {"square", "modrelu"}, "torch has no sparse kernel for an operator of the formula"
)


@row(elementwise, xfail=SPARSE)
def sparse_tensor(layer: Layer, plain: Plain) -> None:
    inputs = [x.to_sparse() for x in draw(plain, 4)]
    close(layer.function(*inputs).to_dense(), plain.function(*inputs).to_dense())


# Modules.


def round_trips(module: nn.Module) -> Iterator[nn.Module]:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    yield pickle.loads(pickle.dumps(module))
    yield copy.deepcopy(module)
    yield torch.load(file, weights_only=False)


@row(where=stateless)
def pickled(layer: Layer, plain: Plain) -> None:
    """A module goes through pickle, deepcopy and torch.save, before and after a call."""
    module, inputs = layer.module(), draw(plain, 3)
    for _ in range(2):
        for again in round_trips(module):
            assert type(again) is layer.module
            close(again(*inputs), plain.function(*inputs))
        module(*(x.requires_grad_() for x in draw(plain, 3)))


@row(where=stateless)
def module_interface(layer: Layer, plain: Plain) -> None:
    """Nothing to train, nothing to load, and a call through functional_call."""
    module, inputs = layer.module(), draw(plain, 3)
    assert not [*module.parameters(), *module.buffers()]
    assert module.load_state_dict(layer.module().state_dict()).missing_keys == []
    close(torch.func.functional_call(module, {}, tuple(inputs)), plain.function(*inputs))


@row(where=stateless)
def module_elsewhere(layer: Layer, plain: Plain) -> None:
    """Half, double, meta: a module without state follows its inputs."""
    for move in (nn.Module.half, nn.Module.double, partial(nn.Module.to, device="meta"), nn.Module.eval):
        module = nn.Sequential(layer.module())
        move(module)
        close(module[0](*draw(plain, 3)), plain.function(*draw(plain, 3)))


@row(where=stateless)
def module_hooks(layer: Layer, plain: Plain) -> None:
    """Hooks of a module see the gradients of inputs and output."""
    module, inputs, seen = layer.module(), leaves(plain, 3), []
    module.register_full_backward_hook(lambda _, to, of: seen.extend([*to, *of]))
    got = gradients(module(*inputs), inputs)
    close(tuple(seen[:-1]), got)
    close(got, gradients(plain.function(*inputs), inputs))
