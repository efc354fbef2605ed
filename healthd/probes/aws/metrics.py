"""Asking CloudWatch for metrics: what the probes that need numbers have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from healthd.probes.aws.metric_desk import MetricDesk
from healthd.probes.aws.metric_query import Answer, Query, read_answers
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.probe import Asker
from healthd.probes.base import ProbeError

__all__ = ["GET_METRIC_DATA", "ask_metrics"]

GET_METRIC_DATA = Operation("cloudwatch", "get_metric_data", "cloudwatch:GetMetricData")


async def ask_metrics(aws: Asker, queries: Sequence[Query], region: str | None = None) -> list[Answer]:
    """The answers, in the order of the queries, from as few requests as there can be. Raises ProbeError."""

    async def make() -> MetricDesk:
        return MetricDesk()

    async def close(desk: MetricDesk) -> None:
        desk.close()

    async def ask(part: list[Query], now: datetime) -> dict[Query, Answer]:
        names = {f"q{index}": query for index, query in enumerate(part)}
        windows = [query.window(now) for query in part]
        request = {
            "MetricDataQueries": [line for name, query in names.items() for line in query.written(name)],
            "StartTime": min(start for start, _ in windows),
            "EndTime": max(end for _, end in windows),
        }
        pages = await aws.reduce(GET_METRIC_DATA, list, request, region=region)
        return read_answers(pages, names, now)

    key = ("aws metrics", aws.account.params.account, region)
    desk = await aws.context.resources.get(key, make, close)
    answers = await asyncio.gather(*(desk.answer(query, aws.now, ask) for query in queries))
    for answer in answers:
        if answer.trouble:
            _refuse(answer)
    return answers


def _refuse(answer: Answer) -> None:
    why = "; ".join(answer.messages) or "no reason given"
    if answer.trouble == "Forbidden":
        raise ProbeError(f"forbidden: needs {GET_METRIC_DATA.action} on these metrics: {why}", "forbidden")
    raise ProbeError(f"CloudWatch has no answer now ({answer.trouble}): {why}", "unavailable")
