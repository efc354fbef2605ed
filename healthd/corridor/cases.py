"""What becomes of incidents: from what a check's state means for them to what is written, told and heard of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from healthd.corridor.gear import Gear, Known
from healthd.incidents import Book, Decision, blocker, dependants, held, plan, told
from healthd.incidents.tellings import CROWD
from healthd.incidents.wording import describe, news
from healthd.model.catalogue import Catalogue, Check
from healthd.model.incidents import Incident, Member, Message, Telling, TimelineEntry
from healthd.model.outcomes import CheckState
from healthd.store.base import AuditEntry, Commit
from healthd.telling import CLOSING, TOLD, unsaid_note

# changes of an incident that stand in the audit log, whoever made them; what people do is written by the door
AUDITED = frozenset({"opened", "reopened", "storm", "worsened", "improved", "severity", "resolved", "merged"})
MAX_QUIET = 200  # dependants named
AGAIN = timedelta(minutes=1)  # until it is tried again to tell what could not be told

log = structlog.get_logger("healthd.check")


@dataclass(slots=True)
class Written:
    """What belongs in one commit, and who is to hear of it once it is durable."""

    incidents: dict[str, Incident] = field(default_factory=dict)
    timeline: list[TimelineEntry] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    audits: list[AuditEntry] = field(default_factory=list)
    heard: list[tuple[Decision, Incident]] = field(default_factory=list)

    def into(self, commit: Commit) -> Commit:
        """`commit` with all of it."""
        return replace(
            commit,
            incidents=tuple(self.incidents.values()),
            timeline=(*commit.timeline, *self.timeline),
            messages=tuple(self.messages),
            members=tuple(self.members),
            audits=tuple(self.audits),
        )


class Cases:
    """The book of open incidents, carried out. Decides and remembers at once; what it returns is to be committed."""

    def __init__(self, gear: Gear, known: Known, background: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._gear, self._known, self._background = gear, known, background
        self._dependants: Mapping[str, Sequence[str]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._opened: datetime | None = None  # when the last one did
        self._counted: dict[str, tuple[str, str]] = {}  # open incidents, as the metric counts them
        self._quiet_by: dict[str, dict[str, None]] = {}  # the broken dependency -> the checks it keeps quiet
        self.book = Book()
        self.suppressed: dict[str, str] = {}  # check id -> the broken dependency that keeps it quiet
        self._released: dict[str, datetime] = {}  # check id -> when that was over; until a look that began after it
        self.listeners: list[Callable[[Decision, Incident], None]] = []

    # -- from former lives, and catalogues ---------------------------------------------------------------------------

    def restore(self, incidents: Iterable[Incident], members: Iterable[Member]) -> None:
        """What the store remembers."""
        self.book.restore(incidents, members)
        for incident in self.book.incidents.values():
            self._count(incident)

    def adopt(self, catalogue: Catalogue) -> Written:
        """Another catalogue is in force. What waited to be told in a former life waits on."""
        self._dependants = dependants(catalogue.checks)
        for check_id in [c for c in self.suppressed if c not in self._known.checks]:
            self._unsuppress(check_id)
        self._released = {c: at for c, at in self._released.items() if c in self._known.checks}
        decisions = self.book.adopt(catalogue, self._known.checks, self._gear.now())
        written = self._carry_out(decisions, self._decided)
        for incident in self.book.incidents.values():
            if incident.telling.due is not None and incident.id not in self._timers:
                self._wait(incident)
        return written

    # -- what a check's state means ----------------------------------------------------------------------------------

    def consider(self, check: Check, state: CheckState, notes: Collection[str]) -> Written | None:
        """What `state` asks for, and a note of what else changed; None when all is as it should be."""
        now, fails_in = self._gear.now(), self.book.incident_of.get(check.id)
        if state.firing and fails_in is None and (cause := blocker(check, self._known.checks, self._known.states)):
            self._suppress(check.id, cause)
            return None
        if fails_in is None and self._began_before(check.id, state):
            return None
        if self.suppressed:
            self._unsuppress(check.id)
        if not state.firing and fails_in is None:
            return None
        decisions = self.book.consider(check, state, now)
        if not decisions and not notes:
            return None
        written = self._carry_out(decisions, self._decided)
        written.timeline += _notes(self.book.incident_of.get(check.id) or fails_in or "", notes, now)
        return written

    def release(self, check_id: str) -> list[Check]:
        """The checks that `check_id` kept quiet and nothing does any more: they are to be looked at again.

        A look that began before says nothing of them: it may have waited all the time for what was broken.
        """
        found = []
        for quiet in list(self._quiet_by.get(check_id, ())):
            check = self._known.checks.get(quiet)
            if check is None or not blocker(check, self._known.checks, self._known.states):
                self._unsuppress(quiet)
                if check is not None:
                    self._released[quiet] = self._gear.now()
                    found.append(check)
        return found

    def _began_before(self, check_id: str, state: CheckState) -> bool:
        """Whether its last look began before what kept it quiet was over."""
        released = self._released.get(check_id)
        if released is None:
            return False
        if state.last_run is not None and state.last_run < released:
            return True
        del self._released[check_id]
        return False

    def amend(self, incident_id: str, change: Callable[[Incident], Decision | None]) -> tuple[Incident, Written] | None:
        """Something happened to an open incident beside its members. None when it is not open."""
        incident = self.book.incidents.get(incident_id)
        if incident is None:
            return None
        decision = change(incident)
        if decision is None:
            return incident, Written()
        written = self._carry_out([decision], self._amended)
        return written.incidents[incident_id], written

    def hear(self, written: Written) -> None:
        """What was decided is durable: tell those who listen."""
        for decision, incident in written.heard:
            for listener in self.listeners:
                try:
                    listener(decision, incident)
                except Exception:  # what one of them makes of it is no concern of the check, nor of the others
                    log.exception("listener_failed", incident=incident.id, happened=decision.event)

    def prune(self) -> None:
        """Forget what is over and cannot be reopened."""
        self.book.prune(self._gear.now())

    def close(self) -> None:
        """What waits to be told is told after the restart."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    # -- from decisions to what is written ---------------------------------------------------------------------------

    def _carry_out(self, decisions: Sequence[Decision], carry: Callable[[Decision, Written], Incident]) -> Written:
        written = Written()
        for decision in decisions:
            written.timeline.append(decision.entry)
            incident = carry(decision, written)
            written.incidents[incident.id] = incident
            written.members += [self._sighted(member) for member in decision.members]
            written.heard.append((decision, incident))
            self._count(incident)
            if _is_audited(decision):
                entry = decision.entry
                text = self._gear.teller.redact(entry.text)
                written.audits.append(AuditEntry(entry.at, entry.actor, f"incident.{entry.kind}", incident.id, text))
            _log(decision, incident)
        return written

    def _decided(self, decision: Decision, written: Written) -> Incident:
        """What the book says: told when its time has come."""
        incident = replace(decision.incident, telling=plan(decision, crowded=self._is_crowded(decision)))
        if decision.event == "resolved":
            self._stop_waiting(incident.id)
            incident = self._end(replace(decision, incident=incident), decision.incident.telling, written)
            self.book.put(incident)
            return incident
        due = incident.telling.due
        if due is not None and due <= decision.entry.at:
            incident = self._tell_waiting(incident, decision.entry.at, written)
        elif decision.event in ("improved", "changed"):
            incident = self._tell(replace(decision, incident=incident), written)
        self.book.put(incident)
        self._wait(incident)
        return incident

    def _amended(self, decision: Decision, written: Written) -> Incident:
        """What a service or a person says: told at once, but nothing before people have heard of the incident."""
        incident, at = decision.incident, decision.entry.at
        if incident.telling.event == "firing" and decision.event in TOLD | CLOSING:
            if decision.event == "updated":  # will be part of what is told
                self.book.put(incident)
                return incident
            if decision.event not in ("firing", "reopened"):
                incident = self._tell_waiting(incident, at, written)
        incident = self._tell(replace(decision, incident=incident), written)
        if decision.event in ("firing", "reopened", "worsened"):
            incident = replace(incident, telling=told(incident.telling, at))
        self.book.put(incident)
        self._wait(incident)
        return incident

    def _end(self, decision: Decision, waiting: Telling, written: Written) -> Incident:
        """Whoever hears that it is over has heard of it; of one that is another's from now on, who had not heard need
        not."""
        incident, merged = decision.incident, decision.entry.kind == "merged"
        if merged and not waiting.count:
            return incident
        if waiting.event == "firing":
            opened = replace(incident, resolved_at=None, telling=waiting)
            opened = self._tell_waiting(opened, decision.entry.at, written)
            incident = replace(opened, resolved_at=incident.resolved_at)
        incident = replace(incident, telling=told(incident.telling, decision.entry.at))
        if merged:
            incident = replace(incident, reason=decision.entry.text)
        return self._tell(replace(decision, incident=incident), written)

    # -- telling -----------------------------------------------------------------------------------------------------

    def _tell_waiting(self, incident: Incident, at: datetime, written: Written) -> Incident:
        """What waits is told now, as things are now."""
        telling, case = incident.telling, self.book.case(incident.id)
        event, update = telling.event, {}
        if case is not None:
            title, reason = describe(case, self._catalogue)
            incident = replace(incident, title=title, reason=reason)
            if event in ("storm", "joined", "recovered"):
                update = news(case, event, telling.last)
                event = "worsened" if _is_another_severity(incident) else "updated"
            elif event == "firing" and incident.reopened and incident.details.get("channels"):
                event = "reopened"  # to those who have heard of it
        decision = Decision(
            replace(incident, telling=told(telling, at)),
            event,
            TimelineEntry(incident.id, at, "told", ""),
            update=update,
        )
        try:
            return self._tell(decision, written)
        except Exception:
            # whatever about it cannot be put into words: it is not forgotten, and holds up no check
            log.exception("telling_failed", incident=incident.id)
            return replace(incident, telling=replace(telling, due=at + AGAIN))

    def _tell(self, decision: Decision, written: Written) -> Incident:
        """Whatever of it is for people, in the words of its worst check."""
        incident, case = decision.incident, self.book.case(decision.incident.id)
        members = list(case.members.values()) if case else []
        lead = case.lead(self._catalogue) if case else None
        if case is not None and lead is not None and lead.is_failing and len(members) > 1:
            title, reason = describe(case, self._catalogue)  # who joined may be worse than who opened it
            incident = replace(incident, title=title, reason=reason)
            decision = replace(decision, incident=incident)
        check = self._known.checks.get(lead.check_id if lead else incident.check_id)
        if check is None:
            check = next((c for m in members if (c := self._known.checks.get(m.check_id))), None)
        if check is None:
            incident, messages = self._gear.teller.tell_again(decision)
        else:
            quiet = self._kept_quiet([m.check_id for m in members if m.is_failing] or [check.id])
            verdicts, evidence = self._known.verdicts(check.id), self._known.evidence(check.id)
            incident, messages = self._gear.teller.tell(decision, check, verdicts, evidence, quiet, members=members)
        written.messages += messages
        written.timeline += unsaid_note(decision, incident)
        if incident.is_open:
            self.book.put(incident)
        return incident

    def _is_crowded(self, decision: Decision) -> bool:
        """Whether another incident has opened just now, so that this one may be part of a storm."""
        if decision.event not in ("firing", "reopened"):
            return False
        before, self._opened = self._opened, decision.entry.at
        system = self._catalogue.systems.get(decision.incident.system)
        if before is None or (system is not None and not system.grouping.storm):
            return False
        return before <= decision.entry.at < before + CROWD

    def _wait(self, incident: Incident, until: datetime | None = None) -> None:
        """Until what is to be told of it is due; what waited before does no more."""
        self._stop_waiting(incident.id)
        moment = until or incident.telling.due
        if moment is None or not incident.is_open:
            return
        seconds = max(0.0, (moment - self._gear.now()).total_seconds())
        loop = asyncio.get_running_loop()
        self._timers[incident.id] = loop.call_later(seconds, lambda: self._background(self._tell_due(incident.id)))

    def _stop_waiting(self, incident_id: str) -> None:
        timer = self._timers.pop(incident_id, None)
        if timer is not None:
            timer.cancel()

    async def _tell_due(self, incident_id: str) -> None:
        self._timers.pop(incident_id, None)
        incident, now = self.book.incidents.get(incident_id), self._gear.now()
        if incident is None or incident.telling.due is None:
            return
        if (until := held(incident.telling, self.book.bursts.last, now)) is not None:
            self._wait(incident, until)
            return
        written = Written()
        incident = written.incidents[incident_id] = self._tell_waiting(incident, now, written)
        self.book.put(incident)
        self._wait(incident)
        await self._gear.recorder.commit(written.into(Commit()))

    # -- small things ------------------------------------------------------------------------------------------------

    @property
    def _catalogue(self) -> Catalogue:
        assert self.book.catalogue is not None, "adopt comes first"
        return self.book.catalogue

    def _sighted(self, member: Member) -> Member:
        """With what was seen of a member that fails, for the store."""
        check = self._known.checks.get(member.check_id)
        if check is None or not member.is_failing:
            return member
        known = self._known
        seen = self._gear.teller.sight(check, known.verdicts(check.id), known.evidence(check.id))
        return replace(member, seen=seen)

    def _kept_quiet(self, check_ids: Iterable[str]) -> list[str]:
        found: dict[str, None] = {}
        for check_id in check_ids:
            of_it = self._dependants.get(check_id, ())
            found |= dict.fromkeys(quiet for quiet in of_it if not self._known.is_ok(quiet))
            if len(found) >= MAX_QUIET:
                break
        return list(found)[:MAX_QUIET]

    def _suppress(self, check_id: str, cause: str) -> None:
        if self.suppressed.get(check_id) != cause:
            self._unsuppress(check_id)
            self.suppressed[check_id] = cause
            self._quiet_by.setdefault(cause, {})[check_id] = None
            log.info("incident_suppressed", check=check_id, because_of=cause)

    def _unsuppress(self, check_id: str) -> None:
        cause = self.suppressed.pop(check_id, None)
        if cause is not None:
            self._quiet_by[cause].pop(check_id, None)
            if not self._quiet_by[cause]:
                del self._quiet_by[cause]

    def _count(self, incident: Incident) -> None:
        gauge = self._gear.metrics.incidents_open
        before = self._counted.pop(incident.id, None)
        if before is not None:
            gauge.labels(*before).dec()
        if incident.is_open:
            labels = self._counted[incident.id] = (incident.system, incident.severity)
            gauge.labels(*labels).inc()


def _is_audited(decision: Decision) -> bool:
    """Also an acknowledgement that lapses by itself, and a level that is called because nobody acknowledged."""
    entry = decision.entry
    if entry.kind == "escalated":
        return decision.event == "escalated" and not decision.alone
    return entry.kind in AUDITED or (entry.kind == "lapsed" and entry.actor == "healthd")


def _is_another_severity(incident: Incident) -> bool:
    """Than what was last told: severities only rise while an incident is open."""
    body = incident.details.get("body") or {}
    return bool(body) and body["incident"]["severity"] != incident.severity


def _notes(incident_id: str, kinds: Collection[str], now: datetime) -> list[TimelineEntry]:
    texts = {"flapping": "flapping: kept open until it is steady", "steady": "steady again"}
    return [TimelineEntry(incident_id, now, kind, texts[kind]) for kind in kinds if kind in texts]


def _log(decision: Decision, incident: Incident) -> None:
    loud = decision.event in ("firing", "reopened", "worsened", "storm")
    (log.warning if loud else log.info)(
        "incident_" + ("merged" if incident.merged_into else {"firing": "opened"}.get(decision.event, decision.event)),
        incident=incident.id,
        check=decision.members[0].check_id if decision.members else incident.check_id,
        severity=incident.severity,
        status=incident.level.name.lower(),
        reason=incident.reason,
        failing=incident.failing,
        channels=list(incident.details.get("channels", ())),
    )
