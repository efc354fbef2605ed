"""From a decision about an incident to the messages that tell it: which channels, what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from healthd.incidents import Decision
from healthd.model.catalogue import Catalogue, ChannelSpec, Check
from healthd.model.incidents import Incident, Member, Message, Notice, TimelineEntry
from healthd.model.outcomes import Evidence, Verdict
from healthd.model.times import rfc3339
from healthd.notify import CHANNELS, compose, compose_members, compose_notice, compose_sight, subject_of, wants
from healthd.notify.routes import Routed, Subject, route

TOLD = frozenset({"firing", "worsened", "resolved", "updated", "escalated", "acknowledged", "reopened", "improved"})
# an improvement disturbs nobody: it is told only where it can be put with what was said
SOFT = frozenset({"improved"})
# Whoever was told of an incident hears these of it even while it is silenced: a page must not stay open for ever.
CLOSING = frozenset({"acknowledged", "resolved"})
NEWS = frozenset({"firing", "worsened", "escalated", "reopened"})

Quiet = Callable[[Incident, Check], str]


class Teller:
    """Writes messages. Pure but for the catalogue in force, the channels known and the redaction, set by a reload."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url.rstrip("/")
        self.channels: Mapping[str, ChannelSpec] = {}
        self.catalogue: Catalogue | None = None
        self.redact: Callable[[str], str] = str
        # each says why nobody is to be told of an open incident now, "" for no reason: silences, windows
        self.quiet: list[Quiet] = []

    def why_quiet(self, incident: Incident, check: Check) -> str:
        """Why nobody is to be told of this incident now; "" when people are."""
        return next((why for reason in self.quiet if (why := reason(incident, check))), "")

    def tell(
        self,
        decision: Decision,
        check: Check,
        verdicts: Sequence[Verdict],
        evidence: Sequence[Evidence],
        suppressed: Sequence[str] = (),
        *,
        members: Sequence[Member] = (),
    ) -> tuple[Incident, tuple[Message, ...]]:
        """The incident, remembering whom it was told to, and one message per channel. `check` is its worst one, which
        `verdicts` and `evidence` are of.

        While something keeps it quiet there are none: `details` say why ("quiet"), and the level that was last told
        ("told_level"), so that it is told what was missed once the quiet is over.
        """
        assert self.catalogue is not None
        decision = _news(decision)
        incident = decision.incident
        system = self.catalogue.systems[check.system]
        body = compose(
            event=decision.event,
            incident=incident,
            check=check,
            system=system,
            verdicts=verdicts,
            evidence=evidence,
            playbook=system.playbooks.get(check.playbook or ""),
            suppressed=suppressed,
            public_url=self._public_url,
            at=decision.entry.at,
            redact=self.redact,
            update=decision.update,
            members=compose_members(incident, members, self.catalogue, self._public_url, self.redact),
        )
        failing = self.failing(members) or [check]
        why = "" if decision.event in CLOSING else self.why_all_quiet(incident, failing)
        if why:
            return self._unsaid(decision, body, why), ()
        if decision.event in CLOSING:
            return self._addressed(decision, body, _as_before(incident, decision.entry.at))
        routed = self._routed(incident, members, failing, decision.entry.at)
        if system.own and not routed.channels:  # what no route says of healthd itself, everybody hears
            routed = Routed(tuple(self.channels))
        also = tuple(name for name in decision.also if name in self.channels)  # at once, whatever the hour
        held = {name: until for name, until in routed.held.items() if name not in also}
        return self._addressed(decision, body, Routed(tuple(dict.fromkeys((*routed.channels, *also))), held))

    def sight(self, check: Check, verdicts: Sequence[Verdict], evidence: Sequence[Evidence]) -> dict[str, Any]:
        """What is kept of one member of an incident: its values and evidence, as in a message's body."""
        return compose_sight(check, verdicts, evidence, self.redact)

    def tell_again(self, decision: Decision) -> tuple[Incident, tuple[Message, ...]]:
        """The end of an incident whose check is gone: told with what is remembered of it."""
        incident = decision.incident
        body = dict(incident.details.get("body", {}))
        if not body:
            return incident, ()
        ended = {"level": incident.level.name.lower(), "resolved_at": rfc3339(decision.entry.at)}
        body |= {"event": decision.event, "at": rfc3339(decision.entry.at), "incident": body["incident"] | ended}
        return self._addressed(decision, body, _as_before(incident, decision.entry.at))

    def announce(self, notice: Notice) -> tuple[Message, ...]:
        """One message per channel that the routes say and that carries notices. Commit them with what they tell of."""
        assert self.catalogue is not None
        able = [
            name
            for name, spec in self.channels.items()
            if CHANNELS[spec.type].notices and wants(spec.options, "notice")
        ]
        system = self.catalogue.systems.get(notice.system)
        routed = route(self.catalogue.routes, subject_of(notice, system), able, notice.at)
        body = compose_notice(notice, system, self._public_url, self.redact)
        group = f"{notice.kind}/{notice.system}"
        return tuple(
            _held(Message(f"{notice.id}-{name}", name, group, body["event"], notice.at, body), routed)
            for name in routed.channels
        )

    def _routed(self, incident: Incident, members: Sequence[Member], failing: Sequence[Check], at: datetime) -> Routed:
        """Those the routes say of any check that fails, and those that were told before: whoever was paged hears the
        end of it. A check of the incident's own system is routed by the incident's severity."""
        assert self.catalogue is not None
        before = _as_before(incident, at)
        if not incident.is_open:
            return before
        now: set[str] = set()  # those that hear at once
        held: dict[str, datetime] = {}
        of = {member.check_id: member for member in members}
        for check in failing:
            member = of.get(check.id)
            foreign = member if check.system != incident.system else None
            subject = Subject(
                check.system,
                foreign.severity if foreign else incident.severity,
                check_id=check.id,
                level=foreign.level if foreign else incident.level,
                labels=check.labels,
                zone=self.catalogue.systems[check.system].zone,
            )
            routed = route(self.catalogue.routes, subject, self.channels, at)
            held |= {name: min(until, held.get(name, until)) for name, until in routed.held.items()}
            now |= set(routed.channels) - routed.held.keys()
            if len(now) >= len(self.channels):
                break
        known = dict.fromkeys((*before.channels, *(name for name in self.channels if name in now or name in held)))
        return Routed(tuple(known), {n: t for n, t in {**before.held, **held}.items() if n not in now})

    def failing(self, members: Sequence[Member]) -> list[Check]:
        """The checks of those members of an incident that fail now."""
        assert self.catalogue is not None
        checks = self.catalogue.checks
        return [check for m in members if m.is_failing and (check := checks.get(m.check_id)) is not None]

    def why_all_quiet(self, incident: Incident, failing: Sequence[Check]) -> str:
        """As `why_quiet`: an incident of several checks is quiet when each of those that fail is."""
        why = ""
        for check in failing:
            why = self.why_quiet(incident, check)
            if not why:
                return ""
        return why

    def _wants(self, channel: str, event: str) -> bool:
        """Whether its options ask for such messages; one that is not configured any more may come back."""
        spec = self.channels.get(channel)
        return spec is None or wants(spec.options, event)

    def _unsaid(self, decision: Decision, body: dict[str, Any], why: str) -> Incident:
        before = decision.incident.details
        return replace(decision.incident, details={"channels": [], **before, "body": body, "quiet": why})

    def _addressed(
        self, decision: Decision, body: dict[str, Any], routed: Routed
    ) -> tuple[Incident, tuple[Message, ...]]:
        incident, at, channels = decision.incident, decision.entry.at, routed.channels
        told = channels if decision.event in TOLD else ()
        if decision.alone:
            told = tuple(c for c in decision.also if c in channels)
        softly = decision.softly or decision.event in SOFT
        if softly:
            told = tuple(c for c in told if (spec := self.channels.get(c)) and CHANNELS[spec.type].updates)
        told = tuple(c for c in told if c in decision.also or self._wants(c, decision.event))
        sequence = int(incident.details.get("sequence", 0)) + 1
        details = {**incident.details, "channels": list(channels), "sequence": sequence, "body": body}
        if routed.held or "held" in details:
            details["held"] = {name: until.isoformat() for name, until in routed.held.items()}
        if decision.event not in CLOSING:
            details.pop("quiet", None)
        if decision.event in TOLD - CLOSING and incident.is_open and not softly:
            details["told_level"] = incident.level.name.lower()
        messages = tuple(
            _held(Message(f"{incident.id}-{sequence}-{name}", name, incident.id, decision.event, at, body), routed)
            for name in told
        )
        return replace(incident, details=details), messages


def _as_before(incident: Incident, at: datetime) -> Routed:
    """Those that were told, or are to be told when their hours begin."""
    remembered = {name: datetime.fromisoformat(until) for name, until in incident.details.get("held", {}).items()}
    held = {name: until for name, until in remembered.items() if until > at}
    return Routed(tuple(incident.details.get("channels", ())), held)


def _held(message: Message, routed: Routed) -> Message:
    """Not sent before the hours of its route begin; its age counts from then."""
    until = routed.held.get(message.channel)
    return replace(message, created_at=until, next_attempt_at=until) if until else message


def _news(decision: Decision) -> Decision:
    """What is worse than nobody has heard of is new to them."""
    unheard = "quiet" in decision.incident.details and not decision.incident.details.get("told_level")
    news = decision.event in ("worsened", "updated") and not decision.softly
    return replace(decision, event="firing", update={}) if unheard and news else decision


def unsaid_note(decision: Decision, told: Incident) -> tuple[TimelineEntry, ...]:
    """For the timeline: that nobody was told of this, and why."""
    why = str(told.details.get("quiet", ""))
    if not why or decision.event not in NEWS:
        return ()
    return (TimelineEntry(told.id, decision.entry.at, "silenced", f"nobody was told: {why}"),)
