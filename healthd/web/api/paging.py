"""Long lists, page by page: `next` of one answer is `after` of the question for the next, whatever was added since."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

from fastapi import Query

from healthd.web.api.parameters import maybe_moment

T = TypeVar("T")
PLACE = r"^[0-9]{1,17}(~[!-~]{1,200})?$"
NUMBER = r"^[0-9]{1,15}$"
ROUNDS = 20  # questions to the store for one page: what nothing fits in is not read to its end
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

After = Annotated[str | None, Query(pattern=PLACE, description="The `next` of the page before.")]
AfterNumber = Annotated[str | None, Query(pattern=NUMBER, description="The `next` of the page before.")]


@dataclass(frozen=True, slots=True)
class Place:
    """In a list by time, and by id where the time is the same."""

    at: datetime
    id: str = ""

    def __str__(self) -> str:
        return f"{(self.at - EPOCH) // MICROSECOND}" + (f"~{self.id}" if self.id else "")


def place(after: str | None) -> Place | None:
    """Read it back."""
    if after is None:
        return None
    micros, _, id_ = after.partition("~")
    return Place(EPOCH + int(micros) * MICROSECOND, id_)


def beginning(after: str | None, before: str | None) -> Place | None:
    """Where a page begins of a list by time, newest first. Raises RequestError 400."""
    at, end = place(after), maybe_moment(before, "before")
    if end is not None and (at is None or end < at.at):
        return Place(end)
    return at


async def turned(
    fetch: Callable[[datetime | None, str, int], Awaitable[Sequence[T]]],
    of: Callable[[T], Place],
    start: Place | None,
    limit: int,
    *,
    keep: Callable[[T], bool] = lambda _: True,
) -> tuple[list[T], str]:
    """A page of what `fetch(before, before_id, limit)` finds, newest first, and what the next one is after.

    What is not to be kept is passed over. A page for which that takes too long is short, and not the last one.
    """
    found: list[T] = []
    for _ in range(ROUNDS):
        batch = await fetch(start.at if start else None, start.id if start else "", limit + 1)
        for entry in filter(keep, batch):
            if len(found) == limit:
                return found, str(of(found[-1]))
            found.append(entry)
        if len(batch) <= limit:
            return found, ""
        start = of(batch[-1])
    return found, str(start)


def piece(
    entries: Iterable[T], of: Callable[[T], Place], start: Place | None, limit: int, *, newest_first: bool = False
) -> tuple[list[T], str]:
    """As `turned`, of a list in memory, in any order."""
    rows = sorted(((of(entry), entry) for entry in entries), key=lambda row: _key(row[0]), reverse=newest_first)
    if start is not None:
        rows = [row for row in rows if (_is_before(row[0], start) if newest_first else _key(row[0]) > _key(start))]
    return [entry for _, entry in rows[:limit]], str(rows[limit - 1][0]) if len(rows) > limit else ""


def _is_before(one: Place, other: Place) -> bool:
    """A place without an id is before all that are at its time."""
    return _key(one) < _key(other) if other.id else one.at < other.at


def _key(one: Place) -> tuple[datetime, str]:
    return one.at, one.id
