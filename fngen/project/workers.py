"""Processes that generate: each a Python of its own, asked over pipes.

No fork of a process that may have threads, no import of the caller's ``__main__``, and a worker
that dies takes one layer with it and not the build.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, TypeVar

T = TypeVar("T")
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from fngen.project.work import serve; serve()"
)


def usable_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def answers(questions: Iterable[tuple[T, dict[str, Any]]], jobs: int) -> Iterator[tuple[T, dict[str, Any]]]:
    """Yield the answer to each question with its label, in the order in which they come."""
    asked = list(questions)
    if not asked:
        return
    workers = Workers(threads=max(1, usable_cpus() // jobs))
    pool = ThreadPoolExecutor(min(jobs, len(asked)))
    try:
        futures = {pool.submit(workers.ask, question): label for label, question in asked}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        workers.end()


class Workers:
    """A worker for each thread, started when it is first asked; ended by who made them."""

    def __init__(self, threads: int) -> None:
        self._local = threading.local()
        self._lock, self._ended = threading.Lock(), False
        self._started: list[subprocess.Popen[str]] = []
        # The same file everywhere, whatever else is installed; no more threads than CPUs.
        self._environment = {"OMP_NUM_THREADS": str(threads)} | os.environ | {"SYMPY_GROUND_TYPES": "python"}

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of this thread's worker."""
        worker = getattr(self._local, "worker", None) or self._start()
        try:
            worker.stdin.write(json.dumps(question, default=str) + "\n")
            worker.stdin.flush()
            line = worker.stdout.readline()
        except OSError:
            line = ""
        if line:
            found: dict[str, Any] = json.loads(line)
            return found
        self._local.worker = None
        how = f"the worker ended with code {worker.wait()}"
        hint = "It may have run out of memory: try fewer at once with -j 1."
        return {"error": {"kind": "internal", "message": how, "hint": hint}}

    def _start(self) -> Any:
        with self._lock:
            if self._ended:
                raise OSError("the build is over")
            self._local.worker = self._process()
            self._started.append(self._local.worker)
        return self._local.worker

    def _process(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "ignore", "-c", _PROGRAM, json.dumps(sys.path)]
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="ascii",
            env=self._environment,
        )

    def end(self) -> None:
        """End the workers, whatever they are at."""
        with self._lock:
            self._ended = True
        for worker in self._started:
            worker.kill()
        for worker in self._started:
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    pipe.close()
