"""healthd noticed when it is gone, and seen to by itself: the dead man's switch, and a system of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon
from tests.servers.receiver import Receiver

SECRET = "whsec_" + "c2VjcmV0" * 4
CATALOGUE = """\
system: {name: shop, title: Shop}
severities: {SEV1: {}, SEV3: {}}
checks:
  - {name: load, every: 1s, severity: SEV3, probe: {type: load}}
"""
CHANNELS = """\
channels:
  good: {type: webhook, url: "URL/good", unsigned: true}
  stuck: {type: webhook, url: "URL/stuck", unsigned: true}
routes:
  - {channels: [stuck], systems: [shop]}
"""


def test_the_switch_is_pinged_while_healthd_lives_and_misses_it_when_it_is_dead(
    new_daemon: NewDaemon, receiver: Receiver
) -> None:
    receiver.script([503, "reset"], path="/ping/secret-uuid")  # a ping is tried again
    daemon = new_daemon(CATALOGUE, heartbeat_url=f"{receiver.url}/ping/secret-uuid", heartbeat_every="1s").start()
    receiver.wait_for(5, path="/ping/secret-uuid", timeout=20)
    assert daemon.metric("healthd_heartbeats_total", outcome="sent")
    assert daemon.metric("healthd_heartbeat_last_success_timestamp_seconds")
    assert daemon.metric("healthd_watchdog") == 1
    assert daemon.get("/api/v1/checks/healthd/heartbeat")["thresholds"]
    daemon.kill()
    assert "secret-uuid" not in daemon.log.read_text()
    count = len(receiver.requests)
    with pytest.raises(TimeoutError):
        receiver.wait_for(count + 1, timeout=2)


def test_a_hostile_switch_harms_nothing_and_is_said(new_daemon: NewDaemon, receiver: Receiver) -> None:
    receiver.default = "garbage"
    daemon = new_daemon(CATALOGUE, heartbeat_url=receiver.url, heartbeat_every="1s").start()
    [said] = daemon.until(lambda: daemon.events("heartbeat_failed"), timeout=20, what="said")
    assert said["reason"] == "RemoteProtocolError"
    ran = daemon.metric("healthd_check_runs_total", check="load", status="ok") or 0
    daemon.until(lambda: (daemon.metric("healthd_check_runs_total", check="load", status="ok") or 0) > ran)
    assert daemon.stop() == 0


def test_a_stuck_channel_is_told_through_the_others_whatever_the_routes_say(
    new_daemon: NewDaemon, receiver: Receiver, tmp_path: Path
) -> None:
    stock = tmp_path / "stock.txt"
    extra = (
        f"  - {{name: stock, every: 1s, severity: SEV1, probe: {{type: files, glob: '{stock}'}},"
        " thresholds: {measure: count, critical: '< 1'}}\n"
    )
    receiver.decide(lambda request: 503 if request.path == "/stuck" else 200)
    catalogue = CATALOGUE + extra + CHANNELS.replace("URL", receiver.url)
    daemon = new_daemon(catalogue, outbox_stuck="1s").start()

    def good() -> list[dict[str, Any]]:
        return [r.json["data"] for r in receiver.to("/good")]

    [first] = daemon.until(good, timeout=40, what="told through the other channel")[:1]
    assert (first["check"]["id"], first["event"]) == ("healthd/outbox", "firing")
    assert "oldest of stuck" in first["incident"]["reason"]
    # shop's own incident goes where its routes say, and waits there
    assert {d["system"]["name"] for d in good()} == {"healthd"}


@pytest.fixture(scope="module")
def itself(tmp_path_factory: pytest.TempPathFactory) -> Any:
    daemon = Daemon(tmp_path_factory.mktemp("itself"), CATALOGUE)
    daemon.start()
    yield daemon
    daemon.kill()
    daemon.http.close()


def test_a_refused_reload_is_seen_by_its_check(itself: Daemon) -> None:
    itself.write("system: {name: shop}\nchecks: [{name: broken}]\n")
    itself.until(lambda: itself.metric("healthd_catalogue_last_reload_successful") == 0, what="refused")
    answer = itself.http.post("/api/v1/checks/healthd/reload/run").json()
    assert (answer["level"], answer["verdicts"][0]["measure"]) == ("warning", "refused")
    assert "broken" in answer["reason"]
    itself.write(CATALOGUE)
    itself.until(lambda: itself.metric("healthd_catalogue_last_reload_successful") == 1, what="accepted")
    assert itself.http.post("/api/v1/checks/healthd/reload/run").json()["level"] == "ok"


def test_healthd_itself_is_no_part_of_what_is_counted(itself: Daemon) -> None:
    assert [s["name"] for s in itself.get("/api/v1/systems")["systems"]] == ["shop"]
    assert [c["id"] for c in itself.get("/api/v1/checks")["checks"]] == ["shop/load"]
    assert sum(itself.get("/api/v1/status")["counts"].values()) == 1
    assert itself.metric("healthd_catalogue_checks", system="healthd") is None
    own = itself.until(lambda: itself.get("/api/v1/checks?system=healthd")["checks"], what="its checks")
    assert {c["name"] for c in own} == {"overdue", "outbox", "reload", "store"}
    assert "healthd itself" in itself.http.get("/").text
    assert itself.http.get("/systems/healthd").status_code == 200


def test_it_can_be_switched_off(new_daemon: NewDaemon) -> None:
    daemon = new_daemon(CATALOGUE, self_watch="false").start()
    assert daemon.http.get("/systems/healthd").status_code == 404
    assert daemon.metric("healthd_check_status", system="healthd") is None
