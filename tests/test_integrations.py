"""Build backends: what is declared is in the wheel, and a mistake ends the build with its place."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
import tomlkit
from click.testing import CliRunner

import fngen
from fngen import installed
from fngen.cli import main
from fngen.errors import FngenError
from fngen.integrations import bring
from fngen.project import toml
from fngen.project.manifest import hashed
from tests.conftest import ROOT
from tests.pages import files

BACKENDS = {"hatchling": "hatchling.build", "setuptools": "setuptools.build_meta"}
LAYERS = {"hatchling": "src/gates/layers", "setuptools": "src/losses/layers"}
MAKES = {
    "hatchling": {
        "gates/__init__.py",
        "gates/layers/__init__.py",
        "gates/layers/gate.py",
        "gates/layers/squared_relu.py",
    },
    "setuptools": {
        "losses/__init__.py",
        "losses/layers/__init__.py",
        "losses/layers/charbonnier.py",
        "losses/layers/focal.py",
    },
}
TEXTS = {
    "gates/layers/gate.py": fngen.generate("a*sigmoid(beta*b)", name="gate", params={"beta[-1]": 1.0}).text,
    "losses/layers/charbonnier.py": fngen.generate(
        "sqrt((x - target)**2 + eps**2)", name="charbonnier", consts={"eps": "1e-3"}
    ).text,
}
NAMED = '"fngen @ git+https://example.com/fngen"'
"""How the examples name fngen among the requirements of their build."""
both = pytest.mark.parametrize("name", BACKENDS)


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A path on which Python finds this checkout with its entry points, whatever is installed."""
    project = toml.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = tmp_path_factory.mktemp("site") / f"fngen-{project['version']}.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: fngen\nVersion: {project['version']}\n"
    )
    groups = project["entry-points"].items()
    info.joinpath("entry_points.txt").write_text(
        "".join(f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in rows.items()) for group, rows in groups)
    )
    return os.pathsep.join([str(info.parent), str(ROOT)])


class Project:
    """A copy of an example, and its backend as a tool that builds it calls it."""

    def __init__(self, name: str, folder: Path, path: str) -> None:
        self.name, self.folder, self.path = name, folder, path
        if not folder.exists():
            shutil.copytree(ROOT / "examples" / name, folder)

    def call(self, hook: str, **environment: str) -> subprocess.CompletedProcess[str]:
        self.folder.joinpath("dist").mkdir(exist_ok=True)
        call = f"import {BACKENDS[self.name]} as backend; backend.{hook}('dist')"
        return subprocess.run(
            [sys.executable, "-c", call],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": self.path} | environment,
            check=False,
            capture_output=True,
            text=True,
        )

    def built(self, hook: str = "build_wheel", **environment: str) -> Path:
        done = self.call(hook, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        (built,) = self.folder.glob("dist/*.tar.gz" if hook == "build_sdist" else "dist/*.whl")
        return built

    def refused(self, hook: str = "build_wheel") -> str:
        done = self.call(hook)
        said = done.stdout + done.stderr
        assert done.returncode
        assert "Traceback" not in said
        assert not list(self.folder.glob("dist/*.*")), said
        return said

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path, registered: str) -> Project:
    """The example of the test's backend."""
    return Project(request.getfixturevalue("name"), tmp_path / "project", registered)


@pytest.fixture
def hatch(tmp_path: Path, registered: str) -> Project:
    return Project("hatchling", tmp_path / "project", registered)


@pytest.fixture
def setuptools(tmp_path: Path, registered: str) -> Project:
    return Project("setuptools", tmp_path / "project", registered)


def contents(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as opened:
        names = [name for name in opened.namelist() if ".dist-info/" not in name]
        return {name: opened.read(name).decode() for name in names}


@both
def test_a_wheel_has_the_layers_and_no_more(project: Project, name: str) -> None:
    found = contents(project.built())
    assert set(found) == MAKES[name]
    assert {key: text for key, text in TEXTS.items() if key in found}.items() <= found.items()


@both
def test_a_wheel_is_the_same_bytes_again_and_elsewhere(
    project: Project, name: str, tmp_path: Path, registered: str
) -> None:
    first = project.built(PYTHONHASHSEED="1", SOURCE_DATE_EPOCH="1700000000").read_bytes()
    again = project.built(PYTHONHASHSEED="2", SOURCE_DATE_EPOCH="1700000000").read_bytes()
    elsewhere = Project(name, tmp_path / "other" / "place", registered)
    assert first == again
    assert first == elsewhere.built(SOURCE_DATE_EPOCH="1700000000").read_bytes()


@both
def test_a_wheel_is_the_same_if_git_has_the_layers(project: Project, name: str) -> None:
    project.folder.joinpath(".gitignore").unlink()
    project.built()
    assert set(contents(project.built())) == MAKES[name]


@both
def test_a_source_distribution_makes_the_same_wheel(project: Project, name: str, registered: str) -> None:
    sdist = project.built("build_sdist")
    wheel = contents(project.built())
    unpacked = unpack(sdist, project.folder.parent)
    folder = unpacked / LAYERS[name]
    assert {p.name for p in folder.iterdir()} >= {".fngen.json", "__init__.py"}
    assert wheel == contents(Project(name, unpacked, registered).built())


@both
def test_what_an_older_fngen_left_in_a_source_distribution_is_replaced(
    project: Project, name: str, registered: str
) -> None:
    unpacked = unpack(project.built("build_sdist"), project.folder.parent)
    file = next(Path(f"src/{key}") for key in TEXTS if key.split("/")[0] == LAYERS[name].split("/")[1])
    older = unpacked / file
    older.write_text(older.read_text() + "# as it was written then\n")
    manifest = older.parent / ".fngen.json"
    known = json.loads(manifest.read_text())
    known["files"][older.name] = ["of then", hashed(older.read_bytes())]
    manifest.write_text(json.dumps(known))
    found = contents(Project(name, unpacked, registered).built())
    assert found[file.relative_to("src").as_posix()] == TEXTS[file.relative_to("src").as_posix()]


def unpack(sdist: Path, folder: Path) -> Path:
    with tarfile.open(sdist) as opened:
        opened.extractall(folder, filter="data")
    return folder / sdist.name.removesuffix(".tar.gz")


def test_a_wrong_formula_ends_a_build_of_hatchling_with_its_place(hatch: Project) -> None:
    hatch.edit("pyproject.toml", "sigmoid(beta*b)", "sigmod(beta*b)")
    said = hatch.refused()
    line = 1 + hatch.folder.joinpath("pyproject.toml").read_text().partition("sigmod")[0].count("\n")
    assert f"fngen: pyproject.toml:{line}: layers.gate.formula: unknown function 'sigmod'" in said
    assert "    a*sigmod(beta*b)\n      ^^^^^^\nDid you mean 'sigmoid'?" in said


def test_a_wrong_formula_ends_a_build_of_setuptools_with_its_place(setuptools: Project) -> None:
    setuptools.edit("formulas/charbonnier.fn", "sqrt(", "sqt(")
    said = setuptools.refused()
    assert "fngen: formulas/charbonnier.fn:3: unknown function 'sqt'\n" in said
    assert "^^^\nDid you mean 'sqrt'?" in said


@both
def test_what_the_page_shows_is_built(project: Project, name: str) -> None:
    """In the example's place, with the rest of the example."""
    ((file, text),) = files(f"{name}.md")
    pyproject = project.folder / file
    table = tomlkit.parse(pyproject.read_text())["project"]
    pyproject.write_text(text + "\n" + tomlkit.dumps({"project": table}))
    layers = {key for key in contents(project.built()) if "/layers/" in key}
    wanted = {key for key in MAKES[name] if "/layers/" in key} - {"gates/layers/gate.py"}
    assert layers == wanted


@both
def test_an_edited_layer_ends_a_build(project: Project, name: str) -> None:
    shutil.rmtree(project.built().parent)
    layer = next((project.folder / LAYERS[name]).glob("[a-z]*.py"))
    layer.write_text(layer.read_text().replace("return ", "return 2*"))
    said = project.refused()
    assert f"edited: {layer.relative_to(project.folder)}" in said
    assert "--force" in said


@both
def test_layers_outside_of_the_package_are_not_lost_silently(project: Project, name: str) -> None:
    project.edit("pyproject.toml", f'output = "{LAYERS[name]}"', 'output = "elsewhere"')
    assert "Set `output` in the declaration to a folder inside" in project.refused()


@both
@pytest.mark.parametrize("output", ["../elsewhere", "/tmp/fngen-elsewhere"])
def test_layers_outside_of_the_project_are_refused(project: Project, name: str, output: str) -> None:
    project.edit("pyproject.toml", f'output = "{LAYERS[name]}"', f'output = "{output}"')
    assert "is not in the project" in project.refused()
    assert not (project.folder / output).exists()


@both
def test_a_declaration_of_its_own_is_in_the_source_distribution(project: Project, name: str) -> None:
    text = project.folder.joinpath("pyproject.toml").read_text()
    head, _, _ = text.partition("[tool.fngen]")
    project.folder.joinpath("pyproject.toml").write_text(head)
    project.folder.joinpath("fngen.toml").write_text(f'output = "{LAYERS[name]}"\n[layers]\ncube = "x**3"\n')
    with tarfile.open(project.built("build_sdist")) as opened:
        names = {file.partition("/")[2] for file in opened.getnames()}
    assert {"fngen.toml", f"{LAYERS[name]}/cube.py"} <= names


def test_nothing_is_declared(hatch: Project) -> None:
    hatch.edit("pyproject.toml", "[tool.fngen", "[tool.other")
    assert "fngen: no fngen.toml, and no [tool.fngen]" in hatch.refused()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("verfy = true", "hooks.fngen.verfy: unknown key\nDid you mean 'verify'?"),
        ("verify = 'yes'", "hooks.fngen.verify: wants true or false"),
        ("config = 'other.toml'", "cannot read other.toml"),
    ],
)
def test_options_of_the_hook(hatch: Project, line: str, message: str) -> None:
    hatch.edit(
        "pyproject.toml", "[tool.hatch.build.hooks.fngen]\n", f"[tool.hatch.build.hooks.fngen]\n{line}\n"
    )
    assert message in hatch.refused()


def test_a_project_of_setuptools_that_does_not_ask_for_fngen_is_left_alone(setuptools: Project) -> None:
    setuptools.edit("pyproject.toml", f"{NAMED}]", '"fngen-helpers", "fngen_x"]')
    assert set(contents(setuptools.built())) == {"losses/__init__.py"}
    assert not (setuptools.folder / LAYERS["setuptools"]).exists()


@pytest.mark.parametrize("requirement", ["fngen >= 0.1", "FNGEN[torch]", "fngen @ file:///somewhere"])
def test_ways_to_ask_setuptools_for_fngen(setuptools: Project, requirement: str) -> None:
    setuptools.edit("pyproject.toml", f"{NAMED}]", f'"{requirement}"]')
    assert set(contents(setuptools.built())) == MAKES["setuptools"]


def test_a_layer_that_is_no_longer_declared_leaves_the_wheel(setuptools: Project) -> None:
    setuptools.built()
    assert (setuptools.folder / "build/lib/losses/layers/focal.py").exists()
    setuptools.folder.joinpath("formulas/focal.fn").unlink()
    setuptools.folder.joinpath("src/losses/__init__.py").write_text("")
    assert set(contents(setuptools.built())) == MAKES["setuptools"] - {"losses/layers/focal.py"}


@both
def test_an_editable_install_has_the_layers_in_the_source(project: Project, name: str) -> None:
    # With folders said, hatchling needs no package of its own for it.
    project.edit(
        "pyproject.toml", "[tool.fngen]\n", '[tool.hatch.build]\ndev-mode-dirs = ["src"]\n\n[tool.fngen]\n'
    )
    project.built("build_editable")
    assert {p.name for p in project.folder.joinpath(LAYERS[name]).glob("*.py")} == {
        Path(file).name for file in MAKES[name] if "/layers/" in file
    }


def test_a_strict_editable_install_of_setuptools(setuptools: Project) -> None:
    call = "import setuptools.build_meta as b; b.build_editable('.', {'editable_mode': 'strict'})"
    environment = os.environ | {"PYTHONPATH": setuptools.path}
    subprocess.run([sys.executable, "-c", call], cwd=setuptools.folder, env=environment, check=True)
    (linked,) = setuptools.folder.glob("build/__editable__*/losses/layers/focal.py")
    assert linked.samefile(setuptools.folder / "src/losses/layers/focal.py")


def compiled(project: Project) -> None:
    """Have the layers of an example made with kernels, and these built ahead of time."""
    if project.name == "hatchling":
        head = "[tool.hatch.build.hooks.fngen]\n"
        project.edit("pyproject.toml", head, f"{head}compile = true\n")
    else:
        path = project.folder / "pyproject.toml"
        path.write_text(path.read_text() + "\n[tool.distutils.build_fngen]\ncompile = true\n")
    project.edit("pyproject.toml", "[tool.fngen]\n", '[tool.fngen]\ndefaults.backend = "c"\n')


IN_A_WHEEL = """
import os, sys, warnings
warnings.simplefilter("error")
os.environ |= {"CC": "/nowhere/cc", "FNGEN_CACHE": "/proc/fngen"}
import torch
from importlib import import_module
module = import_module(sys.argv[1])
function = getattr(module, sys.argv[1].rpartition(".")[2])
tensors = [torch.rand(3, 4, requires_grad=True) for _ in range(int(sys.argv[2]))]
node = type(function(*tensors).grad_fn).__name__
sys.exit(0 if node.endswith("FusedBackward") else node)
"""


@both
def test_a_wheel_carries_kernels_for_any_python(project: Project, name: str, tmp_path: Path) -> None:
    compiled(project)
    wheel = project.built()
    platform = re.sub("[-.]", "_", sysconfig.get_platform())
    assert wheel.name.endswith(f"-py3-none-{platform}.whl")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(tmp_path / "installed")
        (about,) = (opened.read(x).decode() for x in opened.namelist() if x.endswith("/WHEEL"))
    assert "Root-Is-Purelib: false\n" in about
    assert f"Tag: py3-none-{platform}\n" in about
    libraries = sorted(tmp_path.glob("installed/*/layers/*.kernels.so"))
    assert {f"{path.parent.parent.name}/layers/{path.name}" for path in libraries} == {
        key.replace(".py", ".kernels.so") for key in MAKES[name] if "__init__" not in key
    }
    layer = {"hatchling": ("gates.layers.gate", "3"), "setuptools": ("losses.layers.charbonnier", "2")}[name]
    shutil.rmtree(project.folder / "src")
    done = subprocess.run(
        [sys.executable, "-c", IN_A_WHEEL, *layer],
        cwd=tmp_path / "installed",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@both
def test_a_source_distribution_has_no_kernels_and_needs_no_compiler(
    project: Project, name: str, tmp_path: Path
) -> None:
    compiled(project)
    with tarfile.open(project.built("build_sdist", CC="/nowhere/cc")) as opened:
        names = opened.getnames()
    assert any(x.endswith(".py") for x in names)
    assert not any(x.endswith(".so") for x in names)
    done = project.call("build_wheel", CC="/nowhere/cc")
    assert "fngen: no C compiler '/nowhere/cc'" in done.stdout + done.stderr
    assert not list(project.folder.glob("dist/*.whl"))


@both
def test_kernels_that_nobody_asked_a_wheel_for_are_not_in_it(project: Project, name: str) -> None:
    project.edit("pyproject.toml", "[tool.fngen]\n", '[tool.fngen]\ndefaults.backend = "c"\n')
    built = fngen.project.build(project.folder, compile=True, verify=False)
    assert any(path.name.endswith(".kernels.so") for path in built.outputs)
    wheel = project.built()
    assert wheel.name.endswith("-py3-none-any.whl")
    assert set(contents(wheel)) == MAKES[name]


def test_what_is_to_be_verified_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("fngen.toml").write_text('[layers]\ncube = "x**3"\n')
    asked: list[str | None] = []
    monkeypatch.setattr(
        bring, "build", lambda *_, verify, **__: asked.append(verify) or fngen.project.Outcome()
    )
    bring.brought(folder, verify=True)
    bring.brought(folder)
    assert asked == [None, False]
    monkeypatch.setattr(installed, "lacking", lambda: "torch is not installed")
    bring.brought(folder)
    with pytest.raises(FngenError, match="and torch is not installed\nName fngen\\[torch\\]"):
        bring.brought(folder, verify=True)


# What other build systems ask the command for


def fngen_build(*args: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["build", "--no-verify", *args])
    assert result.exit_code == code, result.output
    return result.output


def test_the_names_of_the_files_are_known_before_they_are_made(folder: Path) -> None:
    Path("fngen.toml").write_text('[layers]\nSquaredRelu = "relu(x)**2"\ncube = "x**3"\n')
    names = fngen_build("--list").split()
    assert names == ["__init__.py", "cube.py", "squared_relu.py"]
    assert not Path("generated").exists()
    fngen_build()
    assert {path.name for path in Path("generated").glob("*.py")} == set(names)
    Path("fngen.toml").write_text('[layers]\ncube = "x**3"\nCube = "x**2"\n')
    assert "fngen.toml:3: layers.Cube: the layer 'cube' is declared twice" in fngen_build("--list", code=2)


def test_another_folder_than_the_declared_one(folder: Path) -> None:
    Path("sub").mkdir()
    Path("sub/fngen.toml").write_text('[layers]\ncube = "x**3"\n')
    fngen_build("--config", "sub/fngen.toml", "--output", "elsewhere")
    assert Path("elsewhere/cube.py").read_text() == fngen.generate("x**3", name="cube").text
    assert not Path("sub/generated").exists()


def test_a_stamp_says_that_all_was_well_and_what_would_change_that(folder: Path) -> None:
    Path("more").mkdir()
    Path("more/cube.fn").write_text("x**3")
    Path("fngen.toml").write_text('formulas = ["more/*.fn"]\n[layers]\nsquare = "sqare(x)"\n')
    asked = ("--stamp", "out/stamp", "--depfile", "out/stamp.d")
    fngen_build(*asked, code=2)
    assert not Path("out/stamp").exists()
    Path("fngen.toml").write_text('formulas = ["more/*.fn"]\n[layers]\nsquare = "x**2"\n')
    fngen_build(*asked)
    rule, *_ = Path("out/stamp.d").read_text().replace("\\\n", "").split("\n")
    assert rule.split()[:4] == ["out/stamp:", "fngen.toml", "more/cube.fn", "more"]
    os.utime("out/stamp", (1_000, 1_000))
    fngen_build(*asked)
    assert Path("out/stamp").stat().st_mtime > 1_000_000
    os.utime("out/stamp", (1_000, 1_000))
    fngen_build(*asked, "--dry-run")
    assert Path("out/stamp").stat().st_mtime == 1_000


def test_cmake_is_told_where_its_function_is() -> None:
    result = CliRunner().invoke(main, ["--cmake-dir"])
    assert Path(result.output.strip(), "fngenConfig.cmake").is_file()
