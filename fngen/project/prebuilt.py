"""The libraries of kernels beside the layers: which are out of date, and how they come to be.

The manifest knows nothing of them: they are for one platform, and each says itself what it is made
from. What it should be made from, the text of its layer's file says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fngen import ahead
from fngen.errors import FngenError
from fngen.project.folder import Folder
from fngen.project.outcome import Outcome, Result, State
from fngen.project.package import FILENAME
from fngen.project.problems import Problem
from fngen.project.settings import Listener, Options
from fngen.project.workers import usable_cpus

_GOOD = (State.UNCHANGED, State.WRITTEN)


def are_current(names: Iterable[str], folder: Folder) -> bool:
    """Say whether the libraries beside files are what their texts say."""
    texts = {name: folder.text(name) or "" for name in names}
    return all(result.state is State.UNCHANGED for result in _judged(texts, folder))


def with_libraries(outcome: Outcome, folder: Folder, options: Options, listener: Listener) -> Outcome:
    """Build the libraries beside the files of an outcome, if that is asked for, and say so in it.

    Raises:
        FngenError: If there is no compiler.
        FileError: If the folder cannot be written.
    """
    texts = _texts(outcome, folder)
    if not options.compile:
        beside = {name: text for name, text in texts.items() if ahead.library_name(name) in folder.names}
        old = [r for r in _judged(beside, folder) if r.state is not State.UNCHANGED]
        notes = [
            f"{r.path.name} is not used ({r.report}): `fngen build --compile` brings it up to date"
            for r in old
        ]
        return replace(outcome, notes=(*outcome.notes, *notes))
    found = _judged(texts, folder)
    if not found and not outcome.problems:
        note = "no layer has kernels in C: there is nothing to compile"
        return replace(outcome, notes=(*outcome.notes, note))
    if not outcome.dry:
        found = [_done(result, texts, folder, options, listener) for result in found]
    return replace(
        outcome,
        results=(*outcome.results, *found),
        problems=(*outcome.problems, *(r.problem for r in found if r.problem)),
        outputs=(*outcome.outputs, *(r.path for r in found if folder.content(r.path.name) is not None)),
    )


def _texts(outcome: Outcome, folder: Folder) -> dict[str, str]:
    """Return the texts that files of layers have, or are to have; not of those that are in the way."""
    files = [r for r in outcome.results if r.path.parent == folder.path and r.path.name != FILENAME]
    return {r.path.name: r.after or folder.text(r.path.name) or "" for r in files if r.state in _GOOD}


def _judged(texts: Mapping[str, str], folder: Folder) -> list[Result]:
    """Return what is to become of the libraries beside files with these texts."""
    found = (_judged_one(name, text, folder) for name, text in texts.items())
    return [result for result in found if result is not None]


def _judged_one(name: str, text: str, folder: Folder) -> Result | None:
    """Return what is to become of a library; None if there is none of fngen's, and none is to be."""
    library = ahead.library_name(name)
    path, kernels, content = folder.path / library, ahead.kernel_source(text), folder.content(library)
    key = ahead.key_of(content or b"")
    if kernels is None:
        return Result(path, State.REMOVED, report="the layer has no kernels in C") if key else None
    if key == kernels.key:
        return Result(path, State.UNCHANGED)
    report = "missing" if content is None else "out of date" if key else "damaged"
    return Result(path, State.WRITTEN, report=report)


def _done(
    result: Result, texts: Mapping[str, str], folder: Folder, options: Options, listener: Listener
) -> Result:
    """Build or remove a library, if that is to become of it, and return what became of it."""
    if result.state is State.UNCHANGED and not options.fresh:
        return result
    name = result.path.name
    if result.state is State.REMOVED:
        folder.remove([name])
    else:
        result = _built(result, texts[ahead.file_name(name)], folder, options)
    listener.done(result)
    return result


def _built(result: Result, text: str, folder: Folder, options: Options) -> Result:
    """Build a library from the text of its file."""
    kernels, name = ahead.kernel_source(text), result.path.name
    assert kernels is not None
    ahead.compiler()  # Without one there is no library at all: no fault of this layer.
    try:
        content = ahead.built(kernels, options.jobs or usable_cpus())
    except FngenError as error:
        problem = Problem(error.message, error.hint, result.path, layer=name)
        return replace(result, state=State.WRONG, problem=problem)
    same = content == folder.content(name)
    folder.write_library(name, content)
    return replace(result, state=State.UNCHANGED if same else State.WRITTEN)
