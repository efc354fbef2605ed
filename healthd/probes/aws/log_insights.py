"""Queries of CloudWatch Logs Insights: started, waited for, stopped when nobody waits any longer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from healthd.model.redact import Redactor
from healthd.probes.aws.account import Page
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.probe import Asker
from healthd.probes.base import ProbeError

__all__ = ["GET_RESULTS", "START_QUERY", "STOP_QUERY", "InsightsResult", "run_query"]

START_QUERY = Operation(
    "logs", "start_query", "logs:StartQuery", resource="arn:aws:logs:*:*:log-group:{logGroupNames}:*"
)
GET_RESULTS = Operation(
    "logs", "get_query_results", "logs:GetQueryResults", "results", token=("nextToken", "nextToken")
)
STOP_QUERY = Operation("logs", "stop_query", "logs:StopQuery")

_ROWS_MAX = 1000
_STOP_TIMEOUT = 5.0  # seconds
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds
_OVER = ("Failed", "Cancelled", "Timeout", "Unknown")


@dataclass(frozen=True, slots=True)
class InsightsResult:
    """Rows as {field: value}, redacted; events that matched; bytes read."""

    rows: tuple[Mapping[str, str], ...]
    matched: float
    scanned: float


async def run_query(aws: Asker, groups: Sequence[str], query: str, start: datetime, end: datetime) -> InsightsResult:
    """The result of a query. Raises ProbeError; the query is stopped when the look ends before it."""
    request = {
        "logGroupNames": list(groups),
        "queryString": query,
        "startTime": int(start.timestamp()),
        "endTime": int(end.timestamp()),
        "limit": _ROWS_MAX,
    }
    [started] = await aws.reduce(START_QUERY, list, request)
    running = {"queryId": started["queryId"]}
    try:
        return _read(await _wait(aws, running))
    except (TimeoutError, asyncio.CancelledError):
        # it would go on reading, and costing, without us; whoever may not stop it has to let it
        stopping = asyncio.ensure_future(aws.reduce(STOP_QUERY, list, running, seconds=_STOP_TIMEOUT))
        stopping.add_done_callback(lambda task: task.cancelled() or task.exception())
        raise


async def _wait(aws: Asker, running: Mapping[str, Any]) -> list[Page]:
    pause = _FIRST_PAUSE
    while True:
        pages = await aws.reduce(GET_RESULTS, list, running)
        status = pages[0]["status"]
        if status == "Complete":
            return pages
        if status in _OVER:
            raise ProbeError(f"the query ended as {status.lower()}", "error")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _read(pages: list[Page]) -> InsightsResult:
    redact = Redactor()
    rows = tuple(
        {field["field"]: redact(field.get("value", "")) for field in row if field["field"] != "@ptr"}
        for page in pages
        for row in page.get("results", ())
    )
    statistics = pages[0].get("statistics", {})
    return InsightsResult(rows, statistics.get("recordsMatched", 0.0), statistics.get("bytesScanned", 0.0))
