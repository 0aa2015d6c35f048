"""What a build did, or would do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from fngen.project.problems import Problem, shown


class State(str, Enum):
    """What became of a file."""

    UNCHANGED = "up to date"
    WRITTEN = "written"
    REMOVED = "removed"
    KEPT = "kept"
    """Nobody declares it any more, and it was asked to stay."""
    LET_GO = "let go"
    """Nobody declares it any more, and it was edited: its author's from now on."""
    WRONG = "wrong"
    """Its declaration or formula is."""
    REFUTED = "not verified"
    """Its verification failed; what was there before still is."""
    EDITED = "edited"
    FOREIGN = "not fngen's"

    def __str__(self) -> str:
        return str(self.value)


CHANGES = (State.WRITTEN, State.REMOVED)
IN_THE_WAY = (State.EDITED, State.FOREIGN)
_HINTS = {
    State.EDITED: "It was edited, or another fngen wrote it. `fngen build --force` overwrites it.",
    State.FOREIGN: "fngen did not write it, and leaves it alone. Move it, or rename the layer.",
}


@dataclass(frozen=True)
class Result:
    """What became of one file.

    Attributes:
        path: The file.
        state: What became of it.
        before: Its text, or None if it was not there; only where it is to change or in the way.
        after: The text that it has now, or should have; None if it is to be removed.
        problems: What is wrong.
        report: The line or, where it failed, the table of its verification; of a library of kernels,
            what is wrong with it.
    """

    path: Path
    state: State
    before: str | None = None
    after: str | None = None
    problem: Problem | None = None
    report: str = ""

    @property
    def name(self) -> str:
        """The name of the layer."""
        return self.path.stem

    @property
    def message(self) -> str:
        """What there is to say about it beside its state."""
        return str(self.problem) if self.problem else self.report or _HINTS.get(self.state, "")

    def diff(self) -> str:
        """Return how the file would change, as a unified diff."""
        from difflib import unified_diff

        if self.state not in (*CHANGES, *IN_THE_WAY):
            return ""
        if self.before is self.after is None:  # A library of kernels has no text.
            return f"{shown(self.path)}: {self.report}\n"
        texts = (self.before, self.after)
        old, new = ((text or "").splitlines(True) for text in texts)
        source, target = ("/dev/null" if text is None else shown(self.path) for text in texts)
        return "".join(unified_diff(old, new, source, target))


@dataclass(frozen=True)
class Outcome:
    """What a build did, or would do.

    Attributes:
        results: What became of each file that was looked at, sorted; the package's own comes last,
            and then libraries of kernels.
        problems: What is wrong with the declaration and its formulas.
        notes: What else there is to know.
        inputs: The files that were read: the declaration, the formula files.
        outputs: The files that are there afterwards; the package's own comes first.
        dry: Whether nothing was to be written.
    """

    results: tuple[Result, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()
    dry: bool = False

    def of(self, *states: State) -> Iterator[Result]:
        """Yield the results with one of these states."""
        return (result for result in self.results if result.state in states)

    @property
    def code(self) -> int:
        """The exit code: 2 if something is wrong or in the way, 1 if a verification failed."""
        if self.problems or any(self.of(*IN_THE_WAY)):
            return 2
        return int(any(self.of(State.REFUTED)))

    @property
    def ok(self) -> bool:
        """Whether all went well."""
        return self.code == 0

    @property
    def complaint(self) -> str:
        """All that went wrong, as text; nothing if all went well."""
        bad = (f"{r.state}: {shown(r.path)}\n{r.message}" for r in self.of(State.REFUTED, *IN_THE_WAY))
        return "\n".join([*bad, *map(str, self.problems)])

    @property
    def check_code(self) -> int:
        """The exit code of a check: 1 if a build would change something, or finds an edit."""
        if self.problems or any(self.of(State.FOREIGN)):
            return 2
        return int(any(self.of(*CHANGES, State.EDITED, State.LET_GO)))

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data, for JSON."""
        files = [
            {"name": r.name, "path": shown(r.path), "state": str(r.state), "message": r.message}
            for r in self.results
        ]
        problems = [problem.to_dict() for problem in self.problems]
        inputs, outputs = ([shown(path) for path in paths] for paths in (self.inputs, self.outputs))
        return {
            "ok": self.ok,
            "files": files,
            "problems": problems,
            "notes": list(self.notes),
            "inputs": inputs,
            "outputs": outputs,
        }
