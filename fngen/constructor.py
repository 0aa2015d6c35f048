"""The parts of an emitted module that its parameters and constants need."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fngen.declared import CHANNELS, Const, Param
from fngen.layout import bracketed, filled, tuple_lines
from fngen.lower import MARGIN
from fngen.node import Layer
from fngen.spec import Spec

_LONGEST_FORMULA = 400
"""Characters of a formula up to which it is shown where the module is printed."""
_PLACE = ["device: torch.device | str | None = None", "dtype: torch.dtype | None = None"]


@dataclass(frozen=True, eq=False, repr=False)
class Constructor:
    """``__init__``, and the bodies of ``reset_parameters`` and ``formula``."""

    head: list[str]
    body: list[str]
    resets: list[str]
    formula: list[str]


def constructor(layer: Layer, spec: Spec) -> Constructor | None:
    """Return what a module with parameters or constants is made with; None without any."""
    if not layer.params and not layer.consts:
        return None
    arguments = ["self", *(f"{size}: int" for size in sizes(layer)), *map(const_argument, layer.consts)]
    arguments += _PLACE if layer.params else []
    body = []
    for c in layer.consts:
        body += bracketed(f"self.{c.name} = _number(", [c.name, f'"{c.name}"'], ")", 8)
    for p in layer.params:
        size = "1" if p.dim is None else size_name(p.dim)
        empty = f"torch.empty({size}, device=device, dtype=dtype)"
        body += bracketed(f"self.{p.name} = nn.Parameter(", [empty], ")", 8)
    return Constructor(
        head=bracketed("def __init__(", arguments, ") -> None:", 4),
        body=body + (["        self.reset_parameters()"] if layer.params else []),
        resets=[f"nn.init.constant_(self.{p.name}, {literal(p)})" for p in layer.params],
        formula=formula_method(spec, layer),
    )


def sizes(layer: Layer) -> list[str]:
    """Return the constructor's arguments that say how long parameters are."""
    return list(dict.fromkeys(size_name(p.dim) for p in layer.params if p.dim is not None))


def size_name(dim: int) -> str:
    """Return the name of the argument that is the size of a dimension."""
    return "num_channels" if dim == CHANNELS else "num_features"


def const_argument(const: Const) -> str:
    """Return the parameter of a function that a constant is."""
    return f"{const.name}: float = {literal(const)}"


def literal(const: Const | Param) -> str:
    """Return a default as Python and Black spell it."""
    text = const.default if isinstance(const, Const) else const.init
    sign, (mantissa, mark, exponent) = "-" * text.startswith("-"), text.lower().lstrip("+-").partition("e")
    whole, point, part = mantissa.partition(".")
    digits = str(int(whole or "0")) + (f".{part or '0'}" if point else "")
    if not point and not mark and int(digits) > 2**53:
        return repr(float(text))
    return f"{sign}{digits}{mark}{int(exponent) if mark else ''}"


def formula_method(spec: Spec, layer: Layer) -> list[str]:
    """Return the body of ``formula()``: a text that declares what the request did, with its own numbers."""
    roles = [("inputs", spec.inputs), ("outputs", spec.outputs)]
    lines = [f"{word} {', '.join(listed)}" for word, listed in roles if listed]
    for param, own in zip(spec.params, layer.params, strict=True):
        lines.append(
            f"param {param.key} = {own.init if own.dim is not None else f'{{self.{own.name}.item()}}'}"
        )
    for const, made in zip(spec.consts, layer.consts, strict=True):
        lines.append(f"const {const.name} = {{self.{made.name}}}")
    lines += [f"grad {x} = {slope}" for x, slope in spec.grads]
    return [*_only_finite(layer), *returned(*lines, *spec.formula.split("; "))]


def _only_finite(layer: Layer) -> list[str]:
    """Return the statements that refuse numbers which a formula cannot say."""
    listed = numbers(layer)
    if not listed:
        return []
    return [
        *(line[8:] for line in tuple_lines(listed, 8, "numbers = ")),
        "if not all(map(math.isfinite, numbers)):",
        '    raise ValueError("a formula has finite numbers, and here is an inf or nan")',
    ]


def numbers(layer: Layer) -> list[str]:
    """Return what the numbers in the text of ``formula()`` are, as expressions of the module."""
    learned = [f"self.{p.name}.item()" for p in layer.params if p.dim is None]
    return learned + [f"self.{c.name}" for c in layer.consts]


def repr_body(layer: Layer, formula: str) -> list[str]:
    """Return the body of ``extra_repr``: the formula, if it is not too long to be seen, and the constants."""
    shown = [formula] if len(formula) <= _LONGEST_FORMULA else []
    shown += [f"{c.name}={{self.{c.name}}}" for c in layer.consts]
    return returned(", ".join(shown)) if shown else []


def returned(*statements: str) -> list[str]:
    """Return the statement that returns a text, ``{name}`` in it standing for a value."""
    flat = f"return {_literal('; '.join(statements))}"
    if len(flat) + 8 <= MARGIN:
        return [flat]
    parts = list[str]()
    for i, text in enumerate(statements, 1):
        words = re.findall(r"\{[^}]+\} ?|[\w.]+ ?|\W ?", text + "; " * (i < len(statements)))
        parts += filled(words, MARGIN - len('            ""') - ("{" in text), "")
    return ["return (", *(f"    {_literal(part)}" for part in parts), ")"]


def _literal(text: str) -> str:
    return f'{"f" * ("{" in text)}"{text}"'
