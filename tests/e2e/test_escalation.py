"""Nobody answers: the chain, the clocks, the updates; acknowledged, restarted, silenced."""

from __future__ import annotations

import json
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
    daemon = new_daemon(shop(receiver, "{response: 1s}", "3s", "1h", port)).start()
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
    audited = [(e["actor"], e["action"]) for e in daemon.get("/api/v1/audit")["entries"]]
    assert audited.count(("healthd", "incident.escalated")) == 1
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
    assert ("healthd", "incident.lapsed") in [(e["actor"], e["action"]) for e in daemon.get("/api/v1/audit")["entries"]]
    assert any("acknowledged by ana" in b["update"]["text"] for b in bodies(receiver, "/desk") if b["update"])
    assert only_incident(daemon)["acknowledged_by"] == ""


def test_from_the_command_line(new_daemon: NewDaemon, receiver: Receiver) -> None:
    daemon = new_daemon(
        shop(receiver, "{response: 1s}", "2s") + "    playbook: down\n"
        "playbooks: {down: {likely_cause: a bad | day, remediation: [{title: Restart it, command: restart}]}}\n"
        "attestations: {review: {within: 48h, severities: [SEV1]}}\n"
    ).start()
    daemon.until(lambda: "l2" in kinds(receiver), what="escalated")
    incident = only_incident(daemon)["id"]

    code, text = daemon.command("incidents")
    assert (code, incident in text, "nobody" in text) == (2, True, True)
    code, text = daemon.command("incidents", "--format", "json", "--system", "shop")
    assert (code, [found["id"] for found in json.loads(text)]) == (2, [incident])
    assert daemon.command("incidents", "--system", "elsewhere") == (3, "no system 'elsewhere'\n")
    code, text = daemon.command("incident", incident)
    assert code == 2
    assert "  next l3, Manager, at 20" in text
    page = daemon.http.get(f"/incidents/{incident}").text
    assert "Told to l1, l2." in page
    assert "Next is <b>l3</b>, Manager" in page
    assert f"/api/v1/incidents/{incident}/postmortem" in page
    assert "  escalated to l2, Second level (Senior on-call, oncall-l2@shop.example)" in text
    assert "    $ restart" in text
    assert daemon.command("ack", incident, "--by", "ana")[0] == 0

    code, text = daemon.command("postmortem", incident)
    assert code == 0
    assert text.startswith("# Post-mortem: The shop answers\n")
    assert "| Escalated to | l2 |" in text
    assert "| Incident commander | ana |" in text
    assert "(1s asked for; late) |" in text
    assert "it is still open" in text
    assert "expects: a bad | day." in text
    assert "## Action items" in text
    code, text = daemon.command("postmortem", "INC-0")
    assert (code, "no incident 'INC-0'" in text) == (3, True)

    daemon.write(shop(receiver, "{}", "1h").replace("title: The shop answers", "enabled: false"))
    daemon.signal(signal.SIGHUP)
    daemon.until(lambda: not daemon.get("/api/v1/incidents?open=true")["incidents"], what="over")
    assert daemon.command("incidents") == (0, "no open incidents\n")
    assert " over since " in daemon.command("incident", incident)[1]
    assert daemon.metric("healthd_incident_resolve_seconds_count", system="shop", severity="SEV1") == 1


def test_a_storm_climbs_one_chain(new_daemon: NewDaemon, receiver: Receiver) -> None:
    port = free_port()
    many = "".join(
        f"  - {{name: web{i}, every: 1s, timeout: 900ms, probe: {{type: http, url: 'http://127.0.0.1:{port}/{i}'}},"
        " severity: SEV1}\n"
        for i in range(40)
    )
    daemon = new_daemon(shop(receiver, "{response: 5s}", "6s") + many).start()
    daemon.until(lambda: "l2" in kinds(receiver), 30, what="escalated")
    (incident,) = daemon.get("/api/v1/incidents?open=true")["incidents"]
    told = bodies(receiver, "/desk")
    assert len(told) <= 6, kinds(receiver)
    assert [b["incident"]["id"] for b in told if b["event"] == "escalated"] == [incident["id"]]
    assert len(bodies(receiver, "/phone")) == 1


def test_the_chain_stands_still_while_it_is_silenced(new_daemon: NewDaemon, receiver: Receiver) -> None:
    daemon = new_daemon(shop(receiver, "{}", "4s")).start()
    daemon.until(lambda: kinds(receiver), what="told")
    incident = only_incident(daemon)["id"]
    made = daemon.http.post(
        "/api/v1/silences", json={"matchers": ["check=shop/web"], "reason": "known", "duration": "1h", "actor": "ana"}
    )
    made.raise_for_status()

    def noted(text: str) -> list[str]:
        timeline = daemon.get(f"/api/v1/incidents/{incident}")["timeline"]
        return [e["text"] for e in timeline if e["text"].startswith(text)]

    daemon.until(lambda: noted("escalation stands still: "), what="still")
    runs = daemon.metric("healthd_check_runs_total", check="web", status="critical") or 0
    daemon.until(lambda: (daemon.metric("healthd_check_runs_total", check="web", status="critical") or 0) > runs + 3)
    assert "l2" not in kinds(receiver)
    daemon.http.post(f"/api/v1/silences/{made.json()['id']}/end").raise_for_status()
    daemon.until(lambda: noted("escalation goes on after "), what="on")
    daemon.until(lambda: "l2" in kinds(receiver), what="escalated")
