"""Log events that fit a filter pattern of CloudWatch Logs: counted as they come, in bounded memory."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from healthd.model.redact import Redactor
from healthd.probes.aws.account import Page
from healthd.probes.patterns import search_all

__all__ = ["EventScan"]

_VALUES_MAX = 10_000  # different values kept for the top list
_SAMPLE, _VALUE = 500, 200  # characters of a message, of a value


@dataclass(slots=True)
class EventScan:
    """Counts events up to `limit`; the last `samples` of them, and how often each value of `extract` came."""

    limit: int
    extract: re.Pattern[str] | None
    kept: deque[str]
    count: int = 0
    newest: int = 0  # milliseconds since 1970
    complete: bool = True
    values: Counter[str] = field(default_factory=Counter)
    redact: Redactor = field(default_factory=Redactor)
    others: int = 0  # events whose value was not kept: there are too many different ones

    def take(self, pages: Iterator[Page]) -> None:
        """In a thread: count what comes, until there are `limit`."""
        for page in pages:
            for event in page.get("events", ()):
                if self.count >= self.limit:
                    self.complete = False
                    return
                self._count(event.get("message", ""), event.get("timestamp", 0))

    def _count(self, message: str, timestamp: int) -> None:
        self.count += 1
        self.newest = max(self.newest, timestamp)
        self.kept.append(self.redact(message.strip()[:_SAMPLE]))
        found = search_all(self.extract, [message])[0] if self.extract is not None else None
        if found is None:
            return
        value = self.redact(found[1 if len(found) > 1 else 0] or "")[:_VALUE]
        if value in self.values or len(self.values) < _VALUES_MAX:
            self.values[value] += 1
        else:
            self.others += 1
