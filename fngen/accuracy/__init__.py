"""What a formula is worth exactly, and how far floats are from that.

``Exact(root, inputs).at(point, order)`` evaluates a graph in ball arithmetic; ``error`` compares a
computed number with that in a format of ``FORMATS``, at points that ``sample`` draws.
"""

from fngen.accuracy.exact import Exact, Pair
from fngen.accuracy.formats import FORMATS, Format
from fngen.accuracy.points import edges, sample, usual
from fngen.accuracy.ulp import Error, error, forgiven, mixed
from fngen.accuracy.undefined import Outcome

__all__ = [
    "FORMATS",
    "Error",
    "Exact",
    "Format",
    "Outcome",
    "Pair",
    "edges",
    "error",
    "forgiven",
    "mixed",
    "sample",
    "usual",
]
