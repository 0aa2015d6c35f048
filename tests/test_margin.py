"""Long names: every line of an emitted file is within the margin, and laid out as Black would."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

import black
import pytest

import fngen
from fngen import problem
from fngen.lower import MARGIN
from fngen.margin import fitted
from tests.layer_rows import ROWS

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CALLED = r"(?<![\w.])[A-Za-z_]\w*(?!\w*\s*\()"


def lengthened(formula: str, options: Mapping[str, Any], length: int) -> tuple[str, dict[str, Any]]:
    """Return a layer all whose names are of so many characters."""
    read = problem.read(fngen.generate(formula, name="layer", **{**options, "stabilise": False}).spec)
    assigned = re.findall(r"(?:^|;)\s*(\w+)\s*=(?!=)", formula)
    long = {
        x: f"{x}_{LETTERS}{LETTERS}"[:length]
        for x in (*read.inputs, *(c.name for c in read.consts), *assigned)
    }

    def renamed(given: Any) -> Any:
        if isinstance(given, str):
            return re.sub(CALLED, lambda match: long.get(match.group(), match.group()), given)
        if isinstance(given, Mapping):
            return {renamed(key): renamed(item) for key, item in given.items()}
        return list(map(renamed, given)) if isinstance(given, list | tuple) else given

    return renamed(formula), {key: renamed(given) for key, given in options.items()}


def emitted(formula: str, options: Mapping[str, Any], length: int) -> str:
    formula, options = lengthened(formula, options, length)
    return fngen.generate(formula, name=f"layer_{LETTERS}"[:length], **options).text


def departures(text: str) -> list[str]:
    """Return the lines that are too long, and those that Black would change."""
    long = [line for line in text.splitlines() if len(line) > MARGIN]
    styled = black.format_str(text, mode=black.Mode())
    return long + list(difflib.unified_diff(text.splitlines(), styled.splitlines(), lineterm="", n=0))


@pytest.mark.parametrize("length", [20, 30])
@pytest.mark.parametrize("name", ROWS)
def test_long_names_stay_within_the_margin(name: str, length: int) -> None:
    assert not departures(emitted(ROWS[name].formula, ROWS[name].options, length))


OTHERS = {
    "u = x*y; v = sin(u) + x": {"outputs": ["u", "v"]},
    "u = a*x + b; v = u*c; w = sin(u)*c + a/(1 + u**2)": {"params": {"a": 1.0, "b[C]": 1.0, "c[-1]": 0.0}},
    "p = softmax(x, dim=-1); h = -sum(p*log(p), dim=-1)": {"outputs": ["p", "h"]},
    "i = sigmoid(p); f = sigmoid(q); c = f*c0 + i*tanh(r); h = sigmoid(s)*tanh(c)": {"outputs": ["h", "c"]},
    "heaviside(x)*w + round(y)": {"grads": {"x": "1/(1 + (pi*x)**2)", "y": "w"}},
    "a*b*c*d*f*g*h*j": {},
    "abs(z)**2*w + re(z*conj(v))": {"complex": True},
    "floor(x/a)*b + Mod(x, a) + atan2(x, b)": {"params": {"a": 1.0, "b[C]": 2.0}},
    "where(x > 0 and x < a or y == 0, x*a, y*b)": {"params": {"a": 1.0, "b[C]": 2.0}},
    "norm(x - mean(x, dim=1), p=3, dim=1)/(std(y, dim=1) + eps)": {"consts": {"eps": 1e-3}},
}


@pytest.mark.parametrize("length", [15, 20, 30])
@pytest.mark.parametrize("formula", OTHERS)
def test_long_names_of_results_and_in_rare_statements(formula: str, length: int) -> None:
    assert not departures(emitted(formula, OTHERS[formula], length))


LINES = {
    "    u = torch.addcmul({0}, {1}, {2})": 3,
    "    grad_x = {0}.addcmul_({1}, {2})": 3,
    "    u = torch.where({0} > {1}, {1}, {2})": 3,
    "    return {0} * {1}, {2}, None": 3,
    "    if {0}.shape != {1}.shape or {1}.dim() != {2}.dim():": 3,
    "    {0}, {1}, {2}, _ = inputs": 3,
    "    {0} = {1} * {2}": 3,
    "    u = torch.log_softmax({0}.flatten(-2), dim=-1).view_as({1}.expand({2}))": 3,
    "    u = {0}.real if {1} else {2}": 3,
    "    u = torch.addcmul({0} - {1} + {2}, {1} * {2}, {0})": 3,
    "    if {0}.numel() != {1}.numel() or {1}.shape[:1].numel() != {2}.shape[1:].numel():": 3,
    "    u = f(lambda {0}, {1}: {0} * {1}, {2}, {0})": 3,
    "    {0} = forward_ad.unpack_dual(ctx.saved_tensors[0]).primal": 1,
    "    if {0}.numel() != {1}.numel() or {1}.shape[:1].numel() != {2}.numel():": 3,
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("length", range(8, 24, 3))
def test_statements_are_laid_out_as_black_does(line: str, length: int) -> None:
    names = [f"{x}_{LETTERS}{LETTERS}"[:length] for x in "xyz"]
    text = f"def f():\n{line.format(*names)}\n".replace(":\n\n", ":\n")
    if line.endswith(":"):
        text += "        pass\n"
    assert fitted(text) == black.format_str(text, mode=black.Mode())


def test_what_is_short_is_left_alone() -> None:
    text = fngen.generate("x*sigmoid(beta*x)", name="swish", params={"beta": 1.0}).text
    assert fitted(text) is text


def test_a_long_name_of_the_layer_itself() -> None:
    name = "a_gate_of_a_name_that_is_very_long"
    assert not departures(fngen.generate("x*sigmoid(beta*x)*k", consts={"k": 1}, name=name).text)


def test_an_entry_of_a_docstring_goes_on_in_the_next_line() -> None:
    row = ROWS["cosine_similarity"]
    text = emitted(row.formula, row.options, 30)
    entry = re.search(r"^ +y_\w+: Real.*\n(?: {12}.*\n)+", text, re.MULTILINE)
    assert entry
    assert " ".join(entry.group().split()).endswith(f"broadcastable with ``{f'x_{LETTERS}{LETTERS}'[:30]}``.")
