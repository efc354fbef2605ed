"""When tasks are to be asked for: each firing of their cadences, the newest of those missed while healthd was away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from healthd.model.catalogue import Check, Rule
from healthd.model.records import Record
from healthd.schedule import fires, next_fire
from healthd.schedule.splay import EPOCH, phase

MARK = "attestation|"
FAR = timedelta(days=400)


class Firings:
    """Which firing of each task comes next. `since` says when a task was first known: nothing before is asked for."""

    def __init__(self) -> None:
        self.since: dict[str, datetime] = {}
        self._asked: dict[str, datetime] = {}  # the newest firing that was asked for
        self._tasks: dict[str, Check] = {}
        self._next: dict[str, datetime | None] = {}

    def restore(self, marks: Mapping[str, datetime], records: Sequence[Record]) -> None:
        """What the store remembers; `records` are the newest first."""
        self.since = {key.removeprefix(MARK): at for key, at in marks.items() if key.startswith(MARK)}
        for record in records:
            if not record.body.get("incident"):
                self._asked.setdefault(f"{record.system}/{record.name}", record.at)

    def adopt(self, tasks: Iterable[Check], now: datetime) -> dict[str, datetime]:
        """These tasks are asked for from now on. Returns marks to store for those that are new."""
        self._tasks = {task.id: task for task in tasks}
        # what is not asked for any more, and then again, is new
        known = {id_: at for id_, at in self.since.items() if id_ in self._tasks}
        new = {id_: now for id_ in self._tasks if id_ not in known}
        self.since = known | new
        self._next = {id_: self._after(id_, self._start(id_, now)) for id_ in self._tasks}
        return {MARK + id_: at for id_, at in new.items()}

    def due(self, now: datetime) -> list[tuple[str, datetime]]:
        """(task, firing) for every task whose next firing has come; of several the newest."""
        found = []
        for id_ in [id_ for id_, at in self._next.items() if at is not None and at <= now]:
            newest = None
            while (at := self._next[id_]) is not None and at <= now:
                newest = at
                self._next[id_] = self._after(id_, at)
            assert newest is not None
            self._asked[id_] = newest
            found.append((id_, newest))
        return found

    def _start(self, id_: str, now: datetime) -> datetime:
        start = max(self.since[id_], self._asked.get(id_, self.since[id_]), now - FAR)
        passed = [at for rule in self._tasks[id_].rules if not rule.is_interval for at in fires(rule, start, now)]
        # all but the newest of those that passed are beyond being asked for
        return max(passed) - timedelta(seconds=1) if passed else start

    def _after(self, id_: str, moment: datetime) -> datetime | None:
        firings = [_next(rule, id_, moment) for rule in self._tasks[id_].rules]
        return min((at for at in firings if at is not None), default=None)


def _next(rule: Rule, check_id: str, after: datetime) -> datetime | None:
    """The rule's next firing; an interval's times are those at which its check runs."""
    if rule.every is None:
        return next_fire(rule, after)
    start = EPOCH + phase(check_id, rule.every)
    return start + ((after - start) // rule.every + 1) * rule.every
