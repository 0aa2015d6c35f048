"""A build hook of hatchling: ``[tool.hatch.build.hooks.fngen]``."""

from __future__ import annotations

import re
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.plugin import hookimpl

from fngen.errors import FngenError
from fngen.integrations.bring import Brought, brought
from fngen.suggest import closest

_OPTIONS = {"config": str, "verify": bool, "compile": bool}
_OF_HATCH = {"dependencies", "require-runtime-dependencies", "require-runtime-features", "enable-by-default"}


class FngenBuildHook(BuildHookInterface[BuilderConfig]):
    """Brings the layers up to date before each wheel and each source distribution."""

    PLUGIN_NAME = "fngen"
    _brought: Brought

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the layers, and have them taken into the package also where git ignores them."""
        root = Path(self.root)
        try:
            self._check_options()
            self._brought = brought(
                root,
                self.config.get("config"),
                verify=self.config.get("verify", False),
                compile=self.config.get("compile", False) and self.target_name == "wheel",
                tell=self.app.display_info,
            )
        except FngenError as error:
            self.app.abort(f"fngen: {error}")
        made = [_below(path, root) for path in self._brought.outputs]
        if self.target_name == "sdist":
            sources = [_below(path, root) for path in self._brought.sources]
            build_data["force_include"] |= {path: path for path in (*sources, *made)}
            return
        made += [_below(path, root) for path in self._brought.libraries]
        build_data["artifacts"] += [f"/{_literal(path)}" for path in made]
        if self._brought.libraries and version != "editable":
            platform = re.sub("[-. ]", "_", sysconfig.get_platform())
            build_data |= {"pure_python": False, "tag": f"py3-none-{platform}"}

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Refuse a package without the layers: hatchling takes no file from outside its packages."""
        if version == "editable":
            return
        names = _names(Path(artifact_path))
        for path in (*self._brought.outputs, *self._brought.libraries):
            place = _below(path, Path(self.root))
            wanted = Path(self.build_config.get_distribution_path(place)).as_posix()
            if not any(f"/{name}".endswith(f"/{wanted}") for name in names):
                Path(artifact_path).unlink()
                self.app.abort(
                    f"fngen: {place} is not in the {self.target_name}\n"
                    "Set `output` in the declaration to a folder inside the package."
                )

    def _check_options(self) -> None:
        for name, value in self.config.items():
            if name in _OF_HATCH:
                continue
            place = f"tool.hatch.build.hooks.fngen.{name}"
            if name not in _OPTIONS:
                close = closest(name, _OPTIONS)
                hint = f"Did you mean {close!r}?" if close else f"There are: {', '.join(_OPTIONS)}."
                raise FngenError(f"{place}: unknown key", hint)
            if not isinstance(value, _OPTIONS[name]):
                wanted = "true or false" if _OPTIONS[name] is bool else "the path of a declaration"
                raise FngenError(f"{place}: wants {wanted}")


def _below(path: Path, root: Path) -> str:
    return path.resolve().relative_to(root.resolve()).as_posix()


def _literal(path: str) -> str:
    """Return a path as a pattern of git's that matches it alone."""
    return re.sub(r"([\\*?\[\] ])", r"\\\1", path)


def _names(package: Path) -> list[str]:
    """Return the names of the files in a wheel or a source distribution."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            return wheel.namelist()
    with tarfile.open(package) as sdist:
        return sdist.getnames()


@hookimpl
def hatch_register_build_hook() -> type[FngenBuildHook]:
    """Tell hatchling of the hook."""
    return FngenBuildHook
