"""Five-field cron expressions: read by the library that fires them, its errors told field by field."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from cronsim import CronSim, CronSimError

from healthd.catalogue.problems import RefusedError

_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = (
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day-of-month", "1-31, L for the last day or LW for the last working day"),
    ("month", "1-12 or JAN-DEC"),
    ("day-of-week", "0-7 or SUN-SAT (0 and 7 are Sunday), 1#1 for the first Monday or 5L for the last Friday"),
)
_REFERENCE = datetime(2024, 1, 1, tzinfo=UTC) - timedelta(seconds=1)


@lru_cache(maxsize=1024)
def read_cron(text: str) -> str:
    """The expression with single blanks, `@daily` and its like spelled out. Raises RefusedError.

    Refused too: an expression that never fires, such as the 31st of February.
    """
    clean = " ".join(text.split())
    if clean.startswith("@"):
        if clean.lower() not in _MACROS:
            raise RefusedError(f"{clean!r} is not a cron shorthand", f"known: {', '.join(_MACROS)}")
        return _MACROS[clean.lower()]
    parts = clean.split(" ")
    if len(parts) != 5:
        raise RefusedError(
            f"cron {clean!r} has {len(parts)} field{'s' * (len(parts) != 1)}",
            'expected five: minute hour day-of-month month day-of-week, such as "30 9 * * 1-5"',
        )
    try:
        next(CronSim(clean, _REFERENCE))
    except (StopIteration, CronSimError, AssertionError, ValueError, OverflowError):
        raise _wrong(clean, parts) from None
    return clean


@lru_cache(maxsize=1024)
def spacing(crons: tuple[str, ...]) -> timedelta:
    """The shortest time between two of the next few firings."""
    firings: list[datetime] = []
    for cron in crons:
        upcoming = CronSim(cron, _REFERENCE)
        firings += [at for at, _ in zip(upcoming, range(4), strict=False)]
    firings = sorted(set(firings))
    gaps = [later - earlier for earlier, later in pairwise(firings)]
    return min(gaps, default=timedelta(days=366))


def either_day_matches(cron: str) -> bool:
    """Whether cron takes day-of-month and day-of-week as alternatives: rarely what is meant by `1-7 * 1`."""
    _, _, day, _, weekday = cron.split(" ")
    return not day.startswith("*") and not weekday.startswith("*")


def _wrong(clean: str, parts: list[str]) -> RefusedError:
    for index, (name, allowed) in enumerate(_FIELDS):
        probe = ["*"] * 5
        probe[index] = parts[index]
        try:
            CronSim(" ".join(probe), _REFERENCE)
        except (CronSimError, AssertionError, ValueError):
            hint = f"expected {allowed}"
            if match := re.fullmatch(r"(\w+)-(\w+)", parts[index]):
                hint += f"; the smaller end of a range comes first ({match[2]}-{match[1]}?)" * _is_reversed(match)
            return RefusedError(f"cron {clean!r}: {name} {parts[index]!r} is not valid", hint)
    return RefusedError(
        f"cron {clean!r} never fires: no month named has such a day", "write L for the last day of a month"
    )


def _is_reversed(match: re.Match[str]) -> bool:
    return match[1].isdigit() and match[2].isdigit() and int(match[1]) > int(match[2])
