"""Silences: what people want quiet for a while, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST = timedelta(days=366)


class SilenceError(Exception):
    """A silence or a matcher that cannot be; the reason says what is expected."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason + (f": {hint}" if hint else ""))
        self.reason, self.hint = reason, hint


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on an incident's labels. `op` is =, !=, =~ or !~.

    = and != take globs (`*`, `?`, `[...]`) and ignore case, as routes do; =~ and !~ take regular expressions that must
    fit the whole value.
    """

    name: str
    op: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}{self.op}{self.value}"


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody is told of incidents that meet all `matchers`, from `starts_at` until before `ends_at`.

    `ended_by` is who ended it early, "" where it ran its time.
    """

    id: str  # SIL-20260102-150405-1a2b3c4d
    matchers: tuple[Matcher, ...]
    author: str
    reason: str
    created_at: datetime
    starts_at: datetime
    ends_at: datetime
    ended_by: str = ""

    def state(self, now: datetime) -> str:
        """pending, active or expired."""
        if now >= self.ends_at:
            return "expired"
        return "active" if now >= self.starts_at else "pending"

    @property
    def words(self) -> str:
        """Its matchers, as people write them."""
        return " ".join(map(str, self.matchers))
