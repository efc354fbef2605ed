"""The body of a message: complete, JSON-able, redacted, bounded."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from healthd.model.catalogue import Playbook, Severity
from healthd.model.outcomes import Evidence, Level, Verdict
from healthd.model.redact import Redactor
from healthd.model.units import Unit
from healthd.notify import compose_test
from tests.factories import make_check
from tests.telling import AT, LATENCY, make_body, make_incident, make_system

CHECK_KEYS = {"id", "name", "title", "url", "runbook_url", "description", "labels", "source"}
INCIDENT_KEYS = {
    "id", "key", "url", "title", "severity", "level", "opened_at", "resolved_at", "reason", "acknowledged_by",
    "reopened", "merged_into",
}  # fmt: skip
VALUE_KEYS = {
    "measure", "series", "value", "text", "unit", "level", "limit", "target", "acceptable", "warning", "critical",
}  # fmt: skip


def test_holds_exactly_the_documented_keys() -> None:
    body = make_body()
    assert set(body) == {
        "event", "incident", "system", "check", "values", "evidence", "playbook", "suppressed", "at", "pagerduty",
        "diagnosis", "update", "members", "first_step", "lead",
    }  # fmt: skip
    assert set(body["incident"]) == INCIDENT_KEYS
    assert set(body["check"]) == CHECK_KEYS
    assert set(body["values"][0]) == VALUE_KEYS
    assert set(body["playbook"]) == {
        "name", "title", "url", "likely_cause", "symptoms", "diagnostics", "remediation",
    }  # fmt: skip
    assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_a_test_message_has_the_same_keys() -> None:
    message = compose_test("team", AT, "https://healthd.example")
    assert set(message.body) == set(make_body())
    assert set(message.body["incident"]) == INCIDENT_KEYS
    assert set(message.body["check"]) == CHECK_KEYS
    assert (message.channel, message.event) == ("team", "test")


def test_values_stand_beside_the_limits_as_written() -> None:
    value = make_body()["values"][0]
    assert value == {
        "measure": "latency",
        "series": "",
        "value": 1.2,
        "text": "1.2s",
        "unit": "seconds",
        "level": "critical",
        "limit": ">= 1s",
        "target": "< 200ms",
        "acceptable": "",
        "warning": ">= 500ms",
        "critical": ">= 1s",
    }


def test_worst_values_come_first_and_equals_keep_their_order() -> None:
    levels = [Level.OK, Level.WARNING, Level.UNKNOWN, Level.CRITICAL, Level.WARNING]
    verdicts = [Verdict("latency", "latency", f"s{i}", 1.0, Unit.SECONDS, level) for i, level in enumerate(levels)]
    assert [v["series"] for v in make_body(verdicts=verdicts)["values"]] == ["s3", "s1", "s4", "s2", "s0"]


@pytest.mark.parametrize(("value", "text"), [(float("nan"), "nan"), (float("inf"), "inf"), (None, "missing")])
def test_values_json_cannot_hold_are_null_with_a_text(value: float | None, text: str) -> None:
    verdict = Verdict("latency", "latency", "", value, Unit.SECONDS, Level.UNKNOWN)
    shown = make_body(verdicts=(verdict,))["values"][0]
    assert (shown["value"], shown["text"]) == (None, text)


def test_a_verdict_whose_row_is_gone_has_no_limits() -> None:
    shown = make_body(verdicts=(Verdict("other", "other", "", "down", None, Level.CRITICAL, "= up"),))["values"][0]
    assert (shown["text"], shown["limit"], shown["critical"]) == ("down", "= up", "")


def test_links_need_a_public_address() -> None:
    body = make_body(public_url="https://healthd.example/")
    assert body["incident"]["url"] == "https://healthd.example/incidents/INC-20260102-150405-abc123"
    assert body["check"]["url"] == "https://healthd.example/checks/shop/web"
    assert make_body(public_url="")["incident"]["url"] == ""


def test_times_are_utc_whatever_their_zone() -> None:
    local = datetime(2026, 7, 1, 12, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    ended = datetime(2026, 7, 1, 12, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2)))
    body = make_body(at=local, incident=make_incident(resolved_at=ended))
    assert body["at"] == "2026-07-01T10:00:00Z"
    assert body["incident"]["resolved_at"] == "2026-07-01T10:00:00.250Z"


@pytest.mark.parametrize(("severity", "expected"), [("SEV1", "critical"), ("SEV9", "error")])
def test_pagerduty_severity_follows_the_systems_scale(severity: str, expected: str) -> None:
    system = make_system(severities={"SEV1": Severity("SEV1", 1, pagerduty="critical")})
    assert make_body(system=system, incident=make_incident(severity=severity))["pagerduty"] == expected


def test_secrets_are_redacted_everywhere_but_in_the_identifiers() -> None:
    secret = "hunter2-abc123"
    body = make_body(
        incident=make_incident(key="healthd/hunter2-abc123/x", title=f"t {secret}", reason=f"r {secret}"),
        check=make_check(thresholds=(LATENCY,), description=secret, labels={"a": secret}, runbook_url=f"x{secret}"),
        verdicts=(Verdict("latency", "latency", secret, secret, None, Level.CRITICAL, ">= 1s"),),
        evidence=(Evidence(secret, f"password={secret}"),),
        playbook=Playbook("p", secret, likely_cause=secret),
        redact=Redactor([secret]),
    )
    assert body["incident"].pop("key") == "healthd/hunter2-abc123/x"  # what finds its incident again stays whole
    assert secret not in json.dumps(body)


def test_texts_are_cleaned_of_what_cannot_be_shown() -> None:
    body = make_body(evidence=(Evidence("log", "\x1b[31mred\x1b[0m\x00 \ud800 a\r\nb\tc"),))
    assert body["evidence"][0]["text"] == "red  a\nb\tc"
    json.dumps(body, ensure_ascii=False).encode()


def test_a_wild_check_cannot_write_a_wild_message() -> None:
    verdicts = [Verdict("latency", "latency", f"pod-{i}", 1.0, Unit.SECONDS, Level.CRITICAL) for i in range(5000)]
    body = make_body(
        verdicts=verdicts,
        evidence=[Evidence("log", "x" * 1_000_000)] * 100,
        suppressed=[f"shop/c{i}" for i in range(5000)],
    )
    assert len(json.dumps(body)) < 100_000
