"""The pages of docs/, and the files that they show: each says its own name in its first line."""

from __future__ import annotations

import re

from tests.conftest import ROOT

PAGES = ROOT / "docs" / "integrations"
FROM_GIT = re.compile(r"git\+https://example\.com/fngen(@v[\d.]+)?")
"""What stands for the address of fngen's repository."""
_BLOCK = re.compile(r"^```\w+\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files(page: str) -> list[tuple[str, str]]:
    """Return the files that a page shows, with their names."""
    return _BLOCK.findall((PAGES / page).read_text())


def from_wheel(text: str, uri: str) -> str:
    """Return a list of requirements with a wheel for the address."""
    replaced, times = FROM_GIT.subn(uri, text)
    assert times == 1, text
    return replaced
