"""One question to CloudWatch as a value: what is asked, and how it is written in a request with many others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

__all__ = ["Answer", "Metric", "Query", "Series"]

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


def read_answers(pages: Sequence[Mapping[str, Any]], names: Mapping[str, Query], now: datetime) -> dict[Query, Answer]:
    """The answer to each query, from all pages together; each keeps the points of its own window only."""
    points: dict[tuple[str, str], dict[datetime, float]] = {}
    messages: dict[str, dict[str, None]] = {}
    troubles: dict[str, str] = {}
    general = [_remark(m) for page in pages for m in page.get("Messages", ())]
    for page in pages:
        for result in page.get("MetricDataResults", ()):
            name = result["Id"]
            found = points.setdefault((name, result.get("Label", "")), {})
            found.update(zip(result.get("Timestamps", ()), result.get("Values", ()), strict=False))
            messages.setdefault(name, {}).update(dict.fromkeys(_remark(m) for m in result.get("Messages", ())))
            # PartialData means that another page follows
            troubles[name] = (
                status if (status := result.get("StatusCode", "")) not in ("Complete", "PartialData") else ""
            )
    answers: dict[Query, Answer] = {}
    for name, query in names.items():
        start, end = query.window(now)
        series = tuple(
            Series(label, tuple(sorted((at, value) for at, value in found.items() if start <= at < end)))
            for (of, label), found in points.items()
            if of == name
        )
        remarks = (*messages.get(name, ()), *general)
        answers[query] = Answer(series, remarks, troubles.get(name, ""))
    return answers


def _remark(message: Mapping[str, Any]) -> str:
    return f"{message.get('Code', '')}: {message.get('Value', '')}"
