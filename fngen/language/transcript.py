"""A formula as it was typed beside the same in fngen's own language, and the places of each in the other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from fngen.errors import FormulaError

_WORD, _OPERATOR = "word", "operator"


@dataclass(frozen=True, slots=True)
class Transcript:
    """``text`` is what fngen reads; ``places[i]`` is where its character ``i`` stands in ``typed``."""

    typed: str
    text: str
    places: tuple[tuple[int, int], ...]

    def marked(self, error: FormulaError) -> FormulaError:
        """Return an error of the text as one that marks the place in what was typed."""
        if error.text != self.text:
            return error
        inside = self.places[error.start : max(error.end, error.start + 1)]
        end = len(self.typed)
        start, stop = (min(a for a, _ in inside), max(b for _, b in inside)) if inside else (end, end + 1)
        return replace(error, text=self.typed, start=start, end=stop)


@dataclass
class Writer:
    """Collects the pieces of a transcript."""

    typed: str
    pieces: list[str] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    foreign: bool = False
    """Whether the last piece differs from what was typed."""

    def put(self, piece: str, start: int, end: int) -> None:
        """Add what ``typed[start:end]`` stands for; a space keeps it from running into the piece before."""
        foreign = piece != self.typed[start:end]
        last = self.pieces[-1][-1:] if self.pieces else ""
        if (foreign or self.foreign) and _kind(last) and _kind(last) == _kind(piece[:1]):
            self._add(" ", start, start)
        self._add(piece, start, end)
        if piece:
            self.foreign = foreign

    def _add(self, piece: str, start: int, end: int) -> None:
        if piece:
            self.pieces.append(piece)
            self.places += [(start, max(end, start + 1))] * len(piece)

    def transcript(self) -> Transcript:
        """Return what has been written."""
        return Transcript(self.typed, "".join(self.pieces), tuple(self.places))


def as_typed(text: str) -> Transcript:
    """Return the transcript of a formula that is in fngen's own language already."""
    return Transcript(text, text, tuple((i, i + 1) for i in range(len(text))))


def _kind(character: str) -> str:
    """Return what a character runs together with: names and numbers, or operators."""
    if character.isalnum() or character in ("_", "."):
        return _WORD
    return _OPERATOR if character and character in "*/<>=!" else ""
