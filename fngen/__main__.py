"""``python -m fngen`` is the command."""

from fngen.cli import run

run()
