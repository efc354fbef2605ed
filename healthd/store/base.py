"""The one interface of the record room: what is written together, what can be asked.

Everything a run produces is one `Commit`, one transaction: when `commit` returns it is durable, before that nobody
is told. Many commits waiting at once share one transaction (group commit).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from healthd.model.incidents import Incident, Member, Message, TimelineEntry
from healthd.model.outcomes import CheckState, Outcome
from healthd.model.records import Record


class StoreError(Exception):
    """The database did not take or give something. The reason says what to do and never holds a password.

    `transient`: whether the same call may succeed later (disk full, server away, locked).
    """

    def __init__(self, reason: str, *, transient: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.transient = transient


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Somebody changed something."""

    at: datetime
    actor: str
    action: str
    target: str
    detail: str = ""
    seq: int = field(default=0, compare=False)  # its number in the log, which grows; 0 until it is written


@dataclass(frozen=True, slots=True)
class Commit:
    """What belongs together. Incidents and states are written whole (insert or replace by id), and so are members but
    for what was seen of them: without anything seen, what was stored before stays."""

    outcomes: tuple[Outcome, ...] = ()
    states: tuple[CheckState, ...] = ()
    incidents: tuple[Incident, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    messages: tuple[Message, ...] = ()
    marks: Mapping[str, datetime] = field(default_factory=dict)  # job key -> last due time handled
    records: tuple[Record, ...] = ()
    members: tuple[Member, ...] = ()
    audits: tuple[AuditEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """One slot of a measure's history: `at` is the slot's start; values in the measure's base unit."""

    at: datetime
    minimum: float
    average: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Availability:
    """How the runs of a check ended over some time. A run that could not look says nothing of what it looks at."""

    runs: int = 0
    critical: int = 0
    unknown: int = 0

    @property
    def ratio(self) -> float | None:
        """Share of the runs that could look and were not critical; None when none could."""
        seen = self.runs - self.unknown
        return 1 - self.critical / seen if seen > 0 else None


@dataclass(frozen=True, slots=True)
class Lead:
    """Who leads the replicas of one database. `epoch` grows with every change of leader."""

    holder: str
    address: str  # of the holder's port, for the other replicas
    epoch: int
    mine: bool


@dataclass(frozen=True, slots=True)
class OutboxState:
    """Per channel: how many messages wait and since when the oldest does."""

    channel: str
    pending: int
    oldest: datetime | None


class Store(Protocol):
    """Implemented by SqlStore over SQLite and PostgreSQL, under one test suite. Every call may raise StoreError."""

    async def open(self) -> None:
        """Connect and migrate. Refuses a database of a newer healthd."""

    async def close(self) -> None:
        """Finish what was handed to `commit`, then close."""

    async def lead(self, holder: str, address: str, lasts: timedelta) -> Lead:
        """Take the lead, or keep it, for as long as `lasts` from now by the database's clock, unless another holder's
        still lasts; then whose it is. While it is ours every write is refused once it is not ours any more."""

    async def resign(self, holder: str) -> None:
        """Let go of the lead, if it is ours, so that another may have it at once."""

    async def commit(self, commit: Commit) -> None:
        """Write all of it or nothing; durable on return."""

    async def states(self) -> dict[str, CheckState]:
        """All remembered states by check id."""

    async def forget(self, check_ids: Sequence[str]) -> None:
        """Drop the states of removed checks. Outcomes and incidents stay until retention."""

    async def marks(self) -> dict[str, datetime]:
        """Last due time handled per calendar job."""

    async def open_incidents(self, resolved_since: datetime | None = None) -> list[Incident]:
        """Oldest first; with `resolved_since` also those that ended since."""

    async def open_members(self, resolved_since: datetime | None = None) -> list[Member]:
        """The members of those incidents, without what was seen of them."""

    async def members(
        self, incident_id: str, *, offset: int = 0, limit: int = 1000, check_id: str = ""
    ) -> list[Member]:
        """Of one incident, in the order they joined, with what was seen of them."""

    async def incident(self, incident_id: str) -> Incident | None:
        """One incident by id."""

    async def incidents(
        self, *, system: str = "", check_id: str = "", before: datetime | None = None, limit: int = 50,
        before_id: str = "",
    ) -> list[Incident]:  # fmt: skip
        """Newest first, opened before `before`. `system` and `check_id`: of any of their members. `before_id`: also
        those opened at that moment that come after this one, which is how one goes on where a page ended."""

    async def timeline(self, incident_id: str) -> list[TimelineEntry]:
        """In the order it happened."""

    async def record(self, kind: str, record_id: str) -> Record | None:
        """One record by kind and id."""

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
        """Newest first, those with `at` before `before`; empty words do not restrict. `before_id`: as of incidents."""

    async def outcomes(
        self, check_id: str, *, since: datetime | None = None, before: datetime | None = None, limit: int = 100
    ) -> list[Outcome]:
        """Newest first."""

    async def latest(self) -> dict[str, Outcome]:
        """The newest outcome of every check that has one."""

    async def history(
        self, check_id: str, measure: str, *, since: datetime, until: datetime, points: int = 300, series: str = ""
    ) -> list[Point]:
        """At most about `points` slots of equal width, empty ones left out.

        `series` "" is the worst one of each run, where there are several."""

    async def availability(self, since: datetime, checks: Sequence[str] = ()) -> dict[str, Availability]:
        """By check id: how its runs ended since the beginning of that hour. Without `checks`: of all that have run."""

    async def due_messages(self, channel: str, now: datetime, limit: int = 20) -> list[Message]:
        """The first waiting message of each group of this channel, if its next attempt is due. Oldest first."""

    async def messages_behind(self, message_id: str, limit: int = 100) -> list[Message]:
        """Those of its channel and group that wait behind it, the first written first."""

    async def next_attempt(self, channel: str) -> datetime | None:
        """When the earliest waiting head-of-group message of the channel is due; None when nothing waits."""

    async def delivered(self, message_id: str, at: datetime, timeline: TimelineEntry | None = None) -> None:
        """The channel accepted it: take it out of the outbox and note it on the incident's timeline."""

    async def failed(self, message_id: str, error: str, next_attempt_at: datetime) -> None:
        """Not accepted: count the attempt and try again at `next_attempt_at`."""

    async def gave_up(self, message_id: str, at: datetime, timeline: TimelineEntry | None = None) -> None:
        """Older than its channel's age: out of the outbox, kept as given up."""

    async def outbox(self) -> list[OutboxState]:
        """Channels with waiting messages."""

    async def audit(self, entry: AuditEntry) -> None:
        """Write one audit entry."""

    async def audits(
        self, *, limit: int = 100, before: int = 0, actor: str = "", action: str = "", text: str = ""
    ) -> list[AuditEntry]:
        """Newest first, those with a smaller number than `before`. `actor`, `action`: exactly; `text`: anywhere in
        them, whatever the case. Empty words do not restrict."""

    async def prune(self, now: datetime, *, outcomes: timedelta, history: timedelta) -> int:
        """Roll outcomes up into hourly summaries and delete what is older; in small transactions. Rows deleted."""
