"""Functions of torch and numpy that a Python function calls while fngen reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from fngen.functions.reductions import REDUCTIONS
from fngen.traced import CALLABLE, Traced, call, error, operation

OPERATIONS = {
    **dict.fromkeys(("add", "sub", "mul", "div", "neg", "lt", "le", "gt", "ge", "eq", "ne"), ""),
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "true_divide": "div",
    "negative": "neg",
    "less": "lt",
    "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
    "not_equal": "ne",
    **{f"{kind}_{op}": op for kind in ("logical", "bitwise") for op in ("and", "or", "not")},
}
"""What torch and numpy call the operators."""
_SPELLED = {"absolute": "abs", "invert": "logical_not", "vector_norm": "norm"}
_DEFAULTS = {"inplace": False, "keepdim": False, "approximate": "none", "_stacklevel": 3}
"""Arguments that torch hands on although nobody gave them."""


def method(attribute: str) -> Callable[..., Traced] | None:
    """Return the method of a tensor that formulas have too."""
    known = attribute in CALLABLE or attribute in OPERATIONS
    return partial(of_library, "torch", attribute) if known else None


def of_library(library: str, called: str, *args: object, **keywords: object) -> Traced:
    """Return what a function of torch's or numpy's is in a formula, in the same sense or not at all."""
    name = called.removeprefix("special_").removeprefix("linalg_")
    name = _SPELLED.get(name, name)
    if library == "numpy":
        name = {"equal": "eq"}.get(name, name)
    asked = {label: x for label, x in keywords.items() if x is not None and not _is_default(name, label, x)}
    if name == "gelu" and asked.get("approximate") == "tanh":
        name = f"gelu_{asked.pop('approximate')}"
    if "input" in asked:
        args = (asked.pop("input"), *args)
    if name in OPERATIONS and not asked:
        return operation(OPERATIONS[name] or name, *args)
    if name not in CALLABLE:
        given = f" with {', '.join(asked)}" if name in OPERATIONS else ""
        hint = "`fngen functions` lists what there is."
        raise error(f"{library}'s {called}{given} has no counterpart in a formula", hint)
    if name in REDUCTIONS:
        _check_reduction(library, name, args, asked)
    return call(name, *args, **asked)


def _is_default(name: str, label: str, x: object) -> bool:
    return (isinstance(x, bool | int | str) and x == _DEFAULTS.get(label)) or (
        name == "norm" and (label, x) == ("p", "fro")
    )


def _check_reduction(library: str, name: str, args: tuple[object, ...], asked: Mapping[str, object]) -> None:
    """Refuse a reduction that would mean something else in a formula."""
    if library == "numpy":
        raise error(f"numpy's {name} is no part of a formula", f"Write fn.{name}(x, dim=-1) of fngen.fn.")
    over = len(args) > (2 if name == "norm" else 1) or "dim" in asked
    if name in ("max", "min") and over:
        if len(args) == 2 and all(isinstance(x, Traced) for x in args) and not asked:
            return
        hint = f"Over a dimension write torch.a{name}, with a number torch.clamp or fn.{name}."
        raise error(f"torch.{name} takes one tensor or two in a formula", hint)
    keeps = asked.get("keepdim") is True or any(x is True for x in args)
    if over and not keeps and REDUCTIONS[name].slope:
        hint = (
            "Inside a formula a reduced value keeps it, to broadcast: say keepdim=True, or write"
            f" fn.{name} of fngen.fn, which drops it from the result at the end."
        )
        raise error(f"torch.{name} drops the dimension here", hint)
