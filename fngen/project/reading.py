"""Find and read a declaration; all that is wrong with it is found at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fngen.errors import FileError, OptionError
from fngen.naming import check_layer_name
from fngen.project import keys, toml
from fngen.project.declaration import Declaration, text_of
from fngen.project.layers import Layer, from_file, from_table
from fngen.project.places import line_of_key, toml_lines
from fngen.project.problems import DeclarationError, Problem, shown
from fngen.suggest import closest

OWN_FILE, SHARED_FILE = "fngen.toml", "pyproject.toml"
DEFAULT_OUTPUT = "generated"


def find(start: Path | None = None) -> Path:
    """Return the declaration in a folder (the current one) or the nearest folder above.

    Raises:
        FileError: If there is none, or a folder has two.
    """
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        found = [path for path in (folder / OWN_FILE, folder / SHARED_FILE) if declares(path)]
        if len(found) > 1:
            hint = f"Keep fngen.toml, or [tool.fngen] in {SHARED_FILE}."
            raise FileError(f"two declarations in {folder}", hint, path=str(folder))
        if found:
            return found[0]
    hint = "`fngen init` writes a first one."
    raise FileError(f"no fngen.toml, and no [tool.fngen] in a pyproject.toml, in {start} or above", hint)


def declares(path: Path) -> bool:
    """Say whether a file declares layers: a fngen.toml, or a pyproject.toml with a table for it."""
    if path.name == OWN_FILE or not path.is_file():
        return path.is_file()
    text = text_of(path)
    return "fngen" in text and _own_table(_loads(text, path)) is not None


def _own_table(content: dict[str, Any]) -> Any:
    tool = content.get("tool")
    return tool.get("fngen") if isinstance(tool, dict) else None


def _loads(text: str, path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = toml.loads(text)
        return content
    except toml.TOMLDecodeError as error:
        # The message ends in "(at line 3, column 5)".
        message, _, at = str(error).partition(" (at ")
        digits = "".join(c for c in at.partition(",")[0] if c.isdigit())
        line = int(digits) if digits else text.count("\n") + 1
        message = f"not TOML: {message[:1].lower()}{message[1:]}"
        raise DeclarationError.of([Problem(message, file=path, line=line)]) from None


def read(config: str | Path | None = None) -> Declaration:
    """Return the declaration of a file, of a folder, or of the nearest one; its problems are in it.

    Raises:
        FileError: If there is none.
        DeclarationError: If it is no TOML.
    """
    path = Path(os.path.abspath(config)) if config is not None else find()
    path = find(path) if path.is_dir() else path
    return parsed(text_of(path), path)


def parsed(text: str, path: Path) -> Declaration:
    """Return the declaration that a file with this text would be.

    Raises:
        DeclarationError: If it is no TOML.
    """
    content = _loads(text, path)
    table = _own_table(content)
    prefix: tuple[str, ...] = ("tool", "fngen")
    if table is None and path.name != SHARED_FILE:
        table, prefix = content, ()
    reader = _Reader(path, text, prefix)
    if not isinstance(table, dict):
        reader.add((), "there is no table [tool.fngen]", "`fngen init` adds one.")
        table = {}
    return reader.declaration(table)


@dataclass
class _Reader:
    """A declaration as it is read: what was found, what was wrong."""

    path: Path
    text: str
    prefix: tuple[str, ...]
    problems: list[Problem] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    _lines: dict[tuple[str, ...], int] | None = None

    def line(self, path: tuple[str, ...]) -> int:
        """Return the line of a key; the lines are looked for when the first one is needed."""
        if self._lines is None:
            self._lines = toml_lines(self.text)
        return line_of_key(self._lines, self.prefix + path)

    def add(self, path: tuple[str, ...], message: str, hint: str = "", layer: str = "") -> None:
        """Note a problem."""
        key = ".".join(path)
        self.problems.append(Problem(message, hint, self.path, self.line(path), key, layer=layer))

    def declaration(self, table: dict[str, Any]) -> Declaration:
        """Check a table and collect its layers."""
        for fault in keys.faults(table):
            of_layer = fault.path[1] if fault.path[0] == "layers" and len(fault.path) > 1 else ""
            self.add(fault.path, fault.message, fault.hint, of_layer)
        layers = list(self._layers(table, {problem.layer for problem in self.problems}))
        output = table.get("output")
        folder = self.path.parent / (output if isinstance(output, str) and output else DEFAULT_OUTPUT)
        return Declaration(
            self.path,
            folder,
            tuple(sorted(self._distinct(layers), key=lambda layer: layer.name)),
            tuple(sorted(self.problems, key=lambda p: (str(p.file), p.line))),
            (self.path, *self.files),
            self.prefix,
            named=folder,
        )

    def _layers(self, table: dict[str, Any], wrong: set[str]) -> Iterator[Layer]:
        """Yield the layers that are not wrong; of those whose names cannot be used there is a problem."""
        defaults = keys.fitting(table.get("defaults"))
        listed = table.get("layers")
        for label, said in listed.items() if isinstance(listed, dict) else ():
            if label in wrong:
                continue
            said = {"formula": said} if isinstance(said, str) else said
            try:
                name = check_layer_name(label)
            except OptionError as error:
                self.add(("layers", label), error.message, error.hint, label)
                continue
            yield from_table(name, label, said, defaults, self.path)
        for path in self._formula_files(table.get("formulas")):
            try:
                yield from_file(path, text_of(path), defaults)
            except FileError as error:
                self.problems.append(Problem("cannot be read", error.message, path, layer=path.stem))
            except OptionError as error:
                self.problems.append(Problem(error.message, error.hint, path, 1, layer=path.stem))

    def _formula_files(self, globs: object) -> list[Path]:
        """Return the formula files that globs name, sorted, each once."""
        found: dict[Path, None] = {}
        for pattern in globs if isinstance(globs, list) else ():
            if not isinstance(pattern, str):
                continue
            try:
                matches = sorted(p for p in self.path.parent.glob(pattern) if p.is_file())
            except (ValueError, NotImplementedError):
                hint = "Write for example layers/*.fn, from the folder of this file."
                self.add(("formulas",), f"{pattern!r} is no pattern of files", hint)
                continue
            files = [p for p in matches if p.suffix == ".fn"]
            if not files:
                close = closest(pattern, (p.name for p in self.path.parent.glob("**/*.fn")))
                hint = f"Did you mean {close!r}?" if close else "A formula file ends in .fn."
                self.add(("formulas",), f"no formula file is {pattern!r}", hint)
            found |= dict.fromkeys(files)
        self.files += found
        return list(found)

    def _distinct(self, layers: list[Layer]) -> Iterator[Layer]:
        """Yield the layers that share their name with no other."""
        by_name: dict[str, list[Layer]] = {}
        for layer in layers:
            by_name.setdefault(layer.name, []).append(layer)
        for name, same in by_name.items():
            if len(same) == 1:
                yield same[0]
                continue
            first = self.place(same[0])
            for layer in same[1:]:
                where, line = self.place(layer)
                message = f"the layer {name!r} is declared twice, also in {shown(first[0])}:{first[1]}"
                self.problems.append(
                    Problem(message, "Rename one of them.", where, line, layer.key, layer=name)
                )

    def place(self, layer: Layer) -> tuple[Path, int]:
        """Return where a layer is declared."""
        return layer.file, 1 if layer.formula_file else self.line(("layers", layer.label))
