"""The options that make up a request, and the formula among the words of a command line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click

from fngen.declared import without_comments
from fngen.errors import FngenError, VerificationError
from fngen.naming import IDENTIFIER
from fngen.spec import MOST_EFFORT
from fngen.suggest import closest


def explain(error: FngenError) -> int:
    """Print an error as a message; return the exit code that it stands for."""
    head, _, rest = str(error).partition("\n")
    click.echo(click.style("fngen: ", fg="red", bold=True) + head + (f"\n{rest}" if rest else ""), err=True)
    return 1 if isinstance(error, VerificationError) else 2


def fail(message: str, hint: str = "") -> NoReturn:
    """End the command with a message."""
    sys.exit(explain(FngenError(message, hint)))


def reporting(verb: Callable[..., None]) -> Callable[..., None]:
    """Print an error of fngen's as one message, exit code 2 (1: not verified), no traceback."""

    @wraps(verb)
    def wrapped(*args: Any, **options: Any) -> None:
        try:
            verb(*args, **options)
        except FngenError as error:
            sys.exit(explain(error))
        except KeyboardInterrupt:
            sys.exit(130)

    return wrapped


def echo_json(data: object) -> None:
    """Print plain data as one line of JSON."""
    import json

    click.echo(json.dumps(data))


class OfFormula(click.Command):
    """A command whose formula may begin with a minus, which looks like an option, or like several."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the formula behind the options, where nothing is an option."""
        valued = {text for p in self.params if not getattr(p, "is_flag", False) for text in p.opts}
        short = {text[1] for p in self.params for text in p.opts if text[:2] != "--"} | {"h"}
        before = ["", *args]
        words = [
            word
            for word, last in zip(args, before, strict=False)
            if word[:1] == "-" and word[1:2] not in short | {"-", ""} and last not in valued
        ]
        if words and "--" not in args:
            args = [*(a for a in args if a not in words), "--", *words]
        return super().parse_args(ctx, args)


UNKNOWN_OPTIONS_ARE_WORDS = {"ignore_unknown_options": True}


def request_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that make up a request."""
    for option in (
        click.option("--latex", is_flag=True, help="The formula is written in LaTeX."),
        click.option("--complex", is_flag=True, help="The inputs are complex tensors."),
        click.option("--backend", default="torch", metavar="LIST", help="What the file contains."),
        click.option(
            "--stabilise/--no-stabilise",
            default=True,
            help="Compute the formula in a form that keeps its digits, or as it is written.",
        ),
        click.option(
            "--effort",
            type=click.IntRange(1, MOST_EFFORT),
            default=1,
            metavar="N",
            help="How many times as much time digits are worth.",
        ),
        click.option("--accurate", is_flag=True, help="Compute float32 in float64 and round once."),
        click.option("--lean", is_flag=True, help="Keep inputs and outputs only for the backward."),
        click.option(
            "--grad",
            "grads",
            multiple=True,
            metavar="NAME=FORMULA",
            help="Use this in place of the derivative by an input.",
        ),
        click.option(
            "--const", "consts", multiple=True, metavar="NAME=VALUE", help="A number with a default."
        ),
        click.option(
            "--param",
            "params",
            multiple=True,
            metavar="NAME=INIT",
            help="A learnable parameter; NAME[C]: one a channel, NAME[-1]: along the last dimension.",
        ),
        click.option("--outputs", metavar="U,V", help="The assigned names that come back, and their order."),
        click.option("--inputs", metavar="A,B,C", help="The inputs and their order."),
        click.option("--name", metavar="NAME", help="Name of file and function; the class is in CamelCase."),
        click.argument("words", nargs=-1, metavar="EXPR", type=click.UNPROCESSED),
    ):
        verb = option(verb)
    return verb


def formula(words: tuple[str, ...], command: click.Command, *, latex: bool = False) -> str:
    """Return the one formula among the words of a command line."""
    for word in words:
        # A formula may begin with minus signs; nothing but an option looks like --name.
        if re.match(r"--[a-z]{2}", word) or (word.startswith("-") and word is not words[0]):
            known = [o for p in command.params for o in p.opts + p.secondary_opts]
            if word in known:
                fail(f"{word} stands after '--', where options end\nWrite it before.")
            close = closest(word, known)
            fail(f"no such option: {word}" + (f"\nDid you mean {close}?" if close else ""))
    if len(words) > 1:
        fail(f'one formula is wanted, not {len(words)}\nQuote it: fngen "{" ".join(words)[:60]}"')
    if not words:
        fail('a formula is missing\nWrite for example: fngen "x1**3 + x2**2" --name square')
    if latex and words[0].endswith(".fn"):
        fail("a formula file is written in fngen's own language\nLeave --latex out.")
    return _text(words[0])


def _text(word: str) -> str:
    """Return a formula, or the text of the formula file or of the standard input that it names."""
    if word == "-":
        return without_comments(sys.stdin.read())
    if not word.endswith(".fn"):
        return word
    path = Path(word)
    try:
        text = without_comments(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        fail(f"cannot read {path}: {getattr(error, 'strerror', None) or 'not a text file'}")
    named = re.search(r"(^|[;\n])\s*name\s+[A-Za-z_]", text) or not IDENTIFIER.fullmatch(path.stem)
    return text if named else f"name {path.stem}\n{text}"


def read_back(request: dict[str, Any], read: str) -> None:
    """Show what a formula in LaTeX was read as, beside what is asked for."""
    if request.get("latex"):
        click.echo(f"read as: {read}", err=True)


def keywords(request: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given, as keywords of the library."""
    return {key: value for key, value in request.items() if value is not None}
