"""What the page, the API and the inbound hooks ask of the daemon (healthd.web.daemon.Daemon)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from healthd.incidents.escalation import release
from healthd.model.catalogue import Catalogue, ChannelSpec
from healthd.model.escalation import Climb
from healthd.model.incidents import Incident, TimelineEntry
from healthd.model.outcomes import CheckState, Outcome
from healthd.notify.slack_answers import answer
from healthd.report import Objective, Report
from healthd.services.postmortem import postmortem
from healthd.store.base import AuditEntry, Commit
from healthd.wiring import Wiring


class Doors(Wiring):
    """The daemon as others see it."""

    @property
    def catalogue(self) -> Catalogue:
        """In force now."""
        assert self._catalogue is not None
        return self._catalogue

    @property
    def states(self) -> Mapping[str, CheckState]:
        """By check id."""
        return self._corridor.states

    @property
    def latest(self) -> Mapping[str, Outcome]:
        """The newest outcome by check id."""
        return self._corridor.latest

    @property
    def incidents(self) -> Mapping[str, Incident]:
        """Open incidents by id."""
        return self._corridor.incidents

    @property
    def incident_of(self) -> Mapping[str, str]:
        """By id of a check that fails: the id of its open incident."""
        return self._corridor.incident_of

    @property
    def suppressed(self) -> Mapping[str, str]:
        """Checks kept quiet, and the broken dependency that explains each."""
        return self._corridor.suppressed

    @property
    def channels(self) -> Mapping[str, ChannelSpec]:
        """Of the settings and of the catalogue."""
        return self._teller.channels

    @property
    def reload_problem(self) -> str:
        """Why the last reload was refused; empty when it was not."""
        return self._reload_problem

    @property
    def leading(self) -> bool:
        """Whether this replica runs the checks."""
        return self._leading

    @property
    def leader_address(self) -> str:
        """Of the replica that leads, as it says itself; empty while nobody is known to, or this one is about to."""
        leader = self._leadership.leader
        return leader.address if leader and (self._leading or not leader.mine) else ""

    def unready(self) -> list[str]:
        """Why the daemon cannot run checks; empty when it can."""
        return [*self._not_ready, *([self._recorder.problem] if self._recorder.problem else [])]

    async def exposition(self) -> bytes:
        """`/metrics`."""
        await self._measure_outbox()
        self.metrics.unsaved.set(self._recorder.unsaved)
        self.metrics.leader.set(1 if self._leading and self._leadership.valid else 0)
        self.metrics.ready.set(0 if self.unready() else 1)
        return await self.metrics.render(self._corridor.checks, self.states, self.latest)

    async def run_now(self, check_id: str, actor: str) -> Outcome:
        """Run one check now; KeyError for an unknown id."""
        check = self.catalogue.checks[check_id]
        await self._audit(actor, "run", check_id)
        return await self._corridor.run_now(check)

    async def acknowledge(self, incident_id: str, actor: str, note: str = "") -> Incident:
        """KeyError for an unknown or resolved incident."""
        incident = await self._corridor.acknowledge(incident_id, actor, note)
        await self._audit(actor, "acknowledge", incident_id, note)
        return incident

    async def unacknowledge(self, incident_id: str, actor: str) -> Incident:
        """KeyError for an unknown or resolved incident."""
        incident = await self._corridor.amend(incident_id, lambda i: release(i, actor, self._now()))
        if incident is None:
            raise KeyError(incident_id)
        await self._audit(actor, "unacknowledge", incident_id)
        return incident

    async def remark(self, incident_id: str, actor: str, text: str, at: datetime | None = None) -> None:
        """KeyError for an unknown incident."""
        if incident_id not in self.incidents and await self.store.incident(incident_id) is None:
            raise KeyError(incident_id)
        now, said = self._now(), self._redact(text)
        entry = TimelineEntry(incident_id, min(at or now, now), "note", said, actor)
        audit = AuditEntry(now, actor, "remark", incident_id, said)
        await self._recorder.commit(Commit(timeline=(entry,), audits=(audit,)))

    async def answer_slack(self, url: str, lines: Sequence[str]) -> None:
        """What whoever pressed a button is told."""
        await answer(url, [self._redact(line) for line in lines], self.channels.values(), self._now)

    def climb(self, incident: Incident) -> Climb:
        """How far an incident has climbed the escalation chain, and what follows."""
        return self._escalation.climb(incident)

    async def write_audit(self, actor: str, action: str, target: str, detail: str = "") -> None:
        """A line in the audit log."""
        await self._audit(actor, action, target, detail)

    async def postmortem(self, incident_id: str) -> str:
        """A post-mortem begun, in Markdown. KeyError for an unknown incident, or one of a system that is gone."""
        return await postmortem(incident_id, self.store, self.catalogue, self._public_url)

    async def report_preview(self, system: str, cadence: str) -> Report:
        """The report of a calendar cadence as it would be now. KeyError for an unknown one."""
        return await self._reports.preview(system, cadence)

    async def objectives(self, system: str) -> list[Objective]:
        """Availability of every check of a system against its objective. KeyError for an unknown one."""
        return await self._reports.objectives(system)
