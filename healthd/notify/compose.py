"""Writing the body of a message: everything a channel may want to show, as plain data, redacted and bounded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from healthd.model.catalogue import Check, Playbook, Severity, Step, System
from healthd.model.incidents import Incident, Message
from healthd.model.inert import UNPRINTABLE
from healthd.model.outcomes import Evidence, Verdict
from healthd.model.times import rfc3339
from healthd.model.units import format_value
from healthd.notify.lead import first_step, lead
from healthd.notify.message import Body

# A message waits in the database and is sent many times: these keep a wild check from writing a wild one.
MAX_VALUES = 50
MAX_EVIDENCE = 10
MAX_SUPPRESSED = 200
MAX_STEPS = 20
MAX_TEXT = 4000

# Escape sequences and control characters (but tab and line feed), which no receiver shows and some refuse.


def compose(
    *,
    event: str,
    incident: Incident,
    check: Check,
    system: System,
    verdicts: Sequence[Verdict],
    evidence: Sequence[Evidence],
    playbook: Playbook | None,
    suppressed: Sequence[str],
    public_url: str,
    at: datetime,
    redact: Callable[[str], str],
    update: Mapping[str, Any] | None = None,
    members: Mapping[str, Any] | None = None,
) -> Body:
    """The body of a message about `incident` (keys: see message.py). Pure.

    Every text passes through `redact`, but for the identifiers by which messages of one incident find each other.
    Without a `public_url` the links to healthd's own page are empty.
    """
    body = {
        "event": event,
        "incident": _incident(incident),
        "system": {"name": system.name, "title": system.title},
        "check": _check(check),
        "values": _values(verdicts, check),
        "evidence": [{"title": e.title, "text": e.text} for e in evidence[:MAX_EVIDENCE]],
        "playbook": _playbook(playbook),
        "suppressed": list(suppressed[:MAX_SUPPRESSED]),
        "diagnosis": incident.details.get("diagnosis"),
        "update": dict(update) if update else None,
        "at": rfc3339(at),
        "pagerduty": (system.severities.get(incident.severity) or Severity(incident.severity, 3)).pagerduty,
    }
    cleaned: Body = clean(body, redact)
    base = public_url.rstrip("/")
    cleaned["incident"] |= {
        "id": incident.id,
        "key": incident.key,
        "url": f"{base}/incidents/{incident.id}" if base else "",
    }
    cleaned["check"] |= {"id": check.id, "url": f"{base}/checks/{check.id}" if base else ""}
    cleaned["members"] = dict(members) if members else None
    cleaned["first_step"] = first_step(cleaned)
    cleaned["lead"] = lead(cleaned)
    return cleaned


def compose_sight(
    check: Check, verdicts: Sequence[Verdict], evidence: Sequence[Evidence], redact: Callable[[str], str]
) -> Body:
    """What is shown of one check of an incident: `values` and `evidence`, as in the body of a message."""
    shown = {
        "values": _values(verdicts, check),
        "evidence": [{"title": e.title, "text": e.text} for e in evidence[:MAX_EVIDENCE]],
    }
    cleaned: Body = clean(shown, redact)
    return cleaned


def compose_test(channel: str, at: datetime, public_url: str = "") -> Message:
    """A message that tries `channel`: says that it is a test, and that nothing is wrong."""
    base, name = public_url.rstrip("/"), f"TEST-{at.astimezone(UTC):%Y%m%d-%H%M%S-%f}"
    incident = {
        "id": name,
        "key": f"healthd/{name}/{channel}",
        "url": base,
        "title": f"Test message to {channel}",
        "severity": "info",
        "level": "ok",
        "opened_at": rfc3339(at),
        "resolved_at": None,
        "reason": "Somebody tries whether messages from healthd arrive here. Nothing is wrong.",
        "acknowledged_by": "",
        "reopened": 0,
        "merged_into": "",
    }
    check = {
        "id": "healthd/notify-test",
        "name": "notify-test",
        "title": "Test message",
        "url": "",
        "runbook_url": "",
        "description": "",
        "labels": {},
        "source": "",
    }
    body: Body = {
        "event": "test",
        "incident": incident,
        "system": {"name": "healthd", "title": "healthd"},
        "check": check,
        "values": [],
        "evidence": [],
        "playbook": None,
        "suppressed": [],
        "diagnosis": None,
        "update": None,
        "members": None,
        "first_step": None,
        "lead": [],
        "at": rfc3339(at),
        "pagerduty": "info",
    }
    return Message(f"{name}-{channel}", channel, name, "test", at, body)


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "title": incident.title,
        "severity": incident.severity,
        "level": incident.level.name.lower(),
        "opened_at": rfc3339(incident.opened_at),
        "resolved_at": rfc3339(incident.resolved_at) if incident.resolved_at else None,
        "reason": incident.reason,
        "acknowledged_by": incident.acknowledged_by,
        "reopened": incident.reopened,
        "merged_into": incident.merged_into,
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "title": check.title,
        "runbook_url": check.runbook_url,
        "description": check.description,
        "labels": dict(check.labels),
        "source": str(check.source),
    }


def _values(verdicts: Sequence[Verdict], check: Check) -> list[dict[str, Any]]:
    """Worst first, otherwise in the order of the rows."""
    rows = {row.key: row for row in check.thresholds}
    ordered = sorted(verdicts, key=lambda v: -v.level.badness)[:MAX_VALUES]
    return [_value(v) | _limits(rows.get(v.row)) for v in ordered]


def _value(verdict: Verdict) -> dict[str, Any]:
    value = verdict.value
    finite = value if not isinstance(value, float) or math.isfinite(value) else None  # JSON has no NaN
    return {
        "measure": verdict.measure,
        "series": verdict.series,
        "value": finite,
        "text": "missing" if value is None else format_value(value, verdict.unit),
        "unit": verdict.unit.value if verdict.unit else "",
        "level": verdict.level.name.lower(),
        "limit": verdict.limit,
    }


def _limits(row: Any) -> dict[str, str]:
    return {name: str(getattr(row, name, None) or "") for name in ("target", "acceptable", "warning", "critical")}


def _playbook(playbook: Playbook | None) -> dict[str, Any] | None:
    if playbook is None:
        return None
    return {
        "name": playbook.name,
        "title": playbook.title,
        "url": playbook.url,
        "likely_cause": playbook.likely_cause,
        "symptoms": list(playbook.symptoms[:MAX_STEPS]),
        "diagnostics": _steps(playbook.diagnostics),
        "remediation": _steps(playbook.remediation),
    }


def _steps(steps: Sequence[Step]) -> list[dict[str, str]]:
    return [{"title": s.title, "when": s.when, "command": s.command} for s in steps[:MAX_STEPS]]


def clean(value: Any, redact: Callable[[str], str]) -> Any:
    """Every text within, redacted, without what cannot be shown, and cut at MAX_TEXT."""
    if isinstance(value, str):
        # redacted before it is cut: half a secret would no longer be recognised
        text = redact(UNPRINTABLE.sub("", value.replace("\r\n", "\n")))
        return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    if isinstance(value, Mapping):
        return {key: clean(item, redact) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item, redact) for item in value]
    return value
