"""A layer of a project: its name, its request, where it was declared."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from fngen import declared
from fngen.naming import check_layer_name

_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_ASSIGNED = re.compile(r"(?:^|;)\s*([A-Za-z_]\w*)\s*=(?!=)", re.ASCII)
_BY_NAME = ("params", "consts")


@dataclass(frozen=True)
class Layer:
    """A layer to be made.

    Attributes:
        name: The name of its file and function.
        label: Its name as the declaration spells it, or the stem of its formula file.
        request: The arguments of ``Spec.create`` by keyword, as plain data.
        file: The file that declares it.
        formula_file: Whether that is a formula file.
    """

    name: str
    label: str
    request: Mapping[str, Any]
    file: Path
    formula_file: bool = False

    @property
    def filename(self) -> str:
        """The file that it goes to."""
        return f"{self.name}.py"

    @property
    def key(self) -> str:
        """Its key in the declaration."""
        return "" if self.formula_file else f"layers.{self.label}"

    def fingerprint(self, tool: str) -> str:
        """Return a hash of all that its file depends on."""
        text = json.dumps([tool, dict(self.request)], sort_keys=True, default=str)
        return sha256(text.encode()).hexdigest()


def from_table(
    name: str, label: str, said: Mapping[str, Any], defaults: Mapping[str, Any], file: Path
) -> Layer:
    """Return the layer of a table in the declaration."""
    return Layer(name, label, {"name": name, **_with_defaults(said, defaults)}, file)


def from_file(path: Path, text: str, defaults: Mapping[str, Any]) -> Layer:
    """Return the layer of a formula file, which is named after it unless its text says a name.

    Raises:
        OptionError: If that is no name of a layer.
    """
    text = declared.without_comments(text)
    named = re.search(r"(?:^|[;\n])\s*name\s+([A-Za-z_]\w*)", text)
    name = check_layer_name(named.group(1) if named else path.stem)
    request = {"name": name, **_with_defaults({"formula": text}, defaults)}
    return Layer(name, path.stem, request, path, formula_file=True)


def _with_defaults(said: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a layer, and those defaults that it does not say itself.

    A default number is for the formulas that use its name, and do not say what it is.
    """
    found = {key: value for key, value in defaults.items() if key not in _BY_NAME} | dict(said)
    if any(key in defaults for key in _BY_NAME):
        free = _free_names(found)
        for key in _BY_NAME:
            own = _pairs(found.get(key, {}))
            wanted = {k: v for k, v in _pairs(defaults.get(key, {})).items() if k.partition("[")[0] in free}
            if wanted:
                found[key] = wanted | own
    return found


def _pairs(said: Any) -> dict[str, Any]:
    """Return declarations as a table: ``["k=1"]`` is ``{"k": "1"}``."""
    if isinstance(said, Mapping):
        return {key.strip(): value for key, value in said.items()}
    return {key.strip(): value.strip() for key, _, value in (str(text).partition("=") for text in said)}


def _free_names(said: Mapping[str, Any]) -> set[str]:
    """Return the names of a formula that nothing declares or assigns."""
    try:
        statements, inside = declared.split(str(said["formula"]))
    except Exception:
        return set()
    known = set(_ASSIGNED.findall(statements))
    for source in (inside, said):
        for key in _BY_NAME:
            known |= {name.partition("[")[0].strip() for name in _pairs(source.get(key, {}))}
        known |= set(_WORD.findall(str(source.get("inputs", ""))))
    return set(_WORD.findall(statements)) - known
