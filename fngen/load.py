"""Source to module: imported from memory, with its lines in every traceback."""

from __future__ import annotations

import importlib.util
import linecache
import sys
from itertools import count
from pathlib import Path
from types import ModuleType

from fngen.errors import FileError
from fngen.source import Source


def load(source: Source) -> ModuleType:
    """Return the module of a Source, without a file.

    It is found by debuggers, ``inspect.getsource`` and pickle under ``fngen.compiled.<name>``
    as long as the process lives.
    """
    return execute(source.text, f"fngen.compiled.{source.name}", _filename(source))


def _filename(source: Source) -> str:
    """Return what stands for the name of a file: another one for each text, whose lines are kept."""
    lines = source.text.splitlines(keepends=True)
    names = (f"<fngen {source.name}{f' {i}' if i else ''}>" for i in count())
    return next(x for x in names if x not in linecache.cache or linecache.getlines(x) == lines)


def load_file(path: Path) -> ModuleType:
    """Return the module of an emitted file, whatever is on ``sys.path``.

    Raises:
        FileError: If the file does not import.
    """
    spec = importlib.util.spec_from_file_location(f"fngen.verified.{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        reason = " ".join([type(error).__name__, *str(error).splitlines()[:1]])
        raise FileError(f"{path} does not import: {reason}", path=str(path)) from error
    return module


def execute(text: str, module_name: str, filename: str) -> ModuleType:
    """Run emitted source as a module.

    The text is what the templates made of a checked formula; a formula's own text never
    gets here except inside comments and strings.
    """
    module = ModuleType(module_name)
    module.__file__ = filename
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    sys.modules[module_name] = module
    exec(compile(text, filename, "exec"), module.__dict__)  # noqa: S102
    return module
