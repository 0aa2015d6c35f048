"""The parts of an emitted module that its parameters and constants need."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fngen.declared import CHANNELS, Const, Param
from fngen.layout import bracketed, filled
from fngen.lower import MARGIN
from fngen.node import Layer
from fngen.problem import Problem

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


def constructor(problem: Problem, layer: Layer, formula: str) -> Constructor | None:
    """Return what a module with parameters or constants is made with; None without any."""
    if not layer.params and not layer.consts:
        return None
    arguments = ["self", *(f"{size}: int" for size in sizes(layer)), *map(const_argument, layer.consts)]
    arguments += _PLACE if layer.params else []
    body = []
    for c in layer.consts:  # An int stays one: in sums of integers it makes no float.
        number = f"{c.name} if isinstance({c.name}, int) else float({c.name})"
        body += _assigned(f"self.{c.name}", number)
    for p in layer.params:
        size = "1" if p.dim is None else size_name(p.dim)
        empty = f"torch.empty({size}, device=device, dtype=dtype)"
        body += bracketed(f"self.{p.name} = nn.Parameter(", [empty], ")", 8)
    return Constructor(
        head=bracketed("def __init__(", arguments, ") -> None:", 4),
        body=body + (["        self.reset_parameters()"] if layer.params else []),
        resets=[f"nn.init.constant_(self.{p.name}, {literal(p)})" for p in layer.params],
        formula=formula_method(problem, layer, formula),
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


def _assigned(target: str, text: str) -> list[str]:
    flat = f"        {target} = {text}"
    return [flat] if len(flat) <= MARGIN else [f"        {target} = (", f"            {text}", "        )"]


def formula_method(problem: Problem, layer: Layer, formula: str) -> list[str]:
    """Return the body of ``formula()``: numbers for what is one number, names for the rest."""
    asked_for: list[Param | Const] = [*problem.params, *problem.consts]
    ours: list[Param | Const] = [*layer.params, *layer.consts]
    lines, labels = list[str](), dict[str, str]()
    for asked, made in zip(asked_for, ours, strict=True):
        if isinstance(made, Param) and made.dim is not None:
            continue
        labels[asked.name] = f"{{{made.name}}}"
        read = f"{{self.{made.name}}}" if isinstance(made, Const) else f"{{self.{made.name}.item()}}"
        lines.append(f'{made.name} = f"({read})"')
    # Neither a function of that name nor a keyword of a call.
    pattern = r"\b(" + "|".join(map(re.escape, labels)) + r")\b(?!\s*\(|\s*=[^=])"
    text = re.sub(pattern, lambda match: labels[match.group(1)], formula) if labels else formula
    return [*lines, *returned(text)]


def repr_body(layer: Layer, formula: str) -> list[str]:
    """Return the body of ``extra_repr``: the formula, if it is not too long to be seen, and the constants."""
    shown = [formula] if len(formula) <= _LONGEST_FORMULA else []
    shown += [f"{c.name}={{self.{c.name}}}" for c in layer.consts]
    return returned(", ".join(shown)) if shown else []


def returned(text: str) -> list[str]:
    """Return the statement that returns a text, ``{name}`` in it standing for a value."""
    flat = f"return {_literal(text)}"
    if len(flat) + 8 <= MARGIN:
        return [flat]
    words = re.findall(r"\{[\w.]+\} ?|[\w.]+ ?|\W ?", text)
    parts = filled(words, MARGIN - len('            ""') - ("{" in text), "")
    return ["return (", *(f"    {_literal(part)}" for part in parts), ")"]


def _literal(text: str) -> str:
    return f'{"f" * ("{" in text)}"{text}"'
