"""One row of the function table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Function:
    """All that fngen knows about a function. Formulas are in fngen's own language.

    Attributes:
        name: The name in formulas.
        signature: Parameters with their defaults, ``"x, alpha=1"``.
        derivative: The partial derivative by each parameter, at a kink what torch says;
            ``None`` where none is known. Empty: the definition is differentiated.
        torch: The operator, as an emitted file spells it. Empty: the definition is emitted.
        definition: The function in terms of others; needed without ``torch`` or ``mpmath``.
        mpmath: The function of that name in mpmath, after a space its fixed first argument.
        aliases: Other names under which formulas may call it.
        domain: Where it is real, in words; a point is ``x``.
        note: What a reader of another library's manual might not expect.
        latex: Its name in mathematics; empty: upright text.
        parity: 1 if even in its only argument, -1 if odd, else 0.
        scalars: The parameters for which torch takes a Python number beside a tensor.
        numbers: Those for which torch takes nothing else: with a tensor the definition is emitted.
        integers: The parameters that must be integer constants.
        complement: Something that derivatives are made of, and the same by the result ``y``,
            as ``sigmoid(-x)`` is ``1 - y``: cheaper, but of fewer digits where it cancels.
        vjp: The product of its derivative by the first parameter with ``g``, as one call of aten.
        native: Whether torch differentiates its operator rightly and to any order. If
            not, an emitted file wraps it in an autograd node of its own.
    """

    name: str
    signature: str = "x"
    derivative: tuple[str | None, ...] = ()
    torch: str = ""
    definition: str = ""
    mpmath: str = ""
    aliases: tuple[str, ...] = ()
    domain: str = "all x"
    note: str = ""
    latex: str = ""
    parity: int = 0
    scalars: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    integers: frozenset[str] = frozenset()
    complement: tuple[str, str] | None = None
    vjp: str = ""
    native: bool = True

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, in order."""
        return tuple(p.partition("=")[0].strip() for p in self.signature.split(","))

    @cached_property
    def defaults(self) -> dict[str, str]:
        """The default of each parameter that has one, as formula text."""
        pairs = (p.partition("=")[::2] for p in self.signature.split(",") if "=" in p)
        return {name.strip(): text.strip() for name, text in pairs}

    @property
    def arities(self) -> range:
        """The numbers of arguments that a call may have."""
        return range(len(self.parameters) - len(self.defaults), len(self.parameters) + 1)
