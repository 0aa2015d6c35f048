"""Measure `fngen build` of a project with a thousand layers.

    python benchmarks/build.py

Each figure is the best of several runs, each run a whole process; the first build runs once or as
often as `--runs` says. The import of SymPy in the same run is the floor of all that generates.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "fngen", "build", "--no-verify"]
_SMOOTH = ("sin", "cos", "tanh", "sigmoid", "softplus", "exp", "atan", "erf", "silu", "gelu")
_SHAPES = (
    "{f}({a}*x + {b}*y)",
    "x*{f}(beta*x)",
    "{a}*x**3 - {b}*x*y + {f}(y)",
    "s = {f}(x - y); s*(1 - s) + {a}*x",
    "where(x > {a}, {f}(x), {b}*x + {a})",
    "exp(-((x - m)/w)**2/{b})*{f}(y)",
    "log1p(x**2/{a}) + {f}(y)**2",
    "max(x, {a}*y) + {f}(min(x, y))",
    "x/sqrt(y**2 + {a}) + {f}(x*y*z)",
    "{f}(x)*{g}(y) + {g}(x*z)/(1 + {a}*z**2)",
)
_EPS = "consts = {{ eps = 1e-6 }}"
_TABLES = (
    '{{ formula = "x*{f}(beta*x) + {a}", params = {{ beta = {b} }} }}',
    '{{ formula = "gain*{f}(x) + {a}*x/(eps + abs(y))", params = {{ "gain[C]" = {b} }}, ' + _EPS + " }}",
    '{{ formula = "{a}*x/sqrt(mean(x**2, dim=-1) + eps)*w", params = {{ "w[-1]" = 1.0 }}, ' + _EPS + " }}",
    '{{ formula = "sum({f}(x)*y, dim=-1)/{a}", lean = true }}',
    '{{ formula = "u = {a}*x*y; v = {f}(u) + x", outputs = ["u", "v"] }}',
    '{{ formula = "x + {a}*round(x)", grads = {{ x = "{b}" }} }}',
)


def declaration(layers: int, seed: int = 0) -> str:
    """Return the declaration of so many layers: most are a line, some have more to say."""
    rng = random.Random(seed)
    lines = ["[layers]"]
    for i in range(layers):
        f, g = rng.choice(_SMOOTH), rng.choice(_SMOOTH)
        numbers = {"a": round(rng.uniform(0.1, 3), 3), "b": round(rng.uniform(0.1, 3), 3)}
        table = rng.random() < 0.3
        shape = rng.choice(_TABLES if table else _SHAPES).format(f=f, g=g, **numbers)
        lines.append(f"layer_{i:04d} = {shape}" if table else f'layer_{i:04d} = "{shape}"')
    return "\n".join(lines) + "\n"


def seconds(command: list[str], folder: str, runs: int = 1) -> float:
    """Return the shortest time of a process."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment())
        best = min(best, time.perf_counter() - start)
    return best


def environment() -> dict[str, str]:
    """Return an environment in which this checkout is imported."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=1, help="runs of the first build")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fngen.toml")
        text = declaration(options.layers)
        floor = seconds([sys.executable, "-c", "import sympy"], folder, 5)
        path.write_text(text)
        first = []
        for _ in range(options.runs):
            subprocess.run(["rm", "-rf", "generated"], cwd=folder, check=True)
            first.append(seconds(COMMAND, folder))
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        rows.append(("first build", min(first)))
        changed = []
        for i in range(5):
            path.write_text(text.replace("\nlayer_0500 = ", f'\nlayer_0500 = "x*{i}.5*sin(x)"\n#'))
            changed.append(seconds(COMMAND, folder))
        rows.append(("one layer changed", min(changed)))
        rows.append(("nothing changed", seconds(COMMAND, folder, 7)))
        rows.append(("nothing changed, --check", seconds([*COMMAND, "--check"], folder, 7)))
    print(
        f"{options.layers:,} layers, {len(os.sched_getaffinity(0))} CPUs; importing SymPy takes {floor:.2f} s"
    )
    print("| what | seconds | of importing SymPy |\n| --- | --- | --- |")
    for what, measured in rows:
        print(f"| {what} | {measured:.2f} | {measured / floor:.1f} |")
    print(f"peak memory of a process: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
