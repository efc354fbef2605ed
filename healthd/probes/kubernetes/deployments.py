"""The `kubernetes_deployments` probe. See docs/probes/kubernetes.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Literal

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Level
from healthd.model.units import Unit
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext, ProbeError
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.listing import list_everywhere, list_objects, list_rules
from healthd.probes.kubernetes.measures import counted
from healthd.probes.kubernetes.params import NamespacedParams, matcher
from healthd.probes.kubernetes.values import age, ago
from healthd.probes.kubernetes.workload_facts import REVISIONS, WORKLOADS, Revision, Workload

__all__ = ["KubernetesDeploymentsProbe"]

_SHOWN, _NAMED = 20, 5
_JUST_NOW = 3600.0  # seconds: a rollout younger than this may well be the cause


class DeploymentsParams(NamespacedParams):
    """Which Deployments, or what `kind` says, by label selector or name; globs are allowed."""

    kind: Literal["Deployment", "StatefulSet", "DaemonSet"] = "Deployment"


class KubernetesDeploymentsProbe:
    """Compares the pods each has with those it wants, and tells when it was last rolled out."""

    Params: ClassVar[type[Params]] = DeploymentsParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": counted("how many fit"),
        "degraded": counted("how many have fewer pods available than they want"),
        "desired": counted("pods wanted"),
        "available": counted("pods available"),
        "unavailable": counted("pods wanted and not available"),
        "available_ratio": MeasureInfo(Unit.RATIO, "available / desired, at most 1; 1 where none is wanted"),
        "updated": counted("pods of the newest template"),
        "generation_lag": counted("changes its controller has not seen yet"),
        "rolling_out": counted("1 while a change has not reached every pod, else 0"),
        "stalled": counted("1 when a rollout has exceeded its deadline, else 0; Deployments only"),
        "paused": counted("1 when its rollouts are paused, else 0"),
        "rollout_age": MeasureInfo(Unit.SECONDS, "since the last rollout ended, or last moved on; absent if unknown"),
        "newest_rollout_age": MeasureInfo(Unit.SECONDS, "the least rollout_age of all that fit"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("count", critical=parse_condition("= 0"), name="count"),
        Threshold("stalled", critical=parse_condition("> 0"), name="stalled", missing=Level.OK),
    )

    def measures_for(self, params: DeploymentsParams) -> Mapping[str, MeasureInfo]:
        """All; only Deployments can be stalled."""
        return {k: v for k, v in self.measures.items() if k != "stalled" or params.kind == "Deployment"}

    def rules(self, params: DeploymentsParams) -> tuple[Rule, ...]:
        """What it must be allowed to do."""
        rules = list_rules(WORKLOADS[params.kind], params.lists)
        return rules if params.kind == "Deployment" else (*rules, *list_rules(REVISIONS, params.lists))

    async def run(self, params: DeploymentsParams, context: ProbeContext) -> Observation:
        """Look at the list of workloads; at that of their templates for kinds that do not tell when they changed."""
        wanted = matcher(params.name)
        found = [w for w in await list_objects(WORKLOADS[params.kind], params, context) if wanted(w.name)]
        untold = ""
        if params.kind != "Deployment" and found:
            try:
                found = _dated(found, await _revisions(params, context))
            except ProbeError as error:
                if error.kind != "forbidden":
                    raise
                untold = f"no rollout_age: {error.reason}"
        if not found:
            nothing = f"no {params.kind} {params.which()}{params.place()}"
            return Observation(tuple(_totals([], context.now)), (), nothing)
        measurements = _totals(found, context.now)
        for workload in found:
            measurements += _measure(workload, params, context.now)
        notes = [_note(found, params, context.now), untold]
        return Observation(
            tuple(measurements), _evidence(found, params, context), "; ".join(note for note in notes if note)
        )


async def _revisions(params: DeploymentsParams, context: ProbeContext) -> list[Revision]:
    found: list[Revision] = []
    for namespace in params.lists:
        found += (await list_everywhere(REVISIONS, params, context, namespace)).items
    return found


def _dated(workloads: Sequence[Workload], revisions: Sequence[Revision]) -> list[Workload]:
    """With the time their current template was made."""
    newest: dict[str, Revision] = {}
    by_name = {(revision.namespace, revision.name): revision for revision in revisions}
    for revision in revisions:
        if revision.owner not in newest or newest[revision.owner].number < revision.number:
            newest[revision.owner] = revision
    dated: list[Workload] = []
    for workload in workloads:
        current = by_name.get((workload.namespace, workload.revision)) or newest.get(workload.uid)
        if current is not None:
            workload = workload._replace(rolled_out=current.created, revision=str(current.number))  # noqa: PLW2901
        dated.append(workload)
    return dated


def _totals(workloads: Sequence[Workload], now: datetime) -> list[Measurement]:
    degraded = sum(w.available < w.desired for w in workloads)
    found = [
        Measurement("count", float(len(workloads)), Unit.COUNT),
        Measurement("degraded", float(degraded), Unit.COUNT),
    ]
    ages = [seconds for w in workloads if (seconds := age(w.rolled_out, now)) is not None]
    return [*found, Measurement("newest_rollout_age", min(ages), Unit.SECONDS)] if ages else found


def _measure(workload: Workload, params: DeploymentsParams, now: datetime) -> list[Measurement]:
    missing = max(0, workload.desired - workload.available)
    counts: dict[str, float] = {
        "desired": workload.desired,
        "available": workload.available,
        "unavailable": missing,
        "updated": workload.updated,
        "generation_lag": workload.generation_lag,
        "rolling_out": workload.rolling_out,
        "paused": workload.paused,
    }
    if params.kind == "Deployment":
        counts["stalled"] = workload.stalled
    series = params.series(workload)
    found = [Measurement(name, float(value), Unit.COUNT, series) for name, value in counts.items()]
    ratio = 1.0 - missing / workload.desired if workload.desired else 1.0
    found.append(Measurement("available_ratio", ratio, Unit.RATIO, series))
    if (seconds := age(workload.rolled_out, now)) is not None:
        found.append(Measurement("rollout_age", seconds, Unit.SECONDS, series))
    return found


def _note(workloads: Sequence[Workload], params: DeploymentsParams, now: datetime) -> str:
    bad = [w for w in workloads if w.available < w.desired or w.stalled]
    return ", ".join(_short(workload, params, now) for workload in bad[:_NAMED])


def _short(workload: Workload, params: DeploymentsParams, now: datetime) -> str:
    text = f"{params.series(workload)} {workload.available} of {workload.desired} available"
    seconds = age(workload.rolled_out, now)
    recent = seconds is not None and seconds < _JUST_NOW
    return text + (f", rolled out {ago(workload.rolled_out, now)}" if recent else "")


def _evidence(workloads: Sequence[Workload], params: DeploymentsParams, context: ProbeContext) -> tuple[Evidence, ...]:
    """All of them, the worst and the newest first: what was deployed, and when, may be the cause of anything."""
    ranked = sorted(workloads, key=lambda w: (w.available >= w.desired, -(w.rolled_out or context.now).timestamp()))
    lines = [_describe(workload, params, context.now) for workload in ranked[:_SHOWN]]
    if len(ranked) > _SHOWN:
        lines.append(f"and {len(ranked) - _SHOWN} more")
    return (Evidence("rollouts", "\n".join(lines)[: context.limits.max_evidence_chars]),)


def _describe(workload: Workload, params: DeploymentsParams, now: datetime) -> str:
    parts = [f"{workload.available}/{workload.desired} available"]
    if workload.rolling_out:
        parts.append(f"{workload.updated} updated")
    if workload.stalled or workload.paused:
        parts.append("rollout past its deadline" if workload.stalled else "rollouts paused")
    parts.append(" ".join(workload.images))
    revision = f"revision {workload.revision} " if workload.revision else ""
    if workload.rolled_out is not None:
        parts.append(f"{revision}rolled out {ago(workload.rolled_out, now)}")
    parts += [text for text in (workload.cause and f"because of: {workload.cause}", workload.why) if text]
    return f"{params.series(workload)}: {', '.join(parts)}"
