"""The command: click verbs that parse options, call the library and print."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from fngen.errors import FngenError
from fngen.options import (
    UNKNOWN_OPTIONS_ARE_WORDS,
    OfFormula,
    echo_json,
    explain,
    fail,
    formula,
    keywords,
    read_back,
    reporting,
    request_options,
)
from fngen.project.command import PROJECT_VERBS
from fngen.shipped import cmake_modules
from fngen.timing.command import bench

STAGES = ("parse", "derivatives", "ir", "source")


class _Group(click.Group):
    """A group whose default verb is ``generate``: ``fngen EXPR``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {"--help", "-h", "--version", "--cmake-dir"}
        if args and args[0] not in self.commands and args[0] not in own:
            args = ["generate", *args]
        return super().parse_args(ctx, args)


def _cmake_dir(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(cmake_modules())
        ctx.exit()


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fngen")
@click.option(
    "--cmake-dir",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_cmake_dir,
    help="Print the folder of CMake's fngen_generate() and exit: -Dfngen_DIR=...",
)
def main() -> None:
    """Write a PyTorch layer for a formula: `fngen "x1**3 + x2**2" --name square`."""


for _verb in (*PROJECT_VERBS, bench):
    main.add_command(_verb)


def run() -> None:
    """Run the command as a process of its own."""
    # A short process: collecting garbage only costs time, at the end (60 ms) most of all.
    gc.disable()
    atexit.register(gc.freeze)
    # Plain ints, whatever else is installed: the same file everywhere, and a faster start.
    os.environ.setdefault("SYMPY_GROUND_TYPES", "python")
    main()


@main.command(cls=OfFormula, context_settings=UNKNOWN_OPTIONS_ARE_WORDS)
@request_options
@click.option("-o", "--output", metavar="PATH", help="A file, a folder, or - for standard output.")
@click.option("--verify/--no-verify", default=True, help="Test the file against torch autograd.")
@click.option("--force", is_flag=True, help="Overwrite a file that fngen did not write.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@reporting
def generate(
    words: tuple[str, ...],
    output: str | None,
    verify: bool,
    force: bool,
    as_json: bool,
    **request: Any,
) -> None:
    """Write a layer for the formula EXPR and test it."""
    from fngen.api import generate as make

    if output == "-" and as_json:
        fail("--json and --output - both want standard output")
    source = make(formula(words, generate, latex=request["latex"]), **keywords(request))
    read_back(request, source.spec.formula)
    if output == "-":
        click.echo(source.text, nl=False)
        return
    path = source.write(output, force=force)
    if source.missing:
        click.secho(source.missing, fg="yellow", err=True)
    report, note = _verified(path) if verify else (None, "not verified (--no-verify)")
    if as_json:
        outcome = {
            "path": str(path),
            "name": source.name,
            "verified": report.to_dict() if report else None,
        }
        echo_json({**outcome, "note": note} if note else outcome)
    else:
        click.echo(f"wrote {path}")
        _print_verdict(report, note)
    if report is not None and not report.ok:
        sys.exit(1)


def _verified(path: Path) -> tuple[Any, str]:
    """Return the report of a file, or None and why there is none."""
    from fngen.installed import lacking

    if why := lacking():
        return None, f"{why}: the layer is not verified"
    from fngen.api import verify

    return verify(path), ""


def _print_verdict(report: Any, note: str) -> None:
    if report is None:
        click.secho(note, fg="yellow")
    elif report.ok:
        click.echo(click.style("verified: ", fg="green") + report.line())
    else:
        click.echo(click.style("verification failed", fg="red", bold=True) + "\n" + str(report), err=True)


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--accuracy", is_flag=True, help="Measure errors too, in ULP against exact values.")
@click.option("--dtype", "dtypes", multiple=True, metavar="DTYPE", help="Measure in float32, bfloat16, ...")
@click.option("--points", type=int, metavar="N", help="Measure at so many points; default 1000.")
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the errors: .svg or .png."
)
@click.option("--json", "as_json", is_flag=True, help="Print the reports as a JSON list.")
@reporting
def verify(paths: tuple[Path, ...], accuracy: bool, plot: Path | None, as_json: bool, **asked: Any) -> None:
    """Test emitted files again, as they stand on disk. PATH is a file or a folder."""
    from fngen.api import measure
    from fngen.api import verify as test
    from fngen.installed import require_torch

    require_torch()
    layers = _layers(paths)
    how = _to_measure(accuracy, plot, layers, **asked)
    reports, errors, codes = {}, {}, {0}
    for path in layers:
        try:
            reports[path] = test(path)
            codes.add(int(not reports[path].ok))
            if accuracy:
                errors[path] = measure(path, **how)
        except FngenError as error:
            codes.add(explain(error))
    if as_json:
        more = {p: {"accuracy": a.to_dict()} for p, a in errors.items()}
        echo_json([{"path": str(p), **r.to_dict(), **more.get(p, {})} for p, r in reports.items()])
    else:
        for path, report in reports.items():
            click.echo(
                "\n".join([str(path), str(report), *([str(errors[path])] if path in errors else []), ""])
            )
    if plot is not None:
        for found in errors.values():
            click.echo(f"drew {found.plot(plot)}", err=as_json)
    sys.exit(max(codes))


def _to_measure(
    accuracy: bool, plot: Path | None, layers: list[Path], dtypes: tuple[str, ...], points: int | None
) -> dict[str, Any]:
    """Return how accuracy is to be measured; refuse what does not go together before anything is done."""
    if not accuracy:
        given = {"--dtype": dtypes, "--points": points, "--plot": plot}
        for option in (o for o, value in given.items() if value not in (None, ())):
            fail(f"{option} says how to measure accuracy", "Give --accuracy, too.")
        return {}
    from fngen.measurement.request import POINTS, checked_dtypes, checked_points

    if plot is not None:
        from fngen.measurement.canvas import check as drawable

        drawable(plot)
        if len(layers) != 1:
            fail(f"a picture is of one layer, not of {len(layers)}", "Name one file.")
    return {"dtypes": checked_dtypes(dtypes), "points": checked_points(POINTS if points is None else points)}


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@reporting
def check(paths: tuple[Path, ...]) -> None:
    """Replay the command in each file's header and show how the file differs."""
    from difflib import unified_diff

    from fngen import recipe
    from fngen.pipeline import generate as make

    stale = 0
    for path in _layers(paths):
        fresh, old = make(recipe.read(path)).text, path.read_text(encoding="utf-8")
        stale += fresh != old
        diff = unified_diff(old.splitlines(True), fresh.splitlines(True), str(path), "regenerated")
        click.echo("".join(diff) if fresh != old else f"{path}: up to date")
    if stale:
        sys.exit(1)


def _layers(paths: Iterable[Path]) -> list[Path]:
    """Return files as given, and of folders the files that fngen wrote."""
    from fngen.recipe import is_ours
    from fngen.write import is_package_file

    found: list[Path] = []
    for path in paths:
        if not os.path.isdir(path):
            # `generated/*.py` names the package's own file too.
            found += [] if path.name == "__init__.py" and is_package_file(path) else [path]
            continue
        files = (p for p in sorted(path.glob("*.py")) if p.is_file())
        ours = [p for p in files if is_ours(p.read_text(encoding="utf-8", errors="replace"))]
        if not ours:
            raise FngenError(f"no file of fngen's in {path}")
        found += ours
    return found


@main.command(cls=OfFormula, context_settings=UNKNOWN_OPTIONS_ARE_WORDS)
@request_options
@click.option("--stage", type=click.Choice(STAGES), default="source", help="What to show.")
@reporting
def show(words: tuple[str, ...], stage: str, **request: Any) -> None:
    """Show what a formula becomes on its way: parse, derivatives, ir or source."""
    from fngen.api import spec
    from fngen.show import show as text

    asked = spec(formula(words, generate, latex=request["latex"]), **keywords(request))
    read_back(request, asked.formula)
    click.echo(text(asked, stage).rstrip("\n"))


@main.command()
@click.argument("names", nargs=-1)
@reporting
def functions(names: tuple[str, ...]) -> None:
    """List the functions of the formula language, or tell more about some."""
    from fngen.show import function_details, function_table

    click.echo(function_details(names) if names else function_table())
