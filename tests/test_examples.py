"""The example projects: built from nothing, installed where fngen is not, compared with torch autograd."""

from __future__ import annotations

import ast
import shutil
import zipfile
from pathlib import Path

import pytest

from fngen.project import build
from tests.conftest import ROOT
from tests.environments import CONSTRAINTS, Environment, packages_here, wheel_of_fngen
from tests.pages import from_wheel

pytestmark = pytest.mark.slow
EXAMPLES = ROOT / "examples"

WITHOUT_FNGEN = """
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "fngen":
            raise ImportError(f"{name} is blocked")


sys.meta_path.insert(0, Blocker())  # It may lie beside the torch that is borrowed.

import torch

torch.manual_seed(0)


def same(value, plain, *inputs):
    weights = torch.randn_like(plain)
    ours = torch.autograd.grad((value * weights).sum(), inputs)
    theirs = torch.autograd.grad((plain * weights).sum(), inputs)
    torch.testing.assert_close(value, plain)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


"""
USES = {
    "hatchling": """
import gates
block = gates.FeedForward(4, 6).double()
x, a, b = numbers(3, 4), numbers(3, 6), numbers(3, 6)
torch.nn.init.normal_(block.gate.beta)
beta = block.gate.beta
same(block.gate(a, b), a * torch.sigmoid(beta * b), a, b, beta)
same(gates.SquaredRelu()(x), torch.relu(x) ** 2, x)
block(x).sum().backward()
assert block.up.weight.grad.abs().sum() > 0
print("used", gates.__file__)
""",
    "setuptools": """
import losses
x, target = numbers(5), numbers(5)
same(losses.charbonnier_loss(x, target), ((x - target) ** 2 + 1e-6).sqrt().mean(), x, target)
label = torch.tensor([0.0, 1, 1, 0, 1], dtype=torch.float64)
nll = torch.nn.functional.binary_cross_entropy_with_logits(x, label, reduction="none")
same(losses.focal_loss(x, label), ((1 - torch.exp(-nll)) ** 2 * nll).mean(), x)
print("used", losses.__file__)
""",
    "scikit-build-core": """
import norms
x = numbers(3, 8)
layer = norms.RmsNorm(8).double()
torch.nn.init.normal_(layer.w)
same(layer(x), torch.nn.functional.rms_norm(x, (8,), layer.w, 1e-6), x, layer.w)
same(norms.Standardize()(x), (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True), x)
print("used", norms.__file__)
""",
    "meson-python": """
import bonds
r = numbers(7)
layer = bonds.Morse().double()
depth, a, r0 = layer.depth, layer.a, layer.r0
same(layer(r), depth * (1 - torch.exp(-a * (r - r0))) ** 2, r, depth, a, r0)
torch.testing.assert_close(bonds.force(bonds.Harmonic().double(), r), -(r - 1))
print("used", bonds.__file__)
""",
}


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment of nothing: what builds an example is in one that pip makes for each."""
    return Environment.fresh(tmp_path_factory.mktemp("builder") / "venv")


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with torch within reach."""
    environment = Environment.fresh(tmp_path_factory.mktemp("user") / "venv")
    environment.reach(packages_here())
    return environment


def test_each_example_is_used() -> None:
    built = {path.parent.name for path in EXAMPLES.glob("*/pyproject.toml")}
    assert built == set(USES)
    for name in built:
        assert not list((EXAMPLES / name).rglob("layers/*.py")), "what is generated is not in git"


@pytest.mark.parametrize("name", USES)
def test_an_example_is_built_from_nothing_and_runs_without_fngen(
    name: str,
    builder: Environment,
    user: Environment,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    project = tmp_path / "project"
    shutil.copytree(EXAMPLES / name, project)
    pyproject = project / "pyproject.toml"
    pyproject.write_text(from_wheel(pyproject.read_text(), wheel_of_fngen(tmp_path_factory).as_uri()))
    versions = dict.fromkeys(("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"), str(CONSTRAINTS))
    builder.pip("wheel", "--no-deps", "-w", tmp_path, project, **versions)
    (wheel,) = tmp_path.glob("*.whl")
    assert layers(wheel) == made_here(EXAMPLES / name, tmp_path / "here")
    for text in layers(wheel).values():
        assert imported(text) <= {
            "__future__",
            "collections",
            "functools",
            "importlib",
            "math",
            "torch",
            "typing",
        }

    user.pip("install", "-q", "--no-deps", wheel)
    program = tmp_path / "use.py"
    program.write_text(WITHOUT_FNGEN + USES[name].lstrip())
    assert f"used {user.folder}" in user.run(user.python, program)


def layers(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as opened:
        return {Path(name).name: opened.read(name) for name in opened.namelist() if "/layers/" in name}


def made_here(project: Path, folder: Path) -> dict[str, bytes]:
    """Return the layers of a project as a build in this process writes them."""
    assert build(project, output=folder, verify=True).ok
    return {path.name: path.read_bytes() for path in folder.glob("*.py")}


def imported(text: bytes) -> set[str]:
    """Return the packages that a file imports, itself apart."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).split(".")[0])
    return found
