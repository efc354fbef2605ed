"""Nobody answers: the chain, the clocks, the updates; acknowledged, restarted, silenced."""

from __future__ import annotations

import signal
from typing import Any

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon
from tests.servers.process import free_port
from tests.servers.receiver import Receiver

SECRET = "whsec_" + "c2VjcmV0" * 4


def shop(receiver: Receiver, severity: str, l2: str, l3: str = "1h", port: int = 0) -> str:
    return f"""\
system: {{name: shop, title: Shop}}
severities:
  SEV1: {severity}
contacts:
  second: {{title: Senior on-call, address: oncall-l2@shop.example}}
escalation:
  l1: {{title: On-call engineer, after: {{SEV1: 0s}}}}
  l2: {{title: Second level, who: second, after: {{SEV1: {l2}}}, channels: phone}}
  l3: {{title: Manager, after: {{SEV1: {l3}}}}}
channels:
  phone: {{type: webhook, url: "{receiver.url}/phone", unsigned: true}}
  desk: {{type: webhook, url: "{receiver.url}/desk", unsigned: true}}
routes: [{{channels: desk}}]
checks:
  - name: web
    title: The shop answers
    every: 1s
    timeout: 900ms
    probe: {{type: http, url: "http://127.0.0.1:{port or free_port()}/"}}
    severity: SEV1
"""


def bodies(receiver: Receiver, path: str) -> list[dict[str, Any]]:
    """Each message once, in the order it first came."""
    found = {request.headers["webhook-id"]: request.json["data"] for request in receiver.to(path)}
    return list(found.values())


def kinds(receiver: Receiver, path: str = "/desk") -> list[str]:
    return [
        (b["update"] or {}).get("level") or (b["update"] or {}).get("kind") or b["event"]
        for b in bodies(receiver, path)
    ]


def only_incident(daemon: Daemon) -> dict[str, Any]:
    (found,) = daemon.get("/api/v1/incidents?open=true")["incidents"]
    return dict(daemon.get(f"/api/v1/incidents/{found['id']}"))


def test_level_after_level_until_somebody_acknowledges(new_daemon: NewDaemon, receiver: Receiver) -> None:
    port = free_port()
    daemon = new_daemon(shop(receiver, "{response: 1s}", "3s", "6s", port)).start()
    daemon.until(lambda: kinds(receiver, "/phone"), what="escalated")
    daemon.until(lambda: len(kinds(receiver)) >= 3, what="told")
    assert kinds(receiver) == ["firing", "unanswered", "l2"]
    (phone,) = bodies(receiver, "/phone")
    assert (phone["event"], phone["update"]["who"], phone["update"]["address"]) == (
        "escalated", "Senior on-call", "oncall-l2@shop.example",
    )  # fmt: skip
    assert "not acknowledged for " in phone["update"]["text"]
    incident = only_incident(daemon)
    daemon.http.post(f"/api/v1/incidents/{incident['id']}/acknowledge", json={"actor": "ana"}).raise_for_status()
    assert daemon.metric("healthd_incident_ack_seconds_count", system="shop", severity="SEV1") == 1
    assert daemon.metric("healthd_incident_response_breaches_total", system="shop", severity="SEV1") == 1
    assert daemon.metric("healthd_incident_escalations_total", severity="SEV1", level="l2") == 1
    kinds_of = [e["kind"] for e in only_incident(daemon)["timeline"] if e["kind"] not in ("told", "delivered")]
    assert kinds_of[:4] == ["opened", "escalated", "unanswered", "escalated"]
    daemon.write(shop(receiver, "{response: 1s}", "3s", "4s", port))  # the third would be due at once, were it nobody's
    daemon.signal(signal.SIGHUP)
    daemon.until(lambda: daemon.events("reloaded"), what="reloaded")
    seen = daemon.metric("healthd_check_runs_total", status="critical") or 0
    daemon.until(lambda: (daemon.metric("healthd_check_runs_total", status="critical") or 0) >= seen + 3, what="on")
    assert "l3" not in kinds(receiver)


def test_a_restart_neither_repeats_nor_skips_a_level(new_daemon: NewDaemon, receiver: Receiver) -> None:
    daemon = new_daemon(shop(receiver, "{}", "2s", "5s")).start()
    daemon.until(lambda: "l2" in kinds(receiver), what="escalated")
    daemon.kill()
    daemon.start()
    daemon.until(lambda: "l3" in kinds(receiver), what="escalated further")
    daemon.kill()
    daemon.start()
    daemon.until(lambda: daemon.metric("healthd_check_status", check="web") == 2, what="looked at")
    assert kinds(receiver) == ["firing", "l2", "l3"]
    told = [e["text"].split(",")[0] for e in only_incident(daemon)["timeline"] if e["kind"] == "escalated"]
    assert told == ["told to l1", "escalated to l2", "escalated to l3"]


def test_updates_while_it_is_open_and_an_acknowledgement_that_lapses(new_daemon: NewDaemon, receiver: Receiver) -> None:
    daemon = new_daemon(shop(receiver, "{updates: 2s, ack_timeout: 3s}", "1h")).start()
    daemon.until(lambda: "progress" in kinds(receiver), what="updated")
    incident = only_incident(daemon)
    daemon.http.post(f"/api/v1/incidents/{incident['id']}/acknowledge", json={"actor": "ana"}).raise_for_status()
    daemon.until(lambda: "lapsed" in kinds(receiver), what="lapsed")
    said = {b["update"]["kind"]: b["update"]["text"] for b in bodies(receiver, "/desk") if b["update"]}
    assert "lapsed: it is nobody's again" in said["lapsed"]
    assert any("acknowledged by ana" in b["update"]["text"] for b in bodies(receiver, "/desk") if b["update"])
    assert only_incident(daemon)["acknowledged_by"] == ""
