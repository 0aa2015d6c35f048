"""What an emitted file computes, as data: nodes with their names and statements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fngen.alignment import Alignment
from fngen.constants import Constant
from fngen.declared import Const, Param
from fngen.eager import Eager
from fngen.lower import Body

if TYPE_CHECKING:
    from fngen.kernel import Kernels
    from fngen.several import Several


@dataclass(frozen=True)
class Names:
    """The identifiers of a node's arguments and results in the emitted file."""

    inputs: tuple[str, ...]
    output: str
    tangents: tuple[str, ...]
    gradients: tuple[str, ...]
    cotangent: str


@dataclass(frozen=True)
class Node:
    """One autograd node: a function of tensors with its derivatives.

    Attributes:
        function: The name of the function that applies it.
        cls: The stem of its class names.
        names: Its identifiers.
        scalars: Which inputs are Python numbers and have no gradient.
        leaves: The inputs that its derivatives are made of, or its output alone.
        forward: The statements of the value.
        backward: The statements of the gradients, a target for each tensor input.
        jvp: The statements of the tangent.
        reduction: The method that reduces the value to a scalar, or None.
        scalar_cotangent: Whether the cotangent of a reduction need not be spread over what was
            reduced: the only derivative has that shape.
        eager: The node for plain tensors, if there is one.
        complex: Whether its tensors may be complex.
        narrow_gradients: Whether a real input's gradient may come out complex: its real part is meant.
        narrow_tangent: Whether a real result's tangent may.
        raw: Whether torch does not differentiate its forward, or not as the layer does.
        inserted: The dimensions that its cotangent lacks.
        shapes: The leaves of which only the shape is kept.
        typings: For the one output the tensors that have a say in its type.
        again: Whether its derivatives are nodes themselves, for second ones.
        reasons: Why the value and each derivative have the form that they have.
        doc: What it is, where it is neither the formula nor a function of torch.
    """

    function: str
    cls: str
    names: Names
    scalars: tuple[bool, ...]
    leaves: tuple[str, ...]
    forward: Body
    backward: Body
    jvp: Body
    reduction: str | None = None
    scalar_cotangent: bool = False
    eager: Eager | None = None
    raw: bool = False
    complex: bool = False
    narrow_gradients: bool = False
    narrow_tangent: bool = False
    inserted: tuple[int, ...] = ()
    shapes: frozenset[str] = frozenset()
    typings: tuple[frozenset[str], ...] = ()
    again: bool = False
    reasons: tuple[tuple[str, ...], ...] = ()
    doc: str = ""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of its results."""
        return (self.names.output,)

    @property
    def cotangents(self) -> tuple[str, ...]:
        """The names of their gradients."""
        return (self.names.cotangent,)

    @property
    def insertions(self) -> tuple[tuple[int, ...], ...]:
        """The dimensions that each of these lacks."""
        return (self.inserted,)

    @property
    def bodies(self) -> list[Body]:
        """The statements of every function."""
        own = [self.forward, self.backward, self.jvp]
        return own + (self.eager.bodies if self.eager else [])

    @property
    def every_input(self) -> int:
        """A mask with a bit for each input."""
        return (1 << self.scalars.count(False)) - 1

    @property
    def reverse(self) -> str:
        """The class that holds the value and the reverse-mode rule."""
        return f"{'' if self.cls.startswith('_') else '_'}{self.cls}Reverse"

    @property
    def forward_mode(self) -> str:
        """The class that adds the forward-mode rule."""
        return f"{self.cls}Function"

    @property
    def eager_class(self) -> str:
        """The class for plain tensors."""
        return f"_{self.cls}Eager"


@dataclass(frozen=True)
class Layer:
    """All that an emitted file computes.

    Attributes:
        main: Its node, of one output or of several.
        parameters: The inputs of the function that users call.
        arguments: What the function hands to the node, as text; constants are not among them.
        numbers: The constants that the node takes too.
        params: The learnable parameters, by the function's names.
        consts: All constants, by the function's names.
        helpers: The nodes of functions that torch does not differentiate.
        constants: The numbers at the top of the file.
        alignment: The sizes that the node takes for granted.
        floating: Whether integers become numbers of the default type before anything else: a form that
            was not typed may negate a byte, which would wrap.
        kernels: The same in the languages of other backends, by their names.
        missing: Why it is not, if that was asked for.
    """

    main: Node | Several
    parameters: tuple[str, ...]
    arguments: tuple[str, ...]
    helpers: tuple[Node, ...]
    constants: tuple[Constant, ...]
    numbers: tuple[str, ...] = ()
    params: tuple[Param, ...] = ()
    consts: tuple[Const, ...] = ()
    alignment: Alignment = field(default_factory=Alignment)
    floating: bool = False
    kernels: dict[str, Kernels] | None = None
    missing: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The parameters of the function that are no learnable ones."""
        return self.parameters[: len(self.parameters) - len(self.params)]
