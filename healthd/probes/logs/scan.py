"""Finding the lines of a piece of a log that match. Pure; works on bytes, for speed and because logs may hold any."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from healthd.probes.logs.confine import confined
from healthd.probes.logs.prefilter import Prefilter, prefilter
from healthd.probes.logs.syntax import NEWLINE
from healthd.probes.patterns import cheap_size, search_all

# a word in more lines than one in so many bytes is not worth looking for: a whole one, one of classes of letters
_DENSE, _DENSE_REWRITTEN = 1000, 250
LINE_MAX = 32_768  # bytes of a line that are looked at: a bound for patterns that go back and forth


class Piece:
    """Whole lines, and what is found out about them once for all patterns.

    `data` begins and ends with a newline: what is at the ends of a line is the same for all of them.
    """

    def __init__(self, lines: bytes) -> None:
        if b"\r" in lines:
            lines = lines.replace(b"\r\n", b"\n")
            lines = lines[:-1] + b"\n" if lines.endswith(b"\r") else lines
        self.data = b"\n%b%b" % (lines, b"" if lines.endswith(b"\n") or not lines else b"\n")
        self._rewritten: dict[bytes, bytes] = {}
        self._shorter: dict[int, bool] = {}

    def rewritten(self, table: bytes | None) -> bytes:
        """With other letters, as bytes.translate does."""
        if table is None:
            return self.data
        if table not in self._rewritten:
            self._rewritten[table] = self.data.translate(table)
        return self._rewritten[table]

    def shorter(self, size: int) -> bool:
        """Whether no line is longer than twice `size`."""
        if size not in self._shorter:
            data, spans = self.data, range(0, len(self.data) - size, size)
            self._shorter[size] = all(data.find(b"\n", at, at + size) >= 0 for at in spans)
        return self._shorter[size]


# (piece, start of the line, its end, what was found: the whole and its groups)
Hit = Callable[[bytes, int, int, Any], None]


@dataclass(slots=True)
class Matcher:
    """One pattern, and what is done with each line that matches."""

    regex: re.Pattern[bytes]
    hit: Hit
    prefilter: Prefilter | None = field(init=False)
    confined: re.Pattern[bytes] | None = field(init=False)  # for many lines at once
    easy: int = field(init=False)  # bytes of a line in which looking for it takes no time whatever they are

    def __post_init__(self) -> None:
        self.easy = cheap_size(self.regex, LINE_MAX)
        self.prefilter = prefilter(self.regex.pattern)
        self.confined = confined(self.regex.pattern)

    def scan(self, piece: Piece) -> None:
        """Look through whole lines, in the fastest way that finds the same."""
        if self.prefilter is not None:
            looked_at = self._line_by_line(piece, _lines_with(piece, self.prefilter))
            dense = _DENSE if self.prefilter.table is None else _DENSE_REWRITTEN
            if self.confined is not None and looked_at * dense > len(piece.data):
                self.prefilter = None
        elif self.confined is not None and piece.shorter(self.easy // 2):
            self._at_once(self.confined, piece.data)
        else:
            self._line_by_line(piece, _every_line(piece.data))

    def _line_by_line(self, piece: Piece, lines: Iterator[tuple[int, int]]) -> int:
        """How many they were."""
        search, hit, data, count, easy = self.regex.search, self.hit, piece.data, 0, self.easy
        if easy < LINE_MAX and not piece.shorter(easy // 2):
            return self._apart(data, list(lines))
        for start, end in lines:
            count += 1
            match = search(data[start : min(end, start + LINE_MAX)])
            if match is not None:
                hit(data, start, end, match)
        return count

    def _apart(self, data: bytes, lines: list[tuple[int, int]]) -> int:
        """Where a line is long enough to be made for taking long. Raises ProbeError (limit) when it does."""
        found = search_all(self.regex, [data[start : min(end, start + LINE_MAX)] for start, end in lines])
        for (start, end), match in zip(lines, found, strict=True):
            if match is not None:
                self.hit(data, start, end, match)
        return len(lines)

    def _at_once(self, regex: re.Pattern[bytes], data: bytes) -> None:
        position, size = 1, len(data)
        while position < size and (match := regex.search(data, position)) is not None:
            start = data.rfind(b"\n", 0, match.start()) + 1
            if start == size:
                return  # what matches is the nothing after the last line
            end = data.find(b"\n", match.end())
            self.hit(data, start, end, match)
            position = end + 1


def _every_line(data: bytes) -> Iterator[tuple[int, int]]:
    start, size, find = 1, len(data), data.find
    while start < size:
        end = find(b"\n", start)
        yield start, end
        start = end + 1


def _lines_with(piece: Piece, wanted: Prefilter) -> Iterator[tuple[int, int]]:
    """Each line that holds one of the words, once. A word may begin with the newline before."""
    data, hay = piece.data, piece.rewritten(wanted.table)
    found = [(at, word) for word in wanted.words if (at := hay.find(word)) >= 0]
    while found:
        at = min(found)[0]
        start = at + 1 if data[at] == NEWLINE else data.rfind(b"\n", 0, at) + 1
        end = data.find(b"\n", start)
        if end < 0:
            return
        yield start, end
        found = [(hay.find(word, end) if at < end else at, word) for at, word in found]
        found = [(at, word) for at, word in found if at >= 0]


def excluded(exclude: re.Pattern[bytes] | None, data: bytes, start: int, end: int) -> bool:
    """Whether a line that matches does not count."""
    return exclude is not None and search_all(exclude, [data[start : min(end, start + LINE_MAX)]])[0] is not None


def scan(lines: bytes, matchers: list[Matcher]) -> int:
    """Show whole lines to every matcher. The number of lines."""
    return scan_piece(Piece(lines), matchers)


def scan_piece(piece: Piece, matchers: list[Matcher]) -> int:
    """The same."""
    for matcher in matchers:
        matcher.scan(piece)
    return piece.data.count(b"\n") - 1
