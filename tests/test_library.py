"""The library: what its functions take and return, and what the layers can do."""

from __future__ import annotations

import io
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import sympy
import torch
from torch import Tensor
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

import fngen
from fngen.errors import FileError, FngenError, FormulaError, OptionError, VerificationError

SQUARE = "x1**3 + x2**2"
x, y, z = sympy.symbols("x y z")

Plain = Callable[[Tensor, Tensor], Tensor]
SMOOTH: dict[str, tuple[str, Plain]] = {
    "polynomial": ("x**3*y + y**2", lambda x, y: x**3 * y + y**2),
    "product": ("sin(x)*exp(y/2)", lambda x, y: torch.sin(x) * torch.exp(y / 2)),
    "quotient": ("x*y/(1 + x**2 + y**2)", lambda x, y: x * y / (1 + x**2 + y**2)),
    "nested": ("tanh(x*y)*sqrt(1 + y**2)", lambda x, y: torch.tanh(x * y) * torch.sqrt(1 + y**2)),
    "named": ("s = sigmoid(x); s*y + s**2", lambda x, y: torch.sigmoid(x) * y + torch.sigmoid(x) ** 2),
}
PAIRS = pytest.mark.parametrize(("formula", "plain"), SMOOTH.values(), ids=SMOOTH)


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 0.7


def layer(formula: str) -> Callable[..., Tensor]:
    return fngen.compile(formula, name="layer").layer


def close(a: object, b: object) -> None:
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


# What the functions take.


def test_generate_keywords() -> None:
    source = fngen.generate(SQUARE, name="Square", inputs=["x2", "x1"], backend="torch")
    assert source.name == "square"
    assert "def square(x2: Tensor, x1: Tensor)" in source.text
    assert "--name square --inputs x2,x1" in source.text
    assert source == fngen.generate(SQUARE, name="square", inputs="x2,x1", backend=["torch"])


def test_keywords_are_keywords() -> None:
    with pytest.raises(TypeError):
        fngen.generate(SQUARE, "square")  # type: ignore[misc]


@pytest.mark.parametrize("expr", [None, 3, 2.5, b"x", ["x"], object()])
def test_no_formula(expr: object) -> None:
    with pytest.raises(FngenError):
        fngen.generate(expr)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "keywords",
    [{"name": "1a"}, {"name": "class"}, {"inputs": ["x1", "x1"]}, {"inputs": ["a b"]}, {"backend": "c++"}],
    ids=str,
)
def test_wrong_keyword(keywords: dict[str, object]) -> None:
    with pytest.raises(OptionError) as caught:
        fngen.generate(SQUARE, **keywords)  # type: ignore[arg-type]
    assert caught.value.option in keywords


def test_formula_error_knows_its_place() -> None:
    with pytest.raises(FormulaError) as caught:
        fngen.generate("x*sigmod(y)")
    error = caught.value
    assert error.text[error.start : error.end] == "sigmod"


def test_compile() -> None:
    module = fngen.compile(SQUARE, name="square", inputs=["x1", "x2"], backend="torch")
    assert set(module.__all__) == {"Square", "SquareFunction", "square"}
    assert module.square(torch.tensor(2.0), torch.tensor(3.0)).item() == 17
    assert str(module.Square()) == f"Square({SQUARE})"


def test_verify_takes_source_path_and_text(tmp_path: Path) -> None:
    source = fngen.generate(SQUARE)
    path = source.write(tmp_path)
    for subject in (source, path, str(path)):
        report = fngen.verify(subject)
        assert report.ok
        assert {"value", "d/dx1", "d/dx2"} <= {check.name for check in report.checks}
        assert str(report).count("ok") >= 6


def test_write(folder: Path) -> None:
    source = fngen.generate(SQUARE, name="square")
    assert source.write() == Path("generated/square.py")
    assert source.write("a.py") == Path("a.py")
    assert source.write(folder / "b") == folder / "b" / "square.py"
    assert (folder / "a.py").read_bytes() == source.text.encode()
    (folder / "a.py").write_text("mine")
    with pytest.raises(FileError) as caught:
        source.write("a.py")
    assert caught.value.path == "a.py"
    source.write("a.py", force=True)
    assert (folder / "a.py").read_text() == source.text


# SymPy expressions.


@pytest.mark.parametrize(
    ("expr", "formula"),
    [
        (x**3 + y**2, "x**3 + y**2"),
        (sympy.sin(x) * sympy.exp(-y), "sin(x)*exp(-y)"),
        (sympy.Max(x, y, 0), "max(x, y, 0)"),
        (sympy.Min(x, y), "min(x, y)"),
        (sympy.Piecewise((x, x > 0), (2 * x, True)), "x if x > 0 else 2*x"),
        (sympy.Piecewise((x, (x > 0) & (y < 1)), (y, True)), "x if x > 0 and y < 1 else y"),
        (sympy.besselj(0, x) + sympy.besselj(1, y), "j0(x) + j1(y)"),
        (sympy.sinc(x), "sinc(x/pi)"),
        (sympy.Rational(1, 3) * x, "x/3"),
        (sympy.Float("0.1") * x, "0.1*x"),
        (sympy.E * x + sympy.pi, "exp(1)*x + pi"),
        (sympy.log(1 + x**2), "log(1 + x**2)"),
        (sympy.Abs(x) + sympy.sign(y), "abs(x) + sign(y)"),
        (sympy.atan2(x, y), "atan2(x, y)"),
        (sympy.sqrt(1 + x**2), "sqrt(1 + x**2)"),
        (sympy.Mod(x, 3), "x % 3"),
        (sympy.Symbol("lambda") * sympy.Symbol("I"), "I*lambda"),
        (sympy.Symbol("x", positive=True) ** sympy.Rational(1, 2), "sqrt(x)"),
    ],
    ids=str,
)
def test_sympy_expression(expr: sympy.Expr, formula: str) -> None:
    names = sorted(str(s) for s in expr.free_symbols)
    ours = fngen.compile(expr, name="ours", inputs=names).ours
    theirs = fngen.compile(formula, name="theirs", inputs=names).theirs
    points = [draw(50, seed=i).abs() + 0.1 for i in range(len(names))]
    close(ours(*points), theirs(*points))


@pytest.mark.parametrize(
    "expr",
    [
        sympy.Symbol("__import__('os')") + x,
        sympy.Symbol("x; import os"),
        sympy.Symbol('"""'),
        sympy.Symbol("{{ x }}"),
        sympy.Symbol("x\n") + 1,
        sympy.Symbol("") + x,
        sympy.Symbol("\u03b1"),
        sympy.Symbol("__x"),
        sympy.Symbol("pi"),
        sympy.Symbol("True") * x,
        sympy.Symbol("if") * x,
        sympy.Symbol("x", positive=True) + sympy.Symbol("x"),
        sympy.I * x,
        sympy.oo + sympy.Dummy("x") * 0,
        sympy.zoo,
        sympy.nan,
        sympy.Integral(sympy.sin(x**2), (x, 0, y)),
        sympy.Derivative(sympy.Function("f")(x), x),
        sympy.Function("f")(x),
        sympy.Function("sin(x) + os.system")(x),
        sympy.Sum(x**z, (z, 1, 10)),
        sympy.besselj(2, x),
        sympy.besselj(y, x),
        sympy.besselj(sympy.Rational(1, 2), x),
        sympy.factorial(x),
        sympy.re(x),
        sympy.conjugate(x),
        sympy.Matrix([x, y]),
        sympy.MatrixSymbol("A", 2, 2),
        sympy.Eq(x, y),
        x > 0,
        sympy.true,
        sympy.Integer(3),
        sympy.pi,
        sympy.Tuple(x, y),
        sympy.Interval(0, 1),
        sympy.Lambda(x, x**2),
        sympy.zeta(x),
        sympy.polygamma(y, x),
        x * sympy.Integer(10) ** 400,
        sympy.Piecewise((x, x > 0), (sympy.I, True)),
        sympy.Xor(x > 0, y > 0),
        sympy.Heaviside(x, y).diff(x),
        sympy.IndexedBase("a")[0],
        sympy.UnevaluatedExpr(x) + 1,
        sympy.Order(x),
    ],
    ids=lambda e: ascii(e)[:50],
)
def test_sympy_expression_without_counterpart(expr: sympy.Basic) -> None:
    with pytest.raises(FngenError):
        fngen.generate(expr)


# Compiled modules.


def test_traceback_shows_the_generated_line() -> None:
    module = fngen.compile("sin(x) + y", name="traced")
    try:
        module.traced(torch.zeros(2), torch.zeros(3))
    except RuntimeError:
        text = traceback.format_exc()
    assert '"<fngen traced>"' in text
    assert "return (torch.sin(x) + y).to(dtype)" in text


def test_pickle() -> None:
    made = fngen.compile("x**2 + 1", name="pickled").Pickled()
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is type(made)
    close(again(draw(3)), made(draw(3)))


def test_torch_save_and_load() -> None:
    made = torch.nn.Sequential(torch.nn.Linear(2, 2), fngen.compile("tanh(x)", name="saved").Saved())
    file = io.BytesIO()
    torch.save(made, file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    close(again(torch.ones(2)), made(torch.ones(2)))


def test_two_layers_of_one_name_stand_apart() -> None:
    first, second = fngen.compile("x + 1", name="same"), fngen.compile("x + 2", name="same")
    assert first.same(torch.tensor(1.0)).item() == 2
    assert second.same(torch.tensor(1.0)).item() == 3


# Shapes and dtypes.


@pytest.mark.parametrize("formula", ["x**2", "sin(x)", "sum(x)", "x*2.5", "where(x > 0, x, 0)", "abs(x)"])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_is_refused(formula: str, dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match="--complex"):
        layer(formula)(torch.ones(3, dtype=dtype))


def test_any_complex_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="--complex"):
        layer("x + y")(torch.ones(3), torch.ones(3, dtype=torch.complex64))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((), ()),
        ((3,), ()),
        ((), (3,)),
        ((2, 1), (3,)),
        ((4, 1, 3), (2, 1)),
        ((0,), ()),
        ((0, 3), (3,)),
        ((1,), (0,)),
    ],
    ids=str,
)
@PAIRS
def test_broadcasting(formula: str, plain: Plain, first: tuple[int, ...], second: tuple[int, ...]) -> None:
    a, b = draw(*first).requires_grad_(), draw(*second, seed=1).requires_grad_()
    value, wanted = layer(formula)(a, b), plain(a, b)
    close(value, wanted)
    weights = draw(*wanted.shape, seed=2)
    close(torch.autograd.grad(value, [a, b], weights), torch.autograd.grad(wanted, [a, b], weights))


@pytest.mark.parametrize("formula", ["x + 0*y", "3 + 0*x + y", "x*y", "floor(x) + y", "where(x > 0, y, 2)"])
@pytest.mark.parametrize("reduction", ["", "sum", "mean"])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,)], ids=str)
def test_shape_of_value_and_gradient(formula: str, reduction: str, shape: tuple[int, ...]) -> None:
    a, b = draw(*shape).requires_grad_(), draw(*shape, seed=1).requires_grad_()
    value = layer(f"{reduction}({formula})")(a, b)
    assert value.shape == (() if reduction else shape)
    assert [g.shape for g in torch.autograd.grad(value.sum(), [a, b])] == [shape, shape]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@PAIRS
def test_dtype_is_kept(formula: str, plain: Plain, dtype: torch.dtype) -> None:
    a, b = (draw(4, seed=i).to(dtype).requires_grad_() for i in range(2))
    value = layer(formula)(a, b)
    assert value.dtype == dtype
    assert all(g.dtype == dtype for g in torch.autograd.grad(value.sum(), [a, b]))


# Verification finds what is wrong.


PLANTED = {
    "wrong sign": ("(3 * x1**2)", "(-3 * x1**2)", "d/dx1"),
    "slightly wrong factor": ("(3 * x1**2)", "(3.003 * x1**2)", "d/dx1"),
    "wrong for plain tensors alone": ("(3 * grad_y)", "(3.001 * grad_y)", "d/dx1"),
    "very slightly wrong factor": ("(2 * x2)", "(2.000002 * x2)", "d/dx2"),
    "missing term": ("(2 * x2)", "torch.zeros_like(x2)", "d/dx2"),
    "extra term": ("(2 * x2)", "(2 * x2 + 1e-3)", "d/dx2"),
    "swapped": ("return grad_x1, grad_x2", "return grad_x2, grad_x1", "d/dx1"),
    "no gradient": ("return grad_x1, grad_x2", "return None, grad_x2", "d/dx1"),
    "wrong tangent": ("2 * x2 * x2_t", "2 * x1 * x2_t", "forward mode"),
    "missing tangent": ("3 * x1**2 * x1_t + 2 * x2 * x2_t", "3 * x1**2 * x1_t", "forward mode"),
    "wrong value": ("return x1**3 + x2**2\n", "return x1**3 + 1.000001 * x2**2\n", "value"),
    "wrong shape": ("return x1**3 + x2**2\n", "return (x1**3 + x2**2).sum()\n", "value"),
    "extra dimension": ("return x1**3 + x2**2\n", "return (x1**3 + x2**2)[None]\n", "value"),
    "wrong dtype": ("return x1**3 + x2**2\n", "return (x1**3 + x2**2).float()\n", "value"),
    "raises": ("return x1**3 + x2**2\n", "raise ValueError('no')\n", "value"),
    "no second derivative": ("(3 * x1**2)", "(3 * x1**2).detach()", "gradgradcheck"),
    "module differs": ("return square(x1, x2)", "return square(x2, x1)", "value"),
    "not what autograd saw": ("needs_input_grad[0]", "needs_input_grad[5:]", "d/dx1"),
}


@pytest.mark.parametrize(("old", "new", "check"), PLANTED.values(), ids=PLANTED)
def test_verify_finds(tmp_path: Path, old: str, new: str, check: str) -> None:
    source = fngen.generate(SQUARE, name="square")
    assert old in source.text
    path = tmp_path / "square.py"
    path.write_text(source.text.replace(old, new))
    report = fngen.verify(path)
    assert not report.ok
    wrong = {c.name: c.detail for c in report.checks if not c.ok}
    assert check in wrong
    assert wrong[check]


@pytest.mark.parametrize("old", ["(x**2).sum()", "grad_y.expand(x.shape)"])
def test_verify_finds_errors_in_a_reduction(tmp_path: Path, old: str) -> None:
    text = fngen.generate("sum(x**2)", name="total").text
    path = tmp_path / "total.py"
    if old not in text:
        pytest.skip("written another way")
    path.write_text(text.replace(old, f"1.01 * {old}"))
    assert not fngen.verify(path).ok


@pytest.mark.parametrize(
    "formula", ["sqrt(-1 - x**2)", "log(-abs(x) - 1)", "asin(2 + x**2)", "acosh(-exp(x))"]
)
def test_formula_that_is_real_nowhere(formula: str) -> None:
    with pytest.raises(VerificationError):
        fngen.verify(fngen.generate(formula))


@pytest.mark.parametrize(
    "formula",
    [
        "x",
        "0*x",
        "floor(x)",
        "abs(x)",
        "max(x, y)",
        "sum(x)",
        "mean(x*y)",
        "1/x",
        "x**y",
        "x + 1e-300",
        "x*1e200",
    ],
)
def test_verify_is_content_with(formula: str) -> None:
    report = fngen.verify(fngen.generate(formula))
    assert report.ok, str(report)


# Derivatives of any order, in any mode.


@PAIRS
def test_third_order(formula: str, plain: Plain) -> None:
    a, b = draw(5).requires_grad_(), draw(5, seed=1).requires_grad_()
    pairs = [(layer(formula)(a, b), plain(a, b))]
    for _ in range(3):
        pairs = [
            (mine, theirs)
            for value, wanted in pairs
            for mine, theirs in zip(
                torch.autograd.grad(value.sum(), [a, b], create_graph=True, materialize_grads=True),
                torch.autograd.grad(wanted.sum(), [a, b], create_graph=True, materialize_grads=True),
                strict=True,
            )
            if theirs.requires_grad and mine.requires_grad
        ]
        for mine, theirs in pairs:
            close(mine, theirs)


TRANSFORMS: dict[str, Callable[[Plain], Plain]] = {
    "grad": lambda f: grad(lambda a, b: f(a, b).sum(), argnums=(0, 1)),
    "grad of grad": lambda f: grad(lambda a, b: grad(lambda c: f(c, b).sum())(a).sum(), argnums=(0, 1)),
    "vmap": lambda f: vmap(f),
    "vmap in one": lambda f: vmap(f, in_dims=(0, None)),
    "vmap over columns": lambda f: vmap(f, in_dims=(0, 0), out_dims=-1),
    "vmap of grad": lambda f: vmap(grad(f, argnums=(0, 1))),
    "jacrev": lambda f: jacrev(f, argnums=(0, 1)),
    "jacfwd": lambda f: jacfwd(f, argnums=(0, 1)),
    "hessian": lambda f: hessian(f, argnums=(0, 1)),
    "jacrev of jacrev": lambda f: jacrev(jacrev(f, argnums=(0, 1)), argnums=(0, 1)),
    "jacfwd of jacfwd": lambda f: jacfwd(jacfwd(f, argnums=(0, 1)), argnums=(0, 1)),
    "jacrev of jacfwd": lambda f: jacrev(jacfwd(f, argnums=(0, 1)), argnums=(0, 1)),
    "jacfwd three times": lambda f: jacfwd(jacfwd(jacfwd(f))),
    "jvp": lambda f: lambda a, b: jvp(f, (a, b), (b, a)),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@PAIRS
def test_function_transforms(formula: str, plain: Plain, transform: Callable[[Plain], Plain]) -> None:
    a, b = draw(3), draw(3, seed=1)
    close(transform(layer(formula))(a, b), transform(plain)(a, b))


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("name", ["grad", "vmap", "jacrev", "jacfwd", "hessian", "jacfwd of jacfwd", "jvp"])
def test_function_transforms_of_a_reduction(reduction: str, name: str) -> None:
    def plain(a: Tensor, b: Tensor) -> Tensor:
        return getattr(a.sin() * b**2, reduction)()

    mine = layer(f"{reduction}(sin(x)*y**2)")
    a, b = draw(2, 3), draw(2, 3, seed=1)
    close(TRANSFORMS[name](mine)(a, b), TRANSFORMS[name](plain)(a, b))


@PAIRS
def test_torch_compile(formula: str, plain: Plain) -> None:
    torch._dynamo.reset()
    a, b = draw(4).requires_grad_(), draw(4, seed=1).requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dynamo's own, about modules it imports.
        compiled = torch.compile(layer(formula), fullgraph=True, backend="aot_eager")
        value = compiled(a, b)
        grads = torch.autograd.grad(value.sum(), [a, b])
    close(value, plain(a, b))
    close(grads, torch.autograd.grad(plain(a, b).sum(), [a, b]))


def test_compiled_modules_are_found_by_name() -> None:
    module = fngen.compile("x + 1", name="found")
    assert sys.modules["fngen.compiled.found"] is module
