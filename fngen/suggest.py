"""The nearest of several names, for "did you mean"."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, known: Iterable[str]) -> str:
    """Return the name most like ``word``, or nothing if none is."""
    # Imported here: a request without mistakes need not wait for it.
    from difflib import get_close_matches

    known = list(known)
    found = get_close_matches(word, known, 1) or get_close_matches(word.lower(), known, 1)
    return found[0] if found else ""
