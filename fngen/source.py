"""The result of generating: text with a name, that knows how to be written."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path

from fngen.spec import Spec
from fngen.write import write


@dataclass(frozen=True, slots=True)
class Source:
    """An emitted file.

    Attributes:
        name: The name of the layer's function; the file is ``name.py``.
        text: The Python source.
        spec: The request that it was made from.
        derivation: Value and derivatives as equations in LaTeX; none if they would be too long to read.
        missing: Why it has no kernels, if they were asked for.
    """

    name: str
    text: str
    spec: Spec
    derivation: tuple[str, ...] = field(default=(), repr=False)
    missing: str = ""

    def write(self, path: str | Path | None = None, *, force: bool = False) -> Path:
        """Write the file, atomically and only if its content changes; return its path.

        Args:
            path: A file, or a folder to put ``name.py`` in. Default: ``generated/``.
            force: Overwrite a file that fngen did not write.

        Raises:
            FileError: If a foreign file is in the way, or the folder cannot be written.
        """
        return write(self.text, self.name, path, force=force)

    def _repr_html_(self) -> str:
        """Return derivation and code for a notebook."""
        from fngen.display import html

        return html(self.text, self.derivation)

    def _repr_latex_(self) -> str | None:
        """Return the derivation for a notebook."""
        from fngen.display import latex

        return latex(self.derivation) or None

    def _repr_mimebundle_(
        self, include: Container[str] | None = None, exclude: Container[str] | None = None
    ) -> dict[str, str]:
        """Return all that a notebook may choose from; a terminal shows the code."""
        from fngen.display import latex

        found = {
            "text/plain": self.text,
            "text/html": self._repr_html_(),
            "text/latex": latex(self.derivation),
        }
        asked = {mime for mime in found if found[mime] and (not include or mime in include)}
        return {mime: text for mime, text in found.items() if mime in asked and mime not in (exclude or ())}
