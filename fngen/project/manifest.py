"""What builds have written: ``.fngen.json``, by which changes and edits are noticed.

It holds no times, and no paths but from the declaration's folder, so it may be committed; without it
a build finds out by generating what it would have known.
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
Home = tuple[str, str]
"""The name of a declaration, and the folder of its layers from where that is: whose a manifest is."""


@dataclass(slots=True)
class Manifest:
    """What the file says.

    Attributes:
        entries: The files that builds wrote.
        home: Whose they are; a copy of the folder is at another place than it says.
        former: Folders that the declaration named before, and that are still to be left.
    """

    entries: Entries
    home: Home | None = None
    former: tuple[str, ...] = ()


def hashed(content: bytes) -> str:
    """Return the hash of a file's content."""
    return sha256(content).hexdigest()


def read(folder: Path) -> Manifest:
    """Return what a folder's manifest says; nothing where it is missing or damaged."""
    try:
        data = json.loads((folder / FILENAME).read_bytes())
        if data["format"] != _FORMAT:
            return Manifest({})
        rows = data["files"].items()
        entries = {name: Entry(*map(str, row)) for name, row in rows if _NAME.fullmatch(name)}
        declaration, place = map(str, data.get("home") or ("", ""))
        return Manifest(entries, (declaration, place), tuple(map(str, data.get("former", ()))))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Manifest({})


def text(manifest: Manifest) -> str:
    """Return the file: sorted, a line for each file that builds wrote, so that it merges well."""
    rows = []
    for name, entry in sorted(manifest.entries.items()):
        row = [entry.key, entry.content, *([entry.was] if entry.was else [])]
        rows.append(f"  {json.dumps(name)}: {json.dumps(row)}")
    said = {"format": _FORMAT, "home": manifest.home, "former": manifest.former}
    head = "".join(f' "{key}": {json.dumps(value)},\n' for key, value in said.items() if value)
    files = ",\n".join(rows)
    return f'{{\n{head} "files": {{\n{files}\n }}\n}}\n'
