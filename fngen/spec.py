"""The validated request: what a user asked for, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fngen import declared
from fngen.declared import Const, Param
from fngen.errors import FormulaError, OptionError
from fngen.language.symbols import plain, transcribe
from fngen.language.transcript import Transcript
from fngen.naming import IDENTIFIER, check_layer_name

BACKENDS = ("torch", "c", "triton")
MOST_EFFORT = 100
Declarations = Mapping[str, object] | Iterable[str]
"""``{"beta": 1.0}``, or ``["beta=1.0"]``."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A request for one layer. An emitted file is a function of this alone.

    Attributes:
        formula: The formula on one line and in plain text, otherwise as it was typed.
        name: Name of file and function, or None to derive one from the formula.
        inputs: The inputs in order, or None for the order of first appearance.
        backends: What the file contains.
        lean: Whether a node keeps inputs and outputs only.
        complex: Whether the inputs are complex tensors.
        params: The learnable parameters.
        consts: The numbers that module and function can override.
        grads: The inputs whose gradient is declared, and its formula.
        outputs: The assigned names that come back, or None for those that are not used.
        stabilise: Whether it is computed in a form that keeps its digits, which need not be the written one.
        accurate: Whether float32 is computed in float64, as narrower types are in float32.
        effort: How many times as much time digits are worth, of the generator and of the layer.
        transcripts: What was typed in place of plain text, for errors to mark. No part of the request.
    """

    formula: str
    name: str | None = None
    inputs: tuple[str, ...] | None = None
    backends: tuple[str, ...] = ("torch",)
    lean: bool = False
    complex: bool = False
    params: tuple[Param, ...] = ()
    consts: tuple[Const, ...] = ()
    grads: tuple[tuple[str, str], ...] = ()
    outputs: tuple[str, ...] | None = None
    stabilise: bool = True
    accurate: bool = False
    effort: int = 1
    transcripts: tuple[Transcript, ...] = field(default=(), compare=False, repr=False)

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
        params: Declarations = (),
        consts: Declarations = (),
        grads: Declarations = (),
        outputs: Iterable[str] | None = None,
        latex: bool = False,
        stabilise: bool = True,
        accurate: bool = False,
        effort: int = 1,
    ) -> Spec:
        """Return the checked request in plain text; what it says overrides what the formula's text declares.

        Raises:
            OptionError: If an option has a value that it cannot have.
        """
        written, inside = _written(formula, latex=latex)
        name = inside.get("name") if name is None else name
        inputs = inside.get("inputs") if inputs is None else inputs
        outputs = inside.get("outputs") if outputs is None else outputs
        slopes = _slopes(inside.get("grads", ()), grads)
        return cls(
            written.text,
            None if name is None else check_layer_name(name),
            None if inputs is None else _names(inputs, "input"),
            _backends(backend),
            bool(lean),
            bool(complex),
            _both(declared.params(inside.get("params", ())), declared.params(params)),
            _both(declared.consts(inside.get("consts", ())), declared.consts(consts)),
            tuple((label, slope.text) for label, slope in slopes.items()),
            None if outputs is None else _names(outputs, "output"),
            bool(stabilise),
            bool(accurate),
            _effort(effort),
            tuple(t for t in (written, *slopes.values()) if t.text != t.typed),
        )

    @contextmanager
    def as_typed(self) -> Iterator[None]:
        """Let errors inside mark their place in what was typed, not in its plain text."""
        try:
            yield
        except FormulaError as error:
            for transcript in self.transcripts:
                error = transcript.marked(error)
            raise error from None

    def __post_init__(self) -> None:
        """Refuse a name in two roles."""
        roles = [("parameter", p.name) for p in self.params] + [("constant", c.name) for c in self.consts]
        roles += [("input", x) for x in self.inputs or ()]
        seen: dict[str, str] = {}
        for role, label in roles:
            if label in seen:
                hint = f"Leave it out of the {role}s."
                message = f"{label!r} is a {seen[label]} and also listed as {role}"
                raise OptionError(message, hint, option=role)
            seen[label] = role


def _effort(effort: object) -> int:
    """Return how much digits are worth."""
    try:
        times = int(str(effort))
    except ValueError:
        times = 0
    if not 1 <= times <= MOST_EFFORT:
        hint = "1 is the default: digits must not cost much time."
        raise OptionError(f"effort takes an int from 1 to {MOST_EFFORT}, not {effort}", hint, option="effort")
    return times


T = TypeVar("T", Param, Const)


def _both(inside: tuple[T, ...], outside: tuple[T, ...]) -> tuple[T, ...]:
    """Return declarations, those of the text overridden by the others of the same name."""
    found = {x.name: x for x in inside} | {x.name: x for x in outside}
    return tuple(found.values())


def _written(formula: str, *, latex: bool) -> tuple[Transcript, dict[str, Any]]:
    """Return the statements of a formula in plain text, and what it declares."""
    if not isinstance(formula, str):
        message = f"a formula is text, a SymPy expression or a function, not {type(formula).__name__}"
        raise OptionError(message, option="expr")
    if latex:
        from fngen.language.latex import transcribe_latex

        return transcribe_latex(formula), {}
    statements, inside = declared.split(formula)
    return transcribe(statements), inside


def _slopes(inside: Declarations, outside: Declarations) -> dict[str, Transcript]:
    """Return the declared gradients, those of the text overridden by the others of the same input."""
    found = dict(declared.grads(inside)) | dict(declared.grads(outside))
    return {label: transcribe(text) for label, text in found.items()}


def _names(listed: Iterable[str], kind: str) -> tuple[str, ...]:
    """Return the names of inputs or outputs."""
    names = tuple(plain(x.strip()) for x in (listed.split(",") if isinstance(listed, str) else listed))
    for name in names:
        if not IDENTIFIER.fullmatch(name) or name.startswith("__") or name == "pi":
            raise OptionError(
                f"the {kind} {name!r} is not a name",
                f"Write for example --{kind}s x,y.",
                option=f"{kind}s",
            )
        if names.count(name) > 1:
            raise OptionError(f"the {kind} {name!r} is listed twice", option=f"{kind}s")
    return names


def _backends(backend: str | Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(b.strip() for b in (backend.split(",") if isinstance(backend, str) else backend))
    for name in wanted:
        if name not in BACKENDS:
            hint = f"Available: {', '.join(BACKENDS)}."
            raise OptionError(f"unknown backend {name!r}", hint, option="backend")
    return wanted
