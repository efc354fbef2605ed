"""All open incidents: which one a failing check belongs to, and what becomes of it. In memory, without clock or I/O.

Every firing check that nothing keeps quiet is a failing member of exactly one open incident. Nothing here depends on
how many incidents are open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from healthd.incidents.bursts import Bursts
from healthd.incidents.case import Case
from healthd.incidents.lifecycle import Decision, end, member_of, open_incident, reopen, severity_of
from healthd.incidents.scale import in_scale, severity
from healthd.incidents.wording import names
from healthd.model.catalogue import Catalogue, Check, Grouping
from healthd.model.incidents import Incident, Member, TimelineEntry
from healthd.model.outcomes import CheckState, Level, worst


class Book:
    """Decides. What it returns is in force here at once, and has to be written and told by whoever asked."""

    def __init__(self) -> None:
        self.catalogue: Catalogue | None = None
        self.bursts = Bursts()
        self.incidents: dict[str, Incident] = {}  # open, by id
        self.incident_of: dict[str, str] = {}  # check id -> the open incident it fails in
        self._cases: dict[str, Case] = {}
        self._last_of: dict[str, str] = {}  # check id -> the open incident it was in last, failing or recovered
        self._closed: dict[str, Case] = {}  # check id -> the incident that may be reopened
        self._by_playbook: dict[tuple[str, str], str] = {}  # system and playbook -> the incident last joined
        self._fresh: dict[str, datetime] = {}  # incidents opened lately, the oldest first
        self._storm = ""  # the id of the last storm
        self._ended: dict[str, Case] = {}  # by the last decision

    # -- what is known ---------------------------------------------------------------------------------------------

    def restore(self, incidents: Iterable[Incident], members: Iterable[Member]) -> None:
        """What the store remembers: open incidents, and those over not too long ago to be reopened."""
        of: dict[str, list[Member]] = {}
        for member in members:
            of.setdefault(member.incident_id, []).append(member)
        for incident in incidents:
            case = Case(incident, [_complete(member, incident) for member in of.get(incident.id) or [_only(incident)]])
            if incident.is_open:
                self._admit(case)
            elif not incident.merged_into:
                self._remember(case)

    def case(self, incident_id: str) -> Case | None:
        """An incident with its members: open, or ended by the last decision."""
        return self._cases.get(incident_id) or self._ended.get(incident_id)

    def put(self, incident: Incident) -> None:
        """It was told, acknowledged, or something else happened to it beside its members."""
        case = self.case(incident.id)
        if case is not None:
            case.incident = incident
        if incident.id in self.incidents:
            self.incidents[incident.id] = incident

    # -- what a check's state means ----------------------------------------------------------------------------------

    def consider(self, check: Check, state: CheckState, at: datetime) -> list[Decision]:
        """What `state` asks for, at most one decision for each incident; none when all is as it should be."""
        self._ended.clear()
        case = self._cases.get(self.incident_of.get(check.id, ""))
        if case is None:
            return self._begin(check, state, at) if state.firing else []
        member = case.members[check.id]
        if not state.firing:
            return [self._leave(case, [member], at, f"{check.title} is back in order", "recovered")]
        return [self._change(case, check, state, member, at)] if state.firing_level is not member.level else []

    def adopt(self, catalogue: Catalogue, watched: Collection[str], at: datetime) -> list[Decision]:
        """Another catalogue is in force, of whose checks `watched` run. Members that do not any more leave, and
        severities follow. At most one decision for each incident."""
        self.catalogue = catalogue
        self._ended.clear()
        self._by_playbook.clear()
        made = []
        for case in list(self._cases.values()):
            before = case.incident
            rescaled = case.rescale(catalogue)
            self.incidents[before.id] = case.incident
            gone = [member for member in case.failing if member.check_id not in watched]
            if gone:
                text = f"{names([m.check_id for m in gone])} {'is' if len(gone) == 1 else 'are'} no longer watched"
                left = self._leave(case, gone, at, text, "left")
                made.append(replace(left, members=(*rescaled, *left.members)))
            elif case.incident.severity != before.severity:
                made.append(self._rescaled(case, before, rescaled, at))
            for member in case.failing:
                self._index(case, catalogue.checks.get(member.check_id))
        return made

    def prune(self, at: datetime) -> None:
        """Forget what cannot be reopened any more."""
        for check_id, case in list(self._closed.items()):
            resolved = case.incident.resolved_at
            if resolved is None or at - resolved > self._grouping(check_id).reopen_within:
                del self._closed[check_id]

    # -- a check begins to fire --------------------------------------------------------------------------------------

    def _begin(self, check: Check, state: CheckState, at: datetime) -> list[Decision]:
        grouping = self._grouping(check.id)
        self.bursts.begin(check.system, check.id, at)
        if (case := self._recovered_in(check.id, at - grouping.reopen_within)) is not None:
            return [self._join(case, [member_of(case.incident.id, check, state, at)], check)]
        if self.bursts.is_storm(check.system, grouping, at):
            return self._begin_in_storm(check, state, at, grouping)
        case = self._cases.get(self._by_playbook.get((check.system, check.playbook or ""), ""))
        if case is not None and grouping.window and case.joined_at >= at - grouping.window:
            return [self._join(case, [member_of(case.incident.id, check, state, at)], check)]
        if (case := self._over_since(check.id, at - grouping.reopen_within)) is not None:
            return [self._reopen(case, member_of(case.incident.id, check, state, at), check)]
        return [self._open(check, state, at)]

    def _recovered_in(self, check_id: str, since: datetime) -> Case | None:
        """The open incident that the check was in, if it recovered there after `since`."""
        case = self._cases.get(self._last_of.get(check_id, ""))
        member = case.members.get(check_id) if case else None
        recovered = member is not None and member.recovered_at is not None and member.recovered_at > since
        return case if recovered else None

    def _over_since(self, check_id: str, since: datetime) -> Case | None:
        """The incident that the check was in, if it ended after `since`."""
        case = self._closed.get(check_id)
        ended = case.incident.resolved_at if case else None
        return case if ended is not None and ended > since else None

    def _open(self, check: Check, state: CheckState, at: datetime) -> Decision:
        decision = open_incident(check, state, at)
        case = Case(decision.incident, decision.members)
        self._admit(case)
        self._index(case, check)
        return decision

    def _join(self, case: Case, members: Sequence[Member], check: Check, event: str = "joined") -> Decision:
        """`check`, and what comes along with it, is part of this incident from now on."""
        before, peak = case.incident, case.peak
        for member in members:
            case.put(member, self._in_force)
            self.incident_of[member.check_id] = self._last_of[member.check_id] = before.id
        self._index(case, check)
        self.incidents[before.id] = case.incident
        first = members[0]
        text = f"{first.check_id} joined as {first.severity or first.level.name.lower()}: {first.reason}"
        if event == "storm":
            text = f"a storm: many checks begin to fire at once, from here on as this one incident; {text}"
        if len(members) > 1:
            text += f"; with it {names([m.check_id for m in members[1:]])}"
        if event == "joined" and self._is_worse(case, before, peak):
            event = "worsened"
        entry = TimelineEntry(before.id, first.since, "storm" if event == "storm" else "joined", text)
        return Decision(case.incident, event, entry, members=tuple(members))

    def _reopen(self, case: Case, member: Member, check: Check) -> Decision:
        decision = reopen(case.incident, member, in_scale(self._in_force, case.incident.system, member))
        for check_id in case.members:
            self._closed.pop(check_id, None)
        case.incident, case.peak = decision.incident, Level.OK
        case.put(member, self._in_force)
        self._admit(case)
        self._index(case, check)
        return replace(decision, incident=case.incident)

    # -- storms ------------------------------------------------------------------------------------------------------

    def _begin_in_storm(self, check: Check, state: CheckState, at: datetime, grouping: Grouping) -> list[Decision]:
        case, event = self._cases.get(self._storm), "joined"
        if case is None or case.joined_at < at - grouping.storm_window:
            case, event = next(self._fresh_cases(at), None), "storm"
        if case is None:
            decision = self._open(check, state, at)
            case = self._cases[decision.incident.id]
        moved, ended = self._absorb(case, at)
        case.incident = replace(case.incident, storm=True)
        self._storm = case.incident.id
        if check.id not in case.members:
            moved = [member_of(case.incident.id, check, state, at), *moved]
            return [self._join(case, moved, check, event), *ended]
        opened = replace(decision, members=(*decision.members, *moved))
        for member in moved:
            case.put(member, self._in_force)
            self.incident_of[member.check_id] = self._last_of[member.check_id] = case.incident.id
        self.incidents[case.incident.id] = case.incident
        return [replace(opened, incident=case.incident), *ended]

    def _fresh_cases(self, at: datetime) -> Iterator[Case]:
        """Those opened while the storm began that nobody has taken on, the oldest first."""
        for incident_id, opened in list(self._fresh.items()):
            case = self._cases.get(incident_id)
            grouping = self._grouping(case.incident.check_id) if case else Grouping()
            if case is None or opened < at - grouping.storm_window:
                del self._fresh[incident_id]
            elif case.incident.storm or case.incident.acknowledged_by:
                continue
            elif self.bursts.is_storm(case.incident.system, grouping, at):
                yield case

    def _absorb(self, storm: Case, at: datetime) -> tuple[list[Member], list[Decision]]:
        """The other incidents of the same moment end: their members, as the storm's, and their ends."""
        moved: list[Member] = []
        ended: list[Decision] = []
        for case in list(self._fresh_cases(at)):
            if case is storm:
                continue
            incident = replace(case.incident, merged_into=storm.incident.id, failing=0)
            own = [replace(member, recovered_at=at) for member in case.failing]
            moved += [replace(member, incident_id=storm.incident.id) for member in case.failing]
            self._retire(case)
            text = f"merged into {storm.incident.id}: part of a storm"
            ended.append(replace(end(incident, at, text, "merged"), members=tuple(own)))
        return moved, ended

    # -- a member changes --------------------------------------------------------------------------------------------

    def _change(self, case: Case, check: Check, state: CheckState, member: Member, at: datetime) -> Decision:
        before, peak = case.incident, case.peak
        worst_of_it = worst(member.peak, state.firing_level)
        changed = replace(
            member,
            level=state.firing_level,
            reason=state.reason,
            peak=worst_of_it,
            severity=severity_of(check, worst_of_it),
        )
        case.put(changed, self._in_force)
        self.incidents[before.id] = case.incident
        is_worse = state.firing_level.badness > member.level.badness
        event = "changed"
        if self._is_worse(case, before, peak):
            event = "worsened"
        elif case.incident.level.badness < before.level.badness:
            event = "improved"
        kind = "worsened" if is_worse else "improved"
        words = f"{member.level.name.lower()} to {state.firing_level.name.lower()}: {state.reason}"
        text = f"{kind}: {words}" if len(case.members) == 1 else f"{check.id} {kind}: {words}"
        return Decision(case.incident, event, TimelineEntry(before.id, at, kind, text), members=(changed,))

    def _leave(self, case: Case, members: Sequence[Member], at: datetime, text: str, event: str) -> Decision:
        """These fail no more; the incident ends with the last."""
        before = case.incident
        recovered = [replace(member, recovered_at=at) for member in members]
        for member in recovered:
            case.put(member, self._in_force)
            self.incident_of.pop(member.check_id, None)
        if not case.incident.failing:
            if len(case.members) > 1 and event == "recovered":
                text = f"all {len(case.members)} checks are back in order, {members[-1].check_id} the last"
            decision = end(case.incident, at, text)
            case.incident = decision.incident
            self._retire(case)
            return replace(decision, members=tuple(recovered))
        self.incidents[before.id] = case.incident
        if event == "recovered":
            text = f"{members[0].check_id} recovered: {text}"
            event = "improved" if case.incident.level.badness < before.level.badness else event
        kind = "left" if event == "left" else "recovered"
        return Decision(case.incident, event, TimelineEntry(before.id, at, kind, text), members=tuple(recovered))

    def _rescaled(self, case: Case, before: Incident, members: tuple[Member, ...], at: datetime) -> Decision:
        event = "worsened" if self._is_worse(case, before, case.peak) else "changed"
        text = f"severity {before.severity or 'none'} to {case.incident.severity or 'none'}: the catalogue has changed"
        return Decision(case.incident, event, TimelineEntry(before.id, at, "severity", text), members=members)

    def _is_worse(self, case: Case, before: Incident, peak: Level) -> bool:
        """Than it has ever been since it opened: what was better meanwhile was not told either."""
        ranks = [severity(self._in_force, i.system, i.severity).rank for i in (case.incident, before)]
        return ranks[0] < ranks[1] or case.peak.badness > peak.badness

    # -- indexes -----------------------------------------------------------------------------------------------------

    def _admit(self, case: Case) -> None:
        incident = case.incident
        self._cases[incident.id], self.incidents[incident.id] = case, incident
        for member in case.members.values():
            self._last_of[member.check_id] = incident.id
            if member.is_failing:
                self.incident_of[member.check_id] = incident.id
        if incident.storm:
            self._storm = incident.id
        elif self.catalogue is not None and self._grouping(incident.check_id).storm:
            self._fresh[incident.id] = incident.since

    def _retire(self, case: Case) -> None:
        incident = case.incident
        del self._cases[incident.id], self.incidents[incident.id]
        self._ended[incident.id] = case
        self._fresh.pop(incident.id, None)
        for check_id in case.members:
            if self._last_of.get(check_id) == incident.id:
                del self._last_of[check_id]
            if self.incident_of.get(check_id) == incident.id:
                del self.incident_of[check_id]
        if not incident.is_open:
            self._remember(case)

    def _remember(self, case: Case) -> None:
        self._closed |= dict.fromkeys(case.members, case)

    def _index(self, case: Case, check: Check | None) -> None:
        if check is not None and check.playbook:
            self._by_playbook[check.system, check.playbook] = case.incident.id

    def _grouping(self, check_id: str) -> Grouping:
        system = self._in_force.systems.get(check_id.partition("/")[0])
        return system.grouping if system else Grouping()

    @property
    def _in_force(self) -> Catalogue:
        assert self.catalogue is not None, "adopt comes first"
        return self.catalogue


def _only(incident: Incident) -> Member:
    """Of an incident without members: the check that opened it."""
    return Member(incident.id, incident.check_id, incident.level, "", incident.opened_at, incident.reason)


def _complete(member: Member, incident: Incident) -> Member:
    """A member written by a former version knows nothing of itself: it was its incident."""
    if member.severity or incident.joined > 1:
        return member
    level = incident.level
    return replace(member, level=level, peak=level, severity=incident.severity, reason=incident.reason)
