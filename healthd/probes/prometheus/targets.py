"""The `prometheus_targets` probe: what Prometheus can and cannot scrape. See docs/probes/prometheus_targets.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Level, Measurement, Observation, ProbeError
from healthd.model.units import Unit
from healthd.probes.base import MeasureInfo, OneOrMany, Params, ProbeContext
from healthd.probes.json_api import ApiParams
from healthd.probes.prometheus.api import ask

_ANSWER_MAX = 20_000_000  # about 1 kB for each target
_SHOWN, _NAMED = 20, 5


class TargetsParams(ApiParams):
    """Parameters of the `prometheus_targets` probe."""

    jobs: OneOrMany = ()


@dataclass(frozen=True, slots=True)
class Target:
    """One target. `error` is why the last scrape failed."""

    job: str
    instance: str
    up: bool
    error: str


class PrometheusTargetsProbe:
    """Targets that are up and down, by job."""

    Params: ClassVar[type[Params]] = TargetsParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "targets": MeasureInfo(Unit.COUNT, "targets: in all, and one series per job"),
        "targets_up": MeasureInfo(Unit.COUNT, "targets whose last scrape went well: likewise"),
        "targets_down": MeasureInfo(Unit.COUNT, "targets whose last scrape failed, or was not yet: likewise"),
        "missing_jobs": MeasureInfo(Unit.COUNT, "jobs asked for that have no target; only where some are named"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("targets_down", warning=parse_condition("> 0"), name="targets_down"),
        Threshold("missing_jobs", warning=parse_condition("> 0"), name="missing_jobs", missing=Level.OK),
    )

    def measures_for(self, params: TargetsParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    async def run(self, params: TargetsParams, context: ProbeContext) -> Observation:
        """Ask once. A Prometheus that cannot be asked is a ProbeError."""
        answer = await ask(params, "/api/v1/targets", {"state": "active"}, context, _ANSWER_MAX)
        try:
            targets = [_target(item) for item in answer["data"]["activeTargets"]]
        except (KeyError, TypeError, AttributeError):
            raise ProbeError(
                f"{params.url} did not answer with a list of targets: is it Prometheus?", "protocol"
            ) from None
        wanted = [t for t in targets if not params.jobs or any(fnmatchcase(t.job, job) for job in params.jobs)]
        missing = [job for job in params.jobs if not any(fnmatchcase(t.job, job) for t in targets)]
        down = [target for target in wanted if not target.up]
        measurements = [
            *_count("targets", wanted, wanted),
            *_count("targets_up", [target for target in wanted if target.up], wanted),
            *_count("targets_down", down, wanted),
        ]
        if params.jobs:
            measurements.append(Measurement("missing_jobs", float(len(missing)), Unit.COUNT))
        return Observation(tuple(measurements), _evidence(params, down, context), _note(wanted, down, missing))


def _target(item: Mapping[str, Any]) -> Target:
    labels = item["labels"]
    job = str(labels.get("job") or item.get("scrapePool", ""))
    return Target(job, str(labels.get("instance", "")), item["health"] == "up", str(item.get("lastError") or ""))


def _count(measure: str, some: list[Target], every: list[Target]) -> list[Measurement]:
    jobs = Counter(dict.fromkeys((target.job for target in every), 0))
    jobs.update(target.job for target in some)
    total = Measurement(measure, float(len(some)), Unit.COUNT)
    return [total, *(Measurement(measure, float(count), Unit.COUNT, job) for job, count in sorted(jobs.items()))]


def _note(wanted: list[Target], down: list[Target], missing: list[str]) -> str:
    notes = []
    if down:
        names = [f"{target.job} {target.instance}".strip() for target in down]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        notes.append(f"down: {', '.join(names[:_NAMED])}{more}")
    if missing:
        notes.append(f"no target for {', '.join(missing[:_NAMED])}")
    if not wanted and not missing:
        notes.append("Prometheus has no targets")
    return "; ".join(notes)


def _evidence(params: TargetsParams, down: list[Target], context: ProbeContext) -> tuple[Evidence, ...]:
    if not down:
        return ()
    lines = [f"{t.job} {t.instance}: {t.error or 'not scraped yet'}" for t in down[:_SHOWN]]
    if len(down) > _SHOWN:
        lines.append(f"and {len(down) - _SHOWN} more")
    return (Evidence("targets down", params.redact("\n".join(lines))[: context.limits.max_evidence_chars]),)
