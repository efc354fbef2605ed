"""Logs and alarms of CloudWatch: against moto, and where it knows no better, against the documented answers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from healthd.probes import PROBES
from healthd.probes.base import ProbeError
from tests.component.aws.conftest import Through
from tests.component.looking import evidence, values
from tests.servers.aws import MotoServer, Refusal

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
GROUP = "/aws/ecs/backend"


@pytest.fixture
def events(moto: MotoServer) -> datetime:
    """A log group with six events of the last minutes and an old one; the moment they are counted from."""
    logs, now = moto.client("logs"), datetime.now(UTC)
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="a")
    messages = ["10.0.0.1 GET /login 401"] * 3 + ["10.0.0.2 GET /login 401", "ERROR token=hunter2hunter2", "INFO ok"]
    stamped = [(now - timedelta(hours=5), "ERROR old")]
    stamped += [(now - timedelta(minutes=6 - i), message) for i, message in enumerate(messages)]
    logs.put_log_events(
        logGroupName=GROUP, logStreamName="a",
        logEvents=[{"timestamp": int(at.timestamp() * 1000), "message": message} for at, message in stamped],
    )  # fmt: skip
    return now


async def test_events_that_fit(events: datetime, through: Through) -> None:
    look = await through("cloudwatch_logs")
    look.looker.now = events
    observation = await look(group=GROUP, pattern="ERROR")
    assert values(observation) == {
        "count": 1, "rate": pytest.approx(1 / 3600), "complete": 1, "newest_age": pytest.approx(120, abs=2)
    }  # fmt: skip
    assert evidence(observation, "Last events") == "ERROR token=<redacted>"
    assert values(await look(group=GROUP, pattern="FATAL"))["count"] == 0


async def test_who_it_was_most_often(events: datetime, through: Through) -> None:
    look = await through("cloudwatch_logs")
    look.looker.now = events
    observation = await look(group=GROUP, pattern="login", extract=r"^(\S+)")
    found = values(observation)
    assert (found["count"], found["top_count"], found["top_value"], found["distinct"]) == (4, 3, "10.0.0.1", 2)
    assert evidence(observation, "Most frequent") == "3 10.0.0.1\n1 10.0.0.2"


async def test_counting_stops_at_max_events(moto: MotoServer, through: Through) -> None:
    def page(asked: dict[str, Any]) -> dict[str, Any]:
        number = int(asked.get("nextToken", 0))
        event = {"message": "x", "timestamp": int(NOW.timestamp() * 1000)}
        return {"events": [event] * 100, "nextToken": str(number + 1)}  # for ever

    moto.answers["logs", "FilterLogEvents"] = page
    look = await through("cloudwatch_logs")
    look.looker.now = NOW
    observation = await look(group=GROUP, max_events=250)
    assert (values(observation)["count"], values(observation)["complete"]) == (250, 0)
    assert observation.note == "stopped at 250 events: there are more"
    assert moto.count("logs", "FilterLogEvents") == 3


async def test_no_such_log_group(moto: MotoServer, through: Through) -> None:
    with pytest.raises(ProbeError, match="log group does not exist") as caught:
        await (await through("cloudwatch_logs"))(group="/none")
    assert caught.value.kind == "missing"


# -- Insights ------------------------------------------------------------------------------------------------------


def serve_query(moto: MotoServer, *statuses: str) -> None:
    rows = [
        [{"field": "ip", "value": ip}, {"field": "n", "value": n}, {"field": "@ptr", "value": "p"}]
        for ip, n in (("10.0.0.1", "7"), ("10.0.0.2", "2"))
    ]
    waiting = list(statuses)

    def results(_: dict[str, Any]) -> dict[str, Any]:
        status = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        found = rows if status == "Complete" else []
        return {"status": status, "results": found, "statistics": {"recordsMatched": 9.0, "bytesScanned": 5000.0}}

    moto.answers["logs", "StartQuery"] = lambda _: {"queryId": "q-1"}
    moto.answers["logs", "GetQueryResults"] = results
    moto.answers["logs", "StopQuery"] = lambda _: {"success": True}


@pytest.mark.probe("cloudwatch_logs")
async def test_a_query(moto: MotoServer, through: Through) -> None:
    serve_query(moto, "Scheduled", "Running", "Complete")
    look = await through("cloudwatch_logs")
    observation = await look(group=[GROUP, "/b"], query="stats count(*) as n by ip", value="n", series="ip", over="2h")
    assert values(observation) == {
        "count": 9, "rate": 9 / 7200, "rows": 2, "scanned": 5000, "value{10.0.0.1}": 7, "value{10.0.0.2}": 2,
        "top_count": 7, "top_value": "10.0.0.1",
    }  # fmt: skip
    asked = next(a.parameters for a in moto.asked if a.operation == "StartQuery")
    assert asked["logGroupNames"] == [GROUP, "/b"]
    assert asked["endTime"] - asked["startTime"] == 7200


@pytest.mark.probe_failure("cloudwatch_logs")
async def test_a_field_that_is_not_there(moto: MotoServer, through: Through) -> None:
    serve_query(moto, "Complete")
    with pytest.raises(ProbeError, match="the query's rows have no 'count': they have ip, n"):
        await (await through("cloudwatch_logs"))(group=GROUP, query="stats", value="count", series="ip")


async def test_a_query_that_fails(moto: MotoServer, through: Through) -> None:
    serve_query(moto, "Running", "Failed")
    with pytest.raises(ProbeError, match="the query ended as failed"):
        await (await through("cloudwatch_logs"))(group=GROUP, query="stats")


async def test_a_query_nobody_waits_for_is_stopped(moto: MotoServer, through: Through) -> None:
    serve_query(moto, "Running")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(asked: dict[str, Any]) -> dict[str, Any]:
        assert asked == {"queryId": "q-1"}
        loop.call_soon_threadsafe(stopped.set)
        return {"success": True}

    moto.answers["logs", "StopQuery"] = stop
    look = await through("cloudwatch_logs")
    look.looker.timeout = timedelta(seconds=1)
    with pytest.raises(ProbeError, match="no answer within 1s") as caught:
        await look(group=GROUP, query="stats")
    assert caught.value.kind == "timeout"
    await asyncio.wait_for(stopped.wait(), 5)


# -- log groups ----------------------------------------------------------------------------------------------------


@pytest.mark.probe("cloudwatch_log_groups")
async def test_log_groups(moto: MotoServer, through: Through) -> None:
    logs = moto.client("logs")
    for name, days in (("/app/a", 30), ("/app/b", 7), ("/app/c", None), ("/other", None)):
        logs.create_log_group(logGroupName=name)
        if days:
            logs.put_retention_policy(logGroupName=name, retentionInDays=days)
    observation = await (await through("cloudwatch_log_groups"))(names="/app/*")
    assert values(observation) == {
        "count": 3, "kept_for_ever": 1, "shortest_retention": 7, "longest_retention": 30, "stored_bytes": 0,
        "largest_bytes": 0,
    }  # fmt: skip
    assert "/app/c: 0B, kept for ever" in evidence(observation, "Largest log groups")


async def test_no_log_group(moto: MotoServer, through: Through) -> None:
    observation = await (await through("cloudwatch_log_groups"))(names="/none")
    assert (values(observation)["count"], observation.note) == (0, "no log group of that name")


@pytest.mark.probe_failure("cloudwatch_log_groups")
async def test_log_groups_that_may_not_be_listed(moto: MotoServer, through: Through) -> None:
    def deny(_: dict[str, Any]) -> dict[str, Any]:
        raise Refusal("AccessDeniedException", "", 400)

    moto.answers["logs", "DescribeLogGroups"] = deny
    with pytest.raises(ProbeError, match="forbidden: needs logs:DescribeLogGroups"):
        await (await through("cloudwatch_log_groups"))()


# -- alarms --------------------------------------------------------------------------------------------------------


@pytest.fixture
def alarms(moto: MotoServer) -> None:
    cloudwatch = moto.client("cloudwatch")
    for name, state in (("p-cpu", "ALARM"), ("p-disk", "OK"), ("p-net", "INSUFFICIENT_DATA"), ("test-x", "ALARM")):
        cloudwatch.put_metric_alarm(
            AlarmName=name, Namespace="App", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1,
            Threshold=1, ComparisonOperator="GreaterThanThreshold", ActionsEnabled=name != "p-disk",
        )  # fmt: skip
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason=f"{name} went {state}")


@pytest.mark.probe("cloudwatch_alarms")
async def test_alarms_by_state(alarms: None, through: Through) -> None:
    look = await through("cloudwatch_alarms")
    observation = await look(names=["p-*", "p-gone"])
    found = values(observation)
    assert {k: found[k] for k in ("count", "alarm", "ok", "insufficient_data", "actions_disabled")} == {
        "count": 3, "alarm": 1, "ok": 1, "insufficient_data": 1, "actions_disabled": 1
    }  # fmt: skip
    assert found["missing_count"] == 1
    assert observation.note == "p-cpu, no alarm p-gone"
    assert "p-cpu went ALARM" in evidence(observation, "In alarm")
    assert values(await look(ignore="p-*"))["count"] == 1
    assert "missing_count" not in values(await look(names="p-*"))


async def test_alarms_of_both_kinds_in_pages(moto: MotoServer, through: Through) -> None:
    def alarm(name: str, minutes: int) -> dict[str, Any]:
        then = NOW - timedelta(minutes=minutes)
        return {"AlarmName": name, "StateValue": "ALARM", "StateTransitionedTimestamp": then, "ActionsEnabled": True}

    pages = {
        None: {"MetricAlarms": [alarm("a", 5)], "NextToken": "2"},
        "2": {"MetricAlarms": [alarm("b", 90)], "CompositeAlarms": [alarm("c", 30)]},
    }
    moto.answers["cloudwatch", "DescribeAlarms"] = lambda asked: pages[asked.get("NextToken")]
    look = await through("cloudwatch_alarms")
    look.looker.now = NOW
    observation = await look()
    assert (values(observation)["alarm"], values(observation)["longest_alarm"]) == (3, 5400)
    assert observation.note == "b, c, a"
    assert values(await look(composite=False))["alarm"] == 2


@pytest.mark.probe_failure("cloudwatch_alarms")
async def test_alarms_that_may_not_be_read(moto: MotoServer, through: Through) -> None:
    def deny(_: dict[str, Any]) -> dict[str, Any]:
        raise Refusal("AccessDenied", "", 403)

    moto.answers["cloudwatch", "DescribeAlarms"] = deny
    with pytest.raises(ProbeError, match="forbidden: needs cloudwatch:DescribeAlarms"):
        await (await through("cloudwatch_alarms"))()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"group": "a", "query": "q", "pattern": "p"}, "a query says all by itself"),
        ({"group": "a", "value": "n"}, "write a query"),
        ({"group": ["a", "b"]}, "several log groups can be looked at with a query only"),
        ({"group": "a", "extract": "("}, "not a regular expression"),
    ],
)
def test_parameters_that_make_no_sense(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PROBES["cloudwatch_logs"].Params(**params)
    assert message in str(caught.value)
