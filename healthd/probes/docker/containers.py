"""`docker_containers`: containers by name, label or project: state, restarts, health, memory and processor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.redact import Redactor
from healthd.model.units import Unit, format_duration
from healthd.probes import base
from healthd.probes.base import Duration, Evidence, MeasureInfo, Measurement, Observation, ProbeContext, ProbeError
from healthd.probes.docker.engine import Engine, engine_of
from healthd.probes.docker.facts import Details
from healthd.probes.docker.params import SelectedParams
from healthd.probes.docker.usage import Sample, memory, processor, read_sample

__all__ = ["DockerContainersProbe"]

_SERIES_MAX = 100
_INSPECTED_MAX = 500
_SHOWN = 20
_NAMED = 3


class ContainersParams(SelectedParams):
    """Which containers, and whether to measure what they use."""

    since: Duration = timedelta(hours=1)
    usage: bool = False
    interval: Duration = Field(timedelta(seconds=1), description="with usage: how long to watch the processors")


def _count(what: str) -> MeasureInfo:
    return MeasureInfo(Unit.COUNT, what)


_USAGE = {
    "memory_bytes": MeasureInfo(Unit.BYTES, "with usage: memory used, without the cache of files; one series each"),
    "memory_ratio": MeasureInfo(Unit.RATIO, "with usage: of its limit, or of the machine's memory; one series each"),
    "cpu": _count("with usage: processors kept busy; one series for each container"),
    "cpu_ratio": MeasureInfo(Unit.RATIO, "with usage: of its limit, or of all processors; one series each"),
}


class DockerContainersProbe:
    """Lists the engine's containers and inspects those selected."""

    Params: ClassVar[type[base.Params]] = ContainersParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": _count("containers selected, running or not"),
        "running": _count("that run"),
        "stopped": _count("that do not run: created, exited or dead"),
        "failed": _count("stopped ones whose exit code was not 0"),
        "paused": _count("paused"),
        "restarting": _count("between two starts"),
        "healthy": _count("running ones whose health check passes"),
        "unhealthy": _count("running ones whose health check fails"),
        "starting": _count("running ones whose first health check has not passed yet"),
        "restarts": _count("automatic restarts since the containers were made"),
        "recently_restarted": _count("containers that restarted by themselves within `since`"),
        "oom_killed": _count("containers that last ended for want of memory, within `since` or not running now"),
        "container_running": _count("1 or 0; one series for each container"),
        "container_restarts": _count("its automatic restarts; one series each"),
        "container_exit_code": _count("of one that is not running; one series each"),
        "container_uptime": MeasureInfo(Unit.SECONDS, "since it was started, while it runs; one series each"),
        "container_health": MeasureInfo(Unit.TEXT, "healthy, unhealthy or starting; one series each that tells"),
        **_USAGE,
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (Threshold("count", critical=parse_condition("= 0"), name="count"),)

    def measures_for(self, params: ContainersParams) -> Mapping[str, MeasureInfo]:
        """All; those of use only with `usage`."""
        return {name: info for name, info in self.measures.items() if params.usage or name not in _USAGE}

    async def run(self, params: ContainersParams, context: ProbeContext) -> Observation:
        """Look once."""
        if params.usage and params.interval >= context.timeout:
            raise ProbeError(
                "interval does not fit into the check's timeout: shorten one or lengthen the other", "config"
            )
        engine = await engine_of(params, context.resources)
        selected = [c for c in await engine.containers(context) if params.wants(c)]
        if len(selected) > _INSPECTED_MAX:
            raise ProbeError(f"{len(selected)} containers are selected, more than {_INSPECTED_MAX}: narrow it", "limit")
        found = await engine.inspect_all(selected, context)
        measurements = _totals(found, params, context.now)
        for details in found[:_SERIES_MAX]:
            measurements += _of_one(details, context.now)
        if params.usage:
            running = [d for d in found[:_SERIES_MAX] if d.container.state == "running"]
            measurements += await _usage(engine, running, params, context)
        return Observation(tuple(measurements), _evidence(found, params, context), _note(found, params))


def _totals(found: Sequence[Details], params: ContainersParams, now: datetime) -> list[Measurement]:
    states = [details.container.state for details in found]
    health = [details.health for details in found if details.container.state == "running"]
    stopped = [d for d in found if _stopped(d)]
    counts = {
        "count": len(found),
        "running": states.count("running"),
        "stopped": len(stopped),
        "failed": sum(d.exit_code != 0 for d in stopped),
        "paused": states.count("paused"),
        "restarting": states.count("restarting"),
        **{word: health.count(word) for word in ("healthy", "unhealthy", "starting")},
        "restarts": sum(d.restarts for d in found),
        "recently_restarted": sum(_restarted_since(d, now - params.since) for d in found),
        "oom_killed": sum(_oom_since(d, now - params.since) for d in found),
    }
    return [Measurement(name, float(value), Unit.COUNT) for name, value in counts.items()]


def _stopped(details: Details) -> bool:
    return details.container.state in ("created", "exited", "dead")


def _restarted_since(details: Details, since: datetime) -> bool:
    """The engine remembers when the last start was, not those before."""
    return details.restarts > 0 and details.started is not None and details.started >= since


def _oom_since(details: Details, since: datetime) -> bool:
    if not details.oom_killed:
        return False
    return details.container.state != "running" or (details.finished is not None and details.finished >= since)


def _of_one(details: Details, now: datetime) -> list[Measurement]:
    name, running = details.container.name, details.container.state == "running"
    found = [
        Measurement("container_running", float(running), Unit.COUNT, name),
        Measurement("container_restarts", float(details.restarts), Unit.COUNT, name),
    ]
    if _stopped(details) and details.finished is not None:
        found.append(Measurement("container_exit_code", float(details.exit_code), Unit.COUNT, name))
    if running and details.started is not None:
        uptime = max(0.0, (now - details.started).total_seconds())
        found.append(Measurement("container_uptime", uptime, Unit.SECONDS, name))
    if running and details.health:
        found.append(Measurement("container_health", details.health, Unit.TEXT, name))
    return found


async def _usage(
    engine: Engine, running: Sequence[Details], params: ContainersParams, context: ProbeContext
) -> list[Measurement]:
    before = await asyncio.gather(*(_sample(engine, details, context, 1) for details in running))
    if running:
        await asyncio.sleep(params.interval.total_seconds())
    after = await asyncio.gather(*(_sample(engine, details, context, 2) for details in running))
    found: list[Measurement] = []
    for details, first, second in zip(running, before, after, strict=True):
        name = details.container.name
        if first is not None and second is not None:
            found += [*memory(second, name), *processor(first, second, details.cpus, name)]
    return found


async def _sample(engine: Engine, details: Details, context: ProbeContext, number: int) -> Sample | None:
    """What a container has used so far, None when it has ended. Checks of one batch share each number's answer."""
    query = {"stream": "0", "one-shot": "1"}
    try:
        return read_sample(
            await context.once(
                ("docker sample", id(engine), details.container.id, number),
                lambda: engine.ask(f"/containers/{details.container.id}/stats", context, query),
            )
        )
    except ProbeError as error:
        if error.kind == "missing":
            return None
        raise


def _bad(details: Details, params: ContainersParams, now: datetime) -> bool:
    if details.container.state != "running":
        return True
    return details.health == "unhealthy" or _restarted_since(details, now - params.since)


def _evidence(found: Sequence[Details], params: ContainersParams, context: ProbeContext) -> tuple[Evidence, ...]:
    bad = [d for d in found if _bad(d, params, context.now)]
    lines = [_line(d, context.now) for d in bad[:_SHOWN]]
    if len(bad) > _SHOWN:
        lines.append(f"and {len(bad) - _SHOWN} more")
    return (Evidence("containers", Redactor()("\n".join(lines))[: context.limits.max_evidence_chars]),) if bad else ()


def _line(details: Details, now: datetime) -> str:
    parts = [details.container.status or details.container.state]
    if details.restarts:
        parts.append(f"{details.restarts} restarts")
    if details.restarts and details.started is not None:
        parts.append(f"last started {format_duration(float(round((now - details.started).total_seconds())))} ago")
    if details.oom_killed:
        parts.append("killed for its memory")
    if details.error:
        parts.append(details.error)
    return f"{details.container.name}: {', '.join(parts)}"


def _note(found: Sequence[Details], params: ContainersParams) -> str:
    if not found:
        return f"no container {params.selection()}".rstrip()
    bad = [d for d in found if d.container.state != "running" or d.health == "unhealthy"]
    notes = [f"{d.container.name} {_word(d)}" for d in bad[:_NAMED]]
    notes += [f"and {len(bad) - _NAMED} more"] if len(bad) > _NAMED else []
    if len(found) > _SERIES_MAX:
        notes.append(f"series of the first {_SERIES_MAX} of {len(found)} containers only")
    return ", ".join(notes)


def _word(details: Details) -> str:
    if details.container.state == "running":
        return details.health
    if details.oom_killed:
        return "killed for its memory"
    return f"exited ({details.exit_code})" if details.container.state == "exited" else details.container.state
