"""What PagerDuty and Slack send: signed or refused, acted upon once, in the name of who did it."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthd.notify.slack_answers import SLACKS, is_slacks
from healthd.web.inbound import pagerduty, slack
from healthd.web.inbound.signatures import is_pagerdutys, slacks_problem
from healthd.web.problem import RequestError
from tests.e2e.daemon import Daemon
from tests.servers.receiver import Receiver
from tests.servers.slack import TOKEN, SlackServer

OLD_SECRET, SECRET, SIGNING = "pd-old-verysecret", "pd-new-verysecret", "slack-verysecret"
CATALOGUE = """\
system: {name: shop, title: Shop}
severities: {SEV1: {pagerduty: critical}}
channels: {ops: {type: slack_bot, token: %s, channel: C0OPS, url: "%s"}}
checks:
  - {name: web, every: 1s, timeout: 900ms, probe: {type: http, url: "%s/"}, severity: SEV1,
     thresholds: {measure: status, critical: ">= 500"}}
"""


@pytest.fixture(scope="module")
def workspace() -> Iterator[SlackServer]:
    """The Slack that the daemon's app is in."""
    with SlackServer() as server:
        yield server


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, workspace: SlackServer) -> Iterator[Daemon]:
    """A daemon with an incident that stays open."""
    with Receiver(default=500) as server:
        folder: Path = tmp_path_factory.mktemp("inbound")
        daemon = Daemon(
            folder, CATALOGUE % (TOKEN, workspace.url, server.url), pagerduty_webhook_secrets=f"{OLD_SECRET},{SECRET}",
            slack_signing_secret=SIGNING, read_open="false",
        ).start()  # fmt: skip
        try:
            daemon.until(lambda: incidents(daemon), what="an incident")
            yield daemon
        finally:
            daemon.stop()


def incidents(daemon: Daemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.http.get("/api/v1/incidents?open=true").json()["incidents"]
    return found


def incident(daemon: Daemon) -> dict[str, Any]:
    found: dict[str, Any] = daemon.http.get(f"/api/v1/incidents/{incidents(daemon)[0]['id']}").json()
    return found


def event(daemon: Daemon, kind: str, event_id: str, **more: Any) -> dict[str, Any]:
    key = f"healthd/shop/web/{incidents(daemon)[0]['id']}"
    data = more.pop("data", {"id": "PINC1", "type": "incident", "incident_key": key, "assignees": []})
    return {
        "event": {
            "id": event_id, "event_type": f"incident.{kind}", "resource_type": "incident",
            "occurred_at": datetime.now(UTC).isoformat(),
            "agent": {"id": "PUSER", "type": "user_reference", "summary": "Ada Lovelace"}, "client": None,
            "data": data, **more,
        }
    }  # fmt: skip


def send(daemon: Daemon, body: Any, secret: str = SECRET, signature: str | None = None) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    signed = f"v1={hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()}"
    headers = {"X-PagerDuty-Signature": signed if signature is None else signature}
    return httpx.post(f"{daemon.url}/hooks/pagerduty", content=content, headers=headers, timeout=10)


def press(
    daemon: Daemon, action: str, *, at: float | None = None, secret: str = SIGNING, **more: Any
) -> httpx.Response:
    payload = {
        "type": "block_actions", "user": {"id": "U1", "username": "grace", "name": "grace"},
        "actions": [{"type": "button", "action_id": action, "value": incidents(daemon)[0]["id"]}], **more,
    }  # fmt: skip
    body = urlencode({"payload": json.dumps(payload)})
    stamp = str(int(time.time() if at is None else at))
    signature = "v0=" + hmac.new(secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
    headers = {
        "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature,
        "Content-Type": "application/x-www-form-urlencoded",
    }  # fmt: skip
    return httpx.post(f"{daemon.url}/hooks/slack", content=body, headers=headers, timeout=10)


def texts(daemon: Daemon) -> list[tuple[str, str]]:
    return [(entry["actor"], entry["text"]) for entry in incident(daemon)["timeline"]]


def test_what_people_do_in_pagerduty_is_done_here_in_their_name(shop: Daemon) -> None:
    taken = send(shop, event(shop, "acknowledged", "E1"))
    assert (taken.status_code, taken.json()) == (200, {"result": "done"})
    assert incident(shop)["acknowledged_by"] == "Ada Lovelace (PagerDuty)"
    note = {"id": "PNOTE", "type": "incident_note", "content": "looking\nat it", "incident": {"id": "PINC1"}}
    assert send(shop, event(shop, "annotated", "E2", data=note)).json() == {"result": "done"}
    who = {**event(shop, "escalated", "x")["event"]["data"], "assignees": [{"summary": "Grace Hopper"}]}
    assert send(shop, event(shop, "escalated", "E3", data=who)).json() == {"result": "done"}
    assert send(shop, event(shop, "resolved", "E4")).json() == {"result": "done"}
    assert send(shop, event(shop, "unacknowledged", "E5")).json() == {"result": "done"}
    assert incident(shop)["acknowledged_by"] == ""
    told = texts(shop)
    ada = "Ada Lovelace (PagerDuty)"
    assert (ada, "note in PagerDuty: looking at it") in told
    assert (ada, "escalated in PagerDuty: to Grace Hopper") in told
    assert (ada, "resolved in PagerDuty; the check still fails") in told
    assert any(actor == ada and "taken back" in text for actor, text in told)
    actors = {entry["actor"] for entry in shop.http.get("/api/v1/audit").json()["entries"]}
    assert ada in actors


def test_an_event_is_acted_upon_once(shop: Daemon) -> None:
    body = event(shop, "annotated", "ONCE")
    body["event"]["data"]["content"] = "only once"
    assert [send(shop, body).json()["result"] for _ in range(3)] == ["done", "known", "known"]
    assert sum("only once" in text for _, text in texts(shop)) == 1


def test_a_replay_of_long_ago_is_refused(shop: Daemon) -> None:
    old = event(shop, "acknowledged", "OLD", occurred_at="2026-01-01T00:00:00Z")
    assert send(shop, old).json() == {"result": "too old"}
    assert incident(shop)["acknowledged_by"] == ""


def test_what_pagerduty_repeats_of_healthd_changes_no_name(shop: Daemon) -> None:
    send(shop, event(shop, "acknowledged", "NAME1"))
    robot = {"id": "PSVC", "type": "integration_reference", "summary": "healthd"}
    assert send(shop, event(shop, "acknowledged", "NAME2", agent=robot)).json() == {"result": "known"}
    assert incident(shop)["acknowledged_by"] == "Ada Lovelace (PagerDuty)"
    send(shop, event(shop, "unacknowledged", "NAME3"))


def test_both_secrets_hold_while_they_are_changed(shop: Daemon) -> None:
    ping = {"event": {"id": "PING", "event_type": "pagey.ping", "data": {}, "occurred_at": "2026-01-01T00:00:00Z"}}
    assert send(shop, ping, OLD_SECRET).json() == {"result": "nothing to do"}
    content = json.dumps(ping).encode()
    good = hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()
    assert send(shop, content, signature=f"v1={'0' * 64},v1={good}").status_code == 200


@pytest.mark.parametrize("signature", ["", "v1=", "v1=" + "0" * 64, "v0=abc", "é", "v1=" + "a," * 500])
def test_what_is_not_signed_is_refused(shop: Daemon, signature: str) -> None:
    content = json.dumps(event(shop, "acknowledged", "FORGED")).encode()
    headers = {b"X-PagerDuty-Signature": signature.encode()}
    refused = httpx.post(f"{shop.url}/hooks/pagerduty", content=content, headers=headers)
    assert refused.status_code == 401
    assert "verysecret" not in refused.text
    assert incident(shop)["acknowledged_by"] == ""


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b'{"event": 1}', b"[" * 100_000, b"\xff"])
def test_what_is_signed_and_makes_no_sense(shop: Daemon, body: bytes) -> None:
    refused = send(shop, body)
    assert (refused.status_code, refused.json()["error"]) == (400, "this is no event of PagerDuty's webhooks v3")


def test_an_incident_of_somebody_else(shop: Daemon) -> None:
    data = {"id": "PELSE", "type": "incident", "incident_key": "nagios/42"}
    assert send(shop, event(shop, "acknowledged", "ELSE", data=data)).json() == {"result": "not an incident of healthd"}
    gone = {"id": "PGONE", "incident_key": "healthd/shop/web/INC-20200101-000000-00000000"}
    result = send(shop, event(shop, "acknowledged", "GONE", data=gone)).json()["result"]
    assert result == "no such incident, or it is over"


def test_bodies_are_bounded(shop: Daemon) -> None:
    assert send(shop, b"x" * 2_000_000).status_code == 413


def test_buttons_acknowledge_and_silence(shop: Daemon) -> None:
    assert press(shop, "healthd_acknowledge").status_code == 200
    assert incident(shop)["acknowledged_by"] == "grace (Slack)"
    assert press(shop, "healthd_silence", message={"blocks": ["x" * 100_000]}).status_code == 200
    (silence,) = shop.http.get("/api/v1/silences").json()["silences"]
    matcher = {"name": "check", "op": "=", "value": "shop/web"}
    assert (silence["author"], silence["matchers"]) == ("grace (Slack)", [matcher])
    assert ("grace (Slack)", "silenced for an hour in Slack") in texts(shop)


def test_a_button_of_another_app_does_nothing(shop: Daemon) -> None:
    answer = press(shop, "other_button", user={"id": "U2", "username": "linus"})
    assert (answer.status_code, answer.text) == (200, "")
    assert press(shop, "healthd_acknowledge", user={"id": "U3", "username": "barbara"}).status_code == 200
    written = shop.http.get("/api/v1/audit").text + str(texts(shop))
    assert "barbara (Slack)" in written
    assert "linus" not in written


def test_a_replayed_press_is_not_a_second_one(shop: Daemon) -> None:
    at = time.time() - 30
    first = len(shop.http.get("/api/v1/silences").json()["silences"])
    with ThreadPoolExecutor(4) as pool:  # also while the first one is being done
        answers = [pool.submit(press, shop, "healthd_silence", at=at) for _ in range(4)]
        assert {answer.result().status_code for answer in answers} == {200}
    assert len(shop.http.get("/api/v1/silences").json()["silences"]) == first + 1


def test_who_pressed_is_told_what_came_of_it(shop: Daemon, workspace: SlackServer) -> None:
    send(shop, event(shop, "unacknowledged", "ANSWER"))
    at, origin, count = time.time() - 20, workspace.url.removesuffix("/api"), iter(range(9))

    def told(action: str, name: str, **more: Any) -> str:
        path = f"/actions/T1/{next(count)}/secret"
        pressed = press(shop, action, user={"id": name, "username": name}, response_url=origin + path, **more)
        assert (pressed.status_code, pressed.text) == (200, "")
        shop.until(lambda: workspace.of(path), what="answered")
        (said,) = workspace.of(path)
        assert (said["response_type"], said["replace_original"]) == ("ephemeral", False)
        return str(said["text"])

    assert "acknowledged, it is yours" in told("healthd_acknowledge", "ada", at=at)
    assert "you had acknowledged it already" in told("healthd_acknowledge", "ada")
    assert "it is yours now; ada (Slack) had acknowledged it already" in told("healthd_acknowledge", "linus")
    assert "check=shop/web is silenced until" in told("healthd_silence", "ada")
    gone = [{"action_id": "healthd_acknowledge", "value": "INC-<!here>"}]
    said = told("healthd_acknowledge", "ada", actions=gone)
    assert said == "INC-&lt;!here&gt;: not done: healthd knows no such incident"
    assert "/secret" not in shop.log.read_text()


def test_what_is_sent_again_is_not_answered_again_and_nobody_but_slack_is(shop: Daemon, workspace: SlackServer) -> None:
    origin, at = workspace.url.removesuffix("/api"), time.time() - 10
    with Receiver() as elsewhere:
        press(shop, "healthd_acknowledge", at=at, response_url=f"{elsewhere.url}/actions/T1/1/x")
        shop.until(lambda: shop.events("slack_answer_refused"), what="refused")
        for _ in range(2):
            press(shop, "healthd_acknowledge", at=at, response_url=f"{origin}/actions/T1/1/twice")
        press(shop, "healthd_acknowledge", response_url=f"{origin}/actions/T1/1/last")
        shop.until(lambda: workspace.of("/actions/T1/1/last"), what="answered")
        assert elsewhere.requests == []
    assert len(workspace.of("/actions/T1/1/twice")) == 1


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://hooks.slack.com/actions/T0/1/aBc", True),
        ("https://hooks.slack-gov.com/actions/T0/1/aBc", True),
        ("http://hooks.slack.com/actions/T0/1/aBc", False),
        ("https://hooks.slack.com.evil.example/actions/T0", False),
        ("https://hooks.slack.com@evil.example/actions/T0", False),
        ("https://hooks.slack.com:81/actions/T0", False),
        ("https://hooks.slack.com\\@evil.example/", False),
        ("https://hooks.slack.com/a/../../x", False),
        ("https://hooks.slack.com/a\n", False),
        ("https://hooks.slack.com", False),
        ("https://169.254.169.254/latest/meta-data", False),
        ("file:///etc/passwd", False),
    ],
)
def test_answers_go_to_slack_alone(url: str, taken: bool) -> None:
    assert is_slacks(url, SLACKS) is taken


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"at": time.time() - 3600}, "five minutes"),
        ({"at": time.time() + 3600}, "five minutes"),
        ({"secret": "another"}, "its signature is wrong"),
    ],
)
def test_presses_that_are_refused(shop: Daemon, more: dict[str, Any], words: str) -> None:
    refused = press(shop, "healthd_acknowledge", **more)
    assert refused.status_code == 401
    assert words in refused.json()["error"]


def test_neither_is_served_without_its_secret(shop: Daemon, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, CATALOGUE % (TOKEN, "http://127.0.0.1:1", "http://127.0.0.1:1")).start()
    try:
        for path in ("pagerduty", "slack"):
            refused = httpx.post(f"{daemon.url}/hooks/{path}", content=b"{}")
            assert refused.status_code == 404
            assert "SECRET" in refused.json()["hint"]
            assert httpx.get(f"{daemon.url}/hooks/{path}").status_code == 405
    finally:
        daemon.stop()


def test_what_was_taken_before_a_restart_is_known_after_it(shop: Daemon) -> None:
    body = event(shop, "annotated", "BEFORE")
    assert send(shop, body).json() == {"result": "done"}
    at = time.time()
    assert press(shop, "healthd_silence", at=at).status_code == 200
    silences = shop.http.get("/api/v1/silences").json()["silences"]
    shop.kill()
    shop.start()
    assert send(shop, body).json() == {"result": "known"}
    assert press(shop, "healthd_silence", at=at).status_code == 200
    assert shop.http.get("/api/v1/silences").json()["silences"] == silences


def test_secrets_are_not_in_the_log(shop: Daemon) -> None:
    assert "verysecret" not in shop.log.read_text()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["event", "data", "id", "event_type", "incident", "incident_key", "agent", "occurred_at",
                         "summary", "assignees", "content", "payload", "type", "actions", "user", "name", "value"]),
        inner, max_size=6),
    max_leaves=20,
)  # fmt: skip


@given(JSON, st.sampled_from(["incident.acknowledged", "incident.annotated", "incident.escalated", "x"]))
@settings(max_examples=300, deadline=None)
def test_any_event_is_understood_or_refused(data: Any, kind: str) -> None:
    whole = {"id": "E", "event_type": kind, "occurred_at": "2026-01-01T00:00:00Z", "data": data, "agent": data}
    for value in (data, {"event": data}, {"event": whole}):
        with suppress(RequestError):
            event = pagerduty.parse(json.dumps(value).encode())
            assert event is None or (event.id and len(event.text) <= 1100)


@given(JSON)
@settings(max_examples=300, deadline=None)
def test_any_interaction_is_understood_or_refused(data: Any) -> None:
    for value in (data, {"type": "block_actions", "actions": data, "user": data}):
        with suppress(RequestError):
            payload = slack.parse(urlencode({"payload": json.dumps(value)}).encode())
            assert all(action.startswith("healthd_") for action, _ in slack.actions_of(payload))
            assert slack.who(payload)


@given(st.text(max_size=80), st.binary(max_size=200), st.text(max_size=80))
def test_no_made_up_signature_is_taken(header: str, body: bytes, stamp: str) -> None:
    assert not is_pagerdutys([SECRET], header, body)
    assert slacks_problem(SIGNING, stamp, header, body, datetime.now(UTC))


@given(st.binary(max_size=200), st.integers(-600, 600))
def test_slacks_window(body: bytes, late: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    stamp = str(int((now - timedelta(seconds=late)).timestamp()))
    mac = hmac.new(SIGNING.encode(), b"v0:" + stamp.encode() + b":" + body, "sha256").hexdigest()
    assert (slacks_problem(SIGNING, stamp, f"v0={mac}", body, now) == "") is (abs(late) <= 300)
