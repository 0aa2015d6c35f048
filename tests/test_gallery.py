"""generated/ is golden data, gallery and test subject in one."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import fngen
from fngen import pipeline, recipe
from fngen.cli import main
from tests.conftest import ROOT
from tests.gallery import GALLERY, Entry

GENERATED = ROOT / "generated"


def _declared(entry: Entry) -> str:
    said = {"param": entry.params, "const": entry.consts}
    outputs = f"<br>`outputs {', '.join(entry.outputs)}`" if entry.outputs else ""
    lines = (f"<br>`{word} {k} = {v}`" for word, pairs in said.items() for k, v in pairs.items())
    return "".join(lines) + outputs


def readme() -> str:
    rows = [
        f"| [`{n}.py`]({n}.py) | `{e.formula.replace('; ', '`<br>`')}`{', `--complex`' * e.complex}{_declared(e)} "
        f"| {e.purpose} |"
        for n, e in GALLERY.items()
    ]
    head = """# Gallery

Layers as fngen writes them: golden files of the test suite, and worth reading. Each was made by the command in its
header; `fngen check generated` proves it, `fngen verify generated` tests each against torch autograd.

| file | formula | |
| --- | --- | --- |
"""
    return head + "\n".join(rows) + "\n"


@pytest.mark.parametrize("name", GALLERY)
def test_golden(name: str, update: bool) -> None:
    path = GENERATED / f"{name}.py"
    text = fngen.generate(GALLERY[name].formula, name=name, **GALLERY[name].options).text
    if update:
        path.write_text(text)
    assert path.read_text() == text, (
        f"{path.name} is out of date: look at the diff, then run `pytest --update`"
    )


def test_the_readme_lists_the_gallery(update: bool) -> None:
    path = GENERATED / "README.md"
    if update:
        path.write_text(readme())
    assert path.read_text() == readme()


def test_nothing_else_is_there() -> None:
    assert {p.stem for p in GENERATED.glob("*.py")} == {*GALLERY, "__init__"}


@pytest.mark.parametrize("path", sorted(GENERATED.glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_the_header_is_the_recipe(path: Path) -> None:
    spec = recipe.read(path)
    assert spec.name == path.stem
    assert pipeline.generate(spec).text == path.read_text()


@pytest.mark.parametrize("name", GALLERY)
def test_verified(name: str) -> None:
    report = fngen.verify(GENERATED / f"{name}.py")
    assert report.ok, report


@pytest.mark.parametrize("name", GALLERY)
def test_the_example_in_the_docstring(name: str) -> None:
    module = importlib.import_module(f"generated.{name}")
    failures, attempted = doctest.testmod(module, extraglobs={"torch": torch})
    assert attempted == 0 or failures == 0


def test_check_finds_them_up_to_date() -> None:
    done = CliRunner().invoke(main, ["check", str(GENERATED)])
    assert done.exit_code == 0, done.output


def test_the_first_example() -> None:
    from generated.square import Square

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer1 = Square()

        def forward(self, x1: torch.Tensor, x2: torch.Tensor) -> torch.Tensor:
            return self.layer1(x1, x2).sum()

    x1 = torch.tensor([1.0, 2, 3], requires_grad=True)
    x2 = torch.tensor([4.0, 5, 6], requires_grad=True)
    total = Net()(x1, x2)
    total.backward()
    assert total.item() == 113
    assert x1.grad is not None
    assert x2.grad is not None
    assert x1.grad.tolist() == [3, 12, 27]
    assert x2.grad.tolist() == [8, 10, 12]


def test_every_mode_of_differentiation() -> None:
    from generated.swish import swish

    def plain(x: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(beta * x)

    x = torch.tensor([-1.5, 0.2, 2.0], dtype=torch.float64)
    beta = torch.tensor(1.3, dtype=torch.float64)
    jac = torch.func.jacfwd
    for transform in (
        torch.func.hessian,
        lambda f: jac(jac(f)),
        lambda f: jac(jac(jac(f))),
        torch.func.jacrev,
    ):
        got, want = (transform(lambda v, f=f: f(v, beta).sum())(x) for f in (swish, plain))
        torch.testing.assert_close(got, want)


def test_the_readme_shows_what_is_emitted() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    shown = [block for block in blocks if "ctx: Any" in block]
    emitted = "".join((GENERATED / f"{name}.py").read_text() for name in ("square", "mish"))
    assert shown
    assert all(block in emitted for block in shown)
