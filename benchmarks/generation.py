"""Measure the generator: the whole process, and a formula of 3,000 operations.

    python benchmarks/generation.py

Times are printed beside the import of SymPy in the same run, which is the floor.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 20


def median(command: list[str], folder: str) -> float:
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def big_formula(operations: int = 3000, inputs: int = 100, seed: int = 0) -> str:
    """Return a random formula of at least so many operations: a sum of nested terms."""
    rng = random.Random(seed)
    terms, count = [], 0
    while count < operations:
        a, b, c = (f"x{rng.randrange(inputs)}" for _ in range(3))
        shape = rng.choice(
            ["{}*sin({}) - {}", "exp(-{}**2)*{}/(1 + {}**2)", "tanh({} + {}*{})", "sqrt({}**2 + {}**2)*{}"]
        )
        terms.append(f"({shape.format(a, b, c)})")
        count += 5
    return " + ".join(terms)


def main() -> None:
    fngen = str(Path(sys.executable).with_name("fngen"))
    with tempfile.TemporaryDirectory() as folder:
        whole = median([fngen, "x1**3 + x2**2", "--no-verify"], folder)
        floor = median([sys.executable, "-c", "import sympy"], folder)
    print(f'fngen "x1**3 + x2**2" --no-verify: {whole:.3f} s, {whole / floor:.2f} of importing SymPy')

    from fngen import generate

    generate("x + y")
    nest = "sin(" * 1000 + "x" + ")" * 1000
    for label, formula in (
        ("3,000 operations in 100 inputs", big_formula()),
        ("a sum of 3,000 terms", " + ".join(f"x{i % 100}" for i in range(3000))),
        ("a nest of 1,000 sines", nest),
    ):
        start = time.perf_counter()
        text = generate(formula, name="big").text
        seconds = time.perf_counter() - start
        print(f"{label}: {seconds:.2f} s, {len(text.splitlines()):,} lines")


if __name__ == "__main__":
    main()
