"""Long names: every line of an emitted file is within the margin, and laid out as Black would."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import black
import pytest

import fngen
from fngen import problem
from fngen.lower import MARGIN
from fngen.margin import fitted
from tests.layer_row import Row
from tests.layer_rows import ROWS

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CALLED = r"(?<![\w.])[A-Za-z_]\w*(?!\w*\s*\()"


def lengthened(row: Row, length: int) -> Row:
    """Return a layer whose inputs, parameters and constants have names of so many characters."""
    read = problem.read(fngen.generate(row.formula, name="layer", **row.options).spec)
    short = [*read.inputs, *(c.name for c in read.consts)]
    long = {x: f"{x}_{LETTERS}"[:length] for x in short}

    def renamed(text: str) -> str:
        return re.sub(CALLED, lambda match: long.get(match.group(), match.group()), text)

    def all_renamed(found: Mapping[str, float]) -> dict[str, float]:
        return {renamed(key): number for key, number in found.items()}

    grads = {renamed(x): renamed(slope) for x, slope in row.grads.items()}
    inputs = tuple(map(renamed, row.inputs)) if row.inputs else None
    changed = {"params": all_renamed(row.params), "consts": all_renamed(row.consts)}
    return replace(row, formula=renamed(row.formula), grads=grads, inputs=inputs, **changed)


@cache
def emitted(name: str, length: int) -> str:
    row = lengthened(ROWS[name], length)
    return fngen.generate(row.formula, name="layer", **row.options).text


@pytest.mark.parametrize("name", ROWS)
def test_long_names_stay_within_the_margin(name: str) -> None:
    text = emitted(name, 20)
    assert [line for line in text.splitlines() if len(line) > MARGIN] == []
    styled = black.format_str(text, mode=black.Mode())
    assert not list(difflib.unified_diff(text.splitlines(), styled.splitlines(), lineterm="", n=0))


LINES = {
    "    u = torch.addcmul({0}, {1}, {2})": 3,
    "    grad_x = {0}.addcmul_({1}, {2})": 3,
    "    u = torch.where({0} > {1}, {1}, {2})": 3,
    "    return {0} * {1}, {2}, None": 3,
    "    if {0}.shape != {1}.shape or {1}.dim() != {2}.dim():": 3,
    "    {0} = forward_ad.unpack_dual(ctx.saved_tensors[0]).primal": 1,
    "    if {0}.numel() != {1}.numel() or {1}.shape[:1].numel() != {2}.numel():": 3,
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("length", range(8, 24, 3))
def test_statements_are_laid_out_as_black_does(line: str, length: int) -> None:
    names = [f"{x}_{LETTERS}{LETTERS}"[:length] for x in "xyz"]
    text = f"def f():\n{line.format(*names)}\n".replace(":\n\n", ":\n")
    if line.endswith(":"):
        text += "        pass\n"
    assert fitted(text) == black.format_str(text, mode=black.Mode())


def test_what_is_short_is_left_alone() -> None:
    text = fngen.generate("x*sigmoid(beta*x)", name="swish", params={"beta": 1.0}).text
    assert fitted(text) is text


def test_a_long_name_of_the_layer_itself() -> None:
    text = fngen.generate(
        "x*sigmoid(beta*x)*k", consts={"k": 1}, name="a_gate_of_a_name_that_is_very_long"
    ).text
    assert [line for line in text.splitlines() if len(line) > MARGIN] == []
    assert text == black.format_str(text, mode=black.Mode())


def test_an_entry_of_a_docstring_goes_on_in_the_next_line() -> None:
    text = emitted("cosine_similarity", 30)
    entry = re.search(r"^ +y_\w+: Real.*\n(?: {12}.*\n)+", text, re.MULTILINE)
    assert entry
    assert " ".join(entry.group().split()).endswith(f"broadcastable with ``{f'x_{LETTERS}'[:30]}``.")
