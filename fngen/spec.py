"""The validated request: what a user asked for, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fngen.errors import OptionError
from fngen.naming import IDENTIFIER, check_layer_name

BACKENDS = ("torch",)


@dataclass(frozen=True, slots=True)
class Spec:
    """A request for one layer. An emitted file is a function of this alone.

    Attributes:
        formula: The formula on one line, otherwise as it was typed.
        name: Name of file and function, or None to derive one from the formula.
        inputs: The inputs in order, or None for the order of first appearance.
        backends: What the file contains.
        lean: Whether a node keeps inputs and outputs only.
        complex: Whether the inputs are complex tensors.
    """

    formula: str
    name: str | None = None
    inputs: tuple[str, ...] | None = None
    backends: tuple[str, ...] = ("torch",)
    lean: bool = False
    complex: bool = False

    @classmethod
    def create(
        cls,
        formula: str,
        *,
        name: str | None = None,
        inputs: Iterable[str] | None = None,
        backend: str | Iterable[str] = "torch",
        lean: bool = False,
        complex: bool = False,
    ) -> Spec:
        """Return the checked request.

        Raises:
            OptionError: If an option has a value that it cannot have.
        """
        if not isinstance(formula, str):
            raise OptionError(
                f"a formula is text or a SymPy expression, not {type(formula).__name__}",
                option="expr",
            )
        return cls(
            one_line(formula),
            None if name is None else check_layer_name(name),
            None if inputs is None else _inputs(inputs),
            _backends(backend),
            bool(lean),
            bool(complex),
        )


def one_line(text: str) -> str:
    """Return a formula with ``;`` for its line ends; inside brackets a line end is a space."""
    depth, out = 0, []
    for character in text.strip():
        depth += (character == "(") - (character == ")")
        if character == "\n" and depth <= 0:
            character = ";"
        out.append(" " if character in "\n\r\t" else character)
    statements = (part.strip() for part in "".join(out).split(";"))
    return "; ".join(filter(None, statements))


def _inputs(inputs: Iterable[str]) -> tuple[str, ...]:
    names = tuple(x.strip() for x in (inputs.split(",") if isinstance(inputs, str) else inputs))
    for name in names:
        if not IDENTIFIER.fullmatch(name) or name.startswith("__") or name == "pi":
            raise OptionError(
                f"the input {name!r} is not a name",
                "Write for example --inputs x,y.",
                option="inputs",
            )
        if names.count(name) > 1:
            raise OptionError(f"the input {name!r} is listed twice", option="inputs")
    return names


def _backends(backend: str | Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(b.strip() for b in (backend.split(",") if isinstance(backend, str) else backend))
    for name in wanted:
        if name not in BACKENDS:
            hint = f"Available: {', '.join(BACKENDS)}."
            raise OptionError(f"unknown backend {name!r}", hint, option="backend")
    return wanted
