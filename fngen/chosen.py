"""Declared gradients: what stands for the derivative by an input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fngen.errors import FormulaError, OptionError
from fngen.ir import Value, name, names, substitute
from fngen.language.parse import Reading, parse
from fngen.reducing import check_dimensions, check_reductions
from fngen.spans import Span, spans
from fngen.spec import Spec
from fngen.suggest import closest


@dataclass(frozen=True)
class Chosen:
    """The declared gradient by one input.

    Attributes:
        input: The input.
        reading: The text.
        graph: What it says, in terms of the inputs.
    """

    input: str
    reading: Reading
    graph: Value

    def error(self, message: str, hint: str) -> FormulaError:
        """Return the error that marks the whole expression."""
        (statement,) = self.reading.statements
        return FormulaError(message, hint, self.reading.text, statement.start, statement.end)


def chosen(spec: Spec, inputs: tuple[str, ...], images: Mapping[Value, Value]) -> list[Chosen]:
    """Return the declared gradients of a request.

    Args:
        spec: The request.
        inputs: The inputs of the layer.
        images: The intermediates of its formula, in terms of inputs and constants.
    """
    known = [*inputs, *(c.name for c in spec.consts), *(str(leaf.datum) for leaf in images)]
    found = []
    for label, text in spec.grads:
        if label not in inputs:
            close = closest(label, inputs)
            hint = f"Did you mean {close!r}?" if close else f"The inputs are {', '.join(inputs)}."
            raise OptionError(f"a gradient is declared of {label!r}, which is no input", hint, option="grad")
        reading = parse(text)
        last = reading.statements[-1]
        if len(reading.statements) > 1 or last.name:
            hint, message = (
                "Intermediates of the layer's formula may be used in it.",
                "a declared gradient is one expression",
            )
            raise FormulaError(message, hint, reading.text, last.start, last.end)
        for variable in names([last.value]):
            if variable not in known:
                close = closest(variable, known)
                hint = f"Did you mean {close!r}?" if close else f"The layer has {', '.join(known)}."
                raise reading.error(f"{variable!r} is unknown to the layer", name(variable), hint)
        if spec.complex:
            raise OptionError("a complex layer has no declared gradient", option="grad")
        check_reductions(reading, [last.value], spec.consts)
        found.append(Chosen(label, reading, substitute(last.value, images)))
    return found


def check_fit(declared: list[Chosen], result: Value, known: Mapping[str, Span]) -> None:
    """Refuse a gradient with dimensions that neither its input nor the result has.

    Args:
        declared: The declared gradients.
        result: The formula.
        known: What each input spans.
    """
    for gradient in declared:
        check_dimensions(gradient.reading, [gradient.graph], known)
        found = spans([result, gradient.graph], known)
        lost = found[gradient.graph] - found[result] - known[gradient.input]
        if lost:
            dims = sorted(d for d in lost if d is not None)
            what = f"dimension {dims[0]}" if dims else "the dimensions of the inputs"
            message = f"this has {what}, which neither {gradient.input!r} nor the result has"
            where = f"dim={dims[0]}" if dims else "..."
            call = f"sum(..., {where})" if dims else "sum(...)"
            raise gradient.error(message, f"Reduce it in the declared gradient too, as in {call}.")
