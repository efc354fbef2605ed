"""The store over SQLite or PostgreSQL: the protocol's methods, each one question or one write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from healthd.model.incidents import Incident, Member, Message, TimelineEntry
from healthd.model.outcomes import CheckState, Outcome
from healthd.model.records import Record
from healthd.store import queries
from healthd.store.availability import availability
from healthd.store.backend import backend_for
from healthd.store.base import AuditEntry, Availability, Commit, Lead, OutboxState, Point
from healthd.store.database import Database
from healthd.store.history import Question, history
from healthd.store.retention import prune
from healthd.store.serialisation import maybe_micros, maybe_moment, micros, plain_text
from healthd.store.statements import (
    DELIVERED,
    FAILED,
    FINISH,
    GIVEN_UP,
    Step,
    audit_step,
    forget_steps,
    timeline_step,
)


class SqlStore:
    """Implements Store. `url` is sqlite:///file.db, sqlite:////folder/file.db or postgresql://user:password@host/name;
    StoreError says so if it is none of these. `redact` goes over every error before it is raised or stored.
    `exclusive`: as the daemon opens it, a SQLite file by one process at a time."""

    def __init__(self, url: str, *, redact: Callable[[str], str] | None = None, exclusive: bool = False) -> None:
        self._redact = redact or str
        self._database = Database(backend_for(url), self._redact, exclusive=exclusive)

    async def open(self) -> None:
        """Connect and migrate. Refuses a database of a newer healthd."""
        await self._database.open()

    async def close(self) -> None:
        """Finish what was handed to `commit`, then close."""
        await self._database.close()

    async def lead(self, holder: str, address: str, lasts: timedelta) -> Lead:
        """Take the lead, or keep it, for as long as `lasts` from now by the database's clock, unless another holder's
        still lasts; then whose it is. While it is ours every write is refused once it is not ours any more."""
        return await self._database.lead(holder, address, lasts)

    async def resign(self, holder: str) -> None:
        """Let go of the lead, if it is ours, so that another may have it at once."""
        await self._database.resign(holder)

    async def commit(self, commit: Commit) -> None:
        """Write all of it or nothing; durable on return."""
        await self._database.commit(commit)

    async def states(self) -> dict[str, CheckState]:
        """All remembered states by check id."""
        return await self._database.read(queries.all_states)

    async def forget(self, check_ids: Sequence[str]) -> None:
        """Drop the states of removed checks. Outcomes and incidents stay until retention."""
        await self._database.write(lambda: forget_steps(check_ids))

    async def marks(self) -> dict[str, datetime]:
        """Last due time handled per calendar job."""
        return await self._database.read(queries.all_marks)

    async def open_incidents(self, resolved_since: datetime | None = None) -> list[Incident]:
        """Oldest first; with `resolved_since` also those that ended since."""
        since = maybe_micros(resolved_since)
        return await self._database.read(lambda c: queries.open_incidents(c, since))

    async def open_members(self, resolved_since: datetime | None = None) -> list[Member]:
        """The members of those incidents, without what was seen of them."""
        since = maybe_micros(resolved_since)
        return await self._database.read(lambda c: queries.open_members(c, since))

    async def members(
        self, incident_id: str, *, offset: int = 0, limit: int = 1000, check_id: str = ""
    ) -> list[Member]:
        """Of one incident, in the order they joined, with what was seen of them."""
        return await self._database.read(lambda c: queries.members_of(c, incident_id, check_id, offset, limit))

    async def incident(self, incident_id: str) -> Incident | None:
        """One incident by id."""
        return await self._database.read(lambda c: queries.incident(c, incident_id))

    async def incidents(
        self, *, system: str = "", check_id: str = "", before: datetime | None = None, limit: int = 50,
        before_id: str = "",
    ) -> list[Incident]:  # fmt: skip
        """Newest first, opened before `before`. `system` and `check_id`: of any of their members."""
        end = queries.End(maybe_micros(before), before_id)
        return await self._database.read(lambda c: queries.incidents_of(c, system, check_id, end, limit))

    async def timeline(self, incident_id: str) -> list[TimelineEntry]:
        """In the order it happened."""
        return await self._database.read(lambda c: queries.timeline_of(c, incident_id))

    async def record(self, kind: str, record_id: str) -> Record | None:
        """One record by kind and id."""
        return await self._database.read(lambda c: queries.record(c, kind, record_id))

    async def records(
        self,
        kind: str,
        *,
        system: str = "",
        name: str = "",
        open_only: bool = False,
        before: datetime | None = None,
        limit: int = 100,
        before_id: str = "",
    ) -> list[Record]:
        """Newest first, those with `at` before `before`; empty words do not restrict."""
        end = queries.End(maybe_micros(before), before_id)
        return await self._database.read(
            lambda c: queries.records_of(c, kind, system=system, name=name, open_only=open_only, end=end, limit=limit)
        )

    async def outcomes(
        self, check_id: str, *, since: datetime | None = None, before: datetime | None = None, limit: int = 100
    ) -> list[Outcome]:
        """Newest first."""
        first, end = maybe_micros(since), maybe_micros(before)
        return await self._database.read(lambda c: queries.outcomes_of(c, check_id, first, end, limit))

    async def latest(self) -> dict[str, Outcome]:
        """The newest outcome of every check that has one."""
        return await self._database.read(queries.latest)

    async def history(
        self, check_id: str, measure: str, *, since: datetime, until: datetime, points: int = 300, series: str = ""
    ) -> list[Point]:
        """At most about `points` slots of equal width, empty ones left out; worst series where there are several,
        or the one asked for."""
        question = Question(check_id, measure, series, micros(since), micros(until), points)
        return await self._database.read(lambda c: history(c, question))

    async def availability(self, since: datetime, checks: Sequence[str] = ()) -> dict[str, Availability]:
        """By check id: how its runs ended since the beginning of that hour. Without `checks`: of all that have run."""
        return await self._database.read(lambda c: availability(c, micros(since), checks))

    async def due_messages(self, channel: str, now: datetime, limit: int = 20) -> list[Message]:
        """The first waiting message of each group of this channel, if its next attempt is due. Oldest first."""
        return await self._database.read(lambda c: queries.due_messages(c, channel, micros(now), limit))

    async def messages_behind(self, message_id: str, limit: int = 100) -> list[Message]:
        """Those of its channel and group that wait behind it, the first written first."""
        return await self._database.read(lambda c: queries.messages_behind(c, message_id, limit))

    async def next_attempt(self, channel: str) -> datetime | None:
        """When the earliest waiting head-of-group message of the channel is due; None when nothing waits."""
        return maybe_moment(await self._database.read(lambda c: queries.next_attempt(c, channel)))

    async def delivered(self, message_id: str, at: datetime, timeline: TimelineEntry | None = None) -> None:
        """The channel accepted it: take it out of the outbox and note it on the incident's timeline."""
        await self._finish(message_id, DELIVERED, at, timeline)

    async def failed(self, message_id: str, error: str, next_attempt_at: datetime) -> None:
        """Not accepted: count the attempt and try again at `next_attempt_at`."""
        words = plain_text(self._redact(error))
        await self._database.write(lambda: [(FAILED, (words, micros(next_attempt_at), message_id))])

    async def gave_up(self, message_id: str, at: datetime, timeline: TimelineEntry | None = None) -> None:
        """Older than its channel's age: out of the outbox, kept as given up."""
        await self._finish(message_id, GIVEN_UP, at, timeline)

    async def _finish(self, message_id: str, status: int, at: datetime, timeline: TimelineEntry | None) -> None:
        def steps() -> list[Step]:
            noted = [timeline_step(timeline)] if timeline else []
            return [(FINISH, (status, micros(at), message_id)), *noted]

        await self._database.write(steps)

    async def outbox(self) -> list[OutboxState]:
        """Channels with waiting messages."""
        return await self._database.read(queries.outbox)

    async def audit(self, entry: AuditEntry) -> None:
        """Write one audit entry."""
        await self._database.write(lambda: [audit_step(entry)])

    async def audits(
        self, *, limit: int = 100, before: int = 0, actor: str = "", action: str = "", text: str = ""
    ) -> list[AuditEntry]:
        """Newest first."""
        wanted = queries.AuditFilter(before, actor, action, text)
        return await self._database.read(lambda c: queries.newest_audits(c, limit, wanted))

    async def prune(self, now: datetime, *, outcomes: timedelta, history: timedelta) -> int:
        """Roll outcomes up into hourly summaries and delete what is older; in small transactions. Rows deleted."""
        return await prune(self._database, now, kept=outcomes, history=history)
