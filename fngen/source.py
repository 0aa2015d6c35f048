"""The result of generating: text with a name, that knows how to be written."""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    name: str
    text: str
    spec: Spec

    def write(self, path: str | Path | None = None, *, force: bool = False) -> Path:
        """Write the file, atomically and only if its content changes; return its path.

        Args:
            path: A file, or a folder to put ``name.py`` in. Default: ``generated/``.
            force: Overwrite a file that fngen did not write.

        Raises:
            FileError: If a foreign file is in the way, or the folder cannot be written.
        """
        return write(self.text, self.name, path, force=force)
