"""The life of an incident, as pure functions: what each thing that happens to one makes of it.

What to do about a check follows from its state alone, not from the moment it changed (see book.py): a daemon killed
between two steps, or a check whose dependency has just recovered, comes to the same decision at the next look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2s
from typing import Any

from healthd.model.catalogue import Check
from healthd.model.incidents import Incident, Member, Telling, TimelineEntry
from healthd.model.outcomes import CheckState, Level
from healthd.model.units import format_duration

SINCE = "acknowledged_since"  # in an incident's details: when the acknowledgement that counts began


@dataclass(frozen=True, slots=True)
class Decision:
    """The incident as it is from now on, what happened to it, and its timeline's entry of that.

    `event` is firing, reopened, worsened, improved, changed, joined, storm, recovered, left, resolved or acknowledged,
    or what a service makes of it (updated, escalated, ...). `update` says what is new where the incident itself is as
    before (see message.py); `also` are channels told beside the routed ones, or `alone`; `softly`: told only where it
    amends what was said and is no message of its own. `members` are those it changed.
    """

    incident: Incident
    event: str
    entry: TimelineEntry
    update: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    alone: bool = False
    softly: bool = False
    members: tuple[Member, ...] = ()


def open_incident(check: Check, state: CheckState, at: datetime) -> Decision:
    """A firing check gets an incident of its own."""
    digest = blake2s(f"{check.id}|{at.isoformat()}".encode(), digest_size=4).hexdigest()
    incident_id = f"INC-{at:%Y%m%d-%H%M%S}-{digest}"
    incident = Incident(
        id=incident_id,
        key=f"healthd/{check.id}/{incident_id}",
        system=check.system,
        check_id=check.id,
        title=check.title,
        severity=severity_of(check, state.firing_level),
        level=state.firing_level,
        opened_at=at,
        reason=state.reason,
        playbook=check.playbook or "",
    )
    text = f"opened as {incident.severity or state.firing_level.name.lower()}: {state.reason}"
    member = member_of(incident_id, check, state, at)
    return Decision(incident, "firing", TimelineEntry(incident_id, at, "opened", text), members=(member,))


def member_of(incident_id: str, check: Check, state: CheckState, at: datetime) -> Member:
    """A firing check's part in an incident."""
    level = state.firing_level
    return Member(incident_id, check.id, level, severity_of(check, level), at, state.reason, peak=level)


def reopen(incident: Incident, member: Member, severity: str) -> Decision:
    """It was over too soon. Nobody has acknowledged it any more: whoever did may have left since."""
    at = member.since
    assert incident.resolved_at is not None
    # what was told of it is over: it is new to everybody
    details = {key: value for key, value in incident.details.items() if key not in ("quiet", "told_level", SINCE)}
    changed = replace(
        incident,
        details=details,
        resolved_at=None,
        reopened=incident.reopened + 1,
        reopened_at=at,
        acknowledged_at=None,
        acknowledged_by="",
        severity=severity,
        telling=Telling(),
    )
    pause = format_duration((at - incident.resolved_at).total_seconds())
    word = severity or member.level.name.lower()
    text = f"reopened as {word}, {pause} after its end: {member.check_id}: {member.reason}"
    return Decision(changed, "reopened", TimelineEntry(incident.id, at, "reopened", text), members=(member,))


def end(incident: Incident, at: datetime, why: str, kind: str = "resolved") -> Decision:
    """Nothing of it fails any more, or another incident stands for it (`kind` merged)."""
    lasted = format_duration((at - incident.since).total_seconds())
    ended = replace(incident, resolved_at=at)
    text = f"resolved after {lasted}: {why}" if kind == "resolved" else why
    return Decision(ended, "resolved", TimelineEntry(incident.id, at, kind, text))


def acknowledge(incident: Incident, at: datetime, actor: str, note: str) -> Decision:
    """Mark an open incident as somebody's. A second person takes it over: it counts as acknowledged since the first."""
    details = incident.details if incident.acknowledged_at else {**incident.details, SINCE: at.isoformat()}
    changed = replace(incident, acknowledged_at=at, acknowledged_by=actor, details=details)
    text = f"acknowledged by {actor}" + (f": {note}" if note else "")
    return Decision(changed, "acknowledged", TimelineEntry(incident.id, at, "acknowledged", text, actor))


def severity_of(check: Check, level: Level) -> str:
    """A critical check has its own severity; one that warns, or cannot be looked at, has its warning severity."""
    return check.severity if level is Level.CRITICAL else check.warning_severity
