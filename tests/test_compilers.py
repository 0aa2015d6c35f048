"""Every layer of generated/ through every compiler of torch: the judge is the formula by hand.

A compilation takes seconds. The cells of a few layers whose backend compiles nothing run always, the others
are slow; of the rows that compile C++ often only a few layers run at all, unless FNGEN_EXAMPLES asks for more.
"""

from __future__ import annotations

import pytest

from tests.modes_compile import COMPILING_WARNINGS
from tests.modes_export import CELLS
from tests.modes_table import Test, load
from tests.plain import PLAIN

pytestmark = [pytest.mark.usefixtures("fresh_compiler"), *COMPILING_WARNINGS]


@pytest.mark.parametrize(("test", "name"), CELLS)
def test_compiler(test: Test, name: str) -> None:
    test(load(name), PLAIN[name])
