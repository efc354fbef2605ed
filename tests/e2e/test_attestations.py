"""Tasks people sign for: asked for, reminded, overdue, signed for, through kills of the daemon."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import NewDaemon
from tests.e2e.daemon import TOKEN, Daemon
from tests.servers.receiver import Receiver

SECRET = "whsec_" + "c2VjcmV0" * 4
CATALOGUE = """\
system: {name: shop, title: Shop}
severities: {SEV1: {}, SEV3: {}}
cadences:
  often: {every: 20s}
  yearly: {cron: "0 9 29 2 *", title: Every leap year}
attestations:
  rotate:
    {title: Secrets rotated, cadence: often, due: 8s, remind: 1s, severity: SEV3, who: security, description: npm}
  drill: {title: Restore drill, cadence: yearly, who: on-call}
"""
STOCK = """\
system: {name: shop, title: Shop}
severities: {SEV1: {}, SEV3: {}}
attestations:
  post-mortem: {title: Post-mortem written, within: 48h, severities: SEV1, who: commander}
checks:
  - name: stock
    title: Stock is there
    every: 1s
    probe: {type: files, glob: "FOLDER/*.txt"}
    thresholds: {measure: count, critical: "< 1"}
    severity: SEV1
"""


def told(receiver: Receiver) -> list[dict[str, Any]]:
    """Each message once: one that a kill kept from being noted as accepted comes again, under the same id."""
    return list({r.headers["webhook-id"]: r.json["data"] for r in receiver.requests}.values())


def notices(receiver: Receiver) -> list[dict[str, Any]]:
    return [data["notice"] for data in told(receiver) if data["event"] == "notice"]


def events(receiver: Receiver) -> list[str]:
    """Of incidents."""
    return [data["event"] for data in told(receiver) if data["event"] != "notice"]


def attest(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "healthd", "attest", *words, "--url", daemon.url],
        env=daemon.environment(), cwd=daemon.folder, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_a_task_is_asked_for_reminded_overdue_and_signed_for_through_a_kill(
    new_daemon: NewDaemon, receiver: Receiver
) -> None:
    daemon = new_daemon(
        CATALOGUE, webhook_url=receiver.url, webhook_secret=SECRET, public_url="https://healthd.example"
    ).start()  # fmt: skip
    daemon.until(lambda: daemon.metric("healthd_check_status", check="rotate") == 0, what="in order")
    receiver.wait_for(2, timeout=60)
    first, second = notices(receiver)[:2]
    assert (first["title"], second["title"]) == ("To be done: Secrets rotated", "Still to be done: Secrets rotated")
    asked = daemon.get("/api/v1/attestations")["attestations"][0]
    assert first["url"] == f"https://healthd.example/attestations/{asked['id']}"
    assert (asked["state"], asked["who"], asked["check"]) == ("due", "security", "shop/rotate")
    daemon.kill()
    daemon.start()
    daemon.until(lambda: "firing" in events(receiver), what="overdue")
    [incident] = daemon.get("/api/v1/incidents?open=true")["incidents"]
    assert (incident["check"], incident["severity"], incident["level"]) == ("shop/rotate", "SEV3", "warning")
    assert "nobody has signed for it" in incident["reason"]
    assert daemon.metric("healthd_check_status", check="rotate") == 1
    assert "Secrets rotated" in daemon.http.get("/attestations").text

    given = attest(daemon, "rotate", "--note", "took a minute", "--link", "https://wiki.example/7", "--by", "ada")
    assert given.returncode == 0, given.stderr
    assert given.stdout.strip().endswith("shop/rotate signed by ada, late")
    daemon.until(lambda: "resolved" in events(receiver), what="told to be over")
    closed = daemon.get("/api/v1/attestations?state=given")["attestations"]
    assert [(a["given_by"], a["note"], a["link"], a["late"]) for a in closed] == [
        ("ada", "took a minute", "https://wiki.example/7", True)
    ]
    page = daemon.http.get(f"/attestations/{closed[0]['id']}").text
    assert "signed by <b>ada</b>" in page
    assert "took a minute" in page
    assert ("ada", "attest") in [(e["actor"], e["action"]) for e in daemon.get("/api/v1/audit")["entries"]]
    ids = [notice["id"] for notice in notices(receiver)]
    assert len(ids) == len(set(ids))


def test_a_postmortem_is_asked_for_once_after_an_incident_of_that_severity_and_found_again_after_a_kill(
    new_daemon: NewDaemon, receiver: Receiver, tmp_path: Path
) -> None:
    stock = tmp_path / "stock.txt"
    stock.write_text("1")
    daemon = new_daemon(
        STOCK.replace("FOLDER", str(tmp_path)), webhook_url=receiver.url, webhook_secret=SECRET
    ).start()  # fmt: skip
    daemon.until(lambda: daemon.metric("healthd_check_status", check="stock") == 0, what="in order")
    stock.unlink()
    [incident] = daemon.until(lambda: daemon.get("/api/v1/incidents?open=true")["incidents"], what="an incident")
    stock.write_text("1")
    daemon.until(lambda: "resolved" in events(receiver), what="over")
    daemon.kill()  # perhaps before it was asked for: it is, then, after the start
    daemon.start()
    daemon.until(lambda: notices(receiver), what="asked for")
    [notice] = notices(receiver)
    assert (notice["kind"], notice["title"]) == ("postmortem", "To be done: Post-mortem written: Stock is there")
    assert f"healthd postmortem {incident['id']}" in notice["text"]
    first_due = daemon.get("/api/v1/attestations")["attestations"][0]["due_by"]
    stock.unlink()
    daemon.until(lambda: "reopened" in events(receiver), what="fires again")
    stock.write_text("1")
    daemon.until(lambda: events(receiver).count("resolved") == 2, what="over again")
    daemon.until(lambda: daemon.get("/api/v1/attestations")["attestations"][0]["due_by"] > first_due, what="due later")
    [asked] = daemon.get("/api/v1/attestations")["attestations"]
    assert asked["incident"] == incident["id"]
    given = attest(daemon, asked["id"], "--by", "bob")
    assert given.stdout.strip() == f"{asked['id']}: shop/post-mortem signed by bob"
    taken = attest(daemon, asked["id"], "--withdraw", "the wrong draft", "--by", "ada")
    assert taken.stdout.strip() == f"{asked['id']}: withdrawn by ada; shop/post-mortem is due"
    assert daemon.get(f"/api/v1/attestations/{asked['id']}")["withdrawn"][0]["reason"] == "the wrong draft"
    daemon.stop()
    daemon.start()
    assert daemon.http.post("/api/v1/attestations/post-mortem").status_code == 200
    assert len(notices(receiver)) == 1


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that asks for nothing while the tests run."""
    daemon = Daemon(tmp_path_factory.mktemp("calm"), CATALOGUE.replace("every: 20s", "every: 9000h"))
    daemon.start()
    yield daemon
    daemon.kill()
    daemon.http.close()


@pytest.mark.parametrize(
    ("name", "body", "status", "said"),
    [
        ("shop/dril", {}, 404, "did you mean shop/drill"),
        ("ATT-none", {}, 404, "no attestation 'ATT-none'"),
        ("shop/drill", {}, 409, "shop/drill is not asked for now"),
        ("drill", {"link": "javascript:alert(1)"}, 400, "link: not a web address"),
        ("drill", {"by": "ada"}, 400, "by: "),
    ],
)
def test_what_cannot_be_signed_for_is_refused_with_a_sentence(
    calm: Daemon, name: str, body: dict[str, Any], status: int, said: str
) -> None:
    answer = calm.http.post(f"/api/v1/attestations/{name}", json=body)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


def test_without_the_token_nothing_is_signed_for(calm: Daemon) -> None:
    answer = calm.http.post("/api/v1/attestations/drill", headers={"Authorization": f"Bearer x{TOKEN}"})
    assert answer.status_code == 401


def test_tasks_stand_in_lists_and_schedules_as_what_they_are(calm: Daemon) -> None:
    page = calm.http.get("/attestations").text
    assert "Nothing waits to be signed for." in page
    assert "Restore drill" in page
    calm.until(lambda: calm.metric("healthd_check_status", check="drill") == 0, what="in order")
    assert calm.get("/api/v1/checks/shop/drill")["probe"] == "attestation"
    assert calm.http.get("/checks/shop/drill").status_code == 200
    assert calm.metric("healthd_catalogue_checks", system="shop") == 0
    listed = subprocess.run(
        [sys.executable, "-m", "healthd", "next", "--until", "1500d", "--checks", str(calm.folder / "checks")],
        env=calm.environment(), cwd=calm.folder, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert "shop/drill" in listed.stdout
