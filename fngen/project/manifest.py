"""What builds have written: ``.fngen.json``, by which changes and edits are noticed.

It holds no times and no paths beside the names of files, so it may be committed; without it a
build finds out by generating what it would have known.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

FILENAME = ".fngen.json"
_FORMAT = 1
_NAME = re.compile(r"[A-Za-z_]\w*\.py", re.ASCII)
"""What a build writes: whatever a manifest says, nothing else is replaced or removed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that a build wrote.

    Attributes:
        key: A hash of what it was made from.
        content: The hash of its content.
        was: While it is being replaced, the hash of the content before.
    """

    key: str
    content: str
    was: str = ""


Entries = dict[str, Entry]


def hashed(content: bytes) -> str:
    """Return the hash of a file's content."""
    return sha256(content).hexdigest()


def read(folder: Path) -> Entries:
    """Return the entries of a folder; none where the manifest is missing or damaged."""
    try:
        data = json.loads((folder / FILENAME).read_bytes())
        if data["format"] != _FORMAT:
            return {}
        rows = data["files"].items()
        return {name: Entry(*map(str, row)) for name, row in rows if _NAME.fullmatch(name)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def text(entries: Entries) -> str:
    """Return the manifest of entries: sorted, a line for each file, so that it merges well."""
    rows = []
    for name, entry in sorted(entries.items()):
        row = [entry.key, entry.content, *([entry.was] if entry.was else [])]
        rows.append(f"  {json.dumps(name)}: {json.dumps(row)}")
    files = ",\n".join(rows)
    return f'{{\n "format": {_FORMAT},\n "files": {{\n{files}\n }}\n}}\n'
