"""What the compiler makes of a layer's kernels in Triton, without a card: run as a module, for the names given.

Prints JSON: for each layer, kernel, type and capability the widths of its loads and stores of tiles in bits,
its registers, and the bytes that it spills.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from types import ModuleType
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from tests.kernels import module

TARGETS = (80, 90)
TYPES = {"bf16": "bfloat16", "fp32": "float32", "fp64": "float64"}
_ALIGNED = [["tt.divisibility", 16]]


def compiled(file: ModuleType, which: int, kind: str, capability: int) -> dict[str, str]:
    """Return the texts of a kernel for dense tensors: what Triton makes of the arguments of a launch."""
    kernel, sources = file._KERNELS[which], file._SOURCES[which]
    reads = _reads(file, which)
    along = {(2, i, 2): 1 for i in range(reads + 1)}
    steps: Any = {(2, i, j): None for i in range(reads + 1) for j in range(2)} | along
    width = file._TILE // getattr(torch, TYPES[kind]).itemsize
    rows = hasattr(file, "_in_rows")
    if rows:  # Of 4096 elements, each array one of all rows.
        steps |= {(2, i, 1): 4096 for i in range(reads + 1)}
        width = 4096
    number = {f"{x}": "fp64" for x in kernel.arg_names if x not in _KNOWN}
    names = kernel.arg_names
    meta = {"REAL": file._REALS[getattr(torch, TYPES[kind])], "INDEX": triton.language.int32}
    meta |= {
        "ROWS": 1,
        "COLUMNS": width,
        "OVER": (0,) * len(sources),
        "EACH": 1,
        "apart": 1,
    }
    known = {x: v for x, v in meta.items() if x in names}
    known |= {} if rows else {"rows": 1, "lines": 1}
    arrays = (f"*{kind}",) * reads, (f"*{kind}",) * len(sources)
    kinds = {"reads": arrays[0], "results": arrays[1], "steps": (("constexpr",) * 3,) * (reads + 1)}
    signature = kinds | {"columns": "i32", "rows": "i32", "lines": "i32"} | number
    signature |= dict.fromkeys(known, "constexpr")
    attributes: Any = {(i, j): _ALIGNED for i in range(2) for j in range(len(arrays[i]))}
    attributes[(names.index("columns"),)] = _ALIGNED
    source = ASTSource(
        fn=kernel,
        signature={x: signature[x] for x in names},
        constexprs={(names.index(x),): v for x, v in known.items()} | steps,
        attrs=attributes,
    )
    target = GPUTarget("cuda", capability, 32)
    options = dict(file._OPTIONS, num_warps=16 if rows else 4)
    return triton.compile(source, target=target, options=options).asm


_KNOWN = {
    *("reads", "results", "steps", "rows", "lines", "columns", "REAL", "INDEX", "ROWS", "COLUMNS"),
    *("OVER", "EACH", "apart"),
}


def _reads(file: ModuleType, which: int) -> int:
    """Return how many tensors a kernel reads."""
    return 1 + max(int(i) for i in re.findall(r"_load\(reads\[(\d+)\]", file._KERNELS[which].src))


def facts(asm: dict[str, str]) -> dict[str, Any]:
    """Return what can be read from PTX, and from what ptxas says of it."""
    moves = re.findall(r"\b(?:ld|st)\.global(?:\.v(\d))?\.b(\d+)", asm["ptx"])
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(asm["ptx"])
        file.flush()
        chip = re.findall(r"\.target (\w+)", asm["ptx"])[0]
        command = [triton.knobs.nvidia.ptxas.path, "-v", f"--gpu-name={chip}", "-o", "/dev/null"]
        said = subprocess.run([*command, file.name], capture_output=True, text=True, check=True).stderr
    return {
        "bits": sorted({int(count or 1) * int(bits) for count, bits in moves}),
        "registers": int(re.findall(r"Used (\d+) registers", said)[0]),
        "spilled": sum(map(int, re.findall(r"(\d+) bytes spill", said))),
    }


def main() -> None:
    found = []
    for name in sys.argv[1:]:
        file = module(name, "triton")
        for which in (file._VALUE, file._GRADIENTS):
            for kind in TYPES:
                if getattr(torch, TYPES[kind]) not in file._REALS:
                    continue
                for capability in TARGETS:
                    place = {"layer": name, "kernel": which, "type": kind, "capability": capability}
                    found.append(place | facts(compiled(file, which, kind, capability)))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
