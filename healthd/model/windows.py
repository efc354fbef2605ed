"""Maintenance: planned work on a system, during which nobody is told of its incidents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST = timedelta(days=31)
USUAL_NOTICE = timedelta(hours=48)


class WindowError(Exception):
    """A maintenance window that cannot be; the reason says what is expected."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason + (f": {hint}" if hint else ""))
        self.reason, self.hint = reason, hint


@dataclass(frozen=True, slots=True)
class Maintenance:
    """One occurrence of a maintenance window: from `starts_at` until before `ends_at`.

    `name` is the catalogue's, "" for one that somebody added. People are told `notice` ahead, at its start and at its
    end. Incidents of `except_severities`, and of checks that fit `except_checks` (globs), are told all the same.
    `ended_by` is who ended it early, or called it off.
    """

    id: str
    system: str
    title: str
    starts_at: datetime
    ends_at: datetime
    name: str = ""
    notice: timedelta = USUAL_NOTICE
    description: str = ""
    author: str = ""
    except_severities: tuple[str, ...] = ()
    except_checks: tuple[str, ...] = ()
    ended_by: str = ""
    called_off: bool = False

    def state(self, now: datetime) -> str:
        """planned, active, over, or called off."""
        if self.called_off:
            return "called off"
        if now >= self.ends_at:
            return "over"
        return "active" if now >= self.starts_at else "planned"
