"""`docker_logs`: how many lines of containers' logs match a pattern, since a duration."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import Field, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.redact import Redactor
from healthd.model.units import Unit, format_value
from healthd.probes import base
from healthd.probes.base import Duration, Evidence, MeasureInfo, Measurement, Observation, ProbeContext, ProbeError
from healthd.probes.docker.engine import Engine, engine_of
from healthd.probes.docker.errors import RefusedError
from healthd.probes.docker.facts import Container
from healthd.probes.docker.frames import FrameError, Lines
from healthd.probes.docker.params import SelectedParams
from healthd.probes.logs.patterns import LinePattern
from healthd.probes.logs.stream import LineScanner, readable

__all__ = ["DockerLogsProbe"]

_CONTAINERS_MAX = 50
_SAMPLE_LINE = 300  # characters of a sample
_YIELD_EVERY = 1 << 20  # bytes read before others on the event loop have their turn


class LogsParams(SelectedParams):
    """Which containers, which lines, and how far back."""

    pattern: LinePattern
    exclude: LinePattern | None = None
    since: Duration = timedelta(hours=1)
    stream: Literal["both", "stdout", "stderr"] = "both"
    samples: int = Field(5, ge=0, le=50)
    max_bytes: int = Field(50_000_000, ge=1000, description="of each container's log to read at most")

    @model_validator(mode="after")
    def _some_container(self) -> LogsParams:
        if not (self.name or self.label or self.project):
            raise ValueError("say whose logs: give name, label or project")
        return self

    def query(self, now: datetime) -> dict[str, str]:
        """As the engine takes it."""
        wanted = {stream: "1" for stream in ("stdout", "stderr") if self.stream in ("both", stream)}
        return {**wanted, "since": f"{(now - self.since).timestamp():.6f}"}


@dataclass(slots=True)
class _Counted:
    """What one log held."""

    name: str
    scanner: LineScanner
    size: int = 0
    cut: bool = False

    @property
    def matches(self) -> int:
        return self.scanner.matches[""]


class DockerLogsProbe:
    """Reads the logs once through, keeping nothing but counts and the newest few lines that match."""

    Params: ClassVar[type[base.Params]] = LogsParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "matches": MeasureInfo(Unit.COUNT, "lines that match, of all containers"),
        "container_matches": MeasureInfo(Unit.COUNT, "the same, one series for each container"),
        "ratio": MeasureInfo(Unit.RATIO, "matches / lines; absent without lines"),
        "rate": MeasureInfo(Unit.PER_SECOND, "matches per second over `since`"),
        "lines": MeasureInfo(Unit.COUNT, "lines read"),
        "bytes": MeasureInfo(Unit.BYTES, "read from the engine"),
        "containers": MeasureInfo(Unit.COUNT, "containers whose logs were read, running or not"),
        "truncated": MeasureInfo(Unit.COUNT, "containers whose log was longer than `max_bytes`: there may be more"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: LogsParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    async def run(self, params: LogsParams, context: ProbeContext) -> Observation:
        """Look once. Raises ProbeError `missing` when there is no such container: 0 matches would be a wrong answer."""
        engine = await engine_of(params, context.resources)
        everything = await engine.containers(context)
        selected = [c for c in everything if params.wants(c)]
        if not selected:
            raise ProbeError(f"no container {params.selection()}", "missing")
        if len(selected) > _CONTAINERS_MAX:
            raise ProbeError(
                f"{len(selected)} containers are selected, more than {_CONTAINERS_MAX}: narrow it", "limit"
            )
        counted = await asyncio.gather(*(_read(engine, container, params, context) for container in selected))
        return _observation([found for found in counted if found is not None], params, context)


async def _read(engine: Engine, container: Container, params: LogsParams, context: ProbeContext) -> _Counted | None:
    """None when the container has gone meanwhile."""
    details = await engine.inspect(container, context)
    if details is None:
        return None
    scanner = LineScanner({"": params.pattern}, params.exclude, params.samples)
    scan = _Scan(params, _Counted(container.name, scanner), Lines(framed=not details.tty))
    path = f"/containers/{quote(container.id)}/logs"
    try:
        async with engine.open(path, params.query(context.now), context) as response:
            turn = 0
            while piece := await response.content.readany():
                turn += len(piece)
                if not scan.feed(piece):
                    response.close()
                    break
                if turn >= _YIELD_EVERY:
                    turn = 0
                    await asyncio.sleep(0)
        return scan.finish()
    except RefusedError as error:
        if error.status == 404:
            return None
        raise ProbeError(f"{container.name}: {error.reason}", error.kind) from None
    except FrameError as error:
        raise ProbeError(f"{container.name}: what the engine sent is {error}", "protocol") from None


class _Scan:
    """Counts the lines of one log as they come."""

    def __init__(self, params: LogsParams, counted: _Counted, lines: Lines) -> None:
        self._most = params.max_bytes
        self._counted, self._lines = counted, lines

    def feed(self, piece: bytes) -> bool:
        """Whether to go on."""
        counted = self._counted
        room = self._most - counted.size
        counted.size += min(len(piece), room)
        for block in self._lines.feed(piece[:room]):
            counted.scanner.take(block)
        counted.cut = len(piece) > room
        return not counted.cut

    def finish(self) -> _Counted:
        """The result, with last lines that have no end."""
        for block in self._lines.end():
            self._counted.scanner.take(block)
        return self._counted


def _observation(counted: Sequence[_Counted], params: LogsParams, context: ProbeContext) -> Observation:
    matches = sum(found.matches for found in counted)
    lines = sum(found.scanner.lines for found in counted)
    cut = [found.name for found in counted if found.cut]
    measurements = [
        Measurement("matches", float(matches), Unit.COUNT),
        Measurement("lines", float(lines), Unit.COUNT),
        Measurement("bytes", float(sum(found.size for found in counted)), Unit.BYTES),
        Measurement("containers", float(len(counted)), Unit.COUNT),
        Measurement("truncated", float(len(cut)), Unit.COUNT),
        *(Measurement("container_matches", float(found.matches), Unit.COUNT, found.name) for found in counted),
    ]
    if lines:
        measurements.append(Measurement("ratio", matches / lines, Unit.RATIO))
    if params.since:
        measurements.append(Measurement("rate", matches / params.since.total_seconds(), Unit.PER_SECOND))
    note = ""
    if cut:
        note = f"only the oldest {format_value(float(params.max_bytes), Unit.BYTES)} were read of {', '.join(cut[:3])}"
    return Observation(tuple(measurements), _samples(counted, params, context), note)


def _samples(counted: Sequence[_Counted], params: LogsParams, context: ProbeContext) -> tuple[Evidence, ...]:
    redact, several = Redactor(), len(counted) > 1
    share = max(1, params.samples // max(1, sum(bool(found.matches) for found in counted)))
    lines: list[str] = []
    for found in sorted(counted, key=lambda c: -c.matches):
        for line in list(found.scanner.samples)[-share:]:
            # redacted before it is shortened: half a secret is no longer recognised
            text = redact(readable(line))[:_SAMPLE_LINE]
            lines.append(f"{found.name}: {text}" if several else text)
    text = "\n".join(lines[: params.samples])[: context.limits.max_evidence_chars]
    return (Evidence("newest matching lines", text),) if text else ()
