"""The keys of a declaration: one table that the reader checks by and the JSON schema is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fngen.spec import BACKENDS, MOST_EFFORT
from fngen.suggest import closest

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """A key: its name, what its value looks like, in words and as a JSON schema, what it means."""

    name: str
    wants: str
    schema: Schema
    meaning: str


_TEXT: Schema = {"type": "string"}
_EFFORT: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_EFFORT}
_FLAG: Schema = {"type": "boolean"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_LIST: Schema = {"anyOf": [_TEXT, _TEXTS]}
_NUMBERS: Schema = {
    "anyOf": [{"type": "object", "additionalProperties": {"anyOf": [{"type": "number"}, _TEXT]}}, _TEXTS]
}
_FORMULAS: Schema = {"anyOf": [{"type": "object", "additionalProperties": _TEXT}, _TEXTS]}
_ONE_BACKEND: Schema = {"enum": list(BACKENDS)}
_BACKEND: Schema = {"anyOf": [_ONE_BACKEND, {"type": "array", "items": _ONE_BACKEND}]}

_FORMULA = Key("formula", "a formula as text", _TEXT, "The formula, in fngen's language.")
_OF_ONE = (
    _FORMULA,
    Key("inputs", 'names, ["x", "y"]', _LIST, "The inputs and their order."),
    Key("outputs", 'names, ["u", "v"]', _LIST, "The assigned names that come back, and their order."),
    Key("latex", "true or false", _FLAG, "The formula is written in LaTeX."),
    Key("grads", 'formulas, {x = "1"}', _FORMULAS, "Formulas in place of the derivative by an input."),
)
_OF_ALL = (
    Key("params", 'numbers, {beta = 1.0, "w[C]" = 0.25}', _NUMBERS, "The learnable parameters."),
    Key("consts", "numbers, {eps = 1e-6}", _NUMBERS, "Numbers with defaults."),
    Key("backend", f"one of {', '.join(BACKENDS)}, or a list", _BACKEND, "What the file contains."),
    Key("lean", "true or false", _FLAG, "Keep inputs and outputs only for the backward."),
    Key(
        "stabilise",
        "true or false",
        _FLAG,
        "Compute the formula in a form that keeps its digits; false: as it is written.",
    ),
    Key(
        "effort",
        f"a whole number from 1 to {MOST_EFFORT}",
        _EFFORT,
        "How many times as much time digits are worth.",
    ),
    Key("accurate", "true or false", _FLAG, "Compute float32 in float64 and round once."),
    Key("complex", "true or false", _FLAG, "The inputs are complex tensors."),
)
LAYER = {key.name: key for key in (*_OF_ONE, *_OF_ALL)}
"""What a layer may say."""
DEFAULTS = {key.name: key for key in _OF_ALL}
"""What may be said for every layer."""


def _table(keys: Mapping[str, Key], required: tuple[str, ...] = ()) -> Schema:
    properties = {key.name: {**key.schema, "description": key.meaning} for key in keys.values()}
    table = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**table, "required": list(required)} if required else table


_LAYERS: Schema = {
    "type": "object",
    "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]*$", "maxLength": 100},
    "additionalProperties": {"anyOf": [_TEXT, _table(LAYER, ("formula",))]},
}
TOP = {
    key.name: key
    for key in (
        Key("output", "a folder as text", {"type": "string", "minLength": 1}, "The folder of the layers."),
        Key("formulas", 'globs, ["layers/*.fn"]', _TEXTS, "The formula files, each a layer."),
        Key("defaults", "a table", _table(DEFAULTS), "What holds for every layer that does not say it."),
        Key("layers", "a table of layers", _LAYERS, "The layers by name: a formula, or a table."),
    )
}
"""What a declaration may say."""


def schema() -> dict[str, Any]:
    """Return the JSON schema of a declaration: of fngen.toml, or of [tool.fngen]."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fngen: the layers of a project",
    }
    return {**head, **_table(TOP)}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at a path of keys."""

    path: tuple[str, ...]
    message: str
    hint: str = ""


def faults(table: Mapping[str, object]) -> Iterator[Fault]:
    """Yield all that is wrong with the shape of a declaration."""
    yield from _unfit(table, {**TOP, "defaults": _ANY_TABLE, "layers": _ANY_TABLE}, ())
    defaults, layers = table.get("defaults"), table.get("layers")
    if isinstance(defaults, dict):
        yield from _unfit(defaults, DEFAULTS, ("defaults",))
    for name, layer in layers.items() if isinstance(layers, dict) else ():
        path = ("layers", name)
        if isinstance(layer, dict):
            yield from _unfit(layer, LAYER, path)
            if "formula" not in layer:
                yield Fault(path, "a layer has a formula", 'Write for example formula = "x1**3 + x2**2".')
        elif not isinstance(layer, str):
            hint = 'Write for example square = "x1**3 + x2**2".'
            yield Fault(path, f"wants a formula or a table, not {_kind(layer)}", hint)


_ANY_TABLE = Key("", "a table", {"type": "object"}, "")


def _unfit(table: Mapping[str, object], keys: Mapping[str, Key], path: tuple[str, ...]) -> Iterator[Fault]:
    """Yield the keys of a table that are unknown, or have a value that they cannot have."""
    for name, value in table.items():
        here = (*path, name)
        if name not in keys:
            close = closest(name, keys)
            hint = f"Did you mean {close!r}?" if close else f"There are: {', '.join(keys)}."
            yield Fault(here, f"unknown key {name!r}", hint)
        elif not fits(value, keys[name].schema):
            yield Fault(here, f"wants {keys[name].wants}, not {_kind(value)}")


def fits(value: Any, wanted: Schema) -> bool:
    """Say whether a value is what a schema asks for; of schemas, what the table above uses."""
    if "anyOf" in wanted:
        return any(fits(value, choice) for choice in wanted["anyOf"])
    if "enum" in wanted:
        return any(value == choice for choice in wanted["enum"])
    if isinstance(value, bool):  # Which Python takes for a number.
        return bool(wanted["type"] == "boolean")
    if isinstance(value, list):
        return wanted["type"] == "array" and all(fits(part, wanted["items"]) for part in value)
    if isinstance(value, dict):
        inside = wanted.get("additionalProperties")
        return wanted["type"] == "object" and all(not inside or fits(x, inside) for x in value.values())
    if isinstance(value, str):
        shortest: int = wanted.get("minLength", 0)
        return wanted["type"] == "string" and len(value) >= shortest
    if wanted["type"] == "integer":
        return isinstance(value, int) and bool(wanted["minimum"] <= value <= wanted["maximum"])
    return wanted["type"] == "number" and isinstance(value, int | float)


def fitting(defaults: object) -> dict[str, Any]:
    """Return the defaults that are as they should be."""
    said = defaults if isinstance(defaults, dict) else {}
    return {key: x for key, x in said.items() if key in DEFAULTS and fits(x, DEFAULTS[key].schema)}


def _kind(value: object) -> str:
    """Return what a value is, in a few words."""
    if isinstance(value, str):
        return f"the text {value[:40]!r}" if value else "an empty text"
    names = {bool: "true or false", list: "a list", dict: "a table"}
    return names.get(type(value), f"{str(value)[:40]}")
