"""Whether layers can be verified here: asked without importing torch."""

from __future__ import annotations

import re
from importlib import metadata
from importlib.util import find_spec

from fngen.errors import VerificationError

TORCH = (2, 13)
"""The first release of torch that layers are verified with; pyproject.toml says the same."""


def require_torch(hint: str = f"Install it with `pip install 'torch>={TORCH[0]}.{TORCH[1]}'`.") -> None:
    """See that layers can be verified here.

    Raises:
        VerificationError: If they cannot.
    """
    if why := lacking():
        raise VerificationError(f"layers are verified against torch, and {why}", hint)


def lacking() -> str:
    """Return why nothing can be verified here; nothing if it can."""
    if find_spec("torch") is None:
        return "torch is not installed"
    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:  # On the path without having been installed.
        return ""
    release = re.match(r"(\d+)\.(\d+)", version)
    if release and tuple(map(int, release.groups())) < TORCH:
        return f"torch {version} is older than {TORCH[0]}.{TORCH[1]}"
    return ""
