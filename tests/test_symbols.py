"""Formulas as scientists type them: the same graph as in plain text, or a message that marks the place."""
# ruff: noqa: RUF001

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import fngen
from fngen import recipe
from fngen.cli import main
from fngen.errors import FormulaError
from fngen.greek import LETTERS
from fngen.language.parse import parse
from fngen.language.symbols import transcribe

SAME = {
    "β·x": "beta*x",
    "β × x": "beta*x",
    "x ÷ σ²": "x/sigma**2",
    "x − y": "x - y",
    "−x²": "-(x**2)",
    "2²": "2**2",
    "x⁻¹": "x**(-1)",
    "x²⁄2": "(x**2)/2",
    "x¹²·y": "x**12*y",
    "(x + 1)³": "(x + 1)**3",
    "exp(x)²": "exp(x)**2",
    "√x": "sqrt(x)",
    "√x·y": "sqrt(x)*y",
    "√(x+1)·y": "sqrt(x + 1)*y",
    "√ (x + y)/2": "sqrt(x + y)/2",
    "√√x": "sqrt(sqrt(x))",
    "√sin(x) + y": "sqrt(sin(x)) + y",
    "√|x| + y": "sqrt(abs(x)) + y",
    "√((x))": "sqrt(x)",
    "(√x)²": "sqrt(x)**2",
    "√2·x": "sqrt(2)*x",
    "∛x": "cbrt(x)",
    "2·π·x": "2*pi*x",
    "|x|": "abs(x)",
    "|x|²": "abs(x)**2",
    "||x| - 1|": "abs(abs(x) - 1)",
    "|x + |y||·|x|": "abs(x + abs(y))*abs(x)",
    "|x*|y|*x|": "abs(x*abs(y)*x)",
    "max(|x|, |y|)": "max(abs(x), abs(y))",
    "|sin(x)|": "abs(sin(x))",
    "x if |x| ≤ 1 else y": "x if abs(x) <= 1 else y",
    "where(x ≠ y ∧ ¬(x ≥ 1), x, y)": "where(x != y and not (x >= 1), x, y)",
    "where(x < 0 ∨ x > 1, x, 0)": "where(x < 0 or x > 1, x, 0)",
    "x₁ + x₁₂·xᵢ": "x1 + x12*x_i",
    "log₂(x) + log₁₀(x)": "log2(x) + log10(x)",
    "λ·x + σ_x + Δ_t": "lambda*x + sigma_x + Delta_t",
    "x·σ(β·x)": "x*sigmoid(beta*x)",
    "Γ(x) + ψ(x) + Φ(x)": "gamma(x) + digamma(x) + ndtr(x)",
    "µ + ħ·x": "mu + hbar*x",
    "s = σ(x); s² + s": "s = sigmoid(x); s**2 + s",
    "π + pi·x": "pi + pi*x",
}


@pytest.mark.parametrize(("typed", "plain"), SAME.items(), ids=ascii)
def test_the_same_graph(typed: str, plain: str) -> None:
    mine, theirs = parse(transcribe(typed).text), parse(plain)
    assert [(s.name, s.value) for s in mine.statements] == [(s.name, s.value) for s in theirs.statements]


REFUSED = {
    # two ways to read it
    "βx": ("product or one name", "βx"),
    "x·2β": ("an operator is missing", "β"),
    "Δt²": ("product or one name", "Δt"),
    "x + αβ": ("product or one name", "αβ"),
    "x + √x²": ("a power of a root", "²"),
    "√x**2": ("a power of a root", "**"),
    "√(x + 1)²": ("a power of a root", "²"),
    "x²**y": ("a power of a power", "**"),
    "x² ³": ("a power of a power", "³"),
    "β(x)": ("no function", "β"),
    "sin²(x)": ("the power of a function", "²"),
    "x²(y + 1)": ("an operator is missing", "("),
    "x²y": ("an operator is missing", "y"),
    "2√x": ("an operator is missing", "√"),
    "x√y": ("an operator is missing", "√"),
    "|x||y|": ("unexpected character '|'", "|"),
    "x |y|": ("unexpected character '|'", "|"),
    "|x": ("'|' was never closed", "|"),
    "(|x)|": ("'|' was never closed", "|"),
    "a = |x; a|": ("'|' was never closed", "|"),
    "|x > 0|": ("a number is needed here", "x > 0"),
    "|x, y|": ("takes 1 argument", "|x, y|"),
    # two spellings of one name
    "x₁ + x1": ("the same name", "x1"),
    "β·x + beta": ("the same name", "beta"),
    "φ·ϕ": ("the same name", "ϕ"),
    "ε·x; ϵ": ("the same name", "ϵ"),
    # nothing there
    "√": ("nothing stands under the root", "√"),
    "√-x": ("a root takes", "-"),
    "√ + x": ("a root takes", "+"),
    "²x": ("nothing stands before this exponent", "²"),
    "x + ²": ("nothing stands before this exponent", "²"),
    "x¹⁄²": ("nothing stands before this exponent", "²"),
    "x⁻": ("no integer", "⁻"),
    "x²⁻¹": ("no integer", "²⁻¹"),
    "x·": ("has no right side", "·"),
    "x*·y": ("is missing before", "·"),
    "x÷/y": ("is missing before", "/"),
    "x ≤≥ y": ("is missing before", "≥"),
    # operators that would run together
    "x··y": ("is missing before", "·"),
    "x⁄⁄y": ("is missing before", "⁄"),
    # the mark stands where it was typed
    "σ²·sigmod(x)": ("unknown function", "sigmod"),
    "√x + β·foo(y)²": ("unknown function", "foo"),
    "β = 2·x; β + y + (": ("was never closed", "("),
    "x⁻¹ + log(0)·γ": ("this constant is", "log(0)"),
    # what cannot be seen, or looks like something else
    "x\u200b + 1": ("ZERO WIDTH SPACE", "\u200b"),
    "x\u200d·y": ("ZERO WIDTH JOINER", "\u200d"),
    "\u202ex + y": ("RIGHT-TO-LEFT OVERRIDE", "\u202e"),
    "x\u2066 + y\u2069": ("LEFT-TO-RIGHT ISOLATE", "\u2066"),
    "x\u0302 + 1": ("COMBINING CIRCUMFLEX", "\u0302"),
    "\u0430·x": ("CYRILLIC SMALL LETTER A", "\u0430"),
    "\u0391·x": ("GREEK CAPITAL LETTER ALPHA", "\u0391"),
    "\u03bf + x": ("GREEK SMALL LETTER OMICRON", "\u03bf"),
    "\uff12·x": ("write '2'", "\uff12"),
    "\u0662·x": ("ARABIC-INDIC DIGIT TWO", "\u0662"),
    "\U0001d465 + 1": ("write 'x'", "\U0001d465"),
    "x\ufe0e": ("VARIATION SELECTOR", "\ufe0e"),
    "\u212a·x": ("KELVIN SIGN", "\u212a"),
    "ﬁ + x": ("write 'fi'", "ﬁ"),
    "½·x": ("Write (1/2).", "½"),
    "xⁿ": ("x**n", "ⁿ"),
    "é·x": ("Names are made of", "é"),
    "∞·x": ("Infinity", "∞"),
    "x – y": ("typographic dash", "–"),
    "∂x": ("PARTIAL DIFFERENTIAL", "∂"),
    "x\ud800": ("unexpected character", "\ud800"),
}


@pytest.mark.parametrize(("formula", "expected"), REFUSED.items(), ids=ascii)
def test_refused_with_the_place_marked(formula: str, expected: tuple[str, str]) -> None:
    message, place = expected
    with pytest.raises(FormulaError) as caught:
        fngen.generate(formula)
    error = caught.value
    assert message in str(error)
    assert error.text == formula
    assert formula[error.start : error.end] == place


def test_the_mark_stands_under_what_is_wide() -> None:
    with pytest.raises(FormulaError) as caught:
        fngen.generate("x\u0302 + sigmod(\uff58)")
    assert "    x\u0302 " in str(caught.value)
    error = FormulaError("wrong", "", "\uff58x\u0302*y", 4, 5)
    assert str(error).split("\n")[2] == "    " + " " * 4 + "^"  # Two columns, one, none, one.


def test_a_declared_gradient_is_marked_as_typed() -> None:
    with pytest.raises(FormulaError) as caught:
        fngen.generate("round(x)", grads={"x": "2·γ"})
    assert (caught.value.text, caught.value.start) == ("2·γ", 2)


def test_what_is_written_is_plain(tmp_path: Path) -> None:
    typed = "param β = 1.5; const ε = 1e-6; s = σ(β·x₁); x₁·s/√(x₁² + ε)"
    source = fngen.generate(typed, name="gate", grads={"x₁": "s·β"})
    assert source.text.isascii()
    path = source.write(tmp_path)
    assert recipe.read(path) == source.spec
    assert fngen.verify(source).ok
    assert CliRunner().invoke(main, ["check", str(path)]).output.endswith(": up to date\n")


def test_options_take_such_names(tmp_path: Path) -> None:
    options = ["--inputs", "y, α₁", "--param", "β[C]=1", "--const", "ε=2", "--name", "n", "-o", "-"]
    typed = CliRunner().invoke(main, ["α₁·β + y·ε", *options]).output
    plain = [w.translate({0x3B1: "alpha", 0x3B2: "beta", 0x3B5: "epsilon", 0x2081: "1"}) for w in options]
    assert typed == CliRunner().invoke(main, ["alpha1*beta + y*epsilon", *plain]).output
    assert "def n(y: Tensor, alpha1: Tensor, beta: Tensor" in typed.replace("\n    ", " ").replace("( ", "(")


def test_a_formula_file_in_greek(tmp_path: Path) -> None:
    (tmp_path / "gate.fn").write_text("param β = 1.0  # slope\nx·σ(β·x)\n", encoding="utf-8")
    result = CliRunner().invoke(main, [str(tmp_path / "gate.fn"), "-o", "-"])
    assert result.output == fngen.generate("x*sigmoid(beta*x)", name="gate", params={"beta": "1.0"}).text


def test_values() -> None:
    x, s = torch.rand(5, dtype=torch.float64), torch.rand(5, dtype=torch.float64)
    module = fngen.compile("exp(−x²⁄(2·σ²)) / √(2·π·σ²)", name="normal")
    wanted = torch.distributions.Normal(0.0, s).log_prob(x).exp()
    torch.testing.assert_close(module.normal(x, s), wanted)


@pytest.mark.parametrize(("letter", "name"), LETTERS.items())
def test_every_letter_is_a_name(letter: str, name: str) -> None:
    assert transcribe(f"{letter}·x").text == f"{name}*x"


ATOMS = st.sampled_from([("x", "x"), ("β", "beta"), ("2", "2"), ("x₁", "x1"), ("π", "pi"), ("0.5", "0.5")])


def _wider(inner: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    def two(typed: str, plain: str) -> st.SearchStrategy[tuple[str, str]]:
        pairs = st.tuples(inner, inner)
        return pairs.map(lambda p: (f"({p[0][0]}){typed}({p[1][0]})", f"({p[0][1]}){plain}({p[1][1]})"))

    def one(before: str, after: str, plain: str) -> st.SearchStrategy[tuple[str, str]]:
        return inner.map(lambda p: (before + p[0] + after, plain.format(p[1])))

    return st.one_of(
        two("·", "*"),
        two("×", "*"),
        two(" ÷ ", "/"),
        two("−", "-"),
        one("|", "|", "abs({})"),
        one("√(", ")", "sqrt({})"),
        one("√|", "|", "sqrt(abs({}))"),
        one("∛(", ")", "cbrt({})"),
        one("(", ")²", "({})**2"),
        one("(", ")⁻¹³", "({})**-13"),
        one("|", "|³", "abs({})**3"),
        one("√cosh(", ") + |x|", "sqrt(cosh({})) + abs(x)"),
        one("−(", ")", "-({})"),
    )


@given(st.recursive(ATOMS, _wider, max_leaves=12))
def test_random_formulas_read_as_their_plain_text(pair: tuple[str, str]) -> None:
    typed, plain = pair
    try:
        wanted = parse(plain).statements[0].value
    except FormulaError as error:  # A constant that is no number: refused in both.
        with pytest.raises(FormulaError, match=error.message.split("'")[0][:20]):
            parse(transcribe(typed).text)
        return
    assert parse(transcribe(typed).text).statements[0].value is wanted


def refusal(typed: str) -> FormulaError | None:
    try:
        transcribe(typed)
    except FormulaError as error:
        return error
    return None


@given(st.text(st.sampled_from("xβσ2.1²⁻³√∛|()·×÷−*/<=≤≠ ;,₁ᵢ_+-if\u200b\u0302é"), max_size=25))
def test_any_text_is_read_or_refused_with_its_place(typed: str) -> None:
    error = refusal(typed)
    if error is not None:
        assert error.text == typed
        assert 0 <= error.start < error.end <= len(typed)
        return
    found = transcribe(typed)
    assert found.text.isascii()
    assert len(found.places) == len(found.text)
    assert transcribe(found.text).text == found.text
    assert all(0 <= start < end <= max(len(typed), start + 1) for start, end in found.places)
