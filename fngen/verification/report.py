"""What a verification found: a table, a line, a dict."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison.

    Attributes:
        name: What was compared.
        ok: Whether it held.
        points: At how many points.
        worst: The largest relative error, or None where the check has no figure.
        detail: For a failure: the input, the point and both values.
    """

    name: str
    ok: bool
    points: int
    worst: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a verification; ``str()`` is a table."""

    name: str
    reference: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check held."""
        return all(check.ok for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for JSON."""
        return {"ok": self.ok, **asdict(self)}

    def line(self) -> str:
        """Return the report in a line: what was compared, at how many points, the worst error."""
        compared = [c for c in self.checks if c.worst is not None]
        others = [c.name for c in self.checks if c.worst is None]
        worst = max((c.worst or 0.0 for c in compared), default=0.0)
        own = {c.name.rpartition(": ")[2] for c in compared}  # Without the output that it is of.
        partials = sum(c.startswith("d/d") for c in own)
        points = max((c.points for c in self.checks), default=0)
        what = (
            f"value and {partials} partial{'s' * (partials != 1)} against {self.reference} at {points} points"
        )
        return f"{what}, worst relative error {worst:.1e}; {', '.join(others)}"

    def failures(self) -> list[str]:
        """Return a line for each check that did not hold."""
        return [f"{c.name}: {c.detail}" for c in self.checks if not c.ok]

    def __str__(self) -> str:
        rows = [("check", "result", "points", "worst error")]
        for c in self.checks:
            worst = "" if c.worst is None else f"{c.worst:.1e}"
            rows.append((c.name, "ok" if c.ok else "FAILED", str(c.points), worst))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        title = f"{self.name}, against {self.reference}"
        return "\n".join([title, *lines, *self.failures()])
