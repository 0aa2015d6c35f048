"""Kernels in C built ahead of time: one library beside a layer's file, for every type and processor.

What is built, and how, is read in the file, which would build it from the same words on first use. A
library ends with the hash of these words and a seal: it says itself what it is made from. So do the
names in it, for a process that has loaded an earlier one from the same place.
"""

from __future__ import annotations

import ast
import os
import shlex
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256

from fngen.errors import FngenError

SUFFIX = ".kernels.so"
"""How the name of a library ends; one named as its layer's file Python would import in its place."""
_FIRST, _AFTER = '\n_SOURCE = r"""\n', "\n_ALONG, "
"""Where the words of a file begin, and what comes after them."""
_PATIENCE = 120
"""Seconds for a call of the compiler, as in a layer's file."""
_LINES = 5
"""How much of what it complains of is shown."""


@dataclass(frozen=True)
class KernelSource:
    """What a file says of its kernels: their source, and how it is compiled.

    Attributes:
        source: The source, compiled for one type and one level at a time.
        command: The compiler's options.
        rounding: More of them, by which numbers are what they are.
        levels: Those for each level of processors.
        types: Those for each type; the first names it.
        passes: The names of the kernels.
    """

    source: str
    command: list[str]
    rounding: list[str]
    levels: dict[str, list[str]]
    types: list[list[str]]
    passes: list[str]

    @property
    def key(self) -> bytes:
        """The hash of it all, as the file works it out."""
        words = (self.source, self.command, self.rounding, self.levels, self.types, self.passes)
        return sha256(repr(words).encode()).digest()


def kernel_source(text: str) -> KernelSource | None:
    """Return what the text of an emitted file says of its kernels in C; None if it has none."""
    start, end = text.find(_FIRST), text.find(_AFTER)
    if start < 0:
        return None
    found: dict[str, list[ast.expr]] = {}
    for node in ast.parse(text[start:end]).body:
        if isinstance(node, ast.Assign | ast.AugAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            found.setdefault(ast.unparse(target), []).append(node.value)
    types = found.pop("_TYPES")[0]
    said = {name: [ast.literal_eval(value) for value in values] for name, values in found.items()}
    return KernelSource(
        source=said["_SOURCE"][0],
        command=[word for words in said["_COMMAND"] for word in words],
        rounding=[word for words in said["_ROUNDING"] for word in words],
        levels=said["_LEVELS"][0],
        types=[ast.literal_eval(value) for value in types.values] if isinstance(types, ast.Dict) else [],
        passes=said["_PASSES"][0],
    )


def library_name(name: str) -> str:
    """Return the name of the library beside a file."""
    return os.path.splitext(name)[0] + SUFFIX


def file_name(library: str) -> str:
    """Return the name of the file that a library is beside."""
    return library.removesuffix(SUFFIX) + ".py"


def key_of(library: bytes) -> bytes | None:
    """Return the hash of what a library is made from; None if it is not as it was built."""
    key = library[-64:-32]
    return key if _seal(key, library[:-32]) == library[-32:] else None


def _seal(key: bytes, content: bytes) -> bytes:
    """Return what a library ends with: the files look for it."""
    return sha256(key + content).digest()


def compiler() -> list[str]:
    """Return the command of the C compiler.

    Raises:
        FngenError: If there is none.
    """
    command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    if (program := shutil.which(command[0])) is None:
        raise FngenError(f"no C compiler {command[0]!r}", "Install one, or name it in the variable CC.")
    return [program, *command[1:]]


def built(kernels: KernelSource, jobs: int) -> bytes:
    """Return the library of kernels, compiled by so many processes at a time.

    Raises:
        FngenError: If there is no compiler, or it fails.
    """
    program = compiler()
    machine = _output(program, "-dumpmachine").decode(errors="replace")
    # The other levels are of these processors; a cross compiler may be for others than this one.
    levels = kernels.levels if machine.startswith("x86_64") else {"DEFAULT": kernels.levels["DEFAULT"]}
    options = ["-c" if word == "-shared" else word for word in kernels.command]
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(jobs) as pool:
        objects, compiled = [], []
        for level, flags in levels.items():
            for of_type in kernels.types:
                variant = f"_{level}_{of_type[0].removeprefix('-D')}_{kernels.key.hex()[:16]}"
                names = [f"-D{name}_method={name}_method{variant}" for name in kernels.passes]
                objects.append(os.path.join(scratch, f"{variant}.o"))
                words = [*flags, *of_type, *kernels.rounding, *names, *options, "-o", objects[-1]]
                compiled.append(pool.submit(_output, program, *words, given=kernels.source))
        for each in compiled:
            each.result()
        made = os.path.join(scratch, "made.so")
        _output(program, "-shared", "-fopenmp", "-s", *objects, "-lm", "-o", made)
        with open(made, "rb") as file:
            content = file.read() + kernels.key
    return content + _seal(kernels.key, content)


def _output(program: list[str], *words: str, given: str = "") -> bytes:
    """Return what the compiler prints.

    Raises:
        FngenError: If it fails.
    """
    command = [*program, *words]
    try:
        done = subprocess.run(  # noqa: S603
            command, input=given.encode(), capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise FngenError(f"{program[0]} failed: {error}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[:_LINES]
        raise FngenError("\n".join([f"{program[0]} failed with code {done.returncode}", *said]))
    return done.stdout
