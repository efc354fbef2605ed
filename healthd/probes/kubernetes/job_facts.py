"""What is kept of Jobs and CronJobs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from healthd.probes.kubernetes.listing import Kind
from healthd.probes.kubernetes.values import moment

__all__ = ["CRON_JOBS", "JOBS", "CronJob", "Job"]

_NONE: Mapping[str, Any] = {}


class Job(NamedTuple):
    """`ended` is None while it runs or waits; `failed` says how it ended and `why`. `owner`: uid of its CronJob."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    owner: str
    created: datetime | None
    started: datetime | None
    ended: datetime | None
    failed: bool
    suspended: bool
    active: int  # pods
    why: str


class CronJob(NamedTuple):
    """`scheduled` is the last due time that a Job was made for. `zone` "" is that of the control plane."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    uid: str
    schedule: str
    zone: str
    suspended: bool
    active: int
    created: datetime | None
    scheduled: datetime | None
    succeeded: datetime | None


def _job(item: dict[str, Any]) -> Job:
    metadata, status = item["metadata"], item.get("status") or _NONE
    conditions = {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"}
    over = conditions.get("Failed") or conditions.get("Complete") or _NONE
    failed = "Failed" in conditions
    why = ": ".join(str(over[k])[:200] for k in ("reason", "message") if failed and over.get(k))
    return Job(
        metadata["namespace"],
        metadata["name"],
        metadata.get("labels") or _NONE,
        next((o["uid"] for o in metadata.get("ownerReferences") or () if o.get("controller")), ""),
        moment(metadata.get("creationTimestamp")),
        moment(status.get("startTime")),
        moment(status.get("completionTime")) or moment(over.get("lastTransitionTime")),
        failed,
        bool((item.get("spec") or _NONE).get("suspend")),
        status.get("active", 0),
        why,
    )


def _cron_job(item: dict[str, Any]) -> CronJob:
    metadata, spec, status = item["metadata"], item["spec"], item.get("status") or _NONE
    return CronJob(
        metadata["namespace"],
        metadata["name"],
        metadata.get("labels") or _NONE,
        metadata.get("uid", ""),
        spec["schedule"],
        spec.get("timeZone") or "",
        bool(spec.get("suspend")),
        len(status.get("active") or ()),
        moment(metadata.get("creationTimestamp")),
        moment(status.get("lastScheduleTime")),
        moment(status.get("lastSuccessfulTime")),
    )


JOBS: Kind[Job] = Kind("jobs", ("batch/v1",), _job)
# servers before 1.21 have CronJobs only as a beta
CRON_JOBS: Kind[CronJob] = Kind("cronjobs", ("batch/v1", "batch/v1beta1"), _cron_job)
