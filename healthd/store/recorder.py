"""Between the checks and the store: while the store does not take outcomes, they are kept and offered again.

Everything kept is written as one transaction when the store is back, so that a daemon killed at any moment finds
outcomes, states, incidents and messages that belong together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime

import structlog

from healthd.model.incidents import Incident, Message, TimelineEntry
from healthd.model.outcomes import CheckState, Outcome
from healthd.store.base import Commit, Store, StoreError

CAPACITY = 20_000  # outcomes kept in memory; beyond it the oldest are given up and counted
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 10.0

log = structlog.get_logger("healthd.record")


class Recorder:
    """Commits to a store that may be away. `saved` hears what became durable, `lost` how many never will."""

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
        self._retrying: asyncio.Task[None] | None = None
        self.problem = ""

    @property
    def unsaved(self) -> int:
        """Outcomes that wait in memory."""
        return len(self._kept.outcomes)

    async def commit(self, commit: Commit) -> bool:
        """Write `commit`: True when it is durable, False when it is kept in memory for later."""
        if self._retrying is not None:
            self._keep(commit)
            return False
        try:
            await self._store.commit(commit)
        except StoreError as error:
            self._failed()
            self._keep(commit)
            self._begin_retrying(error)
            return False
        self._saved(commit)
        return True

    async def flush(self) -> bool:
        """One attempt to write what is kept. True when nothing is left."""
        if self._kept.empty():
            return True
        commit = self._kept.take()
        try:
            await self._store.commit(commit)
        except StoreError as error:
            self._failed()
            self.problem = error.reason
            self._lost_to(self._kept.put_back(commit))
            return False
        self._saved(commit)
        return self._kept.empty()

    async def close(self) -> None:
        """Stop retrying after one last attempt; says in the log what could not be saved."""
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.gather(self._retrying, return_exceptions=True)
            self._retrying = None
        if not await self.flush():
            log.error("outcomes_not_saved", count=self.unsaved, reason=self.problem)

    def _keep(self, commit: Commit) -> None:
        self._lost_to(self._kept.add(commit))

    def _lost_to(self, dropped: int) -> None:
        if dropped:
            self._lost(dropped)

    def _begin_retrying(self, error: StoreError) -> None:
        self.problem = error.reason
        if self._retrying is None:
            log.error("store_unavailable", reason=error.reason, consequence="outcomes are kept in memory")
            self._retrying = asyncio.get_running_loop().create_task(self._retry())

    async def _retry(self) -> None:
        pause = FIRST_PAUSE
        while True:
            await asyncio.sleep(pause)
            waiting = self.unsaved
            if await self.flush():
                break
            pause = min(pause * 2, LONGEST_PAUSE)
        self._retrying, self.problem = None, ""
        log.info("store_available", saved=waiting)


class _Kept:
    """What waits, merged: of states, incidents and marks only the newest counts."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.outcomes: deque[Outcome] = deque()
        self.states: dict[str, CheckState] = {}
        self.incidents: dict[str, Incident] = {}
        self.timeline: list[TimelineEntry] = []
        self.messages: list[Message] = []
        self.marks: dict[str, datetime] = {}

    def empty(self) -> bool:
        return not (self.outcomes or self.states or self.incidents or self.timeline or self.messages or self.marks)

    def add(self, commit: Commit) -> int:
        """Returns how many outcomes had to be given up."""
        self.outcomes.extend(commit.outcomes)
        self.states |= {s.check_id: s for s in commit.states}
        self.incidents |= {i.id: i for i in commit.incidents}
        self.timeline.extend(commit.timeline)
        self.messages.extend(commit.messages)
        self.marks |= commit.marks
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
        )
        self.__init__(self.capacity)  # type: ignore[misc]
        return commit

    def put_back(self, commit: Commit) -> int:
        """`commit` is older than what has been added meanwhile."""
        newer = self.take()
        return self.add(commit) + self.add(newer)
