"""What runs now: a check never overlaps itself, and a calendar run is not lost to another run of its check."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

import structlog

from healthd.schedule.due import Due

T = TypeVar("T")
log = structlog.get_logger("healthd.schedule")

EXTRA = frozenset({"confirm", "manual", "startup"})  # looks besides the schedule: they miss nothing


class Runs(Generic[T]):
    """Starts `run(due)` as a task, one per check. `missed` hears of due times that get no run of their own.

    A due time that finds its check busy: an extra look is dropped; an interval run is missed, unless what runs is an
    extra look, which serves as well; a calendar run (one with a mark) waits for its turn.
    """

    def __init__(self, run: Callable[[Due], Coroutine[Any, Any, T]], missed: Callable[[Due], None]) -> None:
        self._run, self._missed = run, missed
        self._tasks: dict[str, tuple[Due, asyncio.Task[T]]] = {}
        self._waiting: dict[str, dict[str, Due]] = {}  # check id -> mark -> the newest due time under it
        self._closed = False

    def launch(self, due: Due) -> None:
        """Start this run, or do with it what the class says."""
        if due.check.id not in self._tasks:
            self.start(due)
        elif due.mark:
            waiting = self._waiting.setdefault(due.check.id, {})
            if (older := waiting.get(due.mark)) is not None:
                self._missed(older)
            waiting[due.mark] = due
        elif due.trigger not in EXTRA and self._tasks[due.check.id][0].trigger not in EXTRA:
            self._missed(due)

    def start(self, due: Due) -> asyncio.Task[T]:
        """The run of this check that is under way, or a new one."""
        check_id = due.check.id
        if (task := self.of(check_id)) is not None:
            return task
        task = asyncio.get_running_loop().create_task(self._run(due))
        self._tasks[check_id] = due, task
        task.add_done_callback(lambda ended: self._ended(check_id, ended))
        return task

    def of(self, check_id: str) -> asyncio.Task[T] | None:
        """The run of that check that is under way."""
        found = self._tasks.get(check_id)
        return found[1] if found else None

    def tasks(self) -> list[asyncio.Task[T]]:
        """All that are under way."""
        return [task for _, task in self._tasks.values()]

    def forget(self, check_id: str) -> None:
        """The check is gone: nothing of it waits any more."""
        self._waiting.pop(check_id, None)

    def close(self) -> None:
        """Start nothing that waits: a calendar run not begun is caught up after the restart."""
        self._closed = True
        self._waiting.clear()

    def _ended(self, check_id: str, task: asyncio.Task[T]) -> None:
        del self._tasks[check_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("run_failed", check=check_id, exc_info=error)
        waiting = self._waiting.get(check_id)
        if waiting and not self._closed:
            due = waiting.pop(next(iter(waiting)))
            if not waiting:
                del self._waiting[check_id]
            self.start(due)
