"""The probes kubernetes_cronjobs and kubernetes_jobs: on a real API server, and on what only newer ones say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from healthd.model.outcomes import ProbeError
from healthd.probes import PROBES
from healthd.probes.kubernetes.access import Rule, roles
from tests.component.kubernetes.conftest import Look
from tests.component.kubernetes.objects import cron_job, failed, job, owned_by, stamp, succeeded
from tests.component.kubernetes.scripted import kubeconfig_for, listed, serve
from tests.component.looking import evidence, values
from tests.servers.kubernetes import KubeServer
from tests.servers.receiver import Receiver

HOUR = timedelta(hours=1)


@pytest.mark.probe("kubernetes_cronjobs")
async def test_a_cron_job_that_runs(kube: KubeServer, look: Look, namespace: str) -> None:
    made = kube.create(cron_job("tidy", namespace, "0 * * * *"), {"lastScheduleTime": stamp(timedelta(minutes=30))})
    owners = owned_by("CronJob", "tidy", "batch/v1beta1", made["metadata"]["uid"])
    kube.create(job("tidy-1", namespace, owners), failed(HOUR))
    kube.create(job("tidy-2", namespace, owners), succeeded(timedelta(minutes=29)))
    kube.create(job("else", namespace), failed(timedelta(minutes=1)))
    seen = await look("kubernetes_cronjobs", namespace=namespace, grace="1h")
    found = values(seen)
    assert (found["count"], found["failed_jobs{tidy}"], found["last_run_failed{tidy}"]) == (1, 1, 0)
    assert (found["missed{tidy}"], found["active{tidy}"], found["suspended{tidy}"]) == (0, 0, 0)
    assert 1735 < float(found["last_success_age{tidy}"]) < 1760
    assert 1795 < float(found["last_schedule_age{tidy}"]) < 1820
    assert "tidy: schedule 0 * * * *, last due 30m" in evidence(seen, "cronjobs")
    assert "tidy-1 failed 1h" in evidence(seen, "cronjobs")
    assert seen.note == ""


async def test_one_that_was_missed_and_one_that_fails(kube: KubeServer, look: Look, namespace: str) -> None:
    now = datetime.now(UTC)
    kube.create(cron_job("late", namespace, "*/10 * * * *"), {"lastScheduleTime": stamp(timedelta(minutes=10))})
    fails = kube.create(cron_job("fails", namespace, "@daily"), {"lastScheduleTime": stamp()})
    owners = owned_by("CronJob", "fails", "batch/v1beta1", fails["metadata"]["uid"])
    kube.create(job("fails-1", namespace, owners), succeeded(HOUR))
    kube.create(job("fails-2", namespace, owners), failed(timedelta(minutes=5)))
    kube.create(job("fails-3", namespace, owners), {"active": 1, "startTime": stamp(timedelta(minutes=4))})
    kube.create(cron_job("off", namespace, "* * * * *", suspend=True), {"lastScheduleTime": stamp(30 * HOUR)})
    seen = await look("kubernetes_cronjobs", namespace=namespace, now=now + timedelta(minutes=51))
    found = values(seen)
    assert found["missed{late}"] in (5, 6)
    assert (found["last_run_failed{fails}"], found["active{fails}"], found["missed{fails}"]) in ((1, 1, 0), (1, 1, 1))
    assert 54 * 60 < float(found["running_for{fails}"]) < 56 * 60
    assert (found["missed{off}"], found["suspended{off}"]) == (0, 1)
    assert "last_success_age{late}" not in found
    assert "late missed" in seen.note
    assert "its last run failed" in seen.note
    assert "BackoffLimitExceeded: it has reached the limit" in evidence(seen, "cronjobs")


async def test_time_zones_and_what_newer_servers_say(look: Look, receiver: Receiver, tmp_path: Path) -> None:
    tokyo = cron_job("nightly", "shop", "0 3 * * *", "batch/v1", timeZone="Asia/Tokyo")
    tokyo["status"] = {"lastScheduleTime": "2026-03-01T18:00:00Z", "lastSuccessfulTime": "2026-03-01T18:04:00Z"}
    odd = cron_job("odd", "shop", "0 25 * * *", "batch/v1") | {"status": {"lastScheduleTime": "2026-03-01T18:00:00Z"}}
    base = "/apis/batch/v1/namespaces/shop"
    serve(receiver, {f"{base}/cronjobs": listed(tokyo, odd), f"{base}/jobs": listed()})
    kubeconfig = kubeconfig_for(receiver.url, tmp_path)
    before, after = datetime(2026, 3, 2, 18, 1, tzinfo=UTC), datetime(2026, 3, 2, 18, 3, tzinfo=UTC)
    assert (
        values(await look("kubernetes_cronjobs", namespace="shop", kubeconfig=kubeconfig, now=before))[
            "missed{nightly}"
        ]
        == 0
    )
    seen = await look("kubernetes_cronjobs", namespace="shop", kubeconfig=kubeconfig, now=after)
    assert values(seen)["missed{nightly}"] == 1
    assert values(seen)["last_success_age{nightly}"] == 86340
    assert "last_run_failed{nightly}" not in values(seen)
    assert "missed{odd}" not in values(seen)
    assert "odd: cannot read the schedule '0 25 * * *'" in seen.note


@pytest.mark.probe("kubernetes_jobs")
async def test_jobs(kube: KubeServer, look: Look, namespace: str) -> None:
    kube.create(job("import-1", namespace), succeeded(HOUR, timedelta(minutes=7)))
    kube.create(job("import-2", namespace), failed(timedelta(minutes=5)))
    kube.create(job("import-3", namespace), {"active": 1, "startTime": stamp(timedelta(minutes=2))})
    kube.create(job("export-1", namespace), succeeded(3 * HOUR))
    seen = await look("kubernetes_jobs", namespace=namespace, name="import-*")
    found = values(seen)
    assert (found["count"], found["active"], found["succeeded"], found["failed"]) == (3, 1, 1, 1)
    assert (found["last_failed"], found["last_duration"], found["suspended"]) == (1, 420, 0)
    assert 3595 < float(found["last_success_age"]) < 3620
    assert 115 < float(found["oldest_active_age"]) < 140
    assert "import-2: failed 5m" in evidence(seen, "failed jobs")
    assert seen.note == "import-2 failed"
    later = datetime.now(UTC) + 2 * HOUR
    assert values(await look("kubernetes_jobs", namespace=namespace, since="1h", now=later))["failed"] == 0


async def test_nothing_there(look: Look, namespace: str) -> None:
    seen = await look("kubernetes_cronjobs", namespace=namespace, name="tidy")
    assert (values(seen), seen.note) == ({"count": 0}, f"no CronJob called tidy in namespace {namespace}")
    seen = await look("kubernetes_jobs", namespace=namespace)
    assert (values(seen)["count"], values(seen)["failed"]) == (0, 0)


@pytest.mark.probe_failure("kubernetes_cronjobs")
async def test_permissions(kube: KubeServer, look: Look, namespace: str) -> None:
    kube.create(cron_job("tidy", namespace, "0 * * * *"))
    for kind in ("kubernetes_cronjobs", "kubernetes_jobs"):
        probe: Any = PROBES[kind]
        viewer = kube.viewer(roles(probe.rules(probe.Params(namespace=namespace))))
        assert "count" in values(await look(kind, namespace=namespace, kubeconfig=viewer))
    half = kube.viewer(roles([Rule("list", "cronjobs", "batch", namespace)]))
    with pytest.raises(ProbeError, match=f"forbidden: needs list on jobs.batch in namespace {namespace}"):
        await look("kubernetes_cronjobs", namespace=namespace, kubeconfig=half)
