"""The layers of a project, declared once and kept up to date: entry points for other tools.

    outcome = fngen.project.build("pyproject.toml")  # .ok .code .results .inputs .outputs
    outcome = fngen.project.check("pyproject.toml")  # .check_code; writes nothing

Importing this loads neither torch nor SymPy; what generates runs in processes of its own.
"""

from fngen.project.build import build, check
from fngen.project.declaration import Declaration
from fngen.project.outcome import Outcome, Result, State
from fngen.project.problems import DeclarationError, Problem
from fngen.project.reading import find, read
from fngen.project.settings import Listener

__all__ = [
    "Declaration",
    "DeclarationError",
    "Listener",
    "Outcome",
    "Problem",
    "Result",
    "State",
    "build",
    "check",
    "find",
    "read",
]
