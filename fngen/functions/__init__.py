"""THE table: one row a function, in one module a field."""

from __future__ import annotations

from fngen.functions import activations, complex, elementary, special, stable
from fngen.functions.row import Function

__all__ = ["NAMES", "PUBLIC", "REAL", "TABLE", "Function"]

ROWS = elementary.ROWS + special.ROWS + activations.ROWS + stable.ROWS
PUBLIC = ROWS + complex.ROWS
"""What formulas may call."""

REAL: dict[str, Function] = {row.name: row for row in ROWS}
"""The functions of real numbers."""

TABLE: dict[str, Function] = {row.name: row for row in PUBLIC + complex.HALVES}
"""The row of each function, by the name that graphs hold."""

NAMES: dict[str, tuple[Function, ...]] = {}
"""The rows that each name in a formula may mean, told apart by the number of arguments."""

for _row in PUBLIC:
    for _name in (_row.name, *_row.aliases):
        NAMES[_name] = (*NAMES.get(_name, ()), _row)
