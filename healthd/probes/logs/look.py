"""One look at log files, in a thread: which lines are to be read, in which order, and what they add up to."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from healthd.probes.base import ProbeError
from healthd.probes.files.pattern import Pattern
from healthd.probes.files.search import Found, Search, each_once
from healthd.probes.logs.params import LogsParams
from healthd.probes.logs.patterns import compiled
from healthd.probes.logs.positions import Identity, LogFile, Place, Positions, opened, renamed, resume
from healthd.probes.logs.reading import NoTimeError, begin_since, last_lines, next_line, pieces, unpacked
from healthd.probes.logs.scan import Matcher, scan
from healthd.probes.logs.tally import Lines, Numbers, Words
from healthd.probes.logs.timestamps import line_time
from healthd.probes.paths import shown

_COMPRESSED = (".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z")


@dataclass(slots=True)
class Look:
    """What has been read so far. `places` is where the next look goes on."""

    params: LogsParams
    now: datetime
    zone: ZoneInfo
    search: Search
    deadline: float
    lines: int = 0
    bytes_read: int = 0
    backlog: int = 0
    listed: list[Found] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    places: dict[Identity, Place] = field(default_factory=dict)
    patterns: dict[str, Lines] = field(init=False)
    words: dict[str, Words] = field(init=False)
    numbers: dict[str, Numbers] = field(init=False)
    _matchers: list[Matcher] = field(init=False)

    def __post_init__(self) -> None:
        params = self.params
        exclude = compiled(params.exclude) if params.exclude is not None else None
        self.patterns = {name: Lines(exclude) for name in params.patterns}
        self.words = {name: Words(exclude) for name in params.top}
        self.numbers = {name: Numbers(exclude) for name in params.numbers}
        self._matchers = [
            *(Matcher(compiled(text), self.patterns[name].hit) for name, text in params.patterns.items()),
            *(Matcher(compiled(top.pattern), self.words[name].hit) for name, top in params.top.items()),
            *(Matcher(compiled(n.pattern), self.numbers[name].hit) for name, n in params.numbers.items()),
        ]

    def run(self, patterns: list[Pattern], before: Positions) -> Look:
        """Look. Raises ProbeError, SearchError, OSError."""
        seen: set[str] = set()
        found = [f for pattern in patterns for f in each_once(self.search.files(pattern), seen)]
        self.listed = sorted(found, key=lambda f: f.changed)
        read = {"new": self._new, "window": self._window, "tail": self._tail}[self.params.read]
        read(before)
        return self

    # -- from where the last look ended

    def _new(self, before: Positions) -> None:
        seen: set[Identity] = set()
        for found in self.listed:
            if found.path.endswith(_COMPRESSED):
                continue  # it was read before it was compressed
            with opened(found.path) as log:
                if log is not None and log.identity not in seen:  # else another name of the same
                    seen.add(log.identity)
                    self._follow(log, self._start(log, before), listed=True)
        for identity, place in list(renamed(before.places, seen)):
            with opened(place.path) as log:
                if log is None or log.identity != identity or not log.continues(place):
                    continue
                # what writes to it may notice only later that it was renamed: it is followed until it rests
                if log.size > place.offset or before.places[identity].listed:
                    self._follow(log, place.offset, listed=False)

    def _start(self, log: LogFile, before: Positions) -> int:
        if before.at is not None:
            return resume(log, before.places)
        if self.params.since is None:
            return log.size
        return self._since(log, max(0, log.size - self.params.first_bytes))

    def _follow(self, log: LogFile, start: int, *, listed: bool) -> None:
        offset = start
        for piece, after in pieces(log.file, start, None, whole=True):
            self._scan(piece)
            offset = after
            if self._is_late():
                self.backlog += max(0, log.size - offset)
                break
        self.places[log.identity] = Place(log.path, offset, log.head, listed)

    # -- of a time before now

    def _window(self, _before: Positions) -> None:
        assert self.params.since is not None
        begin = self.now - self.params.since
        for found in self.listed:
            if found.changed < begin.timestamp():
                continue
            with opened(found.path) as log:
                if log is None:
                    continue
                if found.path.endswith(".gz"):
                    self._read(self._unpacked(log, begin))
                elif found.path.endswith(_COMPRESSED):
                    self.left_out.append(f"{shown(found.path)}: of compressed files only .gz is read")
                else:
                    start = self._since(log, 0)
                    self._read(piece for piece, _ in pieces(log.file, start, None, whole=False))

    def _unpacked(self, log: LogFile, begin: datetime) -> Iterator[bytes]:
        try:
            yield from unpacked(log.file, begin, self._time_of())
        except NoTimeError:
            raise _untimed(log) from None
        except (EOFError, zlib.error, OSError) as error:
            self.left_out.append(f"{shown(log.path)}: it cannot be unpacked to its end: {error}")

    def _since(self, log: LogFile, least: int) -> int:
        assert self.params.since is not None
        try:
            start = begin_since(log.file, self.now - self.params.since, least, self._time_of())
        except NoTimeError:
            raise _untimed(log) from None
        if least and start == next_line(log.file, least):
            self.left_out.append(f"{shown(log.path)}: what is before its last {self.params.first_bytes} bytes")
        return start

    def _time_of(self) -> partial[datetime | None]:
        return partial(line_time, zone=self.zone, now=self.now)

    # -- the last so many lines

    def _tail(self, _before: Positions) -> None:
        for found in self.listed:
            if found.path.endswith(_COMPRESSED):
                continue
            with opened(found.path) as log:
                if log is not None:
                    start = last_lines(log.file, self.params.tail_lines)
                    self._read(piece for piece, _ in pieces(log.file, start, None, whole=False))

    def _read(self, lines: Iterable[bytes]) -> None:
        """Read to the end, or not at all: half a window would be a wrong number."""
        for piece in lines:
            self._scan(piece)
            if self._is_late():
                raise ProbeError(
                    f"after {self.bytes_read} bytes the time was over: lengthen the check's timeout or look at less",
                    "timeout",
                )

    def _scan(self, piece: bytes) -> None:
        self.bytes_read += len(piece)
        self.lines += scan(piece, self._matchers)

    def _is_late(self) -> bool:
        return time.monotonic() > self.deadline or self.search.stop.is_set()


def _untimed(log: LogFile) -> ProbeError:
    return ProbeError(f"no line of {shown(log.path)} says when it was written, in a way that is known", "config")
