"""Errors of emitted files in ULP: the figures, what is said of them, the picture."""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import mpmath
import pytest
import torch
from mpmath import mp

import fngen
from fngen.accuracy import FORMATS, Error
from fngen.errors import FngenError, OptionError
from fngen.measurement import scales
from fngen.measurement.bands import bands
from fngen.measurement.errors import FNGEN, PLAIN, Errors, shortest
from tests.test_cli import invoke, ok, python

LOG_COSH = "log(cosh(x))"
Derivatives = dict[tuple[str, ...], Callable[..., mpmath.mpf]]

CASES: dict[str, Derivatives] = {
    "x/(1 + exp(-x))": {
        (): lambda x: x / (1 + mp.exp(-x)),
        ("x",): lambda x: (1 + mp.exp(-x) + x * mp.exp(-x)) / (1 + mp.exp(-x)) ** 2,
    },
    "exp(x) - 1": {
        (): mp.expm1,
        ("x",): mp.exp,
        ("x", "x"): mp.exp,
    },
    "y*log(x)": {
        (): lambda x, y: y * mp.log(x),
        ("x",): lambda x, y: y / x,
        ("y",): lambda x, y: mp.log(x),
        ("x", "x"): lambda x, y: -y / x**2,
        ("x", "y"): lambda x, y: 1 / x,
        ("y", "y"): lambda x, y: mp.zero,
    },
}


def found(report: fngen.Accuracy, output: str, way: str = FNGEN, dtype: str = "") -> Errors:
    """Return the errors of an output."""
    (errors,) = [
        e for e in report.errors if (e.output, e.way) == (output, way) and dtype in ("", e.format.name)
    ]
    return errors


def by_torch(
    function: Callable[..., torch.Tensor], by: tuple[str, ...], names: list[str], points
) -> list[float]:
    leaves = [torch.tensor(c, dtype=torch.float64, requires_grad=True) for c in zip(*points, strict=True)]
    result = function(*leaves)
    for k, x in enumerate(by, 1):
        leaf = leaves[names.index(x)]
        (slope,) = torch.autograd.grad(result.sum(), leaf, create_graph=k < len(by), allow_unused=True)
        result = torch.zeros_like(leaf) if slope is None else slope
    return result.tolist()


@pytest.mark.parametrize("formula", CASES)
def test_errors_are_those_of_a_direct_computation(formula: str) -> None:
    source = fngen.generate(formula, name="f", inputs=["x", "y"] if "y" in formula else ["x"])
    function = fngen.compile(formula, name="f", inputs=source.spec.inputs).f
    report = fngen.measure(source, dtypes="float64", points=150)
    for by, exactly in CASES[formula].items():
        (errors,) = [e for e in report.errors if e.by == by and e.way == FNGEN]
        assert errors.compared > 100
        numbers = by_torch(function, by, list(report.inputs), errors.points)
        worst = 0.0
        for number, point, error in zip(numbers, errors.points, errors.found, strict=True):
            if not isinstance(error, Error) or not math.isfinite(number):
                continue
            with mp.workdps(400):
                exact = exactly(*map(mp.mpf, point))
                if abs(exact) > sys.float_info.max:
                    continue
                off = float(abs(mp.mpf(number) - exact) / math.ulp(float(exact)))
            # An exact number is kept as two floats: the second one has no place where the first is smallest.
            known = 1e-9 if abs(exact) > 1e-290 else 0.5
            assert error.ulp == pytest.approx(off, rel=1e-9, abs=known)
            worst = max(worst, error.ulp)
        assert errors.worst == worst


def test_figures_are_those_of_the_errors() -> None:
    offs = [0.25] * 90 + [5.0] * 6 + [9.0] * 2 + [100.0]
    all_ = [*(Error(e) for e in offs), Error(math.inf, nonfinite=True)]
    points = tuple((float(i),) for i in range(100))
    errors = Errors("", (), FORMATS["float32"], FNGEN, ("x",), points, tuple(all_), 3.0)
    data = errors.to_dict()
    assert (data["points"], data["worst"], data["worst_at"]) == (100, 100.0, {"x": 98.0})
    assert (data["percentile_95"], data["beyond_4"], data["beyond_8"]) == (5.0, 0.09, 0.03)
    assert (data["wrong_nan_or_inf"], data["wrong_nan_or_inf_at"]) == (1, {"x": 99.0})
    assert not errors.clean


def test_plain_autograd_is_measured_beside_the_file() -> None:
    report = fngen.measure(fngen.generate(LOG_COSH, name="f"), dtypes="float64", points=300)
    plain = found(report, "value", PLAIN)
    assert plain.nonfinite
    assert all(abs(x) > 709 for (x,) in plain.nonfinite)
    worst, (x,) = plain.finite[-1]
    assert worst > 1e15
    assert abs(x) < 1e-7
    assert math.log(math.cosh(x)) != pytest.approx(x * x / 2, rel=1e-3, abs=0)


def test_a_planted_inaccuracy_is_reported(folder: Path) -> None:
    source = fngen.generate("expm1(x)", name="f")
    assert fngen.measure(source, points=100).ok
    path = source.write("f.py")
    path.write_text(path.read_text().replace("torch.expm1(x)", "(torch.exp(x) - 1)"))
    report = fngen.measure(path, dtypes="float32", points=100)
    assert not report.ok
    value = found(report, "value")
    assert value.worst is not None
    assert value.worst > 1e6
    assert value.beyond(8) > 0.2
    assert abs(value.finite[-1][1][0]) < 1e-3
    assert f"x={shortest(value.finite[-1][1][0], FORMATS['float32'])}\n" in str(report)


def test_a_wrong_file_fails_the_verification_and_is_measured(folder: Path) -> None:
    path = fngen.generate("sin(x)", name="f").write("f.py")
    path.write_text(path.read_text().replace("torch.cos(x)", "torch.sin(x)"))
    result = invoke("verify", "f.py", "--accuracy", "--json", "--points", "50")
    assert result.exit_code == 1
    (data,) = json.loads(result.stdout)
    assert data["ok"] is False
    slope = next(e for e in data["accuracy"]["errors"] if (e["output"], e["way"]) == ("d/dx", "fngen"))
    assert slope["beyond_8"] > 0.2


def test_a_file_that_cannot_run_says_so(folder: Path) -> None:
    path = fngen.generate("sin(x)", name="f").write("f.py")
    path.write_text(path.read_text().replace("torch.cos(x)", "missing"))
    report = fngen.measure(path, dtypes="float32", points=20)
    assert found(report, "value").compared == 53
    assert "not measured: float32 d/dx, d²/dx²: NameError name 'missing' is not defined" in str(report)
    assert not report.ok


def test_cancellation_in_the_inputs_is_called_that() -> None:
    report = fngen.measure(fngen.generate("x**2 - y**2", name="f", stabilise=False), dtypes="float32")
    value = found(report, "value")
    assert value.worst is not None
    assert value.worst > 8
    assert value.mixed is not None
    assert value.mixed <= 4
    assert "float32 value: beyond 8 ULP only where rounding an input moves the result as much" in str(report)


def test_every_number_of_a_format_of_16_bits() -> None:
    report = fngen.measure(fngen.generate("x/3", name="f"), dtypes="bfloat16", points=2**16)
    errors = found(report, "value")
    assert errors.compared == 2**16 - 2**8 - 1  # No infinities and nans, one zero.
    x = torch.tensor([p[0] for p in errors.points], dtype=torch.bfloat16)
    exact = x.double() / 3
    off = (x / 3).double() - exact
    spacing = 2.0 ** (torch.frexp(exact).exponent - 8).clamp(min=-133)
    assert errors.worst == pytest.approx(float((off.abs() / spacing).max()), abs=1e-6)


def test_points_are_found_in_a_narrow_domain() -> None:
    report = fngen.measure(
        fngen.generate("log(x)*sqrt(y)*log(1 - z)", name="f"), dtypes="float32", points=200
    )
    errors = found(report, "value")
    assert errors.compared >= 200
    assert all(x > 0 and y >= 0 and z < 1 for x, y, z in errors.points)


def test_several_outputs_parameters_and_constants() -> None:
    source = fngen.generate(
        "u = k*x; v = u*beta", name="f", consts={"k": 3}, params={"beta[C]": 0.5}, outputs=["u", "v"]
    )
    report = fngen.measure(source, dtypes="float32", points=40)
    assert report.inputs == ("x", "beta")
    outputs = list(dict.fromkeys(e.output for e in report.errors))
    assert outputs[:3] == ["u: value", "u: d/dx", "u: d²/dx²"]
    assert outputs[3:] == [
        f"v: {o}" for o in ("value", "d/dx", "d/dbeta", "d²/dx²", "d²/dx dbeta", "d²/dbeta²")
    ]
    assert found(report, "v: d²/dx dbeta").worst == 0


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_a_reduction_of_everything_is_measured_one_element_at_a_time(reduction: str) -> None:
    report = fngen.measure(fngen.generate(f"{reduction}(exp(x))", name="f"), dtypes="float32", points=60)
    alone = fngen.measure(fngen.generate("exp(x)", name="f"), dtypes="float32", points=60)
    assert "of one element at a time" in str(report)
    for output in ("value", "d/dx", "d²/dx²"):
        assert found(report, output).worst == pytest.approx(found(alone, output).worst, abs=0.6)


NOT_MEASURED = {
    "softmax(x, dim=-1)*y": (
        {},
        "value and partials: errors in ULP of a formula with reductions inside are not known",
    ),
    "z*conj(w)": (
        {"complex": True},
        "value and partials: errors in ULP of a formula of complex numbers are not known",
    ),
    "heaviside(x)*y": (
        {"grads": {"x": "y"}},
        "d/dx, d²/dx², d²/dx dy: the gradient is declared, and need not be the derivative",
    ),
    "j0(x)": ({}, "plain autograd, d/dx, d²/dx²: torch has no derivative of it"),
    "a*b*c*d*e*g*h": ({}, "second partials: of more than 6 inputs there are too many"),
}


@pytest.mark.parametrize("formula", NOT_MEASURED)
def test_what_cannot_be_measured_is_said(formula: str) -> None:
    options, why = NOT_MEASURED[formula]
    report = fngen.measure(fngen.generate(formula, name="f", **options), dtypes="float32", points=20)
    assert f"\nnot measured: {why}" in str(report)
    told = {(g["output"], g["why"]) for g in report.to_dict()["not_measured"]}
    assert {why.rpartition(": ")[2]} == {w for _, w in told}
    assert not report.ok


def test_a_function_without_ball_arithmetic_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from fngen.accuracy import plan

    source = fngen.generate("erf(x)*x", name="f")
    monkeypatch.setattr(plan, "KNOWN", {op: f for op, f in plan.KNOWN.items() if op != "erf"})
    report = fngen.measure(source, dtypes="float32", points=20)
    assert "not measured: value and partials: 'erf' is not known in ball arithmetic" in str(report)
    assert not report.errors


def test_kinks_are_left_out() -> None:
    report = fngen.measure(fngen.generate("abs(x)", name="f"), dtypes="float32", points=50)
    assert "float32 d/dx, d²/dx²: 1 point left out at kinks" in str(report)
    assert report.to_dict()["errors"][2]["left_out"] == {"kink": 1}


def test_the_library_refuses_what_is_no_format() -> None:
    source = fngen.generate("x", name="f")
    with pytest.raises(OptionError, match="Did you mean float32"):
        fngen.measure(source, dtypes="float31")
    with pytest.raises(OptionError, match="none to measure"):
        fngen.measure(source, points=0)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_a_point_is_written_so_that_it_can_be_typed_in(form) -> None:
    rng = random.Random(3)
    for _ in range(300):
        x = form.from_bits(rng.getrandbits(form.bits))
        if math.isfinite(x):
            assert form.rounded(float(shortest(x, form))) == x


# The command.


def test_command(folder: Path) -> None:
    ok(LOG_COSH, "--name", "log_cosh")
    table = ok("verify", "generated/log_cosh.py", "--accuracy", "--dtype", "float32", "--points", "50")
    assert "log_cosh, against torch autograd of the formula\n" in table
    assert "log_cosh, errors in ULP against exact values (torch " in table
    assert "\nfloat32 " in table
    assert "\nfloat64 " not in table
    for output in ("value", "d/dx", "d²/dx²"):
        assert f"\n{output} " in table
    (data,) = json.loads(ok("verify", "generated", "--accuracy", "--json", "--points", "50"))
    assert data["ok"] is True
    measured = data["accuracy"]
    assert measured["formula"] == LOG_COSH
    assert {e["dtype"] for e in measured["errors"]} == {"float32", "float64"}
    assert measured["not_measured"] == []


def test_command_with_what_cannot_be_measured(folder: Path) -> None:
    ok("softmax(x, dim=-1)", "--name", "f", "--no-verify")
    assert "not measured: value and partials: " in ok("verify", "generated/f.py", "--accuracy")


WRONG = {
    "--points says how to measure accuracy": ["--points", "9"],
    "--dtype says how to measure accuracy": ["--dtype", "float32"],
    "--plot says how to measure accuracy": ["--plot", "a.svg"],
    "no errors in ULP are known of 'int8'": ["--accuracy", "--dtype", "int8"],
    "0 points are none to measure at": ["--accuracy", "--points", "0"],
    "a.pdf is no picture": ["--accuracy", "--plot", "a.pdf"],
    "a picture is of one layer, not of 2": ["--accuracy", "--plot", "a.svg"],
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_request_is_refused(folder: Path, message: str) -> None:
    if "of one layer" in message:
        pytest.importorskip("matplotlib")
        ok("x + 1", "--name", "more", "--no-verify")
    ok("x", "--name", "f", "--no-verify")
    result = invoke("verify", "generated", *WRONG[message])
    assert result.exit_code == 2
    assert result.output.startswith(f"fngen: {message}")
    assert not list(folder.glob("a.*"))


def test_nothing_heavy_is_loaded_for_other_verbs(folder: Path) -> None:
    ok("x**2", "--name", "f", "--no-verify")
    code = (
        "import sys, fngen; fngen.verify('generated/f.py');"
        "print([m for m in sys.modules if m.startswith(('matplotlib', 'fngen.measurement'))])"
    )
    assert python(code, folder).strip() == "[]"


# The picture.


@pytest.fixture(scope="module")
def report() -> fngen.Accuracy:
    pytest.importorskip("matplotlib")
    return fngen.measure(
        fngen.generate(LOG_COSH, name="log_cosh", stabilise=True), dtypes="float32", points=60
    )


def panels(path: Path) -> list[str]:
    """Return the panels of a picture, which has to be well-formed."""
    root = ElementTree.parse(path).getroot()
    return [
        g.get("id", "")
        for g in root.iter("{http://www.w3.org/2000/svg}g")
        if g.get("id", "").startswith("axes_")
    ]


def test_the_svg_is_well_formed_and_the_same_every_time(folder: Path, report: fngen.Accuracy) -> None:
    path = report.plot(folder / "pictures/a.svg")
    assert len(panels(path)) == 3
    text = path.read_text()
    assert f"<title>{LOG_COSH}</title>" in text
    assert "<dc:date>" not in text
    assert "d²/dx²" in text
    code = (
        "import fngen; s = fngen.generate('log(cosh(x))', name='log_cosh', stabilise=True);"
        "fngen.measure(s, dtypes='float32', points=60).plot('b.svg')"
    )
    python(code, folder, PYTHONHASHSEED="7")
    assert (folder / "b.svg").read_text() == text


def test_the_png_is_one_and_the_command_draws(folder: Path, report: fngen.Accuracy) -> None:
    path = report.plot(folder / "a.png")
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG\r\n")
    assert report.plot(path).read_bytes() == first
    ok("x**2", "--name", "f", "--no-verify")
    out = ok("verify", "generated/f.py", "--accuracy", "--points", "9", "--plot", "b.svg")
    assert out.endswith("drew b.svg\n")
    assert len(panels(folder / "b.svg")) == 6  # Two formats.


PANELS = {"x*y": 2 * 6 + 1, "x*y*z": 3 * 3, "u = x; v = x**2": 2 * 3, "a*b*c*d*e*g*h": 2 * 10}


@pytest.mark.parametrize("formula", PANELS)
def test_pictures_of_several(folder: Path, formula: str) -> None:
    pytest.importorskip("matplotlib")
    outputs = ["u", "v"] if "u =" in formula else None
    source = fngen.generate(formula, name="f", outputs=outputs)
    path = fngen.measure(source, dtypes="float32", points=15).plot("a.svg")
    assert len(panels(path)) == PANELS[formula]


def test_a_wrong_number_is_marked_at_the_top(report: fngen.Accuracy) -> None:
    from matplotlib.figure import Figure

    (band,) = bands(report)
    figure = Figure()
    band.draw(figure)
    value = figure.axes[0]
    bottom, top = scales.strip(FORMATS["float32"])
    marks = [line for line in value.lines if line.get_marker() in ("|", "x")]
    drawn = {line.get_marker(): len(line.get_xdata()) for line in marks}
    assert drawn == {"x": 0, "|": len(found(report, "value", PLAIN).nonfinite)}
    assert all(bottom < y < top for line in marks for y in line.get_ydata())


def test_without_matplotlib_the_message_says_how_to_get_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok("x", "--name", "f", "--no-verify")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = invoke("verify", "generated/f.py", "--accuracy", "--plot", "a.svg")
    assert result.exit_code == 2
    assert result.output == (
        "fngen: a picture needs the package matplotlib\nInstall it with `pip install matplotlib`.\n"
    )


def test_there_is_nothing_to_draw(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    report = fngen.measure(fngen.generate("softmax(x, dim=-1)", name="f"))
    with pytest.raises(FngenError, match="nothing to draw of 'f'"):
        report.plot("a.svg")
    ok("softmax(x, dim=-1)", "--name", "f", "--no-verify")
    assert invoke("verify", "generated/f.py", "--accuracy", "--plot", "a.svg").exit_code == 2


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_an_axis_keeps_the_order_and_holds_the_whole_format(form) -> None:
    numbers = sorted(
        {form.rounded(s * 2.0**e) for e in range(form.least, form.exponent + 1) for s in (1, -1)} | {0.0}
    )
    places = [scales.position(x, form) for x in (-form.largest, *numbers, form.largest)]
    assert all(a < b for a, b in pairwise(places))
    assert places == [-p for p in reversed(places)]
    assert places[-1] == scales.end(form)
    named, others = scales.ticks(form, 0.09)
    assert all(abs(p) <= scales.end(form) for p in [*named, *others])
    together = sorted(named)
    assert len(together) >= 5
    assert all(b - a >= 0.18 * scales.end(form) for a, b in pairwise(together))
    heights = [scales.height(e, form) for e in (0, 0.5, 4, 100, scales.lost(form), 1e300)]
    assert heights == sorted(heights)
    assert heights[0] == 0
    assert heights[-1] == heights[-2] < scales.strip(form)[0]


def test_an_envelope_breaks_where_there_is_nothing() -> None:
    form = FORMATS["float32"]
    high = scales.end(form)
    line = list(scales.envelope([(-high, 1.0), (-high, 3.0), (high, 2.0)], 10, form))
    assert [h for _, h in line if not math.isnan(h)] == [3.0, 2.0]
    assert sum(math.isnan(h) for _, h in line) == 1
