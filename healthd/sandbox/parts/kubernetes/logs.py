"""Logs of the emulated cluster's containers: lines that were said once, and lines that are said again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

_REMEMBERED = timedelta(hours=24)  # of lines that are said again and again


@dataclass(frozen=True, slots=True)
class Reading:
    """What of a log is wanted: `kubectl logs --since --tail --limit-bytes --timestamps`."""

    since: datetime | None = None
    tail: int | None = None
    limit: int | None = None
    timestamps: bool = False


@dataclass
class Log:
    """What one container wrote."""

    _lines: list[tuple[datetime, str]] = field(default_factory=list)
    _habits: list[tuple[str, timedelta, timedelta]] = field(default_factory=list)

    def write(self, *lines: str, age: timedelta = timedelta(0)) -> None:
        """Lines written that long ago."""
        at = datetime.now(UTC) - age
        self._lines += [(at, line) for line in lines]
        self._lines.sort(key=lambda line: line[0])

    def repeat(self, line: str, every: timedelta, silent: timedelta = timedelta(0)) -> None:
        """A line that is written again and again, all the time; last `silent` ago."""
        self._habits.append((line, every, silent))

    def clear(self) -> None:
        """Forget everything: the file was rotated."""
        self._lines.clear()
        self._habits.clear()

    def read(self, reading: Reading) -> bytes:
        """The lines, the oldest first."""
        now = datetime.now(UTC)
        lines = [line for line in self._written(now) if reading.since is None or line[0] >= reading.since]
        if reading.tail is not None:
            lines = lines[max(0, len(lines) - reading.tail) :]
        text = "".join(
            f"{f'{at:%Y-%m-%dT%H:%M:%S.%f}000Z ' if reading.timestamps else ''}{said}\n" for at, said in lines
        )
        return text.encode()[: reading.limit]

    def _written(self, now: datetime) -> list[tuple[datetime, str]]:
        repeated = [said for habit in self._habits for said in self._repeated(now, *habit)]
        return sorted([*self._lines, *repeated], key=lambda line: line[0])

    @staticmethod
    def _repeated(now: datetime, line: str, every: timedelta, silent: timedelta) -> Iterator[tuple[datetime, str]]:
        step = every.total_seconds()
        at = datetime.fromtimestamp((now - silent).timestamp() // step * step, UTC)
        while now - at < _REMEMBERED:
            yield at, line
            at -= every
