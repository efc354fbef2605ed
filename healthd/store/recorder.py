"""Between the checks and the store: while the store does not take outcomes, or hangs, they are kept and offered again.

Everything kept is written as one transaction when the store is back, so that a daemon killed at any moment finds
outcomes, states, incidents and messages that belong together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from healthd.model.incidents import Incident, Member, Message, TimelineEntry
from healthd.model.outcomes import CheckState, Outcome
from healthd.model.records import Record
from healthd.model.tasks import end_tasks
from healthd.store.base import AuditEntry, Commit, Store, StoreError

CAPACITY = 20_000  # outcomes kept in memory; beyond it the oldest are given up and counted
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 10.0
PATIENCE = 3.0  # seconds a run waits for its outcome to be stored
HANGS = f"the database has not answered a commit for more than {PATIENCE:.0f} s: see whether it, or its disk, hangs"

log = structlog.get_logger("healthd.record")


class Recorder:
    """Commits to a store that may be away, or may hang. `saved` hears what became durable, `lost` how many never will.

    Nobody waits for a commit longer than `PATIENCE`: from then on outcomes are kept here until the store answers.
    """

    def __init__(
        self,
        store: Store,
        *,
        saved: Callable[[Commit], None],
        failed: Callable[[], None] = lambda: None,
        lost: Callable[[int], None] = lambda count: None,
        capacity: int = CAPACITY,
    ) -> None:
        self._store, self._saved, self._failed, self._lost = store, saved, failed, lost
        self._kept = _Kept(capacity)
        self._writing: dict[asyncio.Task[None], _Writing] = {}  # handed to the store, oldest first
        self._refused: list[Commit] = []  # by the store, oldest first; older than what is kept
        self._flushing = 0  # outcomes on their way to the store once more
        self._watching: asyncio.TimerHandle | None = None
        self._retrying: asyncio.Task[None] | None = None
        self.problem = ""

    @property
    def unsaved(self) -> int:
        """Outcomes that wait in memory."""
        return len(self._kept.outcomes) + sum(len(c.outcomes) for c in self._refused) + self._flushing

    async def commit(self, commit: Commit) -> bool:
        """Write `commit`: True when it is durable, False when it is kept in memory for later."""
        if self._retrying is not None:
            self._lost_to(self._kept.add(commit))
            return False
        loop = asyncio.get_running_loop()
        writing = _Writing(loop.time(), loop.create_future())
        self._writing[loop.create_task(self._write(commit, writing))] = writing
        if self._watching is None:
            self._watching = loop.call_later(PATIENCE, self._watch)
        return await writing.answer

    async def flush(self) -> bool:
        """One attempt to write what is kept. True when nothing is left."""
        while self._refused:
            self._lost_to(self._kept.put_back(self._refused.pop()))
        if self._kept.empty():
            return True
        commit = self._kept.take()
        self._flushing = len(commit.outcomes)
        try:
            await self._store.commit(commit)
        except StoreError as error:
            self._failed()
            self.problem = error.reason
            self._lost_to(self._kept.put_back(commit))
            return False
        finally:
            self._flushing = 0
        self._saved(commit)
        return self._kept.empty()

    async def close(self, grace: float = 5.0) -> None:
        """Stop retrying after one last attempt, within `grace` seconds; says in the log what could not be saved."""
        ends = asyncio.get_running_loop().time() + grace
        if self._watching is not None:
            self._watching.cancel()
        await end_tasks([self._retrying])
        self._retrying = None
        if self._writing:
            await asyncio.wait(list(self._writing), timeout=grace)
        last = asyncio.get_running_loop().create_task(self.flush())
        await asyncio.wait((last,), timeout=max(0.5, ends - asyncio.get_running_loop().time()))
        if not last.done() or not last.result() or self._writing:
            count = self.unsaved + len(self._writing)
            log.error("outcomes_not_saved", count=count, reason=self.problem or HANGS)
            last.cancel()

    async def _write(self, commit: Commit, writing: _Writing) -> None:
        durable = False
        try:
            await self._store.commit(commit)
            durable = True
        except StoreError as error:
            self._failed()
            self._refused.append(commit)
            self._begin_retrying(error.reason)
        finally:
            task = asyncio.current_task()
            assert task is not None
            del self._writing[task]
            if not writing.answer.done():
                writing.answer.set_result(durable)
        if durable:
            self._saved(commit)

    def _watch(self) -> None:
        """Let those go who have waited long enough."""
        loop = asyncio.get_running_loop()
        late = [w for w in self._writing.values() if loop.time() - w.since >= PATIENCE and not w.answer.done()]
        for writing in late:
            writing.answer.set_result(False)
        if late:
            self._failed()
            self._begin_retrying(HANGS)
        self._watching = loop.call_later(PATIENCE / 4, self._watch) if self._writing else None

    def _lost_to(self, dropped: int) -> None:
        if dropped:
            self._lost(dropped)

    def _begin_retrying(self, reason: str) -> None:
        self.problem = reason
        if self._retrying is None:
            log.error("store_unavailable", reason=reason, consequence="outcomes are kept in memory")
            self._retrying = asyncio.get_running_loop().create_task(self._retry())

    async def _retry(self) -> None:
        pause = FIRST_PAUSE
        while True:
            await asyncio.sleep(pause)
            if self._writing:  # what the store has taken on comes first
                continue
            waiting = self.unsaved
            if await self.flush():
                break
            pause = min(pause * 2, LONGEST_PAUSE)
        self._retrying, self.problem = None, ""
        log.info("store_available", saved=waiting)


@dataclass(frozen=True, slots=True)
class _Writing:
    """A commit the store has not answered: since when (loop time), and who waits for it."""

    since: float
    answer: asyncio.Future[bool]


class _Kept:
    """What waits, merged: of states, incidents, marks and records only the newest counts."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.outcomes: deque[Outcome] = deque()
        self.states: dict[str, CheckState] = {}
        self.incidents: dict[str, Incident] = {}
        self.timeline: list[TimelineEntry] = []
        self.messages: list[Message] = []
        self.marks: dict[str, datetime] = {}
        self.records: dict[tuple[str, str], Record] = {}
        self.members: dict[tuple[str, str], Member] = {}
        self.audits: list[AuditEntry] = []

    def empty(self) -> bool:
        parts = (self.outcomes, self.states, self.incidents, self.timeline, self.messages, self.marks, self.records)
        return not any((*parts, self.members, self.audits))

    def add(self, commit: Commit) -> int:
        """Returns how many outcomes had to be given up."""
        self.outcomes.extend(commit.outcomes)
        self.states |= {s.check_id: s for s in commit.states}
        self.incidents |= {i.id: i for i in commit.incidents}
        self.timeline.extend(commit.timeline)
        self.messages.extend(commit.messages)
        self.marks |= commit.marks
        self.records |= {(r.kind, r.id): r for r in commit.records}
        for member in commit.members:
            key = member.incident_id, member.check_id
            before = self.members.get(key)
            self.members[key] = replace(member, seen=before.seen) if before and not member.seen else member
        self.audits.extend(commit.audits)
        dropped = max(0, len(self.outcomes) - self.capacity)
        for _ in range(dropped):
            self.outcomes.popleft()
        return dropped

    def take(self) -> Commit:
        commit = Commit(
            tuple(self.outcomes),
            tuple(self.states.values()),
            tuple(self.incidents.values()),
            tuple(self.timeline),
            tuple(self.messages),
            dict(self.marks),
            tuple(self.records.values()),
            tuple(self.members.values()),
            tuple(self.audits),
        )
        self.__init__(self.capacity)  # type: ignore[misc]
        return commit

    def put_back(self, commit: Commit) -> int:
        """`commit` is older than what has been added meanwhile."""
        newer = self.take()
        return self.add(commit) + self.add(newer)
