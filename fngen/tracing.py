"""A Python function to a formula: it is called once, with values that note what is done to them."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from numbers import Real
from typing import Any

from fngen import declared
from fngen.ir import CONDITIONS, Value, name, names, postorder, rebuild, tree_size
from fngen.language.build import Builder
from fngen.language.symbols import plain
from fngen.naming import IDENTIFIER
from fngen.printing.formula import FormulaPrinter
from fngen.softmax import with_softmax
from fngen.traced import BUILDER, Traced, error, operand

_LONGEST = 200
"""Operations of a formula that is written out, whatever its parts share."""
_DEEPEST = 100
"""Operations inside each other, before a part gets a name."""


@dataclass
class Function:
    """What a Python function says: a formula, and the part that each of its arguments plays."""

    formula: str = ""
    name: str | None = None
    inputs: list[str] = field(default_factory=list)
    consts: dict[str, object] = field(default_factory=dict)
    params: dict[str, object] = field(default_factory=dict)
    outputs: list[str] | None = None


def request(
    function: Callable[..., Any], given: dict[str, Any], *, complex: bool
) -> tuple[str, dict[str, Any]]:
    """Return the formula of a function, and the keywords of its request; those that are given come first.

    Raises:
        OptionError: If its arguments are no numbers, or it does what no formula can.
    """
    found = read(function, complex=complex)
    params, consts = declared.params(given["params"]), declared.consts(given["consts"])
    elsewhere = {p.name for p in params} | {c.name for c in consts}
    own = [x for x in found.inputs if x not in elsewhere]
    chosen = {
        "name": found.name if given["name"] is None else given["name"],
        "inputs": own if given["inputs"] is None else given["inputs"],
        "outputs": found.outputs if given["outputs"] is None else given["outputs"],
        "params": _left(found.params, elsewhere) | {p.key: p.init for p in params},
        "consts": _left(found.consts, elsewhere) | {c.name: c.default for c in consts},
    }
    return found.formula, given | chosen


def _left(found: dict[str, object], elsewhere: Container[str]) -> dict[str, object]:
    return {label: x for label, x in found.items() if label not in elsewhere}


def read(function: Callable[..., Any], *, complex: bool = False) -> Function:
    """Return what a function says.

    An argument without a default is an input, one with a number as its default a constant; a
    keyword-only argument is a learnable parameter that starts from its default.

    Raises:
        OptionError: If its arguments are no numbers, or it does what no formula can.
    """
    found = Function(name=_name(function))
    arguments, keywords = [], {}
    for argument in _signature(function).values():
        label = _role(found, argument)
        if argument.kind is argument.KEYWORD_ONLY:
            keywords[argument.name] = Traced(name(label))
        else:
            arguments.append(Traced(name(label)))
    token = BUILDER.set(Builder("", complex=complex))
    try:
        result = function(*arguments, **keywords)
        taken = {*found.inputs, *found.consts, *found.params}
        roots = {label: operand(x) for label, x in _results(result, taken).items()}
    finally:
        BUILDER.reset(token)
    graphs = {label: x.node for label, x in roots.items() if not x.pair}
    if len(graphs) < len(roots):
        raise error("the function returns a list in a list", "Return a value, a tuple, or a dict of values.")
    found.outputs = None if list(graphs) == [""] else list(graphs)
    found.formula = _statements(graphs, taken)
    return found


def _signature(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    if isinstance(function, type):
        raise error(f"the class {function.__name__} is no function", "Pass a function of tensors.")
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        hint = "Wrap it: lambda x: torch.sin(x)."
        raise error("the arguments of this function are not known to Python", hint) from None


def _role(found: Function, argument: inspect.Parameter) -> str:
    """Note the part that an argument plays; return its name in the formula."""
    label, default = plain(argument.name), argument.default
    if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
        raise error(
            f"the argument {str(argument)!r} stands for any number", "Name each; of a module pass .forward."
        )
    if label in {*found.inputs, *found.consts, *found.params}:
        raise error(f"two arguments are called {label!r}", "In plain text they have one name.")
    only = argument.kind is argument.KEYWORD_ONLY
    if default is argument.empty and not only:
        found.inputs.append(label)
    elif isinstance(default, Real | Decimal) and not isinstance(default, bool):
        (found.params if only else found.consts)[label] = default
    else:
        what = "has no default" if default is argument.empty else "has a default that is no number"
        hint = (
            f"def f(x, {label}=1.0) makes it a constant, def f(x, *, {label}=1.0) a learnable parameter,"
            f" def f(x, {label}) an input."
        )
        raise error(f"the argument {argument.name!r} {what}", hint)
    return label


def _name(function: Callable[..., Any]) -> str | None:
    """Return the name of the layer, if the function has one that it can have."""
    called = getattr(function, "__name__", "")
    return called if IDENTIFIER.fullmatch(called) and not called.startswith("_") else None


def _results(result: object, taken: Container[str]) -> dict[str, object]:
    """Return the results by name; the name is empty if there is one."""
    if isinstance(result, dict) and result and all(isinstance(key, str) for key in result):
        return {plain(key): x for key, x in result.items()}
    if isinstance(result, tuple | list) and result:
        labels = getattr(result, "_fields", (label for i in count(1) if (label := f"y{i}") not in taken))
        return dict(zip(labels, result, strict=False))
    if result is None:
        raise error("the function returns nothing", "Let it return the value.")
    return {"": result}


def _statements(roots: dict[str, Value], taken: Iterable[str]) -> str:
    """Return the text of a formula; a long one names what its parts share."""
    spell = FormulaPrinter(as_read=True).print
    taken = {*taken, *roots, *names(roots.values())}
    unused = (label for i in count(1) if (label := f"t{i}") not in taken)
    long = sum(tree_size(root) for root in roots.values()) > _LONGEST
    images: dict[Value, Value] = {}
    depths: dict[Value, int] = {}
    lines = []
    nodes = postorder(roots.values())
    uses = Counter(arg for node in nodes for arg in set(node.args))
    for node in nodes:
        image = rebuild(node, [images[arg] for arg in node.args])
        depth = 1 + max((depths[arg] for arg in node.args), default=-1)
        if long and (uses[node] > 1 or depth > _DEEPEST) and node.args and node.op not in CONDITIONS:
            label = next(unused)
            lines.append(f"{label} = {spell(with_softmax(image))}")
            image, depth = name(label), 0
        images[node], depths[node] = image, depth
    for label, root in roots.items():
        text = spell(with_softmax(images[root]))
        lines.append(f"{label} = {text}" if label else text)
    return "; ".join(lines)
