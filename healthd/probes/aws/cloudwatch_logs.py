"""`cloudwatch_logs`: log events that fit a pattern, or the result of a Logs Insights query."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from healthd.model.outcomes import Evidence
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.aws.log_filter import EventScan
from healthd.probes.aws.log_insights import GET_RESULTS, START_QUERY, STOP_QUERY, InsightsResult, run_query
from healthd.probes.aws.operations import Fields, Operation
from healthd.probes.aws.params import AwsParams
from healthd.probes.aws.probe import Asker, AwsProbe, count_of, text_of
from healthd.probes.base import Duration, MeasureInfo, Measurement, Observation, OneOrMany, ProbeError
from healthd.probes.patterns import regular_expression

FILTER = Operation(
    "logs", "filter_log_events", "logs:FilterLogEvents", "events", "arn:aws:logs:*:*:log-group:{logGroupName}:*"
)
_TOP = 10
_SERIES_MAX = 100


class CloudWatchLogsParams(AwsParams):
    """Which log group, since when; a filter `pattern`, or an Insights `query`."""

    group: OneOrMany = Field(min_length=1, max_length=50)
    over: Duration = timedelta(hours=1)
    pattern: str = ""
    streams: str | None = Field(None, description="what the names of the log streams begin with")
    extract: Annotated[str, AfterValidator(regular_expression)] | None = None
    max_events: int = Field(10_000, ge=1, le=1_000_000)
    samples: int = Field(3, ge=0, le=50)
    query: str | None = None
    value: str | None = Field(None, description="the field of the query's rows that is a number")
    series: str | None = Field(None, description="the field of the query's rows that tells them apart")

    @model_validator(mode="after")
    def _one_way(self) -> CloudWatchLogsParams:
        if self.query is not None and (self.pattern or self.extract or self.streams):
            raise ValueError("pattern, extract and streams are for filtering: a query says all by itself")
        if self.query is None and (self.value or self.series):
            raise ValueError("value and series are fields of a query's rows: write a query")
        if self.query is None and len(self.group) > 1:
            raise ValueError("several log groups can be looked at with a query only")
        return self


class CloudWatchLogsProbe(AwsProbe):
    """Counts, and shows a few events, redacted."""

    Params: ClassVar[type[base.Params]] = CloudWatchLogsParams
    operations: ClassVar[tuple[Operation, ...]] = (FILTER, START_QUERY, GET_RESULTS, STOP_QUERY)
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": count_of("events that fit; of a query: those its filters let through"),
        "rate": MeasureInfo(Unit.PER_SECOND, "count over the time looked at"),
        "complete": count_of("1 when all were counted, 0 when max_events came first; of a pattern"),
        "newest_age": MeasureInfo(Unit.SECONDS, "since the newest that fits; absent without one; of a pattern"),
        "top_count": count_of(
            "how often the most frequent value came; with extract, or the largest of a query's value"
        ),
        "top_value": text_of("that value; absent without any"),
        "distinct": count_of("different values; with extract"),
        "value": MeasureInfo(None, "of a query with value: one for each row, called by series"),
        "rows": count_of("rows of a query's result"),
        "scanned": MeasureInfo(Unit.BYTES, "what a query has read, which is what it costs"),
    }

    def measures_for(self, params: CloudWatchLogsParams) -> Mapping[str, MeasureInfo]:
        """Those of the way that was chosen."""
        names = {"count", "rate"}
        if params.query is not None:
            names |= {"rows", "scanned"} | ({"value", "top_count", "top_value"} if params.value else set())
        else:
            names |= {"complete", "newest_age"} | ({"top_count", "top_value", "distinct"} if params.extract else set())
        return {name: info for name, info in self.measures.items() if name in names}

    def needs(self, params: CloudWatchLogsParams) -> tuple[Operation, ...]:
        """What its parameters ask for."""
        return (FILTER,) if params.query is None else (START_QUERY, GET_RESULTS, STOP_QUERY)

    def fields(self, params: CloudWatchLogsParams) -> Fields:
        """The log groups."""
        return {"logGroupName": params.group, "logGroupNames": params.group}

    async def look(self, params: CloudWatchLogsParams, aws: Asker) -> Observation:
        """Filter or query."""
        start = aws.now - params.over
        if params.query is not None:
            result = await run_query(aws, params.group, params.query, start, aws.now)
            return self._of_query(params, result)
        scan = EventScan(
            params.max_events, re.compile(params.extract) if params.extract else None, deque(maxlen=params.samples)
        )
        request: dict[str, Any] = {
            "logGroupName": params.group[0],
            "startTime": int(start.timestamp() * 1000),
            "endTime": int(aws.now.timestamp() * 1000),
        }
        if params.pattern:
            request["filterPattern"] = params.pattern
        if params.streams:
            request["logStreamNamePrefix"] = params.streams
        await aws.reduce(FILTER, scan.take, request)
        return self._of_scan(params, scan, aws)

    def _of_scan(self, params: CloudWatchLogsParams, scan: EventScan, aws: Asker) -> Observation:
        top = scan.values.most_common(_TOP)
        found: dict[str, float | str | None] = {
            "count": scan.count,
            "rate": scan.count / params.over.total_seconds(),
            "complete": scan.complete,
            "newest_age": max(0.0, aws.now.timestamp() - scan.newest / 1000) if scan.count else None,
        }
        if params.extract:
            found |= {
                "top_count": top[0][1] if top else 0,
                "top_value": top[0][0] if top else None,
                "distinct": len(scan.values) + bool(scan.others),
            }
        evidence = []
        if top:
            evidence.append(Evidence("Most frequent", "\n".join(f"{count} {value}" for value, count in top)))
        if scan.kept:
            evidence.append(Evidence("Last events", "\n".join(scan.kept)[: aws.context.limits.max_evidence_chars]))
        note = "" if scan.complete else f"stopped at {params.max_events} events: there are more"
        return Observation(self.measured(found), tuple(evidence), note)

    def _of_query(self, params: CloudWatchLogsParams, result: InsightsResult) -> Observation:
        found = list(
            self.measured(
                {
                    "count": result.matched,
                    "rate": result.matched / params.over.total_seconds(),
                    "rows": len(result.rows),
                    "scanned": result.scanned,
                }
            )
        )
        if params.value:
            values = _values(params, result)
            found += [Measurement("value", value, None, series) for series, value in values[:_SERIES_MAX]]
            series, largest = max(values, key=lambda one: one[1], default=("", 0.0))
            found += self.measured({"top_count": largest, "top_value": series or None})
        lines = [", ".join(f"{name}={value}" for name, value in row.items()) for row in result.rows[:_TOP]]
        evidence = (Evidence("First rows", "\n".join(lines)),) if lines else ()
        return Observation(tuple(found), evidence)


def _values(params: CloudWatchLogsParams, result: InsightsResult) -> list[tuple[str, float]]:
    """Each row's series and number. Raises ProbeError (config) for a field that is not there or no number."""
    assert params.value is not None
    found: dict[str, float] = {}
    for row in result.rows:
        missing = [name for name in (params.value, params.series) if name is not None and name not in row]
        if missing:
            have = ", ".join(row)
            raise ProbeError(f"the query's rows have no {missing[0]!r}: they have {have}", "config")
        series = row[params.series] if params.series else ""
        try:
            number = float(row[params.value])
        except ValueError:
            raise ProbeError(f"{params.value} of a row is no number: {row[params.value][:50]!r}", "config") from None
        if series in found:
            raise ProbeError("several rows are called the same: let `series` tell them apart", "config")
        found[series] = number
    return list(found.items())
