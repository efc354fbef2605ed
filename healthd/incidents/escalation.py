"""What becomes of an incident when one of its clocks has run out: told to whom, in what words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from healthd.incidents.clocks import ZERO, Clocks, Kind, dues, first_due
from healthd.incidents.lifecycle import SINCE, Decision
from healthd.model.catalogue import Severity
from healthd.model.escalation import Climb
from healthd.model.incidents import Incident, TimelineEntry
from healthd.model.runbook import Contact, EscalationLevel
from healthd.model.units import format_duration


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for an incident now: its severity, the chain of its system, and where people are reached."""

    severity: Severity
    chain: Sequence[EscalationLevel] = ()
    contacts: Mapping[str, Contact] | None = None


def run_out(incident: Incident, policy: Policy, now: datetime) -> Decision | None:
    """The first thing that is due by `now`, done; None when nothing is. Call again until then."""
    due = first_due(incident, policy.severity, policy.chain, now)
    if due is None:
        return None
    clocks = Clocks.of(incident)
    if due.kind is Kind.LAPSE:
        return _lapse(incident, clocks, due.at, now)
    if due.kind is Kind.RESPONSE:
        return _late(incident, clocks, policy, now)
    if due.level is not None:
        return _escalate(incident, clocks, policy, due.level, now)
    return _update(incident, clocks, policy, now)


def climb(incident: Incident, policy: Policy) -> Climb:
    """How far it has come, and what follows."""
    ahead = dues(incident, policy.severity, policy.chain)
    level, response = ahead.get(Kind.LEVEL), ahead.get(Kind.RESPONSE)
    return Climb(
        told=Clocks.of(incident).levels,
        next=level.level.name if level and level.level else "",
        who=_person(level.level, policy)[0] if level and level.level else "",
        until=level.level.until if level and level.level else "",
        at=level.at if level else None,
        respond_by=response.at if response else None,
    )


def stop(incident: Incident, why: str, now: datetime) -> Decision:
    """The clocks stand still: nobody is to be told of the incident for the time being."""
    kept = replace(Clocks.of(incident), stopped=now).kept_by(incident)
    text = f"escalation stands still: {why}"
    return Decision(kept, "stopped", TimelineEntry(incident.id, now, "escalation", text))


def go_on(incident: Incident, now: datetime) -> Decision | None:
    """The clocks go on where they stood; None when they do not stand still."""
    clocks = Clocks.of(incident)
    if clocks.stopped is None:
        return None
    stood = max(ZERO, now - clocks.stopped)
    # from its acknowledgement on the time counts as that, once it lapses
    unclaimed = max(ZERO, min(now, clocks.acknowledged or now) - clocks.stopped)
    kept = replace(clocks, stopped=None, held=clocks.held + unclaimed, quiet=clocks.quiet + stood).kept_by(incident)
    text = f"escalation goes on after {_words(stood)}"
    return Decision(kept, "continued", TimelineEntry(incident.id, now, "escalation", text))


def release(incident: Incident, actor: str, now: datetime) -> Decision | None:
    """Somebody takes an acknowledgement back, and the clocks go on; None where there is none."""
    if incident.acknowledged_at is None:
        return None
    taken_back = _lapse(incident, Clocks.of(incident), now, now)
    text = f"the acknowledgement of {incident.acknowledged_by} was taken back by {actor}: it is nobody's again"
    entry = TimelineEntry(incident.id, now, "lapsed", text, actor)
    return replace(taken_back, entry=entry, update=_said("lapsed", text))


def _lapse(incident: Incident, clocks: Clocks, at: datetime, now: datetime) -> Decision:
    """As if nobody had acknowledged it; the time until `at` does not count for the chain."""
    # while they stand still all the time counts as that, once they go on
    held = clocks.held + max(ZERO, min(at, clocks.stopped or at) - (clocks.acknowledged or at))
    details = {key: value for key, value in incident.details.items() if key != SINCE}
    open_again = replace(incident, acknowledged_at=None, acknowledged_by="", details=details)
    kept = replace(clocks, held=held, responded=True, updated=now).kept_by(open_again)
    text = f"the acknowledgement of {incident.acknowledged_by} has lapsed: it is nobody's again"
    return Decision(kept, "updated", TimelineEntry(incident.id, now, "lapsed", text), update=_said("lapsed", text))


def _late(incident: Incident, clocks: Clocks, policy: Policy, now: datetime) -> Decision:
    """A message of its own, unless a level is told at the same time: that says it too."""
    severity = policy.severity
    assert severity.response is not None
    kept = replace(clocks, late=(*clocks.late, severity.name), updated=now).kept_by(incident)
    text = f"nobody has acknowledged it within {_words(severity.response)} ({severity.name})"
    following = first_due(kept, severity, policy.chain, now)
    alone = following is not None and following.kind is Kind.LEVEL
    entry = TimelineEntry(incident.id, now, "unanswered", text)
    return Decision(kept, "updated", entry, update=_said("unanswered", text), alone=alone)


def _escalate(incident: Incident, clocks: Clocks, policy: Policy, level: EscalationLevel, now: datetime) -> Decision:
    """A level at zero is whoever hears of the opening: told through its own channels alone, if it has any."""
    after = (level.after or {})[policy.severity.name]
    person, who, address = _person(level, policy)
    if after > ZERO and level.until == "resolved":
        text = f"escalated to {level.name}, {person}: not resolved for {_words(now - clocks.since - clocks.quiet)}"
    elif after > ZERO:
        text = f"escalated to {level.name}, {person}: not acknowledged for {_words(now - clocks.since - clocks.held)}"
    else:
        text = f"told to {level.name}, {person}"
    kept = replace(clocks, levels=(*clocks.levels, level.name))
    kept = replace(kept, updated=now) if after > ZERO else kept
    return Decision(
        kept.kept_by(incident),
        "escalated" if after > ZERO or level.channels else "noted",
        TimelineEntry(incident.id, now, "escalated", text),
        update=_said("escalated", text) | {"level": level.name, "title": level.title, "who": who, "address": address},
        also=level.channels,
        alone=after <= ZERO,
    )


def _person(level: EscalationLevel, policy: Policy) -> tuple[str, str, str]:
    """Who a level is: in words, by name, and with the address of the contact where it names one."""
    contact = (policy.contacts or {}).get(level.who)
    who, address = (contact.title, contact.address) if contact else (level.who, "")
    reached = ", ".join(part for part in (who if who != level.title else "", address) if part)
    return (f"{level.title} ({reached})" if reached else level.title), who, address


def _update(incident: Incident, clocks: Clocks, policy: Policy, now: datetime) -> Decision:
    kept = replace(clocks, updated=now).kept_by(incident)
    text = f"still open after {_words(now - incident.since)}: {incident.reason}"
    if incident.joined > 1:
        text += f"; {incident.failing} of {incident.joined} checks still fail"
    owner = f"acknowledged by {incident.acknowledged_by}" if incident.acknowledged_by else "nobody has acknowledged it"
    text += f"; {owner}"
    if policy.severity.updates:
        text += f"; next update in {_words(policy.severity.updates)}"
    return Decision(kept, "updated", TimelineEntry(incident.id, now, "update", text), update=_said("progress", text))


def _said(kind: str, text: str) -> dict[str, str]:
    return {"kind": kind, "text": text, "level": "", "title": "", "who": "", "address": ""}


def _words(time: timedelta) -> str:
    seconds = max(0.0, time.total_seconds())
    return format_duration(round(seconds) if seconds >= 1 else seconds)
