"""One question to CloudWatch as a value: what is asked, and how it is written in a request with many others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

__all__ = ["Answer", "Metric", "Query", "Series", "read_answers"]

# Words in quotes are left alone; the others are names of metrics, or of functions, which are written in capitals.
_WORDS = re.compile(r"'[^']*'|\"[^\"]*\"|[A-Za-z_]\w*")
# These mean something else, or are refused, in the company of other queries.
_ALONE = re.compile(r"\bMETRICS\s*\(|^\s*SELECT\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of CloudWatch and what is made of its data of each period. `name` is what expressions call it."""

    name: str
    namespace: str
    metric: str
    statistic: str
    dimensions: tuple[tuple[str, str], ...] = ()

    def stat(self, period: int) -> dict[str, Any]:
        """As MetricStat."""
        dimensions = [{"Name": name, "Value": value} for name, value in self.dimensions]
        metric = {"Namespace": self.namespace, "MetricName": self.metric, "Dimensions": dimensions}
        return {"Metric": metric, "Period": period, "Stat": self.statistic}


@dataclass(frozen=True, slots=True)
class Query:
    """Metrics, and an expression over them; without one there is one metric. `period` in seconds."""

    metrics: tuple[Metric, ...]
    period: int
    over: timedelta
    expression: str = ""

    @property
    def alone(self) -> bool:
        """Whether it has to be asked in a request of its own."""
        return bool(_ALONE.search(self.expression))

    @property
    def size(self) -> int:
        """How many queries it is in a request."""
        return len(self.metrics) + bool(self.expression)

    def window(self, now: datetime) -> tuple[datetime, datetime]:
        """The periods that are complete at `now`: from the first (included) to the end of the last (excluded)."""
        seconds = now.timestamp() // self.period * self.period
        end = datetime.fromtimestamp(seconds, now.tzinfo)
        return end - self.over, end

    def written(self, name: str) -> list[dict[str, Any]]:
        """As MetricDataQueries whose result is called `name`; everything in it is unique to that name."""
        if not self.expression:
            return [{"Id": name, "MetricStat": self.metrics[0].stat(self.period), "ReturnData": True}]
        names = {metric.name: f"{name}_{index}" for index, metric in enumerate(self.metrics)}
        inputs = [
            {"Id": names[metric.name], "MetricStat": metric.stat(self.period), "ReturnData": False}
            for metric in self.metrics
        ]
        expression = _WORDS.sub(lambda word: names.get(word[0], word[0]), self.expression)
        return [*inputs, {"Id": name, "Expression": expression, "Period": self.period, "ReturnData": True}]


@dataclass(frozen=True, slots=True)
class Series:
    """One time series of an answer: its label, and (start of the period, value), oldest first."""

    label: str
    points: tuple[tuple[datetime, float], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one query gave. `messages` are CloudWatch's own remarks; `trouble` is its status if not all went well."""

    series: tuple[Series, ...] = ()
    messages: tuple[str, ...] = ()
    trouble: str = ""


@dataclass(slots=True)
class _Reading:
    """What has been read of one query's answer. A page that goes on with a series has the same label."""

    points: dict[tuple[str, int], dict[datetime, float]] = field(default_factory=dict)
    messages: dict[str, None] = field(default_factory=dict)
    trouble: str = ""

    def take(self, result: Mapping[str, Any], number: int) -> None:
        """`number` tells series of the same label in one page apart."""
        found = self.points.setdefault((result.get("Label", ""), number), {})
        found.update(zip(result.get("Timestamps", ()), result.get("Values", ()), strict=False))
        self.messages |= dict.fromkeys(_remark(message) for message in result.get("Messages", ()))
        status = result.get("StatusCode", "")
        # PartialData means that another page follows
        self.trouble = status if status not in ("Complete", "PartialData") else ""

    def series(self, start: datetime, end: datetime) -> Iterator[Series]:
        for (label, number), found in self.points.items():
            called = f"{label} ({number + 1})" if number else label
            yield Series(called, tuple(sorted((at, value) for at, value in found.items() if start <= at < end)))


def read_answers(pages: Sequence[Mapping[str, Any]], names: Mapping[str, Query], now: datetime) -> dict[Query, Answer]:
    """The answer to each query, from all pages together; each keeps the points of its own window only."""
    read = {name: _Reading() for name in names}
    general = [_remark(message) for page in pages for message in page.get("Messages", ())]
    for page in pages:
        seen: Counter[tuple[str, str]] = Counter()
        for result in page.get("MetricDataResults", ()):
            which = (result["Id"], result.get("Label", ""))
            read[result["Id"]].take(result, seen[which])
            seen[which] += 1
    return {
        query: Answer(
            tuple(read[name].series(*query.window(now))), (*read[name].messages, *general), read[name].trouble
        )
        for name, query in names.items()
    }


def _remark(message: Mapping[str, Any]) -> str:
    return f"{message.get('Code', '')}: {message.get('Value', '')}"
