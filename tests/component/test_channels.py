"""What holds for every channel type: all events go through, secrets do not, one that misbehaves harms no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthd.model.catalogue import ChannelSpec, Playbook, Step
from healthd.model.incidents import Message, Notice
from healthd.model.outcomes import Evidence, Level, Verdict
from healthd.model.redact import Redactor
from healthd.notify import CHANNELS, build_channel, compose_notice, compose_test
from healthd.notify.context import Context
from healthd.notify.dressing import Dressed
from healthd.notify.options import EVENTS, Rate, parse_rate
from healthd.notify.pace import Pace
from tests.factories import make_check
from tests.servers.mail import PASSWORD, USER, MailServer
from tests.servers.receiver import Receiver
from tests.servers.slack import TOKEN, SlackServer
from tests.telling import AT, make_body, make_incident

SECRET = "hunter2hunter2"  # a setting's value
BEARER = "Bearer abcdefgh12345678"  # what looks like one
Given = Callable[[Receiver, SlackServer, MailServer], dict[str, Any]]
OPTIONS: dict[str, Given] = {
    "alertmanager": lambda http, slack, mail: {"url": http.url},
    "apprise": lambda http, slack, mail: {"urls": [f"json://{http.url.removeprefix('http://')}/x"]},
    "email": lambda http, slack, mail: {
        "host": "127.0.0.1", "port": mail.port, "username": USER, "password": PASSWORD, "ca_file": str(mail.ca_file),
        "from": "a@example.com", "to": "b@example.com",
    },
    "pagerduty": lambda http, slack, mail: {"routing_key": "0" * 32, "url": http.url + "/v2/enqueue"},
    "slack": lambda http, slack, mail: {"webhook_url": http.url},
    "slack_bot": lambda http, slack, mail: {"url": slack.url, "token": TOKEN, "channel": "ops"},
    "teams": lambda http, slack, mail: {"webhook_url": http.url},
    "webhook": lambda http, slack, mail: {"url": http.url, "unsigned": True},
}  # fmt: skip


def body_with_secrets(event: str) -> dict[str, Any]:
    """A secret in every text that comes from outside."""
    text = f"see {SECRET} and {BEARER} at postgres://app:{SECRET}@db/x"
    step = Step(text, text, text)
    found = {"title": text, "level": "critical", "text": text, "command": text}
    result = {**found, "evidence": text, "error": text}
    diagnosis = {"findings": [found], "results": [result], "steps": 1, "answered": 1, "seconds": 1}
    redact = Redactor([SECRET])

    def clean(value: Any) -> Any:
        """As the daemon cleans a diagnosis before it keeps it."""
        if isinstance(value, dict):
            return {key: clean(item) for key, item in value.items()}
        return (
            [clean(item) for item in value]
            if isinstance(value, list)
            else redact(value)
            if isinstance(value, str)
            else value
        )

    return make_body(
        event=event,
        incident=make_incident(
            title=text, reason=text, acknowledged_by=text, resolved_at=AT if event == "resolved" else None,
            details={"diagnosis": clean(diagnosis)},
        ),
        check=make_check(title=text, description=text, labels={"note": text}),
        verdicts=[Verdict("latency", text, text, text, None, Level.CRITICAL, text)],
        evidence=[Evidence(text, text)],
        playbook=Playbook("p", text, likely_cause=text, diagnostics=(step,), remediation=(step,)),
        update={"kind": "diagnosed", "text": text} if event == "updated" else None,
        redact=redact,
    )  # fmt: skip


def notice_with_secrets() -> dict[str, Any]:
    text = f"see {SECRET} and {BEARER}"
    notice = Notice("report", "R-1", "shop", text, f"# {text}\n| a |\n|--|\n| {text} |", AT, fields=((text, text),))
    return compose_notice(notice, None, "https://healthd.example", Redactor([SECRET]))


@pytest.fixture
def made(receiver: Receiver, slack_server: SlackServer, mail_server: MailServer) -> Callable[..., Dressed]:
    """A channel of a type, whose receiver is real."""

    def make(type_: str, **more: Any) -> Dressed:
        options = OPTIONS[type_](receiver, slack_server, mail_server) | {"rate": "1000/s"} | more
        return build_channel(ChannelSpec("c", type_, options), context=Context(redact=Redactor([SECRET])))

    return make


def sent(receiver: Receiver, slack_server: SlackServer, mail_server: MailServer) -> str:
    """All that any of them received, as text."""
    parts = [request.body.decode() for request in receiver.requests]
    parts += [str(call.arguments) for call in slack_server.calls]
    for mail in mail_server.mails:
        parts += [str(mail.items()), *(part.get_content() for part in mail.iter_parts())]  # type: ignore[attr-defined]
    return "\n".join(parts)


def test_every_type_is_tried_here() -> None:
    assert OPTIONS.keys() == CHANNELS.keys()


@pytest.mark.parametrize("type_", CHANNELS)
async def test_every_event_goes_through_and_no_secret_does(
    type_: str, made: Callable[..., Dressed], receiver: Receiver, slack_server: SlackServer, mail_server: MailServer
) -> None:
    channel = made(type_)
    for number, event in enumerate([*EVENTS, "test"]):
        if event == "notice" and not CHANNELS[type_].notices:
            continue
        body = notice_with_secrets() if event == "notice" else body_with_secrets(event)
        message = Message(f"INC-1-{number}-c", "c", "INC-1", event, AT, body)
        if event == "test":
            message = compose_test("c", AT)
        await channel.send(message)
    await channel.close()
    seen = sent(receiver, slack_server, mail_server)
    assert "redacted" in seen
    assert SECRET not in seen
    assert "abcdefgh12345678" not in seen


@pytest.mark.parametrize("type_", CHANNELS)
async def test_every_type_shows_what_a_template_made(
    type_: str, made: Callable[..., Dressed], receiver: Receiver, slack_server: SlackServer, mail_server: MailServer
) -> None:
    templates = {"title": "Now: {{ incident.title }}", "text": "**Because** {{ incident.reason }}"}
    channel = made(type_, templates=templates)
    await channel.send(Message("INC-1-1-c", "c", "INC-1", "firing", AT, make_body()))
    await channel.close()
    seen = sent(receiver, slack_server, mail_server)
    assert "Now: Shop front is slow" in seen
    assert "Because" in seen


@pytest.mark.parametrize("type_", CHANNELS)
async def test_brief_details_name_no_value_and_no_command(
    type_: str, made: Callable[..., Dressed], receiver: Receiver, slack_server: SlackServer, mail_server: MailServer
) -> None:
    channel = made(type_, details="brief")
    for number, event in enumerate(("firing", "updated", "resolved")):
        await channel.send(Message(f"INC-1-{number}-c", "c", "INC-1", event, AT, make_body(event=event)))
    await channel.close()
    seen = sent(receiver, slack_server, mail_server)
    assert "Shop front is slow" in seen
    for detail in ("1.2s", "redis-cli", "HTTP/1.1 200"):
        assert detail not in seen


@pytest.mark.parametrize("type_", CHANNELS)
def test_options_and_errors_hide_secrets(type_: str, made: Callable[..., Dressed]) -> None:
    with pytest.raises(ValueError, match="rate") as error:
        made(type_, rate=SECRET)
    assert SECRET not in str(error.value)


@given(st.integers(1, 5), st.floats(0.5, 10), st.lists(st.floats(0, 3), max_size=40))
@settings(deadline=None)
def test_a_pace_never_exceeds_its_rate(count: int, per: float, steps: list[float]) -> None:
    from datetime import timedelta

    rate = Rate(count, timedelta(seconds=per))
    pace, clock, sends = Pace(rate), 0.0, list[float]()
    for step in steps:
        clock += step
        clock += pace.wait(clock) + 1e-6
        assert pace.room(clock) > 0
        pace.count(clock)
        sends.append(clock)
    seconds = rate.per.total_seconds()
    assert all(sum(at <= other < at + seconds - 1e-6 for other in sends) <= count for at in sends)


def test_rates_as_people_write_them() -> None:
    assert [str(parse_rate(text)) for text in ("1/s", "30 / min", "100/h", "5/10s")] == [
        "1/1s", "30/60s", "100/3600s", "5/10s",
    ]  # fmt: skip
    assert replace(parse_rate("1/s"), count=2).count == 2
