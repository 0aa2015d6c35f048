"""Formulas in LaTeX: read in the one way that paper allows, or refused with the place marked."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import fngen
from fngen import recipe
from fngen.cli import main
from fngen.errors import FngenError, FormulaError
from fngen.ir import Value, fold
from fngen.language.latex import transcribe_latex
from fngen.language.parse import parse
from fngen.printing.latex import LatexPrinter

SAME = {
    r"\frac{1}{1+e^{-\beta x}}": "1/(1 + exp(-beta*x))",
    r"\sqrt{x^2+1}": "sqrt(x**2 + 1)",
    r"\sqrt[3]{x} + \sqrt[4]{y}": "cbrt(x) + y**(1/4)",
    r"\sin x \cos y": "sin(x)*cos(y)",
    r"\sin 2x": "sin(2*x)",
    r"\sin \omega t + \phi": "sin(omega*t) + phi",
    r"\sin^2 x": "sin(x)**2",
    r"\sin^2\left(\frac{x}{2}\right)": "sin(x/2)**2",
    r"\ln x^2": "ln(x**2)",
    r"\ln\cosh x": "ln(cosh(x))",
    r"x \sin x": "x*sin(x)",
    r"\log_2 x + \log_{10}(y) + \log_b x": "log2(x) + log10(y) + log(x, b)",
    r"\ln(1+e^x)": "ln(1 + exp(x))",
    r"\beta x(1-x)": "beta*x*(1 - x)",
    r"2xy": "2*x*y",
    r"xe^{-x}": "x*exp(-x)",
    r"\left(x+1\right)^2": "(x + 1)**2",
    r"\bigl(x+1\bigr)^2": "(x + 1)**2",
    r"\left[ x \{ y + 1 \} \right]": "x*(y + 1)",
    r"a \cdot b \times c": "a*b*c",
    r"a/b \cdot c": "a/b*c",
    r"c/(-a b)": "c/(-a*b)",
    r"a - (b - c)": "a - (b - c)",
    r"a(b/c)": "a*(b/c)",
    r"a \cdot -b": "a*-b",
    r"-x^2": "-x**2",
    r"(-x)^2": "(-x)**2",
    r"x^{2^3}": "x**(2**3)",
    r"x^\beta + \frac\pi2 + \frac12 x": "x**beta + pi/2 + 1/2*x",
    r"|x| + |x - y|^2": "abs(x) + abs(x - y)**2",
    r"\left|x\left|y\right|\right|": "abs(x*abs(y))",
    r"|x|y|z|": "abs(x)*y*abs(z)",
    r"\lfloor x \rfloor + \lceil y \rceil + \lvert z \rvert": "floor(x) + ceil(y) + abs(z)",
    r"\max(x, 0) + \min\{x, y, 1\}": "max(x, 0) + min(x, y, 1)",
    r"x_1 + x_{12} y_i": "x1 + x12*y_i",
    r"x_{\text{max}} + y_{i,j} + \alpha_{min}": "x_max + y_i_j + alpha_min",
    r"\hat{x}^2 + \bar y": "x_hat**2 + y_bar",
    r"\mathrm{rate}\, x + \mathbf{w}": "rate*x + w",
    r"\operatorname{softplus}(x)\tanh y": "softplus(x)*tanh(y)",
    r"\mathrm{erf}(x)": "erf(x)",
    r"\operatorname{where}(x > 0, x, \frac{x}{2})": "where(x > 0, x, x/2)",
    r"x\,\sigma(\beta x)": "x*sigmoid(beta*x)",
    r"\Gamma(x) + \psi(x) + \Phi(x)": "gamma(x) + digamma(x) + ndtr(x)",
    r"\sigma x": "sigma*x",
    r"e^{i k x}": "exp(i*k*x)",
    r"y = x^2 + 1": "y = x**2 + 1",
    r"a &= x y \\ b &= a^2": "a = x*y; b = a**2",
    r"$$\frac12 m v^2$$": "1/2*m*v**2",
    r"\[ x \]": "x",
    r"\begin{cases} x & x > 0 \\ 0 & \text{otherwise} \end{cases}": "where(x > 0, x, 0)",
    r"\begin{cases} x, & \text{if } 0 \le x < 1 \\ -x & x = 2 \lor \lnot (y \ne 1) \\ 1 & \text{else} \end{cases} + 2":
        "where(0 <= x < 1, x, where(x == 2 or not y != 1, -x, 1)) + 2",
    r"\begin{cases} x & x > 0 \text{ and } y > 0 \\ y & x < 0 \end{cases}":
        "Piecewise((x, x > 0 and y > 0), (y, x < 0))",
    r"4\varepsilon\left[\left(\frac{\sigma}{r}\right)^{12}-\left(\frac{\sigma}{r}\right)^6\right]":
        "4*epsilon*((sigma/r)**12 - (sigma/r)**6)",
    r"\frac{1}{\sqrt{2\pi}\sigma} e^{-\frac{1}{2}\left(\frac{x-\mu}{\sigma}\right)^2}":
        "1/(sqrt(2*pi)*sigma)*exp(-1/2*((x - mu)/sigma)**2)",
    r"\exp\left[-\frac{(x-\mu)^2}{2\sigma^2}\right]": "exp(-(x - mu)**2/(2*sigma**2))",
    r"\overline{z} z": "conj(z)*z",
}  # fmt: skip


@pytest.mark.parametrize(("latex", "formula"), SAME.items())
def test_what_is_read(latex: str, formula: str) -> None:
    assert transcribe_latex(latex).text == formula
    parse(formula, complex="conj" in formula)


VALUES: dict[str, Callable[..., Tensor]] = {
    r"\frac{1}{1+e^{-xy}}": lambda x, y: 1 / (1 + torch.exp(-x * y)),
    r"\frac{x y}{2 x} y - x/y": lambda x, y: (x * y) / (2 * x) * y - x / y,
    r"\frac{1}{2} x^2 y^{-1}": lambda x, y: 0.5 * x**2 / y,
    r"-\left(x - (y - 1)\right)^2 e^{-x^2/2}": lambda x, y: -((x - (y - 1)) ** 2) * torch.exp(-(x**2) / 2),
    r"\sin 2\pi x \cos^2 y": lambda x, y: torch.sin(2 * math.pi * x) * torch.cos(y) ** 2,
    r"|x|^{\frac{3}{2}} \sqrt{y^2 + \frac{1}{x^2}}": lambda x, y: x.abs() ** 1.5 * torch.sqrt(y**2 + 1 / x**2),
    r"\log_2(1 + x^2) \ln(2 + \cos y)": lambda x, y: torch.log2(1 + x**2) * torch.log(2 + torch.cos(y)),
    r"\begin{cases} x^2 & x < y \\ \frac{x}{y} & \text{otherwise} \end{cases}":
        lambda x, y: torch.where(x < y, x**2, x / y),
    r"\max(x, 0) - \tanh\!\left(\frac{x}{y}\right)": lambda x, y: x.clamp(min=0) - torch.tanh(x / y),
}  # fmt: skip


@pytest.mark.parametrize(("latex", "plain"), VALUES.items())
def test_values(latex: str, plain: Callable[..., Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(50, generator=generator, dtype=torch.float64) * 4 - 2 for _ in range(2))
    module = fngen.compile(latex, latex=True, name="layer", inputs=["x", "y"])
    torch.testing.assert_close(module.layer(x, y), plain(x, y), rtol=1e-12, atol=1e-12)


REFUSED = {
    "f(x)": ("no function", "f"),
    r"x + g\left(x\right)": ("no function", "g"),
    r"a/b c": ("what is divided by?", "c"),
    r"1/2 x": ("what is divided by?", "x"),
    r"\sin^{-1} x": ("inverse function", "-1"),
    r"\sin(x)^2": ("of the function, or of its argument", "^"),
    r"\sin x/2": ("how far does the argument", "/"),
    r"\sin x(1-x)": ("how far does the argument", "("),
    r"\sin": ("has no argument", r"\sin"),
    r"\sin_2 x": ("has no index", r"\sin"),
    r"\frac{a}{b}^2": ("a power of the fraction", "^"),
    r"2\frac{1}{2}": ("a mixed number", r"\frac{1}{2}"),
    "x^23": ("a number stands after", "3"),
    "x2": ("a number stands after", "2"),
    "x^2^3": ("second exponent", "^"),
    "{a+b}c": ("braces around this are not printed", "a+b"),
    "{a+b}^2": ("braces around this are not printed", "a+b"),
    "x^-1": ("an argument stands in braces", "-"),
    r"\frac{x}": ("an argument stands in braces", ""),
    r"|x+|y||": ("Bars inside bars", "|"),
    r"\sigma(x)+\sigma": ("is a function here", r"\sigma"),
    r"\varepsilon+\epsilon": ("the same name", r"\epsilon"),
    r"\mathrm{x1} + x_1": ("the same name", "x_1"),
    r"x + \mathbf{x}": ("the same name", r"\mathbf{x}"),
    "e x": ("before an exponent only", "e"),
    r"\frac{d}{dx} x^2": ("a derivative", r"\frac{d}{dx}"),
    r"\frac{dy}{dx}": ("a derivative", r"\frac{dy}{dx}"),
    r"\frac{\partial y}{\partial x}": ("fngen derives", r"\partial"),
    r"\int x": ("fngen derives", r"\int"),
    r"x \pm y": ("Write two formulas.", r"\pm"),
    r"\infty x": ("Infinity", r"\infty"),
    r"\dot{x}": ("A derivative is no name", r"\dot"),
    "x'": ("A prime", "'"),
    "x!": (r"\Gamma(n + 1)", "!"),
    r"\erf(x)": (r"\operatorname{erf}(x)", r"\erf"),
    r"\foo x": ("has no meaning here", r"\foo"),
    r"\operatorname{sigmod}(x)": ("Did you mean 'sigmoid'?", r"\operatorname{sigmod}"),
    r"x + \sqrt[5]{x}": ("of degree 2, 3 or even", "5"),
    r"\left(x + 1": ("was never closed", r"\left"),
    r"(x + 1": ("was never closed", "("),
    "x)": ("has no meaning here", ")"),
    "(x]": ("has no meaning here", "]"),
    "x +": ("missing at the end", ""),
    "x_": ("an index", ""),
    r"x_{}": ("an index is missing", "{"),
    r"x_{a+b}": ("letters and digits", "+"),
    "x > 0": ("has no meaning here", ">"),
    "2x = y": ("only a name is assigned to", "="),
    r"\begin{matrix} x \end{matrix}": ("environment 'matrix'", r"\begin{matrix}"),
    r"\begin{cases} x \end{cases}": ("has no meaning here", r"\end{cases}"),
    r"\begin{cases} 1 & \text{else} \end{cases}": ("a value and a condition", r"\begin{cases}"),
    r"\begin{cases} 1 & \text{else} \\ x & x > 0 \end{cases}": ("all the rest", "x"),
    "β x": (r"Write \beta.", "β"),
    "x % y": ("no comments", "%"),
    "x \u202e y": ("RIGHT-TO-LEFT OVERRIDE", "\u202e"),
    r"x + \text{a b}": ("is no name", r"\text{a b}"),
    r"\frac{x}{0}": ("divides by zero", "0"),
    r"x + \ln(0)": ("this constant is", r"\ln(0)"),
}


@pytest.mark.parametrize(("latex", "expected"), REFUSED.items(), ids=ascii)
def test_refused_with_the_place_marked(latex: str, expected: tuple[str, str]) -> None:
    message, place = expected
    with pytest.raises(FormulaError) as caught:
        fngen.generate(latex, latex=True)
    error = caught.value
    assert message in str(error)
    assert error.text == latex
    assert latex[error.start : error.end] == place


@pytest.mark.parametrize(
    "latex",
    [
        r"\sin" * 2000 + " x",
        r"\sqrt" * 2000 + " x",
        "(" * 2000 + "x" + ")" * 2000,
        r"\hat" * 2000 + " x",
        r"\frac" * 2000,
        "x^{" * 2000,
        r"\left|" * 2000,
        r"\begin{cases} x & " + r"\lnot" * 2000,
        "x + " * 10_000,
        "x" * 19_000 + "_",
        r"\begin{cases}" * 1000,
    ],
    ids=lambda x: x[:12],
)
def test_what_is_too_much_is_refused(latex: str) -> None:
    with pytest.raises(FormulaError):
        transcribe_latex(latex)


WORDS = r"x y 2 12 e f d \beta \sigma \sin \ln \frac \sqrt { } ( ) [ ] \left( \right) | ^ _ + - / = < , & \\"
WORDS += r" \text{a} \text{if} \operatorname{erf} \begin{cases} \end{cases} \hat ' é"


@given(st.lists(st.sampled_from(WORDS.split()), max_size=14))
def test_any_text_is_read_or_refused_with_its_place(words: list[str]) -> None:
    latex = " ".join(words)
    error = refusal(latex)
    if error is not None:
        assert error.text == latex
        assert 0 <= error.start <= error.end <= len(latex) + 1
        return
    found = transcribe_latex(latex)
    assert found.text.isascii()
    assert len(found.places) == len(found.text)
    assert all(0 <= start < end for start, end in found.places)


def refusal(latex: str) -> FormulaError | None:
    try:
        transcribe_latex(latex)
    except FormulaError as error:
        return error
    return None


LEAVES = st.sampled_from(["x", "y", "2", "beta", "0.5", "pi", "x1"])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]}){t[1]}({t[2]})"),
        st.tuples(st.sampled_from(["sin", "exp", "abs", "sqrt", "-", "floor", "sigmoid"]), inner).map(
            lambda t: f"{t[0]}({t[1]})"
        ),
        inner.map(lambda x: f"({x})**2"),
        st.tuples(inner, inner).map(lambda t: f"where(({t[0]}) < ({t[1]}), x, {t[1]})"),
    ),
    max_leaves=8,
)


POINT = {"x": 0.7, "y": 1.3, "beta": -0.4, "x1": 2.1}


def evaluate(graph: Value) -> Tensor:
    def visit(node: Value, args: list[Tensor]) -> Tensor:
        if not args:
            number = (
                POINT[str(node.datum)] if node.op == "name" else math.pi if node.op == "pi" else node.datum
            )
            return torch.tensor(float(number), dtype=torch.float64)  # type: ignore[arg-type]
        result: Tensor = getattr(torch, node.op)(*args)
        return result

    return fold([graph], visit)[graph]


@given(TREES)
def test_what_fngen_prints_is_read_as_it_was_meant(formula: str) -> None:
    """Read back the LaTeX of the docstrings: the same value, or a refusal, never another value."""
    try:
        source = parse(formula).statements[0].value
        read = parse(transcribe_latex(LatexPrinter().print(source)).text).statements[0].value
    except FormulaError:
        return
    mine, wanted = evaluate(read), evaluate(source)
    torch.testing.assert_close(mine, wanted, rtol=1e-12, atol=0, equal_nan=True)


# The command and the library.


def test_the_reading_is_shown_and_the_header_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "swish.py"
    words = [r"\frac{x}{1+e^{-\beta x}}", "--latex", "--param", "beta=1", "--name", "swish", "-o", str(path)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert result.stderr == "read as: x/(1 + exp(-beta*x))\n"
    assert "verified: " in result.stdout
    assert recipe.read(path).formula == "x/(1 + exp(-beta*x))"
    assert r"\frac{x}{1+e" not in path.read_text().split('r"""')[0]
    assert CliRunner().invoke(main, ["check", str(path)]).output.endswith(": up to date\n")
    shown = CliRunner().invoke(main, ["show", r"\sqrt{x}", "--latex", "--stage", "derivatives"])
    assert (shown.stderr, shown.stdout.split("\n")[0]) == ("read as: sqrt(x)\n", "y = sqrt(x)")


def test_on_standard_output_there_is_the_file_alone() -> None:
    result = CliRunner().invoke(main, [r"\sqrt{x}", "--latex", "-o", "-"])
    assert result.stdout == fngen.generate("sqrt(x)").text


def test_an_error_of_the_command() -> None:
    result = CliRunner().invoke(main, [r"x + \foo", "--latex"])
    assert result.exit_code == 2
    assert "fngen: '\\foo' has no meaning here\n    x + \\foo\n        ^^^^\n" in result.output
    (result,) = (CliRunner().invoke(main, ["gate.fn", "--latex"]),)
    assert "Leave --latex out." in result.output


def test_the_library() -> None:
    source = fngen.generate(r"x\,\sigma(\beta x)", latex=True, params={"beta": 1.0})
    assert source == fngen.generate("x*sigmoid(beta*x)", params={"beta": 1.0})
    for expr in (lambda x: x, 3):
        with pytest.raises(FngenError, match="LaTeX is text"):
            fngen.generate(expr, latex=True)  # type: ignore[arg-type]


def test_several_outputs() -> None:
    module: Any = fngen.compile(r"s = \sigma(x) \\ u = s^2 \\ v = s x", latex=True, name="pair")
    x = torch.tensor([0.5, -1.0], dtype=torch.float64)
    torch.testing.assert_close(tuple(module.pair(x)), (x.sigmoid() ** 2, x.sigmoid() * x))
