"""cloudwatch_metric: values, what is empty, expressions, and that many checks share one request."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from healthd.model.outcomes import Observation
from healthd.probes import PROBES
from healthd.probes.base import ProbeContext, ProbeError, Resources
from tests.component.aws.conftest import Through
from tests.component.looking import evidence, values
from tests.servers.aws import REGION, MotoServer, Refusal

NOW = datetime(2026, 3, 10, 12, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CPU = {"namespace": "AWS/RDS", "metric": "CPUUtilization", "dimensions": {"DBInstanceIdentifier": "db"}}


def put(moto: MotoServer, metric: str, *newest_first: float, at: datetime = NOW) -> None:
    moto.client("cloudwatch").put_metric_data(
        Namespace="App",
        MetricData=[
            {"MetricName": metric, "Value": value, "Timestamp": at - MINUTE * (i + 1)}
            for i, value in enumerate(newest_first)
        ],
    )


def answer(moto: MotoServer, make: Callable[[dict[str, Any]], list[dict[str, Any]]], **more: Any) -> None:
    moto.answers["cloudwatch", "GetMetricData"] = lambda asked: {"MetricDataResults": make(asked), **more}


def series(name: str, *newest_first: float, label: str = "x", status: str = "Complete") -> dict[str, Any]:
    end = NOW.replace(second=0)
    stamps = [end - MINUTE * (i + 1) for i in range(len(newest_first))]
    return {"Id": name, "Label": label, "Timestamps": stamps, "Values": list(newest_first), "StatusCode": status}


async def test_the_last_complete_period(moto: MotoServer, through: Through) -> None:
    look = await through("cloudwatch_metric")
    look.looker.now = NOW
    put(moto, "Errors", 7, 5, 3)
    put(moto, "Errors", 99, at=NOW + MINUTE)  # the period under way
    assert values(await look(namespace="App", metric="Errors", statistic="Sum")) == {
        "value": 7, "age": 30, "points": 3, "series_count": 1
    }  # fmt: skip


@pytest.mark.parametrize(("reduce", "value"), [("max", 7), ("min", 3), ("avg", 5), ("sum", 15), ("p50", 5)])
async def test_several_periods_become_one_number(moto: MotoServer, through: Through, reduce: str, value: float) -> None:
    look = await through("cloudwatch_metric")
    look.looker.now = NOW
    put(moto, "Errors", 7, 5, 3, 1000, 1000)
    found = await look(namespace="App", metric="Errors", statistic="sum", over="3m", reduce=reduce)
    assert values(found)["value"] == value


async def test_no_data_is_not_zero(moto: MotoServer, through: Through) -> None:
    look = await through("cloudwatch_metric")
    observation = await look(**CPU)
    assert values(observation) == {"points": 0, "series_count": 0}
    assert observation.note == "no data in the last 10m: AWS/RDS CPUUtilization DBInstanceIdentifier=db"
    assert values(await look(**CPU, empty=0))["value"] == 0


async def test_nan_is_no_data(moto: MotoServer, through: Through) -> None:
    look = await through("cloudwatch_metric")
    look.looker.now = NOW
    answer(moto, lambda _: [series("q0", math.nan, 4.0)])
    assert values(await look(**CPU))["value"] == 4
    answer(moto, lambda _: [series("q0", math.nan)])
    observation = await look(**CPU, over="2m")
    assert "value" not in values(observation)
    assert observation.note == "only NaN or infinity in the time looked at"


async def test_a_unit_brings_it_to_base_units(moto: MotoServer, through: Through) -> None:
    look = await through("cloudwatch_metric")
    look.looker.now = NOW
    put(moto, "Latency", 250)
    [value, *_] = (await look(namespace="App", metric="Latency", unit="ms")).measurements
    assert (value.value, value.unit) == (0.25, "seconds")


async def test_an_expression_over_metrics(moto: MotoServer, through: Through) -> None:
    look = await through("cloudwatch_metric")
    look.looker.now = NOW
    seen: list[dict[str, Any]] = []

    def rate(asked: dict[str, Any]) -> list[dict[str, Any]]:
        seen.extend(asked["MetricDataQueries"])
        return [series("q0", 1.5)]

    answer(moto, rate)
    metrics = {
        "errors": {"namespace": "App", "metric": "Errors", "statistic": "Sum"},
        "all": {"namespace": "App", "metric": "Requests", "statistic": "p99"},
    }
    found = await look(expression="100 * errors / FILL(all, 'all')", metrics=metrics, unit="%")
    assert values(found)["value"] == pytest.approx(0.015)
    assert [(q["Id"], q["ReturnData"], q.get("Expression")) for q in seen] == [
        ("q0_0", False, None), ("q0_1", False, None), ("q0", True, "100 * q0_0 / FILL(q0_1, 'all')")
    ]  # fmt: skip
    assert seen[1]["MetricStat"]["Stat"] == "p99"


async def test_a_search_gives_several_series(moto: MotoServer, through: Through) -> None:
    look = await through("cloudwatch_metric")
    look.looker.now = NOW
    answer(moto, lambda _: [series("q0", 10, label="i-1"), series("q0", 90, label="i-2")])
    found = values(await look(expression="SEARCH('{AWS/EC2,InstanceId} CPUUtilization', 'Average', 60)"))
    assert (found["value{i-1}"], found["value{i-2}"], found["series_count"]) == (10, 90, 2)


async def test_series_of_the_same_label_are_not_mixed(moto: MotoServer, through: Through) -> None:
    look = await through("cloudwatch_metric")
    look.looker.now = NOW
    answer(moto, lambda _: [series("q0", 10, label="cpu"), series("q0", 90, label="cpu")])
    found = values(await look(expression="SEARCH('{AWS/EC2,InstanceId} CPUUtilization', 'Average', 60)"))
    assert (found["value{cpu}"], found["value{cpu (2)}"]) == (10, 90)


async def test_an_answer_in_pages(moto: MotoServer, through: Through) -> None:
    look = await through("cloudwatch_metric")
    look.looker.now = NOW

    def page(asked: dict[str, Any]) -> dict[str, Any]:
        first = {**series("q0", 3, status="PartialData")}
        second = series("q0", 9, 5)
        second["Timestamps"], second["Values"] = second["Timestamps"][1:], second["Values"][1:]
        if "NextToken" not in asked:
            return {"MetricDataResults": [first], "NextToken": "2"}
        return {"MetricDataResults": [second]}

    moto.answers["cloudwatch", "GetMetricData"] = page
    assert values(await look(**CPU, reduce="sum")) == {"value": 8, "age": 30, "points": 2, "series_count": 1}


class Checks:
    """Many checks of the daemon, each with the resources and the run they share."""

    def __init__(self, url: str, resources: Resources) -> None:
        self.url, self.resources = url, resources
        self.probe = PROBES["cloudwatch_metric"]

    async def look(self, number: int, now: datetime = NOW, **params: Any) -> Observation:
        question = {"namespace": "App", "metric": f"m{number}", "region": REGION, **params}
        context = ProbeContext(now, timedelta(seconds=5), ZoneInfo("UTC"), self.resources)
        return await self.probe.run(self.probe.Params(endpoint_url=self.url, **question), context)


@pytest.fixture
def checks(moto: MotoServer, aws_resources: Resources) -> Checks:
    return Checks(moto.url, aws_resources)


def echo(moto: MotoServer) -> list[int]:
    """Every metric's value is its number; returns how many queries each request had."""
    sizes: list[int] = []

    def values_of(asked: dict[str, Any]) -> list[dict[str, Any]]:
        sizes.append(len(asked["MetricDataQueries"]))
        return [series(q["Id"], float(q["MetricStat"]["Metric"]["MetricName"][1:])) for q in asked["MetricDataQueries"]]

    answer(moto, values_of)
    return sizes


async def test_fifty_checks_are_one_request_a_region(moto: MotoServer, checks: Checks) -> None:
    sizes = echo(moto)
    looks = [checks.look(i) for i in range(50)] + [checks.look(i, region="us-east-1") for i in range(50)]
    found = await asyncio.gather(*looks)
    assert [o.measurements[0].value for o in found] == [*range(50), *range(50)]
    assert sizes == [50, 50]


async def test_spread_over_seconds_they_are_one_request_from_the_second_run_on(
    moto: MotoServer, checks: Checks
) -> None:
    sizes = echo(moto)
    for run in range(3):
        for i in range(6):
            at = NOW + timedelta(days=run, seconds=i)
            await checks.look(i, at)
    assert sizes == [1] * 6 + [6, 6]


async def test_a_check_that_is_gone_is_asked_for_once_more(moto: MotoServer, checks: Checks) -> None:
    sizes = echo(moto)
    for run in range(4):
        for i in range(3 if run == 0 else 2):
            await checks.look(i, NOW + timedelta(hours=run, seconds=i))
    assert sizes == [1, 1, 1, 3, 2, 2]


async def test_a_request_holds_five_hundred(moto: MotoServer, checks: Checks) -> None:
    sizes = echo(moto)
    await asyncio.gather(*(checks.look(i) for i in range(501)))
    assert sorted(sizes) == [1, 500]


async def test_days_and_minutes_are_asked_apart(moto: MotoServer, checks: Checks) -> None:
    sizes = echo(moto)
    await asyncio.gather(checks.look(1), checks.look(2, over="2h"), checks.look(3, over="30d", period="1d"))
    assert sorted(sizes) == [1, 2]


async def test_a_query_that_is_refused_does_not_spoil_it_for_others(moto: MotoServer, checks: Checks) -> None:
    sizes = echo(moto)
    good = moto.answers["cloudwatch", "GetMetricData"]

    def strict(asked: dict[str, Any]) -> dict[str, Any]:
        if any("Expression" in query for query in asked["MetricDataQueries"]):
            sizes.append(len(asked["MetricDataQueries"]))
            raise Refusal("ValidationError", "Error in expression 'q5': Syntax error")
        return good(asked)

    moto.answers["cloudwatch", "GetMetricData"] = strict

    async def run(now: datetime) -> list[Any]:
        broken = checks.look(0, now, expression="1 +", namespace=None, metric=None)
        return await asyncio.gather(*(checks.look(i, now) for i in range(5)), broken, return_exceptions=True)

    *fine, error = await run(NOW)
    assert [o.measurements[0].value for o in fine] == [0, 1, 2, 3, 4]
    assert isinstance(error, ProbeError)
    assert error.kind == "config"
    assert "Syntax error" in error.reason
    sizes.clear()
    await run(NOW + timedelta(hours=1))
    assert sorted(sizes) == [1, 5]


async def test_throttled(moto: MotoServer, through: Through) -> None:
    def throttle(_: dict[str, Any]) -> dict[str, Any]:
        raise Refusal("Throttling", "Rate exceeded")

    moto.answers["cloudwatch", "GetMetricData"] = throttle
    look = await through("cloudwatch_metric")
    with pytest.raises(ProbeError, match="AWS throttles: too many requests, also after retries") as caught:
        await look(**CPU)
    assert caught.value.kind == "busy"
    assert moto.count("cloudwatch", "GetMetricData") == 3


async def test_a_status_other_than_complete(moto: MotoServer, through: Through) -> None:
    look = await through("cloudwatch_metric")
    answer(moto, lambda _: [series("q0", status="Forbidden")])
    with pytest.raises(ProbeError, match="forbidden: needs cloudwatch:GetMetricData on these metrics"):
        await look(**CPU)
    answer(moto, lambda _: [series("q0", status="InternalError")])
    with pytest.raises(ProbeError, match="no answer now") as caught:
        await look(**CPU, statistic="Sum")
    assert caught.value.kind == "unavailable"


async def test_what_cloudwatch_remarks_is_shown(moto: MotoServer, through: Through) -> None:
    look = await through("cloudwatch_metric")
    look.looker.now = NOW
    said = [{"Code": "MaxMetricsExceeded", "Value": "only 500 were searched"}]
    answer(moto, lambda _: [series("q0", 1)], Messages=said)
    assert "only 500 were searched" in evidence(await look(**CPU), "CloudWatch says")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "write namespace and metric, or an expression"),
        ({"metric": "x"}, "a metric has a namespace"),
        ({"namespace": "A", "metric": "x", "expression": "a"}, "write namespace and metric, or an expression"),
        ({"namespace": "A", "metric": "x", "statistic": "mean"}, "'mean' is not a statistic"),
        ({"namespace": "A", "metric": "x", "period": "90s"}, "a whole number of minutes"),
        ({"namespace": "A", "metric": "x", "over": "10d", "period": "1s"}, "take a longer period"),
        ({"expression": "a+1", "metrics": {"a": CPU, "b": CPU}}, "does not use b"),
        ({"namespace": "A", "metric": "x", "reduce": "most"}, "unknown reduce 'most'"),
    ],
)
def test_parameters_that_make_no_sense(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PROBES["cloudwatch_metric"].Params(**params)
    assert message in str(caught.value)
