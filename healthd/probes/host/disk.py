"""`disk`: space and inodes of mounted file systems, one series per mount."""

from __future__ import annotations

import asyncio
import fnmatch
import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field, field_validator

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.units import Unit, format_value
from healthd.probes import base
from healthd.probes.base import (
    Duration,
    Evidence,
    MeasureInfo,
    Measurement,
    Observation,
    OneOrMany,
    ProbeContext,
    ProbeError,
)
from healthd.probes.blocking import BlockingCalls, blocking_calls
from healthd.probes.growth import Growth, GrowthTime, growth_of
from healthd.probes.host.mounts import Mount, mounts, real_mounts
from healthd.probes.paths import shown

_MAGIC = frozenset("*?[")
_NEVER = 3650.0  # days


class DiskParams(base.Params):
    """Which file systems; without `mounts` and `paths`, all real ones."""

    mounts: OneOrMany = Field((), description="mount points or globs of them (/data/*)")
    paths: OneOrMany = Field((), description="any files or folders: the file system each is on")
    exclude: OneOrMany = Field((), description="globs of mount points to leave out")
    answer_within: Duration = Field(timedelta(seconds=3), description="after this a file system counts as hung")
    growth_over: GrowthTime = Field(timedelta(hours=24), description="how far back growth is told from")

    @field_validator("mounts", "paths", "exclude")
    @classmethod
    def _absolute(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for path in value:
            if not path.startswith("/") and path != "*":
                raise ValueError(f"{path!r} is not an absolute path: write it from /")
        return value


class DiskProbe:
    """Asks each file system for its counters (statvfs). One that does not answer holds up nothing."""

    Params: ClassVar[type[base.Params]] = DiskParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "used_ratio": MeasureInfo(Unit.RATIO, "used / (used + available), what df shows as Use%"),
        "free_ratio": MeasureInfo(Unit.RATIO, "1 - used_ratio"),
        "free_bytes": MeasureInfo(Unit.BYTES, "available to ordinary users"),
        "total_bytes": MeasureInfo(Unit.BYTES, "size of the file system"),
        "inodes_used_ratio": MeasureInfo(Unit.RATIO, "used inodes; absent where there is no fixed number of them"),
        "growth_per_day": MeasureInfo(Unit.BYTES, "by how much the used space grows; absent until it was seen a while"),
        "days_left": MeasureInfo(Unit.DAYS, "until it is full at that rate, 3650 for never; absent likewise"),
        "responsive": MeasureInfo(Unit.COUNT, "1 when the file system answered in time, else 0 and no other measure"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold(measure="responsive", critical=parse_condition("= 0"), name="responsive"),
    )

    def measures_for(self, params: DiskParams) -> Mapping[str, MeasureInfo]:
        return self.measures

    async def run(self, params: DiskParams, context: ProbeContext) -> Observation:
        """Look once. Raises ProbeError `missing` naming what is not mounted or not there."""
        calls = await blocking_calls(context)
        within = min(params.answer_within, context.timeout * 0.8).total_seconds()
        chosen = _choose(params)
        looks = await asyncio.gather(*(_look(calls, point, within) for point in chosen))
        rows = list(zip(chosen, looks, strict=True))
        gone = [f"{shown(point)}: {look.strerror}" for point, look in rows if isinstance(look, OSError)]
        table = Evidence("File systems", "\n".join(_line(shown(point), look) for point, look in rows))
        if gone:
            raise ProbeError("cannot look at " + "; ".join(gone), "missing", (table,))
        hung = [shown(point) for point, look in rows if look is None]
        growth = await growth_of("disk", params.growth_over, context.resources)
        return Observation(
            (
                *(m for point, look in rows for m in _measurements(shown(point), look)),
                *(m for point, look in rows for m in _growing(shown(point), look, growth, context.now)),
            ),
            (table,),
            f"no answer within {within:g}s from " + ", ".join(hung) if hung else "",
        )


async def _look(calls: BlockingCalls, point: str, within: float) -> os.statvfs_result | OSError | None:
    """The file system's counters, the error it gave, or None when it did not answer."""
    try:
        return await calls.call(point, lambda _stop: os.statvfs(point), within)
    except TimeoutError:
        return None
    except OSError as error:
        return error


def _choose(params: DiskParams) -> list[str]:
    everything = mounts()
    points = [point for pattern in params.mounts for point in _matching(pattern, everything)]
    if not params.mounts and not params.paths:
        points = [mount.point for mount in real_mounts(everything)]
        if not points:
            raise ProbeError("no real file system is mounted here: name mounts or paths", "missing")
    points = [p for p in points if not any(fnmatch.fnmatchcase(p, pattern) for pattern in params.exclude)]
    chosen = list(dict.fromkeys([*points, *params.paths]))
    if not chosen:
        raise ProbeError("exclude leaves no file system to look at", "config")
    return chosen


def _matching(pattern: str, everything: list[Mount]) -> list[str]:
    points = {mount.point for mount in everything}
    if not _MAGIC & set(pattern):
        point = pattern.rstrip("/") or "/"
        if point in points:
            return [point]
        raise ProbeError(
            f"{point} is not mounted; to watch the file system that holds it write paths: [{point}]", "missing"
        )
    found = [m.point for m in everything if fnmatch.fnmatchcase(m.point, pattern) and m.is_real]
    if not found:
        raise ProbeError(f"no real file system is mounted at {pattern}", "missing")
    return found


def _measurements(point: str, look: os.statvfs_result | OSError | None) -> list[Measurement]:
    if not isinstance(look, os.statvfs_result):
        return [Measurement("responsive", 0, Unit.COUNT, point)]
    used, free = look.f_blocks - look.f_bfree, look.f_bavail
    found = [
        Measurement("responsive", 1, Unit.COUNT, point),
        Measurement("free_bytes", float(free * look.f_frsize), Unit.BYTES, point),
        Measurement("total_bytes", float(look.f_blocks * look.f_frsize), Unit.BYTES, point),
    ]
    if used + free > 0:
        found.append(Measurement("used_ratio", used / (used + free), Unit.RATIO, point))
        found.append(Measurement("free_ratio", free / (used + free), Unit.RATIO, point))
    if look.f_files > 0:
        found.append(Measurement("inodes_used_ratio", 1 - look.f_ffree / look.f_files, Unit.RATIO, point))
    return found


def _growing(
    point: str, look: os.statvfs_result | OSError | None, growth: Growth, now: datetime
) -> Iterator[Measurement]:
    if not isinstance(look, os.statvfs_result):
        return
    used = float((look.f_blocks - look.f_bfree) * look.f_frsize)
    per_day = growth.per_day(point, now, used)
    if per_day is not None:
        days = look.f_bavail * look.f_frsize / per_day if per_day > 0 else _NEVER
        yield Measurement("growth_per_day", per_day, Unit.BYTES, point)
        yield Measurement("days_left", min(days, _NEVER), Unit.DAYS, point)


def _line(point: str, look: os.statvfs_result | OSError | None) -> str:
    if look is None:
        return f"{point}: does not answer"
    if isinstance(look, OSError):
        return f"{point}: {look.strerror}"
    values = {m.name: format_value(m.value, m.unit) for m in _measurements(point, look)}
    return f"{point}: {values.get('used_ratio', '0%')} used, {values['free_bytes']} free of {values['total_bytes']}"
