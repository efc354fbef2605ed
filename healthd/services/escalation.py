"""Watches the clocks of open incidents: levels of escalation, late responses, lapsed acknowledgements, updates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from healthd.incidents import Decision
from healthd.incidents.clocks import Clocks, next_due
from healthd.incidents.escalation import Policy, climb, go_on, run_out, stop
from healthd.incidents.lifecycle import SINCE
from healthd.model.catalogue import Catalogue
from healthd.model.escalation import Climb
from healthd.model.incidents import Incident
from healthd.services.agenda import Agenda
from healthd.services.base import House

AT_ONCE = 200  # incidents dealt with in one scan; what is left is due in the next
UNTOLD = timedelta(seconds=1)  # how often an incident nobody has heard of yet is looked at
AGAIN = timedelta(seconds=5)  # after something went wrong
QUIET = "quiet"  # in an incident's details: why nobody is to be told of it now

log = structlog.get_logger("healthd.escalation")


class Escalation:
    """Acts on the clocks of incidents until they are acknowledged or over. What was done is committed with each."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._catalogue: Catalogue | None = None
        self._agenda = Agenda()
        self._working: asyncio.Task[None] | None = None
        house.corridor.on_incident.append(self._heard)

    async def restore(self) -> None:
        """Nothing of its own: the clocks are kept with the incidents."""

    def adopt(self, catalogue: Catalogue) -> None:
        """Its chains and times count from now on, for incidents that are open as well."""
        self._catalogue = catalogue
        self._agenda.clear()
        for incident in self._house.corridor.incidents.values():
            self._plan(incident)

    async def scan(self, now: datetime) -> None:
        """Begin what is due, unless the last lot still waits for the store."""
        if self._working is not None and not self._working.done():
            return
        if due := self._agenda.due(now, AT_ONCE):
            self._working = asyncio.get_running_loop().create_task(self._act_on(due))

    async def close(self) -> None:
        """What is being committed is committed."""
        if self._working is not None:
            await asyncio.wait((self._working,), timeout=2)

    def climb(self, incident: Incident) -> Climb:
        """How far an incident has come, and what follows."""
        policy = self._policy(incident)
        return climb(incident, policy) if policy is not None else Climb()

    def _heard(self, decision: Decision, incident: Incident) -> None:
        self._measure(decision, incident)
        if incident.is_open:
            self._plan(incident)
        else:
            self._agenda.drop(incident.id)

    def _plan(self, incident: Incident) -> None:
        """When the first clock runs out. Nothing does before people have heard of it, nor while it is kept quiet."""
        policy, now = self._policy(incident), self._house.now()
        if policy is None:
            self._agenda.drop(incident.id)
            return
        due = next_due(incident, policy.severity, policy.chain)
        if incident.telling.event == "firing":
            self._agenda.put(incident.id, max(incident.telling.due or now, now + UNTOLD))
        elif bool(incident.details.get(QUIET)) is not (Clocks.of(incident).stopped is not None):
            self._agenda.put(incident.id, now)
        elif due is None:
            self._agenda.drop(incident.id)
        else:
            self._agenda.put(incident.id, due.at)

    def _policy(self, incident: Incident) -> Policy | None:
        system = self._catalogue.systems.get(incident.system) if self._catalogue else None
        if system is None or self._catalogue is None:
            return None
        severity = self._catalogue.severity(incident.system, incident.severity)
        playbook = system.playbooks.get(incident.playbook)
        if playbook is not None and playbook.response is not None:
            severity = replace(severity, response=playbook.response)
        return Policy(severity, system.runbook.escalation, {c.name: c for c in system.runbook.contacts})

    async def _act_on(self, incident_ids: list[str]) -> None:
        acts = (self._act(incident_id) for incident_id in incident_ids)
        for incident_id, failed in zip(incident_ids, await asyncio.gather(*acts, return_exceptions=True), strict=True):
            if failed is not None:
                log.error("escalation_failed", incident=incident_id, exc_info=failed)
                self._agenda.put(incident_id, self._house.now() + AGAIN)

    async def _act(self, incident_id: str) -> None:
        """Everything that is due for one incident, one after the other."""
        while (incident := self._house.corridor.incidents.get(incident_id)) is not None:
            change = self._change(incident)
            if change is None:
                self._plan(incident)
                return
            await self._house.corridor.amend(incident_id, change)
        self._agenda.drop(incident_id)

    def _change(self, incident: Incident) -> Callable[[Incident], Decision | None] | None:
        policy, now, why = self._policy(incident), self._house.now(), str(incident.details.get(QUIET, ""))
        stopped = Clocks.of(incident).stopped is not None
        if policy is None or incident.telling.event == "firing" or (why and stopped):
            return None
        if why:
            return lambda i: stop(i, why, now)
        if stopped:
            return lambda i: go_on(i, now)
        if run_out(incident, policy, now) is None:
            return None
        return lambda i: run_out(i, policy, now)

    def _measure(self, decision: Decision, incident: Incident) -> None:
        metrics, labels = self._house.metrics, (incident.system, incident.severity)
        clocks, kind = Clocks.of(incident), decision.update.get("kind")
        if kind == "unanswered":
            metrics.response_breaches.labels(*labels).inc()
            log.warning("response_late", incident=incident.id, severity=incident.severity)
        elif kind == "escalated" and not decision.alone:
            metrics.escalations.labels(*labels, decision.update["level"]).inc()
            log.warning("incident_escalated", incident=incident.id, level=decision.update["level"])
        elif decision.event == "acknowledged":
            first = incident.details.get(SINCE) == decision.entry.at.isoformat()
            if first and not clocks.responded:
                metrics.ack_seconds.labels(*labels).observe((decision.entry.at - clocks.since).total_seconds())
        elif incident.resolved_at is not None and not incident.merged_into:
            metrics.resolve_seconds.labels(*labels).observe((incident.resolved_at - clocks.since).total_seconds())
