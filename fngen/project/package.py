"""The package's own file: it lists the layers and imports each on first use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from fngen.write import PACKAGE_DOC, PACKAGE_LINE

FILENAME = "__init__.py"
_MARGIN = 88
_ALL = re.compile(r"^__all__ = \[(.*?)\]", re.DOTALL | re.MULTILINE)
_IMPORT = re.compile(r"^    from \.(\w+) import (?:\(([^)]*)\)|(.+))$", re.MULTILINE)
_HEAD = f"""{PACKAGE_LINE}
{PACKAGE_DOC}
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
"""
_TAIL = '''

def __getattr__(name: str) -> Any:
    """Import a layer on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
'''


def exports(text: str) -> tuple[str, ...]:
    """Return what a layer's file says it exports."""
    match = _ALL.search(text)
    return tuple(re.findall(r'"(\w+)"', match.group(1))) if match else ()


def text(modules: Mapping[str, Sequence[str]]) -> str:
    """Return the file for modules and what they export.

    What is named as a module of the package is the module: Python would bind it to the name on the
    first import of it, and whether ``from generated import square`` were the function would depend
    on what had been imported before. So the functions stay in their modules.
    """
    homes = {name: module for module, names in modules.items() for name in names if name not in modules}
    if not homes:
        return PACKAGE_DOC
    lines = [
        PACKAGE_LINE,
        PACKAGE_DOC,
        "from importlib import import_module",
        "from typing import TYPE_CHECKING, Any",
        "",
    ]
    lines += ["if TYPE_CHECKING:"]
    for module in sorted(modules, key=_natural):
        lines += _imported(module, sorted((n for n in modules[module] if n not in modules), key=_order))
    names = sorted(homes, key=_order)
    lines += ["", "__all__ = [", *(f'    "{name}",' for name in names), "]", ""]
    lines += ["_HOMES = {", *(f'    "{name}": "{homes[name]}",' for name in names), "}"]
    return "\n".join(lines) + "\n" + _TAIL


def listed(text: str) -> dict[str, tuple[str, ...]]:
    """Return the modules that such a file lists, and what they export."""
    found = {}
    for module, wrapped, flat in _IMPORT.findall(text):
        found[module] = tuple(re.findall(r"\w+", wrapped or flat))
    return found


def is_as_written(content: str) -> bool:
    """Say whether fngen wrote this file, and nobody has changed it since."""
    return content == PACKAGE_DOC or (content.startswith(PACKAGE_LINE) and text(listed(content)) == content)


def clashes(modules: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, str]]:
    """Return the names that two modules export, with the two."""
    seen: dict[str, str] = {}
    found: dict[str, tuple[str, str]] = {}
    for module in sorted(modules):
        for name in modules[module]:
            if name in seen:
                found.setdefault(name, (seen[name], module))
            seen.setdefault(name, module)
    return found


def _imported(module: str, names: list[str]) -> list[str]:
    """Return the import of a module's names, as Black and isort write it."""
    if not names:
        return []
    flat = f"    from .{module} import {', '.join(names)}"
    if len(flat) <= _MARGIN:
        return [flat]
    return [f"    from .{module} import (", *(f"        {name}," for name in names), "    )"]


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts ``x2`` before ``x10``."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts]


def _order(name: str) -> tuple[int, list[tuple[int, int, str]]]:
    """Return a key that sorts as isort does: constants, classes, the rest."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2
    return kind, _natural(name)
