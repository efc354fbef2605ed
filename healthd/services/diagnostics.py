"""When an incident opens, the looks of its playbook's steps are made at once, and what they find is attached to it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from healthd.incidents import Decision
from healthd.incidents.dependencies import ancestors
from healthd.incidents.diagnosis import MAX_STEPS, Result, diagnosed, diagnosis, seen, unseen
from healthd.look import Shared, judged
from healthd.model.catalogue import Catalogue, Check, Step
from healthd.model.incidents import Incident
from healthd.model.outcomes import Outcome
from healthd.model.tasks import end_tasks
from healthd.notify.compose import clean
from healthd.schedule import Due
from healthd.services.base import House

LIMIT = timedelta(seconds=30)  # for a whole diagnosis, from the moment the incident opened
PLACES = 20  # diagnoses at once; in a storm the others wait within their limit
LOOKS = 12  # looks at once, for all diagnoses together
FRESH = timedelta(seconds=60)  # a check's own outcome that is older is not taken as it is
SHARED = timedelta(milliseconds=500)  # the same question asked so shortly before a failure was seen serves as well
KEPT = timedelta(seconds=60)  # how long answers are kept for that
LATE = timedelta(minutes=10)  # an incident older than this is not diagnosed after a restart
BEGINS = frozenset({"firing", "reopened"})

log = structlog.get_logger("healthd.diagnosis")


@dataclass(slots=True)
class _Asked:
    """One look, for everybody who asks the same within a short time."""

    at: datetime
    answer: asyncio.Task[Outcome]


class Diagnostics:
    """Looks for the causes of incidents. Never in the way of the checks: few looks at once, and bounded in time."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._catalogue: Catalogue | None = None
        self._under_way: dict[str, asyncio.Task[None]] = {}  # by incident
        self._ranks: dict[str, int] = {}  # by incident: of the severity it was last diagnosed at
        self._asked: dict[str, _Asked] = {}  # by system and the look's fingerprint
        self._places = asyncio.Semaphore(PLACES)
        self._looks = asyncio.Semaphore(LOOKS)
        house.corridor.on_incident.append(self._heard)

    async def restore(self) -> None:
        """What was under way when the daemon ended is begun anew with the first catalogue."""

    def adopt(self, catalogue: Catalogue) -> None:
        """Its playbooks count from the next incident on."""
        first, self._catalogue = self._catalogue is None, catalogue
        now = self._house.now()
        for incident in list(self._house.corridor.incidents.values()) if first else ():
            if "diagnosis" in incident.details:
                self._ranks[incident.id] = catalogue.severity(incident.system, incident.severity).rank
            elif now - incident.since < LATE:
                self._begin(incident)

    async def scan(self, now: datetime) -> None:
        """Forget answers nobody may share any more."""
        self._asked = {k: a for k, a in self._asked.items() if not a.answer.done() or now - a.at < KEPT}

    async def close(self) -> None:
        """Give up what is under way; it is begun anew after a restart."""
        tasks = [*self._under_way.values(), *(asked.answer for asked in self._asked.values())]
        await end_tasks(tasks)

    # -- when ------------------------------------------------------------------------------------------------------

    def _heard(self, decision: Decision, incident: Incident) -> None:
        """A worse severity deserves another look, whatever made it so."""
        if not incident.is_open:
            self._ranks.pop(incident.id, None)
            if (task := self._under_way.get(incident.id)) is not None:
                task.cancel()
        elif self._catalogue is not None and incident.playbook:
            rank = self._catalogue.severity(incident.system, incident.severity).rank
            if decision.event in BEGINS or rank < self._ranks.get(incident.id, rank):
                self._begin(incident)

    def _begin(self, incident: Incident) -> None:
        steps = self._steps(incident)
        if not steps:
            return
        assert self._catalogue is not None
        self._ranks[incident.id] = self._catalogue.severity(incident.system, incident.severity).rank
        if (earlier := self._under_way.get(incident.id)) is not None:
            earlier.cancel()
        task = asyncio.get_running_loop().create_task(self._diagnose(incident, steps))
        self._under_way[incident.id] = task
        task.add_done_callback(lambda ended: self._ended(incident.id, ended))

    def _steps(self, incident: Incident) -> Sequence[Step]:
        assert self._catalogue is not None
        system = self._catalogue.systems.get(incident.system)
        playbook = system.playbooks.get(incident.playbook) if system else None
        return [step for step in playbook.diagnostics if self._is_run(step)][:MAX_STEPS] if playbook else ()

    def _is_run(self, step: Step) -> bool:
        """What is switched off in this installation is not looked at here either."""
        return step.look is not None or step.check in self._house.corridor.checks

    def _ended(self, incident_id: str, task: asyncio.Task[None]) -> None:
        if self._under_way.get(incident_id) is task:
            del self._under_way[incident_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("diagnosis_failed", incident=incident_id, exc_info=error)

    # -- how -------------------------------------------------------------------------------------------------------

    async def _diagnose(self, incident: Incident, steps: Sequence[Step]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        failing = {m.check_id for m in self._house.corridor.members(incident.id) if m.is_failing}
        results = await self._results(incident, steps, began + LIMIT.total_seconds())
        at, seconds = self._house.now(), loop.time() - began
        symptoms = failing | {step.check for step in steps if self._needs(step.check, failing)}
        found = clean(diagnosis(results, incident.severity, at, seconds, symptoms), self._house.teller.redact)
        log.info(
            "incident_diagnosed", incident=incident.id, steps=found["steps"], answered=found["answered"],
            findings=[finding["text"] for finding in found["findings"]], seconds=found["seconds"],
        )  # fmt: skip
        await self._house.corridor.amend(incident.id, lambda now: diagnosed(now, found, at))

    def _needs(self, check_id: str, failing: Collection[str]) -> bool:
        """Whether a check is broken because one of these is: then it is no cause of theirs."""
        checks = self._house.corridor.checks
        check = checks.get(check_id)
        return check is not None and any(ancestor.id in failing for ancestor in ancestors(check, checks))

    async def _results(self, incident: Incident, steps: Sequence[Step], ends: float) -> list[Result]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(ends):
                await self._places.acquire()
        except TimeoutError:
            return [unseen(step, "too many incidents opened at once: there was no time to look") for step in steps]
        try:
            tasks = [loop.create_task(self._look(incident, step)) for step in steps]
            try:
                await asyncio.wait(tasks, timeout=max(0.0, ends - loop.time()))
                return [_result(step, task) for step, task in zip(steps, tasks, strict=True)]
            finally:
                for task in tasks:
                    task.cancel()
        finally:
            self._places.release()

    async def _look(self, incident: Incident, step: Step) -> Outcome:
        """The answer of its own look, or of the check it names; one that others have just asked for is shared.

        A check that runs all the time is run now. One of the calendar is looked through without being run: its incident
        belongs to its day, and is none for the middle of the night.
        """
        system = incident.system
        check = step.look or self._house.corridor.checks.get(step.check)
        if check is None:
            raise LookupError(f"the check {step.check} is no longer there")
        now = self._house.now()
        if check.interval is not None:
            latest = self._house.corridor.latest.get(check.id)
            if latest is not None and latest.error_kind != "stopped" and latest.started >= self._seen_failing(incident):
                return latest
            return await self._house.corridor.run_now(check)
        question = f"{system}/{check.fingerprint}"
        asked = self._asked.get(question)
        if asked is None or asked.answer.cancelled() or asked.at < self._seen_failing(incident) - SHARED:
            task = asyncio.get_running_loop().create_task(self._ask(system, check))
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # whoever asked may be gone
            asked = self._asked[question] = _Asked(now, task)
        return await asyncio.shield(asked.answer)

    def _seen_failing(self, incident: Incident) -> datetime:
        """When the check that opened it was looked at last: what was seen before may be from before the failure."""
        opener = self._house.corridor.latest.get(incident.check_id)
        return max(opener.started, self._house.now() - FRESH) if opener is not None else self._house.now()

    async def _ask(self, system: str, check: Check) -> Outcome:
        assert self._catalogue is not None
        house, shared = self._house, Shared()
        zone = self._catalogue.systems[system].zone
        async with asyncio.timeout(LIMIT.total_seconds()), self._looks, house.slots.slot(check.probe.type):
            now = house.now()
            due = Due(check, now, "manual")
            return judged(due, await house.looker.look(due, now, zone, shared), house.corridor.redact)


def _result(step: Step, task: asyncio.Task[Outcome]) -> Result:
    if not task.done() or task.cancelled():
        return unseen(step, f"no answer within {LIMIT.total_seconds():.0f} s")
    error = task.exception()
    if isinstance(error, LookupError):
        return unseen(step, str(error))
    if isinstance(error, TimeoutError):
        return unseen(step, f"no answer within {LIMIT.total_seconds():.0f} s")
    if error is not None:
        log.error("diagnostic_look_failed", step=step.title, exc_info=error)
        return unseen(step, f"could not be looked at ({type(error).__name__})")
    return seen(step, task.result())
