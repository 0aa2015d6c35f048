"""What is to become of a file: by what is there, whose it is, and what it should be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fngen.project import package
from fngen.project.declaration import Declaration
from fngen.project.folder import Folder
from fngen.project.layers import Layer
from fngen.project.outcome import Result, State
from fngen.project.problems import Problem
from fngen.project.workers import answers
from fngen.write import PACKAGE_LINE

if TYPE_CHECKING:
    from fngen.project.settings import Options


def judged(
    layer: Layer, answer: Mapping[str, Any], folder: Folder, declaration: Declaration, *, force: bool
) -> Result:
    """Return what is to become of a layer's file, by a worker's answer."""
    name = layer.filename
    path = folder.path / name
    if "error" in answer:
        problem = _problem(layer, answer["error"], declaration)
        if answer["error"]["kind"] == "verification":
            return Result(path, State.REFUTED, report=str(problem))
        return Result(path, State.WRONG, problem=problem)
    before, after, report = folder.text(name), answer["text"], answer.get("report")
    if report is not None and not report["ok"]:
        return Result(path, State.REFUTED, report=report["table"])
    line = report["line"] if report else ""
    if before == after:
        return Result(path, State.UNCHANGED, before, after, report=line)
    if before is None or folder.is_vouched_for(name) or answer["ours"]:
        return Result(path, State.WRITTEN, before, after, report=line)
    if not folder.was_ours(name):
        return Result(path, State.FOREIGN, before, after)
    return Result(path, State.WRITTEN if force else State.EDITED, before, after, report=line if force else "")


def _problem(layer: Layer, error: Mapping[str, Any], declaration: Declaration) -> Problem:
    """Return the problem that a worker's error is; the key is the option it is about."""
    option = error.get("option", "") or ("formula" if error["kind"] == "formula" else "")
    known = (option, f"{option}s") if option else ()
    key = next((key for key in known if key in layer.request), "")
    return Problem(
        error["message"],
        error.get("hint", ""),
        layer.file,
        declaration.line_of(layer, key, error),
        key=".".join(filter(None, [layer.key, key])) if layer.key else "",
        mark=error.get("mark", ""),
        layer=layer.name,
    )


def stale(names: Iterable[str], folder: Folder, options: Options) -> list[Result]:
    """Return what is to become of files that nobody declares any more; not of those that are none of ours."""
    there = [name for name in names if folder.content(name) is not None and folder.was_ours(name)]
    unknown = [name for name in there if not folder.is_vouched_for(name)]
    asked = [(name, {"disk": folder.text(name)}) for name in unknown]
    ours = {name: bool(answer.get("ours")) for name, answer in answers(asked, 1)}
    return [_judged_stale(name, ours.get(name, True), folder, options) for name in there]


def _judged_stale(name: str, ours: bool, folder: Folder, options: Options) -> Result:
    path = folder.path / name
    if options.keep_stale:
        return Result(path, State.KEPT)
    return Result(path, State.REMOVED if ours or options.force else State.LET_GO, folder.text(name))


def judged_package(
    names: Collection[str], results: Mapping[str, Result], folder: Folder, *, force: bool
) -> Result | None:
    """Return what is to become of the package's own file; None if there need not be one."""
    path, before = folder.path / package.FILENAME, folder.text(package.FILENAME)
    modules = _modules(names, results, folder)
    if not modules and before is None:
        return None
    clashes = package.clashes(modules)
    if clashes:
        name, (first, second) = next(iter(clashes.items()))
        message = f"the layers {first!r} and {second!r} both export {name!r}"
        problem = Problem(message, "Rename one of them.", path)
        return Result(path, State.WRONG, problem=problem)
    after = package.text(modules)
    if before == after:
        return Result(path, State.UNCHANGED, before, after)
    if before is None or folder.is_vouched_for(package.FILENAME) or package.is_as_written(before):
        return Result(path, State.WRITTEN, before, after)
    if not before.startswith(PACKAGE_LINE) and package.FILENAME not in folder.entries:
        return Result(path, State.FOREIGN)
    return Result(path, State.WRITTEN if force else State.EDITED, before, after)


def _modules(
    names: Collection[str], results: Mapping[str, Result], folder: Folder
) -> dict[str, tuple[str, ...]]:
    """Return the modules that there will be, and what they export."""
    found = {}
    for name in names:
        result = results.get(f"{name}.py")
        if result is not None and result.state is State.WRITTEN:
            text = result.after
        else:
            text = folder.text(f"{name}.py") if folder.was_ours(f"{name}.py") else None
        if text is not None:
            found[name] = package.exports(text)
    return found
