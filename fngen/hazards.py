"""A body as it runs: what is overwritten while somebody has yet to read it.

Which operand a node may overwrite is decided before the statements are laid out, and a long line that
is cut in two moves what is in it. So the statements are gone through again as Python runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import count
from typing import TypeVar

from fngen.buffers import ALIASES
from fngen.ir import Value, fold
from fngen.lower import Body

T = TypeVar("T")


def safely(
    make: Callable[[Collection[Value]], tuple[Body, dict[Value, Value], T]],
    roots: Sequence[Value],
    kept: Collection[Value] = (),
) -> tuple[Body, dict[Value, Value], T]:
    """Return a body that overwrites nothing too early, and what came with it.

    Args:
        make: Returns a body, the image of each node in it, and more; not in place are the nodes that it
            is given.
        roots: What is computed.
        kept: Nodes whose results are needed afterwards.
    """
    spared: set[Value] = set()
    while True:
        body, images, more = make(spared)
        lost = overwritten(body, [images[root] for root in roots], [images[n] for n in kept])
        found = {n for n, image in images.items() if lost & {image, *image.args[:1]}} - spared
        if not found:
            return body, images, more
        spared |= found


def overwritten(body: Body, roots: Sequence[Value], kept: Sequence[Value]) -> set[Value]:
    """Return the operations in place after which somebody reads what they have overwritten.

    Args:
        body: The statements.
        roots: What they compute.
        kept: Nodes whose results are needed afterwards.
    """
    buffers = count()
    homes: dict[Value, int] = {}  # The buffer that each node is in: what is worked out anew is in a new one.
    now: dict[int, int] = {}  # How often a buffer has been written to,
    then: dict[Value, int] = {}  # and how often when the node was there.
    writers: dict[int, Value] = {}
    lost: set[Value] = set()

    def put(node: Value, home: int) -> None:
        homes[node] = home
        then[node] = now.setdefault(home, 0)

    def read(node: Value) -> None:
        if node not in homes:  # A leaf.
            put(node, next(buffers))
        if then[node] != now[homes[node]]:
            lost.add(writers[homes[node]])

    for node in _steps(body, roots):
        for arg in node.args:
            read(arg)
        in_place = node.op.endswith("_")
        home = homes[node.args[0]] if in_place or node.op in ALIASES else next(buffers)
        if in_place:
            now[home] += 1
            writers[home] = node
        put(node, home)
    for node in kept:
        read(node)
    return lost


def _steps(body: Body, roots: Sequence[Value]) -> Iterator[Value]:
    """Yield the nodes in the order in which they are computed."""
    named: dict[Value, None] = {}

    def inside(top: Value) -> list[Value]:
        steps: list[Value] = []
        fold([top], lambda node, _: steps.append(node), named)
        for node in steps:
            del named[node]
        return [node for node in steps if node.args]

    for lets, root in [(body.shared, None), *zip(body.local, roots, strict=True)]:
        for let in lets:
            yield from inside(let.value)
            named[let.value] = None
        if root is not None and root not in named:
            yield from inside(root)
