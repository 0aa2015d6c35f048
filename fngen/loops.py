"""Graphs to loops over the elements of a row, each with what is one of the row before it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from fngen.blocks import TOTALS, Let, Pass
from fngen.ir import Value, fold, name, names, postorder, substitute, substitute_all, value
from fngen.kernel import Language, Loop
from fngen.lower import Body, Target, lower
from fngen.naming import free_name
from fngen.printing.infix import Printer
from fngen.schedule import schedule
from fngen.usual import without_rare_sides


@dataclass(frozen=True)
class Wanted:
    """What loops are to work out.

    Attributes:
        reads: The names in the graphs, in order.
        results: The graph of each result.
        narrow: The names of reads and results that are one of a row.
        named: The intermediates that the user named.
    """

    reads: tuple[str, ...]
    results: dict[str, Value]
    narrow: Collection[str]
    named: Mapping[Value, str]


def loops(
    wanted: Wanted,
    costs: Callable[[Value], bool],
    language: Language,
    printer: Printer,
    taken: Collection[str],
    *,
    keeps: bool,
) -> tuple[tuple[Loop, ...], tuple[str, ...]]:
    """Return the loops, and the names of what one leaves for later ones, of each element.

    Args:
        wanted: What they are to work out.
        costs: Says of a node whether it costs more than memory.
        language: How they are written down.
        printer: Its printer.
        taken: Identifiers that are in use.
        keeps: Whether there is memory for what is left.
    """
    writer = _Writer(wanted, costs, language, printer, taken, keeps=keeps)
    made = tuple(writer.loop(each) for each in writer.passes)
    return made, tuple(writer.kept)


class _Writer:
    def __init__(
        self,
        wanted: Wanted,
        costs: Callable[[Value], bool],
        language: Language,
        printer: Printer,
        taken: Collection[str],
        *,
        keeps: bool,
    ) -> None:
        self.wanted, self.costs, self.language, self.printer = wanted, costs, language, printer
        wide = {x for x in wanted.reads if x not in wanted.narrow}
        graphs = [*wanted.results.values(), *wanted.named]
        self.wide: dict[Value, bool] = fold(
            graphs,
            lambda n, args: n.datum in wide if n.op == "name" else n.op not in TOTALS and any(args),
        )
        # What is one of a row, and is wanted of each element, is spread there.
        ends = [
            Let(x, graph if x in wanted.narrow or self.wide[graph] else value("expand", graph))
            for x, graph in wanted.results.items()
        ]
        self.taken = {*taken, *wanted.named.values()}
        inputs = tuple(dict.fromkeys([*wanted.reads, *sorted(taken)]))
        found = schedule(inputs, ends, wanted.named, self.is_wide, lambda n: keeps and costs(n))
        self.passes = found.passes
        made = [(let, True) for each in self.passes for let in each.block.results]
        made += [(let, False) for each in self.passes for let in each.totals]
        self.kept = [let.name for let, wide in made if wide and let.name not in wanted.results]
        self.elements = wide | {*self.kept}
        self.taken |= {let.name for let, _ in made}
        self.ones: dict[Value, Value] = {}

    def is_wide(self, node: Value) -> bool:
        """Say whether a node of the graphs is one of each element."""
        return self.wide.get(node, False)

    def loop(self, given: Pass) -> Loop:
        """Return the loop of a pass."""
        inlined, wanted = dict[Value, Value](), dict[Value, str]()
        for let in given.block.lets:
            graph = substitute(let.value, inlined)
            inlined[name(let.name)] = graph
            wanted[graph] = let.name
        ends = {
            let.name: substitute(let.value.args[0] if let.value.op == "expand" else let.value, inlined)
            for let in given.block.results
        }
        totals = {let.name: substitute(let.value.args[0], inlined) for let in given.totals}
        narrow = {x: g for x, g in ends.items() if x in self.wanted.narrow and not self.depends([g])[g]}
        each = {**totals, **{x: g for x, g in ends.items() if x not in narrow}}
        once, graphs = self.split(list(each.values()))
        once |= narrow
        return self.made(once, dict(zip(each, graphs, strict=True)), wanted, given.totals)

    def made(
        self,
        once: Mapping[str, Value],
        each: Mapping[str, Value],
        wanted: Mapping[Value, str],
        totals: Sequence[Let] = (),
    ) -> Loop:
        """Return a loop, of what is worked out once and for each element."""
        ordinary = without_rare_sides(list(each.values()), self.costs)
        usual = rare = None
        if ordinary:
            usual = self.body(dict(zip(each, ordinary.graphs, strict=True)), wanted)
            rare = self.body({"rare": ordinary.rare}, {})
        return Loop(
            once=self.body(once, wanted) if once else None,
            ones=tuple(once),
            each=self.body(each, wanted) if each else None,
            ends=tuple(each),
            totals={let.name: let.value.op for let in totals},
            usual=usual,
            rare=rare,
        )

    def depends(self, graphs: Sequence[Value]) -> dict[Value, bool]:
        """Return of each node of a pass whether it is one of each element."""
        return fold(graphs, lambda n, args: n.datum in self.elements if n.op == "name" else any(args))

    def split(self, graphs: Sequence[Value]) -> tuple[dict[str, Value], list[Value]]:
        """Return what is one of a row in graphs of elements, by names, and the graphs with these."""
        wide = self.depends(graphs)
        read = {a for n in postorder(graphs) if wide[n] for a in n.args} | {*graphs}
        found = [n for n in wide if n in read and n.args and not wide[n] and names([n])]
        once: dict[str, Value] = {}
        for node in (n for n in found if n not in self.ones):
            label = free_name("s", self.taken)
            self.taken.add(label)
            self.ones[node] = name(label)
            once[label] = node
        return once, substitute_all(graphs, {n: self.ones[n] for n in found})

    def body(self, graphs: Mapping[str, Value], wanted: Mapping[Value, str]) -> Body:
        """Return statements."""
        room = self.language.result
        targets = [Target(graph, room(i, x), x) for i, (x, graph) in enumerate(graphs.items())]
        return lower(targets, self.printer, {*self.taken}, wanted, self.language.let)
