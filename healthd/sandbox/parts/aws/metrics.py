"""CloudWatch's metrics: each has a level that holds at all times looked at, until it is put to another."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from healthd.sandbox.parts.aws.wire import Refusal

Name = tuple[str, str, tuple[tuple[str, str], ...]]
Points = dict[float, float]  # start of a period (seconds since 1970): value
_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
_FUNCTIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "MAX": max, "MIN": min, "SUM": sum, "AVG": lambda values: sum(values) / len(values),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Level:
    """What a metric's samples are. `percentiles`, such as {"p99": 900}, differ from `value` where they are given."""

    value: float
    per_minute: float = 1  # samples
    percentiles: Mapping[str, float] = field(default_factory=dict)
    until: float | None = None  # seconds since 1970; nothing was sent after it

    def statistic(self, name: str, period: int) -> float:
        """Of one period of that many seconds."""
        samples = self.per_minute * period / 60
        if name in ("Sum", "SampleCount"):
            return samples * (self.value if name == "Sum" else 1)
        return self.percentiles.get(name, self.value)


class Metrics:
    """Answers GetMetricData for the metrics that were put here."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._levels: dict[Name, Level] = {}

    def put(
        self,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, str],
        value: float,
        *,
        per_minute: float = 1,
        percentiles: Mapping[str, float] | None = None,
        silent_for: float | None = None,
    ) -> None:
        """Put a metric to a level. `silent_for`: seconds since its last sample came."""
        until = None if silent_for is None else self._clock().timestamp() - silent_for
        name = (namespace, metric, tuple(sorted(dimensions.items())))
        self._levels[name] = Level(value, per_minute, percentiles or {}, until)

    def remove(self, namespace: str, metric: str, dimensions: Mapping[str, str]) -> None:
        """Forget a metric: there never was one."""
        self._levels.pop((namespace, metric, tuple(sorted(dimensions.items()))), None)

    def knows(self, parameters: Mapping[str, Any]) -> bool:
        """Whether one of the metrics asked for was put here."""
        asked = [query["MetricStat"]["Metric"] for query in parameters["MetricDataQueries"] if "MetricStat" in query]
        return not asked or any(_name(metric) in self._levels for metric in asked)

    def get_metric_data(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, newest first as CloudWatch has it. Raises Refusal for an expression it does not know."""
        start, end = (_seconds(parameters[name]) for name in ("StartTime", "EndTime"))
        found: dict[str, Points] = {}
        results = []
        queries = sorted(parameters["MetricDataQueries"], key=lambda query: "Expression" in query)
        for query in queries:
            if "MetricStat" in query:
                stat = query["MetricStat"]
                points = self._points(_name(stat["Metric"]), stat["Stat"], stat["Period"], start, end)
                label = query.get("Label") or stat["Metric"]["MetricName"]
            else:
                points = _Expression(found, query["Expression"]).points()
                label = query.get("Label") or query["Id"]
            found[query["Id"]] = points
            if query.get("ReturnData", True):
                results.append(_result(query["Id"], label, points, parameters.get("ScanBy")))
        return {"MetricDataResults": results, "Messages": []}

    def _points(self, name: Name, statistic: str, period: int, start: float, end: float) -> Points:
        level = self._levels.get(name)
        if level is None:
            return {}
        last = min(end, self._clock().timestamp(), level.until or end)
        first = int(start // period * period)
        return {float(at): level.statistic(statistic, period) for at in range(first, int(end), period) if at < last}


class _Expression:
    """Arithmetic over the metrics of a request, period by period."""

    def __init__(self, metrics: Mapping[str, Points], text: str) -> None:
        self._metrics, self._text = metrics, text
        try:
            self._tree = ast.parse(text, mode="eval").body
        except SyntaxError:
            raise self._refusal() from None

    def points(self) -> Points:
        """A value for each period in which all metrics of the expression have one."""
        names = {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)} & self._metrics.keys()
        if not names:
            raise self._refusal()
        common = set.intersection(*(set(self._metrics[name]) for name in names))
        return {at: self._value(self._tree, at) for at in sorted(common)}

    def _value(self, node: ast.expr, at: float) -> float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name) if name in self._metrics:
                return self._metrics[name][at]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._value(operand, at)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](self._value(left, at), self._value(right, at))
            case ast.Call(func=ast.Name(id=name), args=[ast.List(elts=items)]) if name in _FUNCTIONS:
                return _FUNCTIONS[name]([self._value(item, at) for item in items])
        raise self._refusal()

    def _refusal(self) -> Refusal:
        return Refusal("ValidationError", f"Error in expression: {self._text}")


def _name(metric: Mapping[str, Any]) -> Name:
    dimensions = tuple(sorted((one["Name"], one["Value"]) for one in metric.get("Dimensions", ())))
    return metric["Namespace"], metric["MetricName"], dimensions


def _seconds(moment: Any) -> float:
    if isinstance(moment, int | float):
        return float(moment)
    return datetime.fromisoformat(str(moment)).timestamp()


def _result(name: str, label: str, points: Points, order: str | None) -> dict[str, Any]:
    times = sorted(points, reverse=order != "TimestampAscending")
    return {
        "Id": name,
        "Label": label,
        "Timestamps": [datetime.fromtimestamp(0, UTC) + timedelta(seconds=at) for at in times],
        "Values": [points[at] for at in times],
        "StatusCode": "Complete",
    }
