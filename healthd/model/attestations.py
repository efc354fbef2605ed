"""Attestations: what a person is asked to do and to sign for, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


class AttestationError(Exception):
    """An attestation that cannot be given or taken back; the reason says why, the hint what would help."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason + (f": {hint}" if hint else ""))
        self.reason, self.hint = reason, hint


@dataclass(frozen=True, slots=True)
class Task:
    """What is attested, as a check's parameters: when it is due after it was asked for, how often people are reminded.

    `severities`: asked for after each incident of one of them, instead of at a cadence.
    """

    check: str  # system/name
    due: timedelta
    remind: timedelta
    who: str = ""
    severities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One time that a task was asked for. It is open until somebody signs for it, or the next one takes its place.

    `overdue_since` is when the oldest one in a row that nobody signed for became overdue: signing for the newest
    settles all of them. `withdrawn` are signatures taken back, each {by, at, reason, given_by, given_at}.
    """

    id: str  # ATT-20260102-090000-1a2b3c4d
    check_id: str
    title: str
    asked_at: datetime
    due_by: datetime
    cadence: str = ""
    incident: str = ""  # of a task that follows an incident
    who: str = ""
    description: str = ""
    reminded: int = 0
    overdue_since: datetime | None = None
    closed_at: datetime | None = None
    given_by: str = ""
    note: str = ""
    link: str = ""
    dropped: str = ""  # why nobody is asked for it any more, where nobody signed for it
    withdrawn: tuple[Mapping[str, Any], ...] = field(default=())
    about: str = ""  # the incident, in a line

    @property
    def system(self) -> str:
        return self.check_id.partition("/")[0]

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def late_from(self) -> datetime:
        """From when on it is, or was, overdue."""
        return self.overdue_since or self.due_by

    @property
    def was_late(self) -> bool:
        """Signed for after it was due."""
        return self.closed_at is not None and bool(self.given_by) and self.closed_at > self.late_from

    def state(self, now: datetime) -> str:
        """due, overdue, given, or missed (nobody signed for it)."""
        if self.is_open:
            return "overdue" if now > self.late_from else "due"
        return "given" if self.given_by else "missed"
