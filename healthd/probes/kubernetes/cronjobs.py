"""The `kubernetes_cronjobs` probe. See docs/probes/kubernetes.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.units import Unit
from healthd.probes.base import Duration, Evidence, MeasureInfo, Measurement, Observation, Params, ProbeContext
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.cron_schedule import ScheduleError, missed_runs
from healthd.probes.kubernetes.job_facts import CRON_JOBS, JOBS, CronJob, Job
from healthd.probes.kubernetes.listing import list_everywhere, list_objects, list_rules
from healthd.probes.kubernetes.measures import counted
from healthd.probes.kubernetes.params import NamespacedParams, matcher
from healthd.probes.kubernetes.values import age, ago

__all__ = ["KubernetesCronJobsProbe"]

_SHOWN, _NAMED = 20, 5


class CronJobsParams(NamespacedParams):
    """Which CronJobs. `since`: how far back a failed Job still counts. `grace`: how late a run may begin."""

    since: Duration = timedelta(hours=24)
    grace: Duration = timedelta(minutes=2)


class KubernetesCronJobsProbe:
    """Tells when each was due, when it ran and how that ended."""

    Params: ClassVar[type[Params]] = CronJobsParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": counted("CronJobs that fit"),
        "last_success_age": MeasureInfo(Unit.SECONDS, "since the last run that succeeded ended; absent if none did"),
        "last_schedule_age": MeasureInfo(Unit.SECONDS, "since the last time it was due and run; absent if never"),
        "missed": counted("times it was due since then and not run, apart from the `grace`; 0 while suspended"),
        "failed_jobs": counted("its Jobs that failed within `since`, as far as the cluster keeps them"),
        "last_run_failed": counted("1 when the newest Job that ended has failed, else 0; absent without one"),
        "active": counted("its Jobs that run"),
        "running_for": MeasureInfo(Unit.SECONDS, "how long the oldest running Job has been; 0 without one"),
        "suspended": counted("1 when it is suspended, else 0"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (Threshold("count", critical=parse_condition("= 0"), name="count"),)

    def measures_for(self, params: CronJobsParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    def rules(self, params: CronJobsParams) -> tuple[Rule, ...]:
        """What it must be allowed to do."""
        return (*list_rules(CRON_JOBS, params.lists), *list_rules(JOBS, params.lists))

    async def run(self, params: CronJobsParams, context: ProbeContext) -> Observation:
        """Look at the lists of CronJobs and of Jobs."""
        wanted = matcher(params.name)
        found = [c for c in await list_objects(CRON_JOBS, params, context) if wanted(c.name)]
        count = Measurement("count", float(len(found)), Unit.COUNT)
        if not found:
            return Observation((count,), (), f"no CronJob {params.which()}{params.place()}")
        jobs: dict[str, list[Job]] = {}
        for namespace in params.lists:
            for owner, made in (await list_everywhere(JOBS, params, context, namespace)).grouped("owner").items():
                jobs.setdefault(owner, []).extend(made)
        looks = [_Look(cron, jobs.get(cron.uid, []), params, context.now) for cron in found]
        return _observation(count, looks, context)


class _Look:
    """One CronJob and its Jobs at one moment."""

    def __init__(self, cron: CronJob, jobs: Sequence[Job], params: CronJobsParams, now: datetime) -> None:
        self.cron, self.series, self.now = cron, params.series(cron), now
        self.ended = sorted(((job.ended, job) for job in jobs if job.ended is not None), key=lambda known: known[0])
        self.failed = [job for at, job in self.ended if job.failed and at >= now - params.since]
        self.running = [job for job in jobs if job.ended is None and not job.suspended]
        self.problem = ""
        self.missed = self._missed(params.grace)

    @property
    def last_failed(self) -> bool:
        return bool(self.ended) and self.ended[-1][1].failed

    def succeeded(self) -> datetime | None:
        """When the last success ended: by the CronJob, else (servers before 1.21) by its Jobs."""
        known = [at for at, job in self.ended if not job.failed]
        return max([*known, self.cron.succeeded] if self.cron.succeeded else known, default=None)

    def _missed(self, grace: timedelta) -> int | None:
        last = self.cron.scheduled or self.cron.created
        if self.cron.suspended or last is None:
            return 0
        try:
            return missed_runs(self.cron.schedule, self.cron.zone, last, self.now - grace)
        except ScheduleError as error:
            self.problem = f"{self.series}: {error}"
            return None

    def measure(self) -> list[Measurement]:
        """Its measurements."""
        counts: dict[str, float | None] = {
            "missed": self.missed,
            "failed_jobs": len(self.failed),
            "last_run_failed": self.last_failed if self.ended else None,
            "active": len(self.running),
            "suspended": self.cron.suspended,
        }
        seconds = {
            "last_success_age": age(self.succeeded(), self.now),
            "last_schedule_age": age(self.cron.scheduled, self.now),
            "running_for": max((age(j.started or j.created, self.now) or 0.0 for j in self.running), default=0.0),
        }
        found = [Measurement(k, float(v), Unit.COUNT, self.series) for k, v in counts.items() if v is not None]
        return found + [Measurement(k, v, Unit.SECONDS, self.series) for k, v in seconds.items() if v is not None]

    def trouble(self) -> str:
        """What is wrong with it, in a few words; "" when nothing is."""
        parts = [f"missed {self.missed} runs"] if self.missed else []
        if self.last_failed:
            parts.append("its last run failed")
        if self.cron.suspended:
            parts.append("is suspended")
        return f"{self.series} {' and '.join(parts)}" if parts else ""

    def line(self) -> str:
        """One line of evidence."""
        zone = f" {self.cron.zone}" if self.cron.zone else ""
        parts = [f"schedule {self.cron.schedule}{zone}{' (suspended)' if self.cron.suspended else ''}"]
        for words, at in (("due", self.cron.scheduled), ("succeeded", self.succeeded())):
            parts.append(f"last {words} {ago(at, self.now)}" if at is not None else f"never {words}")
        if self.failed:
            last = self.failed[-1]
            parts.append(f"{last.name} failed {ago(last.ended, self.now)}" + (f" ({last.why})" if last.why else ""))
        return f"{self.series}: {', '.join(parts)}"


def _observation(count: Measurement, looks: Sequence[_Look], context: ProbeContext) -> Observation:
    measurements = [count, *(m for look in looks for m in look.measure())]
    ranked = sorted(looks, key=lambda look: not look.trouble())
    lines = [look.line() for look in ranked[:_SHOWN]]
    if len(ranked) > _SHOWN:
        lines.append(f"and {len(ranked) - _SHOWN} more")
    notes = [look.trouble() for look in ranked if look.trouble()][:_NAMED] + [k.problem for k in looks if k.problem]
    evidence = Evidence("cronjobs", "\n".join(lines)[: context.limits.max_evidence_chars])
    return Observation(tuple(measurements), (evidence,), ", ".join(notes))
