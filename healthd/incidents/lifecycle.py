"""The life of an incident, as pure functions: what a check's state asks for, given the incident it has or has not.

Decisions follow from the state alone, not from the moment it changed: a daemon killed between two steps, or a check
whose dependency has just recovered, comes to the same decision at the next look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2s
from typing import Any

from healthd.model.catalogue import Check
from healthd.model.incidents import Incident, TimelineEntry
from healthd.model.outcomes import CheckState, Level
from healthd.model.units import format_duration

SINCE = "acknowledged_since"  # in an incident's details: when the acknowledgement that counts began


@dataclass(frozen=True, slots=True)
class Decision:
    """The incident as it is from now on, the event to tell (firing, worsened, improved, resolved, ...) and its entry.

    `update` says what is new where the incident itself is as before (see message.py); `also` are channels told beside
    the routed ones, or `alone`; `softly`: told only where it amends what was said and is no message of its own.
    """

    incident: Incident
    event: str
    entry: TimelineEntry
    update: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    alone: bool = False
    softly: bool = False


def decide(check: Check, state: CheckState, incident: Incident | None, at: datetime) -> Decision | None:
    """What `state` asks for, None when all is as it should be. `incident` is the open one of this check, if any."""
    if incident is None:
        return _open(check, state, at) if state.firing else None
    if not state.firing:
        return _end(incident, at, f"{check.title} is back in order")
    if state.firing_level is incident.level:
        return None
    worsened = state.firing_level.badness > incident.level.badness
    severity = severity_of(check, state.firing_level)
    changed = replace(incident, level=state.firing_level, severity=severity, reason=state.reason)
    event = "worsened" if worsened else "improved"
    text = f"{event}: {incident.level.name.lower()} to {state.firing_level.name.lower()}: {state.reason}"
    return Decision(changed, event, TimelineEntry(incident.id, at, event, text))


def abandon(incident: Incident, at: datetime, why: str) -> Decision:
    """End an incident that no check stands for any more."""
    return _end(incident, at, why)


def acknowledge(incident: Incident, at: datetime, actor: str, note: str) -> Decision:
    """Mark an open incident as somebody's. A second person takes it over: it counts as acknowledged since the first."""
    details = incident.details if incident.acknowledged_at else {**incident.details, SINCE: at.isoformat()}
    changed = replace(incident, acknowledged_at=at, acknowledged_by=actor, details=details)
    text = f"acknowledged by {actor}" + (f": {note}" if note else "")
    return Decision(changed, "acknowledged", TimelineEntry(incident.id, at, "acknowledged", text, actor))


def severity_of(check: Check, level: Level) -> str:
    """A critical check has its own severity; one that warns, or cannot be looked at, has its warning severity."""
    return check.severity if level is Level.CRITICAL else check.warning_severity


def _open(check: Check, state: CheckState, at: datetime) -> Decision:
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
    return Decision(incident, "firing", TimelineEntry(incident_id, at, "opened", text))


def _end(incident: Incident, at: datetime, why: str) -> Decision:
    lasted = format_duration((at - incident.opened_at).total_seconds())
    ended = replace(incident, resolved_at=at)
    return Decision(ended, "resolved", TimelineEntry(incident.id, at, "resolved", f"resolved after {lasted}: {why}"))
