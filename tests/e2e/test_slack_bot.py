"""The daemon and Slack: one thread through acknowledgement, kill -9, an hour of Slack being away, and the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.daemon import Daemon
from tests.servers.receiver import Receiver
from tests.servers.slack import TOKEN, SlackServer

CATALOGUE = """\
system: {name: shop, title: Shop}
severities: {SEV1: {pagerduty: critical}}
channels:
  ops: {type: slack_bot, token: "${OPS_TOKEN}", channel: "#ops", url: "%s", rate: 100/s}
checks:
  - {name: web, title: The shop answers, every: 1s, timeout: 900ms, probe: {type: http, url: "%s/"}, severity: SEV1,
     thresholds: {measure: status, critical: ">= 500"}}
"""


@pytest.fixture
def shop() -> Iterator[Receiver]:
    with Receiver(default=500) as server:
        yield server


def words(slack: SlackServer) -> list[str]:
    """How each message begins; the incident's own first."""
    return [message["text"].split(":")[0] for message in slack.messages]


def test_one_thread_through_a_restart_and_an_outage(tmp_path: Path, shop: Receiver, slack_server: SlackServer) -> None:
    daemon = Daemon(tmp_path, CATALOGUE % (slack_server.url, shop.url), ENV_OPS_TOKEN=TOKEN).start()
    try:
        daemon.until(slack_server.top, what="the first message")
        found = daemon.http.get("/api/v1/incidents?open=true").json()["incidents"][0]["id"]
        daemon.kill()
        daemon.start()
        daemon.http.post(f"/api/v1/incidents/{found}/acknowledge", json={"actor": "ada"}).raise_for_status()
        daemon.until(lambda: len(slack_server.messages) == 2, what="the acknowledgement")
        slack_server.fail("chat.update", *["service_unavailable"] * 2)
        shop.default = 200
        daemon.until(lambda: len(slack_server.messages) == 3, 30, what="the end")
    finally:
        daemon.stop()
    (parent,) = slack_server.top()
    assert words(slack_server) == ["Resolved", "Acknowledged", "Resolved"]
    assert [m["text"].split(":")[0] for m in slack_server.replies(parent["ts"])] == ["Acknowledged", "Resolved"]
    assert TOKEN not in daemon.log.read_text()
