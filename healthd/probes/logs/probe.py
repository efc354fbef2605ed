"""The `logs` probe itself. See docs/probes/logs.md."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo

from healthd.model.catalogue import Threshold
from healthd.model.outcomes import Evidence, Measurement, Observation
from healthd.model.redact import Redactor
from healthd.model.units import Unit, format_value
from healthd.probes import base
from healthd.probes.base import MeasureInfo, ProbeContext, ProbeError
from healthd.probes.blocking import Stop, blocking_calls
from healthd.probes.files.pattern import make_pattern
from healthd.probes.files.search import Search, SearchError
from healthd.probes.logs.params import NUMBER_SUFFIXES, LogsParams
from healthd.probes.logs.positions import Positions
from healthd.probes.logs.stream import readable
from healthd.probes.paths import shown
from healthd.probes.scale import base_unit, scaled

if TYPE_CHECKING:
    from healthd.probes.logs.look import Look

_READING, _WAITING = 0.8, 0.95  # shares of the timeout
_SAMPLE_CHARS = 300
_redact = Redactor()


class LogsProbe:
    """Counts lines, in a thread. Nothing of a file is kept but counts, a few lines and where the look ended."""

    Params: ClassVar[type[base.Params]] = LogsParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "matches": MeasureInfo(Unit.COUNT, "lines that match; a measure for each name under `patterns`"),
        "matches_rate": MeasureInfo(Unit.PER_SECOND, "the same over `period`"),
        "matches_ratio": MeasureInfo(Unit.RATIO, "the same of all lines; absent without lines"),
        "files": MeasureInfo(Unit.COUNT, "files that fit the glob"),
        "lines": MeasureInfo(Unit.COUNT, "lines looked at"),
        "bytes_read": MeasureInfo(Unit.BYTES, "read in this look, after decompression"),
        "period": MeasureInfo(Unit.SECONDS, "the time the counts are for; absent in a first look without since"),
        "backlog": MeasureInfo(Unit.BYTES, "new, but not read for want of time: left for the next look"),
        "last_write_age": MeasureInfo(Unit.SECONDS, "since a file was written to; absent without files"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: LogsParams) -> Mapping[str, MeasureInfo]:
        """The fixed ones and those that the parameters name."""
        fixed = {name: info for name, info in self.measures.items() if not name.startswith("matches")}
        own: dict[str, MeasureInfo] = {}
        for name in params.patterns:
            own |= {name + suffix: self.measures["matches" + suffix] for suffix in ("", "_rate", "_ratio")}
        own |= {name: MeasureInfo(Unit.COUNT, "lines with a word; series: the word") for name in params.top}
        for name, number in params.numbers.items():
            unit = base_unit(number.unit) if number.unit else None
            own |= {name + suffix: MeasureInfo(unit, "of the numbers found") for suffix in NUMBER_SUFFIXES[1:]}
            own[f"{name}_count"] = MeasureInfo(Unit.COUNT, "lines with a number")
        return fixed | own

    async def run(self, params: LogsParams, context: ProbeContext) -> Observation:
        """Look once. Raises ProbeError: missing, forbidden (naming the file), limit, timeout, config."""

        async def make() -> Positions:
            return Positions()

        positions = await context.resources.get(("logs", params.model_dump_json()), make)
        async with positions.lock:
            look = await _look(params, positions, context)
            observation = _observation(params, look, _period(params, positions, context))
            if params.read == "new":
                positions.places, positions.at = look.places, context.now
        return observation


async def _look(params: LogsParams, positions: Positions, context: ProbeContext) -> Look:
    from healthd.probes.logs.look import Look

    patterns = [make_pattern(glob, context.now.astimezone(context.zone)) for glob in params.glob]
    where = ", ".join(dict.fromkeys(pattern.base for pattern in patterns))
    seconds = context.timeout.total_seconds()
    zone = ZoneInfo(params.log_zone) if params.log_zone is not None else context.zone

    def work(stop: Stop) -> Look:
        search = Search(stop, params.max_names, params.unreadable == "skip")
        look = Look(params, context.now, zone, search, time.monotonic() + seconds * _READING)
        return look.run(patterns, positions)

    calls = await blocking_calls(context)
    try:
        return await calls.call(f"logs in {where}", work, seconds * _WAITING)
    except TimeoutError:
        raise ProbeError(f"{shown(where)} does not answer, or an earlier look at it still hangs", "timeout") from None
    except SearchError as error:
        raise ProbeError(shown(str(error)), error.kind) from None
    except OSError as error:
        kind = "forbidden" if isinstance(error, PermissionError) else "error"
        raise ProbeError(f"cannot read {shown(str(error.filename or where))}: {error.strerror}", kind) from None


def _period(params: LogsParams, positions: Positions, context: ProbeContext) -> timedelta | None:
    if params.read == "window" or (params.read == "new" and positions.at is None):
        return params.since
    return context.now - positions.at if params.read == "new" and positions.at is not None else None


def _observation(params: LogsParams, look: Look, period: timedelta | None) -> Observation:
    measurements = [Measurement("files", float(len(look.listed)), Unit.COUNT)]
    absent = "" if look.listed else "no file is there that fits " + ", ".join(params.glob)
    if absent and not look.places:
        return Observation(tuple(measurements), (), absent)
    # between the renaming of a file and the making of the next: what the first still got is read, and counts
    seconds = max(0.0, period.total_seconds()) if period is not None else None
    measurements += [
        Measurement("lines", float(look.lines), Unit.COUNT),
        Measurement("bytes_read", float(look.bytes_read), Unit.BYTES),
        Measurement("backlog", float(look.backlog), Unit.BYTES),
    ]
    if look.listed:
        age = max(0.0, look.now.timestamp() - look.listed[-1].changed)
        measurements.append(Measurement("last_write_age", age, Unit.SECONDS))
    if seconds is not None:
        measurements.append(Measurement("period", seconds, Unit.SECONDS))
    measurements += [*_counts(look, seconds), *_tops(params, look), *_numbers(params, look)]
    left = f"{format_value(float(look.backlog), Unit.BYTES)} are left for the next look" if look.backlog else ""
    return Observation(tuple(measurements), tuple(_evidence(look)), "; ".join(filter(None, (absent, left))))


def _counts(look: Look, seconds: float | None) -> Iterator[Measurement]:
    for name, lines in look.patterns.items():
        yield Measurement(name, float(lines.count), Unit.COUNT)
        if seconds:
            yield Measurement(f"{name}_rate", lines.count / seconds, Unit.PER_SECOND)
        if look.lines:
            yield Measurement(f"{name}_ratio", lines.count / look.lines, Unit.RATIO)


def _tops(params: LogsParams, look: Look) -> Iterator[Measurement]:
    for name, words in look.words.items():
        merged: dict[str, int] = {}
        for word, count in words.counts.most_common(params.top[name].limit):
            series = _redact(readable(word)) or "(empty)"
            merged[series] = merged.get(series, 0) + count
        yield from (Measurement(name, float(count), Unit.COUNT, word) for word, count in merged.items())


def _numbers(params: LogsParams, look: Look) -> Iterator[Measurement]:
    for name, numbers in look.numbers.items():
        yield Measurement(f"{name}_count", float(numbers.count), Unit.COUNT)
        if not numbers.count:
            continue
        unit = params.numbers[name].unit
        values = {
            "mean": numbers.total / numbers.count,
            **{f"p{percent}": numbers.percentile(percent) for percent in (50, 95, 99)},
            "max": numbers.largest,
        }
        for suffix, value in values.items():
            yield Measurement(f"{name}_{suffix}", *(scaled(value, unit) if unit is not None else (value, None)))


def _evidence(look: Look) -> Iterator[Evidence]:
    for name, lines in look.patterns.items():
        if lines.samples:
            shown_lines = [_redact(readable(line))[:_SAMPLE_CHARS] for line in lines.samples]
            yield Evidence(f"{name}: last lines", "\n".join(shown_lines))
    left_out = list(look.left_out)
    left_out += [f"{shown(folder)}: may not be read" for folder in look.search.unreadable]
    left_out += [f"{name}: the rarest words, there are too many" for name, w in look.words.items() if w.forgotten]
    if left_out:
        yield Evidence("Left out", "\n".join(left_out[:10]))
