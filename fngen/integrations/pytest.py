"""The plugin of pytest: with ``--fngen`` every declared layer has two tests, for drift and of its values.

Without the option it costs the import of this module: nothing else of fngen is loaded before it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fngen.project import Outcome
    from fngen.project.declaration import Declaration
    from fngen.project.outcome import Result
    from fngen.project.workers import Workers

_NAMES = ("fngen.toml", "pyproject.toml")
_PACKAGE = "__init__"
_COLLECTING = "fngen-collecting"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("fngen")
    group.addoption(
        "--fngen",
        action="store_true",
        help="test that declared layers are up to date, and that they compute what their formulas say",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the project's declaration, whatever else is collected."""
    if not config.getoption("--fngen"):
        return
    from fngen.errors import FngenError
    from fngen.project.reading import find

    config.pluginmanager.register(_Collecting(), _COLLECTING)
    named = [config.invocation_params.dir / argument.partition("::")[0] for argument in config.args]
    if any(path.name in _NAMES for path in named):
        return
    try:
        config.args.append(str(find(config.rootpath)))
    except FngenError as error:
        raise pytest.UsageError(f"--fngen: {error}") from None


class _Collecting:
    """The hooks of a run with the option."""

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.File | None:
        """Collect the layers of a declaration."""
        if file_path.name not in _NAMES:
            return None
        from fngen.project.reading import declares

        return DeclarationFile.from_parent(parent, path=file_path) if declares(file_path) else None

    @cached_property
    def verifiers(self) -> Workers:
        """A process that verifies, whatever the tests have made of torch's defaults in this one."""
        from fngen.project.workers import Workers

        return Workers(threads=1)

    def pytest_unconfigure(self) -> None:
        """End the process."""
        if "verifiers" in self.__dict__:
            self.verifiers.end()


class DeclarationFile(pytest.File):
    """A declaration."""

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield a collector for each layer, and one for the package."""
        if self.declaration.problems:
            raise self.CollectError("\n".join(map(str, self.declaration.problems)))
        for layer in self.declaration.layers:
            line = 1 if layer.formula_file else self.declaration.line("layers", layer.label)
            yield Layer.from_parent(self, name=layer.name, place=(layer.file, line))
        yield Layer.from_parent(self, name=_PACKAGE, place=(self.path, 1))

    @cached_property
    def declaration(self) -> Declaration:
        """What the file declares."""
        from fngen.project.problems import DeclarationError
        from fngen.project.reading import read

        try:
            return read(self.path)
        except DeclarationError as error:
            raise self.CollectError(str(error)) from None

    @cached_property
    def outcome(self) -> Outcome:
        """What a build would do; found out when the first layer is tested."""
        from fngen.project import check

        return check(self.path)


class Layer(pytest.Collector):
    """A layer, or the package of them all."""

    def __init__(self, place: tuple[Path, int], **given: Any) -> None:
        super().__init__(**given)
        self.place = place

    def collect(self) -> Iterator[pytest.Item]:
        """Yield its tests."""
        yield Drift.from_parent(self, name="drift")
        if self.name != _PACKAGE:
            yield Verify.from_parent(self, name="verify")


class _Test(pytest.Item):
    """A test that fails with a text."""

    parent: Layer

    @property
    def file(self) -> DeclarationFile:
        """The declaration."""
        file = self.parent.parent
        assert isinstance(file, DeclarationFile)
        return file

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where the layer is declared."""
        path, line = self.parent.place
        return path, line - 1, f"{self.parent.name}: {self.name}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return what went wrong: what fngen says needs no traceback."""
        return (
            str(excinfo.value) if isinstance(excinfo.value, _Failed) else super().repr_failure(excinfo, style)
        )


class _Failed(Exception):
    """What a test has to say."""


class Drift(_Test):
    """Whether the file is what a build would make."""

    def runtest(self) -> None:
        """Fail with the difference."""
        outcome, name = self.file.outcome, self.parent.name
        found = [result for result in outcome.results if result.name == name]
        problems = [problem for problem in outcome.problems if not problem.layer]
        if name == _PACKAGE:
            declared = self.file.declaration.names | {_PACKAGE}
            found += [result for result in outcome.results if result.name not in declared]
        elif found:
            problems = []
        says = [*map(_drift, found), *map(str, problems)]
        if any(says):
            raise _Failed("\n".join(filter(None, says)))


def _drift(result: Result) -> str:
    """Return how a file differs from what it should be; nothing if it does not."""
    from fngen.project.outcome import State
    from fngen.project.problems import shown

    if result.state is State.UNCHANGED:
        return ""
    if result.problem:
        return str(result.problem)
    says = {
        State.WRITTEN: f"{'out of date' if result.before else 'missing'}: `fngen build` makes it",
        State.REMOVED: "no longer declared: `fngen build` removes it",
        State.LET_GO: "no longer declared, and edited: `fngen build` lets it go",
    }
    diff = "" if result.before is None else result.diff()
    return f"{shown(result.path)}: {says.get(result.state, result.message)}\n{diff}".rstrip("\n")


class Verify(_Test):
    """Whether the file, as it stands, computes what its formula says, and the derivatives."""

    def runtest(self) -> None:
        """Fail with the table of checks."""
        path = self.file.declaration.output / f"{self.parent.name}.py"
        collecting: Any = self.config.pluginmanager.get_plugin(_COLLECTING)
        answer = collecting.verifiers.ask({"file": str(path)})
        if "unverified" in answer:
            pytest.skip(f"layers are verified against torch, and {answer['unverified']}")
        if "error" in answer:
            raise _Failed(
                "\n".join(filter(None, (answer["error"][key] for key in ("message", "mark", "hint"))))
            )
        if not answer["report"]["ok"]:
            raise _Failed(answer["report"]["table"])
        self.add_report_section("call", "fngen", answer["report"]["line"])
