"""The example in a module's docstring, worked out without torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from struct import pack, unpack
from typing import Any

from fngen import grids
from fngen.grids import Grid
from fngen.ir import Over, value
from fngen.numeric import mp_evaluate
from fngen.problem import Problem
from fngen.spans import reduced

_VECTORS = ((-1.0, 0.0, 1.0), (1.0, 2.0, 3.0), (0.5, 1.0, 1.5), (0.2, 0.4, 0.6), (2.0, 3.0, 5.0))
_COMPLEX_VECTORS = ((1 + 2j, 3 - 1j), (0.5 + 1j, 1 - 0.5j), (0.2 - 0.4j, 0.6 + 0.1j), (2 + 3j, -1 + 1j))
_SCALARS = (3.0, 0.5, 2.0, 1.0, 0.1, -1.0)
_TRIES = 60


@dataclass(frozen=True)
class Example:
    """Arguments as Python text, and the tensor that the layer prints.

    Attributes:
        arguments: The arguments.
        result: The tensor.
        size: The length of the layer's parameters.
        learned: Whether it has any: its result has a gradient then, which is printed too.
    """

    arguments: tuple[str, ...]
    result: str
    size: int = 1
    learned: bool = False


def example(problem: Problem) -> Example | None:
    """Return the first example whose result is printed plainly, if there is one."""
    problem = problem.at_defaults()
    if problem.reduces:
        return _of_vectors(problem)
    vectors = _COMPLEX_VECTORS if problem.complex else _VECTORS
    learned = tuple(float(p.init) for p in problem.params)
    for vector, scalars in islice(_candidates(vectors, len(problem.inputs) - len(learned)), _TRIES):
        found = [_value(problem, (x, *scalars, *learned)) for x in vector]
        values = [value for value, _ in found]
        if all(map(_is_whole, values)) and not all(exact for _, exact in found):
            continue  # torch's own may be beside it.
        if problem.reduction:
            total = sum(v for v in values if v is not None) if None not in values else None
            values = [total if problem.reduction == "sum" or total is None else total / len(values)]
        shown = _tensor(values, scalar=bool(problem.reduction))
        if shown:
            others = (f"torch.tensor({s})" for s in scalars)
            return Example((_vector(vector), *others), shown, learned=bool(learned))
    return None


def _of_vectors(problem: Problem) -> Example | None:
    """Return an example in which every input is a vector, for a formula that reduces one dimension or all."""
    from mpmath import mp

    if reduced(problem.graphs) - {0, -1, None}:
        return None
    count = len(problem.inputs) - len(problem.params)
    choice = _COMPLEX_VECTORS if problem.complex else _VECTORS
    size = len(choice[0])
    learned = {p.name: Grid((size,), (mp.mpf(p.init),) * size) for p in problem.params if p.dim is not None}
    learned |= {p.name: grids.number(mp.mpf(p.init)) for p in problem.params if p.dim is None}
    for first in range(len(choice)):
        vectors = [choice[(first + i) % len(choice)] for i in range(count)]
        variables = [Grid((len(v),), tuple(map(mp.mpmathify, v))) for v in vectors]
        with mp.workdps(20):
            named = dict(zip(problem.inputs, variables, strict=False))
            root = (
                value(problem.reduction, problem.value, datum=Over()) if problem.reduction else problem.value
            )
            found = grids.evaluate(root, named | learned, real=not problem.complex).items
            values = [_number(v) for v in found]
        if not all(map(_is_whole, values)) and (
            shown := _tensor(values, scalar=len(found) == 1 and bool(problem.dropped or problem.reduction))
        ):
            return Example(tuple(map(_vector, vectors)), shown, size, bool(learned))
    return None


def _candidates(
    vectors: tuple[tuple[complex, ...], ...], count: int
) -> Iterator[tuple[tuple[complex, ...], tuple[float, ...]]]:
    """Yield values for the first input and for the others, the most readable first."""
    if count > 4:
        yield from ((v, (s,) * (count - 1)) for s in _SCALARS for v in vectors)
        return
    for scalars in product(_SCALARS, repeat=count - 1):
        yield from ((vector, scalars) for vector in (vectors if count == 1 else vectors[1:]))


def _value(problem: Problem, point: tuple[complex, ...]) -> tuple[complex | None, bool]:
    """Return the value, if there is one, and whether single precision is exact on the way to it."""
    from mpmath import mp

    with mp.workdps(20):
        variables = {x: mp.mpmathify(v) for x, v in zip(problem.inputs, point, strict=True)}
        values = mp_evaluate([problem.value], variables)
        number = _number(values[problem.value])
        return number, number is not None and all(map(_is_single, values.values()))


def _number(x: Any) -> complex | None:
    """Return a number of mpmath as one of Python, None for one that is not finite."""
    from mpmath import mp

    if not mp.isfinite(x):
        return None
    return complex(x) if isinstance(x, mp.mpc) else float(x)


def _vector(numbers: tuple[complex, ...]) -> str:
    return f"torch.tensor([{', '.join(str(x).strip('()') for x in numbers)}])"


def _is_whole(x: complex | None) -> bool:
    return x is None or (float(x.real).is_integer() and float(x.imag).is_integer())


def _is_single(x: Any) -> bool:
    """Say whether single precision holds a number as it is."""
    if isinstance(x, bool) or not (abs(x) < 2.0**100):
        return True
    return all(unpack("f", pack("f", float(part)))[0] == part for part in (x.real, x.imag))


def _tensor(values: list[complex | None], scalar: bool) -> str:
    """Return how torch prints these values in single precision, or nothing where that is unsure."""
    numbers = [v for v in values if v is not None]
    if len(numbers) < len(values) or not any(numbers):
        return ""
    texts = _texts([v.real for v in numbers])
    if any(isinstance(v, complex) for v in numbers):
        imaginary = [text.strip() for text in _texts([v.imag for v in numbers])]
        signs = ["" if text.startswith("-") else "+" for text in imaginary]
        texts = [f"{a}{sign}{b}j" for a, sign, b in zip(texts, signs, imaginary, strict=False)]
    if not texts:
        return ""
    return f"tensor({texts[0]})" if scalar else f"tensor([{', '.join(texts)}])"


def _texts(numbers: list[float]) -> list[str]:
    """Return how torch prints the elements of a tensor, or nothing where that is unsure."""
    sizes = [abs(v) for v in numbers if v]
    if sizes and max(sizes) >= 1e5:
        return []
    if all(v == round(v) for v in numbers):
        texts = [f"{v:.0f}." for v in numbers]
    elif min(sizes) < 1e-3 or max(sizes) / min(sizes) > 900 or any(map(_is_tie, numbers)):
        return []
    else:
        texts = [f"{v + 0.0:.4f}" for v in numbers]
    width = max(map(len, texts))
    return [text.rjust(width) for text in texts]


def _is_tie(x: float) -> bool:
    """Say whether the fifth decimal is so close to a tie that float32 may round it the other way."""
    return abs(abs(x) * 1e4 % 1 - 0.5) < 0.05
