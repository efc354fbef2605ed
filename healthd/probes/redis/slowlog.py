"""The commands that Redis itself found slow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import Field

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit, format_duration
from healthd.probes.base import Duration, Evidence, MeasureInfo, Observation, Params, ProbeContext
from healthd.probes.measured import measured
from healthd.probes.redis.address import RedisUrl
from healthd.probes.redis.client import Asker, look
from healthd.probes.redis.config import config
from healthd.probes.redis.info import info, number
from healthd.probes.redis.shown import shown_command

__all__ = ["RedisSlowlogProbe"]

_THRESHOLD = "slowlog-log-slower-than"


class SlowlogParams(Params):
    """Entries of the last `since` that took at least `slow`; at most `read` entries are read.

    `show_keys`: show each command's first argument, mostly a key, as evidence. The others are never shown.
    """

    url: RedisUrl
    since: Duration = timedelta(hours=1)
    slow: Duration = timedelta(0)
    read: int = Field(128, ge=1, le=1000)
    show: int = Field(5, ge=0, le=20)
    show_keys: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    at: float
    seconds: float
    words: list[str]
    client: str


class RedisSlowlogProbe:
    """Reads SLOWLOG GET and SLOWLOG LEN."""

    Params: ClassVar[type[Params]] = SlowlogParams
    defaults: ClassVar[tuple[Threshold, ...]] = ()
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "entries": MeasureInfo(Unit.COUNT, "commands of the last `since` that took at least `slow`"),
        "entries_per_second": MeasureInfo(Unit.PER_SECOND, "the same per second"),
        "slowest": MeasureInfo(Unit.SECONDS, "the slowest of them; 0 without one"),
        "newest_age": MeasureInfo(Unit.SECONDS, "since the newest of them; absent without one"),
        "length": MeasureInfo(Unit.COUNT, "entries in the log, however old"),
        "threshold": MeasureInfo(Unit.SECONDS, "from when on Redis logs a command; absent where it may not be read"),
    }

    def measures_for(self, params: SlowlogParams) -> Mapping[str, MeasureInfo] | None:
        return self.measures

    async def run(self, params: SlowlogParams, context: ProbeContext) -> Observation:
        async def ask(asker: Asker) -> tuple[list[Any], int]:
            return await asker.ask("SLOWLOG", "GET", str(params.read)), int(await asker.ask("SLOWLOG", "LEN"))

        replies, length = await look(context, params.url, ask)
        fields = await info(context, params.url)
        told = number(fields, "server_time_usec")
        now = context.now.timestamp() if told is None else told
        since = params.since.total_seconds()
        everything = [_entry(reply) for reply in replies]
        recent = [entry for entry in everything if now - entry.at <= since]
        slow = sorted((e for e in recent if e.seconds >= params.slow.total_seconds()), key=lambda e: -e.seconds)
        threshold = await _threshold(context, params)
        values = {
            "entries": len(slow),
            "entries_per_second": len(slow) / since if since else None,
            "slowest": max((entry.seconds for entry in slow), default=0.0),
            "newest_age": max(0.0, now - max(entry.at for entry in slow)) if slow else None,
            "length": length,
            "threshold": threshold if threshold is not None and threshold >= 0 else None,
        }
        full = len(recent) == len(everything) and len(everything) > 0 and len(everything) in (params.read, length)
        evidence = (Evidence("slowest commands", _text(slow[: params.show], params, context.zone)),) if slow else ()
        return Observation(measured(self.measures, values), evidence, _note(threshold, full and length >= params.read))


def _entry(reply: list[Any]) -> _Entry:
    client = " ".join(str(part) for part in reply[4:6] if part)
    return _Entry(float(reply[1]), float(reply[2]) / 1e6, [str(word) for word in reply[3]], client)


async def _threshold(context: ProbeContext, params: SlowlogParams) -> float | None:
    settings = await config(context, params.url, _THRESHOLD)
    return float(settings[_THRESHOLD]) / 1e6 if _THRESHOLD in settings else None


def _note(threshold: float | None, cut: bool) -> str:
    if threshold is not None and threshold < 0:
        return f"Redis logs no slow commands: {_THRESHOLD} is negative"
    return "the log holds no older entries: there may have been more" if cut else ""


def _text(slow: list[_Entry], params: SlowlogParams, zone: ZoneInfo) -> str:
    def line(entry: _Entry) -> str:
        at = datetime.fromtimestamp(entry.at, UTC).astimezone(zone).strftime("%H:%M:%S")
        by = f" from {entry.client}" if entry.client else ""
        return f"{at}  {format_duration(entry.seconds)}  {shown_command(entry.words, params.show_keys)}{by}"

    return "\n".join(map(line, slow))
