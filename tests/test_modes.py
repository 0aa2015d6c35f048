"""Every layer of generated/ in every mode of torch: the judge is the formula by hand.

A row is a function in tests/modes_*.py, a column a layer of tests/plain.py.
"""

from __future__ import annotations

import pytest

from tests.modes_derivatives import DERIVATIVES
from tests.modes_dispatch import DISPATCH
from tests.modes_engine import ENGINE
from tests.modes_memory import MEMORY
from tests.modes_runtime import RUNTIME
from tests.modes_shapes import SHAPES
from tests.modes_table import JUDGES, Table, Test, load
from tests.modes_types import TYPED
from tests.plain import Plain

# torch's own: its linearize warns of itself (pytorch/pytorch#194903), gradcheck takes the real part of slopes
# by real inputs.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Converting a tensor to a Python boolean:torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning"),
    pytest.mark.filterwarnings("ignore:Casting complex values to real:UserWarning"),
    pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental:UserWarning"),
]
JUDGED = DERIVATIVES | ENGINE | RUNTIME | DISPATCH
CELLS = [*Table(JUDGED).cells(JUDGES), *Table(SHAPES | TYPED | MEMORY).cells()]


@pytest.mark.parametrize(("test", "name", "plain"), CELLS)
def test_mode(test: Test, name: str, plain: Plain) -> None:
    test(load(name), plain)
