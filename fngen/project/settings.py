"""How to build, and who is told of it."""

from __future__ import annotations

from dataclasses import dataclass

from fngen.installed import require_torch
from fngen.project.outcome import Result


class Listener:
    """What a build tells on its way; this one does not listen."""

    def start(self, total: int) -> None:
        """So many layers are worked on."""

    def done(self, result: Result) -> None:
        """A layer is done."""

    def waiting(self) -> None:
        """Another build holds the folder."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to build.

    Attributes:
        only: The layers to work on; none means all.
        jobs: The number of processes, or None for the number of usable CPUs.
        verify: Verify all layers, or none; None: those that are written.
        force: Overwrite edited files.
        keep_stale: Leave files that nobody declares any more.
        fresh: Generate all layers, whatever the manifest says.
        dry: Write nothing, and verify nothing.
        compile: Build the kernels in C ahead of time as well.
    """

    only: tuple[str, ...] = ()
    jobs: int | None = None
    verify: bool | None = None
    force: bool = False
    keep_stale: bool = False
    fresh: bool = False
    dry: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        """See that what is asked for can be had."""
        if self.verified == "all":
            require_torch()

    @property
    def verified(self) -> str:
        """Which layers are verified, as a question says it."""
        return "none" if self.dry or self.verify is False else "all" if self.verify else "written"
