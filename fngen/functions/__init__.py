"""THE table: one row a function, in one module a field."""

from __future__ import annotations

from fngen.functions import activations, elementary, special
from fngen.functions.row import Function

__all__ = ["NAMES", "TABLE", "Function"]

ROWS = elementary.ROWS + special.ROWS + activations.ROWS

TABLE: dict[str, Function] = {row.name: row for row in ROWS}
"""The row of each function, by the name that graphs hold."""

NAMES: dict[str, tuple[Function, ...]] = {}
"""The rows that each name in a formula may mean, told apart by the number of arguments."""

for _row in ROWS:
    for _name in (_row.name, *_row.aliases):
        NAMES[_name] = (*NAMES.get(_name, ()), _row)
