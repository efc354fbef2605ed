"""One thread writes. What many callers hand over at about the same time becomes one transaction (group commit).

A group fails as a whole only when the database does. If one caller's values are to blame, the group is written
again one by one, and only that caller hears of it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from healthd.store.backend import Backend
from healthd.store.base import StoreError
from healthd.store.statements import Row, Step

GROUP_LIMIT = 500  # works in one transaction
# Seconds from the start of one transaction to the next, for every work in the first: the busier it is, the more
# works share the cost of one. Whoever comes alone waits for nothing.
PAUSE_PER_WORK = 0.004
PAUSE_LIMIT = 0.04


@dataclass(slots=True, eq=False)
class Work:
    """What one caller wants written, together. `mixed`: its rows may be sorted among those of its neighbours."""

    prepare: Callable[[], Sequence[Step]]
    done: asyncio.Future[int]  # how many rows it changed; 0 for mixed work
    mixed: bool = False


_Prepared = tuple[Work, Sequence[Step]]
_Settled = tuple[Work, int | StoreError]


class Writer:
    """Owns the writing connection. `submit` from the event loop; everything else happens in the thread."""

    def __init__(self, backend: Backend, connection: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._backend, self._connection, self._loop = backend, connection, loop
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._ending = False
        self.fence: tuple[str, int] | None = None  # holder and epoch of the lead without which nothing is written
        self._thread = threading.Thread(target=self._run, name="healthd-store-writer", daemon=True)
        self._thread.start()

    def submit(self, prepare: Callable[[], Sequence[Step]], *, mixed: bool = False) -> asyncio.Future[int]:
        """Queue it; the future ends when it is durable, or with a StoreError."""
        done: asyncio.Future[int] = self._loop.create_future()
        self._queue.put(Work(prepare, done, mixed))
        return done

    def finish(self) -> None:
        """Write what was handed over, close the connection and end the thread. Blocks."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while group := self._gather():
            started = time.monotonic()
            settled = self._write(group)
            last = settled[-1][1] if settled else 0
            if isinstance(last, StoreError) and last.transient:
                settled += self._turn_away(last)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more, what is queued is still written
                self._loop.call_soon_threadsafe(_settle, settled)
            if not self._ending and len(group) < GROUP_LIMIT:
                pause = min(PAUSE_LIMIT, PAUSE_PER_WORK * len(group))
                time.sleep(max(0.0, started + pause - time.monotonic()))
        self._disconnect()

    def _gather(self) -> list[Work]:
        """Wait for work; empty at the end."""
        group: list[Work] = []
        try:
            while not self._ending and len(group) < GROUP_LIMIT:
                work = self._queue.get(block=not group)
                if work is None:
                    self._ending = True
                else:
                    group.append(work)
        except Empty:
            pass
        return group

    def _write(self, group: list[Work]) -> list[_Settled]:
        prepared, settled = self._prepare(group)
        if not prepared:
            return settled
        try:
            counts = self._transaction(prepared)
        except Exception as error:  # noqa: BLE001 whatever it is, those who wait must hear of it
            explained = self._explain(error)
            if explained.transient or len(prepared) == 1:
                return settled + [(work, explained) for work, _ in prepared]
            return settled + self._one_by_one(prepared)
        return settled + [(work, count) for (work, _), count in zip(prepared, counts, strict=True)]

    def _turn_away(self, error: StoreError) -> list[_Settled]:
        """Who came while the database refused hears so at once, instead of waiting as long once more; in order."""
        waiting: list[_Settled] = []
        with suppress(Empty):
            for _ in range(self._queue.qsize()):
                work = self._queue.get_nowait()
                if work is None:
                    self._ending = True
                else:
                    waiting.append((work, error))
        return waiting

    def _prepare(self, group: list[Work]) -> tuple[list[_Prepared], list[_Settled]]:
        prepared: list[_Prepared] = []
        refused: list[_Settled] = []
        for work in group:
            try:
                prepared.append((work, work.prepare()))
            except Exception as error:  # noqa: BLE001 the values are a caller's, anything may be wrong with them
                reason = f"this cannot be stored: {type(error).__name__}: {error}"
                refused.append((work, StoreError(reason, transient=False)))
        return prepared, refused

    def _one_by_one(self, prepared: list[_Prepared]) -> list[_Settled]:
        settled: list[_Settled] = []
        for index, one in enumerate(prepared):
            try:
                settled.append((one[0], self._transaction([one])[0]))
            except Exception as error:  # noqa: BLE001 as above
                explained = self._explain(error)
                if explained.transient:  # now it is the database: the rest would fare no better
                    return settled + [(work, explained) for work, _ in prepared[index:]]
                settled.append((one[0], explained))
        return settled

    def _transaction(self, prepared: list[_Prepared]) -> list[int]:
        """Once more on a new connection if the old one turns out dead before the commit: then nothing was written.

        Lost during the commit it may have been written, so the caller hears of it instead.
        """
        fresh = self._connection is None
        while True:
            try:
                if self._connection is None:
                    self._connection = self._backend.connect()
                counts = self._execute(prepared)
            except Exception:
                if self._abandon() and not fresh:
                    fresh = True
                    continue
                raise
            try:
                self._connection.commit()
            except Exception:
                self._abandon()
                raise
            return counts

    def _execute(self, prepared: list[_Prepared]) -> list[int]:
        cursor = self._backend.begin(self._connection)
        if self.fence is not None:
            self._backend.fence(cursor, *self.fence)
        counts: list[int] = []
        gathered: dict[str, list[Row]] = {}
        for work, steps in prepared:
            if work.mixed:
                for sql, row in steps:
                    gathered.setdefault(sql, []).append(row)
                counts.append(0)
                continue
            self._flush(cursor, gathered)
            counts.append(sum(self._changed(cursor, sql, row) for sql, row in steps))
        self._flush(cursor, gathered)
        return counts

    def _flush(self, cursor: Any, gathered: dict[str, list[Row]]) -> None:
        for sql, rows in gathered.items():
            cursor.executemany(self._backend.placeholders(sql), rows)
        gathered.clear()

    def _changed(self, cursor: Any, sql: str, row: Row) -> int:
        cursor.execute(self._backend.placeholders(sql), row)
        changed: int = cursor.rowcount
        return changed

    def _abandon(self) -> bool:
        """Undo the transaction; whether the connection was lost."""
        if self._connection is None:
            return False
        if not self._backend.is_lost(self._connection):
            try:
                self._connection.rollback()
                return False
            except Exception:  # noqa: BLE001, S110 then it is of no use either
                pass
        self._disconnect()
        return True

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it is gone either way
                connection.close()

    def _explain(self, error: Exception) -> StoreError:
        return error if isinstance(error, StoreError) else self._backend.explain(error)


def _settle(settled: list[_Settled]) -> None:
    """On the event loop: tell everybody of a group."""
    for work, result in settled:
        if work.done.done():  # cancelled meanwhile
            continue
        if isinstance(result, StoreError):
            work.done.set_exception(result)
        else:
            work.done.set_result(result)
