"""The API: what it answers, and that its own description of that is true."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from healthd.web.api import models, people_models
from tests.component.web.conftest import HOSTILE, Shop
from tests.e2e.daemon import Daemon

MORE = "checks:\n  - {name: more, title: More, every: 1h, severity: SEV3, probe: {type: load}}\n"


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("status", models.Status),
        ("systems", models.SystemList),
        ("checks", models.CheckList),
        ("checks/shop/api", models.CheckDetail),
        ("checks/shop/round", models.CheckDetail),
        ("checks/shop/off", models.CheckDetail),
        ("checks/shop/api/outcomes?limit=3", models.OutcomeList),
        ("checks/shop/api/history?measure=latency", models.History),
        ("incidents", models.IncidentList),
        ("schedule?until=14d", models.Schedule),
        ("silences", people_models.SilenceList),
        ("windows", people_models.WindowList),
        ("attestations", people_models.AttestationList),
        ("outbox", models.Outbox),
        ("audit", models.AuditList),
    ],
)
def test_every_answer_has_the_documented_keys_and_no_others(daemon: Daemon, path: str, shape: Any) -> None:
    answer = daemon.get(f"/api/v1/{path}")
    shape.model_validate(answer)
    documented = {field.alias or name for name, field in shape.model_fields.items()}
    assert set(answer) == documented


def test_a_check_is_described_without_its_secrets(daemon: Daemon) -> None:
    check = daemon.get("/api/v1/checks/shop/api")
    assert (check["status"], check["level"], check["interval"], check["timeout"]) == ("ok", "ok", 1.0, 0.9)
    state = next(row for row in check["thresholds"] if row["row"] == "state")
    assert (state["measure"], state["target"], state["critical"], state["for"]) == ("state", "= ready", "!= ready", 0.0)
    assert check["covers"] == ["shop-operations/daily-1"]
    assert {v["measure"]: v["level"] for v in check["verdicts"]}["state"] == "ok"
    assert check["parameters"]["url"].endswith("/health")
    assert "hunter2secret" not in json.dumps(check)
    assert "sk-topsecret" not in json.dumps(check)


def test_what_has_not_run_waits_and_what_is_off_is_disabled(daemon: Daemon) -> None:
    statuses = {c["name"]: c["status"] for c in daemon.get("/api/v1/checks")["checks"]}
    del statuses["drill"]  # run by hand in another test
    assert statuses == {"api": "ok", "cart": "ok", "pods": "ok", "round": "waiting", "off": "disabled"}
    counts = daemon.get("/api/v1/status")["counts"]
    assert (counts["critical"], counts["disabled"], sum(counts.values())) == (0, 1, 6)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status=disabled", ["off"]),
        ("status=problem", []),
        ("cadence=morning", ["round"]),
        ("q=CART", ["cart"]),
        ("system=shop&limit=2", ["api", "cart"]),
        ("after=shop/cart", ["drill", "off", "pods", "round"]),
    ],
)
def test_checks_are_filtered_and_paged(daemon: Daemon, query: str, names: list[str]) -> None:
    answer = daemon.get(f"/api/v1/checks?{query}")
    assert [c["name"] for c in answer["checks"]] == names
    assert answer["next"] == ("shop/cart" if "limit" in query else "")


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("checks?sytem=shop", 400, "did you mean system?"),
        ("outbox?x=1", 400, "it takes none"),
        ("checks?status=bad", 400, "critical, warning"),
        ("checks?limit=0", 400, "limit"),
        ("checks?limit=many", 400, "limit"),
        ("checks?system=shoop", 404, "did you mean shop?"),
        ("checks/shop/apy", 404, "did you mean shop/api"),
        ("checks/shop/api/outcomes?since=yesterday", 400, "2026-01-02T15:04:05Z"),
        ("checks/shop/api/history", 400, "measure"),
        ("checks/shop/api/history?measure=latencie", 404, "did you mean latency?"),
        ("schedule?until=soon", 400, "until"),
        ("incidents/INC-none", 404, "no incident"),
        ("nothing", 404, "not found"),
        ("incidents?before=%00", 400, "not a time"),
        ("incidents?before=", 400, "not a time"),
        ("incidents?after=yesterday", 400, "after"),
        ("incidents/INC-%00%ff", 404, "no incident"),
        ("checks?system=%00", 404, "no system"),
        ("nothing/at%2Fall/%00/%ff/" + "x" * 5_000, 404, "not found"),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(daemon: Daemon, path: str, status: int, words: str) -> None:
    answer = daemon.http.get(f"/api/v1/{path}")
    assert answer.status_code == status
    body = answer.json()
    assert set(body) <= {"type", "title", "status", "detail", "error", "hint"}
    assert words in body["error"] + body.get("hint", "")


def test_outcomes_are_paged_by_their_times(daemon: Daemon) -> None:
    daemon.until(lambda: len(daemon.get("/api/v1/checks/shop/api/outcomes")["outcomes"]) >= 3, what="three runs")
    newest = daemon.get("/api/v1/checks/shop/api/outcomes?limit=3")["outcomes"]
    times = [o["started"] for o in newest]
    assert times == sorted(times, reverse=True)
    earlier = daemon.get(f"/api/v1/checks/shop/api/outcomes?limit=1&before={times[0]}")["outcomes"]
    assert earlier[0]["started"] == times[1]
    later = daemon.get(f"/api/v1/checks/shop/api/outcomes?since={times[1]}")["outcomes"]
    assert times[2] not in [o["started"] for o in later]


@pytest.mark.parametrize(
    ("path", "key", "id_"),
    [
        ("checks/shop/api/outcomes", "outcomes", "started"),
        ("checks", "checks", "id"),
        ("schedule?until=30d", "runs", "at"),
        ("audit", "entries", "number"),
    ],
)
def test_a_list_is_read_to_its_end_by_what_is_next(daemon: Daemon, path: str, key: str, id_: str) -> None:
    daemon.until(lambda: len(daemon.get("/api/v1/checks/shop/api/outcomes")["outcomes"]) >= 3, what="three runs")
    for _ in range(3):
        daemon.http.post("/api/v1/checks/shop/drill/run").raise_for_status()
    join = "&" if "?" in path else "?"
    first = daemon.get(f"/api/v1/{path}{join}limit=2")
    found, answer = first[key], first
    for _ in range(20):
        if not answer["next"]:
            break
        answer = daemon.get(f"/api/v1/{path}{join}limit=2&after={answer['next']}")
        assert 1 <= len(answer[key]) <= 2
        found += answer[key]
    whole = [entry[id_] for entry in daemon.get(f"/api/v1/{path}{join}limit=500")[key]]
    read = [entry[id_] for entry in found]
    assert read == whole[-len(whole) :][whole.index(read[0]) :][: len(read)]
    assert len(set(read)) == len(read) > 2


def test_what_has_not_changed_is_not_sent_again(daemon: Daemon) -> None:
    whole = daemon.http.get("/api/v1/systems")
    tag = whole.headers["ETag"]
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = daemon.http.get("/api/v1/systems", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert daemon.http.get("/api/v1/systems", headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/silences", "GET, POST, HEAD, OPTIONS"),
        ("/api/v1/silences/SIL-1", "GET, HEAD, OPTIONS"),
        ("/api/v1/checks/shop/api/run", "POST, OPTIONS"),
        ("/-/reload", "POST, PUT, OPTIONS"),
        ("/silences", "GET, POST, HEAD, OPTIONS"),
        ("/static/healthd.css", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_path_says_all_that_it_may_be_asked(stranger: httpx.Client, path: str, allowed: str) -> None:
    refused = stranger.delete(path)
    assert (refused.status_code, refused.headers["Allow"]) == (405, allowed)
    asked = stranger.options(path)
    assert (asked.status_code, asked.headers["Allow"], asked.content) == (204, allowed, b"")


@pytest.mark.parametrize("path", ["/api", "/api/v2", "/api/v2/checks", "/api/v1", "/badge/shop.svg", "/hooks/none"])
def test_programs_are_told_in_json_what_there_is_not(stranger: httpx.Client, path: str) -> None:
    answer = stranger.get(path, follow_redirects=True)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["status"] == 404


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"ends_at": "2020-01-01T00:00:00Z"}, 409, "ends before it starts"),
        ({"starts_at": "2020-01-01T00:00:00Z", "duration": "1h"}, 409, "over already"),
        ({"starts_at": "9999-12-31T23:59:60Z", "duration": "2w"}, 409, "ends before it starts"),
        ({"duration": "300d", "system": "shoop"}, 404, "did you mean shop?"),
        ({"duration": "1h", "except_severities": ["SEV9"]}, 404, "there is SEV1, SEV3"),
        ({"duration": "300d"}, 409, "longer than 31 days"),
        ({"duration": "1h", "reason": "\u200b \u0000"}, 400, "a reason is needed"),
        ({"duration": "soon"}, 400, "write it like 90s, 2h, 1h30m or 7d"),
    ],
)
def test_maintenance_that_cannot_be_is_refused_by_what_is_wrong_with_it(
    daemon: Daemon, body: dict[str, Any], status: int, words: str
) -> None:
    answer = daemon.http.post("/api/v1/windows", json={"system": "shop", "reason": "r", **body})
    assert (answer.status_code, words in answer.text) == (status, True), answer.text


def test_what_is_made_says_where_it_is(daemon: Daemon, stranger: httpx.Client) -> None:
    silence = {"matchers": ["check=nothing/here"], "reason": "\ue000", "duration": "1h"}  # a letter nobody knows
    window = {"system": "healthd", "reason": "r", "starts_at": "2030-01-01T00:00:00Z", "duration": "1h"}
    for path, body, end in (("silences", silence, "expired"), ("windows", window, "called off")):
        made = daemon.http.post(f"/api/v1/{path}", json=body)
        assert made.status_code == 201, made.text
        where = made.headers["Location"]
        assert stranger.get(where).json() == made.json()
        assert stranger.post(f"{where}/end").status_code == 401
        assert daemon.http.post(f"{where}/end", json={"actor": "ada"}).json()["state"] == end
        assert stranger.get(where).json()["ended_by"] == "ada"
        assert daemon.http.post(f"{where}/end").status_code == 409


def test_history_is_in_base_units(daemon: Daemon) -> None:
    history = daemon.get("/api/v1/checks/shop/pods/history?measure=value&points=5")
    assert history["unit"] == "ratio"
    assert history["points"][-1]["maximum"] == pytest.approx(0.3)  # the worst of the two pods
    series = f"pod-{HOSTILE}-0"
    one = daemon.http.get("/api/v1/checks/shop/pods/history", params={"measure": "value", "series": series}).json()
    assert one["points"][-1]["maximum"] == pytest.approx(0.2)


def test_an_incident_is_acknowledged_once_it_is_open_and_not_when_it_is_over(
    daemon: Daemon, shop: Shop, broken: str
) -> None:
    detail = daemon.get(f"/api/v1/incidents/{broken}")
    models.IncidentDetail.model_validate(detail)
    assert (detail["open"], detail["severity"], detail["check"]) == (True, "SEV1", "shop/api")
    answer = daemon.http.post(
        f"/api/v1/incidents/{broken}/acknowledge", json={"actor": "  ada\n\x00 lovelace ", "note": "on\r\nit"}
    )
    assert answer.status_code == 200
    assert answer.json()["acknowledged_by"] == "ada lovelace"
    timeline = daemon.get(f"/api/v1/incidents/{broken}")["timeline"]
    assert [entry["kind"] for entry in timeline] == ["opened", "acknowledged"]
    assert timeline[1]["text"] == "acknowledged by ada lovelace: on it"
    newest = daemon.get("/api/v1/audit?limit=1")["entries"][0]
    assert (newest["actor"], newest["action"], newest["target"]) == ("ada lovelace", "acknowledge", broken)
    shop.state = "ready"
    daemon.until(lambda: not daemon.get(f"/api/v1/incidents/{broken}")["open"], what="resolved")
    late = daemon.http.post(f"/api/v1/incidents/{broken}/acknowledge")
    assert late.status_code == 409
    assert "over already" in late.json()["error"]
    assert daemon.http.post("/api/v1/incidents/INC-none/acknowledge").status_code == 404
    assert daemon.get("/api/v1/incidents?open=false&check=shop/api")["incidents"][0]["id"] == broken


def test_a_check_is_run_now_and_recorded(daemon: Daemon) -> None:
    before = datetime.now(UTC)
    answer = daemon.http.post("/api/v1/checks/shop/drill/run", json={"actor": "ada"})
    assert answer.status_code == 200
    outcome = answer.json()
    models.Outcome.model_validate(outcome)
    assert (outcome["check"], outcome["level"], outcome["trigger"]) == ("shop/drill", "ok", "manual")
    assert datetime.fromisoformat(outcome["started"]) >= before - timedelta(milliseconds=1)
    assert daemon.get("/api/v1/checks/shop/drill/outcomes")["outcomes"][0] == outcome
    assert daemon.http.post("/api/v1/checks/shop/none/run").status_code == 404


def test_a_reload_says_what_changed_or_everything_that_is_wrong(daemon: Daemon) -> None:
    good = (daemon.system / "system.yaml").read_text()
    try:
        daemon.write(MORE, "more.yaml")
        assert daemon.http.post("/-/reload").json() == {"added": 1, "changed": 0, "removed": 0}
        daemon.write(good.replace("every: 1m", "evry: 1m").replace("type: prometheus", "type: promtheus"))
        answer = daemon.http.post("/-/reload")
        assert answer.status_code == 422
        problems = answer.json()["problems"]
        assert len(problems) == 2
        assert all("system.yaml:" in problem for problem in problems)
        assert daemon.get("/api/v1/status")["reload_problem"] == problems[0]
        assert "The changed catalogue was refused" in daemon.http.get("/").text
    finally:
        daemon.write(good)
        (daemon.system / "more.yaml").unlink(missing_ok=True)
    answer = daemon.http.post("/-/reload", json={"actor": "ada"})
    assert answer.json() == {"added": 0, "changed": 0, "removed": 1}
    assert daemon.get("/api/v1/status")["reload_problem"] == ""
    assert any(e["action"] == "reload" and e["actor"] == "ada" for e in daemon.get("/api/v1/audit")["entries"])


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "the body is no JSON: "),
        (b"[]", 400, "body: "),
        (b'{"actor": 5}', 400, "actor: "),
        (b'{"who": "ada"}', 400, "who: "),
        (b"\xff\xfe", 400, "the body is no JSON: "),
        (b'{"note": "' + b"x" * 140_000 + b'"}', 413, "the request's body is larger"),
    ],
)
def test_bodies_that_are_no_request_are_refused(daemon: Daemon, body: bytes, status: int, said: str) -> None:
    answer = daemon.http.post(
        "/api/v1/checks/shop/drill/run", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status
    assert answer.json()["error"].startswith(said)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_a_body_that_is_not_said_to_be_json_is_refused_with_what_to_say(daemon: Daemon, kind: str) -> None:
    answer = daemon.http.post("/api/v1/reload", content=b'{"actor": "ada"}', headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["hint"]) == (415, "send Content-Type: application/json")


def test_a_body_without_a_length_is_bounded_too(daemon: Daemon) -> None:
    def endless() -> Any:
        for _ in range(1_000):
            yield b'{"note": "' + b"x" * 1_000

    answer = daemon.http.post("/-/reload", content=endless())
    assert answer.status_code == 413


def test_its_description_names_no_foreign_host_and_every_operation(daemon: Daemon, stranger: httpx.Client) -> None:
    document = stranger.get("/api/openapi.json").json()
    page = stranger.get("/api/docs")
    assert page.status_code == 200
    assert "http://" not in page.text.replace(daemon.url, "")
    assert "https://" not in page.text
    for path in document["paths"]:
        assert f"/api{path}" in page.text
    assert document["paths"].keys() >= {"/v1/checks", "/v1/incidents", "/v1/reports", "/v1/availability", "/v1/status"}


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/healthz", "/readyz", "/api/v1/status", "/checks/shop/api", "/api/docs"]
)
def test_head_is_answered_like_get_without_a_body(stranger: httpx.Client, path: str) -> None:
    answer = stranger.head(path)
    assert answer.status_code == 200
    assert answer.content == b""
    assert int(answer.headers["content-length"]) > 0


def test_what_asks_for_gzip_gets_it(daemon: Daemon) -> None:
    packed = daemon.http.get("/metrics", headers={"Accept-Encoding": "gzip"})
    plain = daemon.http.get("/metrics", headers={"Accept-Encoding": "gzip;q=0"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert "# HELP healthd_check_status" in packed.text
    assert "# HELP healthd_check_status" in plain.text
