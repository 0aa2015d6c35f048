"""Files that come with the package: the templates, the function for CMake."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent


def templates() -> Path:
    """Return the folder of templates: inside an installed package, beside a checkout's."""
    installed = PACKAGE / "templates"
    return installed if installed.is_dir() else PACKAGE.parent / "templates"


def cmake_modules() -> Path:
    """Return the folder in which CMake's ``find_package(fngen)`` finds it."""
    return PACKAGE / "cmake"
