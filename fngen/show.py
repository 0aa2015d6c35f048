"""Texts for people who look inside: the stages of a formula, and the function table."""

from __future__ import annotations

from collections.abc import Iterable

from fngen import computation, pipeline, problem
from fngen.blocks import dump_block, dump_kernel
from fngen.derivatives import COTANGENT
from fngen.errors import OptionError
from fngen.functions import NAMES, PUBLIC, Function
from fngen.functions.reductions import REDUCTIONS
from fngen.ir import name, substitute, tree_size
from fngen.language.build import FORM_SIGNATURES
from fngen.language.reductions import signature
from fngen.printing.formula import FormulaPrinter
from fngen.problem import Problem
from fngen.spec import Spec
from fngen.suggest import closest
from fngen.wirtinger import Entry, listed

_LONGEST = 20_000
"""Operations of a derivative that is still written out."""


def show(spec: Spec, stage: str) -> str:
    """Return what a request has become after ``stage``."""
    with spec.as_typed():
        return pipeline.generate(spec).text if stage == "source" else _earlier(spec, stage)


def _earlier(spec: Spec, stage: str) -> str:
    parsed = problem.read(spec)
    block = parsed.block()
    if stage == "parse":
        return dump_block(block) + (f"\n    reduce {parsed.reduction}" if parsed.reduction else "")
    partials = pipeline.derive(parsed).slopes
    known = {node: name(text) for node, text in parsed.named.items()}
    known[name(COTANGENT)] = name(f"grad_{parsed.output}")
    spell = FormulaPrinter().print
    slopes = [(entry, substitute(entry.slope, known)) for entry in listed(parsed, partials)]
    if max(tree_size(slope) for _, slope in slopes) > _LONGEST:
        raise OptionError("the derivatives are too long to write out", "Use --stage source.", option="stage")
    if stage == "ir":
        return "\n\n".join(map(dump_kernel, computation.both(parsed, partials)))
    lines = [f"{let.name} = {spell(let.value)}" for let in (*block.lets, *block.results)]
    for entry, slope in slopes:
        label = _label(parsed, entry, f"d{entry.output or parsed.output}/d")
        lines.append(f"{label} = {spell(slope)}")
    return "\n".join(lines)


def _label(parsed: Problem, entry: Entry, stem: str) -> str:
    """Return the name of a derivative; across reductions it is a gradient, made of that by the result."""
    variable = FormulaPrinter().print(entry.variable)
    return f"grad_{variable}" if parsed.reduces else f"{'2*' * entry.twice}{stem}{variable}"


def function_table() -> str:
    """Return a line for each function: how it is called, where it is real, what to know."""
    rows = [(f"{row.name}({row.signature})", _aliases(row), row.domain, row.note) for row in PUBLIC]
    rows += [(signature, "", "", note) for signature, note in FORM_SIGNATURES]
    rows.sort(key=lambda r: r[0].lower())
    widths = [max(len(r[i]) for r in rows) for i in range(3)]
    head = ("function", "also", "domain", "note")
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(r, [*widths, 0], strict=True)).rstrip()
        for r in [head, *rows]
    ]
    return "\n".join(lines)


def _aliases(row: Function) -> str:
    return " ".join(row.aliases)


def function_details(wanted: Iterable[str]) -> str:
    """Return all that the table knows about some functions.

    Raises:
        OptionError: If there is no such function.
    """
    return "\n\n".join(details for text in wanted for details in _described(text))


def _described(text: str) -> list[str]:
    """Return what the table knows of one name: as a reduction, and as functions of numbers."""
    reduction = [_of_reduction(text)] if text in REDUCTIONS else []
    return reduction + [_details(row) for row in (() if reduction and text not in NAMES else _rows(text))]


def _of_reduction(text: str) -> str:
    row = REDUCTIONS[text]
    facts = {"torch": row.torch, "note": row.note, "d/dx": row.slope}
    return "\n".join([signature(text), *(f"    {key}: {fact}" for key, fact in facts.items() if fact)])


def _rows(text: str) -> tuple[Function, ...]:
    if text not in NAMES:
        close = closest(text, NAMES)
        hint = f"Did you mean {close!r}?" if close else "`fngen functions` lists them all."
        raise OptionError(f"unknown function {text!r}", hint, option="names")
    return NAMES[text]


def _details(row: Function) -> str:
    lines = [f"{row.name}({row.signature})"]
    facts = {
        "also": _aliases(row),
        "domain": row.domain,
        "definition": row.definition,
        "torch": row.torch,
        "note": row.note,
    }
    lines += [f"    {key}: {text}" for key, text in facts.items() if text]
    for parameter, rule in zip(row.parameters, row.derivative, strict=False):
        lines.append(f"    d/d{parameter}: {rule or 'not known: a constant is wanted'}")
    return "\n".join(lines)
