"""PagerDuty's Events API v2, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from healthd.model.catalogue import ChannelSpec, Playbook, Step
from healthd.model.incidents import ChannelError, Message
from healthd.model.outcomes import Evidence, Level, Verdict
from healthd.notify import Channel, build_channel, builtin_channels, compose_test
from tests.servers.receiver import Answer, Receiver
from tests.telling import AT, make_incident, make_message

KEY = "0123456789abcdef0123456789abcdef"
TAKEN: Answer = (202, {}, '{"status":"success","message":"Event processed","dedup_key":"x"}')
INVALID = (
    '{"status":"invalid event","message":"Event object is invalid","errors":["Length of \'routing_key\' is wrong"]}'
)


@pytest.fixture
async def channel(receiver: Receiver) -> AsyncIterator[Channel]:
    receiver.default = TAKEN
    options = {"routing_key": KEY, "url": receiver.url + "/v2/enqueue", "timeout": "2s"}
    made = build_channel(ChannelSpec("pager", "pagerduty", options))
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("event", "action"),
    [
        *((event, "trigger") for event in ("firing", "worsened", "improved", "updated", "escalated", "reopened")),
        ("acknowledged", "acknowledge"),
        ("resolved", "resolve"),
    ],
)
async def test_one_event_per_message(channel: Channel, receiver: Receiver, event: str, action: str) -> None:
    await channel.send(make_message(event=event))
    (request,) = receiver.requests
    assert request.path == "/v2/enqueue"
    assert request.json["event_action"] == action
    assert request.json["routing_key"] == KEY
    assert request.json["dedup_key"] == "healthd/shop/web/INC-20260102-150405-abc123"


async def test_what_pagerduty_does_not_like_costs_no_page(channel: Channel, receiver: Receiver) -> None:
    receiver.script([(400, {}, '{"status":"invalid event","errors":["links[0].href is invalid"]}')])
    await channel.send(make_message())
    whole, bare = (request.json for request in receiver.requests)
    assert "links" in whole
    assert bare == {
        "routing_key": KEY, "event_action": "trigger", "dedup_key": whole["dedup_key"],
        "payload": {name: whole["payload"][name] for name in ("summary", "source", "severity")},
    }  # fmt: skip


async def test_a_test_triggers_at_info_and_resolves(channel: Channel, receiver: Receiver) -> None:
    await channel.send(compose_test("pager", AT, "https://healthd.example"))
    first, second = (request.json for request in receiver.requests)
    assert (first["event_action"], second["event_action"]) == ("trigger", "resolve")
    assert first["payload"]["severity"] == "info"
    assert first["payload"]["summary"].startswith("Test by healthd, nothing is wrong")
    assert first["dedup_key"] == second["dedup_key"]


async def test_an_invalid_event_is_permanent_and_explained(channel: Channel, receiver: Receiver) -> None:
    receiver.script([(400, {}, INVALID)] * 2)
    with pytest.raises(ChannelError) as error:
        await channel.send(make_message())
    assert error.value.permanent
    assert "Event object is invalid" in error.value.reason


async def test_the_routing_key_is_never_in_an_error(channel: Channel, receiver: Receiver) -> None:
    receiver.script([(400, {}, f"no integration {KEY}")] * 2)
    with pytest.raises(ChannelError) as error:
        await channel.send(make_message())
    assert KEY not in str(error.value)


async def test_too_many_requests_is_transient(channel: Channel, receiver: Receiver) -> None:
    receiver.script([(429, {"Retry-After": "3"})])
    with pytest.raises(ChannelError) as error:
        await channel.send(make_message())
    assert (error.value.permanent, error.value.retry_after) == (False, 3.0)


async def test_the_largest_body_fits_in_an_event(channel: Channel, receiver: Receiver) -> None:
    big = "\U0001f600" * 100_000
    verdicts = [Verdict("latency", big, f"{i}{big}", big, None, Level.CRITICAL, big) for i in range(100)]
    evidence = [Evidence(f"{i}", big) for i in range(100)]
    playbook = Playbook(big, big, likely_cause=big, remediation=(Step(big, big, big),) * 100)
    await channel.send(make_message(verdicts=verdicts, evidence=evidence, playbook=playbook))
    event = receiver.requests[0].json
    assert len(receiver.requests[0].body) <= 512_000
    assert event["payload"]["custom_details"]["left out"]
    assert event["payload"]["custom_details"]["reason"] == "latency 1.2s >= 1s"


def test_the_settings_make_the_channels_they_configure() -> None:
    nothing = builtin_channels(
        slack_webhook_url=None,
        pagerduty_routing_key=None,
        pagerduty_url="https://events.pagerduty.com/v2/enqueue",
        webhook_url=None,
        webhook_secret=None,
        max_age=timedelta(hours=1),
    )
    everything = builtin_channels(
        slack_webhook_url=SecretStr("https://hooks.slack.com/services/a/b/c"),
        pagerduty_routing_key=SecretStr(KEY),
        pagerduty_url="https://events.eu.pagerduty.com/v2/enqueue",
        webhook_url=SecretStr("https://x.example/hook"),
        webhook_secret=SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        max_age=timedelta(hours=1),
    )
    assert nothing == {}
    assert {name: (spec.name, spec.type, spec.max_age) for name, spec in everything.items()} == {
        name: (name, name, timedelta(hours=1)) for name in ("slack", "pagerduty", "webhook")
    }


def test_wrong_settings_are_named_all_at_once_without_their_values() -> None:
    with pytest.raises(ValueError, match="HEALTHD_") as error:
        builtin_channels(
            slack_webhook_url=SecretStr("hooks.slack.com/services/verysecret"),
            pagerduty_routing_key=SecretStr(KEY),
            pagerduty_url="events",
            webhook_url=SecretStr("https://x.example/hook"),
            webhook_secret=None,
            max_age=timedelta(hours=1),
        )
    slack, pagerduty, webhook = str(error.value).splitlines()
    assert slack == "HEALTHD_SLACK_WEBHOOK_URL: not a web address: expected https://host/path"
    assert pagerduty == "HEALTHD_PAGERDUTY_URL: not a web address: expected https://host/path"
    assert webhook.startswith("HEALTHD_WEBHOOK_SECRET: no secret")


def diagnosed(**more: Any) -> Message:
    """A diagnosis that found a rollout, and something else."""
    findings = [
        {"title": "a", "level": "warning", "text": "backend deployed 12 minutes ago: roll back?",
         "command": "kubectl rollout undo deployment/backend -n shop"},
        {"title": "b", "level": "critical", "text": "Redis is full", "command": "redis-cli info memory"},
    ]  # fmt: skip
    incident = make_incident(details={"diagnosis": {"findings": findings, "results": []}})
    update = {"kind": "diagnosed", "text": "diagnosed: 2 of 2"}
    return make_message(event="updated", incident=incident, update=update, **more)


async def test_a_rollout_that_was_found_is_a_change_event(channel: Channel, receiver: Receiver) -> None:
    await channel.send(diagnosed())
    change, alert = receiver.requests
    assert change.path == "/v2/change/enqueue"
    assert change.json["payload"] == {
        "summary": "backend deployed 12 minutes ago: roll back?", "source": "shop", "timestamp": "2026-01-02T15:04:05Z",
        "custom_details": {
            "incident": "INC-20260102-150405-abc123", "workload": "deployment/backend",
            "roll back with": "kubectl rollout undo deployment/backend -n shop",
        },
    }  # fmt: skip
    assert change.json["routing_key"] == KEY
    assert alert.json["event_action"] == "trigger"
    assert alert.json["payload"]["custom_details"]["likely cause"] == "backend deployed 12 minutes ago: roll back?"


async def test_a_change_that_is_refused_does_not_hold_up_the_alert(channel: Channel, receiver: Receiver) -> None:
    receiver.script([400], path="/v2/change/enqueue")
    await channel.send(diagnosed())
    assert receiver.requests[1].json["event_action"] == "trigger"


async def test_links_and_images_of_the_options(receiver: Receiver) -> None:
    receiver.default = TAKEN
    options = {
        "routing_key": KEY, "url": receiver.url + "/alerts",
        "links": {"Dashboard": "https://grafana.example/d/{system}?check={check}"},
        "images": {"Latency": "https://grafana.example/render/{check}.png"},
    }  # fmt: skip
    channel = build_channel(ChannelSpec("pager", "pagerduty", options))
    await channel.send(diagnosed())
    await channel.close()
    (request,) = receiver.requests  # changes go to PagerDuty's own address alone
    assert {"href": "https://grafana.example/d/shop?check=web", "text": "Dashboard"} in request.json["links"]
    href = "https://healthd.example/incidents/INC-20260102-150405-abc123"
    assert request.json["images"] == [
        {"src": "https://grafana.example/render/web.png", "alt": "Latency", "href": href}
    ]  # fmt: skip
    with pytest.raises(ValueError, match="begins with https://"):
        build_channel(ChannelSpec("p", "pagerduty", {"routing_key": KEY, "images": {"x": "http://x"}}))
