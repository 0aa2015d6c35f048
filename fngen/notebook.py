"""The magics of IPython and Jupyter: ``%load_ext fngen``, then ``%fngen FORMULA`` or ``%%fngen``."""

from __future__ import annotations

import re
import shlex
from typing import Any

import click
from IPython.core.error import UsageError
from IPython.core.magic import no_var_expand

from fngen import api
from fngen.errors import FngenError
from fngen.load import load
from fngen.options import keywords, read_back, request_options
from fngen.source import Source

_OPTIONS = re.compile(r"(?:^|\s)(?=--[a-z])")


def load_ipython_extension(shell: Any) -> None:
    """Register the magics: what ``%load_ext fngen`` calls."""

    # Else IPython would evaluate what stands in curly brackets.
    @no_var_expand  # type: ignore[untyped-decorator]
    def fngen(line: str, cell: str | None = None) -> Source:
        """Compile a layer, and take its names into the notebook.

        %fngen x*sigmoid(beta*x) --name swish --param beta=1.0

        %%fngen --name swish
        param beta = 1.0
        x*sigmoid(beta*x)

        The options are those of the command, after the formula; --verify tests the layer.
        The result is the source, which shows the derivation and the code.
        """
        try:
            return _run(shell, line, cell)
        except (FngenError, click.ClickException) as error:
            text = error.format_message() if isinstance(error, click.ClickException) else str(error)
            raise UsageError(text) from None

    shell.register_magic_function(fngen, "line_cell", "fngen")


def _run(shell: Any, line: str, cell: str | None) -> Source:
    """Compile what a magic asks for."""
    typed, options = _split(line)
    if cell is not None and typed:
        raise FngenError("the formula of %%fngen stands in the cell", "Its first line has options only.")
    formula = typed if cell is None else cell
    if not formula.strip():
        raise FngenError("a formula is missing", "Write for example %fngen x1**3 + x2**2 --name square.")
    request = _request.main(options, prog_name="%fngen", standalone_mode=False)
    verify = request.pop("verify")
    source = api.generate(formula, **keywords(request))
    read_back(request, source.spec.formula)
    module = load(source)
    if verify:
        report = api.verify(source)
        if not report.ok:
            raise FngenError(f"verification failed\n{report}")
        click.echo(f"verified: {report.line()}")
    shell.push({name: getattr(module, name) for name in module.__all__})
    return source


@click.command(add_help_option=False)
@request_options
@click.option("--verify/--no-verify", default=False)
def _request(words: tuple[str, ...], **request: Any) -> dict[str, Any]:
    """Return the options of a magic."""
    if words:
        raise FngenError(f"{words[0]!r} stands among the options", "The formula comes first.")
    return request


def _split(line: str) -> tuple[str, list[str]]:
    """Return the formula, which may have spaces and may be quoted, and the options after it."""
    found = _OPTIONS.search(line)
    formula, rest = (line[: found.start()], line[found.start() :]) if found else (line, "")
    formula = formula.strip()
    if len(formula) > 1 and formula[0] == formula[-1] and formula[0] in "\"'":
        formula = formula[1:-1]
    try:
        return formula, shlex.split(rest)
    except ValueError as error:
        raise FngenError(f"the options cannot be read: {error}") from None
