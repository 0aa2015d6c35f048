"""PyTorch's operator database as the judge of generated layers.

Every pointwise entry with a closed formula is written in fngen's language (``op_db_entries.py``), and its
layer runs on the entry's own samples, infinities and NaNs included: value, dtype and gradient must be
those of the operator. Complex samples run through a layer of complex numbers, by the same judge.
``op_db.md`` is the outcome; ``--update`` writes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.op_db_departures import DEPARTURES
from tests.op_db_entries import ENTRIES
from tests.op_db_judge import Tally, judge
from tests.op_db_left_out import LEFT_OUT
from tests.op_db_rows import Departure, Entry
from tests.op_db_samples import database, dtypes
from tests.plain import DEVICE

TABLE = Path(__file__).with_name("op_db.md")
HEAD = """\
# PyTorch's operator database

Written by `pytest tests/test_op_db.py --update`. Each entry's own samples run through the layer of the
formula: samples, gradients that were compared, comparisons that the operator in float64 (of complex numbers, in
complex128) had to settle. Where a formula of complex numbers is another, it follows after `complex:`.

| entry | formula | dtypes | samples | gradients | by float64 | outcome |
| --- | --- | --- | --- | --- | --- | --- |
"""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Let torch work alone: waking threads costs more than these samples do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def outcome(name: str) -> dict[torch.dtype, Tally]:
    return {dtype: judge(ENTRIES[name], dtype) for dtype in dtypes(ENTRIES[name])}


def departures(name: str) -> list[Departure]:
    return [row for row in DEPARTURES if name in row.entries]


@pytest.mark.parametrize("name", ENTRIES)
def test_entry(name: str) -> None:
    tallies = outcome(name)
    wrong = [f"{dtype}: {line}" for dtype, tally in tallies.items() for line in tally.wrong]
    assert not wrong, "\n".join(wrong[:10])
    assert any(tally.samples for tally in tallies.values())
    departed = {row for tally in tallies.values() for row in tally.departed}
    gone = [row.reason for row in departures(name) if row not in departed]
    assert not gone or DEVICE != "cpu", f"no longer departs, so take the row out: {gone}"


def test_every_pointwise_entry_is_accounted_for() -> None:
    known = [*ENTRIES, *(name for names in LEFT_OUT.values() for name in names)]
    assert [name for name, count in Counter(known).items() if count > 1] == []
    assert set(known) <= set(database())
    kinds = ("UnaryUfuncInfo", "BinaryUfuncInfo")
    pointwise = {name for name, op in database().items() if type(op).__name__ in kinds}
    assert pointwise <= set(known)


@pytest.mark.skipif(DEVICE != "cpu", reason="the table is of the CPU")
def test_table(update: bool) -> None:
    if update:
        TABLE.write_text(HEAD + "".join(map(_measured, ENTRIES.values())) + _left_out())
    text = TABLE.read_text()
    rows = text.removeprefix(HEAD).partition("\n\n")[0].splitlines()
    assert len(rows) == len(ENTRIES)
    for row, entry in zip(rows, ENTRIES.values(), strict=True):
        assert row.startswith(_row(entry).removesuffix("\n"))
    assert text.endswith(_left_out())


def _row(entry: Entry, *cells: object) -> str:
    formula = entry.formula.replace("|", "\\|")
    return f"| {' | '.join(map(str, (entry.name, f'`{formula}`', *cells)))} |\n"


def _measured(entry: Entry) -> str:
    tallies = outcome(entry.name)
    counts = (sum(getattr(t, key) for t in tallies.values()) for key in ("samples", "gradients", "settled"))
    names = " ".join(str(d).removeprefix("torch.") for d, tally in tallies.items() if tally.samples)
    return _row(entry, names, *counts, _verdict(entry, tallies))


def _verdict(entry: Entry, tallies: dict[torch.dtype, Tally]) -> str:
    wrong = [f"{line} ({dtype})" for dtype, tally in tallies.items() for line in tally.wrong[:1]]
    known = [
        f"{row.what} departs{_only(row, tallies)}: {row.reason} ({_blame(row)})"
        for row in departures(entry.name)
    ]
    skipped = sum((tally.skipped for tally in tallies.values()), Counter())
    left_out = [f"left out: {', '.join(f'{n} {reason}' for reason, n in sorted(skipped.items()))}"]
    return "; ".join([*(wrong or ["ok"]), *known, *(left_out if skipped else [])]).replace("|", "\\|")


def _only(row: Departure, dtypes: Collection[torch.dtype]) -> str:
    if row.dtypes is None or set(row.dtypes) >= set(dtypes):
        return ""
    return f" in {' '.join(str(d).removeprefix('torch.') for d in row.dtypes)}"


def _blame(row: Departure) -> str:
    return {"torch": "torch is wrong", "fngen": "fngen is wrong", "none": "a choice"}[row.fault]


def _left_out() -> str:
    lines = (f"- {reason}: {', '.join(f'`{n}`' for n in names)}\n" for reason, names in LEFT_OUT.items())
    return "\n## Left out\n\n" + "".join(lines)
