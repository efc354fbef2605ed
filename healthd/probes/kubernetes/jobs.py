"""The `kubernetes_jobs` probe. See docs/probes/kubernetes.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.units import Unit, format_duration
from healthd.probes.base import Duration, Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.job_facts import JOBS, Job
from healthd.probes.kubernetes.listing import list_objects, list_rules
from healthd.probes.kubernetes.measures import counted
from healthd.probes.kubernetes.params import NamespacedParams, matcher
from healthd.probes.kubernetes.values import age, ago

__all__ = ["KubernetesJobsProbe"]

_SHOWN, _NAMED = 20, 5


class JobsParams(NamespacedParams):
    """Which Jobs. `since`: how far back the end of a Job still counts."""

    since: Duration = timedelta(hours=24)


class KubernetesJobsProbe:
    """Counts Jobs by how they ended, and tells how the newest did."""

    Params: ClassVar[type[Params]] = JobsParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": counted("Jobs that fit, ended or not"),
        "active": counted("that run or wait for a pod"),
        "oldest_active_age": MeasureInfo(Unit.SECONDS, "how long the oldest of these has been; 0 without one"),
        "suspended": counted("that are suspended"),
        "succeeded": counted("that ended well within `since`"),
        "failed": counted("that failed within `since`"),
        "last_failed": counted("1 when the newest that ended has failed, else 0; absent without one"),
        "last_success_age": MeasureInfo(Unit.SECONDS, "since the newest success ended; absent without one"),
        "last_duration": MeasureInfo(Unit.SECONDS, "how long that success took"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = ()

    def measures_for(self, params: JobsParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    def rules(self, params: JobsParams) -> tuple[Rule, ...]:
        """What it must be allowed to do."""
        return list_rules(JOBS, params.lists)

    async def run(self, params: JobsParams, context: ProbeContext) -> Observation:
        """Look at the list of Jobs."""
        wanted = matcher(params.name)
        jobs = [job for job in await list_objects(JOBS, params, context) if wanted(job.name)]
        found = _measure(jobs, context.now - params.since, context.now)
        measurements = [Measurement(name, float(v), self.measures[name].unit) for name, v in found.items()]
        if not jobs:
            return Observation(tuple(measurements), (), f"no Job {params.which()}{params.place()}")
        failed = sorted(_ended(jobs, context.now - params.since, failed=True), key=_end, reverse=True)
        lines = [_describe(job, params, context.now) for job in failed[:_SHOWN]]
        note = ", ".join(f"{params.series(job)} failed" for job in failed[:_NAMED])
        evidence = (Evidence("failed jobs", "\n".join(lines)[: context.limits.max_evidence_chars]),) if lines else ()
        return Observation(tuple(measurements), evidence, note)


def _end(job: Job) -> float:
    return job.ended.timestamp() if job.ended is not None else 0.0


def _ended(jobs: Sequence[Job], since: datetime, *, failed: bool) -> list[Job]:
    return [job for job in jobs if job.ended is not None and job.ended >= since and job.failed is failed]


def _measure(jobs: Sequence[Job], since: datetime, now: datetime) -> dict[str, float]:
    going = [job for job in jobs if job.ended is None and not job.suspended]
    over = sorted((job for job in jobs if job.ended is not None), key=_end)
    good = [job for job in over if not job.failed]
    found: dict[str, float] = {
        "count": len(jobs),
        "active": len(going),
        "oldest_active_age": max((age(job.started or job.created, now) or 0.0 for job in going), default=0.0),
        "suspended": sum(job.suspended for job in jobs if job.ended is None),
        "succeeded": len(_ended(jobs, since, failed=False)),
        "failed": len(_ended(jobs, since, failed=True)),
    }
    if over:
        found["last_failed"] = over[-1].failed
    if good and (seconds := age(good[-1].ended, now)) is not None:
        found["last_success_age"] = seconds
        if good[-1].started is not None and good[-1].ended is not None:
            found["last_duration"] = (good[-1].ended - good[-1].started).total_seconds()
    return found


def _describe(job: Job, params: JobsParams, now: datetime) -> str:
    took = ""
    if job.started is not None and job.ended is not None:
        took = f" after {format_duration((job.ended - job.started).total_seconds())}"
    return f"{params.series(job)}: failed {ago(job.ended, now)}{took}" + (f", {job.why}" if job.why else "")
