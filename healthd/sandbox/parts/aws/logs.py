"""CloudWatch Logs: groups, events that were written once, and lines that are written again and again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from healthd.sandbox.parts.aws.filter_pattern import filter_pattern
from healthd.sandbox.parts.aws.insights import run_insights
from healthd.sandbox.parts.aws.wire import Refusal

_REGION, _ACCOUNT = "us-east-1", "123456789012"
_PAGE = 10_000
_KEPT = 30 * 86_400  # seconds that lines written again and again reach back


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """One line; `at` in milliseconds since 1970."""

    at: int
    message: str
    stream: str


@dataclass(frozen=True, slots=True)
class _Repeated:
    message: str
    every: float  # seconds
    stream: str
    until: float | None  # seconds since 1970


@dataclass(slots=True)
class _Group:
    retention: int | None  # days; None: for ever
    size: int  # bytes
    created: float
    events: list[Event] = field(default_factory=list)
    repeated: list[_Repeated] = field(default_factory=list)

    def between(self, start: float, end: float) -> list[Event]:
        """Events of a stretch of time (seconds since 1970, the end excluded), oldest first."""
        found = [event for event in self.events if start * 1000 <= event.at < end * 1000]
        for line in self.repeated:
            last = min(end, line.until or end)
            at = (max(start, end - _KEPT) // line.every + 1) * line.every
            while at < last:
                found.append(Event(int(at * 1000), line.message, line.stream))
                at += line.every
        return sorted(found)


class Logs:
    """Answers for the groups made here."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._groups: dict[str, _Group] = {}
        self._queries: dict[str, dict[str, Any]] = {}

    def group(self, name: str, retention: int | None = None, size: int = 0) -> None:
        """Make a log group, or set how many days it keeps events (None: for ever) and how many bytes it holds."""
        known = self._groups.get(name)
        if known is None:
            self._groups[name] = _Group(retention, size, self._clock().timestamp())
        else:
            known.retention, known.size = retention, size

    def remove(self, name: str) -> None:
        """Delete a group."""
        self._groups.pop(name, None)

    def write(self, group: str, messages: list[str], ago: float = 0, stream: str = "main") -> None:
        """Write lines, as if that many seconds ago."""
        at = int((self._clock().timestamp() - ago) * 1000)
        self._groups[group].events += [Event(at, message, stream) for message in messages]

    def repeat(
        self, group: str, message: str, every: float, stream: str = "main", silent_for: float | None = None
    ) -> None:
        """A line that comes every so many seconds, in the past too. `silent_for`: seconds since the last one."""
        until = None if silent_for is None else self._clock().timestamp() - silent_for
        self._groups[group].repeated.append(_Repeated(message, every, stream, until))

    def clear(self, group: str) -> None:
        """Forget every event of a group, and what is written again and again."""
        self._groups[group].events, self._groups[group].repeated = [], []

    def knows(self, parameters: Mapping[str, Any]) -> bool:
        """Whether the group asked for was made here."""
        return parameters.get("logGroupName") in self._groups

    def describe_log_groups(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """All groups, by prefix or part of their names."""
        prefix, part = parameters.get("logGroupNamePrefix", ""), parameters.get("logGroupNamePattern", "")
        groups = []
        for name, group in sorted(self._groups.items()):
            if name.startswith(prefix) and fnmatchcase(name, f"*{part}*"):
                arn = f"arn:aws:logs:{_REGION}:{_ACCOUNT}:log-group:{name}:*"
                described: dict[str, Any] = {
                    "logGroupName": name,
                    "arn": arn,
                    "creationTime": int(group.created * 1000),
                }
                kept = {"retentionInDays": group.retention} if group.retention else {}
                groups.append({**described, **kept, "storedBytes": group.size, "metricFilterCount": 0})
        return {"logGroups": groups}

    def filter_log_events(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Events that fit the pattern, page by page."""
        fits = filter_pattern(parameters.get("filterPattern", ""))
        prefix, names = parameters.get("logStreamNamePrefix", ""), parameters.get("logStreamNames", ())
        found = [
            event
            for event in self._between(parameters["logGroupName"], parameters, 1000)
            if event.stream.startswith(prefix) and (not names or event.stream in names) and fits(event.message)
        ]
        start = int(parameters.get("nextToken", 0))
        end = start + min(int(parameters.get("limit", _PAGE)), _PAGE)
        page = {"events": list(map(_described, found[start:end])), "searchedLogStreams": []}
        return {**page, "nextToken": str(end)} if end < len(found) else page

    def start_query(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Run a query of Logs Insights; its result is fetched with the id."""
        names = parameters.get("logGroupNames") or [parameters["logGroupName"]]
        events = [event for name in names for event in self._between(name, parameters, 1)]
        rows, matched = run_insights(parameters["queryString"], [(event.at, event.message) for event in events])
        statistics = {
            "recordsMatched": float(matched),
            "recordsScanned": float(len(events)),
            "bytesScanned": float(sum(len(event.message) for event in events)),
        }
        query = secrets.token_hex(16)
        results = [[{"field": name, "value": value} for name, value in row.items()] for row in rows]
        self._queries[query] = {"results": results, "statistics": statistics, "status": "Complete"}
        return {"queryId": query}

    def get_query_results(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """What a query found."""
        if parameters["queryId"] not in self._queries:
            raise Refusal("ResourceNotFoundException", "Could not find the query.")
        return self._queries[parameters["queryId"]]

    def _between(self, name: str, parameters: Mapping[str, Any], unit: int) -> Iterator[Event]:
        """Events of a request's time, which is in 1/`unit` seconds."""
        if name not in self._groups:
            raise Refusal("ResourceNotFoundException", "The specified log group does not exist.")
        now = self._clock().timestamp()
        start, end = parameters.get("startTime", 0) / unit, min(now, parameters.get("endTime", now * unit) / unit)
        yield from self._groups[name].between(start, end)


def _described(event: Event) -> dict[str, Any]:
    return {
        "logStreamName": event.stream,
        "timestamp": event.at,
        "message": event.message,
        "ingestionTime": event.at,
        "eventId": f"{event.at:056}",
    }
