"""Every layer of generated/ through every compiler of torch: the judge is the formula by hand.

A compilation takes seconds. The cells of a few layers whose backend compiles nothing run always, the others
are slow; of the rows that compile C++ often only a few layers run at all, unless FNGEN_EXAMPLES asks for more.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch._inductor import metrics

from tests.modes_export import CELLS
from tests.modes_table import Test, load
from tests.plain import PLAIN

# torch's own: its forward mode uses torch.jit.script, Dynamo makes a Function to look at it, Inductor and its
# packages use what torch deprecates, and compile no complex operator.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.torch._prims_common.check:FutureWarning"),
    pytest.mark.filterwarnings(
        "ignore:Torchinductor does not support code generation for complex:UserWarning"
    ),
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning"),
]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No compiled code of another test, and no pool of processes to compile in."""
    torch._dynamo.reset()
    metrics.reset()
    with torch._inductor.config.patch(compile_threads=1):
        yield
    torch._dynamo.reset()


@pytest.mark.parametrize(("test", "name"), CELLS)
def test_compiler(test: Test, name: str) -> None:
    test(load(name), PLAIN[name])
