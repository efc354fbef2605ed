"""Attestations: asked for when they are due to be, reminded, overdue, signed for. Kept as records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from healthd.incidents import Decision
from healthd.incidents import attestations as pure
from healthd.model.attestations import AttestationError, Request, Task
from healthd.model.catalogue import Catalogue, Check
from healthd.model.incidents import Incident
from healthd.model.outcomes import Observation
from healthd.probes.base import MeasureInfo, Params, ProbeContext
from healthd.schedule import Due
from healthd.services.base import House
from healthd.services.firings import Firings
from healthd.store.base import AuditEntry, Commit

MOST = 5_000  # requests read from the store at start
BACK = 200  # resolved incidents looked through at start for those that nobody was asked about
LOOK_AGAIN = timedelta(hours=1)  # while something is overdue
log = structlog.get_logger("healthd.attestation")


class Attestations:
    """Everything open, in memory; everything in the store."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._catalogue: Catalogue | None = None
        self._tasks: dict[str, Check] = {}
        self._open: dict[str, Request] = {}
        self._asked: set[str] = set()  # ids, so that nothing is asked for twice
        self._by_incident: dict[tuple[str, str], str] = {}  # task and incident -> id: one, however often that ends
        self._firings = Firings()
        self._ended: list[Incident] = []  # resolved, and not yet looked at
        self._looked: dict[str, tuple[object, ...]] = {}  # what the last look of a task's check saw
        self._unsaved: dict[str, datetime] = {}
        house.corridor.on_incident.append(self._heard)

    # -- Service ---------------------------------------------------------------------------------------------------

    async def restore(self) -> None:
        """What was asked for and when; what ended while healthd was away is looked at with the first catalogue."""
        store = self._house.store
        records = await store.records(pure.KIND, limit=MOST)
        open_ = await store.records(pure.KIND, open_only=True, limit=MOST)
        self._open = {record.id: pure.from_record(record) for record in open_}
        self._asked = {record.id for record in (*records, *open_)}
        self._by_incident = {
            (request.check_id, request.incident): request.id
            for request in map(pure.from_record, (*records, *open_))
            if request.incident
        }
        self._firings.restore(await store.marks(), records)
        self._ended = [i for i in await store.incidents(limit=BACK) if i.resolved_at is not None]

    def adopt(self, catalogue: Catalogue) -> None:
        """Its tasks. One that is new is asked for from now on."""
        now = self._house.now()
        self._catalogue = catalogue
        self._tasks = {c.id: c for c in catalogue.checks.values() if c.is_attestation and c.enabled}
        self._unsaved |= self._firings.adopt(self._tasks.values(), now)

    async def scan(self, now: datetime) -> None:
        """Ask for what is due, remind, and have looked at what has changed."""
        if self._unsaved:
            marks, self._unsaved = self._unsaved, {}
            await self._house.recorder.commit(Commit(marks=marks))
        await self._drop(now)
        await self._ask([*self._due_now(now), *self._following()], now)
        await self._remind(now)
        self._have_looked_at(now)

    async def close(self) -> None:
        """Nothing runs in the background."""

    # -- what people do --------------------------------------------------------------------------------------------

    @property
    def open(self) -> Sequence[Request]:
        """Those that wait to be signed for, what is due first first."""
        return sorted(self._open.values(), key=lambda r: (r.late_from, r.id))

    @property
    def tasks(self) -> Mapping[str, Check]:
        """What is asked for, by id."""
        return self._tasks

    async def past(self, limit: int, check_id: str = "") -> Sequence[Request]:
        """Those that are closed, the newest first."""
        return [request for request in await self.recorded(limit, of=check_id) if not request.is_open]

    async def recorded(
        self, limit: int, *, of: str = "", before: datetime | None = None, before_id: str = ""
    ) -> Sequence[Request]:
        """Those in the store, open or closed, the newest first. `of`: a system, or a task; `before` and `before_id` as
        the store has them."""
        system, _, name = of.partition("/")
        found = await self._house.store.records(
            pure.KIND, system=system, name=name, before=before, before_id=before_id, limit=limit
        )
        return [self._open.get(record.id) or pure.from_record(record) for record in found]

    async def find(self, name: str) -> Request:
        """By its id, or by the name of what is asked for (system/name, or the name alone): the one that is open.

        KeyError for what is unknown; AttestationError where nothing, or more than one, is open under the name.
        """
        if name.startswith("ATT-"):
            return await self._by_id(name)
        checks = [c for c in self._tasks.values() if name in (c.id, c.name)]
        if not checks:
            raise KeyError(name)
        found = [r for r in self.open if r.check_id in {c.id for c in checks}]
        if not found:
            raise AttestationError(f"{name} is not asked for now", "see what is: healthd attest --list")
        if len(found) > 1:
            ids = ", ".join(f"{r.id} ({r.title})" for r in found)
            raise AttestationError(f"{name} is asked for {len(found)} times", f"say which: {ids}")
        return found[0]

    async def give(self, name: str, by: str, note: str, link: str) -> Request:
        """Sign for it. Raises as `find`, and AttestationError for one that is closed."""
        now = self._house.now()
        request = pure.given(await self.find(name), now, by, note, link)
        late = ", late" if request.was_late else ""
        words = "; ".join(word for word in (f"{request.check_id}{late}", note, link) if word)
        await self._keep(request, self._house.audited(by, "attest", request.id, words))
        return request

    async def take_back(self, name: str, by: str, reason: str) -> Request:
        """Withdraw a signature, of the newest request of its task. KeyError, AttestationError."""
        now = self._house.now()
        request = await self._by_id(name)
        newest = await self._house.store.records(
            pure.KIND, system=request.system, name=request.check_id.partition("/")[2], limit=1
        )
        if newest and newest[0].id != request.id and not request.incident:
            raise AttestationError(f"{request.id} is over: {newest[0].id} took its place")
        request = pure.taken_back(request, now, by, reason)
        words = f"{request.check_id}: {reason}"
        await self._keep(request, self._house.audited(by, "withdraw attestation", request.id, words))
        return request

    # -- what its checks see -----------------------------------------------------------------------------------------

    def look(self, check_id: str, now: datetime) -> Observation:
        """How the task of that id stands."""
        requests = [r for r in self._open.values() if r.check_id == check_id]
        self._looked[check_id] = self._standing(check_id, now)
        assert self._catalogue is not None
        return pure.look(requests, now, self._catalogue.systems[check_id.partition("/")[0]].zone)

    # -- small things ----------------------------------------------------------------------------------------------

    async def _by_id(self, request_id: str) -> Request:
        if request_id in self._open:
            return self._open[request_id]
        record = await self._house.store.record(pure.KIND, request_id)
        if record is None:
            raise KeyError(request_id)
        return pure.from_record(record)

    def _heard(self, decision: Decision, incident: Incident) -> None:
        if decision.event == "resolved":  # one that was merged is its storm's from now on
            self._ended.append(incident)

    def _due_now(self, now: datetime) -> list[Request]:
        due = ((self._tasks[id_], at) for id_, at in self._firings.due(now))
        return [pure.asked(check, _task(check), at, now=now) for check, at in due]

    def _following(self) -> list[Request]:
        """Of the incidents that ended: what they are to be followed by. Overdue tasks are followed by nothing."""
        ended, self._ended = self._ended, []
        found = []
        for check in self._tasks.values():
            task, since = _task(check), self._firings.since.get(check.id)
            for incident in ended:
                at, mine = incident.resolved_at, incident.system == check.system and not incident.merged_into
                mine = mine and incident.severity in task.severities
                if mine and at and since and at >= since and incident.check_id not in self._tasks:
                    found.append(pure.asked(check, task, at, incident))
        return found

    async def _ask(self, requests: Iterable[Request], now: datetime) -> None:
        """Each once. Those of one system at one moment are told as one."""
        groups: dict[tuple[str, datetime, bool], list[Request]] = {}
        missed: list[Request] = []
        for wanted in [r for r in requests if r.id not in self._asked]:
            if (known := self._by_incident.get((wanted.check_id, wanted.incident))) is not None:
                await self._again(known, wanted)
                continue
            before = None if wanted.incident else self._before(wanted)
            request, replaced = pure.follows(wanted, before)
            key = (request.system, request.asked_at, bool(request.incident))
            groups.setdefault(key, []).append(request)
            self._asked.add(request.id)
            if request.incident:
                self._by_incident[request.check_id, request.incident] = request.id
            self._open[request.id] = request
            if replaced is not None:
                del self._open[replaced.id]
                missed.append(replaced)
            log.info("attestation_asked", attestation=request.check_id, id=request.id, due_by=request.due_by)
        for group in groups.values():
            await self._tell(group, now, [m for m in missed if m.check_id in {r.check_id for r in group}])

    async def _again(self, known: str, wanted: Request) -> None:
        """The incident was reopened and has ended again: there is time from then on, unless somebody signed already."""
        request = self._open.get(known)
        if request is not None and request.due_by < wanted.due_by:
            await self._keep(pure.ended_again(request, wanted))

    def _before(self, request: Request) -> Request | None:
        mine = (r for r in self._open.values() if r.check_id == request.check_id)
        return max(mine, key=lambda r: r.asked_at, default=None)

    async def _remind(self, now: datetime) -> None:
        groups: dict[tuple[str, bool], list[Request]] = {}
        for request in self.open:
            task = _task(self._tasks[request.check_id])
            count = pure.reminders(request, task, now)
            if count > request.reminded:
                self._open[request.id] = reminded = pure.reminded(request, count)
                groups.setdefault((request.system, bool(request.incident)), []).append(reminded)
        for group in groups.values():
            await self._tell(group, now, again=True)

    async def _tell(
        self, requests: Sequence[Request], now: datetime, missed: Sequence[Request] = (), *, again: bool = False
    ) -> None:
        assert self._catalogue is not None
        system, settings = self._catalogue.systems[requests[0].system], self._house.settings
        notice = pure.ask_notice(requests, system, now, again=again, page=settings.public_url)
        records = tuple(pure.to_record(r) for r in (*missed, *requests))
        await self._house.recorder.commit(Commit(records=records, messages=self._house.teller.announce(notice)))

    async def _drop(self, now: datetime) -> None:
        for request in [r for r in self._open.values() if r.check_id not in self._tasks]:
            why = "the catalogue does not ask for it any more"
            await self._keep(pure.dropped(request, now, why))

    async def _keep(self, request: Request, *entries: AuditEntry) -> None:
        if request.is_open:
            self._open[request.id] = request
        else:
            self._open.pop(request.id, None)
        await self._house.recorder.commit(Commit(records=(pure.to_record(request),), audits=entries))

    def _standing(self, check_id: str, now: datetime) -> tuple[object, ...]:
        """What a look would see, as far as it is worth another look."""
        mine = [r for r in self._open.values() if r.check_id == check_id]
        late_from = min((r.late_from for r in mine), default=now)
        overdue = -1 if now <= late_from else (now - late_from) // LOOK_AGAIN
        return (self._tasks.get(check_id), tuple(sorted(r.id for r in mine)), overdue)

    def _have_looked_at(self, now: datetime) -> None:
        for check in self._tasks.values():
            if self._looked.get(check.id) != self._standing(check.id, now):
                self._house.corridor.launch(Due(check, now, "confirm"))


class AttestationProbe:
    """Looks at a task that people sign for. Only the daemon knows how it stands."""

    Params = Params
    measures: Mapping[str, MeasureInfo] = {}
    defaults = ()

    def __init__(self, attestations: Attestations) -> None:
        self._attestations = attestations

    def measures_for(self, params: Task) -> Mapping[str, MeasureInfo] | None:
        """Those of `look`."""
        return None

    async def run(self, params: Task, context: ProbeContext) -> Observation:
        """What is known of it now."""
        return self._attestations.look(params.check, context.now)


def _task(check: Check) -> Task:
    task = check.probe.params
    assert isinstance(task, Task)
    return task
