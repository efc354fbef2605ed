"""Everything fails at once: people hear of it soon, in a handful of messages, and of its end; nothing is hidden."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import Daemon
from tests.e2e.test_incident import channels
from tests.servers.nginx import NginxServer
from tests.servers.receiver import Receiver

SYSTEMS, CHECKS = 5, 100  # each


def system(number: int, url: str, flags: Path) -> str:
    """Checks of several probes with playbooks of their own and none; all of them fail with one server and one file."""
    lines = [
        f"system: {{name: sys{number}, title: System {number}}}",
        "severities: {SEV1: {pagerduty: critical}, SEV2: {}, SEV3: {pagerduty: warning}}",
        "playbooks: {one: {title: One}, two: {title: Two}, three: {title: Three}}",
        "checks:",
    ]
    for check in range(CHECKS):
        probe, row = f'{{type: http, url: "{url}/"}}', 'measure: up, critical: "= 0"'
        if check % 50 == 3:
            probe, row = f'{{type: files, glob: "{flags}/flag*"}}', 'measure: count, target: ">= 1", critical: "< 1"'
        if check == 7:
            probe, row = f'{{type: command, argv: [test, -e, "{flags}/flag"]}}', 'measure: exit_code, critical: "> 0"'
        playbook = ("", "playbook: one, ", "playbook: two, ", "playbook: three, ")[check % 4]
        lines.append(
            f"  - {{name: c{check}, title: Check {check}, every: 2s, timeout: 1500ms, severity: SEV{check % 3 + 1},"
            f" {playbook}probe: {probe}, thresholds: {{{row}}}}}"
        )
    return "\n".join(lines)


def failing(daemon: Daemon) -> int:
    return sum(i["failing"] for i in daemon.get("/api/v1/incidents?open=true")["incidents"])


def test_five_hundred_checks_that_fail_in_the_same_second_are_a_handful_of_messages(
    new_daemon: NewDaemon, nginx: NginxServer, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "flag").touch()
    daemon = new_daemon(system(0, nginx.url, tmp_path), allowed_commands="test", **channels(receiver))
    for number in range(1, SYSTEMS):
        folder = daemon.folder / "checks" / f"sys{number}"
        folder.mkdir()
        (folder / "system.yaml").write_text(system(number, nginx.url, tmp_path))
    daemon.start()
    ok = {"ok": CHECKS}
    daemon.until(
        lambda: all(s["counts"].items() >= ok.items() for s in daemon.get("/api/v1/systems")["systems"]), 30, "in order"
    )

    (tmp_path / "flag").unlink()
    nginx.stop()
    began = time.monotonic()
    try:
        first = receiver.wait_for(1)
        assert first[0].monotonic - began < 15.0
        daemon.until(lambda: failing(daemon) == SYSTEMS * CHECKS, 30, "all of them failing")
        (storm,) = daemon.until(lambda: stormy(receiver, "/webhook"), 15, "the storm told")
        (incident,) = daemon.get("/api/v1/incidents?open=true")["incidents"]
        assert (incident["id"], incident["storm"], incident["severity"]) == (storm["incident"]["id"], True, "SEV1")
        assert {s["name"] for s in storm["members"]["systems"]} == {f"sys{n}" for n in range(SYSTEMS)}
        assert len(storm["members"]["checks"]) == 10
        assert storm["incident"]["url"].endswith(f"/incidents/{incident['id']}")
        assert "SEV1" in storm["members"]["worst"]
        assert all_evidence(daemon, incident["id"]) == SYSTEMS * CHECKS
        page = daemon.http.get(f"/incidents/{incident['id']}?members=5").text
        assert "page 5 of 5" in page
        assert "count" in page or "up" in page
    finally:
        nginx.start()
        (tmp_path / "flag").touch()
    daemon.until(lambda: not daemon.get("/api/v1/incidents?open=true")["incidents"], 30, "over")
    daemon.until(lambda: len(ends(receiver)) == 3, 10, "its end told in every channel")
    per_channel = Counter(request.path for request in receiver.requests)
    assert set(per_channel) == {"/slack", "/pagerduty", "/webhook"}
    assert max(per_channel.values()) <= 5
    keys = {r.json["dedup_key"] for r in receiver.to("/pagerduty")}
    resolved = {r.json["dedup_key"] for r in receiver.to("/pagerduty") if r.json["event_action"] == "resolve"}
    assert keys == resolved  # no page stays open
    assert daemon.stop() == 0


def stormy(receiver: Receiver, path: str) -> list[dict]:  # type: ignore[type-arg]
    told = [r.json["data"] for r in receiver.to(path)]
    return [t for t in told if t["update"] and t["update"]["kind"] == "storm"]


def ends(receiver: Receiver) -> set[str]:
    """The channels that have heard the end of all they heard of."""
    found = set()
    for path in ("/slack", "/pagerduty", "/webhook"):
        last = receiver.to(path)[-1].body
        if b"esolve" in last:
            found.add(path)
    return found


def all_evidence(daemon: Daemon, incident_id: str) -> int:
    """How many members the API shows with what was seen of them."""
    seen, after = 0, "0"
    while after:
        answer = daemon.get(f"/api/v1/incidents/{incident_id}/members?after={after}&limit=100")
        assert answer["total"] == SYSTEMS * CHECKS
        seen += sum(bool(m["values"]) and bool(m["reason"]) for m in answer["members"])
        after = answer["next"]
    return seen
