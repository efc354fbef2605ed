"""Incidents and the notifications about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from healthd.model.outcomes import Level


@dataclass(frozen=True, slots=True)
class Member:
    """One check's part in an incident: failing until `recovered_at`.

    `level` is its level now, or when it recovered; `peak` the worst it has had since it joined, and `severity` what
    its system's scale says of that. `seen` are the values and the evidence as of when it joined or got worse, in the
    form of a message's body, redacted; it is written to the store and left out of what is kept in memory.
    """

    incident_id: str
    check_id: str
    level: Level
    severity: str
    since: datetime
    reason: str
    peak: Level = Level.OK
    recovered_at: datetime | None = None
    seen: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_failing(self) -> bool:
        return self.recovered_at is None

    @property
    def system(self) -> str:
        return self.check_id.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Telling:
    """What of an incident is still to be told: `event` at `due`; "" when everybody knows. `last` was when it was told
    last, `count` how often."""

    event: str = ""
    due: datetime | None = None
    last: datetime | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class Incident:
    """Opens when a state starts firing, ends when all its members have recovered.

    `key` is what channels deduplicate by (PagerDuty's dedup_key): the same for all messages of one incident, also
    after it was reopened. `check_id` is the check that opened it; `level` and `reason` are those of the worst member
    failing now. `severity` is the worst it has had since it opened, in the scale of its system: it rises, and does
    not fall before the end. A storm has members of any system.
    """

    id: str  # sortable, unique: INC-20260102-150405-abc123
    key: str
    system: str
    check_id: str
    title: str
    severity: str
    level: Level
    opened_at: datetime
    reason: str
    playbook: str = ""
    resolved_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    failing: int = 1  # members that fail now
    joined: int = 1  # members there have been
    storm: bool = False
    reopened: int = 0  # how often
    reopened_at: datetime | None = None
    merged_into: str = ""  # the id of the storm that took its members over
    telling: Telling = field(default_factory=Telling)

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None

    @property
    def since(self) -> datetime:
        """When it opened, or was last reopened: what response times count from."""
        return self.reopened_at or self.opened_at


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened to an incident: opened, joined, storm, told, worsened, improved, recovered, left,
    acknowledged, resolved, merged, reopened, note."""

    incident_id: str
    at: datetime
    kind: str
    text: str
    actor: str = "healthd"


@dataclass(frozen=True, slots=True)
class Message:
    """What the outbox carries to one channel: a snapshot, rendered by the channel when it is sent.

    `id` is unique and sent as the idempotency key; messages of one `group` (the incident) keep their order.
    `event` is firing, worsened, updated, improved, resolved, notice or test. `body`: see notify/message.py.
    """

    id: str
    channel: str
    group: str
    event: str
    created_at: datetime
    body: Mapping[str, Any]
    attempts: int = 0
    next_attempt_at: datetime | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell people that is no incident: a report, a task asked for, a maintenance window announced.

    `id` is unique: a notice told again under the same id is the same notice. `text` is Markdown. `path` is where it
    stands on healthd's page ("/reports/..."), `fields` are short facts to show side by side, `severity` one of the
    system's where it has any. `details` is JSON-able, for templates and programs. All of it is redacted when told.
    """

    kind: str  # report, attestation, window, silence, postmortem
    id: str
    system: str
    title: str
    text: str
    at: datetime
    severity: str = ""
    cadence: str = ""
    path: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


class ChannelError(Exception):
    """A channel did not accept a message. `retry_after` in seconds if it said so; `permanent` if a retry of the
    same bytes cannot help (it is still retried, slowly, until the configured age). Never holds a secret."""

    def __init__(self, reason: str, *, retry_after: float | None = None, permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.permanent = permanent
