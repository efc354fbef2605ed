"""What one run of a check saw and how it was judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from healthd.model.units import Unit


class Level(IntEnum):
    """The plugin convention: 0 ok, 1 warning, 2 critical, 3 unknown. Compare badness with `worse`, not `>`."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3

    @property
    def badness(self) -> int:
        """OK < UNKNOWN < WARNING < CRITICAL: a known problem outranks not knowing."""
        return (0, 2, 3, 1)[self]


def worst(*levels: Level) -> Level:
    """The level a person should hear of first; OK when there are none."""
    return max(levels, key=lambda level: level.badness, default=Level.OK)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number (base unit) or word a probe saw. `series` tells apart several of one name: a mount, a pod."""

    name: str
    value: float | str
    unit: Unit | None = None
    series: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something short worth showing a person beside the numbers. Already redacted, at most a few kB."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What a probe returns. `note` says in a few words why something is wrong ("connection refused"), if it is."""

    measurements: tuple[Measurement, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    note: str = ""


class ProbeError(Exception):
    """A probe could not look: the outcome is UNKNOWN with this reason. Never holds a secret.

    `kind` is a short stable word for programs: timeout, refused, dns, auth, forbidden, protocol, missing, config, ...
    """

    def __init__(self, reason: str, kind: str = "error", evidence: tuple[Evidence, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind
        self.evidence = evidence


@dataclass(frozen=True, slots=True)
class Verdict:
    """One threshold row against one value, before `for:`.

    `series` names the offender where there are several; `limit` is the condition that decided ("" when OK).
    """

    row: str
    measure: str
    series: str
    value: float | str | None
    unit: Unit | None
    level: Level
    limit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of one check. `level` is what the run saw, before `for:` and hysteresis."""

    check_id: str
    started: datetime
    duration: timedelta
    level: Level
    reason: str
    measurements: tuple[Measurement, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    due: datetime | None = None
    trigger: str = "schedule"  # schedule, catch-up, confirm, manual
    cadence: str = ""
    error_kind: str = ""
    late: bool = False

    @property
    def lateness(self) -> timedelta:
        """How long after it was due the run started (zero for a manual run)."""
        return max(timedelta(0), self.started - self.due) if self.due else timedelta(0)


@dataclass(frozen=True, slots=True)
class RowState:
    """What is remembered of one threshold row: since when each level has held without a break.

    `warning_since`/`critical_since`: first moment of an unbroken stretch at that level or worse, None when not so.
    `ok_since`: since when a confirmed level is over, for `recover_for`. `confirmed` is the level after both.
    """

    confirmed: Level = Level.OK
    warning_since: datetime | None = None
    critical_since: datetime | None = None
    below_critical_since: datetime | None = None
    ok_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class CheckState:
    """What is remembered per check between runs. Pure data: survives restarts in the store."""

    check_id: str
    status: Level = Level.UNKNOWN  # after `for:`, hysteresis and the UNKNOWN policy
    level: Level = Level.UNKNOWN  # of the last run
    reason: str = "not run yet"
    since: datetime | None = None  # when `status` began
    firing: bool = False
    firing_level: Level = Level.OK
    firing_since: datetime | None = None
    rows: Mapping[str, RowState] = field(default_factory=dict)
    unknown_count: int = 0
    unknown_since: datetime | None = None
    last_run: datetime | None = None
    last_ok: datetime | None = None
    expected_by: datetime | None = None  # when the next run is overdue
    overdue: bool = False
    flapping: bool = False
    recent: tuple[Level, ...] = ()  # newest last, for flapping
    pending_until: datetime | None = None  # when a level now pending starts to fire, if it holds
    verdicts: tuple[Verdict, ...] = ()  # of the last run
    fingerprint: str = ""


class TransitionKind:
    """What can happen to a state. Words, stored and told."""

    FIRING = "firing"
    WORSENED = "worsened"
    IMPROVED = "improved"
    RESOLVED = "resolved"
    FLAPPING = "flapping"
    STEADY = "steady"


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of state worth acting on."""

    kind: str
    check_id: str
    at: datetime
    level: Level
    previous: Level
    reason: str
