"""Bring the files of a declaration up to date, or find out whether they are."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fngen.naming import snake_case
from fngen.project import prebuilt
from fngen.project.declaration import Declaration
from fngen.project.fingerprint import tool
from fngen.project.folder import Folder, locked
from fngen.project.former import former, home, leave
from fngen.project.judge import judged, judged_package, stale
from fngen.project.layers import Layer
from fngen.project.outcome import Outcome, Result, State
from fngen.project.package import FILENAME
from fngen.project.problems import Problem
from fngen.project.reading import read
from fngen.project.settings import Listener, Options
from fngen.project.workers import answers, usable_cpus
from fngen.suggest import closest

_BETWEEN_WRITES = 1.0
"""Seconds: what is not yet written is what a kill costs."""


def build(
    config: str | Path | None = None,
    *,
    only: Iterable[str] = (),
    jobs: int | None = None,
    verify: bool | None = None,
    force: bool = False,
    keep_stale: bool = False,
    fresh: bool = False,
    dry: bool = False,
    compile: bool = False,
    output: str | Path | None = None,
    listener: Listener | None = None,
) -> Outcome:
    """Bring all layers of a project up to date.

    Args:
        config: The declaration, or the folder to look for it in. Default: the nearest one.
        only: The layers to work on. Default: all.
        jobs: The number of processes. Default: the number of usable CPUs.
        verify: Verify every layer, or none. Default: those that are written.
        force: Overwrite files that were edited.
        keep_stale: Leave files that nobody declares any more.
        fresh: Generate every layer, whatever the manifest says.
        dry: Write nothing: the outcome says what a build would do.
        compile: Build the kernels in C ahead of time as well, into libraries beside the files.
        output: The folder to write to in place of the declared one, from the current folder.
        listener: Is told how the build goes.

    Returns:
        What became of each file; ``.ok``, ``.code``, ``.results``, ``.problems``.

    Raises:
        FileError: If there is no declaration, or the folder cannot be written.
        DeclarationError: If the declaration is no TOML.
        VerificationError: If every layer is to be verified, and there is no torch to do it with.
        FngenError: If kernels are to be compiled, and there is no compiler.
    """
    options = Options(tuple(map(snake_case, only)), jobs, verify, force, keep_stale, fresh, dry, compile)
    declaration = read(config)
    if output is not None:
        declaration = replace(declaration, output=Path(output).absolute())
    return _built(declaration, options, listener or Listener())


def check(
    config: str | Path | None = None,
    *,
    only: Iterable[str] = (),
    jobs: int | None = None,
    keep_stale: bool = False,
    fresh: bool = False,
    compile: bool = False,
    listener: Listener | None = None,
) -> Outcome:
    """Find out whether all layers are up to date, and write nothing.

    Takes arguments of :func:`build` and raises what it raises. The outcome's ``.check_code`` is 0 if
    they are; each of its results has a ``.diff()``.
    """
    options: dict[str, Any] = {"keep_stale": keep_stale, "fresh": fresh, "compile": compile}
    return build(config, only=only, jobs=jobs, dry=True, listener=listener, **options)


def _built(declaration: Declaration, options: Options, listener: Listener) -> Outcome:
    """Return the outcome of a build; one that writes holds the folder."""
    first = _Build(declaration, options, listener)
    if first.is_idle or options.dry or declaration.broken:
        return first.run()
    with locked(declaration.output, listener.waiting):
        return _Build(declaration, options, listener).run()


class _Build:
    """One build: what there is to do, and what has become of it."""

    def __init__(self, declaration: Declaration, options: Options, listener: Listener) -> None:
        self.declaration, self.options, self.listener = declaration, options, listener
        self.problems = [*declaration.problems, *self._unknown()]
        self.dry = options.dry or declaration.broken
        self.folder = Folder(declaration.output, home(declaration, declaration.output))
        self.keys = {layer.name: layer.fingerprint(tool()) for layer in declaration.layers}
        self.results: dict[str, Result] = {}
        self.left: list[Result] = []
        self.notes: set[str] = set()
        self.wanted = [layer for layer in declaration.layers if self._is_wanted(layer)]
        self.todo = [layer for layer in self.wanted if not self._is_done(layer)]
        self.stale = sorted(self._stale())
        self.former = self.folder.manifest.former = former(declaration, self.folder)

    def _unknown(self) -> list[Problem]:
        """Return a problem for each layer that is asked for and not declared."""
        names = self.declaration.names
        found = []
        for name in self.options.only:
            if name not in names:
                close = closest(name, names)
                hint = f"Did you mean {close!r}?" if close else ""
                found.append(Problem(f"there is no layer {name!r}", hint, self.declaration.path, layer=name))
        return found

    def _is_wanted(self, layer: Layer) -> bool:
        return not self.options.only or layer.name in self.options.only

    def _is_done(self, layer: Layer) -> bool:
        everything = self.options.fresh or self.options.verified == "all"
        return not everything and self.folder.is_current(layer.filename, self.keys[layer.name])

    def _stale(self) -> set[str]:
        """Return the files of earlier builds that nobody declares any more."""
        if self.options.only or self.declaration.broken:
            return set()
        return self.folder.listed - {f"{name}.py" for name in self.declaration.names}

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be generated, written or removed."""
        gone = self.stale or (self.former and not self.options.only)
        if self.todo or self.folder.leftovers or (gone and not self.options.keep_stale):
            return False
        if self.options.compile and not prebuilt.are_current((x.filename for x in self.wanted), self.folder):
            return False
        package = self._package()
        return self.folder.remembers and (package is None or package.state is not State.WRITTEN)

    def run(self) -> Outcome:
        """Do what there is to do."""
        for layer in self.wanted:
            path = self.folder.path / layer.filename
            self.results[layer.filename] = Result(path, State.UNCHANGED)
        if not self.dry:
            self.folder.clean()
        self._generate()
        if self.declaration.broken:
            self.results = {}
        else:
            self._finish()
        return prebuilt.with_libraries(self._outcome(), self.folder, self.options, self.listener)

    def _generate(self) -> None:
        """Work on the layers; what is done is written every few seconds."""
        pending: list[Layer] = []
        written = time.monotonic()
        self.listener.start(len(self.todo))
        jobs = max(1, self.options.jobs or usable_cpus())
        for layer, answer in answers([(layer, self._question(layer)) for layer in self.todo], jobs):
            result = judged(layer, answer, self.folder, self.declaration, force=self.options.force)
            self.results[layer.filename] = result
            if "unverified" in answer:
                self.notes.add(f"{answer['unverified']}: the layers are not verified")
            if result.problem:
                self.problems.append(result.problem)
            if result.state is State.UNCHANGED and result.after is not None:
                self.folder.adopt(layer.filename, self.keys[layer.name], result.after)
            if result.state is State.WRITTEN:
                pending.append(layer)
            else:
                self.listener.done(result)
            if time.monotonic() > written + _BETWEEN_WRITES:
                self._write(pending)
                pending, written = [], time.monotonic()
        self._write(pending)

    def _write(self, layers: list[Layer]) -> None:
        """Write the files of layers, and tell of it."""
        if layers and not self.dry:
            texts = {x.filename: (self.results[x.filename].after or "", self.keys[x.name]) for x in layers}
            self.folder.write(texts)
        for layer in layers:
            self.listener.done(self.results[layer.filename])

    def _question(self, layer: Layer) -> dict[str, Any]:
        """Return what a worker is asked for a layer."""
        name, options = layer.filename, self.options
        return {
            "request": dict(layer.request),
            "verify": options.verified,
            "force": options.force,
            "hash": self.folder.hash(name),
            "disk": None if self.folder.is_vouched_for(name) else self.folder.text(name),
        }

    def _finish(self) -> None:
        """Write the package's own file, remove what is stale, remember what was done."""
        package = self._package()
        if package is not None:
            self.results[FILENAME] = package
            if package.problem:
                self.problems.append(package.problem)
            if package.state is State.WRITTEN and package.after is not None and not self.dry:
                self.folder.write({FILENAME: (package.after, "")})
            elif package.state is State.UNCHANGED and package.after is not None:
                self.folder.adopt(FILENAME, "", package.after)
            if package.state is State.FOREIGN:
                self.notes.add(f"{package.path.name} is not fngen's: it is left alone, and lists no layers")
                del self.results[FILENAME]
        self._remove_stale()
        self._leave_former()
        if not self.dry:
            self.folder.remember()

    def _remove_stale(self) -> None:
        found = {result.path.name: result for result in stale(self.stale, self.folder, self.options)}
        self.results |= found
        if self.options.keep_stale:
            return
        if not self.dry:
            self.folder.remove([name for name in found if found[name].state is State.REMOVED])
        for name in self.stale:
            self.folder.entries.pop(name, None)

    def _leave_former(self) -> None:
        """Remove what is in folders that the declaration named before, once all is well in this one."""
        if self.options.only or not self._outcome().ok:
            return
        root = self.declaration.path.parent
        for place in self.former:
            self.left += leave(root / place, self.options, self.listener)
        if not self.options.keep_stale:
            self.folder.manifest.former = ()

    def _package(self) -> Result | None:
        return judged_package(self.declaration.names, self.results, self.folder, force=self.options.force)

    def _outcome(self) -> Outcome:
        names = self.declaration.filenames
        results = (r for _, r in sorted(self.results.items(), key=lambda x: (x[0] == FILENAME, x[0])))
        return Outcome(
            results=(*self.left, *results),
            problems=tuple(sorted(self.problems, key=lambda p: (str(p.file), p.line, p.key))),
            notes=tuple(sorted(self.notes)),
            inputs=self.declaration.files,
            outputs=tuple(self.folder.path / name for name in names if name in self.folder.names),
            dry=self.options.dry,
        )
