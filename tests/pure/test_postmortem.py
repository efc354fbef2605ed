"""A post-mortem begun."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from healthd.incidents.postmortem import Facts, draft
from healthd.model.catalogue import Playbook, Severity, Source
from healthd.model.incidents import Member, TimelineEntry
from healthd.model.outcomes import Level
from healthd.model.runbook import EscalationLevel, Runbook
from tests.factories import make_check
from tests.telling import make_incident, make_system

OPENED = datetime(2026, 3, 2, 22, 50, tzinfo=UTC)
HERE = Source("checks/shop/people.yaml", 1)


def at(minutes: float) -> datetime:
    return OPENED + timedelta(minutes=minutes)


def facts(**changes: object) -> Facts:
    incident = make_incident(
        id="INC-1", title="Shop | front", severity="SEV1", opened_at=OPENED, resolved_at=at(75), playbook="down",
        acknowledged_at=at(20), acknowledged_by="ana", reason="connection refused",
        details={
            "acknowledged_since": at(20).isoformat(),
            "clocks": {"since": OPENED.isoformat(), "levels": ["l1", "l2"], "late": ["SEV1"]},
            "diagnosis": {
                "findings": [{"title": "Memory", "level": "critical", "text": "Redis uses 97%", "command": ""}],
                "results": [{
                    "title": "Memory", "level": "critical", "text": "ratio 97%", "evidence": "```\nused\n```",
                    "command": "", "error": "",
                }],
            },
        },
    )  # fmt: skip
    chain = (
        EscalationLevel("l1", "First", HERE, after={"SEV1": timedelta(0)}),
        EscalationLevel("l2", "Second", HERE, after={"SEV1": timedelta(minutes=15)}),
    )
    system = make_system(
        zone=ZoneInfo("Europe/Berlin"),
        playbooks={"down": Playbook("down", "The shop is down", likely_cause="the cache")},
        runbook=Runbook(escalation=chain),
    )
    seen = {
        "values": [{"measure": "up", "series": "", "text": "0", "level": "critical", "limit": "= 0"}],
        "evidence": [{"title": "Answer", "text": "refused"}],
    }
    members = (
        Member("INC-1", "shop/web", Level.OK, "SEV1", OPENED, "connection refused", Level.CRITICAL, at(75), seen),
        Member("INC-1", "shop/gone", Level.WARNING, "SEV1", at(1), "a | b", Level.WARNING),
    )
    timeline = (
        TimelineEntry("INC-1", OPENED, "opened", "opened as SEV1: connection refused"),
        TimelineEntry("INC-1", at(20), "acknowledged", "acknowledged by ana: looking", "ana"),
        TimelineEntry("INC-1", at(75), "resolved", "resolved after 1h 15m: Shop front is back in order"),
    )
    severity = Severity("SEV1", 1, "Nobody can buy", response=timedelta(minutes=15))
    checks = {"shop/web": make_check(title="The shop answers")}
    made = Facts(incident, system, severity, members, timeline, checks, "https://healthd.example/incidents/INC-1")
    return replace(made, **changes)  # type: ignore[arg-type]


def test_all_that_is_known_is_filled_in() -> None:
    text = draft(facts(within=timedelta(hours=48)))
    for line in (
        "# Post-mortem: Shop | front",
        "| Incident | [INC-1](https://healthd.example/incidents/INC-1) |",
        "| Severity | SEV1: Nobody can buy |",
        "| Date | 2026-03-02 |",
        "| Time | 23:50:00 to 2026-03-03 01:05:00 (Europe/Berlin) |",
        "| Duration | 1h 15m |",
        "| Time to acknowledge | 20m (15m asked for; late) |",
        "| Escalated to | l2 |",
        "| Incident commander | ana |",
        "| Post-mortem due | 2026-03-05 01:05 |",
        "| The shop answers (`shop/web`) | critical | 23:50:00 | 2026-03-03 01:05:00 | connection refused |",
        "| `shop/gone` | warning | 23:51:00 | still fails | a \\| b |",
        "| 2026-03-03 00:10:00 | acknowledged by ana: looking | ana |",
        "- Redis uses 97%",
        "What its playbook, The shop is down, expects: the cache.",
        "up: 0 (critical, limit = 0)",
        "**Answer (shop/web)**",
        "## Where there was luck",
        "| action | owner | until | status |",
    ):
        assert line in text.splitlines(), line


def test_what_was_before_it_was_reopened_counts() -> None:
    made = facts()
    again = replace(
        made.incident, resolved_at=at(90), reopened=1, reopened_at=at(80), acknowledged_at=None, acknowledged_by="",
        details={"clocks": {"since": at(80).isoformat(), "levels": ["l1"], "late": []}},
    )  # fmt: skip
    timeline = (
        *made.timeline[:1],
        TimelineEntry("INC-1", at(15), "unanswered", "nobody has acknowledged it within 15m (SEV1)"),
        TimelineEntry("INC-1", at(15), "escalated", "escalated to l2, Second: not acknowledged for 15m"),
        *made.timeline[1:],
        TimelineEntry("INC-1", at(80), "reopened", "reopened as SEV1"),
    )
    text = draft(replace(made, incident=again, timeline=timeline))
    for line in (
        "| Duration | 1h 30m |",
        "| Time to acknowledge | 20m (15m asked for; late) |",
        "| Time to resolve | 1h 30m |",
        "| Escalated to | l2 |",
        "| Incident commander | ana |",
    ):
        assert line in text.splitlines(), line


def test_evidence_cannot_end_its_block() -> None:
    assert "````\nratio 97%\n```\nused\n```\n````" in draft(facts())


def test_one_that_nobody_acknowledged_and_is_still_open() -> None:
    incident = make_incident(severity="SEV1", opened_at=OPENED)
    text = draft(facts(incident=incident, members=(), timeline=(), url=""))
    assert "| Time to acknowledge | never (15m asked for) |" in text
    assert "now: it is still open" in text
    assert "| Escalated to | nobody |" in text
    assert "| Incident commander | _to be filled in_ |" in text
