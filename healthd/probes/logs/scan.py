"""Finding the lines of a piece of a log that match. Pure; works on bytes, for speed and because logs may hold any."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from healthd.probes.logs.literals import Literals, required_literals, stays_in_line

_RETURN = 13  # before the newline in files of Windows
_DENSE = 1000  # a word in more lines than one in so many bytes is not worth looking for
LINE_MAX = 32_768  # bytes of a line that are looked at: a bound for patterns that go back and forth


def compiled(pattern: str) -> re.Pattern[bytes]:
    """A pattern for lines: ^ and $ stand for the ends of each. Raises re.error."""
    return re.compile(pattern.encode(), re.MULTILINE)


@dataclass(frozen=True)
class Piece:
    """Whole lines, and what is found out about them once for all patterns."""

    data: bytes

    @cached_property
    def folded(self) -> bytes:
        """In lower case."""
        return self.data.lower()

    @cached_property
    def plain(self) -> bool:
        """Whether lines end with a newline alone, and none is longer than twice LINE_MAX."""
        data = self.data
        spans = range(0, len(data) - LINE_MAX, LINE_MAX)
        return b"\r" not in data and all(data.find(b"\n", at, at + LINE_MAX) >= 0 for at in spans)


Hit = Callable[[bytes, int, int, "re.Match[bytes]"], None]


@dataclass(slots=True)
class Matcher:
    """One pattern, and what is done with each line that matches: (piece, start of the line, its end, the match)."""

    regex: re.Pattern[bytes]
    hit: Hit
    literals: Literals | None = field(init=False)
    in_line: bool = field(init=False)

    def __post_init__(self) -> None:
        self.literals = required_literals(self.regex.pattern)
        self.in_line = stays_in_line(self.regex.pattern)

    def scan(self, piece: Piece) -> None:
        """Look through whole lines, in the fastest way that finds the same."""
        if self.literals is not None:
            looked_at = self._line_by_line(piece, _lines_with(piece, self.literals))
            if self.in_line and looked_at * _DENSE > len(piece.data):
                self.literals = None  # the words are everywhere: looking for them saves nothing
        elif self.in_line and piece.plain:
            self._at_once(piece.data)
        else:
            self._line_by_line(piece, _every_line(piece.data))

    def _line_by_line(self, piece: Piece, lines: Iterator[tuple[int, int]]) -> int:
        search, hit, data, count = self.regex.search, self.hit, piece.data, 0
        for start, newline in lines:
            count += 1
            end = newline - 1 if newline > start and data[newline - 1] == _RETURN else newline
            match = search(data, start, min(end, start + LINE_MAX))
            if match is not None:
                hit(data, start, end, match)
        return count

    def _at_once(self, data: bytes) -> None:
        position = 0
        while (match := self.regex.search(data, position)) is not None:
            start = data.rfind(b"\n", 0, match.start()) + 1
            end = data.find(b"\n", match.end())
            end = len(data) if end < 0 else end
            if start < len(data):  # else what matches is the nothing after the last line
                self.hit(data, start, end, match)
            position = end + 1
            if position > len(data):
                return


def _every_line(piece: bytes) -> Iterator[tuple[int, int]]:
    start, size, find = 0, len(piece), piece.find
    while start < size:
        end = find(b"\n", start)
        if end < 0:
            end = size
        yield start, end
        start = end + 1


def _lines_with(piece: Piece, literals: Literals) -> Iterator[tuple[int, int]]:
    """Each line that holds one of the words, once."""
    data, hay = piece.data, piece.folded if literals.folded else piece.data
    found = [(at, word) for word in literals.words if (at := hay.find(word)) >= 0]
    while found:
        at = min(found)[0]
        start = data.rfind(b"\n", 0, at) + 1
        end = data.find(b"\n", at)
        if end < 0:
            end = len(data)
        yield start, end
        found = [(hay.find(word, end + 1) if at <= end else at, word) for at, word in found]
        found = [(at, word) for at, word in found if at >= 0]


def scan(data: bytes, matchers: list[Matcher]) -> int:
    """Show whole lines to every matcher. The number of lines."""
    piece = Piece(data)
    for matcher in matchers:
        matcher.scan(piece)
    return data.count(b"\n") + (not data.endswith(b"\n") if data else 0)
