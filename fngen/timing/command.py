"""The verb ``bench``: it parses options, calls the library and prints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from fngen.options import UNKNOWN_OPTIONS_ARE_WORDS, echo_json, fail, reporting
from fngen.timing.request import DTYPES, SECONDS, SIZES, THREADS, Request


@click.command(context_settings=UNKNOWN_OPTIONS_ARE_WORDS)
@click.argument("target")
@click.option("--size", "sizes", multiple=True, type=int, metavar="N", help="Elements; again for more sizes.")
@click.option("--threads", multiple=True, type=int, metavar="N", help="Threads; again for more.")
@click.option("--dtype", default=DTYPES[0], metavar="DTYPE", help=f"One of {', '.join(DTYPES)}.")
@click.option("--seconds", default=SECONDS, metavar="S", help="How long to measure each cell.")
@click.option("--backend", default="torch", metavar="LIST", help="Of a formula: what the file contains.")
@click.option("--compile", "compiled", is_flag=True, help="Time torch.compile of the plain formula too.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the times: .svg or .png.")
@click.option("--json", "as_json", is_flag=True, help="Print the times as a JSON object.")
@reporting
def bench(target: str, backend: str, plot: Path | None, as_json: bool, **asked: Any) -> None:
    """Time a layer beside plain autograd of its formula. TARGET is an emitted file, or a formula."""
    from fngen.api import bench as run

    sizes, threads = asked.pop("sizes") or SIZES, asked.pop("threads") or THREADS
    Request.create(sizes, threads, **asked)
    if plot is not None:
        from fngen.measurement.canvas import check

        check(plot)
    found = run(_source(target, backend), sizes=sizes, threads=threads, **asked)
    if as_json:
        echo_json(found.to_dict())
    else:
        click.echo(str(found))
    if plot is not None:
        click.echo(f"drew {found.plot(plot)}", err=as_json)


def _source(target: str, backend: str) -> Any:
    """Return the path of a file, or the source of a formula."""
    if os.path.isdir(target):
        fail(f"{target} is a folder", "Name one file.")
    if os.path.exists(target) or target.endswith(".py"):
        if backend != "torch":
            fail("a file has the backend that it was made with", "Leave --backend out.")
        return Path(target)
    from fngen.api import generate

    return generate(target, backend=backend)
