"""Lines of database logs: when each was written, what it says, how slow the statement was that it tells of."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from healthd.model.redact import Redactor
from healthd.probes.patterns import search_all

__all__ = ["LineScan"]

# PostgreSQL: "2026-01-31 12:00:00.123 UTC:10.0.0.1(5432):..."; MySQL: "2026-01-31T12:00:00.123456Z 12 [Note] ..."
_STAMP = re.compile(r"(?:# Time: )?(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d+)?(?: UTC|Z)")
# PostgreSQL: "LOG:  duration: 1234.567 ms  statement: ..."; MySQL: "# Query_time: 1.234567  Lock_time: ..."
_DURATION = re.compile(r"duration: (?P<ms>\d+(?:\.\d+)?) ms|# Query_time: (?P<s>\d+(?:\.\d+)?)")
_SAMPLE = 300  # characters of a line
_LINE_MAX = 65_536


@dataclass(slots=True)
class LineScan:
    """Reads lines as they come; keeps counts and the last few that matched, never the lines.

    `since`: lines written before do not count; lines without a time belong to the one before them.
    `slow` in seconds. Nothing counts twice: a line that matches and is slow is one of each.
    """

    pattern: re.Pattern[str] | None
    slow: float | None
    since: datetime
    samples: int
    lines: int = 0
    matched: int = 0
    slow_queries: int = 0
    slowest: float | None = None
    recent: bool = True
    kept: deque[str] = field(init=False)

    def __post_init__(self) -> None:
        self.kept = deque(maxlen=max(self.samples, 0))

    def take(self, lines: Iterable[str]) -> None:
        """Count some more lines."""
        for whole in lines:
            line = whole[:_LINE_MAX]
            if stamp := _STAMP.match(line):
                self.recent = _moment(stamp) >= self.since
            if self.recent and line:
                self._count(line)

    def _count(self, line: str) -> None:
        self.lines += 1
        matches = self.pattern is not None and search_all(self.pattern, [line])[0] is not None
        self.matched += matches
        slow = self._is_slow(line)
        self.slow_queries += slow
        if matches or slow:
            self.kept.append(Redactor()(line[:_SAMPLE]))

    def _is_slow(self, line: str) -> bool:
        found = _DURATION.search(line)
        if found is None:
            return False
        seconds = float(found["ms"]) / 1000 if found["ms"] else float(found["s"])
        self.slowest = max(self.slowest or 0.0, seconds)
        return self.slow is not None and seconds >= self.slow


def _moment(stamp: re.Match[str]) -> datetime:
    try:
        return datetime.fromisoformat(f"{stamp[1]}T{stamp[2]}").replace(tzinfo=UTC)
    except ValueError:  # 2026-99-99: not a time after all
        return datetime.max.replace(tzinfo=UTC)
