"""The clocks of an open incident: when its acknowledgement lapses, its response is late, a level of the escalation
chain is due, or people are to hear how it stands.

What the clocks have done is kept with the incident, so that a restart neither repeats nor leaves out anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from healthd.incidents.lifecycle import SINCE
from healthd.model.catalogue import Severity
from healthd.model.incidents import Incident
from healthd.model.runbook import EscalationLevel

KEY = "clocks"  # in an incident's details
ZERO = timedelta(0)


class Kind(IntEnum):
    """What is due; at the same moment, in this order."""

    LAPSE = 0  # the acknowledgement has counted long enough
    RESPONSE = 1  # nobody has acknowledged in time
    LEVEL = 2  # the next level of the chain
    UPDATE = 3  # how it stands


@dataclass(frozen=True, slots=True)
class Due:
    """One thing due at a moment, `level` where it is one."""

    at: datetime
    kind: Kind
    level: EscalationLevel | None = None


@dataclass(frozen=True, slots=True)
class Clocks:
    """What the clocks of one incident have done since it opened, or was reopened.

    `held` is for how long they stood still: while somebody had acknowledged it, and while it was kept quiet; `quiet` is
    for how long of it for the latter alone.
    `stopped` is since when they stand still now for the latter. `late` are the severities whose response was late.
    """

    since: datetime
    levels: tuple[str, ...] = ()
    held: timedelta = ZERO
    quiet: timedelta = ZERO
    stopped: datetime | None = None
    late: tuple[str, ...] = ()
    responded: bool = False
    updated: datetime | None = None
    acknowledged: datetime | None = None  # not kept: since when somebody has it

    @classmethod
    def of(cls, incident: Incident) -> Clocks:
        """As kept with the incident; those of an earlier round of a reopened one have run out."""
        kept: Mapping[str, Any] = incident.details.get(KEY) or {}
        first = _moment(incident.details.get(SINCE)) or incident.acknowledged_at
        acknowledged = max(first, incident.since) if first and incident.acknowledged_at else None
        if _moment(kept.get("since")) != incident.since:
            return cls(incident.since, acknowledged=acknowledged)
        return cls(
            since=incident.since,
            levels=tuple(kept.get("levels", ())),
            held=timedelta(seconds=kept.get("held", 0)),
            quiet=timedelta(seconds=kept.get("quiet", 0)),
            stopped=_moment(kept.get("stopped")),
            late=tuple(kept.get("late", ())),
            responded=bool(kept.get("responded")),
            updated=_moment(kept.get("updated")),
            acknowledged=acknowledged,
        )

    def kept_by(self, incident: Incident) -> Incident:
        """The incident with these clocks."""
        kept = {
            "since": self.since.isoformat(),
            "levels": list(self.levels),
            "held": self.held.total_seconds(),
            "quiet": self.quiet.total_seconds(),
            "stopped": self.stopped.isoformat() if self.stopped else None,
            "late": list(self.late),
            "responded": self.responded,
            "updated": self.updated.isoformat() if self.updated else None,
        }
        return replace(incident, details={**incident.details, KEY: kept})


def next_due(incident: Incident, severity: Severity, chain: Sequence[EscalationLevel]) -> Due | None:
    """What is due first, now or later; None when nothing ever is as the incident stands. Pure.

    Times count from the opening (or reopening), whenever the incident came to have this severity: raised late, several
    levels may be due at once, and are then told one after the other, in the order of the chain.
    """
    return min(_all(incident, severity, chain), key=lambda due: (due.at, due.kind), default=None)


def first_due(incident: Incident, severity: Severity, chain: Sequence[EscalationLevel], now: datetime) -> Due | None:
    """Of what is due by `now` the first to be done: how it stands only if there is nothing else to tell."""
    due = (due for due in _all(incident, severity, chain) if due.at <= now)
    return min(due, key=lambda due: (due.kind is Kind.UPDATE, due.at, due.kind), default=None)


def dues(incident: Incident, severity: Severity, chain: Sequence[EscalationLevel]) -> dict[Kind, Due]:
    """What is due next of each kind, as the incident stands. Pure."""
    return {due.kind: due for due in _all(incident, severity, chain)}


def _all(incident: Incident, severity: Severity, chain: Sequence[EscalationLevel]) -> Iterator[Due]:
    clocks = Clocks.of(incident)
    if not incident.is_open or clocks.stopped:
        return
    taken = clocks.acknowledged is not None
    first = _lapse(incident, severity) if taken else _response(clocks, severity)
    found = (first, _level(clocks, severity, chain), _update(clocks, severity, incident))
    yield from (due for due in found if due is not None)


def _lapse(incident: Incident, severity: Severity) -> Due | None:
    """Acknowledging again begins a new term."""
    if severity.ack_timeout is None or incident.acknowledged_at is None:
        return None
    return Due(max(incident.acknowledged_at, incident.since) + severity.ack_timeout, Kind.LAPSE)


def _response(clocks: Clocks, severity: Severity) -> Due | None:
    if severity.response is None or clocks.responded or severity.name in clocks.late:
        return None
    return Due(clocks.since + clocks.held + severity.response, Kind.RESPONSE)


def _level(clocks: Clocks, severity: Severity, chain: Sequence[EscalationLevel]) -> Due | None:
    """The first level not told yet. One with a shorter time than a level before it waits for that level.

    Somebody's acknowledgement stops the chain but for the levels that are told until the incident is resolved: their
    time goes on.
    """
    waited = ZERO
    for level in chain:
        after, stubborn = (level.after or {}).get(severity.name), level.until == "resolved"
        if after is None or (clocks.acknowledged is not None and not stubborn):
            continue
        waited = max(waited, after)
        if level.name not in clocks.levels:
            return Due(clocks.since + (clocks.quiet if stubborn else clocks.held) + waited, Kind.LEVEL, level)
    return None


def _update(clocks: Clocks, severity: Severity, incident: Incident) -> Due | None:
    if severity.updates is None:
        return None
    last = incident.telling.last or clocks.since
    return Due(max(last, clocks.updated or clocks.since, clocks.since) + severity.updates, Kind.UPDATE)


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
