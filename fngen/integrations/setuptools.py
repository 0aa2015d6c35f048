"""A sub-command of setuptools' ``build``: projects that name fngen in ``[build-system]`` have it.

The folder of the layers need not exist when setuptools looks for packages, so the command puts
the files where ``build_py`` would.
"""

from __future__ import annotations

import logging
import os
import re
from functools import cached_property
from pathlib import Path

from setuptools import Command, Distribution
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build
from setuptools.errors import SetupError

from fngen.ahead import SUFFIX
from fngen.errors import FngenError
from fngen.integrations.bring import Brought, brought
from fngen.project import toml
from fngen.project.manifest import FILENAME as MANIFEST

_NAME = "build_fngen"
_NOT_DATA = (MANIFEST, f"*/{MANIFEST}", f"*{SUFFIX}", f"*/*{SUFFIX}")
"""What ``build_py`` would take for data of the package: a source distribution has the manifest, and
of libraries a wheel has those that were asked for."""
_FALSE = ("", "0", "false", "no", "off")


def finalize(distribution: Distribution) -> None:
    """Add the command to a project that names fngen among the requirements of its build."""
    if not _is_asked_for(Path("pyproject.toml")):
        return
    excluded = distribution.exclude_package_data or {}
    distribution.exclude_package_data = {**excluded, "": sorted({*excluded.get("", ()), *_NOT_DATA})}
    base: type[build] = distribution.get_command_class("build")
    if _NAME in dict(base.sub_commands):
        return
    commands = [(_NAME, None), *base.sub_commands]  # First, for what build_py finds of it.
    distribution.cmdclass["build"] = type("build", (base,), {"sub_commands": commands})
    distribution.cmdclass[_NAME] = BuildFngen
    wheel: type[bdist_wheel] = distribution.get_command_class("bdist_wheel")
    distribution.cmdclass["bdist_wheel"] = type("bdist_wheel", (_Wheel, wheel), {})
    has_extensions = distribution.has_ext_modules
    distribution.has_ext_modules = lambda: has_extensions() or _compiles(distribution)


def _is_asked_for(path: Path) -> bool:
    """Say whether the requirements of a build name fngen; what else is wrong, setuptools says."""
    try:
        requires = toml.loads(path.read_text(encoding="utf-8"))["build-system"]["requires"]
        return any(re.match(r"\s*fngen\b(?![-._])", text, re.IGNORECASE) for text in requires)
    except (OSError, ValueError, LookupError, TypeError):
        return False


class _Wheel(bdist_wheel):  # type: ignore[misc]
    """What makes the wheels of such a project."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return the tag: libraries of kernels are for any Python, unlike extensions."""
        python, abi, platform = super().get_tag()
        extensions = self.distribution.ext_modules or self.distribution.has_c_libraries()
        if extensions or not _compiles(self.distribution):
            return python, abi, platform
        return self.python_tag, "none", platform


def _compiles(distribution: Distribution) -> bool:
    """Say whether libraries of kernels are asked for."""
    _, said = distribution.get_option_dict(_NAME).get("compile", ("", False))
    return _is_true(said)


class BuildFngen(Command):  # type: ignore[misc]
    """Brings the layers up to date: in place, and for a wheel in its tree as well."""

    description = "make the layers that [tool.fngen] or fngen.toml declares"
    user_options = [
        ("config=", None, "the declaration (default: what declares layers beside pyproject.toml)"),
        ("verify=", None, "whether the layers are tested against torch autograd (default: false)"),
        ("compile=", None, "whether their kernels in C are built for the wheel (default: false)"),
    ]

    def initialize_options(self) -> None:
        """Start from the defaults."""
        self.config: str | None = None
        self.verify: str | bool = False
        self.compile: str | bool = False
        self.build_lib: str | None = None
        self.editable_mode = False

    def finalize_options(self) -> None:
        """Take the folder from ``build_py``."""
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    @cached_property
    def _brought(self) -> Brought:
        """The layers, up to date."""
        return self._bring(verify=_is_true(self.verify))

    @cached_property
    def _compiled(self) -> Brought:
        """The same with their kernels, if these are asked for: a source distribution has none."""
        return self._bring(compile=True) if _compiles(self.distribution) else self._brought

    def _bring(self, **options: bool) -> Brought:
        try:
            return brought(Path.cwd(), self.config, tell=logging.getLogger(__name__).info, **options)
        except FngenError as error:
            raise SetupError(f"fngen: {error}") from None

    def run(self) -> None:
        """Make the layers; an editable install uses them where they are."""
        copies = self.get_output_mapping()
        if self.editable_mode:
            return
        folder = Path(str(self.build_lib), self._place())
        self.mkpath(str(folder))
        for path in (*folder.glob("*.py"), *folder.glob(f"*{SUFFIX}")):
            path.unlink()  # Of an earlier build: some may not be declared any more.
        for target, source in copies.items():
            self.copy_file(source, target, preserve_mode=False)

    def get_source_files(self) -> list[str]:
        """Return what a source distribution takes: the layers, and what they are made from."""
        return [_relative(path) for path in (*self._brought.sources, *self._brought.outputs)]

    def get_outputs(self) -> list[str]:
        """Return the files of the wheel."""
        return list(self.get_output_mapping())

    def get_output_mapping(self) -> dict[str, str]:
        """Return which file of the wheel is which file of the project."""
        folder = os.path.join(str(self.build_lib), self._place())
        files = (*self._brought.outputs, *self._compiled.libraries)
        return {os.path.join(folder, path.name): _relative(path) for path in files}

    def _place(self) -> str:
        """Return the folder of the layers as the wheel has it: by the package that it is in.

        Raises:
            SetupError: If it is in none.
        """
        build_py = self.get_finalized_command("build_py")
        folder = self._brought.folder.resolve()
        found = []
        for package in self.distribution.packages or ():
            home = Path(build_py.get_package_dir(package)).resolve()
            if folder.is_relative_to(home):
                found.append(Path(*package.split("."), folder.relative_to(home)).as_posix())
        if not found:
            raise SetupError(
                f"fngen: the layers are in {_relative(folder)}, which is in no package of the project\n"
                "Set `output` in the declaration to a folder inside a package."
            )
        return found[0]


def _is_true(said: str | bool) -> bool:
    """Return what an option says, which from a file may be text."""
    return said if isinstance(said, bool) else said.lower() not in _FALSE


def _relative(path: Path) -> str:
    return Path(os.path.relpath(path.resolve(), Path.cwd().resolve())).as_posix()
