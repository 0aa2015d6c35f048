"""The verbs of a project: they parse options, call the library and print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from fngen.options import (
    UNKNOWN_OPTIONS_ARE_WORDS,
    OfFormula,
    echo_json,
    explain,
    formula,
    keywords,
    reporting,
    request_options,
)
from fngen.project import DeclarationError, Listener, Outcome, Result, State, read
from fngen.project import build as bring
from fngen.project.depfile import touch, write_depfile
from fngen.project.problems import shown

_CONFIG = click.option(
    "--config", type=click.Path(path_type=Path), metavar="PATH", help="The declaration, or its folder."
)
_JOBS = click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Processes to use.")
_GONE = (State.REMOVED, State.LET_GO, State.KEPT)
_CHANGED = (*_GONE, State.WRITTEN)
_COLOURS = {
    State.WRITTEN: "green",
    State.REMOVED: "yellow",
    State.LET_GO: "yellow",
    State.WRONG: "red",
    State.REFUTED: "red",
    State.EDITED: "red",
    State.FOREIGN: "red",
}


class _Lines(Listener):
    """Prints a line for each layer that is done."""

    def done(self, result: Result) -> None:
        """Print what became of a layer."""
        _line(result)

    def waiting(self) -> None:
        """Say why nothing goes on."""
        click.echo("another build is at work in this folder; waiting for it", err=True)


class _Bar(_Lines):
    """Moves a bar."""

    bar: Any = None

    def start(self, total: int) -> None:
        """Show the bar, if there is something to wait for."""
        if total > 1:
            self.bar = click.progressbar(length=total, label="layers", file=sys.stderr)
            self.bar.__enter__()

    def done(self, result: Result) -> None:
        """Move the bar on."""
        if self.bar is None:
            _line(result)
            return
        self.bar.update(1)
        if self.bar.finished:
            self.close()

    def close(self) -> None:
        """End the bar's line."""
        if self.bar is not None:
            self.bar.__exit__(None, None, None)
            self.bar = None


def _line(result: Result) -> None:
    state = click.style(str(result.state), fg=_COLOURS.get(result.state))
    click.echo(f"{state} {shown(result.path)}")


@click.command()
@_CONFIG
@_JOBS
@click.option("--only", multiple=True, metavar="NAME", help="Work on this layer only; repeatable.")
@click.option(
    "--check", is_flag=True, help="Write nothing; show the difference, exit with 1 if there is one."
)
@click.option("--dry-run", is_flag=True, help="Write nothing; say what a build would do.")
@click.option("--verify/--no-verify", default=None, help="Test all layers, or none; default: those written.")
@click.option("--force", is_flag=True, help="Overwrite files that were edited.")
@click.option("--keep-stale", is_flag=True, help="Leave files that nobody declares any more.")
@click.option("--fresh", is_flag=True, help="Generate all layers, whatever the manifest says.")
@click.option("--compile", is_flag=True, help="Build the kernels in C as well, into libraries for a wheel.")
@click.option(
    "--depfile", type=click.Path(path_type=Path), metavar="PATH", help="Dependencies, for make, ninja."
)
@click.option("--stamp", type=click.Path(path_type=Path), metavar="PATH", help="Touched when all is well.")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="DIR", help="Write here, not where is declared."
)
@click.option("--list", "listing", is_flag=True, help="Print the names of the files that a build makes.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of a declaration.")
@reporting
def build(
    config: Path | None,
    only: tuple[str, ...],
    check: bool,
    dry_run: bool,
    depfile: Path | None,
    stamp: Path | None,
    listing: bool,
    as_json: bool,
    schema: bool,
    **options: Any,
) -> None:
    """Bring all layers of a project up to date."""
    if schema or listing:
        _print_schema() if schema else _print_names(config)
        return
    dry = check or dry_run
    outcome = _brought(config, as_json, only=only, dry=dry, **options)
    code = outcome.check_code if check else outcome.code
    if depfile is not None and not dry:
        write_depfile(outcome, depfile, stamp)
    if stamp is not None and outcome.ok and not dry:
        touch(stamp)
    if as_json:
        echo_json({**outcome.to_dict(), "code": code})
    else:
        _report(outcome, diffs=check)
    sys.exit(code)


@click.command()
@_CONFIG
@_JOBS
@click.option("--only", multiple=True, metavar="NAME", help="Look at this layer only; repeatable.")
@reporting
def diff(config: Path | None, only: tuple[str, ...], jobs: int | None) -> None:
    """Show how a build would change the files."""
    outcome = _brought(config, True, only=only, dry=True, jobs=jobs)
    for result in outcome.results:
        click.echo(result.diff(), nl=False)
    for problem in outcome.problems:
        explain(problem)
    sys.exit(2 if outcome.problems else 0)


def _brought(config: Path | None, quiet: bool, **options: Any) -> Outcome:
    """Build with a bar on a terminal, lines elsewhere."""
    listener = Listener() if quiet or options["dry"] else _Bar() if sys.stderr.isatty() else _Lines()
    try:
        return bring(config, listener=listener, **options)
    except DeclarationError as error:
        return Outcome(problems=error.problems, dry=True)
    finally:
        if isinstance(listener, _Bar):
            listener.close()


def _print_schema() -> None:
    import json

    from fngen.project.keys import schema

    click.echo(json.dumps(schema(), indent=2))


def _print_names(config: Path | None) -> None:
    """Print the names of the files that a build makes, if the declaration says them."""
    declaration = read(config)
    if declaration.problems:
        raise DeclarationError.of(declaration.problems)
    click.echo("\n".join(declaration.filenames))


def _report(outcome: Outcome, *, diffs: bool) -> None:
    """Print what there is to say at the end."""
    for result in outcome.results:
        if diffs:
            click.echo(result.diff(), nl=False)
        elif result.state in (_CHANGED if outcome.dry else _GONE):
            _line(result)
    for result in outcome.of(State.REFUTED, State.EDITED, State.FOREIGN):
        click.echo(
            click.style(f"{result.state}: ", fg="red") + f"{shown(result.path)}\n{result.message}", err=True
        )
    for problem in outcome.problems:
        explain(problem)
    for note in outcome.notes:
        click.secho(note, fg="yellow", err=True)
    click.echo(_summary(outcome))


def _summary(outcome: Outcome) -> str:
    """Return the numbers of files by what became of them."""
    counts: dict[str, int] = {}
    for result in outcome.results:
        counts[result.state] = counts.get(result.state, 0) + 1
    would = "would be: " if outcome.dry and set(counts) - {State.UNCHANGED} else ""
    return would + (", ".join(f"{n} {state}" for state, n in counts.items()) or "no layers")


@click.command()
@_CONFIG
@reporting
def init(config: Path | None) -> None:
    """Write a first fngen.toml, or a [tool.fngen] into the pyproject.toml that is there."""
    from fngen.project.edit import init as write

    path = write(config)
    click.echo(f"wrote {shown(path)}\n`fngen add NAME FORMULA` adds a layer, `fngen build` makes them.")


@click.command(cls=OfFormula, context_settings=UNKNOWN_OPTIONS_ARE_WORDS)
@click.argument("label", metavar="NAME")
@request_options
@_CONFIG
@reporting
def add(label: str, words: tuple[str, ...], config: Path | None, **request: Any) -> None:
    """Add a layer to the declaration: NAME and its formula EXPR."""
    from fngen.project.edit import add as append

    given = {key: value for key, value in keywords(request).items() if key != "name"}
    path = append(label, formula(words, add), given, config)
    click.echo(f"added {label} to {shown(path)}; `fngen build` makes it")


@click.command()
@_CONFIG
@_JOBS
@click.option("--verify/--no-verify", default=None, help="Test all layers, or none; default: those written.")
@reporting
def watch(config: Path | None, **options: Any) -> None:
    """Build whenever the declaration or a formula file is saved, until Ctrl-C."""
    from fngen.project.watch import watch as outcomes

    try:
        for outcome in outcomes(config, listener=_Lines(), **options):
            _report(outcome, diffs=False)
    except KeyboardInterrupt:
        click.echo("no longer watching")


PROJECT_VERBS = (build, diff, init, add, watch)
