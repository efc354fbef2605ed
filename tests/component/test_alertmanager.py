"""A real Alertmanager takes healthd's alerts, keeps them while they are open, and lets them go."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from healthd.model.catalogue import ChannelSpec
from healthd.model.incidents import ChannelError, Message
from healthd.model.outcomes import Level
from healthd.notify import CHANNELS, build_channel, compose_test
from healthd.notify.context import Context, Forgetful
from healthd.notify.dressing import Dressed
from tests.factories import make_check
from tests.servers.process import free_port
from tests.servers.prometheus import AlertmanagerServer
from tests.servers.receiver import Receiver
from tests.telling import make_incident, make_message


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertmanagerServer]:
    """A server of these tests' own: what they post stays for a while, and others count alerts."""
    server = AlertmanagerServer(tmp_path_factory.mktemp("told")).start()
    yield server
    server.stop()


def channel_to(url: str | list[str], memory: Forgetful | None = None, **options: Any) -> Dressed:
    given = {"url": url, "timeout": "3s", "resend": "1s", **options}
    return build_channel(ChannelSpec("am", "alertmanager", given), context=Context(memory=memory or Forgetful()))


def message(name: str, event: str = "firing", **incident: Any) -> Message:
    opened = datetime.now(UTC) - timedelta(minutes=5)
    fields = {"id": f"INC-{name}", "title": f"{name} is slow", "opened_at": opened, **incident}
    check = make_check(name=name, labels={"team": "data", "a-b": "c"}, runbook_url="https://runbook.example/x")
    return make_message(
        f"INC-{name}-{event}", group=f"INC-{name}", event=event, incident=make_incident(**fields), check=check
    )


def alerts(server: AlertmanagerServer, name: str) -> list[dict[str, Any]]:
    query = f'/api/v2/alerts?filter=alertname%3D"{name}"'
    with urllib.request.urlopen(server.url + query) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


async def test_an_alert_as_prometheus_users_expect_it(alertmanager: AlertmanagerServer) -> None:
    channel = channel_to(alertmanager.url, labels={"cluster": "prod"})
    await channel.send(message("expected"))
    (alert,) = alerts(alertmanager, "expected")
    assert alert["labels"] == {
        "alertname": "expected", "system": "shop", "check": "shop/expected", "severity": "critical", "priority": "SEV2",
        "source": "healthd", "team": "data", "a_b": "c", "cluster": "prod",
    }  # fmt: skip
    assert alert["annotations"]["summary"] == "The Shop: expected is slow"
    assert alert["annotations"]["description"] == "latency 1.2s >= 1s"
    assert alert["annotations"]["runbook_url"] == "https://runbook.example/x"
    assert alert["generatorURL"] == "https://healthd.example/incidents/INC-expected"
    assert alert["status"]["state"] == "active"
    await channel.send(message("expected", "resolved", resolved_at=datetime.now(UTC)))
    assert alerts(alertmanager, "expected") == []
    await channel.close()


async def test_a_level_that_changes_ends_the_alert_under_the_old_labels(alertmanager: AlertmanagerServer) -> None:
    channel = channel_to(alertmanager.url)
    await channel.send(message("worsening", level=Level.WARNING, severity="SEV3"))
    await channel.send(message("worsening", "worsened", level=Level.CRITICAL, severity="SEV1"))
    (alert,) = alerts(alertmanager, "worsening")
    assert (alert["labels"]["severity"], alert["labels"]["priority"]) == ("critical", "SEV1")
    await channel.send(message("worsening", "resolved", level=Level.OK, resolved_at=datetime.now(UTC)))
    assert alerts(alertmanager, "worsening") == []
    await channel.close()


async def test_open_alerts_are_repeated_also_by_the_next_process(receiver: Receiver) -> None:
    memory = Forgetful()
    first = channel_to(receiver.url, memory)
    await first.send(message("lasting"))
    await first.send(message("short"))
    await first.send(message("short", "resolved", resolved_at=datetime.now(UTC)))
    await first.close()
    receiver.clear()
    second = channel_to(receiver.url, memory, watchdog=True)
    second.begin()
    requests = await receiver.expect(2)
    await second.close()
    for request in requests[:2]:
        assert request.path == "/api/v2/alerts"
        assert [alert["labels"]["alertname"] for alert in request.json] == ["lasting", "Watchdog"]
        ends = [datetime.fromisoformat(alert["endsAt"]) for alert in request.json]
        assert all(at > datetime.now(UTC) + timedelta(minutes=1) for at in ends)
    assert len({alert["startsAt"] for r in requests[:2] for alert in r.json}) == 2


async def test_a_watchdog_always_fires(alertmanager: AlertmanagerServer) -> None:
    channel = channel_to(alertmanager.url, watchdog=True)
    channel.begin()
    async with asyncio.timeout(10):
        while not (found := alerts(alertmanager, "Watchdog")):
            await asyncio.sleep(0.05)
    assert found[0]["labels"]["severity"] == "none"
    await channel.close()


async def test_of_a_cluster_one_has_to_take_it(alertmanager: AlertmanagerServer) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    channel = channel_to([away, alertmanager.url])
    await channel.send(message("clustered"))
    assert len(alerts(alertmanager, "clustered")) == 1
    await channel.close()
    alone = channel_to([away])
    with pytest.raises(ChannelError, match="cannot connect"):
        await alone.send(message("clustered"))
    await alone.close()


async def test_a_test_ends_by_itself(alertmanager: AlertmanagerServer) -> None:
    channel = channel_to(alertmanager.url)
    await channel.send(compose_test("am", datetime.now(UTC)))
    (alert,) = alerts(alertmanager, "HealthdTest")
    assert datetime.fromisoformat(alert["endsAt"]) < datetime.now(UTC) + timedelta(minutes=6)
    await channel.close()


async def test_what_it_refuses_is_permanent(alertmanager: AlertmanagerServer) -> None:
    channel = channel_to(alertmanager.url)
    broken = message("broken")
    incident = {**broken.body["incident"], "opened_at": "yesterday"}
    with pytest.raises(ChannelError) as error:
        await channel.send(replace(broken, body={**broken.body, "incident": incident}))
    assert error.value.permanent
    assert "400 Bad Request" in error.value.reason
    await channel.close()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"url": []},
        {"url": "alertmanager:9093"},
        {"url": "http://x", "labels": {"a-b": "c"}},
        {"url": "http://x", "resend": "0s"},
    ],
)
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CHANNELS["alertmanager"].Options.model_validate(options)
