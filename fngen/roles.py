"""The part that each name plays: input, parameter, constant, intermediate, output."""

from __future__ import annotations

from collections.abc import Iterable

from fngen.errors import FormulaError, OptionError
from fngen.ir import name, names
from fngen.language.parse import Reading, Statement, parse
from fngen.spec import Spec
from fngen.suggest import closest


def _error(reading: Reading, message: str, statement: Statement, hint: str = "") -> FormulaError:
    return FormulaError(message, hint, reading.text, statement.start, statement.end)


def ordered(reading: Reading, spec: Spec) -> tuple[tuple[Statement, ...], list[Statement]]:
    """Return the statements, and those of the outputs; refuse names that do not fit together."""
    assigned: set[str] = set()
    everything = {s.name for s in reading.statements}
    used: set[str] = set()
    for statement in reading.statements:
        for variable in names([statement.value]):
            if variable in everything - assigned:
                message = f"{variable!r} is used before it is assigned"
                raise reading.error(message, name(variable), "Move its assignment to the front.")
            used.add(variable)
        if statement.name in assigned:
            hint = "A name has one value: use a second name."
            raise _error(reading, f"{statement.name!r} is assigned twice", statement, hint)
        assigned |= {statement.name} - {""}
    outputs = _outputs(reading, spec, used)
    return reading.statements, outputs


def _outputs(reading: Reading, spec: Spec, used: set[str]) -> list[Statement]:
    """Return the statements whose values come back: those asked for, or those that no other uses."""
    unused = [s for s in reading.statements if s.name not in used]
    if spec.outputs is None:
        nameless = next((s for s in unused if not s.name), None)
        if nameless and len(unused) > 1:
            listed = ", ".join(s.name or "an expression" for s in unused)
            hint = "Give each a name, as in u = x*y; v = x + y, or use each in a later statement."
            raise _error(reading, f"there are {len(unused)} results ({listed})", nameless, hint)
        return unused
    by_name = {s.name: s for s in reading.statements if s.name}
    for label in spec.outputs:
        if label not in by_name:
            close = closest(label, by_name)
            assigned = f"Assigned are {', '.join(by_name)}." if by_name else f"Assign it: {label} = ..."
            hint = f"Did you mean {close!r}?" if close else assigned
            raise OptionError(f"the output {label!r} is not assigned", hint, option="outputs")
    for statement in unused:
        if statement.name not in spec.outputs:
            what = repr(statement.name) if statement.name else "an expression"
            raise _error(reading, f"{what} is neither used nor an output", statement, "Leave it out.")
    return [by_name[label] for label in spec.outputs]


def inputs_of(reading: Reading, spec: Spec) -> tuple[str, ...]:
    """Return the variables with a derivative: the inputs, then the parameters."""
    assigned = {s.name for s in reading.statements}
    found = dict.fromkeys(v for s in reading.statements for v in names([s.value]) if v not in assigned)
    declared = {p.name: "parameter" for p in spec.params} | {c.name: "constant" for c in spec.consts}
    used = {*found, *(v for _, text in spec.grads for s in parse(text).statements for v in names([s.value]))}
    for label, kind in declared.items():
        if label in assigned:
            statement = next(s for s in reading.statements if s.name == label)
            hint = "Declare it or assign it, not both."
            raise _error(reading, f"the {kind} {label!r} is assigned", statement, hint)
        if label not in used:
            raise _absent(reading, f"the {kind} {label!r} does not appear in the formula", found)
    free = tuple(x for x in found if x not in declared)
    if not free:
        message = "the formula has no input"
        hint = "A layer needs a tensor: write for example 2*x."
        raise FormulaError(message, hint, reading.text, 0, len(reading.text))
    return (*_listed(reading, free, spec), *(p.name for p in spec.params))


def _listed(reading: Reading, found: tuple[str, ...], spec: Spec) -> tuple[str, ...]:
    """Return the inputs in the order that was asked for."""
    if spec.inputs is None:
        return found
    for variable in found:
        if variable not in spec.inputs:
            close = closest(variable, spec.inputs)
            hint = f"Did you mean {close!r}?" if close else f"The inputs are {', '.join(spec.inputs)}."
            raise reading.error(f"{variable!r} is not among the inputs", name(variable), hint)
    for variable in spec.inputs:
        if variable not in found:
            raise _absent(reading, f"the input {variable!r} does not appear in the formula", found)
    return spec.inputs


def _absent(reading: Reading, message: str, found: Iterable[str]) -> FormulaError:
    return FormulaError(message, f"It has {', '.join(found)}.", reading.text, 0, len(reading.text))
