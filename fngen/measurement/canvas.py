"""Pictures as files: what they look like, and the same bytes for the same picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fngen.errors import FileError, FngenError, OptionError
from fngen.write import write_if_changed

SUFFIXES = (".svg", ".png")
_STYLE: dict[str, Any] = {
    "svg.hashsalt": "fngen",
    "svg.fonttype": "path",
    "path.simplify": False,
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8,
    "axes.titlepad": 3,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "mathtext.default": "regular",
}


def check(path: Path) -> None:
    """Refuse a picture that cannot be made, whatever is in it.

    Raises:
        OptionError: If the file has a wrong ending.
        FngenError: If matplotlib is missing.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{path} is no picture", "Give a file that ends in .svg or .png.", option="plot")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        hint = "Install it with `pip install matplotlib`."
        raise FngenError("a picture needs the package matplotlib", hint) from None


def saved(path: Path, figure: Callable[[], Any], title: str) -> Path:
    """Draw a figure into a file; return its path.

    Raises:
        OptionError: If the file has a wrong ending.
        FngenError: If matplotlib is missing.
        FileError: If the file cannot be written.
    """
    check(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_if_changed(path, _drawn(figure, path.suffix.lower()[1:], title))
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}", path=str(path)) from None
    return path


def _drawn(figure: Callable[[], Any], kind: str, title: str) -> bytes:
    import matplotlib

    # Nothing in the file depends on the time, or on a version.
    metadata = {"Title": title, "Creator": None, "Date": None} if kind == "svg" else {"Software": None}
    file = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure().savefig(file, format=kind, dpi=200, metadata=metadata)
    return file.getvalue()
