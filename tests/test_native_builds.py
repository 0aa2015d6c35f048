"""CMake and meson: what depends on what, in environments from nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tomlkit

import fngen
from tests.conftest import ROOT
from tests.environments import FAILS, Environment, with_fngen
from tests.pages import files

pytestmark = pytest.mark.slow
RMS_NORM = fngen.generate(
    "x/sqrt(mean(x**2, dim=-1) + eps)*w", name="rms_norm", params={"w[-1]": 1.0}, consts={"eps": 1e-6}
).text


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """CMake, ninja, meson, and a fngen that was installed from a wheel."""
    return with_fngen(tmp_path_factory)


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.py")}


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.py")}


class CMake:
    """A copy of the example of CMake, with a folder of formula files, configured."""

    def __init__(self, tools: Environment, folder: Path, generator: str) -> None:
        self.tools, self.folder = tools, folder / "pro ject"
        self.layers = self.folder / "build" / "layers"
        shutil.copytree(ROOT / "examples/scikit-build-core", self.folder)
        edit(
            self.folder / "pyproject.toml",
            "[tool.fngen.layers.rms_norm]",
            'formulas = ["more/*.fn"]\n\n[tool.fngen.layers.rms_norm]',
        )
        edit(self.folder / "pyproject.toml", "formulas", "[tool.fngen]\nformulas")
        self.folder.joinpath("more").mkdir()
        self.folder.joinpath("more/cube.fn").write_text("x**3")
        where = tools.run(tools.python, "-m", "fngen", "--cmake-dir").strip()
        self.said = self.cmake("-S", ".", "-B", "build", "-G", generator, f"-Dfngen_DIR={where}")

    def cmake(self, *args: str, code: int = 0) -> str:
        return self.tools.run("cmake", *args, cwd=self.folder, code=code)

    def build(self, code: int = 0) -> str:
        return self.cmake("--build", "build", code=code)


@pytest.fixture(params=["Ninja", "Unix Makefiles"])
def project(request: pytest.FixtureRequest, tools: Environment, tmp_path: Path) -> CMake:
    if request.param == "Unix Makefiles" and shutil.which("make") is None:
        pytest.skip("make is not installed")
    return CMake(tools, tmp_path, request.param)


def test_cmake_makes_what_has_changed(project: CMake) -> None:
    assert "written layers/rms_norm.py" in project.build().replace(str(project.layers.parent) + "/", "")
    assert texts(project.layers)["rms_norm.py"] == RMS_NORM
    assert set(times(project.layers)) == {"__init__.py", "rms_norm.py", "standardize.py", "cube.py"}
    stamp = project.layers / ".fngen.stamp"
    first, stamped = times(project.layers), stamp.stat().st_mtime_ns
    assert "Making layers" not in project.build()
    assert (first, stamped) == (times(project.layers), stamp.stat().st_mtime_ns)

    project.folder.joinpath("more/cube.fn").write_text("x**3 + 1")
    assert "Making layers" in project.build()
    changed = {name for name, time in times(project.layers).items() if time != first[name]}
    assert changed == {"cube.py"}
    assert "Making layers" not in project.build()


def test_cmake_sees_layers_that_come_and_go(project: CMake) -> None:
    project.build()
    project.folder.joinpath("more/square.fn").write_text("x**2")
    project.build()
    assert "square.py" in times(project.layers)
    project.folder.joinpath("more/cube.fn").unlink()
    project.build()
    assert "cube.py" not in times(project.layers)
    project.cmake("--install", "build", "--prefix", "installed")
    assert texts(project.folder / "installed/norms/layers") == texts(project.layers)
    assert not list(project.folder.glob("installed/norms/layers/.*"))


def test_cmake_ends_with_the_place_of_a_mistake_until_it_is_mended(project: CMake) -> None:
    edit(project.folder / "pyproject.toml", "sqrt(", "sqrtt(")
    for _ in range(2):
        said = project.build(code=FAILS)
        assert "layers.rms_norm.formula: unknown function 'sqrtt'" in said
        assert "x/sqrtt(mean(x**2, dim=-1) + eps)*w\n      ^^^^^\nDid you mean 'sqrt'?" in said
        assert "Traceback" not in said
    edit(project.folder / "pyproject.toml", "sqrtt(", "sqrt(")
    project.build()
    assert texts(project.layers)["rms_norm.py"] == RMS_NORM


def test_cmake_makes_again_what_was_deleted(project: CMake) -> None:
    project.build()
    shutil.rmtree(project.layers)
    project.build()
    assert texts(project.layers)["rms_norm.py"] == RMS_NORM


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("CONFIG pyproject.toml", "TARGET is missing"),
        ("TARGET other CONFG pyproject.toml", "CONFG"),
        ("TARGET other CONFIG", "CONFIG"),
        ("TARGET other CONFIG pyproject.toml VERIFY", "VERIFY wants torch, and torch is not installed"),
    ],
)
def test_cmake_refuses_a_wrong_call(tools: Environment, tmp_path: Path, call: str, message: str) -> None:
    project = CMake(tools, tmp_path, "Ninja")
    edit(
        project.folder / "CMakeLists.txt",
        "TARGET layers CONFIG pyproject.toml DESTINATION norms/layers",
        call,
    )
    assert message in project.cmake("build", code=FAILS)


def test_cmake_says_which_python_lacks_fngen(tools: Environment, tmp_path: Path) -> None:
    project = CMake(tools, tmp_path, "Ninja")
    bare = Environment.fresh(tmp_path / "bare")
    said = project.cmake("build", f"-DPython_EXECUTABLE={bare.python}", code=FAILS)
    assert f"fngen does not run in the Python '{bare.python}'" in " ".join(said.split())


def as_shown(page: str, project: Path) -> None:
    """Put what a page shows in the place of an example's files; the [project] table stays."""
    shown = dict(files(page))
    kept = tomlkit.parse(project.joinpath("pyproject.toml").read_text())["project"]
    shown["pyproject.toml"] += "\n" + tomlkit.dumps({"project": kept})
    for name, text in shown.items():
        assert (project / name).exists(), name
        (project / name).write_text(text)


def test_what_the_page_on_cmake_shows(project: CMake) -> None:
    as_shown("cmake.md", project.folder)
    project.build()
    assert set(times(project.layers)) == {"__init__.py", "standardize.py"}
    project.cmake("--install", "build", "--prefix", "installed")
    assert texts(project.folder / "installed/norms/layers") == texts(project.layers)


def test_what_the_page_on_meson_shows(tools: Environment, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(ROOT / "examples/meson-python", project)
    as_shown("meson.md", project)
    tools.run("meson", "setup", "build", cwd=project)
    tools.run("meson", "install", "-C", "build", "--destdir", tmp_path / "root", cwd=project)
    installed = {path.name for path in tmp_path.joinpath("root").rglob("bonds/layers/*.py")}
    assert installed == {"__init__.py", "harmonic.py"}


@pytest.fixture
def meson(tools: Environment, tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "examples/meson-python", tmp_path / "project")
    tools.run("meson", "setup", "build", cwd=tmp_path / "project")
    return tmp_path / "project"


def test_meson_makes_what_has_changed(tools: Environment, meson: Path) -> None:
    layers = meson / "build/src/bonds/layers"
    tools.run("meson", "compile", "-C", "build", cwd=meson)
    first = times(layers)
    assert (
        texts(layers)["harmonic.py"]
        == fngen.generate("k*(r - r0)**2/2", name="harmonic", params={"k": 1.0, "r0": 1.0}).text
    )
    assert "no work to do" in tools.run("ninja", "-C", "build", cwd=meson)

    edit(meson / "pyproject.toml", "(1 - exp(-a*(r - r0)))**2", "((1 - exp(-a*(r - r0)))**2 - 1)")
    tools.run("meson", "compile", "-C", "build", cwd=meson)
    assert {name for name, time in times(layers).items() if time != first[name]} == {"morse.py"}
    assert "no work to do" in tools.run("ninja", "-C", "build", cwd=meson)


def test_meson_sees_layers_that_come_and_go(tools: Environment, meson: Path) -> None:
    edit(meson / "pyproject.toml", "harmonic = {", 'cubic = "x**3"\nharmonic = {')
    tools.run("meson", "install", "-C", "build", "--destdir", meson / "first", cwd=meson)
    edit(meson / "pyproject.toml", 'cubic = "x**3"\n', "")
    tools.run("meson", "install", "-C", "build", "--destdir", meson / "second", cwd=meson)
    installed = [{p.name for p in meson.joinpath(root).rglob("layers/*.py")} for root in ("first", "second")]
    names = {"__init__.py", "harmonic.py", "morse.py"}
    assert installed == [names | {"cubic.py"}, names]


def test_meson_ends_with_the_place_of_a_mistake_until_it_is_mended(tools: Environment, meson: Path) -> None:
    edit(meson / "pyproject.toml", "exp(-a", "expp(-a")
    for _ in range(2):
        said = tools.run("meson", "compile", "-C", "build", cwd=meson, code=FAILS)
        line = meson.joinpath("pyproject.toml").read_text().partition("expp")[0].count("\n") + 1
        assert f"{meson}/pyproject.toml:{line}: layers.morse.formula: unknown function 'expp'" in said
        assert "Traceback" not in said
    edit(meson / "pyproject.toml", "expp(-a", "exp(-a")
    tools.run("meson", "compile", "-C", "build", cwd=meson)
