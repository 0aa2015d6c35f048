"""What a Python function is called with when it is read: values that note what is done to them."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import ContextVar
from decimal import Decimal
from fractions import Fraction
from functools import partial
from numbers import Rational, Real
from typing import Any, NoReturn

from fngen.errors import OptionError
from fngen.functions import NAMES
from fngen.ir import Value, tree_size
from fngen.language.build import FORMS, Builder
from fngen.language.operand import Call, Operand
from fngen.language.tokens import Token
from fngen.printing.formula import FormulaPrinter
from fngen.suggest import closest

CALLABLE = frozenset(NAMES) | frozenset(FORMS)
"""The functions of formulas."""
BUILDER: ContextVar[Builder] = ContextVar("BUILDER")
"""What checks the operations of the function that is being read."""
_CHOOSE = (
    "Write fn.where(x > 0, a, b) of fngen.fn, or torch.where. Conditions are joined with & and |, negated"
    " with ~, and not chained: (0 < x) & (x < 1). For max and min there are fn.max and fn.min."
)
_LONGEST_REPR = 200


class NoAttribute(OptionError, AttributeError):
    """An attribute that tensors have and a value of a formula has not."""


def _binary(op: str) -> Callable[[Traced, object], Traced]:
    return lambda self, other: operation(op, self, other)


def _reflected(op: str) -> Callable[[Traced, object], Traced]:
    return lambda self, other: operation(op, other, self)


class Traced:
    """A value of the formula that is being read."""

    __slots__ = ("node",)

    def __init__(self, node: Value) -> None:
        self.node = node

    __add__, __radd__ = _binary("add"), _reflected("add")
    __sub__, __rsub__ = _binary("sub"), _reflected("sub")
    __mul__, __rmul__ = _binary("mul"), _reflected("mul")
    __truediv__, __rtruediv__ = _binary("div"), _reflected("div")
    __floordiv__, __rfloordiv__ = _binary("floor_divide"), _reflected("floor_divide")
    __mod__, __rmod__ = _binary("remainder"), _reflected("remainder")
    __pow__, __rpow__ = _binary("pow"), _reflected("pow")
    __lt__, __le__, __gt__, __ge__ = map(_binary, ("lt", "le", "gt", "ge"))
    __eq__, __ne__ = _binary("eq"), _binary("ne")  # type: ignore[assignment]
    __and__, __rand__ = _binary("and"), _reflected("and")
    __or__, __ror__ = _binary("or"), _reflected("or")
    __hash__ = object.__hash__

    def __neg__(self) -> Traced:
        return operation("neg", self)

    def __pos__(self) -> Traced:
        return self

    def __invert__(self) -> Traced:
        return operation("not", self)

    def __abs__(self) -> Traced:
        return call("abs", self)

    def __round__(self, digits: object = None) -> Traced:
        return call("round", self, *(() if digits is None else (digits,)))

    def __floor__(self) -> Traced:
        return call("floor", self)

    def __ceil__(self) -> Traced:
        return call("ceil", self)

    def __trunc__(self) -> Traced:
        return call("trunc", self)

    def _no_operator(self, *_: object) -> NoReturn:
        raise error("a formula has neither '^' nor '@'", "A power is written with '**'.")

    __xor__ = __rxor__ = __matmul__ = __rmatmul__ = _no_operator

    def __bool__(self) -> NoReturn:
        raise error("a choice depends on the value of a tensor: Python's if, and, or, not, max, min", _CHOOSE)

    def _no_number(self, *_: object) -> NoReturn:
        hint = "Take functions from fngen.fn, torch or numpy: fn.sin(x), torch.sin(x)."
        raise error("a number is wanted where the function has a tensor, as by math.sin", hint)

    __float__ = __int__ = __index__ = __complex__ = __array__ = _no_number

    def _no_sequence(self, *_: object) -> NoReturn:
        raise error("the parts of a tensor are no part of a formula", "Make each an argument.")

    __iter__ = __len__ = __getitem__ = __contains__ = _no_sequence

    def __getattr__(self, attribute: str) -> Any:
        from fngen.libraries import method

        found = method(attribute)
        if found is not None:
            return partial(found, self)
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise NoAttribute(f"a value of a formula has no attribute {attribute!r}", option="expr")

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Traced:
        from fngen.libraries import of_library

        return of_library("torch", func.__name__, *args, **(kwargs or {}))

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Traced:
        from fngen.libraries import of_library

        return of_library("numpy", ufunc.__name__ if method == "__call__" else method, *args, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Traced:
        from fngen.libraries import of_library

        return of_library("numpy", func.__name__, *args, **kwargs)

    def __repr__(self) -> str:
        if tree_size(self.node) > _LONGEST_REPR:
            return "<a long formula>"
        return f"<{FormulaPrinter().print(self.node)}>"


def operation(op: str, *args: object) -> Traced:
    """Return an operator applied to values and numbers."""
    build, operands = _builder(), tuple(map(operand, args))
    if op in ("and", "or", "not"):
        return Traced(build.logic(op, operands, 0, 0).node)
    return Traced(build.arithmetic(op, operands, 0, 0).node)


def call(name: str, *args: object, **keywords: object) -> Traced:
    """Return a function of formulas applied to values and numbers."""
    given = {label: operand(x) for label, x in keywords.items()}
    request = Call(Token("name", name, 0, 0), tuple(map(operand, args)), given, 0)
    return Traced(_builder().call(request).node)


def operand(x: object) -> Operand:
    """Return a value, a number, a truth value or a list of them as the builder takes it."""
    if isinstance(x, Traced):
        return Operand(x.node, 0, 0)
    if isinstance(x, bool):
        return _builder().make("true" if x else "false", (), 0, 0)
    if isinstance(x, tuple | list) and x:
        pair = tuple(map(operand, x))
        return Operand(pair[0].node, 0, 0, pair=pair if len(pair) > 1 else ())
    if isinstance(x, Real | Decimal):
        return _number(x)
    kind = type(x).__name__
    if hasattr(x, "shape"):
        raise error(f"a {kind} is no number", "Make it an argument, or take .item() of it.")
    if isinstance(x, complex):
        raise error("a formula has no complex numbers", "Make it an argument, and call the layer with it.")
    raise error(f"a {kind} is no part of a formula", "Values are made of arguments and numbers.")


def _number(x: Real | Decimal) -> Operand:
    """Return a number: an integer or fraction exactly, a float as the shortest decimal that is it."""
    build = _builder()
    if not isinstance(x, Rational) and not math.isfinite(x):
        raise error(f"{x} is no number of a formula")
    if isinstance(x, Rational):
        whole = (abs(int(x.numerator)), int(x.denominator))
        parts = [build.make("number", (), 0, 0, Fraction(n)) for n in whole]
        size = parts[0] if whole[1] == 1 else build.arithmetic("div", tuple(parts), 0, 0)
    else:
        size = build.make("number", (), 0, 0, Decimal(repr(abs(float(x)))))
    return build.arithmetic("neg", (size,), 0, 0) if x < 0 else size


def function(name: str) -> Callable[..., Traced]:
    """Return the function of that name.

    Raises:
        NoAttribute: If formulas have none.
    """
    if name in CALLABLE:
        return partial(call, name)
    close = closest(name, CALLABLE)
    hint = f"Did you mean {close!r}? " if close else ""
    raise NoAttribute(
        f"formulas have no function {name!r}", hint + "`fngen functions` lists them all.", option="expr"
    )


def _builder() -> Builder:
    """Return what checks the operations; outside a function that is read, for numbers, a new one."""
    return BUILDER.get(None) or Builder("")


def error(message: str, hint: str = "") -> OptionError:
    """Return the error of a function that is no formula."""
    return OptionError(message, hint, option="expr")
