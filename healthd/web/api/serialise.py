"""From the model to what the API answers; models.py describes the shapes."""

from __future__ import annotations

import math
from typing import Any

from healthd.model.catalogue import Check, Threshold
from healthd.model.incidents import Incident, Member, TimelineEntry
from healthd.model.outcomes import Measurement, Outcome, Verdict
from healthd.model.times import rfc3339
from healthd.web.standing import Standing, word
from healthd.web.words import maybe_rfc3339, value_text


def finite(value: float | str | None) -> float | str | None:
    """JSON has no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def measurement(m: Measurement) -> dict[str, Any]:
    return {
        "name": m.name, "series": m.series, "value": finite(m.value),
        "unit": m.unit.value if m.unit else "", "text": value_text(m.value, m.unit),
    }  # fmt: skip


def verdict(v: Verdict) -> dict[str, Any]:
    return {
        "row": v.row, "measure": v.measure, "series": v.series, "value": finite(v.value),
        "unit": v.unit.value if v.unit else "", "text": value_text(v.value, v.unit),
        "level": word(v.level), "limit": v.limit, "note": v.note,
    }  # fmt: skip


def outcome(o: Outcome) -> dict[str, Any]:
    return {
        "check": o.check_id,
        "started": rfc3339(o.started),
        "duration": o.duration.total_seconds(),
        "level": word(o.level),
        "reason": o.reason,
        "error_kind": o.error_kind,
        "trigger": o.trigger,
        "cadence": o.cadence,
        "due": maybe_rfc3339(o.due),
        "late": o.late,
        "measurements": [measurement(m) for m in o.measurements],
        "verdicts": [verdict(v) for v in o.verdicts],
        "evidence": [{"title": e.title, "text": e.text} for e in o.evidence],
    }


def check_summary(row: Standing) -> dict[str, Any]:
    check, state = row.check, row.state
    return {
        "id": check.id,
        "system": check.system,
        "name": check.name,
        "title": check.title,
        "status": row.status.value,
        "level": word(state.level),
        "reason": state.reason,
        "since": maybe_rfc3339(state.since),
        "cadences": list(check.cadences),
        "interval": check.interval.total_seconds() if check.interval else None,
        "enabled": check.enabled,
        "firing": state.firing,
        "overdue": state.overdue,
        "flapping": state.flapping,
        "suppressed_by": row.suppressed_by,
        "incident": row.incident_id,
        "last_run": maybe_rfc3339(state.last_run),
        "last_ok": maybe_rfc3339(state.last_ok),
        "next_run": maybe_rfc3339(row.next_run),
        "verdicts": [verdict(v) for v in row.verdicts],
    }


def definition(check: Check) -> dict[str, Any]:
    """What a check's own entry has beyond its summary, as far as it stands in the catalogue."""
    return {
        "description": check.description,
        "probe": check.probe.type,
        "location": check.location,
        "thresholds": [threshold(row) for row in check.thresholds],
        "timeout": check.timeout.total_seconds(),
        "severity": check.severity,
        "warning_severity": check.warning_severity,
        "playbook": check.playbook or "",
        "depends_on": list(check.depends_on),
        "covers": list(check.covers),
        "labels": dict(check.labels),
        "runbook_url": check.runbook_url,
        "source": str(check.source),
    }


def threshold(row: Threshold) -> dict[str, Any]:
    conditions = {name: getattr(row, name) for name in ("target", "acceptable", "warning", "critical")}
    return {
        "row": row.key,
        "measure": row.measure,
        "unit": row.unit.value if row.unit else "",
        **{name: condition.text if condition else "" for name, condition in conditions.items()},
        "for": row.for_.total_seconds(),
        "recover_for": row.recover_for.total_seconds(),
    }


def incident(i: Incident) -> dict[str, Any]:
    return {
        "id": i.id,
        "system": i.system,
        "check": i.check_id,
        "title": i.title,
        "severity": i.severity,
        "level": word(i.level),
        "reason": i.reason,
        "open": i.is_open,
        "opened_at": rfc3339(i.opened_at),
        "resolved_at": maybe_rfc3339(i.resolved_at),
        "acknowledged_at": maybe_rfc3339(i.acknowledged_at),
        "acknowledged_by": i.acknowledged_by,
        "playbook": i.playbook,
        "quiet": str(i.details.get("quiet", "")) if i.is_open else "",
        "failing": i.failing,
        "joined": i.joined,
        "storm": i.storm,
        "reopened": i.reopened,
        "reopened_at": maybe_rfc3339(i.reopened_at),
        "merged_into": i.merged_into,
    }


def member(m: Member) -> dict[str, Any]:
    return {
        "check": m.check_id,
        "level": word(m.level),
        "severity": m.severity,
        "since": rfc3339(m.since),
        "recovered_at": maybe_rfc3339(m.recovered_at),
        "reason": m.reason,
        "values": m.seen.get("values", []),
        "evidence": m.seen.get("evidence", []),
    }


def entry(e: TimelineEntry) -> dict[str, Any]:
    return {"at": rfc3339(e.at), "kind": e.kind, "text": e.text, "actor": e.actor}
