"""Silences and maintenance windows: recorded and shown, told when they are over, through restarts."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
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
  - name: stock
    title: Stock is there
    every: 1s
    probe: {type: files, glob: "FOLDER/*.txt"}
    thresholds: {measure: count, critical: "< 1"}
    severity: SEV1
    labels: {team: backend}
"""


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    """A folder whose file `stock.txt` makes the check pass."""
    folder = tmp_path / "stock"
    folder.mkdir()
    (folder / "stock.txt").write_text("1")
    return folder


def shop(new_daemon: NewDaemon, stock: Path, receiver: Receiver, extra: str = "") -> Daemon:
    catalogue = CATALOGUE.replace("FOLDER", str(stock)) + extra
    return new_daemon(catalogue, webhook_url=receiver.url, webhook_secret=SECRET)


def told(receiver: Receiver) -> list[str]:
    """What arrived: incidents by event, notices by their title."""
    data = [request.json["data"] for request in receiver.requests]
    return [d["notice"]["title"] if d["event"] == "notice" else d["event"] for d in data]


def command(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "healthd", *words, "--url", daemon.url],
        env=daemon.environment(), cwd=daemon.folder, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def incident(daemon: Daemon) -> dict[str, Any]:
    """The only open incident."""
    [found] = daemon.until(lambda: daemon.get("/api/v1/incidents?open=true")["incidents"], what="an incident")
    whole: dict[str, Any] = daemon.get(f"/api/v1/incidents/{found['id']}")
    return whole


def test_a_silenced_incident_is_recorded_and_shown_and_told_once_the_silence_is_ended_after_a_kill(
    new_daemon: NewDaemon, stock: Path, receiver: Receiver
) -> None:
    daemon = shop(new_daemon, stock, receiver).start()
    made = command(daemon, "silence", "add", "system=shop", "team=back*", "--reason", "moving house", "--by", "ada")
    assert made.returncode == 0, made.stderr
    silence = made.stdout.strip()
    assert daemon.metric("healthd_silences_active") == 1
    (stock / "stock.txt").unlink()
    found = incident(daemon)
    assert found["quiet"].startswith("silenced by ada until ")
    assert found["quiet"].endswith(f"moving house ({silence})")
    assert "nobody was told: silenced by ada" in json.dumps(found["timeline"])
    silenced = {"system": "shop", "severity": "SEV1"}
    daemon.until(lambda: daemon.metric("healthd_incidents_silenced", **silenced) == 1, what="counted")
    assert daemon.metric("healthd_incidents_open", system="shop", severity="SEV1") == 1
    assert daemon.get(f"/api/v1/silences/{silence}")["incidents"] == [found["id"]]
    page = daemon.http.get(f"/incidents/{found['id']}").text
    assert "Nobody is told of it:" in page
    assert "moving house" in daemon.http.get("/silences").text

    daemon.kill()
    daemon.start()
    assert daemon.metric("healthd_silences_active") == 1
    assert "moving house" in command(daemon, "silence", "list").stdout
    assert told(receiver) == []
    daemon.http.post(f"/api/v1/silences/{silence}/end", json={"actor": "bob"}).raise_for_status()
    receiver.wait_for(1)
    assert told(receiver) == ["firing"]
    daemon.until(lambda: not incident(daemon)["quiet"], what="told")
    daemon.until(lambda: daemon.metric("healthd_incidents_silenced", **silenced) == 0, what="counted")
    assert daemon.metric("healthd_silences_active") == 0
    (stock / "stock.txt").write_text("1")
    receiver.wait_for(2)
    assert told(receiver) == ["firing", "resolved"]
    audited = [(e["actor"], e["action"]) for e in daemon.get("/api/v1/audit")["entries"]]
    assert {("ada", "silence"), ("bob", "expire silence")} <= set(audited)
    again = daemon.http.post(f"/api/v1/silences/{silence}/end")
    assert (again.status_code, again.json()["error"]) == (409, f"{silence} is over already")


def test_the_end_of_what_was_told_is_told_and_of_what_was_not_is_not(
    new_daemon: NewDaemon, stock: Path, receiver: Receiver
) -> None:
    daemon = shop(new_daemon, stock, receiver).start()
    body = {"matchers": ["stock"], "reason": "known", "duration": "1h"}
    silence = daemon.http.post("/api/v1/silences", json=body).raise_for_status().json()
    (stock / "stock.txt").unlink()
    assert incident(daemon)["quiet"]
    (stock / "stock.txt").write_text("1")
    daemon.until(lambda: not daemon.get("/api/v1/incidents?open=true")["incidents"], what="over")
    daemon.http.post(f"/api/v1/silences/{silence['id']}/end").raise_for_status()
    (stock / "stock.txt").unlink()
    receiver.wait_for(1)
    daemon.http.post("/api/v1/silences", json=body).raise_for_status()
    daemon.until(lambda: incident(daemon)["quiet"], what="silenced")
    (stock / "stock.txt").write_text("1")
    receiver.wait_for(2)
    assert told(receiver) == ["firing", "resolved"]


def test_a_silence_ends_by_itself(new_daemon: NewDaemon, stock: Path, receiver: Receiver) -> None:
    daemon = shop(new_daemon, stock, receiver).start()
    body = {"matchers": ["severity=SEV1"], "reason": "short", "duration": "3s"}
    daemon.http.post("/api/v1/silences", json=body).raise_for_status()
    (stock / "stock.txt").unlink()
    assert incident(daemon)["quiet"]
    receiver.wait_for(1)
    assert told(receiver) == ["firing"]
    expired = daemon.until(lambda: daemon.get("/api/v1/silences?state=expired")["silences"], what="kept")
    assert (expired[0]["reason"], expired[0]["ended_by"]) == ("short", "")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"matchers": ["x=~("], "reason": "r", "duration": "1h"}, 400, "no regular expression"),
        ({"matchers": ["x=y"], "reason": " ", "duration": "1h"}, 400, "a reason is needed"),
        ({"matchers": ["x=y"], "reason": "r"}, 400, "nothing, or too much, says when it ends"),
        ({"matchers": ["x=y"], "reason": "r", "duration": "soon"}, 400, "duration"),
        ({"matchers": [], "reason": "r", "duration": "1h"}, 400, "matchers"),
        ({"matchers": ["x=y"], "reason": "r", "duration": "1h", "until": "x"}, 400, "until"),
    ],
)
def test_a_silence_that_cannot_be_is_refused_with_a_sentence(
    quiet_daemon: Daemon, body: dict[str, Any], status: int, said: str
) -> None:
    answer = quiet_daemon.http.post("/api/v1/silences", json=body)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


@pytest.fixture(scope="module")
def quiet_daemon(tmp_path_factory: pytest.TempPathFactory) -> Any:
    daemon = Daemon(tmp_path_factory.mktemp("quiet"), CATALOGUE.replace("FOLDER", "/nowhere"))
    daemon.start()
    yield daemon
    daemon.kill()
    daemon.http.close()


def test_without_the_token_nothing_is_silenced(quiet_daemon: Daemon) -> None:
    body = {"matchers": ["x=y"], "reason": "r", "duration": "1h"}
    refused = quiet_daemon.http.post("/api/v1/silences", json=body, headers={"Authorization": "Bearer no"})
    assert refused.status_code == 401
    assert quiet_daemon.http.post("/api/v1/silences/SIL-none/end").status_code == 404
    assert quiet_daemon.http.post("/api/v1/windows/WIN-none/end").status_code == 404


def test_maintenance_is_announced_and_told_after_when_something_outlasts_it(
    new_daemon: NewDaemon, stock: Path, receiver: Receiver
) -> None:
    daemon = shop(new_daemon, stock, receiver).start()
    start = datetime.now(UTC) + timedelta(seconds=12)
    added = command(
        daemon, "window", "add", "shop", "--from", start.isoformat(), "--for", "1h", "--reason", "PostgreSQL 16",
        "--by", "ada",
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    window = added.stdout.strip()
    receiver.wait_for(2, timeout=60)
    ahead, begun = told(receiver)
    assert ahead.startswith("Maintenance of Shop in ")
    assert begun == "Maintenance of Shop has begun: PostgreSQL 16"
    daemon.until(lambda: daemon.metric("healthd_maintenance_active", system="shop") == 1, what="open")
    (stock / "stock.txt").unlink()
    assert incident(daemon)["quiet"].startswith("maintenance until ")
    daemon.kill()
    daemon.start()
    assert daemon.metric("healthd_maintenance_active", system="shop") == 1
    assert command(daemon, "window", "end", window, "--by", "bob").stdout.strip() == f"{window}: over"
    receiver.wait_for(4)
    assert sorted(told(receiver)[2:]) == ["Maintenance of Shop is over: PostgreSQL 16", "firing"]
    assert daemon.metric("healthd_maintenance_active", system="shop") == 0
    assert window in [w["id"] for w in daemon.get("/api/v1/windows?past=true")["windows"]]


def test_a_window_of_the_catalogue_opens_at_its_time_is_announced_once_and_spares_what_it_says(
    new_daemon: NewDaemon, stock: Path, receiver: Receiver
) -> None:
    at = datetime.now(UTC) - timedelta(minutes=5)
    extra = (
        f"cadences: {{now: {{cron: '{at.minute} {at.hour} * * *', title: Now}}}}\n"
        "windows: {daily: {title: Vacuum, cadence: now, duration: 1h, notice: 10m, except_severities: SEV1}}\n"
    )
    daemon = shop(new_daemon, stock, receiver, extra).start()
    receiver.wait_for(1)
    assert daemon.metric("healthd_maintenance_active", system="shop") == 1
    (stock / "stock.txt").unlink()
    receiver.wait_for(2)
    assert told(receiver) == ["Maintenance of Shop has begun: Vacuum", "firing"]
    daemon.stop()
    daemon.start()
    windows = daemon.get("/api/v1/windows?system=shop")["windows"]
    assert (windows[0]["state"], windows[0]["name"], windows[1]["state"]) == ("active", "daily", "planned")
    assert "Vacuum" in daemon.http.get("/windows").text
    # one occurrence is ended; the others stay
    daemon.http.post(f"/api/v1/windows/{windows[0]['id']}/end", json={"actor": "ada"}).raise_for_status()
    receiver.wait_for(3)
    assert told(receiver)[2:] == ["Maintenance of Shop is over: Vacuum"]
    daemon.stop()
    daemon.start()
    assert daemon.metric("healthd_maintenance_active", system="shop") == 0
    assert len(receiver.requests) == 3


def test_an_incident_of_two_checks_is_quiet_while_both_are(
    new_daemon: NewDaemon, stock: Path, receiver: Receiver
) -> None:
    (stock / "more.log").write_text("1")
    extra = (
        f"  - {{name: more, every: 1s, severity: SEV1, playbook: p, probe: {{type: files, glob: '{stock}/*.log'}},"
        " thresholds: {measure: count, critical: '< 1'}}\nplaybooks: {p: {title: Restock}}\n"
    )
    grouped = CATALOGUE.replace("FOLDER", str(stock)).replace("severity: SEV1\n", "severity: SEV1\n    playbook: p\n")
    daemon = new_daemon(grouped + extra, webhook_url=receiver.url, webhook_secret=SECRET).start()
    body = {"matchers": ["stock"], "reason": "known", "duration": "1h"}
    daemon.http.post("/api/v1/silences", json=body).raise_for_status()
    (stock / "stock.txt").unlink()
    assert incident(daemon)["quiet"]
    assert told(receiver) == []
    (stock / "more.log").unlink()  # joins, and nobody silenced it
    receiver.wait_for(1)
    assert told(receiver)[0] == "firing"
    (stock / "more.log").write_text("1")
    daemon.until(lambda: incident(daemon)["quiet"], what="quiet again")
