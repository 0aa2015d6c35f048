"""Edits of a declaration that keep its comments, its order and its spacing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import InlineTable, Table

from fngen.declared import one_line
from fngen.errors import FileError, FngenError, OptionError
from fngen.naming import check_layer_name, snake_case
from fngen.project.declaration import Declaration, text_of
from fngen.project.problems import DeclarationError, shown
from fngen.project.reading import OWN_FILE, SHARED_FILE, parsed, read
from fngen.project.workers import answers
from fngen.write import write_if_changed

_FIRST = """\
# The layers of this project: `fngen build` makes them, `fngen build --check` proves that they are up to date.
{table}output = "generated"
# formulas = ["layers/*.fn"]

[{prefix}layers]
square = "x1**3 + x2**2"
"""
_FLAGS = {"lean": True, "complex": True, "latex": True, "stabilise": False, "accurate": True}
_LISTS, _TABLES = ("inputs", "outputs"), ("params", "consts", "grads")


def init(place: Path | None = None) -> Path:
    """Write a first declaration and return where it is; one that is there is never overwritten.

    Args:
        place: A folder, or the file. Default: the pyproject.toml of the current folder if it has one, or
            else fngen.toml.

    Raises:
        FileError: If there is one already, or the file cannot be written.
    """
    target = place or Path.cwd()
    if target.is_dir():
        shared = target / SHARED_FILE
        target = shared if shared.is_file() and not (target / OWN_FILE).exists() else target / OWN_FILE
    if target.name != SHARED_FILE:
        if target.exists():
            raise FileError(f"{shown(target)} exists", "`fngen add` adds a layer to it.", path=str(target))
        return _written(target, _FIRST.format(table="", prefix=""))
    text = text_of(target) if target.exists() else ""
    if "fngen" in _document(text, target).get("tool", {}):
        hint = "`fngen add` adds a layer to it."
        raise FileError(f"{shown(target)} has a [tool.fngen]", hint, path=str(target))
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return _written(target, text + gap + _FIRST.format(table="[tool.fngen]\n", prefix="tool.fngen."))


def add(label: str, formula: str, options: Mapping[str, Any], config: Path | None = None) -> Path:
    """Append a layer to a declaration and return where that is.

    Args:
        label: The name of the layer.
        formula: Its formula.
        options: Keywords of the library, as the command's options give them.
        config: The declaration, or its folder. Default: the nearest one.

    Raises:
        FngenError: If the layer cannot be made, or is declared already.
    """
    name = check_layer_name(label)
    before = read(config)
    if name in before.names:
        hint = "Give it another name, or change it there."
        raise OptionError(f"there is a layer {name!r} in {shown(before.path)}", hint, option="name")
    text, after = _with(before, label, _said(formula, options))
    for problem in after.problems:
        if problem.layer == label:
            raise FngenError(f"{problem.key}: {problem.message}", problem.hint)
    request = _requests(after)[name]
    ((_, answer),) = answers([(name, {"request": request})], 1)
    if "error" in answer:
        error = answer["error"]
        message = "\n".join(filter(None, [error["message"], error.get("mark", "")]))
        raise FngenError(message, error.get("hint", ""))
    return _written(before.path, text)


def _with(before: Declaration, label: str, said: Mapping[str, Any]) -> tuple[str, Declaration]:
    """Return the text of a declaration with one more layer, and what it declares.

    A layer of more than a formula is a table of its own where it can be, else one in a line.
    """
    ways: list[Any] = [said["formula"]] if set(said) == {"formula"} else [_table(said), _inline(said)]
    for value in ways:
        document = _document(text_of(before.path), before.path)
        table: Any = document
        try:
            for key in (*before.prefix, "layers"):
                if key not in table:
                    table[key] = tomlkit.table()
                table = table[key]
            table[label] = value
            text = tomlkit.dumps(document).rstrip("\n") + "\n"
            after = parsed(text, before.path)
        except (ValueError, TypeError, DeclarationError):
            continue
        others, wrong = _requests(after), {problem.layer for problem in after.problems}
        if (others.pop(snake_case(label), None) or label in wrong) and others == _requests(before):
            return text, after
    hint = "Its tables are in an order that cannot be kept: add the layer by hand."
    raise FileError(f"cannot add to {shown(before.path)}", hint, path=str(before.path))


def _requests(declaration: Declaration) -> dict[str, dict[str, Any]]:
    return {layer.name: dict(layer.request) for layer in declaration.layers}


def _said(formula: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a declaration says of a layer, by the options of the command."""
    said: dict[str, Any] = {"formula": one_line(formula)}
    for key in _LISTS:
        if options.get(key):
            said[key] = [name.strip() for name in options[key].split(",")]
    for key in _TABLES:
        if options.get(key):
            pairs = (text.partition("=") for text in options[key])
            said[key] = {name.strip(): _value(value.strip(), key) for name, _, value in pairs}
    if options.get("effort", 1) != 1:
        said["effort"] = options["effort"]
    if options.get("backend", "torch") != "torch":
        said["backend"] = options["backend"].split(",")
    return said | {key: said for key, said in _FLAGS.items() if options.get(key, not said) is said}


def _value(text: str, key: str) -> Any:
    """Return a number as it is typed; what TOML would write otherwise stays text."""
    try:
        number = tomlkit.parse(f"x = {text}")["x"] if key != "grads" else text
    except tomlkit.exceptions.ParseError:
        return text
    return number if isinstance(number, int | float) else text


def _table(said: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    for key, value in said.items():
        table[key] = _inline(value) if isinstance(value, dict) else value
    return table


def _inline(said: Mapping[str, Any]) -> InlineTable:
    table = tomlkit.inline_table()
    for key, value in said.items():
        table[key] = _inline(value) if isinstance(value, dict) else value
    return table


def _document(text: str, path: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except tomlkit.exceptions.ParseError as error:
        raise FileError(f"{shown(path)} is not TOML: {error}", path=str(path)) from None


def _written(path: Path, text: str) -> Path:
    try:
        write_if_changed(path, text)
    except OSError as error:
        raise FileError(f"cannot write {shown(path)}: {error.strerror}", path=str(path)) from None
    return path
