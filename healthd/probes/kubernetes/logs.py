"""The `kubernetes_logs` probe. See docs/probes/kubernetes.md."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import ClassVar

from pydantic import Field, field_validator

from healthd.model.catalogue import Threshold
from healthd.model.redact import Redactor
from healthd.model.units import Unit
from healthd.probes.base import Duration, Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.cluster import Cluster, cluster_of, within
from healthd.probes.kubernetes.errors import RefusedError
from healthd.probes.kubernetes.listing import list_rules
from healthd.probes.kubernetes.params import Names, matcher
from healthd.probes.kubernetes.pod_facts import PODS, Container, Pod
from healthd.probes.kubernetes.pod_selection import PodParams, select_pods
from healthd.probes.logs.patterns import LinePattern
from healthd.probes.logs.stream import LineScanner, readable

__all__ = ["KubernetesLogsProbe"]

_NOTED = 3
_SAMPLE_MAX = 300  # characters of a line that is shown


class LogsParams(PodParams):
    """Which pods' logs, and what to look for in them.

    `pattern`: a regular expression, or several by name, counted in one reading. Lines with a match of `ignore` do
    not count. `previous` reads the log of the container that ran before the last restart. Of each container at most
    `max_bytes` are read, the oldest first; of more than `max_pods` pods the rest is left out.
    """

    pattern: LinePattern | dict[str, LinePattern]
    ignore: LinePattern | None = None
    container: Names = ()
    since: Duration = timedelta(hours=1)
    previous: bool = False
    per_pod: bool = False
    max_pods: int = Field(50, ge=1, le=500)
    max_bytes: int = Field(10_000_000, ge=1000, le=1_000_000_000)
    samples: int = Field(5, ge=0, le=50)

    @field_validator("pattern")
    @classmethod
    def _some(cls, pattern: str | dict[str, str]) -> str | dict[str, str]:
        if not pattern:
            raise ValueError("give a regular expression, or several by name")
        return pattern

    def patterns(self) -> Mapping[str, str]:
        """By series name; a single one has none."""
        return {"": self.pattern} if isinstance(self.pattern, str) else self.pattern


@dataclass(frozen=True, slots=True)
class _Log:
    """What came of reading one container's log."""

    pod: Pod
    scanner: LineScanner
    cut: bool = False
    refused: RefusedError | None = None


class KubernetesLogsProbe:
    """Counts the lines of pods' logs in which a pattern is found."""

    Params: ClassVar[type[Params]] = LogsParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "matches": MeasureInfo(Unit.COUNT, "lines with a match; with several patterns a series for each"),
        "lines": MeasureInfo(Unit.COUNT, "lines read"),
        "match_ratio": MeasureInfo(Unit.RATIO, "matches / lines; absent when nothing was logged"),
        "bytes": MeasureInfo(Unit.BYTES, "bytes read"),
        "pods": MeasureInfo(Unit.COUNT, "pods that fit"),
        "skipped": MeasureInfo(Unit.COUNT, "pods left out because there are more than max_pods"),
        "truncated": MeasureInfo(Unit.COUNT, "containers with more than max_bytes: matches is too low"),
        "unreadable": MeasureInfo(Unit.COUNT, "containers whose log could not be had"),
        "pod_matches": MeasureInfo(Unit.COUNT, "with per_pod: lines with a match of any pattern, a series each pod"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: LogsParams) -> Mapping[str, MeasureInfo]:
        """All; those of single pods only with `per_pod`."""
        return {k: v for k, v in self.measures.items() if params.per_pod or k != "pod_matches"}

    def rules(self, params: LogsParams) -> tuple[Rule, ...]:
        """What it must be allowed to do."""
        return (*list_rules(PODS, params.lists), *(Rule("get", "pods/log", "", place) for place in params.lists))

    async def run(self, params: LogsParams, context: ProbeContext) -> Observation:
        """Read the logs; checks that look for the same share what was found."""
        return await context.once(("kubernetes_logs", params.model_dump_json()), lambda: self._look(params, context))

    async def _look(self, params: LogsParams, context: ProbeContext) -> Observation:
        pods = await select_pods(params, context)
        if not pods:  # no log is not the same as no error: a misspelt selector would be quiet for ever
            none = Measurement("pods", 0.0, Unit.COUNT)
            return Observation((none,), (), f"no pods {params.which()}{params.place()}")
        read = sorted(pods, key=lambda pod: pod.plain)[: params.max_pods]  # those in trouble first
        cluster = await cluster_of(params, context)
        logs = await within(context, cluster, "reading logs", _read_all(cluster, read, params))
        refusals = [log.refused for log in logs if log.refused is not None]
        if refusals and len(refusals) == len(logs):
            raise refusals[0]
        measurements = _measure(pods, logs, params)
        return Observation(tuple(measurements), _evidence(logs, params, context), _note(pods, logs, params))


async def _read_all(cluster: Cluster, pods: Sequence[Pod], params: LogsParams) -> list[_Log]:
    wanted = matcher(params.container)
    chosen = [(pod, c) for pod in pods for c in pod.containers if wanted(c.name) and _has_log(c, params)]
    # the cluster lets only a few through at once
    try:
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(_read_or_note(cluster, pod, c, params)) for pod, c in chosen]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    for done in reading:
        if (refused := done.result().refused) is not None and refused.status in (401, 403):
            raise refused
    return [done.result() for done in reading]


def _has_log(container: Container, params: LogsParams) -> bool:
    """Init containers only when they are named; what has never run has none."""
    if container.init and not params.container:
        return False
    return container.restarts > 0 if params.previous else bool(container.running or container.exits)


async def _read_or_note(cluster: Cluster, pod: Pod, container: Container, params: LogsParams) -> _Log:
    scanner = LineScanner(params.patterns(), params.ignore, params.samples)
    try:
        await _read(cluster, pod, container, params, scanner)
    except RefusedError as refused:
        if refused.status in (400, 404):  # it has just gone, or has not begun to run
            return _Log(pod, scanner)
        return _Log(pod, scanner, refused=refused)
    return _Log(pod, scanner, cut=scanner.bytes >= params.max_bytes)


async def _read(cluster: Cluster, pod: Pod, container: Container, params: LogsParams, scanner: LineScanner) -> None:
    query: dict[str, str | int] = {
        "container": container.name,
        "sinceSeconds": max(1, ceil(params.since.total_seconds())),
        "limitBytes": params.max_bytes,
    }
    if params.previous:
        query["previous"] = "true"
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/log"
    rule = Rule("get", "pods/log", "", pod.namespace)
    async with cluster.open(path, query, rule=rule, accept="*/*") as response:
        async for chunk in response.content.iter_any():
            scanner.feed(chunk[: params.max_bytes - scanner.bytes])
            if scanner.bytes >= params.max_bytes:  # a server need not keep to the limit
                break
    scanner.finish()


def _measure(pods: Sequence[Pod], logs: Sequence[_Log], params: LogsParams) -> list[Measurement]:
    names = params.patterns()
    matches = {name: sum(log.scanner.matches[name] for log in logs) for name in names}
    lines = sum(log.scanner.lines for log in logs)
    found = [Measurement("matches", float(count), Unit.COUNT, name) for name, count in matches.items()]
    if lines:
        found += [Measurement("match_ratio", n / lines, Unit.RATIO, name) for name, n in matches.items()]
    totals = {
        "lines": lines,
        "pods": len(pods),
        "skipped": max(0, len(pods) - params.max_pods),
        "truncated": sum(log.cut for log in logs),
        "unreadable": sum(log.refused is not None for log in logs),
    }
    found += [Measurement(name, float(value), Unit.COUNT) for name, value in totals.items()]
    found.append(Measurement("bytes", float(sum(log.scanner.bytes for log in logs)), Unit.BYTES))
    if params.per_pod:
        by_pod: dict[str, int] = {}
        for log in logs:
            series = params.series(log.pod)
            by_pod[series] = by_pod.get(series, 0) + sum(log.scanner.matches.values())
        found += [Measurement("pod_matches", float(count), Unit.COUNT, series) for series, count in by_pod.items()]
    return found


def _evidence(logs: Sequence[_Log], params: LogsParams, context: ProbeContext) -> tuple[Evidence, ...]:
    """The last lines of each log that matched, in turn from those with most matches."""
    redact = Redactor()
    ranked = sorted((log for log in logs if log.scanner.samples), key=lambda log: -sum(log.scanner.matches.values()))
    lines: list[str] = []
    for depth in range(params.samples):
        for log in ranked:
            if depth < len(log.scanner.samples) and len(lines) < params.samples:
                # redacted before it is shortened: half a secret is no longer recognised
                line = redact(readable(log.scanner.samples[-1 - depth]))
                short = line if len(line) <= _SAMPLE_MAX else f"{line[:_SAMPLE_MAX]}..."
                lines.append(f"{params.series(log.pod)}: {short}")
    return (Evidence("lines", "\n".join(lines)[: context.limits.max_evidence_chars]),) if lines else ()


def _note(pods: Sequence[Pod], logs: Sequence[_Log], params: LogsParams) -> str:
    notes = []
    if len(pods) > params.max_pods:
        notes.append(f"only {params.max_pods} of {len(pods)} pods were read")
    if cut := {params.series(log.pod) for log in logs if log.cut}:
        notes.append(f"more than max_bytes in {', '.join(sorted(cut)[:_NOTED])}")
    unread = [f"{params.series(log.pod)}: {log.refused.said}" for log in logs if log.refused is not None]
    return "; ".join([*notes, *unread[:_NOTED]])
