"""From a server's death to the people who are told, and back."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from healthd.store import SqlStore
from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon
from tests.servers.nginx import NginxServer
from tests.servers.receiver import Receiver, Request
from tests.servers.redis import RedisServer

SECRET = "whsec_" + "c2VjcmV0" * 4


def shop(url: str, extra: str = "") -> str:
    return f"""\
system: {{name: shop, title: Shop, runbook_url: "https://wiki.example/shop"}}
severities:
  SEV1: {{title: Critical, pagerduty: critical}}
  SEV3: {{title: Minor, pagerduty: warning}}
playbooks:
  web-down:
    title: The shop does not answer
    remediation:
      - {{title: Restart it, command: kubectl rollout restart deployment/shop}}
checks:
  - name: web
    title: The shop answers
    every: 1s
    timeout: 900ms
    probe: {{type: http, url: "{url}/"}}
    thresholds: {{measure: latency, target: "< 300ms", warning: ">= 500ms", critical: ">= 1s"}}
    severity: SEV1
    warning_severity: SEV3
    playbook: web-down
{extra}"""


def channels(receiver: Receiver) -> dict[str, str]:
    return {
        "slack_webhook_url": receiver.url + "/slack",
        "pagerduty_url": receiver.url + "/pagerduty",
        "pagerduty_routing_key": "0123456789abcdef0123456789abcdef",
        "webhook_url": receiver.url + "/webhook",
        "webhook_secret": SECRET,
    }


def sent(receiver: Receiver, path: str) -> list[Request]:
    return [r for r in receiver.requests if r.path == path]


def test_a_dead_server_is_told_to_everyone_within_a_second_and_its_return_too(
    new_daemon: NewDaemon, nginx: NginxServer, receiver: Receiver
) -> None:
    daemon = new_daemon(shop(nginx.url), **channels(receiver)).start()
    daemon.until(lambda: daemon.metric("healthd_check_status", check="web") == 0, what="in order")
    nginx.stop()
    died = time.monotonic()
    first = receiver.wait_for(3)
    try:
        assert first[-1].monotonic - died < 15.0  # the interval and about a second, and a busy machine
        page = sent(receiver, "/pagerduty")[0].json
        assert (page["event_action"], page["payload"]["severity"]) == ("trigger", "critical")
        assert "connection refused" in str(page)
        assert "kubectl rollout restart" in str(sent(receiver, "/slack")[0].json)
        assert daemon.metric("healthd_incidents_open", system="shop", severity="SEV1") == 1
        assert daemon.metric("healthd_check_status", check="web") == 2
    finally:
        nginx.start()
    receiver.wait_for(6, timeout=10)
    end = sent(receiver, "/pagerduty")[1].json
    assert (end["event_action"], end["dedup_key"]) == ("resolve", page["dedup_key"])
    daemon.until(lambda: daemon.metric("healthd_check_status", check="web") == 0, what="in order again")
    assert not daemon.metric("healthd_incidents_open", system="shop", severity="SEV1")
    daemon.until(
        lambda: daemon.metric("healthd_notifications_total", channel="slack", outcome="accepted") == 2, what="counted"
    )
    assert daemon.stop() == 0


def test_what_depends_on_a_dead_redis_is_not_paged_on_its_own(
    new_daemon: NewDaemon, redis_server: RedisServer, receiver: Receiver
) -> None:
    url = redis_server.url
    dependants = "".join(
        f"  - {{name: queue{i}, title: Queue {i}, every: 1s, timeout: 900ms, depends_on: [redis], severity: SEV1,"
        f" probe: {{type: redis_length, url: '{url}', key: 'q{i}'}}, unknown: {{after: 1, level: critical}},"
        " thresholds: {measure: length, warning: '> 10'}}\n"
        for i in range(5)
    )
    catalogue = (
        "system: {name: shop}\nseverities: {SEV1: {}}\nchecks:\n"
        f"  - {{name: redis, title: Redis answers, every: 1s, timeout: 900ms, severity: SEV1,"
        f" probe: {{type: redis, url: '{url}'}}, thresholds: {{measure: latency, warning: '> 1s'}}}}\n" + dependants
    )
    daemon = new_daemon(catalogue, webhook_url=receiver.url, webhook_secret=SECRET).start()
    daemon.until(lambda: daemon.metric("healthd_check_status", check="queue4") == 0, what="looked at")
    redis_server.stop()
    try:
        receiver.wait_for(1, timeout=10)
        daemon.until(lambda: len(daemon.events("incident_suppressed")) >= 5, what="kept quiet")
        time.sleep(2.2)  # two more rounds: nothing else may come
        told = [r.json["data"] for r in receiver.requests]
        assert [t["check"]["id"] for t in told] == ["shop/redis"]
    finally:
        redis_server.start()
    last = receiver.wait_for(2, timeout=10)[-1].json
    assert last["data"]["event"] == "resolved"
    daemon.until(lambda: daemon.metric("healthd_check_status", check="queue4") == 0, what="back")
    assert len(receiver.requests) == 2


class Backend(BaseHTTPRequestHandler):
    """What /slow answers after a while is what was true when it was asked; /gate answers at once."""

    broken = False
    asked_slowly = threading.Event()

    def do_GET(self) -> None:
        broken = type(self).broken
        if self.path == "/slow" and broken:
            type(self).asked_slowly.set()
            time.sleep(2)
        with suppress(OSError):
            self.send_response(500 if broken else 200)
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_what_was_asked_before_a_dependency_was_back_opens_no_incident(
    new_daemon: NewDaemon, receiver: Receiver
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Backend) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        catalogue = (
            "system: {name: shop}\nseverities: {SEV1: {}}\nchecks:\n"
            f"  - {{name: gate, every: 500ms, timeout: 20s, probe: {{type: http, url: '{url}/gate'}}}}\n"
            f"  - {{name: slow, every: 1s, timeout: 20s, depends_on: gate, probe: {{type: http, url: '{url}/slow'}}}}\n"
        )
        daemon = new_daemon(catalogue, webhook_url=receiver.url, webhook_secret=SECRET).start()
        daemon.until(lambda: daemon.metric("healthd_check_status", check="slow") == 0, what="looked at")
        Backend.broken = True
        daemon.until(lambda: len(daemon.events("incident_suppressed")) == 1, what="kept quiet")
        Backend.asked_slowly.clear()
        assert Backend.asked_slowly.wait(20)
        Backend.broken = False  # the gate is seen to be back while the slow answer is still to come
        daemon.until(lambda: daemon.metric("healthd_check_status", check="slow") == 0, what="back")
        told = [(r.json["data"]["check"]["id"], r.json["data"]["event"]) for r in receiver.wait_for(2, timeout=20)]
        assert told == [("shop/gate", "firing"), ("shop/gate", "resolved")]
        server.shutdown()


async def _stored(path: Path) -> tuple[list[Any], dict[str, list[Any]]]:
    store = SqlStore(f"sqlite:///{path}")
    await store.open()
    try:
        incidents = await store.incidents(limit=1000)
        return incidents, {i.id: await store.timeline(i.id) for i in incidents}
    finally:
        await store.close()


async def test_killed_again_and_again_it_loses_no_incident_and_no_notification(
    new_daemon: NewDaemon, nginx: NginxServer, receiver: Receiver
) -> None:
    """Every incident in the store was told to have opened and, if it ended, to have ended; nothing else was told."""
    daemon = new_daemon(shop(nginx.url), webhook_url=receiver.url, webhook_secret=SECRET)
    up = True
    try:
        for round_ in range(8):
            daemon.start()
            if up:
                nginx.stop()
            else:
                nginx.start()
            up = not up
            # killed at another moment each time: before, during and after the run that notices
            pause = int(hashlib.sha256(str(round_).encode()).hexdigest(), 16) % 1600 / 1000
            time.sleep(pause)
            daemon.kill()
        if not up:
            nginx.start()
            up = True
        daemon.start()
        daemon.until(lambda: daemon.metric("healthd_check_status", check="web") == 0, what="in order")
        daemon.until(lambda: daemon.metric("healthd_outbox_pending", channel="webhook") == 0, 20, "told")
        assert daemon.stop() == 0
    finally:
        if not up:
            nginx.start()
    incidents, timelines = await _stored(daemon.folder / "healthd.db")
    assert incidents
    assert all(i.resolved_at for i in incidents)
    # at least once; a repetition carries the same id, which receivers deduplicate by
    first = {r.headers["webhook-id"]: r.json["data"] for r in reversed(receiver.requests)}
    told = Counter((t["incident"]["id"], t["event"] == "resolved") for t in first.values())
    happened = Counter(
        (i.id, e.kind == "resolved") for i in incidents for e in timelines[i.id]
        if e.kind in ("opened", "reopened", "resolved")
    )  # fmt: skip
    assert told == happened


def test_firing_again_soon_is_the_same_incident_also_after_a_restart(
    new_daemon: NewDaemon, nginx: NginxServer, receiver: Receiver
) -> None:
    daemon = new_daemon(shop(nginx.url), **channels(receiver)).start()
    daemon.until(lambda: daemon.metric("healthd_check_status", check="web") == 0, what="in order")
    nginx.stop()
    try:
        receiver.wait_for(1, path="/webhook")
    finally:
        nginx.start()
    receiver.wait_for(2, path="/webhook")
    assert daemon.stop() == 0
    nginx.stop()
    try:
        daemon.start()
        receiver.wait_for(3, path="/webhook")
    finally:
        nginx.start()
    told = [r.json["data"] for r in receiver.wait_for(4, path="/webhook")]
    assert [t["event"] for t in told] == ["firing", "resolved", "reopened", "resolved"]
    assert len({t["incident"]["id"] for t in told}) == 1
    assert told[2]["incident"]["reopened"] == 1
    pages = [r.json for r in receiver.wait_for(4, path="/pagerduty")]
    assert [p["event_action"] for p in pages] == ["trigger", "resolve"] * 2
    assert len({p["dedup_key"] for p in pages}) == 1
    detail = daemon.get(f"/api/v1/incidents/{told[0]['incident']['id']}")
    assert [e["kind"] for e in detail["timeline"] if e["kind"] != "told"] == [
        "opened", "resolved", "reopened", "resolved",
    ]  # fmt: skip
    audited = Counter(a["action"] for a in daemon.get("/api/v1/audit")["entries"] if "incident." in a["action"])
    assert audited == {"incident.opened": 1, "incident.reopened": 1, "incident.resolved": 2}


TWO = """\
system: {name: shop, title: Shop}
severities: {SEV1: {}, SEV3: {}}
playbooks: {db-down: {title: The database is down}, disk: {title: The disk is full}}
checks:
"""


def two(url: str, playbook: str = "disk") -> str:
    lines = (
        f"  - {{name: {name}, title: {name}, every: 1s, timeout: 900ms, severity: {severity}, playbook: {book},"
        f" probe: {{type: http, url: '{url}/'}}, thresholds: {{measure: up, critical: '= 0'}}}}\n"
        for name, severity, book in (("one", "SEV3", "db-down"), ("two", "SEV1", playbook))
    )
    return TWO + "".join(lines)


def test_what_waits_to_be_told_is_told_after_kill_9(new_daemon: NewDaemon, receiver: Receiver) -> None:
    """The second of two incidents in one second waits, to see whether a storm is coming."""
    daemon = new_daemon(two("http://127.0.0.1:1"), webhook_url=receiver.url, webhook_secret=SECRET).start()
    daemon.until(lambda: len(open_ids(daemon)) == 2, what="two incidents")
    opened = open_ids(daemon)
    daemon.kill()
    daemon.start()
    daemon.until(lambda: told_of(receiver) == opened, 60, "the other one told")


def test_checks_with_the_same_playbook_are_one_incident_as_bad_as_the_worst(
    new_daemon: NewDaemon, nginx: NginxServer, receiver: Receiver
) -> None:
    daemon = new_daemon(two(nginx.url, "db-down"), webhook_url=receiver.url, webhook_secret=SECRET).start()
    daemon.until(lambda: daemon.metric("healthd_check_status", check="two") == 0, what="in order")
    nginx.stop()
    try:
        (incident,) = daemon.until(lambda: both(daemon), what="one incident of both")
        assert incident["severity"] == "SEV1"
        assert daemon.metric("healthd_incidents_open", system="shop", severity="SEV1") == 1
        for check in ("shop/one", "shop/two"):
            for query in (f"open=true&check={check}", f"check={check}"):
                found = daemon.get(f"/api/v1/incidents?{query}")["incidents"]
                assert [i["id"] for i in found] == [incident["id"]]
    finally:
        nginx.start()
    daemon.until(lambda: not daemon.get("/api/v1/incidents?open=true")["incidents"], what="over")
    daemon.until(lambda: receiver.requests[-1].json["data"]["event"] == "resolved", what="told")
    told = [r.json["data"] for r in receiver.requests]
    assert [t["event"] for t in told] in (["firing", "resolved"], ["firing", "worsened", "resolved"])
    assert told[-1]["members"]["total"] == 2


def told_of(receiver: Receiver) -> set[str]:
    """The incidents that the receiver has heard of."""
    return {request.json["data"]["incident"]["id"] for request in receiver.requests}


def open_ids(daemon: Daemon) -> set[str]:
    return {incident["id"] for incident in daemon.get("/api/v1/incidents?open=true")["incidents"]}


def both(daemon: Daemon) -> list[Any]:
    return [i for i in daemon.get("/api/v1/incidents?open=true")["incidents"] if i["failing"] == 2]


def test_a_check_taken_out_while_it_fires_is_told_to_have_ended(new_daemon: NewDaemon, receiver: Receiver) -> None:
    daemon = new_daemon(shop("http://127.0.0.1:1"), webhook_url=receiver.url, webhook_secret=SECRET).start()
    receiver.wait_for(1, timeout=10)
    daemon.write(
        "system: {name: shop}\nchecks:\n  - {name: other, title: Other, every: 1h, severity: SEV1,"
        " probe: {type: load}, thresholds: {measure: load1, warning: '> 1000'}}\nseverities: {SEV1: {}}\n"
    )
    daemon.signal(signal.SIGHUP)
    ended = receiver.wait_for(2, timeout=10)[1].json["data"]
    assert (ended["event"], ended["check"]["id"]) == ("resolved", "shop/web")
    assert daemon.metric("healthd_check_status", check="web") is None


def test_slow_and_refusing_channels_hold_up_nobody(new_daemon: NewDaemon, receiver: Receiver) -> None:
    receiver.script(["hang"] * 10, path="/slack")
    receiver.script([(429, {"Retry-After": "1"})], path="/pagerduty")
    daemon = new_daemon(shop("http://127.0.0.1:1"), **channels(receiver)).start()
    daemon.until(lambda: sent(receiver, "/webhook"), what="webhook told")
    daemon.until(lambda: len(sent(receiver, "/pagerduty")) == 2, what="PagerDuty told again")
    first, second = sent(receiver, "/pagerduty")
    assert second.monotonic - first.monotonic >= 1.0
    assert first.json["dedup_key"] == second.json["dedup_key"]
    assert daemon.metric("healthd_outbox_pending", channel="slack") == 1
    assert daemon.metric("healthd_notifications_total", channel="pagerduty", outcome="retried") == 1
