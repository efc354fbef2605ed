"""Incidents, message bodies and messages for tests of telling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from healthd.model.catalogue import Playbook, Severity, Step, System, Threshold
from healthd.model.conditions import parse_condition
from healthd.model.incidents import Incident, Message
from healthd.model.outcomes import Evidence, Level, Verdict
from healthd.model.units import Unit
from healthd.notify import Body, compose
from tests.factories import UTC_ZONE, make_check

AT = datetime(2026, 1, 2, 15, 4, 5, tzinfo=UTC)
LATENCY = Threshold(
    measure="latency",
    target=parse_condition("< 200ms"),
    warning=parse_condition(">= 500ms"),
    critical=parse_condition(">= 1s"),
    unit=Unit.SECONDS,
)
PLAYBOOK = Playbook(
    name="web-slow",
    title="The shop is slow",
    url="https://runbook.example/web-slow",
    likely_cause="the cache is cold",
    symptoms=("pages take long",),
    diagnostics=(Step("Look at the cache", "redis-cli info memory"),),
    remediation=(Step("Warm the cache", 'curl "http://127.0.0.1/warm?a=1&b=2" > /dev/null', when="after a restart"),),
)


def make_incident(**overrides: Any) -> Incident:
    fields: dict[str, Any] = {
        "id": "INC-20260102-150405-abc123",
        "key": "healthd/shop/web/INC-20260102-150405-abc123",
        "system": "shop",
        "check_id": "shop/web",
        "title": "Shop front is slow",
        "severity": "SEV2",
        "level": Level.CRITICAL,
        "opened_at": AT - timedelta(minutes=5),
        "reason": "latency 1.2s >= 1s",
    }
    return Incident(**{**fields, **overrides})


def make_system(**overrides: Any) -> System:
    fields: dict[str, Any] = {
        "name": "shop",
        "title": "The Shop",
        "zone": UTC_ZONE,
        "severities": {"SEV2": Severity("SEV2", 2, pagerduty="critical")},
        "cadences": {},
        "playbooks": {},
        "checks": (),
    }
    return System(**{**fields, **overrides})


def make_body(**overrides: Any) -> Body:
    """The body of a message about a slow web server, with anything `compose` takes overridden."""
    verdict = Verdict("latency", "latency", "", 1.2, Unit.SECONDS, Level.CRITICAL, ">= 1s")
    arguments: dict[str, Any] = {
        "event": "firing",
        "incident": make_incident(),
        "check": make_check(thresholds=(LATENCY,), runbook_url="https://runbook.example/shop"),
        "system": make_system(),
        "verdicts": (verdict,),
        "evidence": (Evidence("Answer", "HTTP/1.1 200 OK"),),
        "playbook": PLAYBOOK,
        "suppressed": ("shop/basket",),
        "public_url": "https://healthd.example/",
        "at": AT,
        "redact": str,
    }
    return compose(**{**arguments, **overrides})


def make_message(
    message_id: str = "INC-1-1-team",
    channel: str = "team",
    group: str = "INC-1",
    event: str = "firing",
    created_at: datetime | None = None,
    **body: Any,
) -> Message:
    return Message(message_id, channel, group, event, created_at or AT, make_body(event=event, **body))
