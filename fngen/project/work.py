"""What a worker does: questions as plain data in, answers as plain data out.

The one module of the package that generates; it runs in processes of its own.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fngen import pipeline, recipe
from fngen.errors import FngenError, FormulaError, VerificationError
from fngen.installed import lacking
from fngen.project.manifest import hashed
from fngen.source import Source
from fngen.spec import Spec

if TYPE_CHECKING:
    pass

Question = dict[str, Any]
Answer = dict[str, Any]


def answer(question: Question) -> Answer:
    """Answer a question; an error is an answer, too.

    A question holds a ``request`` and what is on ``disk`` now, its ``hash``, whether to ``verify``;
    or only a text from the disk; or the path of a ``file`` to verify as it stands. The answer holds the
    ``text``, whether what is on disk is ``ours``, the ``report`` of the verification.
    """
    try:
        return _answer(question)
    except FngenError as error:
        return {"error": _described(error)}
    except Exception as error:
        message = f"fngen failed on this layer: {type(error).__name__}: {error}"
        return {"error": {"kind": "internal", "message": message, "hint": "This is a mistake in fngen."}}


def _answer(question: Question) -> Answer:
    if "file" in question:
        return _verified(Path(question["file"]))
    disk = question.get("disk")
    if "request" not in question:
        return {"ours": _replays(disk)}
    source = generate(question["request"])
    same = hashed(source.text.encode()) == question.get("hash")
    found: Answer = {"text": source.text, "ours": disk is None or same or _replays(disk)}
    wanted = question.get("verify")
    if wanted == "all" or (wanted == "written" and not same and (found["ours"] or question.get("force"))):
        found |= _verified(source)
    return found


def generate(request: dict[str, Any]) -> Source:
    """Return the source of a request.

    Raises:
        FngenError: If it is wrong.
    """
    rest = {key: value for key, value in request.items() if key != "formula"}
    return pipeline.generate(Spec.create(request["formula"], **rest))


def _replays(text: str | None) -> bool:
    """Say whether a file is what the command in its header makes."""
    try:
        return (
            text is not None
            and recipe.is_ours(text)
            and pipeline.generate(recipe.parse_header(text, "it")).text == text
        )
    except FngenError:
        return False


def _verified(source: Source | Path) -> Answer:
    """Return the report of what was made or is on disk, or why there is none."""
    if why := lacking():
        return {"unverified": why}
    from fngen.verification.subject import opened
    from fngen.verification.verify import verify

    report = verify(*opened(source))
    return {"report": {**report.to_dict(), "line": report.line(), "table": str(report)}}


def _described(error: FngenError) -> dict[str, Any]:
    kind = "formula" if isinstance(error, FormulaError) else "option"
    kind = "verification" if isinstance(error, VerificationError) else kind
    mark = error.marked() if isinstance(error, FormulaError) else ""
    return {"kind": kind, "mark": mark, **asdict(error)}


def serve() -> None:
    """Answer questions from standard input, a line each, until it ends."""
    import gc
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The build ends its workers itself.
    with os.fdopen(os.dup(1), "w", encoding="ascii") as out:
        os.dup2(2, 1)  # What libraries print is no answer.
        gc.freeze()
        for line in sys.stdin:
            out.write(json.dumps(answer(json.loads(line))) + "\n")
            out.flush()
