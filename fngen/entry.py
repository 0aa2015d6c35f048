"""The function that users call: which node serves which arguments."""

from __future__ import annotations

from fngen import aligned
from fngen.declared import CHANNELS
from fngen.layout import alike, bracketed, if_lines, tuple_lines
from fngen.lower import MARGIN
from fngen.node import Layer, Node
from fngen.precision import rounded
from fngen.several import Several

_COMPILING = "if torch.compiler.is_compiling():"
_DROPPED = "# Dynamo rejects a Function with jvp, and drops all rules under torch.func."
_UNKNOWN = 'raise RuntimeError("torch.compile drops this derivative under torch.func")'
_COMPLEX = 'raise TypeError("complex tensors need a layer made with --complex")'
_ROUNDS = "# What the node takes is made of them."
_NUMBERS = ("if not all(isinstance(t, Tensor) for t in args):", "    args = _as_tensors(*args)")
_LOOK = (
    "plain, graph = True, False",
    "for arg in args:",
    "    plain = plain and type(arg) in (Tensor, nn.Parameter)",
    "    plain = plain and arg.is_floating_point() and arg.dtype not in _WIDE",
    "    graph = graph or (isinstance(arg, Tensor) and arg.requires_grad)",
    "if not plain:",
    "    args, plain = _as_tensors(*args)",
)
_WRAPS = "# Negated, a byte would wrap."
_ALL_FLOATING = (
    f"    {_WRAPS}",
    "    floats = [t for t in args if t.is_floating_point()]",
    "    dtypes = [t.dtype for t in floats if t.dim()] or [t.dtype for t in floats]",
    "    dtypes = dtypes or [torch.get_default_dtype()]",
    "    dtype = functools.reduce(torch.promote_types, dtypes)",
    "    args = tuple(t if t.is_floating_point() else t.to(dtype) for t in args)",
)
_LOOK_ONLY = (*_LOOK[:-1], "    args, _ = _as_tensors(*args)")
"""A loop, and nothing that a small tensor would notice: ``all`` and ``any`` take three times as long."""


def entry(layer: Layer) -> list[str]:
    """Return the statements of the layer's function."""
    return _of_several(layer) if len(layer.parameters) > 1 else _of_one(layer)


def helper_entry(node: Node) -> list[str]:
    """Return the statements of a helper's function."""
    inputs = list(node.names.inputs)
    return [
        f"    {_COMPILING}  # Dynamo rejects a Function with jvp.",
        *bracketed(f"return {node.reverse}.apply(", inputs, ")", 8),
        *bracketed(f"return {node.forward_mode}.apply(", inputs, ")", 4),
    ]


def _of_one(layer: Layer) -> list[str]:
    node, x = layer.main, layer.parameters[0]
    argument, given = node.names.inputs[0], layer.arguments[0]
    early = _by_kernel(layer, f"({argument},)", argument, f"{argument}.requires_grad")
    rows = bool(layer.alignment.inputs)  # Their sizes are looked at first.
    lines = [
        f"if has_torch_function(({x},)):",
        *_handled(layer, f"({x},)", x),
        *_only_numbers(layer),
        *(early if argument == given and not rows else []),
        *([] if node.complex else [f"if torch.is_complex({x}):", f"    {_COMPLEX}"]),
        *(_floating(x) if layer.floating else []),
        *([*_widened_first(layer, x), f"{argument} = {given}"] if argument != given else []),
        *(early if argument != given and not rows else []),
        *aligned.of_one(layer, argument),
        *(early if rows else []),
        *_choice(
            node,
            ", ".join([argument, *layer.numbers]),
            wanted=f"{argument}.requires_grad and torch.is_grad_enabled()",
            special=[
                f"plain = type({argument}) in (Tensor, nn.Parameter)",
                f"if not plain or {argument}.dtype in _WIDE or torch._C._is_any_autocast_enabled():",
            ],
        ),
    ]
    return [f"    {line}" for line in lines]


def _of_several(layer: Layer) -> list[str]:
    node, parameters = layer.main, list(layer.parameters)
    as_given = layer.arguments == layer.parameters
    rows = bool(layer.alignment.inputs)  # Their sizes are looked at first.
    lines = [
        *_assigned("args: tuple[Tensor, ...]", parameters),
        "if has_torch_function(args):",
        *_handled(layer, "args", "*args"),
        *_only_numbers(layer),
        *_shaped(layer),
        *(_by_kernel(layer, "args", "*args", _any_graph(parameters)) if as_given and not rows else []),
        *(_NUMBERS if node.complex else _LOOK if node.eager else _LOOK_ONLY),
        *(_ALL_FLOATING if layer.floating else []),
    ]
    if not as_given:
        lines += [f"    {line}" for line in _widened_first(layer, "*args", 12)]
        lines += [*tuple_lines(parameters, 0, tail=" = args"), *_assigned("args", list(layer.arguments))]
        lines += [] if rows else _by_kernel(layer, "args", "*args", "graph")
    lines += aligned.of_several(layer)
    lines += _by_kernel(layer, "args", "*args", "graph") if rows else []
    if layer.numbers:
        lines += _at(4, "given: list[Any] = [", ["*args", *layer.numbers], "]")
    graph = "any(t.requires_grad for t in args)" if node.complex else "graph"
    lines += _choice(
        node,
        "*given" if layer.numbers else "*args",
        wanted=f"torch.is_grad_enabled() and {graph}",
        special=["if not plain or torch._C._is_any_autocast_enabled():"],
    )
    return [f"    {line}" for line in lines]


def _any_graph(args: list[str]) -> str:
    """Return the condition that one of a few tensors, or of many, needs a gradient."""
    if len(args) > 2:
        return "any(t.requires_grad for t in args)"
    return f"({' or '.join(f'{x}.requires_grad' for x in args)})"


def _floating(x: str) -> list[str]:
    given = _at(8, f"{x} = {x}.to(", ["torch.get_default_dtype()"], ")")
    return [_WRAPS, f"if not {x}.is_floating_point():", *given]


def _handled(layer: Layer, args: str, call: str) -> list[str]:
    """Return the statement that hands a call to ``__torch_function__``."""
    given = [*layer.parameters, *(c.name for c in layer.consts)] if layer.consts else [call]
    return _at(8, "return handle_torch_function(", [layer.main.function, args, *given], ")")


def _only_numbers(layer: Layer) -> list[str]:
    """Return the statements that refuse a constant which is none: a tensor would lose its gradient."""
    consts = [c.name for c in layer.consts]
    if not consts:
        return []
    # One at a time, for many would not fit in a line.
    lines = []
    for x in consts:
        lines += [
            *if_lines([f"isinstance({x}, bool)", f"not isinstance({x}, int | float)"], "or", 4),
            f'    raise TypeError("{x} takes a number")',
        ]
    return lines


def _widened_first(layer: Layer, given: str, column: int = 8) -> list[str]:
    """Return the statements that widen narrow inputs, before the node's arguments are made of them."""
    if layer.main.complex:
        return []
    tensors, numbers = "args" if given == "*args" else f"({given},)", [c.name for c in layer.consts]
    return [
        f"dtype, *wide = _widened({given})",
        f"if dtype is not None:  {_ROUNDS}",
        *(line[column - 4 :] for line in rounded(layer.main.function, tensors, numbers, column)),
    ]


def _shaped(layer: Layer) -> list[str]:
    """Return the statements that shape parameters along the channels."""
    lines = []
    for p in layer.params:
        if p.dim == CHANNELS:
            lines += _at(4, f"{p.name} = _per_channel(", [p.name, *layer.inputs], ")")
    return lines + _assigned("args", list(layer.parameters)) if lines else []


def _assigned(target: str, values: list[str]) -> list[str]:
    flat = f"{target} = ({', '.join(values)}{',' * (len(values) == 1)})"
    if len(flat) + 4 <= MARGIN:
        return [flat]
    return [f"{target} = (", *(f"    {v}," for v in values), ")"]


def _at(column: int, head: str, items: list[str], tail: str) -> list[str]:
    """Return a bracketed list for a column, without the four of the function's body."""
    return [line[4:] for line in bracketed(head, items, tail, column)]


def _by_kernel(layer: Layer, tensors: str, args: str, graph: str) -> list[str]:
    """Return the statements that have a kernel work out the value, if there is one."""
    if layer.kernels is None:
        return []
    some = next(iter(layer.kernels.values()))
    numbers, kept = list(some.value.numbers.values()), [graph] * len(some.totals)
    wanted = f"({', '.join(['True', *kept])})" if kept else alike("True", len(layer.main.outputs))
    given = ["_VALUE", tensors, *([wanted, *numbers] if numbers or kept else [])]
    fused, values = f"_{layer.main.cls}Fused.apply", "output[0]"
    if isinstance(layer.main, Several):
        values = f"{layer.main.result}(*output)"
    return [
        "if not torch.compiler.is_compiling():",
        *_at(8, "output = _run(", given, ")"),
        "    if output is not None:",
        *(f"        {line}" for line in if_lines(["torch.is_grad_enabled()", graph], "and", 12)),
        *_call(layer.main, fused, ", ".join([args, *layer.numbers, "output"]), 16),
        f"        return {values}",
    ]


def _choice(node: Node | Several, args: str, wanted: str, special: list[str]) -> list[str]:
    """Return the statements that choose the node."""
    reverse, forward = f"{node.reverse}.apply", f"{node.reverse}.forward"
    trace = "if torch.jit.is_tracing():  # Its operators alone have no derivative."
    traced = [trace, *_call(node, reverse, args, 8)] if node.raw else []
    eager = _call(node, reverse, args, 4)
    if node.eager:
        eager = [*special, *_call(node, reverse, args, 8), *_call(node, f"{node.eager_class}.apply", args, 4)]
    return [
        "transformed = torch._C._are_functorch_transforms_active()",
        _COMPILING,
        f"    {_DROPPED}",
        "    if transformed:",
        *([f"        {_UNKNOWN}"] if node.raw else _call(node, forward, args, 12)),
        *_call(node, reverse, args, 8),
        "if transformed or forward_ad._current_level >= 0:",
        *_call(node, f"{node.forward_mode}.apply", args, 8),
        *traced,
        f"if not ({wanted}):",
        *_call(node, forward, args, 8),
        *eager,
    ]


def _call(node: Node | Several, function: str, args: str, column: int) -> list[str]:
    """Return the statement that returns what a node gives; several outputs by their names."""
    if isinstance(node, Several):
        return _at(column, f"return {node.result}(", [f"*{function}({args})"], ")")
    return _at(column, f"return {function}(", args.split(", "), ")")
