"""Counting lines of a log that match while it streams by: memory holds the piece being read and a few samples."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping

from healthd.probes.logs.patterns import compiled
from healthd.probes.logs.scan import Matcher, Piece, excluded, scan_piece

__all__ = ["LineScanner", "readable"]

LINE_MAX = 1_000_000  # bytes; a longer line counts as several
_SAMPLE_BYTES = 4000
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class LineScanner:
    """Feeds on the bytes of one log. `matches` counts, by pattern's name, the lines in which it is found.

    A line that `ignore` is found in does not count. `samples` are the last lines that did, at most `keep`.
    """

    def __init__(self, patterns: Mapping[str, str], ignore: str | None = None, keep: int = 5) -> None:
        self.matches = dict.fromkeys(patterns, 0)
        self.lines = 0
        self.bytes = 0
        self.samples: deque[bytes] = deque(maxlen=keep)
        self.ignore = compiled(ignore) if ignore is not None else None
        self._counting = [_Counting(self, name) for name in patterns]
        self._matchers = [Matcher(compiled(patterns[c.name]), c.hit) for c in self._counting]
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Count in what is complete so far."""
        self.bytes += len(chunk)
        end = chunk.rfind(b"\n") + 1
        if end:
            self.take(self._rest + chunk[:end])
            self._rest = chunk[end:]
        else:
            self._rest += chunk
        if len(self._rest) > LINE_MAX:
            self.take(self._rest)
            self._rest = b""

    def finish(self) -> None:
        """Count in the last line, which may have no end."""
        if self._rest:
            self.take(self._rest)
        self._rest = b""

    def take(self, lines: bytes) -> None:
        """Count in whole lines."""
        piece = Piece(lines)
        self.lines += scan_piece(piece, self._matchers)
        places: set[tuple[int, int]] = set()
        for counting in self._counting:
            places.update(counting.last)
            counting.last.clear()
        for start, end in sorted(places)[-(self.samples.maxlen or 0) :]:
            self.samples.append(piece.data[start : min(end, start + _SAMPLE_BYTES)])


class _Counting:
    """Of one pattern: where the last lines of the piece are that it was found in."""

    def __init__(self, scanner: LineScanner, name: str) -> None:
        self.name = name
        self.last: deque[tuple[int, int]] = deque(maxlen=scanner.samples.maxlen)
        self._scanner = scanner

    def hit(self, data: bytes, start: int, end: int, _match: object) -> None:
        """Take a line."""
        if not excluded(self._scanner.ignore, data, start, end):
            self._scanner.matches[self.name] += 1
            self.last.append((start, end))


def readable(line: bytes) -> str:
    """A line fit to be shown: as text, without colours and control characters."""
    text = _COLOUR.sub("", line.decode(errors="replace"))
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
